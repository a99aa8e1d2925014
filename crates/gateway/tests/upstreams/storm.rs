//! Faults under load: how many calls they cost, how soon all is well again, how often a call is
//! sent.
//!
//! Eight callers call a method that may be repeated, each every 10 ms, before two endpoints or one
//! name. A fault strikes, lasts for some hundred calls, and is mended. Each case prints one line.
//! What is asserted is what the rules promise: every call ends with a code of its fault in its
//! time, a fault of one endpoint costs the calls that were on it and not the service, attempts
//! stay within their budget, and the service is well within five seconds of the repair
//! (security U-1 to U-4).
//!
//! Not here: faults one by one and stage by stage (`faults`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_gateway::tasks::Side;
use tandem_gateway::upstream::Timing;
use tandem_testkit::client::{grpc, note};
use tandem_testkit::{FaultProxy, Faults, TestGateway, gateway};
use tokio::time::{Instant, timeout};

use super::echo;
use super::names::Zone;

const CALLERS: usize = 8;
const PACE: Duration = Duration::from_millis(10);
/// Of each call, as its caller says.
const DEADLINE: Duration = Duration::from_secs(1);
/// What a caller waits for an answer that does not come.
const HANGS: Duration = Duration::from_secs(10);
/// Good answers in a row after which the service is called well.
const WELL: usize = 50;

/// Callers, and what they were told.
struct Load {
    told: Arc<Told>,
    side: Side,
}

#[derive(Default)]
struct Told {
    stop: AtomicBool,
    calls: AtomicUsize,
    good_in_a_row: AtomicUsize,
    failed: Mutex<BTreeMap<String, usize>>,
    slowest: Mutex<Duration>,
}

impl Told {
    fn note(&self, status: &str, took: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        *slowest = took.max(*slowest);
        if status == "0" {
            self.good_in_a_row.fetch_add(1, Ordering::Relaxed);
        } else {
            self.good_in_a_row.store(0, Ordering::Relaxed);
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            *failed.entry(status.to_owned()).or_default() += 1;
        }
    }

