//! Pauses of a side, seen from outside (compare A-12).
//!
//! A probe of an empty method goes out on time, up to a thousand times a second, on a connection
//! of its own, whether or not the last one came back. Both sides are asked the same, whatever
//! their runtimes say of themselves. What the probing costs is printed beside what it found.
//!
//! A probe that the generator itself sent late says nothing of the side; how many there were is
//! told.
//!
//! Not here: what a pause is (`tandem_judge::cost::pauses`).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tandem_judge::cost::{Pauses, pauses};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::environment::own_cpu;
use crate::load::{Call, Clock, Outcome, Schedule, Sender};

/// Probes a second, at most.
pub const RATE_MOST: f64 = 1_000.0;

/// A probe sent later than this is one that the generator kept waiting.
const LATE: Duration = Duration::from_millis(1);

/// What probing for some time found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hiccups {
    /// From the intended moment, in the order of the probes; one without an answer is as long as
    /// its deadline.
    pub latencies_us: Vec<u64>,
    pub seconds: f64,
    /// Probes that nobody answered, or not with OK.
    pub failed: u64,
    /// Probes that were sent more than a millisecond late.
    pub sent_late: u64,
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
    let seen = Rc::new(RefCell::new(vec![deadline_us; schedule.len()]));
    let (failed, sent_late) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (cpu, spun) = (own_cpu::of_thread(), clock.spun());
    let start = clock.now();
    let mut probes = JoinSet::new();
    for (place, at) in schedule.moments().enumerate() {
        let intended = start + at;
        clock.until(intended).await;
        let (sender, clock, call) = (Rc::clone(sender), Rc::clone(clock), call.clone());
        let (seen, failed, sent_late) =
            (Rc::clone(&seen), Rc::clone(&failed), Rc::clone(&sent_late));
        probes.spawn_local(async move {
            sent_late.set(sent_late.get() + u64::from(clock.now() > intended + LATE));
            let ended = timeout(deadline, sender.send(place as u64, &call)).await;
            match ended.map(|ended| ended.outcome) {
                Ok(Outcome::Answered(0)) => {
                    let took = clock.now().saturating_sub(intended);
                    seen.borrow_mut()[place] = took.as_micros() as u64;
                }
                Ok(Outcome::Answered(_) | Outcome::Lost(_)) | Err(_) => {
                    failed.set(failed.get() + 1)
                }
            }
        });
        while let Some(joined) = probes.try_join_next() {
            expect_end(joined);
        }
    }
    clock.until(start + length).await;
    while let Some(joined) = probes.join_next().await {
        expect_end(joined);
    }
    let worked = own_cpu::of_thread().saturating_sub(cpu);
    let spun = clock.spun().saturating_sub(spun);
    let (failed, sent_late) = (failed.get(), sent_late.get());
    Hiccups {
        latencies_us: seen.take(),
        seconds: length.as_secs_f64(),
        failed,
        sent_late,
        own_cpu_s: worked.saturating_sub(spun).as_secs_f64(),
    }
}

fn expect_end(joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
