//! Changes single keys in the text of a document, and leaves every other byte as its author wrote
//! it, comments included (experience UX-28): values of settings and rules of one method in a
//! team's, a namespace in the platform's.
//!
//! Nothing is believed of the edit: what comes out is read again and must say what the old document
//! said, with the change. Where a small edit does not, the whole group is written anew; where that
//! does not either (an anchor that is used elsewhere), the text is refused rather than changed by
//! guess.
//!
//! Not here: whether what is written is allowed (`crate::check`, `crate::settings`), publishing the
//! text (`crate::history`).

mod change;
mod method;
mod place;
mod render;

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::{Map, Number, Value};

pub use self::method::{Lawful, lawful, mirror};
use crate::settings::{Part, parts};
use crate::source::{Node, Value as Written, cut};
use crate::yaml;

/// Fields that are changed at once.
pub const CHANGES_MOST: usize = 256;

/// Why a text was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditFault {
    #[error("the text is no document")]
    NoDocument,
    /// Something else than a group stands on the way.
    #[error("`{0}` is no group of keys")]
    NoGroup(String),
    #[error("`{0}` names no field")]
    NoField(String),
    #[error("at most {CHANGES_MOST} fields are changed at once")]
    TooMany,
    #[error("the document would have more than {} bytes", yaml::INPUT_BYTES_MAX)]
    TooLarge,
    #[error("the document is written in a way that is not changed here; change it by hand")]
    NotEditable,
}

/// `text` with `changes` of the values of `service`: by field (`max_discount_percent`, or
/// `limits.per_day` inside of a message) the value that it has from now on, or `None`, which takes
/// it out. Groups that are missing are made; a field that is not there is taken out in silence.
///
/// # Errors
/// A text that is no document, paths that lead nowhere, a text that cannot be changed safely.
pub fn set_values(
    text: &str,
    service: &str,
    changes: &BTreeMap<String, Option<Value>>,
) -> Result<String, EditFault> {
    if changes.len() > CHANGES_MOST {
        return Err(EditFault::TooMany);
    }
    let trail = ["settings", service, "values"];
    let edit = Edit::of(text, &trail, |values| {
        changes.iter().try_for_each(|(path, value)| apply(values, path, value.as_ref()))
    })?;
    edit.small_or_whole()
}

/// The platform's document `text` with the namespace `name`, granted `grant`; `None` where it has
/// one of that name.
///
/// # Errors
/// A text that is no document, or that cannot be changed safely: the namespaces that are there are
/// never written anew.
pub fn add_namespace(text: &str, name: &str, grant: &Value) -> Result<Option<String>, EditFault> {
    let mut known = false;
    let edit = Edit::of(text, &["namespaces"], |namespaces| {
        known = namespaces.insert(name.to_owned(), grant.clone()).is_some();
        Ok(())
    })?;
    match known {
        true => Ok(None),
        false => edit.small().map(Some).ok_or(EditFault::NotEditable),
    }
}

/// A change of one group of a text, and what the text must say after it.
struct Edit<'a> {
    text: &'a str,
    trail: Vec<String>,
    before: Map<String, Value>,
    after: Map<String, Value>,
    expected: Value,
    /// A document that was JSON stays JSON.
    json: bool,
}

impl Edit<'_> {
    /// What `change` does to the group at `trail`, which is made where it is missing.
    fn of<'a>(
        text: &'a str,
        trail: &[&str],
        change: impl FnOnce(&mut Map<String, Value>) -> Result<(), EditFault>,
    ) -> Result<Edit<'a>, EditFault> {
        let mut expected = document(text)?;
        let before = values_at(&expected, trail)?;
        let mut after = before.clone();
        change(&mut after)?;
        if after != before {
            *group_at(&mut expected, trail)? = after.clone();
        }
        let trail = trail.iter().map(|name| (*name).to_owned()).collect();
        Ok(Edit { text, trail, before, after, expected, json: is_json(text) })
    }

    /// The text with the smallest steps, where they do what they should.
    fn small(&self) -> Option<String> {
        let mut steps = Vec::new();
        plan(&mut self.trail.clone(), &self.before, &self.after, &mut steps);
        // What goes, goes last: a group is not emptied that is written to.
        steps.sort_by_key(|(_, value)| value.is_none());
        if steps.len() > CHANGES_MOST {
            return None;
        }
        let mut edited = self.text.to_owned();
        for (path, value) in &steps {
            edited = change::one(&edited, path, value.as_ref(), self.json)?;
        }
        self.proven(edited)
    }

    /// The text with the smallest steps, else with the group written anew.
    fn small_or_whole(&self) -> Result<String, EditFault> {
        match self.small() {
            Some(edited) => Ok(edited),
            None => self.whole(),
        }
    }

    /// The text with the group written anew.
    fn whole(&self) -> Result<String, EditFault> {
        let whole = Value::Object(self.after.clone());
        let edited = change::one(self.text, &self.trail, Some(&whole), self.json);
        let edited = edited.ok_or(EditFault::NotEditable)?;
        if edited.len() > yaml::INPUT_BYTES_MAX {
            return Err(EditFault::TooLarge);
        }
        self.proven(edited).ok_or(EditFault::NotEditable)
    }

    fn proven(&self, edited: String) -> Option<String> {
        let fits = edited.len() <= yaml::INPUT_BYTES_MAX;
        let same = fits && document(&edited).is_ok_and(|document| document == self.expected);
        (same && (!self.json || is_json(&edited))).then_some(edited)
    }
}

