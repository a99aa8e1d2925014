//! Calls that depend on the answers before them: create, then get what was created (compare L-6).
//!
//! A flow is one run through a plan. Its first call has a slot of the schedule; each later one is
//! intended a gap after the one before it, whether or not that one was answered by then, so a slow
//! answer counts against the calls that had to wait for it too. The gap is the median service time
//! that a side was seen to have. Lag counts from when a call could be sent: waiting for an answer
//! is not the generator's fault.
//!
//! [`Flow`] is the state machine, without clock or loop; [`offer_plan`] runs it.
//!
//! Not here: reading plans from files (`tandem`).

mod run;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem_contract::fields::{self, put_bytes, put_varint};
use tandem_contract::{Cardinality, Contract, FieldPath, Kind, MessageId};

pub use self::run::{OfferPlan, offer_plan};
use super::{Call, Outcome};

/// One call of a plan, as it is written.
#[derive(Debug, Clone)]
pub struct Step {
    /// As in [`Call::method`].
    pub method: usize,
    pub input: MessageId,
    pub output: MessageId,
    /// Requests, taken in turns by the number of the flow; at least one.
    pub messages: Arc<[Bytes]>,
    pub takes: Vec<Take>,
    /// After the intended moment of the step before; of the first it is not asked.
    pub gap: Duration,
}

/// A field of an earlier answer that becomes a field of this request.
#[derive(Debug, Clone)]
pub struct Take {
    /// Number of the step, from 0.
    pub step: usize,
    /// Names and dots in its answer.
    pub from: String,
    /// Names and dots in this request.
    pub to: String,
}

/// Steps that were checked against the contract.
#[derive(Debug)]
pub struct Plan {
    steps: Vec<Checked>,
}

#[derive(Debug)]
struct Checked {
    step: Step,
    takes: Vec<Taken>,
}

#[derive(Debug)]
struct Taken {
    step: usize,
    from: Vec<u32>,
    to: Vec<u32>,
    kind: Kind,
}

impl Plan {
    /// Checks the steps.
    ///
    /// # Errors
    /// A sentence about each thing that cannot be: no steps or messages, a field that is not there,
    /// two fields of different types, an answer that has not come yet.
    pub fn new(contract: &Contract, steps: Vec<Step>) -> Result<Plan, Vec<String>> {
        let mut faults = Vec::new();
        if steps.is_empty() {
            faults.push("a plan has at least one step".to_owned());
        }
        let mut checked = Vec::new();
        for (place, step) in steps.iter().enumerate() {
            if step.messages.is_empty() {
                faults.push(format!("step {place} has no message to send"));
            }
            let mut takes = Vec::new();
            for take in &step.takes {
                match taken(contract, &steps[..place], step, take) {
                    Ok(taken) => takes.push(taken),
                    Err(what) => faults.push(format!("step {place}: {what}")),
                }
            }
            checked.push(Checked { step: step.clone(), takes });
        }
        if faults.is_empty() { Ok(Plan { steps: checked }) } else { Err(faults) }
    }

    /// Calls of one flow.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// When each step is intended, from the first on.
    pub fn moments(&self) -> impl Iterator<Item = Duration> + '_ {
        self.steps.iter().enumerate().scan(Duration::ZERO, |at, (place, checked)| {
            if place > 0 {
                *at += checked.step.gap;
            }
            Some(*at)
        })
    }
}

fn taken(contract: &Contract, before: &[Step], step: &Step, take: &Take) -> Result<Taken, String> {
    let Some(source) = before.get(take.step) else {
        return Err(format!("step {} has not been answered yet", take.step));
    };
    let from = contract.field_path(source.output, &take.from)?;
    let to = contract.field_path(step.input, &take.to)?;
    let (source, target) = (from.last(contract), to.last(contract));
    let is_single = |field: &tandem_contract::Field| field.cardinality == Cardinality::Singular;
    if source.kind != target.kind || !is_single(source) || !is_single(target) {
        return Err(format!("`{}` and `{}` are not of one type", take.from, take.to));
    }
    let has_groups = |path: &FieldPath| {
        path.steps.iter().any(|(message, index)| {
            matches!(contract.message(*message).fields[*index].kind, Kind::Group(_))
        })
    };
    if has_groups(&from) || has_groups(&to) {
        return Err(format!("`{}` is in a group", take.from));
    }
    let numbers = |path: &FieldPath| {
        let steps = path.steps.iter();
        steps.map(|(message, index)| contract.message(*message).fields[*index].number).collect()
    };
    Ok(Taken { step: take.step, from: numbers(&from), to: numbers(&to), kind: source.kind })
}

