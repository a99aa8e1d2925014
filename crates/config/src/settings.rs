//! Values of a service's own settings, held against its message and the standard rules that stand
//! there (hybrid SE-1).
//!
//! Values are ProtoJSON of the message. Types, ranges and lists come from the contract; a value
//! that is refused is named with its field, the rule, and the nearest value that every rule
//! allows. All violations are found at once.
//!
//! A rule of the contract that this build does not know is a fault of the contract and not passed
//! over in silence (security PO-2); so are expressions (CEL) and regular expressions. One rule is
//! built in: a `tandem.settings.v1.Rollout` is at most 1,000 per mille.
//!
//! [`published`] says what is to be pushed, [`form`] how people are asked for values,
//! [`crate::edit`] changes them in the text of a document.
//!
//! Not here: which message belongs to a service (`tandem-contract`), versions of values
//! (`crate::history`), pushing them (`tandem-gateway`). Rules of whole messages and of oneofs are
//! not read.

mod form;
mod hold;
mod path;
mod published;
mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use tandem_contract::rules::{self, FieldRules};
use tandem_contract::{Contract, Field, MessageId, WellKnown};
use tandem_transcode::{JsonOptions, Limits, Plans, json_from_wire, wire_from_json};

pub use self::form::{FormField, FormRule, form};
pub(crate) use self::path::{Part, parts};
pub use self::published::{ServiceSettings, published};
pub(crate) use self::published::{declared, defaults};
use crate::problem::{Problem, Tnd};
use crate::source::cut;

/// Bytes of the values of one service, as JSON.
pub const VALUES_BYTES_MOST: usize = 256 * 1024;

/// The settings message of a service, with its rules read.
pub struct SettingsMessage {
    plans: Arc<Plans>,
    message: MessageId,
    /// By message and number of the field.
    rules: BTreeMap<(u32, u32), FieldRules>,
}

/// Values that every rule allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// As ProtoJSON, fields without presence written out, by the names of the file.
    pub json: String,
    /// As protobuf bytes: what is pushed.
    pub wire: Vec<u8>,
}

/// A value that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `limits.max_discount_percent`, `hidden_categories[2]`, `labels["a"]`.
    pub field: String,
    /// `int32.lte`; [`Violation::TYPE`] where it is no value of the field at all,
    /// [`Violation::NAME`] where there is no such field.
    pub rule: String,
    /// "is at most 60".
    pub must: String,
    /// As JSON; `None` where no single one is nearest.
    pub nearest: Option<String>,
}

impl Violation {
    /// The rule that a value must be of its field's type.
    pub const TYPE: &str = "type";
    /// The rule that a name must be that of a field, as the contract's file writes it.
    pub const NAME: &str = "name";

    /// As people see faults.
    pub fn problem(&self) -> Problem {
        let name = self.rule == Violation::NAME;
        let fix = match &self.nearest {
            Some(nearest) if name => format!("write `{nearest}`"),
            Some(nearest) => format!("write {nearest}, the nearest value that is allowed"),
            None if name => "take it out, or add the field to the contract".to_owned(),
            None => "write another value".to_owned(),
        };
        Problem::error(if name { Tnd::UnknownKey } else { Tnd::SettingRefused }, self.to_string())
            .why("the service's contract says so")
            .fix(fix)
    }
}

impl Violation {
    /// The field of the settings message that it lies in.
    fn top(&self) -> String {
        match parts(&self.field).into_iter().next() {
            Some(path::Part::Key(name)) => name,
            Some(path::Part::Index(_)) | None => String::new(),
        }
    }

    /// The way to it in a document, from the values of its service on.
    pub(crate) fn parts(&self) -> Vec<path::Part> {
        parts(&self.field)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { field, rule, must, nearest: _ } = self;
        match field.as_str() {
            "" => write!(f, "the settings: {must} (rule {rule})"),
            field => write!(f, "{field} {must} (rule {rule})"),
        }
    }
}

/// A rule in the contract that nobody here can hold a value against.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` has the rule {rule}, which {why}")]
pub struct RuleNotHeld {
    /// `package.Message.field`.
    pub field: String,
    pub rule: String,
    pub why: &'static str,
}

impl SettingsMessage {
    /// Reads the rules of `message` and of every message that it holds.
    ///
    /// # Errors
    /// Rules that this build does not know or that do not fit their field, all of them.
    pub fn new(
        contract: Arc<Contract>,
        message: MessageId,
    ) -> Result<SettingsMessage, Vec<RuleNotHeld>> {
        SettingsMessage::of_plans(Arc::new(Plans::new(contract)), message)
    }