/// What `text` says of the values of `service`; nothing where it says nothing.
///
/// # Errors
/// A text that is no document, or something else than a group on the way.
pub fn values_of(text: &str, service: &str) -> Result<Map<String, Value>, EditFault> {
    values_at(&document(text)?, &["settings", service, "values"])
}

/// A step of an edit: the keys from the root on, and what stands there afterwards.
type Step = (Vec<String>, Option<Value>);

/// The smallest steps from one group to the other; groups that both have are gone into.
fn plan(
    trail: &mut Vec<String>,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    steps: &mut Vec<Step>,
) {
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        steps.push(([&trail[..], std::slice::from_ref(name)].concat(), None));
    }
    for (name, value) in after {
        trail.push(name.clone());
        match (before.get(name), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => plan(trail, old, new, steps),
            (_, new) => steps.push((trail.clone(), Some(new.clone()))),
        }
        trail.pop();
    }
}

fn apply(
    values: &mut Map<String, Value>,
    path: &str,
    value: Option<&Value>,
) -> Result<(), EditFault> {
    let no_field = || EditFault::NoField(cut(path));
    let names = parts(path).into_iter().map(|part| match part {
        Part::Key(name) if !name.is_empty() => Ok(name),
        Part::Key(_) | Part::Index(_) => Err(no_field()),
    });
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let (last, above) = names.split_last().ok_or_else(no_field)?;
    let mut group = values;
    for name in above {
        if value.is_none() && !group.contains_key(name) {
            return Ok(());
        }
        let inner = group.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
        if inner.is_null() {
            *inner = Value::Object(Map::new());
        }
        group = inner.as_object_mut().ok_or_else(|| EditFault::NoGroup(cut(path)))?;
    }
    match value {
        Some(value) => drop(group.insert(last.clone(), value.clone())),
        None => drop(group.remove(last)),
    }
    Ok(())
}

/// The group at `trail`; an empty one where nothing stands.
fn values_at(document: &Value, trail: &[&str]) -> Result<Map<String, Value>, EditFault> {
    let mut at = document;
    for (index, name) in trail.iter().enumerate() {
        let no_group = || EditFault::NoGroup(trail[..index].join("."));
        match at.as_object().ok_or_else(no_group)?.get(*name) {
            None | Some(Value::Null) => return Ok(Map::new()),
            Some(inner) => at = inner,
        }
    }
    at.as_object().cloned().ok_or_else(|| EditFault::NoGroup(trail.join(".")))
}

/// The group at `trail`, made where nothing stands.
fn group_at<'a>(
    document: &'a mut Value,
    trail: &[&str],
) -> Result<&'a mut Map<String, Value>, EditFault> {
    let no_group = || EditFault::NoGroup(trail.join("."));
    let mut group = document.as_object_mut().ok_or_else(no_group)?;
    for name in trail {
        let inner = group.entry(*name).or_insert(Value::Null);
        if inner.is_null() {
            *inner = Value::Object(Map::new());
        }
        group = inner.as_object_mut().ok_or_else(no_group)?;
    }
    Ok(group)
}

/// What a text says, however it is written.
fn document(text: &str) -> Result<Value, EditFault> {
    if text.len() > yaml::INPUT_BYTES_MAX {
        return Err(EditFault::TooLarge);
    }
    let root = yaml::parse(text).map_err(|_| EditFault::NoDocument)?;
    value(&root).ok_or(EditFault::NoDocument)
}

/// `None` where a key stands twice. The depth is bounded by the budget of `yaml`.
fn value(node: &Node) -> Option<Value> {
    Some(match &node.value {
        Written::Null => Value::Null,
        Written::Bool(value) => (*value).into(),
        Written::Integer(number) => Number::from_i128(*number)?.into(),
        Written::Float(number) => Number::from_f64(*number)?.into(),
        Written::Text(text) => text.as_str().into(),
        Written::List(items) => items.iter().map(value).collect::<Option<Vec<_>>>()?.into(),
        Written::Map(entries) => {
            let mut group = Map::new();
            for (key, node) in entries {
                if group.insert(key.text.clone(), value(node)?).is_some() {
                    return None;
                }
            }
            group.into()
        }
    })
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}
