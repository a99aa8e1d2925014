//! The cache without sockets: what is found by whom, who makes the call, what stays behind.

use std::collections::BTreeMap;

use http::header::{self, HeaderValue};
use tandem_config::load::from_texts;
use tandem_contract::fields;
use tandem_protocol::status::{Code, Status};

use super::*;

const QUOTA: u64 = 1 << 20;

fn note(text: &str, number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    fields::put_bytes(1, text.as_bytes(), &mut out);
    if number != 0 {
        out.extend_from_slice(&[2 << 3, number as u8]);
    }
    out
}

/// One of two contracts: the second has one field more.
fn plans(contract: u8) -> Plans {
    let more = if contract == 0 { "" } else { "string more = 3;" };
    let text = format!(
        "syntax = \"proto3\"; package t; message Note {{ string text = 1; int64 number = 2; {more} }}
         service S {{ rpc One(Note) returns (Note); rpc Two(Note) returns (Note); }}"
    );
    Plans::new(Arc::new(tandem_testkit::gateway::contract(&text)))
}

fn namespace(name: &str) -> document::Namespace {
    let platform = "format: 1\nlisten: { public: { address: 127.0.0.1:0 } }\n";
    let team = format!(
        "namespace: {name}\ncontract: {{ reflection: it }}\n\
         upstreams: {{ it: {{ address: 127.0.0.1:1 }}, other: {{ address: 127.0.0.1:2 }} }}\n\
         defaults: {{ primary: it }}\nmethods: {{ t.S/*: {{}} }}\n"
    );
    let loaded = from_texts(platform, &[(&format!("{name}.yaml"), &team)]).unwrap();
    loaded.namespaces[0].0.clone()
}

fn rules() -> CacheRules {
    CacheRules {
        ttl: Duration::from_secs(3600),
        fields: None,
        per_principal: true,
        stale_if_error: Duration::ZERO,
        entry_bytes_max: CacheRules::ENTRY_BYTES,
    }
}

fn method(
    caches: &Caches,
    (space, name): (&str, &str),
    plans: &Plans,
    primary: &str,
    rules: CacheRules,
) -> MethodCache {
    let input = plans.contract().message_named("t.Note").unwrap();
    caches.method(&namespace(space), (name, input), plans, Some(primary), rules).ok().unwrap()
}

fn shared(caches: &Caches, quotas: &[(&str, u64)]) {
    caches.share(&PlatformLimits::default(), &quotas.iter().copied().collect());
}

/// One cache of one method.
fn one() -> (Caches, MethodCache) {
    let caches = Caches::new();
    let cache = method(&caches, ("a", "t.S/One"), &plans(0), "it", rules());
    shared(&caches, &[("a", QUOTA)]);
    (caches, cache)
}

fn land(cache: &MethodCache, lead: Lead, message: &[u8]) {
    let (empty, message) = (HeaderMap::new(), Bytes::copy_from_slice(message));
    cache.land(lead, &empty, &empty, &message, |_| {});
}

fn failed(code: Code) -> Failure {
    Failure::Said { status: Status::new(code, ""), trailers: HeaderMap::new() }
}

fn seat(cache: &MethodCache, question: &Question) -> (Seat, Option<Lead>) {
    match cache.ask(question) {
        Asked::Flight { seat, lead, .. } => (seat, lead),
        Asked::Kept(_) | Asked::Own => panic!("it is kept already"),
    }
}

fn flights(cache: &MethodCache) -> usize {
    cache.space.table().flights.len()
}