/// One run through a plan.
#[derive(Debug)]
pub struct Flow {
    plan: Rc<Plan>,
    number: u64,
    begun: Duration,
    place: usize,
    /// When the last answer came.
    answered: Duration,
    answers: Vec<Bytes>,
}

/// The call that a flow is to send next.
#[derive(Debug)]
pub struct Due {
    /// Number of the step.
    pub place: usize,
    pub call: Call,
    pub intended: Duration,
    /// When it can be sent: as intended, or when the answer before it came.
    pub possible: Duration,
}

impl Flow {
    /// The flow `number`, whose first call is intended at `begun`.
    pub fn begin(plan: &Rc<Plan>, number: u64, begun: Duration) -> Flow {
        let plan = Rc::clone(plan);
        Flow { plan, number, begun, place: 0, answered: begun, answers: Vec::new() }
    }

    /// What to send; `None` when the flow is over.
    pub fn next(&self) -> Option<Due> {
        let Checked { step, takes } = self.plan.steps.get(self.place)?;
        let intended = self.begun + self.plan.moments().nth(self.place)?;
        let template = &step.messages[(self.number % step.messages.len() as u64) as usize];
        let message = if takes.is_empty() {
            template.clone()
        } else {
            // Behind the template: of a singular field the last one counts, and messages merge.
            let mut message = template.to_vec();
            for taken in takes {
                if let Some(answer) = self.answers.get(taken.step) {
                    taken.append(answer, &mut message);
                }
            }
            message.into()
        };
        let call = Call { method: step.method, messages: [message].into() };
        Some(Due { place: self.place, call, intended, possible: intended.max(self.answered) })
    }

    /// Takes the end of the call that [`Flow::next`] gave; `None` when its deadline passed. A call
    /// that did not end well ends the flow: what depends on it cannot be asked.
    pub fn ended(&mut self, at: Duration, answer: Option<(Outcome, Bytes)>) {
        self.answered = at;
        match answer {
            Some((Outcome::Answered(0), answer)) => {
                self.answers.push(answer);
                self.place += 1;
            }
            Some(_) | None => self.place = self.plan.steps.len(),
        }
    }
}

impl Taken {
    /// Appends the field of `answer` to the request; nothing where the answer has none, which is
    /// its default.
    fn append(&self, answer: &[u8], message: &mut Vec<u8>) {
        let (Some((last, above)), Some((target, around))) =
            (self.from.split_last(), self.to.split_last())
        else {
            return;
        };
        let mut held = answer.to_vec();
        for number in above {
            // A message that was written in parts is all of them.
            let parts = fields::each(&held).map_while(Result::ok);
            held =
                parts.filter(|field| field.number == *number).fold(Vec::new(), |mut all, field| {
                    all.extend_from_slice(field.bytes);
                    all
                });
        }
        let found = fields::each(&held).map_while(Result::ok);
        let Some(found) = found.filter(|field| field.number == *last).last() else { return };
        let mut field = Vec::new();
        put_value(*target, self.kind, &found, &mut field);
        for number in around.iter().rev() {
            let mut outer = Vec::new();
            put_bytes(*number, &field, &mut outer);
            field = outer;
        }
        message.extend_from_slice(&field);
    }
}

/// A field with the value as it was read.
fn put_value(number: u32, kind: Kind, read: &fields::Field<'_>, out: &mut Vec<u8>) {
    let tag = u64::from(number) << 3;
    match kind {
        Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_) => {
            put_bytes(number, read.bytes, out);
        }
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => {
            put_varint(tag | 1, out);
            out.extend_from_slice(&read.value.to_le_bytes());
        }
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => {
            put_varint(tag | 5, out);
            out.extend_from_slice(&(read.value as u32).to_le_bytes());
        }
        _ => {
            put_varint(tag, out);
            put_varint(read.value, out);
        }
    }
}
