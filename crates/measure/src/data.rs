//! Messages to send, made from a contract.
//!
//! A value is, in this order: what the user said of the field, what `buf.validate` allows, what
//! the field's name says, anything of its type (compare L-7). Fields that services fill, page
//! tokens, filters and masks stay out. Keys follow Zipf's law over a stated space, so that caches
//! are met as they are in life; sizes are log-normal.
//!
//! The message of a number depends on the seed and the number alone: both sides, and a later run,
//! get the same bytes. A corpus comes as an iterator of messages ([`calls_of`]).
//!
//! Not here: reading files of messages (`tandem`), sending (`load`).

mod draw;
mod make;
mod names;
mod text;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem_contract::{Contract, Field, MessageId, MethodId, MethodKind};
use tandem_judge::stats::draws::Draws;

pub use self::draw::{LogNormal, Zipf};
use self::make::{FieldPlan, Make, Plan};
use crate::load::Call;

/// How deep messages are filled.
const DEPTH_MOST: u32 = 4;
/// From here on a message that may stay out does, half the time.
const DEPTH_FULL: u32 = 1;
/// Values of one message, at most: types that hold each other many times over end here.
const VALUES_MOST: u32 = 500;

/// What the messages are like.
#[derive(Debug, Clone)]
pub struct DataOptions {
    /// Printed with every result.
    pub seed: u64,
    /// How many different keys there are.
    pub keys: u64,
    /// Of Zipf's law: 1.1 unless said otherwise.
    pub exponent: f64,
    /// Median size of fields that hold contents, in bytes.
    pub payload_bytes: f64,
    /// The latest moment of timestamps, since the epoch.
    pub now: Duration,
    /// By path from the request: `book.author.name`.
    pub overrides: Vec<(String, Override)>,
}

impl DataOptions {
    /// A million keys, contents of 256 bytes.
    pub fn new(seed: u64, now: Duration) -> DataOptions {
        let overrides = Vec::new();
        DataOptions { seed, keys: 1_000_000, exponent: 1.1, payload_bytes: 256.0, now, overrides }
    }
}

/// What a user says of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Override {
    /// It stays out.
    Skip,
    /// A key of the key space.
    Key,
    /// A number between both, both included.
    Range(f64, f64),
    /// One of these, as text.
    OneOf(Vec<String>),
}

impl Override {
    /// `skip`, `key`, `1..100`, or values with `|` between them.
    pub fn parse(text: &str) -> Override {
        let range = text.split_once("..").and_then(|(low, high)| {
            Some(Override::Range(low.trim().parse().ok()?, high.trim().parse().ok()?))
        });
        match (text, range) {
            ("skip", _) => Override::Skip,
            ("key", _) => Override::Key,
            (_, Some(range)) => range,
            _ => Override::OneOf(text.split('|').map(str::to_owned).collect()),
        }
    }
}

/// Makes the requests of one method.
#[derive(Debug)]
pub struct Values {
    contract: Arc<Contract>,
    kind: MethodKind,
    input: MessageId,
    plans: BTreeMap<MessageId, Plan>,
    said: Said,
    keys: Zipf,
    key_digits: usize,
    payload: LogNormal,
    seed: u64,
    now: Duration,
    notes: Vec<String>,
}

/// What the user said of a field and of those below it.
#[derive(Debug, Default)]
struct Said {
    make: Option<Make>,
    below: BTreeMap<u32, Said>,
}

