//! Limits as calls meet them, with a clock of the test's own.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tandem_protocol::refusal::Reason;

use super::*;

const MS: u64 = 1_000_000;

fn limit(per: Per, rate: Option<(u32, u32)>, at_once: Option<u32>) -> CallLimit {
    let rate = rate.map(|(per_second, burst)| Rate { per_second, burst });
    CallLimit { per, rate, at_once }
}

fn limits(registry: &Registry, calls: &[CallLimit]) -> MethodLimits {
    let placed = PlacedLimits { place: "defaults".into(), calls: calls.to_vec() };
    registry.limits("shop", 1000, &placed)
}

/// A caller whose address ends in `host`.
fn caller<'a>(host: u8, principal: Option<&'a str>, headers: &'a HeaderMap) -> Caller<'a> {
    Caller { peer: Ipv4Addr::new(10, 0, 0, host).into(), principal, headers }
}

/// Whether a call is let in; it ends at once.
fn goes(limits: &MethodLimits, caller: Caller<'_>, now: u64) -> bool {
    let passing = limits.enter(Caller { principal: None, ..caller }, now);
    passing.and_then(|passing| passing.known(caller)).is_ok()
}

fn count(limits: &MethodLimits, caller: Caller<'_>, now: u64, calls: usize) -> usize {
    (0..calls).filter(|_| goes(limits, caller, now)).count()
}

#[test]
fn each_key_has_counts_of_its_own() {
    let registry = Registry::default();
    let mut account = HeaderMap::new();
    account.insert("x-account", HeaderValue::from_static("7"));
    let none = HeaderMap::new();
    for (per, one, other, shared) in [
        (Per::Principal, caller(1, Some("a"), &none), caller(1, Some("b"), &none), false),
        (Per::Principal, caller(1, Some("a"), &none), caller(2, Some("a"), &none), true),
        // Nobody is known: by source. A name that looks like it is another.
        (Per::Principal, caller(1, None, &none), caller(2, None, &none), false),
        (Per::Source, caller(1, Some("a"), &none), caller(1, Some("b"), &none), true),
        (Per::Source, caller(1, Some("a"), &none), caller(2, Some("a"), &none), false),
        (Per::Namespace, caller(1, Some("a"), &none), caller(2, Some("b"), &none), true),
        (Per::Header("x-account".into()), caller(1, None, &account), caller(1, None, &none), false),
        (Per::Header("x-account".into()), caller(1, None, &none), caller(2, None, &none), true),
    ] {
        let limits = limits(&registry, &[limit(per.clone(), Some((1, 3)), None)]);
        assert_eq!(count(&limits, one, 1, 10), 3, "{per:?}");
        assert_eq!(count(&limits, other, 1, 10), if shared { 0 } else { 3 }, "{per:?}");
    }
}

#[test]
fn addresses_of_one_network_of_ipv6_are_one_source() {
    let registry = Registry::default();
    let limits = limits(&registry, &[limit(Per::Source, Some((1, 2)), None)]);
    let headers = HeaderMap::new();
    let from =
        |peer: &str| Caller { peer: peer.parse().unwrap(), principal: None, headers: &headers };
    assert_eq!(count(&limits, from("2001:db8::1"), 1, 5), 2);
    assert_eq!(count(&limits, from("2001:db8::ffff:1"), 1, 5), 0);
    assert_eq!(count(&limits, from("2001:db8:0:1::1"), 1, 5), 2);
    assert_eq!(count(&limits, from("10.0.0.1"), 1, 5), 2);
    assert_eq!(count(&limits, from("::ffff:10.0.0.1"), 1, 5), 0);
}

#[test]
fn security_t_6_a_flood_of_one_principal_uses_up_nothing_of_another() {
    let registry = Registry::default();
    let rules = [
        limit(Per::Namespace, Some((100, 100)), Some(50)),
        limit(Per::Principal, Some((10, 10)), Some(5)),
    ];
    let limits = limits(&registry, &rules);
    let none = HeaderMap::new();
    let (flood, other) = (caller(1, Some("flood"), &none), caller(2, Some("other"), &none));
    for second in 0..20_u64 {
        let now = 1 + second * 1_000 * MS;
        assert_eq!(count(&limits, flood, now, 5_000), 10);
        assert_eq!(count(&limits, other, now, 20), 10, "what was refused took nothing of it");
    }
    // Nor do calls that are refused for what they are: no credential, a wrong one.
    let now = 1 + 30_000 * MS;
    for _ in 0..5_000 {
        drop(limits.enter(flood, now));
    }
    assert_eq!(count(&limits, other, now, 20), 10);
}

