//! One block of load on one side, with what both used meanwhile.
//!
//! Not here: the order of blocks (`quartets`), whether a block counts (`tandem_judge::cost`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tandem_judge::cost::{self, Block};
use tandem_judge::stats::draws::Draws;
use tandem_measure::environment::own_cpu;
use tandem_measure::load::{
    Arrivals, Call, IN_FLIGHT_MOST, Offer, Offered, Precise, Recorder, Usage, offer,
};
use tandem_measure::probe::host;

use super::meter;
use super::side::Side;
use super::streams::Seen;
use super::wire::{Keeping, KeptReply};
use crate::failure::Failure;

/// What sends: a clock, a recorder, and what is sent.
pub(crate) struct Generator {
    clock: Rc<Precise>,
    /// One a side, for both may be called at the same time.
    recorders: [Rc<RefCell<Recorder>>; 2],
    pub(crate) calls: Rc<[Call]>,
    arrivals: Arrivals,
    deadline: Duration,
    began: Instant,
}

/// A block that was sent.
pub(crate) struct Sent {
    pub(crate) block: Block,
    pub(crate) offered: Offered,
    /// Answers by number of the call.
    pub(crate) kept: BTreeMap<u64, KeptReply>,
    /// What was read of streams, by method.
    pub(crate) streams: Vec<Seen>,
    /// Since the run began.
    pub(crate) start_s: f64,
    /// CPU time of the machine, and of it what the sides and the generator answer for; `None`
    /// where one of them cannot be read.
    pub(crate) busy: Option<(Duration, Duration)>,
}

/// What a block is to send. The same seed and number give the same moments and the same calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) rate: f64,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
    /// Number of its first call; of a trace, which part of it.
    pub(crate) first: u64,
    /// Answers to keep, about.
    pub(crate) keep: u64,
}

impl Generator {
    pub(crate) fn new(
        clock: Precise,
        calls: Rc<[Call]>,
        methods: usize,
        arrivals: Arrivals,
        deadline: Duration,
        began: Instant,
    ) -> Generator {
        let recorders = [(); 2].map(|()| Rc::new(RefCell::new(Recorder::new(methods))));
        Generator { clock: Rc::new(clock), recorders, calls, arrivals, deadline, began }
    }

    pub(crate) fn clock(&self) -> &Rc<Precise> {
        &self.clock
    }

    pub(crate) fn recorder(&self) -> &Rc<RefCell<Recorder>> {
        &self.recorders[0]
    }

    /// Sends a block to `on`, while `off` is not called.
    ///
    /// # Errors
    /// Nobody is there any more.
    pub(crate) async fn send(
        &self,
        which: cost::Side,
        on: &mut Side,
        off: Option<&mut Side>,
        order: &Order,
    ) -> Result<Sent, Failure> {
        let wire = on.wire().await?;
        let offer_of = self.offer(order);
        let stride = match order.keep {
            0 => 0,
            keep => (offer_of.schedule.len() as u64 / keep).max(1),
        };
        wire.keep(Keeping { stride });
        let mut off = off;
        on.probe.begin_peak();
        let idle_before = match &mut off {
            Some(off) => Some(off.probe.read().await),
            None => None,
        };
        let before = on.probe.read().await;
        let there = [Some(&*on), off.as_deref()].map(|side| side.and_then(|it| it.probe.there()));
        let (host, own) = (host::read(), own_cpu::of_thread());
        let start_s = self.began.elapsed().as_secs_f64();
        let mut offered =
            offer(&wire, &self.clock, &self.recorders[which as usize], &offer_of).await;
        let used = on.probe.read().await.since(&before);
        let idle = match (&mut off, idle_before) {
            (Some(off), Some(before)) => Some(off.probe.read().await.since(&before)),
            _ => None,
        };
        let off_is_far = off.as_ref().is_some_and(|off| off.probe.is_far());
        let idle_cpu = idle.and_then(|idle| {
            let cpu = idle.cpu?.as_secs_f64();
            // Questions to agents lie in the interval as well, and what is idle goes by the second.
            let part = match off_is_far {
                true => order.length.as_secs_f64() / idle.wall.as_secs_f64().max(1e-9),
                false => 1.0,
            };
            Some(cpu * part)
        });
        if let Some(stolen) = on.probe.stolen() {
            for (here, there) in offered.steal.iter_mut().zip(stolen) {
                *here = here.max(there);
            }
        }
        let usage = Usage {
            cpu_s: used.cpu.map(|cpu| cpu.as_secs_f64()),
            idle_cpu_s: idle_cpu,
            peak_bytes: on.probe.peak(),
            allocations: None,
        };
        let own = own_cpu::of_thread().saturating_sub(own);
        let busy = host.zip(host::read()).map(|(before, after)| after.since(&before).busy);
        let answered =
            used.cpu.map(|cpu| cpu + own + idle.and_then(|it| it.cpu).unwrap_or_default());
        let now = [Some(&*on), off.as_deref()].map(|side| side.and_then(|it| it.probe.there()));
        let there: Vec<_> =
            there.into_iter().zip(now).filter_map(|(before, now)| before.zip(now)).collect();
        let busy = busy.zip(answered).and_then(|both| meter::busy(both, &there));
        let block = offered.block(which, &usage);
        let (kept, streams) = (wire.take(), wire.take_streams());
        Ok(Sent { block, offered, kept, streams, start_s, busy })
    }

    /// Sends a block to both at the same time; of calls that are due at one moment the one for
    /// `first` goes first.
    ///
    /// # Errors
    /// One of them is there no more.
    pub(crate) async fn send_both(
        &self,
        first: cost::Side,
        primary: &mut Side,
        candidate: &mut Side,
        order: &Order,
    ) -> Result<[Sent; 2], Failure> {
        let one = Box::pin(self.send(cost::Side::Primary, primary, None, order));
        let other = Box::pin(self.send(cost::Side::Candidate, candidate, None, order));
        let (one, other) = match first {
            cost::Side::Primary => tokio::join!(one, other),
            cost::Side::Candidate => {
                let (other, one) = tokio::join!(other, one);
                (one, other)
            }
        };
        let (mut one, mut other) = (one?, other?);
        // The machine was busy once, and what the other side used is answered for as well.
        let more = other.block.cpu_s.map(Duration::from_secs_f64);
        one.busy = one.busy.zip(more).map(|((busy, answered), more)| (busy, answered + more));
        other.busy = None;
        Ok([one, other])
    }

    /// What `order` sends.
    pub(crate) fn offer(&self, order: &Order) -> Offer {
        let Order { rate, length, seed, first, keep: _ } = *order;
        let (first, schedule) = self.arrivals.block(rate, length, first, &mut Draws::new(seed));
        Offer {
            schedule,
            calls: Rc::clone(&self.calls),
            first,
            deadline: self.deadline,
            in_flight_most: IN_FLIGHT_MOST,
        }
    }
}
