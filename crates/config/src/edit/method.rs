//! Rules of one method, changed at the method's own line.
//!
//! A line of a method replaces what its service's line and the defaults say of the same key, whole
//! (experience UX-25). So what is changed for one method is written at its own line, with what
//! held there before: no other method is judged by it.

use serde_json::{Map, Value};

use super::{Edit, EditFault, document, values_at};

/// `text` where differences of `path` in the answers of `method` (`package.Service/Method`) mean
/// nothing: it stands in the method's `same.ignore`. Without a change where it stands there already.
///
/// # Errors
/// As [`super::set_values`].
pub fn ignore(text: &str, method: &str, path: &str) -> Result<String, EditFault> {
    let mut same = match resolved(text, method, "same")? {
        Some(Value::Object(same)) => same,
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(EditFault::NoGroup("same".to_owned())),
    };
    let ignored = same.entry("ignore").or_insert(Value::Null);
    if ignored.is_null() {
        *ignored = Value::Array(Vec::new());
    }
    let Value::Array(ignored) = ignored else {
        return Err(EditFault::NoGroup("same.ignore".to_owned()));
    };
    if ignored.iter().any(|one| one == path) {
        return Ok(text.to_owned());
    }
    ignored.push(path.into());
    set(text, method, "same", Value::Object(same))
}

/// The paths that `text` declares to mean nothing in the answers of `method`.
///
/// # Errors
/// A text that is no document.
pub fn ignored(text: &str, method: &str) -> Result<Vec<String>, EditFault> {
    let same = resolved(text, method, "same")?.unwrap_or_default();
    let paths = same["ignore"].as_array().into_iter().flatten();
    Ok(paths.filter_map(|path| path.as_str().map(str::to_owned)).collect())
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