#[test]
fn what_is_open_is_given_back_at_every_end() {
    let registry = Registry::default();
    let rules = [limit(Per::Principal, None, Some(2)), limit(Per::Source, None, Some(3))];
    let limits = limits(&registry, &rules);
    let none = HeaderMap::new();
    let ann = caller(1, Some("ann"), &none);
    let open = || limits.enter(ann, 1).and_then(|passing| passing.known(ann)).map(|(held, _)| held);
    let (first, second) = (open().ok().unwrap(), open().ok().unwrap());
    let (refusal, told) = *open().err().unwrap();
    assert_eq!((refusal.reason, refusal.limit), (Reason::Quota, Some(Limit::AtOnce)));
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)));
    assert!(told.is_none(), "there is no rate");
    // The third was refused by the second rule, and gave back what it held of the first.
    drop(first);
    let third = open().ok().unwrap();
    assert!(open().is_err());
    drop((second, third));
    for _ in 0..100 {
        drop(limits.enter(ann, 1).ok().unwrap());
        assert!(open().is_ok());
    }
}

#[test]
fn security_li_24_a_namespace_has_a_quota_of_open_calls() {
    let registry = Registry::default();
    let limits = registry.limits("shop", 3, &PlacedLimits::default());
    let other = registry.limits("search", 3, &PlacedLimits::default());
    let none = HeaderMap::new();
    let ann = caller(1, None, &none);
    let held: Vec<_> = (0..3).map(|_| limits.enter(ann, 1).ok().unwrap()).collect();
    let (refusal, _) = *limits.enter(ann, 1).err().unwrap();
    assert_eq!(refusal.limit, Some(Limit::CallsAtOnce));
    assert!(other.enter(ann, 1).is_ok(), "another namespace has its own");
    drop(held);
    assert!(limits.enter(ann, 1).is_ok());
}

#[test]
fn a_rule_keeps_its_counts_over_a_reload_and_begins_anew_when_it_changes() {
    let registry = Registry::default();
    let none = HeaderMap::new();
    let ann = caller(1, Some("ann"), &none);
    let rule = |rate| [limit(Per::Principal, Some(rate), None)];
    let first = limits(&registry, &rule((1, 4)));
    assert_eq!(count(&first, ann, 1, 10), 4);
    let second = limits(&registry, &rule((1, 4)));
    assert_eq!(count(&second, ann, 1, 10), 0);
    let other_place = PlacedLimits { place: "a.B/C".into(), calls: rule((1, 4)).to_vec() };
    assert_eq!(count(&registry.limits("shop", 9, &other_place), ann, 1, 10), 4);
    drop(first);
    assert_eq!(count(&limits(&registry, &rule((1, 5))), ann, 1, 10), 5);
}

