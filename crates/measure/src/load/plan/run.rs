//! Flows on the loop.
//!
//! The pacer knows when each step of a flow is intended as soon as the flow begins, so it keeps
//! these moments among the slots of the schedule and opens the flow's gate at each. The flow's task
//! sends a step when its gate is open and the answer before it has come, whichever is later.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{Flow, Plan};
use crate::load::offer::{Carrier, Pacing};
use crate::load::{Clock, Offered, Recorder, Schedule, Sender};

/// A block of flows.
#[derive(Debug, Clone)]
pub struct OfferPlan {
    /// When flows begin.
    pub schedule: Schedule,
    pub plan: Rc<Plan>,
    /// The number of the first flow in its sequence.
    pub first: u64,
    /// How long after its sending a call is given up.
    pub deadline: Duration,
    /// Flows under way, at most.
    pub in_flight_most: usize,
}

/// How far a flow may go.
#[derive(Default)]
struct Gate {
    open: Cell<usize>,
    opened: Notify,
}

impl Gate {
    async fn wait(&self, place: usize) {
        while self.open.get() < place {
            self.opened.notified().await;
        }
    }
}

/// Runs flows as `offer` says and waits until none is under way. Calls that a flow no longer sends
/// because one of its calls failed were scheduled, and are not completed.
///
/// # Panics
/// As [`offer`](crate::load::offer).
pub async fn offer_plan<S: Sender, C: Clock>(
    sender: &Rc<S>,
    clock: &Rc<C>,
    recorder: &Rc<RefCell<Recorder>>,
    offer: &OfferPlan,
) -> Offered {
    let carrier = Rc::new(Carrier {
        sender: Rc::clone(sender),
        clock: Rc::clone(clock),
        recorder: Rc::clone(recorder),
        deadline: offer.deadline,
    });
    let steps = offer.plan.steps();
    let mut block = Pacing::begin(clock, recorder, offer.schedule.length(), offer.in_flight_most);
    let start = block.start;
    let mut gates: BTreeMap<u64, Rc<Gate>> = BTreeMap::new();
    // Moment, number of the flow, place of the step.
    let mut moments: BinaryHeap<Reverse<(Duration, u64, usize)>> = BinaryHeap::new();
    let slots = offer.schedule.moments().enumerate();
    let mut slots = slots.map(|(slot, at)| (start + at, offer.first.wrapping_add(slot as u64)));
    let mut slot = slots.next();
    loop {
        let step = moments.peek().map(|Reverse((at, ..))| *at);
        match (slot, step) {
            (None, None) => break,
            (Some((at, number)), step) if step.is_none_or(|step| at <= step) => {
                block.wait(at).await;
                let gate = Rc::new(Gate::default());
                let flow = Flow::begin(&offer.plan, number, at);
                let run = run(Rc::clone(&carrier), flow, number, steps, Rc::clone(&gate));
                if block.start_task(steps as u64, run).await {
                    let later = offer.plan.moments().enumerate().skip(1);
                    moments
                        .extend(later.map(|(place, after)| Reverse((at + after, number, place))));
                    gates.insert(number, gate);
                }
                slot = slots.next();
            }
            (_, _) => {
                let Some(Reverse((at, number, place))) = moments.pop() else { break };
                block.wait(at).await;
                let last = place + 1 == steps;
                let gate = if last { gates.remove(&number) } else { gates.get(&number).cloned() };
                if let Some(gate) = gate {
                    gate.open.set(place);
                    gate.opened.notify_one();
                    block.let_run().await;
                }
            }
        }
    }
    block.end().await
}

async fn run<S: Sender, C: Clock>(
    carrier: Rc<Carrier<S, C>>,
    mut flow: Flow,
    number: u64,
    steps: usize,
    gate: Rc<Gate>,
) {
    while let Some(due) = flow.next() {
        gate.wait(due.place).await;
        let number = number.wrapping_mul(steps as u64).wrapping_add(due.place as u64);
        let ended = carrier.carry(number, &due.call, due.intended, due.possible).await;
        flow.ended(carrier.clock.now(), ended.map(|ended| (ended.outcome, ended.answer)));
    }
}
