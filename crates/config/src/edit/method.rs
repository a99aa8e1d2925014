//! Rules of one method, changed at the method's own line.
//!
//! A line of a method replaces what its service's line and the defaults say of the same key, whole
//! (experience UX-25). So what is changed for one method is written at its own line, with what
//! held there before: no other method is judged by it.

use serde_json::{Map, Value};

use super::{Edit, EditFault, document, values_at};

/// What may be declared of a path of an answer by one act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lawful {
    /// Its differences mean nothing.
    Ignore,
    /// The order of the list means nothing.
    Unordered,
    /// The elements of the list find each other by this field.
    Keyed(String),
    /// Its numbers may lie so far apart, as it is written: `1e-9`, `3ulp`.
    Tolerance(String),
}

impl Lawful {
    /// `ignore`, `unordered`, `keyed=FIELD` or `tolerance=DISTANCE`; `None` for anything else.
    pub fn read(text: &str) -> Option<Lawful> {
        let value = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        match text.split_once('=') {
            None if text == "ignore" => Some(Lawful::Ignore),
            None if text == "unordered" => Some(Lawful::Unordered),
            Some(("keyed", field)) => value(field).map(Lawful::Keyed),
            Some(("tolerance", distance)) => value(distance).map(Lawful::Tolerance),
            None | Some(_) => None,
        }
    }
}

/// `text` where `lawful` holds for `path` in the answers of `method` (`package.Service/Method`): it
/// stands in the method's `same`. Without a change where it stands there already.
///
/// # Errors
/// As [`super::set_values`].
pub fn lawful(text: &str, method: &str, path: &str, lawful: &Lawful) -> Result<String, EditFault> {
    let mut same = match resolved(text, method, "same")? {
        Some(Value::Object(same)) => same,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(EditFault::NoGroup("same".to_owned())),
    };
    let (key, value) = match lawful {
        Lawful::Ignore => ("ignore", None),
        Lawful::Unordered => ("unordered", None),
        Lawful::Keyed(field) => ("keyed", Some(field)),
        Lawful::Tolerance(distance) => ("tolerance", Some(distance)),
    };
    let group = same.entry(key).or_insert(Value::Null);
    let fault = || EditFault::NoGroup(format!("same.{key}"));
    let new = match value {
        None => {
            if group.is_null() {
                *group = Value::Array(Vec::new());
            }
            let Value::Array(paths) = group else { return Err(fault()) };
            let new = paths.iter().all(|one| one != path);
            if new {
                paths.push(path.into());
            }
            new
        }
        Some(value) => {
            if group.is_null() {
                *group = Value::Object(Map::new());
            }
            let Value::Object(paths) = group else { return Err(fault()) };
            let value = Value::from(value.as_str());
            paths.insert(path.to_owned(), value.clone()) != Some(value)
        }
    };
    match new {
        true => set(text, method, "same", Value::Object(same)),
        false => Ok(text.to_owned()),
    }
}

/// `text` where calls of `method` are mirrored by the rule `mirror`, or not at all by `None`.
///
/// # Errors
/// As [`super::set_values`].
pub fn mirror(
    text: &str,
    method: &str,
    mirror: Option<&Map<String, Value>>,
) -> Result<String, EditFault> {
    let Some(changes) = mirror else {
        return set(text, method, "mirror", "none".into());
    };
    // What is not named stays as it was written.
    let mut rule = match resolved(text, method, "mirror")? {
        Some(Value::Object(rule)) => rule,
        None | Some(_) => Map::new(),
    };
    rule.extend(changes.clone());
    rule.retain(|_, value| !value.is_null());
    set(text, method, "mirror", Value::Object(rule))
}

/// What holds for `key` of a method: the most specific line that names it.
fn resolved(text: &str, method: &str, key: &str) -> Result<Option<Value>, EditFault> {
    let document = document(text)?;
    let service = method.split_once('/').map_or(method, |(service, _)| service);
    let whole = format!("{service}/*");
    for trail in [&["methods", method][..], &["methods", &whole], &["defaults"]] {
        if let Some(value) = values_at(&document, trail)?.remove(key) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn set(text: &str, method: &str, key: &str, value: Value) -> Result<String, EditFault> {
    let edit = Edit::of(text, &["methods", method], |rules| {
        rules.insert(key.to_owned(), value);
        Ok(())
    })?;
    edit.small_or_whole()
}