    /// As [`SettingsMessage::new`], for plans that are there already.
    ///
    /// # Errors
    /// As [`SettingsMessage::new`].
    pub fn of_plans(
        plans: Arc<Plans>,
        message: MessageId,
    ) -> Result<SettingsMessage, Vec<RuleNotHeld>> {
        let contract = plans.contract();
        let mut rules = BTreeMap::new();
        let mut faults = Vec::new();
        let (mut todo, mut seen) = (vec![message], BTreeSet::from([message.0]));
        while let Some(id) = todo.pop() {
            let of = contract.message(id);
            for field in &of.fields {
                match rules::read(contract, of, field) {
                    Ok(read) => rules.extend(read.map(|read| ((id.0, field.number), read))),
                    Err((rule, why)) => {
                        let field = format!("{}.{}", of.full_name, field.name);
                        faults.push(RuleNotHeld { field, rule, why });
                    }
                }
                let inner = field.kind.message();
                let own = inner.filter(|id| contract.message(*id).well_known == WellKnown::No);
                todo.extend(own.filter(|id| seen.insert(id.0)));
            }
        }
        faults.sort_by(|one, other| one.field.cmp(&other.field));
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(SettingsMessage { plans, message, rules })
    }

    /// Holds the values of a document against the message and its rules. Fields are written by
    /// their names in the contract's file, so that each has one name in documents, rights and
    /// differences.
    ///
    /// # Errors
    /// Every value that is refused.
    pub fn hold(&self, values: &Map<String, Value>) -> Result<Values, Vec<Violation>> {
        let mut found = Vec::new();
        typed::object(&self.plans, self.message, values, "", &mut found);
        if found.is_empty() {
            return self.check(&Value::Object(values.clone()).to_string());
        }
        let of = self.plans.contract().message(self.message);
        let faulty: BTreeSet<String> = found.iter().map(|violation| violation.top()).collect();
        let names: BTreeSet<&str> = faulty
            .iter()
            .map(|name| of.field_named(name).map_or(&**name, |(_, field)| &field.name))
            .collect();
        let sound = values.iter().filter(|(name, _)| !faulty.contains(*name));
        let sound: Map<String, Value> =
            sound.map(|(name, value)| (name.clone(), value.clone())).collect();
        let more = self.check(&Value::Object(sound).to_string()).err().unwrap_or_default();
        found.extend(more.into_iter().filter(|violation| !names.contains(&*violation.top())));
        Err(found)
    }

    /// Holds `json` against the message and its rules. Names of fields may be those of JSON.
    ///
    /// # Errors
    /// Every value that is refused; the first alone where one is no value of its field.
    pub fn check(&self, json: &str) -> Result<Values, Vec<Violation>> {
        let of_type = |field: String, must: String| {
            vec![Violation { field, rule: Violation::TYPE.to_owned(), must, nearest: None }]
        };
        if json.len() > VALUES_BYTES_MOST {
            let must = format!("have at most {VALUES_BYTES_MOST} bytes");
            return Err(of_type(String::new(), must));
        }
        let limits = Limits::default();
        let read = JsonOptions::default();
        let wire = wire_from_json(&self.plans, self.message, json.as_bytes(), &read, &limits);
        let wire = wire.map_err(|fault| {
            let reason = cut(&fault.reason);
            let must =
                if fault.field.is_empty() { reason } else { format!("is refused: {reason}") };
            of_type(cut(&fault.field), must)
        })?;
        let write = JsonOptions { emit_defaults: true, proto_names: true, ..read };
        let text = json_from_wire(&self.plans, self.message, &wire, &write, &limits);
        let text = text.map_err(|fault| of_type(fault.field, fault.reason))?;
        let value: Value = serde_json::from_slice(&text)
            .map_err(|error| of_type(String::new(), error.to_string()))?;
        let mut violations = Vec::new();
        self.message(self.message, &value, "", &mut violations);
        if !violations.is_empty() {
            return Err(violations);
        }
        Ok(Values { json: String::from_utf8_lossy(&text).into_owned(), wire })
    }

    /// `value` was written by `json_from_wire`, so its depth is bounded by the limits.
    fn message(&self, id: MessageId, value: &Value, path: &str, found: &mut Vec<Violation>) {
        let contract = self.plans.contract();
        for field in &contract.message(id).fields {
            let path = path::below(path, &field.name);
            let stands = value.get(&*field.name).filter(|value| !value.is_null());
            let rules = self.rules.get(&(id.0, field.number));
            if let Some(rules) = rules {
                hold::field(contract, field, rules, stands, &path, found);
            }
            if let Some(stands) = stands {
                self.inside(field, stands, &path, found);
            }
        }
    }

    /// The messages that a field holds.
    fn inside(&self, field: &Field, value: &Value, path: &str, found: &mut Vec<Violation>) {
        let contract = self.plans.contract();
        let Some(id) = field.kind.message() else { return };
        let message = contract.message(id);
        if message.map_entry {
            let (Some((_, of)), Value::Object(entries)) = (message.field_numbered(2), value) else {
                return;
            };
            for (key, value) in entries {
                self.inside(of, value, &format!("{path}[{}]", Value::from(key.as_str())), found);
            }
        } else if message.well_known != WellKnown::No {
            // Its JSON form is its own.
        } else if let Value::Array(items) = value {
            for (index, item) in items.iter().enumerate() {
                self.message(id, item, &format!("{path}[{index}]"), found);
            }
        } else {
            self.message(id, value, path, found);
        }
    }
}