impl Values {
    /// For the requests of `method`.
    ///
    /// # Errors
    /// A sentence about each override that leads nowhere or does not fit its field.
    pub fn new(
        contract: &Arc<Contract>,
        method: MethodId,
        options: &DataOptions,
    ) -> Result<Values, Vec<String>> {
        let described = contract.method(method);
        let (input, kind) = (described.input, described.kind);
        let mut said = Said::default();
        for variable in described
            .rules
            .iter()
            .flat_map(|rule| rule.variables.iter().map(move |variable| (variable, &rule.template)))
        {
            let (variable, template) = variable;
            if let Some(make) = Make::of_template(variable, template) {
                said.at(contract, &variable.path.steps).make = Some(make);
            }
        }
        let mut faults = Vec::new();
        for (path, given) in &options.overrides {
            let placed = contract.field_path(input, path).and_then(|path| {
                let make = Make::of_override(contract, path.last(contract), given)?;
                said.at(contract, &path.steps).make = Some(make);
                Ok(())
            });
            faults.extend(placed.err().map(|what| format!("`{path}`: {what}")));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let (plans, notes) = make::plans(contract, input);
        let keys = options.keys.max(1);
        Ok(Values {
            contract: Arc::clone(contract),
            kind,
            input,
            plans,
            said,
            keys: Zipf::new(keys, options.exponent),
            key_digits: keys.to_string().len(),
            payload: LogNormal::new(options.payload_bytes),
            seed: options.seed,
            now: options.now,
            notes,
        })
    }

    /// Rules of the contract that the values do not follow, for the report.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The message with this number, the same each time.
    pub fn message(&self, number: u64) -> Bytes {
        // Mixed, for streams of neighbouring seeds would be one another's, a few draws later.
        let mixed = Draws::new(self.seed ^ number.wrapping_mul(0xd134_2543_de82_ef95)).next();
        let mut filling = Filling { values: self, draws: Draws::new(mixed), left: VALUES_MOST };
        let mut out = Vec::new();
        filling.message(self.input, Some(&self.said), 0, &mut out);
        out.into()
    }
}

impl Said {
    fn at(&mut self, contract: &Contract, steps: &[(MessageId, usize)]) -> &mut Said {
        steps.iter().fold(self, |said, (message, index)| {
            let number = contract.message(*message).fields[*index].number;
            said.below.entry(number).or_default()
        })
    }
}

/// One message under way.
struct Filling<'v> {
    values: &'v Values,
    draws: Draws,
    left: u32,
}

