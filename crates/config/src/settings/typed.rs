//! Values as a document writes them: each field by its own name, each value of its field's type.
//!
//! The transcoder stops at its first fault. Here every field is given to it alone, so that all
//! faults of a document are found at once.
//!
//! Not here: rules (`hold`).

use serde_json::{Map, Value};
use tandem_contract::{Cardinality, Field, Kind, MessageId, WellKnown};
use tandem_transcode::{JsonOptions, Limits, Plans, wire_from_json};

use super::Violation;
use super::path::below;
use crate::source::cut;
use crate::suggest;

/// Notes what is no field of `message`, or not of its field's type. `values` were read within the
/// depth of a document.
pub(super) fn object(
    plans: &Plans,
    message: MessageId,
    values: &Map<String, Value>,
    path: &str,
    found: &mut Vec<Violation>,
) {
    let of = plans.contract().message(message);
    for (name, value) in values {
        match of.field_named(name) {
            None => found.push(unknown(plans, message, name, path)),
            Some((_, field)) if *field.name != **name => {
                found.push(Violation {
                    field: below(path, name),
                    rule: Violation::NAME.to_owned(),
                    must: format!("is written `{}` here", field.name),
                    nearest: Some(field.name.to_string()),
                });
            }
            Some((_, field)) => one(plans, message, field, value, &below(path, name), found),
        }
    }
}

fn unknown(plans: &Plans, message: MessageId, name: &str, path: &str) -> Violation {
    let of = plans.contract().message(message);
    let nearest = suggest::nearest(name, of.fields.iter().map(|field| &*field.name));
    let must = match nearest {
        Some(near) => {
            format!("is no field of `{}`; did you mean `{near}`?", cut(&of.full_name))
        }
        None => format!("is no field of `{}`", cut(&of.full_name)),
    };
    Violation {
        field: below(path, &cut(name)),
        rule: Violation::NAME.to_owned(),
        must,
        nearest: nearest.map(str::to_owned),
    }
}

/// The name of an enum that was meant.
fn nearest_name(plans: &Plans, field: &Field, value: &Value) -> Option<String> {
    let (Kind::Enum(id), Cardinality::Singular, Value::String(name)) =
        (field.kind, field.cardinality, value)
    else {
        return None;
    };
    let values = &plans.contract().enumeration(id).values;
    let nearest = suggest::nearest(name, values.iter().map(|(name, _)| &**name));
    nearest.map(|name| Value::from(name).to_string())
}

fn one(
    plans: &Plans,
    message: MessageId,
    field: &Field,
    value: &Value,
    path: &str,
    found: &mut Vec<Violation>,
) {
    let contract = plans.contract();
    let own = |id: MessageId| contract.message(id).well_known == WellKnown::No;
    let inner = match field.cardinality {
        Cardinality::Singular | Cardinality::Repeated => field.kind.message(),
        Cardinality::Map => {
            let entry = field.kind.message().map(|id| contract.message(id));
            let value = entry.and_then(|entry| entry.field_numbered(2));
            value.and_then(|(_, value)| value.kind.message())
        }
    };
    let inner = inner.filter(|id| own(*id));
    match (field.cardinality, inner, value) {
        (Cardinality::Singular, Some(inner), Value::Object(values)) => {
            return object(plans, inner, values, path, found);
        }
        (Cardinality::Repeated, Some(inner), Value::Array(items))
            if items.iter().all(Value::is_object) =>
        {
            for (index, values) in items.iter().enumerate() {
                let Value::Object(values) = values else { continue };
                object(plans, inner, values, &format!("{path}[{index}]"), found);
            }
            return;
        }
        (Cardinality::Map, Some(inner), Value::Object(entries))
            if entries.values().all(Value::is_object) =>
        {
            for (key, values) in entries {
                let Value::Object(values) = values else { continue };
                let path = format!("{path}[{}]", Value::from(key.as_str()));
                object(plans, inner, values, &path, found);
            }
            return;
        }
        _ => {}
    }
    let alone = Value::Object(Map::from_iter([(field.name.to_string(), value.clone())]));
    let read = JsonOptions::default();
    let text = alone.to_string();
    let wire = wire_from_json(plans, message, text.as_bytes(), &read, &Limits::default());
    if let Err(fault) = wire {
        // `limits[2]` of the field's JSON name: what stands behind it.
        let rest = fault.field.strip_prefix(&*field.json_name).unwrap_or("");
        let index = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let index = index.and_then(|index| index.parse::<usize>().ok());
        let place = index.map_or_else(|| path.to_owned(), |index| format!("{path}[{index}]"));
        found.push(Violation {
            field: place,
            rule: Violation::TYPE.to_owned(),
            must: format!("is refused: {}", cut(&fault.reason)),
            nearest: nearest_name(plans, field, value),
        });
    }
}