#[test]
fn experience_ux_36_the_answer_says_what_is_left() {
    let registry = Registry::default();
    let rules = [
        limit(Per::Principal, Some((10, 20)), None),
        limit(Per::Principal, Some((3, 100)), None),
        limit(Per::Source, Some((5, 5)), Some(100)),
    ];
    let limits = limits(&registry, &rules);
    let none = HeaderMap::new();
    let ann = caller(1, Some("ann"), &none);
    let told = |now| {
        let passed = limits.enter(ann, now).and_then(|passing| passing.known(ann));
        let told = match passed {
            Ok((_, told)) => told.unwrap(),
            Err(over) => over.1.unwrap(),
        };
        let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
        (text(told.ratelimit), text(told.policy))
    };
    let policy = r#""principal";q=20;w=2, "principal-2";q=100;w=34, "source";q=5;w=1"#;
    let first = r#""source";r=4;t=1, "principal";r=19;t=1, "principal-2";r=99;t=1"#;
    assert_eq!(told(1), (first.into(), policy.into()));
    (0..4).for_each(|_| drop(told(1)));
    assert_eq!(told(1).0, r#""source";r=0;t=1"#, "the one that refuses says so");
    let (refusal, _) = *limits.enter(ann, 1).err().unwrap();
    assert_eq!(refusal.retry_after, Some(Duration::from_millis(200)));
    assert_eq!(refusal.violations[0].field, "source");
    assert_eq!(
        refusal.violations[0].description,
        "5 calls a second and 100 at once from one address"
    );
}

/// Calls of `threads` threads while the clock goes on, each call with a key of its own choice.
fn admitted(
    limits: &MethodLimits,
    threads: usize,
    calls: usize,
    clock: impl Fn(usize) -> u64 + Sync,
    key: impl Fn(usize) -> String + Sync,
) -> usize {
    let (let_in, called) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let none = HeaderMap::new();
                loop {
                    let call = called.fetch_add(1, Ordering::Relaxed);
                    if call >= calls {
                        break;
                    }
                    let principal = key(call);
                    if goes(limits, caller(1, Some(&principal), &none), clock(call)) {
                        let_in.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let_in.into_inner()
}

#[test]
fn security_li_37_a_rate_is_exact_over_threads() {
    for threads in [1, 2, 4, 8] {
        let registry = Registry::default();
        let rules = [limit(Per::Principal, Some((1_000, 500)), None)];
        let limits = limits(&registry, &rules);
        // The clock stands: exactly the burst.
        assert_eq!(admitted(&limits, threads, 20_000, |_| 1, |_| "ann".into()), 500);
        // It goes: 100,000 calls in ten seconds, of which the burst was used and 10,000 come back.
        let clock = |call: usize| 1 + call as u64 * MS / 10;
        let let_in = admitted(&limits, threads, 100_000, clock, |_| "ann".into());
        assert!((9_900..=10_100).contains(&let_in), "{threads}: {let_in}");
    }
}

#[test]
fn security_li_37_many_keys_over_threads_are_exact_each() {
    let registry = Registry::default();
    let limits = limits(&registry, &[limit(Per::Principal, Some((1, 7)), Some(100))]);
    let let_in = admitted(&limits, 4, 40_000, |_| 1, |call| (call % 1_000).to_string());
    assert_eq!(let_in, 7_000);
}

#[test]
fn a_thousand_names_do_not_free_anybody_of_what_he_used_up() {
    let registry = Registry::default();
    let limits = limits(&registry, &[limit(Per::Principal, Some((1, 3)), None)]);
    let none = HeaderMap::new();
    assert_eq!(count(&limits, caller(1, Some("ann"), &none), 1, 10), 3);
    // Three times as many names as there is room for, all of them still counted.
    let names = AtomicU64::new(0);
    let fresh = |_| names.fetch_add(1, Ordering::Relaxed).to_string();
    let let_in = admitted(&limits, 2, 100_000, |_| 1, fresh);
    assert_eq!(count(&limits, caller(1, Some("ann"), &none), 1, 10), 0);
    // Each name with a slot goes once; those without share the rule's three.
    assert!((30_000..=32_768 + 3).contains(&let_in), "{let_in}");
    assert_eq!(count(&limits, caller(1, Some("new"), &none), 1, 10), 0);
    // Once they are whole again there is room again.
    let later = 1 + 3_000 * MS;
    assert_eq!(count(&limits, caller(1, Some("new"), &none), later, 10), 3);
}

#[test]
fn permits_over_threads_come_back_to_nothing() {
    let registry = Registry::default();
    let rules = [limit(Per::Principal, Some((1_000_000, 1_000_000)), Some(3))];
    let limits = limits(&registry, &rules);
    let (most, open) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let none = HeaderMap::new();
                let ann = caller(1, Some("ann"), &none);
                for _ in 0..20_000 {
                    let passed = limits.enter(ann, 1).and_then(|passing| passing.known(ann));
                    let Ok((held, _)) = passed else { continue };
                    most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    open.fetch_sub(1, Ordering::SeqCst);
                    drop(held);
                }
            });
        }
    });
    assert!((1..=3).contains(&most.into_inner()));
    let none = HeaderMap::new();
    let ann = caller(1, Some("ann"), &none);
    let held: Vec<_> =
        (0..4).map(|_| limits.enter(ann, 1).and_then(|passing| passing.known(ann)).ok()).collect();
    assert_eq!(held.iter().filter(|held| held.is_some()).count(), 3);
}