impl Filling<'_> {
    fn message(&mut self, id: MessageId, said: Option<&Said>, depth: u32, out: &mut Vec<u8>) {
        let values = self.values;
        let Some(plan) = values.plans.get(&id) else { return };
        let chosen: Vec<u32> = plan
            .oneofs
            .iter()
            .filter_map(|members| self.member(id, members, said, depth))
            .collect();
        for field in &plan.fields {
            let said = said.and_then(|said| said.below.get(&field.number));
            let is_out = match field.oneof {
                Some(_) => !chosen.contains(&field.number),
                None => said.is_none() && self.stays_out(field, depth),
            };
            if !is_out {
                self.field(id, field, said, depth, out);
            }
        }
    }

    /// The member of a oneof that is set: one of which the user spoke, else any.
    fn member(
        &mut self,
        id: MessageId,
        members: &[u32],
        said: Option<&Said>,
        depth: u32,
    ) -> Option<u32> {
        let plan = self.values.plans.get(&id)?;
        let fits = |number: &&u32| {
            let field = plan.fields.iter().find(|field| field.number == **number);
            field.is_some_and(|field| {
                !matches!(field.make, Make::Skip)
                    && (depth < DEPTH_MOST || !matches!(field.make, Make::Message(_)))
            })
        };
        let spoken_of = |number: &&u32| said.is_some_and(|said| said.below.contains_key(*number));
        if let Some(number) = members.iter().find(spoken_of) {
            return Some(*number);
        }
        let fitting: Vec<&u32> = members.iter().filter(fits).collect();
        (!fitting.is_empty()).then(|| *fitting[self.draws.below(fitting.len())])
    }

    fn stays_out(&mut self, field: &FieldPlan, depth: u32) -> bool {
        if matches!(field.make, Make::Skip) {
            return true;
        }
        let is_message = matches!(field.make, Make::Message(_));
        if is_message && depth >= DEPTH_MOST {
            return true;
        }
        let may_stay_out = field.optional || (is_message && depth >= DEPTH_FULL);
        may_stay_out && !field.required && self.draws.coin()
    }

    fn field(
        &mut self,
        id: MessageId,
        field: &FieldPlan,
        said: Option<&Said>,
        depth: u32,
        out: &mut Vec<u8>,
    ) {
        let values = self.values;
        let Some((_, described)) = values.contract.message(id).field_numbered(field.number) else {
            return;
        };
        let make = said.and_then(|said| said.make.as_ref()).unwrap_or(&field.make);
        if matches!(make, Make::Skip) {
            return;
        }
        match &field.many {
            None => self.one(described, make, said, depth, out),
            Some(many) => {
                let count = self.between(many.least, many.most.max(many.least));
                match &many.entry {
                    Some((key, value)) => self.entries(described, (key, value), count, depth, out),
                    None => self.elements(described, make, (count, many.unique), said, depth, out),
                }
            }
        }
    }

    fn one(
        &mut self,
        field: &Field,
        make: &Make,
        said: Option<&Said>,
        depth: u32,
        out: &mut Vec<u8>,
    ) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        if let Make::Message(id) = make {
            let mut inner = Vec::new();
            self.message(*id, said, depth + 1, &mut inner);
            wire::message(field.number, &inner, out);
        } else {
            wire::field(field.number, field.kind, &make.value(self, field.kind), out);
        }
    }

    fn elements(
        &mut self,
        field: &Field,
        make: &Make,
        (count, unique): (u64, bool),
        said: Option<&Said>,
        depth: u32,
        out: &mut Vec<u8>,
    ) {
        if matches!(make, Make::Message(_)) {
            for _ in 0..count {
                self.one(field, make, said, depth, out);
            }
            return;
        }
        let mut made = Vec::new();
        for _ in 0..count {
            let Some(left) = self.left.checked_sub(1) else { break };
            self.left = left;
            let value = make.value(self, field.kind);
            if !unique || !made.contains(&value) {
                made.push(value);
            }
        }
        if field.packed {
            wire::packed(field.number, field.kind, &made, out);
        } else {
            made.iter().for_each(|value| wire::field(field.number, field.kind, value, out));
        }
    }

    fn entries(
        &mut self,
        field: &Field,
        (key, value): (&Make, &Make),
        count: u64,
        depth: u32,
        out: &mut Vec<u8>,
    ) {
        let contract = Arc::clone(&self.values.contract);
        let Some(entry) = field.kind.message().map(|id| contract.message(id)) else { return };
        let (Some((_, of_key)), Some((_, of_value))) =
            (entry.field_numbered(1), entry.field_numbered(2))
        else {
            return;
        };
        if depth >= DEPTH_MOST && matches!(value, Make::Message(_)) {
            return;
        }
        let mut keys = Vec::new();
        for _ in 0..count {
            let made = key.value(self, of_key.kind);
            if keys.contains(&made) {
                continue;
            }
            let mut inner = Vec::new();
            wire::field(1, of_key.kind, &made, &mut inner);
            self.one(of_value, value, None, depth, &mut inner);
            wire::message(field.number, &inner, out);
            keys.push(made);
        }
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least
            + self.draws.below(usize::try_from(most - least).unwrap_or(0).saturating_add(1)) as u64
    }
}

/// The calls of a run: `count` of them, the methods in turns; a call of a method that takes many
/// messages has `stream` of them. Ends sooner once the messages have `bytes_most`; whoever sends
/// more calls than there are begins again.
pub fn calls(methods: &[Values], count: usize, stream: usize, bytes_most: usize) -> Vec<Call> {
    let mut made = Vec::new();
    let (mut bytes, mut number) = (0, 0);
    for (method, values) in methods.iter().enumerate().cycle().take(count) {
        let messages = if values.kind.many_requests() { stream.max(1) } else { 1 };
        let messages: Vec<Bytes> =
            (0..messages as u64).map(|place| values.message(number + place)).collect();
        number += messages.len() as u64;
        bytes += messages.iter().map(Bytes::len).sum::<usize>();
        made.push(Call { method, messages: messages.into() });
        if bytes >= bytes_most {
            break;
        }
    }
    made
}

/// Calls of a corpus: each message one call of `method`.
pub fn calls_of(method: usize, messages: impl IntoIterator<Item = Bytes>) -> Vec<Call> {
    messages.into_iter().map(|message| Call { method, messages: [message].into() }).collect()
}