/// Every answer carries what it was made for, and whoever gets it looks (security C-1: model);
/// 40,000 questions, or a million with `TANDEM_LONG=1`.
#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is part of the result")]
fn security_c_1_no_answer_crosses_a_namespace_a_method_a_contract_an_upstream_or_a_principal() {
    let caches = Caches::new();
    let spaces = ["a", "b", "c"];
    let methods = ["t.S/One", "t.S/Two"];
    let contracts = [plans(0), plans(1)];
    let mut seed = 7_u64;
    let mut roll = |sides: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % sides
    };
    let (mut hits, mut misses) = (0, 0);
    let reloads = if std::env::var_os("TANDEM_LONG").is_some() { 5_000 } else { 200 };
    for _ in 0..reloads {
        // As a reload would: one of the settings of a method changes, or none.
        let (space, name) = (spaces[roll(3)], methods[roll(2)]);
        let (contract, upstream) = (roll(2), ["it", "other"][roll(2)]);
        let cache = method(&caches, (space, name), &contracts[contract], upstream, rules());
        shared(&caches, &spaces.map(|space| (space, QUOTA)));
        for _ in 0..200 {
            let principal = match roll(51) {
                0 => None,
                number => Some(format!("{}{}", "p".repeat(1 + number % 3), number)),
            };
            let (text, number) = (["", "p", "pp1"][roll(3)], roll(3) as u64);
            let mark =
                format!("{space} {name} {contract} {upstream} {principal:?} {text} {number}");
            let question = cache.question(&note(text, number), principal.as_deref()).unwrap();
            match cache.ask(&question) {
                Asked::Kept(kept) => {
                    assert_eq!(kept.message(), mark.as_bytes());
                    hits += 1;
                }
                Asked::Flight { lead: Some(lead), .. } => {
                    land(&cache, lead, mark.as_bytes());
                    misses += 1;
                }
                Asked::Flight { lead: None, .. } | Asked::Own => panic!("nobody else asks"),
            }
        }
    }
    println!("{} questions, {hits} answered from what was kept", hits + misses);
    assert_eq!(hits + misses, reloads * 200);
    assert!(hits > 1_000 && misses > 1_000, "{hits} {misses}");
}

/// All pairs of questions that differ in two things, one thing or none.
#[test]
fn security_fz_14_two_questions_have_one_key_only_if_they_are_one_question() {
    let caches = Caches::new();
    let mut asked = Vec::new();
    for (space, name, contract, upstream) in [
        ("a", "t.S/One", 0, "it"),
        ("b", "t.S/One", 0, "it"),
        ("c", "t.S/Two", 0, "it"),
        ("d", "t.S/One", 1, "it"),
        ("e", "t.S/One", 0, "other"),
    ] {
        let cache = method(&caches, (space, name), &plans(contract), upstream, rules());
        for principal in [None, Some(""), Some("a"), Some("ab")] {
            for (text, number) in [("", 0), ("a", 0), ("", 1), ("ab", 1)] {
                let question = cache.question(&note(text, number), principal).unwrap();
                let mut message = Vec::new();
                cache.message(&question, &mut message);
                asked.push(((space, principal, text, number), question.key, message));
            }
        }
    }
    for (index, (one, key, message)) in asked.iter().enumerate() {
        for (other, other_key, other_message) in &asked[index + 1..] {
            assert_ne!(key, other_key, "{one:?} {other:?}");
            // What the service is told is the question, and no more than it.
            let same = (one.2, one.3) == (other.2, other.3);
            assert_eq!(message == other_message, same, "{one:?} {other:?}");
        }
    }
}

#[test]
fn what_is_written_in_two_ways_or_has_more_in_it_than_is_known_is_one_question() {
    let (_caches, cache) = one();
    let key = |message: &[u8]| cache.question(message, None).map(|question| question.key);
    let plain = key(&note("a", 1)).unwrap();
    assert_eq!(key(b"\x10\x01\x0a\x01a").as_ref(), Some(&plain), "in another order");
    assert_eq!(key(b"\x0a\x01b\x0a\x01a\x10\x01").as_ref(), Some(&plain), "the last one counts");
    assert_eq!(key(b"\x0a\x01a\x10\x01\xc2\x3e\x01x").as_ref(), Some(&plain), "an unknown field");
    assert_eq!(key(b"\x0a\x09a"), None, "no message");
    let longest = KEY_BYTES_MOST - GENERATION - 1 - 1 - 2 - 1;
    assert!(key(&note(&"x".repeat(longest), 0)).is_some());
    assert_eq!(key(&note(&"x".repeat(longest + 1), 0)), None);
}

#[test]
fn chosen_fields_are_all_that_is_asked_and_all_that_counts() {
    let caches = Caches::new();
    let rules = CacheRules { fields: Some(vec!["number".into()]), ..rules() };
    let cache = method(&caches, ("a", "t.S/One"), &plans(0), "it", rules);
    let question = |text, number| cache.question(&note(text, number), None).unwrap();
    assert_eq!(question("a", 1).key, question("b", 1).key);
    assert_ne!(question("a", 1).key, question("a", 2).key);
    let mut message = Vec::new();
    cache.message(&question("a", 1), &mut message);
    assert_eq!(message, b"\x10\x01");
}

