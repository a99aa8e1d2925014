//! One block of load on one side.
//!
//! The pacer is the block itself: slot after slot it waits for the moment and starts a task. The
//! tasks wait for their answers and keep their times; the block ends when the last of them has,
//! which the deadline bounds. So between two blocks nothing is in flight.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::pace::Clock;
use super::record::{Moments, Offered, Recorder};
use super::{Call, Ended, Schedule, Sender};
use crate::environment::{Steal, own_cpu};

/// Calls under way at once, at most (compare L-3).
pub const IN_FLIGHT_MOST: usize = 20_000;

/// Between the call of [`offer`] and the start of its schedule: the first slots are not late.
const LEAD: Duration = Duration::from_millis(2);
/// Calls started one after another before their tasks run. A pacer that is behind has always
/// another slot due, and would never let go.
const STARTED_AT_ONCE: u32 = 8;
/// Between two looks at what has ended, when nothing more is to be sent.
const LOOK_LEAST: Duration = Duration::from_micros(20);
/// Looks at how many calls are under way, over the schedule.
const LOOKS: u32 = 50;

/// What a block offers.
#[derive(Debug, Clone)]
pub struct Offer {
    pub schedule: Schedule,
    /// Slot k sends the call k + `first`, from the beginning again after the last.
    pub calls: Rc<[Call]>,
    /// The number of the first call in its sequence. Blocks that belong together have the same,
    /// so that both sides are sent the same messages.
    pub first: u64,
    /// How long after its sending a call is given up.
    pub deadline: Duration,
    /// [`IN_FLIGHT_MOST`], unless a test says otherwise.
    pub in_flight_most: usize,
}

/// Sends what `offer` says and waits until nothing is in flight.
///
/// # Panics
/// Outside a local loop ([`on_own_thread`](super::on_own_thread)), without calls to send, and
/// when the sender does.
pub async fn offer<S: Sender, C: Clock>(
    sender: &Rc<S>,
    clock: &Rc<C>,
    recorder: &Rc<RefCell<Recorder>>,
    offer: &Offer,
) -> Offered {
    assert!(!offer.calls.is_empty(), "a block has calls to send");
    let carrier = Rc::new(Carrier {
        sender: Rc::clone(sender),
        clock: Rc::clone(clock),
        recorder: Rc::clone(recorder),
        deadline: offer.deadline,
    });
    let mut block = Pacing::begin(clock, recorder, offer.schedule.length(), offer.in_flight_most);
    for (slot, at) in offer.schedule.moments().enumerate() {
        let intended = block.start + at;
        block.wait(intended).await;
        let number = offer.first.wrapping_add(slot as u64);
        let (carrier, calls) = (Rc::clone(&carrier), Rc::clone(&offer.calls));
        let carried = async move {
            let call = &calls[(number % calls.len() as u64) as usize];
            carrier.carry(number, call, intended, intended).await;
        };
        block.start_task(1, carried).await;
    }
    block.end().await
}

/// What carries the calls of a block.
pub(super) struct Carrier<S, C> {
    pub(super) sender: Rc<S>,
    pub(super) clock: Rc<C>,
    pub(super) recorder: Rc<RefCell<Recorder>>,
    pub(super) deadline: Duration,
}

impl<S: Sender, C: Clock> Carrier<S, C> {
    /// Sends a call now and keeps its times; `None` when the deadline passed first. `possible` is
    /// when it could have been sent.
    pub(super) async fn carry(
        &self,
        number: u64,
        call: &Call,
        intended: Duration,
        possible: Duration,
    ) -> Option<Ended> {
        let sent = self.clock.now();
        let ended = timeout(self.deadline, self.sender.send(number, call)).await;
        let moments = Moments { intended, possible, sent, ended: self.clock.now() };
        let mut recorder = self.recorder.borrow_mut();
        match ended {
            Ok(ended) => {
                let moments =
                    Moments { ended: moments.ended.saturating_sub(ended.quiet), ..moments };
                recorder.ended(call.method, ended.outcome, ended.answer_bytes, &moments);
                Some(ended)
            }
            Err(_elapsed) => {
                recorder.timed_out(call.method, self.deadline, &moments);
                None
            }
        }
    }
}

/// A block under way: its tasks, and what is read beside them.
pub(super) struct Pacing<C> {
    clock: Rc<C>,
    recorder: Rc<RefCell<Recorder>>,
    pub(super) start: Duration,
    length: Duration,
    tasks: JoinSet<()>,
    in_flight_most: usize,
    scheduled: u64,
    unsent: u64,
    looks: Vec<u64>,
    started_at_once: u32,
    cpu: Duration,
    spun: Duration,
    steal: Option<Steal>,
    steal_halfway: Option<Steal>,
}

