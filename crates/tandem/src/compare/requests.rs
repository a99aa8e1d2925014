//! What is sent: values made from the contract, calls of a plan, or recorded ones.
//!
//! A plan is a small YAML file: a list of calls, each with its method, its share of the whole, and
//! a request as JSON in which `{key}` stands for a key drawn by Zipf's law and `{number}` for the
//! number of the call. The same seed makes the same bytes, and both sides are sent them in the
//! same order.
//!
//! Not here: values of fields (`tandem_measure::data`), recorded calls (`corpus`), when calls are
//! sent (`quartets`).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;
use tandem_config::Tnd;
use tandem_config::load::value_of_yaml;
use tandem_contract::{MessageId, Method, MethodId};
use tandem_judge::stats::draws::Draws;
use tandem_measure::data::{self, DataOptions, Values, Zipf};
use tandem_measure::load::{Call, Trace};
use tandem_transcode::{JsonOptions, Limits, Plans, wire_from_json};

use super::ask::{Ask, Data, Gaps, Keys, read_file};
use super::corpus;
use crate::cli::find_method;
use crate::failure::{Exit, Failure};

/// Calls that are made before a run, at most; longer runs begin again with the first.
const CALLS: usize = 20_000;
const BYTES_MOST: usize = 64 << 20;
/// Messages of a call that may send any number, where they are made from the contract.
const STREAM_MESSAGES: usize = 10;

/// The calls of a run.
pub(crate) struct Requests {
    /// In the order in which they are sent.
    pub(crate) calls: Vec<Call>,
    /// When each was recorded; empty for calls that were made.
    pub(crate) at: Vec<Option<Duration>>,
    /// The gaps between them, where those are wanted.
    pub(crate) trace: Option<Trace>,
    /// What a reader of the result has to know of them.
    pub(crate) notes: Vec<String>,
}

impl Requests {
    fn made(calls: Vec<Call>) -> Requests {
        Requests { calls, at: Vec::new(), trace: None, notes: Vec::new() }
    }
}

/// The calls of a run.
///
/// # Errors
/// A plan or a record that cannot be read, names what is not compared, or has no call of a method.
pub(crate) fn calls(
    ask: &Ask,
    plans: &Arc<Plans>,
    methods: &[Method],
) -> Result<Requests, Failure> {
    match &ask.data {
        Data::Schema => of_schema(ask, plans, methods).map(Requests::made),
        Data::Plan(file) => {
            let plan = Plan::read(file, plans, methods)?;
            plan.calls(plans, ask.keys, ask.seed).map(Requests::made)
        }
        Data::Corpus(file) => corpus::requests(file, plans, methods, ask.gaps == Gaps::Trace),
    }
}

fn of_schema(ask: &Ask, plans: &Plans, methods: &[Method]) -> Result<Vec<Call>, Failure> {
    let contract = plans.contract();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut options = DataOptions { keys: ask.keys.count, ..DataOptions::new(ask.seed, now) };
    options.exponent = ask.keys.zipf;
    if let Some(bytes) = ask.payload {
        options.payload_bytes = bytes as f64;
    }
    let values = methods.iter().map(|method| {
        Values::new(contract, id_of(plans, method), &options).map_err(|faults| {
            Failure::new(Exit::Failed, format!("no requests of {} can be made", method.full_name()))
                .because(faults.join("; "))
        })
    });
    let values = values.collect::<Result<Vec<Values>, Failure>>()?;
    Ok(data::calls(&values, CALLS, STREAM_MESSAGES, BYTES_MOST))
}

fn id_of(plans: &Plans, method: &Method) -> MethodId {
    let mut all = plans.contract().methods();
    let found = all.find(|(_, other)| other.path == method.path);
    found.map(|(id, _)| id).expect("methods come from this contract")
}

/// A plan as it was read.
struct Plan(Vec<Entry>);

struct Entry {
    /// Place of its method among those compared.
    method: usize,
    share: f64,
    /// The request as JSON text, placeholders in it; of a method that takes many, all of them.
    messages: Vec<String>,
    input: MessageId,
}