    fn failed(&self) -> BTreeMap<String, usize> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Load {
    fn start(gateway: &TestGateway) -> Load {
        let load =
            Load { told: Arc::default(), side: Side::new(tokio::runtime::Handle::current()) };
        let public = gateway.public;
        for _ in 0..CALLERS {
            let told = Arc::clone(&load.told);
            load.side.start(async move {
                let mut pace = tokio::time::interval(PACE);
                pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                while !told.stop.load(Ordering::Relaxed) {
                    pace.tick().await;
                    let began = Instant::now();
                    let message = note("x");
                    let messages = [&message[..]];
                    let timeout_header = [("grpc-timeout", "1S")];
                    let calling = grpc(public, "Read", &timeout_header, &messages);
                    let status = match timeout(HANGS, calling).await {
                        Ok(answer) => answer.status().to_owned(),
                        Err(_) => "hangs".to_owned(),
                    };
                    told.note(&status, began.elapsed());
                }
            });
        }
        load
    }

    /// Waits until `more` calls have ended since now.
    async fn calls(&self, more: usize) {
        let wanted = self.told.calls.load(Ordering::Relaxed) + more;
        let ended = async {
            while self.told.calls.load(Ordering::Relaxed) < wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(60), ended).await.expect("calls end");
    }

    /// Waits until [`WELL`] calls in a row were answered well; from now to the first of them.
    async fn well(&self) -> Duration {
        let began = Instant::now();
        self.told.good_in_a_row.store(0, Ordering::Relaxed);
        let mut first_good = None;
        let well = async {
            loop {
                match self.told.good_in_a_row.load(Ordering::Relaxed) {
                    0 => first_good = None,
                    WELL.. => return,
                    _ => {
                        first_good.get_or_insert_with(|| began.elapsed());
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(30), well).await.expect("the service is well again");
        first_good.unwrap_or_default()
    }

    async fn end(self) -> Arc<Told> {
        self.told.stop.store(true, Ordering::Relaxed);
        self.side.emptied().await;
        self.told
    }
}

/// What a case came to.
struct Outcome {
    calls: usize,
    failed: BTreeMap<String, usize>,
    recovery: Duration,
}

impl Outcome {
    fn failures(&self) -> usize {
        self.failed.values().sum()
    }
}

/// Runs the load: 100 calls in peace, then `strike` until it is done, then `mend`; prints a line
/// and checks what holds for every fault.
async fn storm(
    name: &str,
    gateway: &TestGateway,
    strike: impl AsyncFnOnce(&Load),
    mend: impl FnOnce(),
) -> Outcome {
    let load = Load::start(gateway);
    let began = Instant::now();
    load.calls(100).await;
    assert_eq!(load.told.failed(), BTreeMap::new(), "{name}: all is well before");
    strike(&load).await;
    mend();
    let recovery = load.well().await;
    let told = load.end().await;
    let seconds = began.elapsed().as_secs_f64();
    let calls = told.calls.load(Ordering::Relaxed);
    let failed = told.failed();
    let slowest = *told.slowest.lock().unwrap_or_else(PoisonError::into_inner);
    let attempts = gateway.upstream().attempts;
    let amplification = attempts as f64 / calls as f64;
    eprintln!(
        "{name:<24} {calls:>5} calls, failed {failed:?}, slowest {slowest:.0?}, \
         {amplification:.3} attempts a call, well {recovery:.0?} after the repair"
    );
    for code in failed.keys() {
        assert!(["2", "4", "13", "14"].contains(&&**code), "{name}: {failed:?}");
    }
    assert!(recovery < Duration::from_secs(5), "{name}: {recovery:?}");
    // The bucket begins with one second's worth.
    let most = 1.2 * calls as f64 + 10.0 * (seconds + 1.0);
    assert!(attempts as f64 <= most, "{name}: {attempts} attempts, {most} are allowed");
    assert!(slowest < DEADLINE + Duration::from_secs(4), "{name}: {slowest:?}");
    Outcome { calls, failed, recovery }
}

/// Two endpoints behind proxies, and their gateway.
struct Two {
    first: FaultProxy,
    second: FaultProxy,
    gateway: TestGateway,
    _backends: [tandem_testkit::Backend; 2],
}

async fn two() -> Two {
    let backends = [echo(), echo()];
    let first = FaultProxy::start(backends[0].address);
    let second = FaultProxy::start(backends[1].address);
    let rules = "retries: { codes: [UNAVAILABLE, INTERNAL], attempts: 2, attempt: 200ms }";
    let setup = gateway(first.address).addresses([first.address, second.address]).rules(rules);
    let gateway = setup.one_thread().start().await;
    Two { first, second, gateway, _backends: backends }
}

fn refuse() -> Faults {
    Faults { refuse: true, ..Faults::default() }
}

fn paused() -> Faults {
    Faults { half_open: true, ..Faults::default() }
}

fn garbage() -> Faults {
    Faults { garbage_after: Some(0), ..Faults::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_1_a_fault_of_one_endpoint_costs_what_was_on_it() {
    for (name, faults) in [("killed", refuse()), ("paused", paused()), ("garbage", garbage())] {
        let two = two().await;
        let strike = async |load: &Load| {
            two.first.set(faults);
            if name == "killed" {
                two.first.reset_all();
            }
            load.calls(400).await;
        };
        let name = format!("one of two {name}");
        let outcome = storm(&name, &two.gateway, strike, || two.first.heal()).await;
        // One call of each caller was on it, and five in a row take an endpoint out.
        let most = CALLERS + 5;
        assert!(outcome.failures() <= most, "{name}: {:?}", outcome.failed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_1_resets_of_one_endpoint_again_and_again_cost_what_was_on_it() {
    let two = two().await;
    let mut resets = 0;
    let strike = async |load: &Load| {
        for _ in 0..10 {
            two.first.reset_all();
            resets += 1;
            load.calls(40).await;
        }
    };
    let outcome = storm("one of two reset", &two.gateway, strike, || two.first.heal()).await;
    // A reset takes the calls that were under way on one of two; they are sent again once.
    assert!(outcome.failures() <= resets, "{:?} after {resets} resets", outcome.failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_4_a_fault_of_all_endpoints_is_told_and_ends_with_its_cause() {
    for (name, faults) in [("killed", refuse()), ("paused", paused()), ("garbage", garbage())] {
        let two = two().await;
        let strike = async |load: &Load| {
            for proxy in [&two.first, &two.second] {
                proxy.set(faults.clone());
                if name == "killed" {
                    proxy.reset_all();
                }
            }
            load.calls(if name == "paused" { 60 } else { 400 }).await;
        };
        let mend = || {
            two.first.heal();
            two.second.heal();
        };
        let name = format!("both {name}");
        let outcome = storm(&name, &two.gateway, strike, mend).await;
        assert!(outcome.failures() > 0, "{name}: it was one");
        assert!(outcome.calls > outcome.failures(), "{name}");
        assert!(outcome.recovery > Duration::ZERO, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_2_a_name_that_leads_elsewhere_under_load_costs_no_call() {
    let (old, new) = (echo(), echo());
    let zone = Zone::of(&[old.address]);
    let timing = Timing { resolve_every: Duration::from_millis(30), ..Timing::default() };
    let setup = gateway(old.address).addresses(["dns:notes.test:50051"]);
    let gateway = setup.names(zone.names()).timing(timing).one_thread().start().await;
    let strike = async |load: &Load| {
        for round in 0..10 {
            let at = if round % 2 == 0 { &new } else { &old };
            zone.set(&[at.address]);
            let before = at.calls();
            gateway.until(|_| at.calls() > before).await;
            load.calls(20).await;
        }
    };
    let outcome = storm("name changed ten times", &gateway, strike, || ()).await;
    assert_eq!(outcome.failed, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_2_a_host_that_dies_before_its_name_changes_is_left_for_the_new_one() {
    let (old, new) = (echo(), echo());
    let dying = FaultProxy::start(old.address);
    let zone = Zone::of(&[dying.address]);
    let timing = Timing { resolve_every: Duration::from_millis(30), ..Timing::default() };
    let setup = gateway(old.address).addresses(["dns:notes.test:50051"]);
    let gateway = setup.names(zone.names()).timing(timing).one_thread().start().await;
    let strike = async |load: &Load| {
        dying.set(refuse());
        dying.reset_all();
        load.calls(100).await;
    };
    let mend = || zone.set(&[new.address]);
    let outcome = storm("dead, then renamed", &gateway, strike, mend).await;
    assert!(outcome.failures() > 0, "it was away");
}