#[test]
fn security_c_6_a_change_and_its_rollback_find_nothing_of_before_and_a_reload_finds_all() {
    let caches = Caches::new();
    let contracts = [plans(0), plans(1)];
    let all = rules();
    let per_nobody = CacheRules { per_principal: false, ..rules() };
    let few = CacheRules { fields: Some(vec!["text".into()]), ..rules() };
    let longer = CacheRules { ttl: Duration::from_secs(7200), ..rules() };
    let of = |contract: usize, upstream: &str, rules: &CacheRules| {
        let cache =
            method(&caches, ("a", "t.S/One"), &contracts[contract], upstream, rules.clone());
        shared(&caches, &[("a", QUOTA)]);
        cache
    };
    for (contract, upstream, rules, same) in [
        (1, "it", &all, false),
        (0, "other", &all, false),
        (0, "it", &per_nobody, false),
        (0, "it", &few, false),
        (0, "it", &all, true),
        (0, "it", &longer, true),
    ] {
        let before = of(0, "it", &all);
        let question = before.question(&note("a", 1), None).unwrap();
        if let Asked::Flight { lead: Some(lead), .. } = before.ask(&question) {
            land(&before, lead, b"old");
        }
        let changed = of(contract, upstream, rules);
        let asked = changed.question(&note("a", 1), None).unwrap();
        assert_eq!(matches!(changed.ask(&asked), Asked::Kept(_)), same, "{upstream} {rules:?}");
        let back = of(0, "it", &all);
        let asked = back.question(&note("a", 1), None).unwrap();
        assert_eq!(matches!(back.ask(&asked), Asked::Kept(_)), same, "back from {rules:?}");
    }
}

#[tokio::test]
async fn a_purge_finds_what_is_kept_and_what_is_under_way() {
    let (caches, cache) = one();
    let question = cache.question(&note("a", 0), None).unwrap();
    let (_, lead) = seat(&cache, &question);
    land(&cache, lead.unwrap(), b"old");
    let late = cache.question(&note("late", 0), None).unwrap();
    let (mut waits, lead) = seat(&cache, &late);
    assert_eq!(caches.purge("nobody", None), None);
    assert_eq!(caches.purge("a", Some("t.S/None")), None);
    let purged = caches.purge("a", Some("t.S/One")).unwrap();
    assert_eq!(purged.entries, 1);
    assert!(purged.bytes > 400, "{purged:?}");
    let question = cache.question(&note("a", 0), None).unwrap();
    assert!(matches!(cache.ask(&question), Asked::Flight { .. }));
    // Who waits has the answer that he waits for; nobody finds it afterwards.
    land(&cache, lead.unwrap(), b"late");
    assert!(matches!(waits.next(false).await, Next::Landed(Landed::Answer(_))));
    let late = cache.question(&note("late", 0), None).unwrap();
    assert!(matches!(cache.ask(&late), Asked::Flight { .. }));
}

#[test]
fn security_t_6_a_namespace_has_its_part_and_nobody_elses() {
    let caches = Caches::new();
    for space in ["a", "b", "c"] {
        method(&caches, (space, "t.S/One"), &plans(0), "it", rules());
    }
    let limits = PlatformLimits { buffer_bytes: Some(600), ..PlatformLimits::default() };
    let most = |quotas: &[(&str, u64)]| -> Vec<usize> {
        caches.share(&limits, &quotas.iter().copied().collect::<BTreeMap<_, _>>());
        caches.figures().iter().map(|figures| figures.bytes_max).collect()
    };
    // Half of the buffers: 300 bytes.
    assert_eq!(most(&[("a", 100), ("b", 150), ("c", 50)]), [100, 150, 50]);
    assert_eq!(most(&[("a", 100), ("b", 150), ("c", 51)]), [99, 149, 50]);
    assert_eq!(most(&[("a", 1 << 40), ("b", 1 << 40)]), [150, 150, 0]);
    assert_eq!(most(&[("b", 1)]), [0, 1, 0]);
    assert_eq!(most(&[]), [0, 0, 0]);
}