impl Plan {
    fn read(file: &Path, plans: &Plans, methods: &[Method]) -> Result<Plan, Failure> {
        let text = read_file("--data", file)?;
        let fault = |why: String| {
            Failure::new(Exit::Usage, format!("{} is no plan", file.display()))
                .coded(Tnd::WrongType)
                .at("--data")
                .because(why)
                .fix(
                    "write `calls: [{ method: Shop/Get, share: 70, data: { name: \"p-{key}\" } }]`",
                )
        };
        let value = value_of_yaml(&text).map_err(fault)?;
        let listed = value.get("calls").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| fault("it has no list `calls`".to_owned()))?;
        let mut entries = Vec::new();
        for (place, entry) in listed.iter().enumerate() {
            let at = |what: &str| fault(format!("calls[{place}]: {what}"));
            let object = entry.as_object().ok_or_else(|| at("it is no map"))?;
            let known = ["method", "share", "data", "messages"];
            if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(at(&format!(
                    "`{key}` is not known; there are method, share, data and messages"
                )));
            }
            let name = entry.get("method").and_then(Value::as_str);
            let name = name.ok_or_else(|| at("`method` is missing"))?;
            let described = find_method(plans.contract(), name)?;
            let share = match entry.get("share") {
                None => 1.0,
                Some(share) => share
                    .as_f64()
                    .filter(|it| *it > 0.0)
                    .ok_or_else(|| at("`share` is no number above 0"))?,
            };
            // A plan may hold calls of other runs as well.
            let Some(method) = methods.iter().position(|it| it.path == described.path) else {
                continue;
            };
            let messages = match (entry.get("messages"), entry.get("data")) {
                (None, None) => vec!["{}".to_owned()],
                (None, Some(data)) => vec![data.to_string()],
                (Some(_), Some(_)) => return Err(at("it has both `data` and `messages`")),
                (Some(_), None) if !described.kind.many_requests() => {
                    let name = described.full_name();
                    return Err(at(&format!("{name} takes one message: write it as `data`")));
                }
                (Some(messages), None) => {
                    let messages = messages.as_array().filter(|all| !all.is_empty());
                    let messages =
                        messages.ok_or_else(|| at("`messages` is no list with something in it"))?;
                    messages.iter().map(Value::to_string).collect()
                }
            };
            entries.push(Entry { method, share, messages, input: described.input });
        }
        if let Some(without) =
            (0..methods.len()).find(|method| entries.iter().all(|entry| entry.method != *method))
        {
            return Err(fault(format!("it has no call of {}", methods[without].full_name())));
        }
        Ok(Plan(entries))
    }

    fn calls(&self, plans: &Plans, keys: Keys, seed: u64) -> Result<Vec<Call>, Failure> {
        let mut draws = Draws::new(seed);
        let zipf = Zipf::new(keys.count, keys.zipf);
        let key = |draws: &mut Draws| match keys.zipf > 0.0 {
            true => zipf.rank(draws),
            false => draws.below(usize::try_from(keys.count).unwrap_or(usize::MAX)) as u64 + 1,
        };
        let whole: f64 = self.0.iter().map(|entry| entry.share).sum();
        let (mut calls, mut bytes) = (Vec::new(), 0);
        for number in 0..CALLS {
            let mut left = draws.unit() * whole;
            let entry = self.0.iter().find(|entry| {
                left -= entry.share;
                left < 0.0
            });
            let entry = entry.or(self.0.last()).expect("a plan has a call of every method");
            let mut messages = Vec::with_capacity(entry.messages.len());
            for text in &entry.messages {
                let json = text
                    .replace("{key}", &key(&mut draws).to_string())
                    .replace("{number}", &number.to_string());
                let message = request(plans, entry.input, &json)?;
                bytes += message.len();
                messages.push(message);
            }
            calls.push(Call { method: entry.method, messages: messages.into() });
            if bytes >= BYTES_MOST {
                break;
            }
        }
        Ok(calls)
    }
}

fn request(plans: &Plans, input: MessageId, json: &str) -> Result<Bytes, Failure> {
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let message = wire_from_json(plans, input, json.as_bytes(), &options, &limits);
    message.map(|message| Bytes::from(message.to_vec())).map_err(|fault| {
        Failure::new(Exit::Usage, "a call of the plan is no request")
            .coded(Tnd::WrongType)
            .at("--data")
            .because(format!("{fault}: {json}"))
            .fix("write the request as `tandem call -d` takes it")
    })
}