impl<C: Clock> Pacing<C> {
    pub(super) fn begin(
        clock: &Rc<C>,
        recorder: &Rc<RefCell<Recorder>>,
        length: Duration,
        in_flight_most: usize,
    ) -> Pacing<C> {
        clock.begin();
        Pacing {
            clock: Rc::clone(clock),
            recorder: Rc::clone(recorder),
            start: clock.now() + LEAD,
            length,
            tasks: JoinSet::new(),
            in_flight_most,
            scheduled: 0,
            unsent: 0,
            looks: Vec::with_capacity(LOOKS as usize),
            started_at_once: 0,
            cpu: own_cpu::of_thread(),
            spun: clock.spun(),
            steal: Steal::read().ok(),
            steal_halfway: None,
        }
    }

    /// Waits for a moment of the schedule.
    pub(super) async fn wait(&mut self, moment: Duration) {
        if self.clock.now() < moment {
            self.started_at_once = 0;
            self.clock.until(moment).await;
        }
        self.settle();
        self.look(moment);
        // Some 50 µs, once, for a reading that no other thread has to make.
        if self.steal_halfway.is_none() && moment > self.start + self.length / 2 {
            self.steal_halfway = Steal::read().ok();
        }
    }

    /// Starts what a slot is for, `calls` of them, unless too much is under way.
    pub(super) async fn start_task(
        &mut self,
        calls: u64,
        task: impl Future<Output = ()> + 'static,
    ) -> bool {
        self.scheduled += calls;
        if self.tasks.len() >= self.in_flight_most {
            self.unsent += calls;
            return false;
        }
        self.tasks.spawn_local(task);
        self.let_run().await;
        true
    }

    /// Lets tasks run now and then, also when the pacer is behind and never waits.
    pub(super) async fn let_run(&mut self) {
        self.started_at_once += 1;
        if self.started_at_once.is_multiple_of(STARTED_AT_ONCE) {
            tokio::task::yield_now().await;
        }
    }

    /// Notes how many are under way, as often as it has been time to since the last look.
    fn look(&mut self, moment: Duration) {
        let due = |looks: usize| self.start + self.length * (looks as u32 + 1) / (LOOKS + 1);
        while self.looks.len() < LOOKS as usize && due(self.looks.len()) <= moment {
            self.looks.push(self.tasks.len() as u64);
        }
    }

    /// Takes in what has ended until now, for by now it is known which of it met a stall.
    fn settle(&mut self) {
        reap(&mut self.tasks);
        self.clock.look();
        let met =
            |moments: &Moments| self.clock.met_stall(moments.intended, moments.sent, moments.ended);
        self.recorder.borrow_mut().settle(met);
    }

    /// Waits for the end of the block and of all tasks.
    pub(super) async fn end(mut self) -> Offered {
        let end = self.start + self.length;
        self.wait(end).await;
        drain(&*self.clock, &mut self.tasks).await;
        self.settle();
        let now = self.clock.now();
        let worked = own_cpu::of_thread().saturating_sub(self.cpu);
        let worked = worked.saturating_sub(self.clock.spun().saturating_sub(self.spun));
        let since = (now + LEAD).saturating_sub(self.start);
        let share = |from: Option<Steal>, to: Option<Steal>| match (from, to) {
            (Some(from), Some(to)) => from.share_until(to),
            _ => 0.0,
        };
        Offered {
            length: self.length,
            took: now.saturating_sub(self.start).max(self.length),
            scheduled: self.scheduled,
            unsent: self.unsent,
            recorded: self.recorder.borrow_mut().take(),
            in_flight: self.looks,
            generator_busy: worked.as_secs_f64() / since.as_secs_f64().max(1e-9),
            steal: [
                share(self.steal, self.steal_halfway),
                share(self.steal_halfway, Steal::read().ok()),
            ],
        }
    }
}

/// Waits until all of `tasks` have ended, in the clock's own way of waiting.
///
/// # Panics
/// When one of them did.
pub(crate) async fn drain<C: Clock>(clock: &C, tasks: &mut JoinSet<()>) {
    while !tasks.is_empty() {
        if clock.is_awake() {
            clock.until(clock.now() + LOOK_LEAST).await;
            reap(tasks);
        } else if let Some(joined) = tasks.join_next().await {
            expect_end(joined);
        }
    }
}

/// Forgets those that have ended.
pub(crate) fn reap(tasks: &mut JoinSet<()>) {
    while let Some(joined) = tasks.try_join_next() {
        expect_end(joined);
    }
}

fn expect_end(joined: Result<(), tokio::task::JoinError>) {
    match joined {
        Ok(()) => {}
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Nobody but the set's own end cancels a task of it.
        Err(_cancelled) => {}
    }
}
