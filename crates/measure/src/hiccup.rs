//! Pauses of a side, seen from outside (compare A-12).
//!
//! A probe of an empty method goes out on time, up to a thousand times a second, on a connection
//! of its own, whether or not the last one came back. Both sides are asked the same, whatever
//! their runtimes say of themselves. What the probing costs is printed beside what it found.
//!
//! A probe that met a stall of the generator says nothing of the side: it is left out, and how many
//! there were is told.
//!
//! Not here: what a pause is (`tandem_judge::cost::pauses`).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tandem_judge::cost::{Pauses, pauses};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::environment::own_cpu;
use crate::load::{Call, Clock, Outcome, Schedule, Sender, drain, reap};

/// Probes a second, at most.
pub const RATE_MOST: f64 = 1_000.0;

/// What probing for some time found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hiccups {
    /// From the intended moment, in the order of the probes; one without an answer is as long as
    /// its deadline. Those set aside are not among them.
    pub latencies_us: Vec<u64>,
    /// What these stand for.
    pub seconds: f64,
    /// Probes that nobody answered, or not with OK.
    pub failed: u64,
    /// Probes that met a time in which the generator's thread did not run.
    pub set_aside: u64,
    /// CPU seconds of the generator's thread meanwhile, waiting awake left out. Other work of the
    /// thread is in it.
    pub own_cpu_s: f64,
}

impl Hiccups {
    /// The pauses in it; `None` without probes.
    pub fn pauses(&self) -> Option<Pauses> {
        pauses(&self.latencies_us, self.seconds)
    }
}

/// Sends `call` at `rate` for `length`, and waits for the last answer.
///
/// # Panics
/// Outside a local loop, and when the sender does.
pub async fn probe<S: Sender, C: Clock>(
    sender: &Rc<S>,
    clock: &Rc<C>,
    call: &Call,
    (rate, length): (f64, Duration),
    deadline: Duration,
) -> Hiccups {
    let schedule = Schedule::uniform(rate.min(RATE_MOST), length);
    let deadline_us = deadline.as_micros() as u64;
    let seen = Rc::new(RefCell::new(vec![Probed::Open; schedule.len()]));
    let (cpu, spun) = (own_cpu::of_thread(), clock.spun());
    clock.begin();
    let start = clock.now();
    let mut probes = JoinSet::new();
    for (place, at) in schedule.moments().enumerate() {
        let intended = start + at;
        clock.until(intended).await;
        let (sender, clock, call) = (Rc::clone(sender), Rc::clone(clock), call.clone());
        let seen = Rc::clone(&seen);
        probes.spawn_local(async move {
            let sent = clock.now();
            let ended = timeout(deadline, sender.send(place as u64, &call)).await;
            let is_ok = ended.is_ok_and(|ended| ended.outcome == Outcome::Answered(0));
            seen.borrow_mut()[place] = match is_ok {
                true => Probed::Answered { intended, sent, ended: clock.now() },
                false => Probed::Failed,
            };
        });
        reap(&mut probes);
    }
    clock.until(start + length).await;
    drain(&**clock, &mut probes).await;
    clock.look();
    let worked = own_cpu::of_thread().saturating_sub(cpu);
    let spun = clock.spun().saturating_sub(spun);
    let seen = seen.take();
    let (mut latencies_us, mut failed, mut set_aside) = (Vec::with_capacity(seen.len()), 0, 0);
    for probed in &seen {
        match *probed {
            Probed::Answered { intended, sent, ended }
                if clock.met_stall(intended, sent, ended) =>
            {
                set_aside += 1;
            }
            Probed::Answered { intended, sent: _, ended } => {
                latencies_us.push(ended.saturating_sub(intended).as_micros() as u64);
            }
            Probed::Failed | Probed::Open => {
                failed += 1;
                latencies_us.push(deadline_us);
            }
        }
    }
    let kept = latencies_us.len() as f64 / (seen.len() as f64).max(1.0);
    Hiccups {
        latencies_us,
        seconds: length.as_secs_f64() * kept,
        failed,
        set_aside,
        own_cpu_s: worked.saturating_sub(spun).as_secs_f64(),
    }
}

/// What became of a probe.
#[derive(Debug, Clone, Copy)]
enum Probed {
    Open,
    Answered { intended: Duration, sent: Duration, ended: Duration },
    Failed,
}