#[tokio::test]
async fn security_c_4_a_lead_that_is_lost_is_taken_over_by_one_of_those_who_wait_once() {
    let (_caches, cache) = one();
    let question = cache.question(&note("a", 0), None).unwrap();
    let (_his, lead) = seat(&cache, &question);
    let mut waiting: Vec<Seat> = (0..10).map(|_| seat(&cache, &question).0).collect();
    drop(lead);
    let mut leads = Vec::new();
    for seat in &mut waiting {
        tokio::select! {
            biased;
            next = seat.next(false) => match next {
                Next::Lead(lead) => leads.push(lead),
                Next::Landed(_) => panic!("somebody is at it"),
            },
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(leads.len(), 1);
    land(&cache, leads.pop().unwrap(), b"answer");
    for seat in &mut waiting {
        assert!(matches!(seat.next(false).await, Next::Landed(Landed::Answer(_))));
    }
    assert_eq!(flights(&cache), 0);
}

#[tokio::test]
async fn security_c_4_a_second_failure_is_everybodys() {
    let (_caches, cache) = one();
    let question = cache.question(&note("a", 0), None).unwrap();
    let (mut his, lead) = seat(&cache, &question);
    let (mut other, none) = seat(&cache, &question);
    assert!(none.is_none());
    cache.fail(lead.unwrap(), failed(Code::Unavailable));
    let Next::Lead(lead) = other.next(false).await else { panic!("he takes over") };
    cache.fail(lead, failed(Code::Internal));
    for seat in [&mut his, &mut other] {
        let Next::Landed(Landed::Failed(failure)) = seat.next(true).await else { panic!("told") };
        assert_eq!(failure.said().0.code, Code::Internal);
    }
    assert_eq!(flights(&cache), 0);
}

#[tokio::test]
async fn whose_call_it_was_has_his_failure_when_nobody_else_waits_any_longer() {
    let (_caches, cache) = one();
    let question = cache.question(&note("a", 0), None).unwrap();
    for others in 0..3 {
        let (mut his, lead) = seat(&cache, &question);
        let waiting: Vec<Seat> = (0..others).map(|_| seat(&cache, &question).0).collect();
        cache.fail(lead.unwrap(), failed(Code::Unavailable));
        let left = async {
            tokio::task::yield_now().await;
            for seat in waiting {
                drop(seat);
                tokio::task::yield_now().await;
            }
        };
        let (next, ()) = tokio::join!(his.next(true), left);
        let Next::Landed(Landed::Failed(failure)) = next else { panic!("it is his failure") };
        assert_eq!(failure.said().0.code, Code::Unavailable);
        drop(his);
        assert_eq!(flights(&cache), 0);
    }
}

#[tokio::test]
async fn a_failure_about_the_question_is_told_to_all_at_once() {
    let (_caches, cache) = one();
    let question = cache.question(&note("a", 0), None).unwrap();
    let (_his, lead) = seat(&cache, &question);
    let (mut other, _) = seat(&cache, &question);
    cache.fail(lead.unwrap(), failed(Code::NotFound));
    let Next::Landed(Landed::Failed(failure)) = other.next(false).await else { panic!("told") };
    assert_eq!(failure.said().0.code, Code::NotFound);
    // It is not kept.
    assert!(seat(&cache, &question).1.is_some());
}

#[tokio::test(start_paused = true)]
async fn security_li_28_a_slow_lead_is_doubled_once_by_who_waits_and_never_by_its_own_caller() {
    let (_caches, cache) = one();
    let question = cache.question(&note("a", 0), None).unwrap();
    let (mut his, slow) = seat(&cache, &question);
    let (mut other, _) = seat(&cache, &question);
    let (mut third, _) = seat(&cache, &question);
    let began = Instant::now();
    let Next::Lead(second) = other.next(false).await else { panic!("he takes over") };
    assert_eq!(began.elapsed(), flight::PATIENCE);
    for (seat, leads) in [(&mut his, true), (&mut third, false)] {
        let waited = tokio::time::timeout(Duration::from_secs(60), seat.next(leads)).await;
        assert!(waited.is_err(), "nobody else does");
    }
    // The first answer counts, whichever call brings it; the other call's failure is nobody's.
    land(&cache, second, b"answer");
    cache.fail(slow.unwrap(), failed(Code::Unavailable));
    for seat in [&mut his, &mut third] {
        assert!(matches!(seat.next(true).await, Next::Landed(Landed::Answer(_))));
    }
    assert_eq!(flights(&cache), 0);
}

#[tokio::test]
async fn nothing_is_left_of_a_flight_that_everybody_has_left() {
    let (_caches, cache) = one();
    let question = cache.question(&note("a", 0), None).unwrap();
    // The lead is lost first, then those who wait go; and the other way round.
    let (his, lead) = seat(&cache, &question);
    let (other, _) = seat(&cache, &question);
    drop(lead);
    assert_eq!(flights(&cache), 1);
    drop((his, other));
    assert_eq!(flights(&cache), 0);
    let (his, lead) = seat(&cache, &question);
    drop(his);
    assert_eq!(flights(&cache), 1, "the call goes on");
    drop(lead);
    assert_eq!(flights(&cache), 0);
    // A lead that lands without anybody waiting has its answer kept.
    let (his, lead) = seat(&cache, &question);
    drop(his);
    land(&cache, lead.unwrap(), b"answer");
    assert!(matches!(cache.ask(&question), Asked::Kept(_)));
}

#[tokio::test]
async fn an_answer_of_ones_own_is_not_told_to_others_and_the_next_ones_do_not_wait() {
    let (_caches, cache) = one();
    let question = cache.question(&note("a", 0), None).unwrap();
    let (mut seat, lead) = seat(&cache, &question);
    let mut head = HeaderMap::new();
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut mine = None;
    let message = Bytes::from_static(b"secret");
    cache.land(lead.unwrap(), &head, &HeaderMap::new(), &message, |kept| mine = Some(kept));
    assert_eq!(mine.unwrap().message(), "secret");
    assert!(matches!(seat.next(false).await, Next::Landed(Landed::Own)));
    assert!(matches!(cache.ask(&question), Asked::Own));
    // What is remembered of it is no answer.
    let bytes = cache.space.table().store.figures().bytes;
    assert!(bytes < 400, "{bytes}");
}

#[tokio::test]
async fn who_asks_and_leaves_has_no_more_than_so_many_calls_under_way() {
    let (_caches, cache) = one();
    let question = |number: usize| cache.question(&note(&number.to_string(), 0), None).unwrap();
    let mut leads: Vec<Lead> =
        (0..FLIGHTS_MOST).filter_map(|number| seat(&cache, &question(number)).1).collect();
    assert_eq!((leads.len(), flights(&cache)), (FLIGHTS_MOST, FLIGHTS_MOST));
    assert!(matches!(cache.ask(&question(FLIGHTS_MOST)), Asked::Own));
    // Who asks what is under way waits for it as ever; one that ends makes room.
    assert!(seat(&cache, &question(0)).1.is_none());
    land(&cache, leads.pop().unwrap(), b"answer");
    assert!(seat(&cache, &question(FLIGHTS_MOST)).1.is_some());
}

#[test]
fn an_entry_at_its_limit_is_kept_and_one_byte_more_is_told_and_not_kept() {
    let caches = Caches::new();
    let limit = 2_048;
    let rules = CacheRules { entry_bytes_max: limit, ..rules() };
    let cache = method(&caches, ("a", "t.S/One"), &plans(0), "it", rules);
    shared(&caches, &[("a", QUOTA)]);
    let fits = limit as usize - size_of::<Kept>();
    for (text, bytes, kept) in [("a", fits, true), ("b", fits + 1, false)] {
        let question = cache.question(&note(text, 0), None).unwrap();
        let (_seat, lead) = seat(&cache, &question);
        land(&cache, lead.unwrap(), &vec![7; bytes]);
        assert_eq!(matches!(cache.ask(&question), Asked::Kept(_)), kept, "{bytes}");
    }
}

#[test]
fn what_is_kept_shares_no_buffer_with_what_came() {
    let (_caches, cache) = one();
    let question = cache.question(&note("a", 0), None).unwrap();
    let (_seat, lead) = seat(&cache, &question);
    let large = Bytes::from(vec![7; 1 << 16]);
    let empty = HeaderMap::new();
    cache.land(lead.unwrap(), &empty, &empty, &large.slice(..10), |_| {});
    assert!(large.is_unique(), "nobody else holds the buffer");
}
