//! What changed between two texts of a document, by the paths of their keys.
//!
//! Written form does not count: comments, order of keys, quotes and flow style make no
//! difference. Secrets are references in a document, so none can show here.
//!
//! Not here: whether a change may be made (`crate::check`, `crate::access`).

use std::collections::BTreeMap;
use std::fmt;

use crate::access::{ObjectId, ObjectKind};
use crate::source::{Node, Step, Trail, Value};
use crate::store::Scope;
use crate::yaml;

/// One path whose value differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// `methods["a.B/C"].primary`.
    pub path: String,
    /// As JSON; `None` where nothing stands there.
    pub before: Option<String>,
    pub after: Option<String>,
}

impl fmt::Display for DiffLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DiffLine { path, before, after } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "~ {path}: {before} → {after}"),
            (Some(before), None) => write!(f, "- {path}: {before}"),
            (None, Some(after)) => write!(f, "+ {path}: {after}"),
            (None, None) => write!(f, "  {path}"),
        }
    }
}

/// A text that is neither YAML nor JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} text is no document")]
pub struct NoDocument(pub &'static str);

/// The lines by which the texts differ, in the order of their paths; changes of a `primary`, which
/// move traffic, come first (experience UX-26).
///
/// # Errors
/// A text that is no document.
pub fn diff(before: &str, after: &str) -> Result<Vec<DiffLine>, NoDocument> {
    let mut lines: Vec<(bool, DiffLine)> = changes(before, after)?
        .into_iter()
        .map(|(path, before, after)| {
            let moves = path.last().is_some_and(|step| *step == Part::Key("primary".to_owned()));
            let steps: Vec<Step<'_>> = path.iter().map(Part::step).collect();
            (!moves, DiffLine { path: Trail(&steps).to_string(), before, after })
        })
        .collect();
    lines.sort_by_key(|(rank, _)| *rank);
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

/// The settings fields that differ (`Service/field`); `None` where anything else does as well, or
/// a text is no document.
pub(crate) fn settings_fields(scope: &Scope, before: &str, after: &str) -> Option<Vec<ObjectId>> {
    let mut fields = Vec::new();
    for (path, before, after) in changes(before, after).ok()? {
        if is_empty_group(&path, before.as_deref(), after.as_deref()) {
            continue;
        }
        let [Part::Key(settings), Part::Key(service), Part::Key(values), Part::Key(field), ..] =
            path.as_slice()
        else {
            return None;
        };
        if settings != "settings" || values != "values" {
            return None;
        }
        let name = format!("{service}/{field}");
        let object = ObjectId::named(ObjectKind::SettingsField, scope, name);
        if !fields.contains(&object) {
            fields.push(object);
        }
    }
    Some(fields)
}

/// Whether only the empty group differs in which the first field was written, or that the last one
/// left behind.
fn is_empty_group(path: &[Part], before: Option<&str>, after: Option<&str>) -> bool {
    let empty = |value: Option<&str>| matches!(value, Some("{}" | "null"));
    let key = |part: &Part, name: &str| matches!(part, Part::Key(key) if key == name);
    match path {
        [settings] | [settings, _] => key(settings, "settings") && empty(before) && after.is_none(),
        [settings, _, values] => {
            let none_or_empty = |value: Option<&str>| value.is_none() || empty(value);
            key(settings, "settings")
                && key(values, "values")
                && none_or_empty(before)
                && none_or_empty(after)
        }
        _ => false,
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Key(String),
    Index(usize),
}

impl Part {
    fn step(&self) -> Step<'_> {
        match self {
            Part::Key(name) => Step::Key(name),
            Part::Index(index) => Step::Index(*index),
        }
    }
}

type Changed = (Vec<Part>, Option<String>, Option<String>);

fn changes(before: &str, after: &str) -> Result<Vec<Changed>, NoDocument> {
    let mut before = leaves(before).ok_or(NoDocument("older"))?;
    let after = leaves(after).ok_or(NoDocument("newer"))?;
    let mut changed: Vec<Changed> = Vec::new();
    for (path, value) in after {
        match before.remove(&path) {
            Some(old) if old == value => {}
            old => changed.push((path, old, Some(value))),
        }
    }
    changed.extend(before.into_iter().map(|(path, old)| (path, Some(old), None)));
    changed.sort();
    Ok(changed)
}

/// Every value that holds no other, by its path; empty groups and lists among them.
fn leaves(text: &str) -> Option<BTreeMap<Vec<Part>, String>> {
    if text.len() > yaml::INPUT_BYTES_MAX {
        return None;
    }
    let root = yaml::parse(text).ok()?;
    let mut found = BTreeMap::new();
    collect(text, &root, &mut Vec::new(), &mut found);
    Some(found)
}

/// The depth is bounded by the budget of `yaml`.
fn collect(text: &str, node: &Node, path: &mut Vec<Part>, found: &mut BTreeMap<Vec<Part>, String>) {
    let shown = match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                path.push(Part::Key(key.text.clone()));
                collect(text, value, path, found);
                path.pop();
            }
            return;
        }
        Value::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                path.push(Part::Index(index));
                collect(text, item, path, found);
                path.pop();
            }
            return;
        }
        Value::Map(_) => "{}".to_owned(),
        Value::List(_) => "[]".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(_) => text.get(node.span.clone()).unwrap_or_default().to_owned(),
        Value::Text(value) => serde_json::Value::from(value.as_str()).to_string(),
    };
    found.insert(path.clone(), shown);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(before: &str, after: &str) -> Vec<String> {
        diff(before, after).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_document_written_otherwise_does_not_differ() {
        let block = "a:\n  b: 1 # why\n  c: [x, y]\nd: true\n";
        let flow = "{\"d\": true, \"a\": {\"c\": [\"x\", 'y'], \"b\": 1}}";
        assert_eq!(lines(block, flow), [""; 0]);
        assert_eq!(lines(block, block), [""; 0]);
    }

    #[test]
    fn experience_ux_26_a_changed_primary_is_the_first_line() {
        let before = "hosts: [a.b]\nmethods: { a.B/C: { primary: go, internal: true } }\n";
        let after = "hosts: [a.c, a.d]\nmethods: { a.B/C: { primary: rust, auth: {} } }\n";
        assert_eq!(
            lines(before, after),
            [
                "~ methods[\"a.B/C\"].primary: \"go\" → \"rust\"",
                "~ hosts[0]: \"a.b\" → \"a.c\"",
                "+ hosts[1]: \"a.d\"",
                "+ methods[\"a.B/C\"].auth: {}",
                "- methods[\"a.B/C\"].internal: true",
            ]
        );
    }

    #[test]
    fn a_text_is_not_the_number_that_looks_like_it() {
        assert_eq!(lines("a: 1", "a: \"1\""), ["~ a: 1 → \"1\""]);
        assert_eq!(lines("a: 1.50", "a: 1.5"), ["~ a: 1.50 → 1.5"]);
        assert_eq!(diff("a: [", "a: 1"), Err(NoDocument("older")));
        assert_eq!(diff("a: 1", "a: ["), Err(NoDocument("newer")));
    }

    #[test]
    fn security_rb_10_a_change_of_settings_values_alone_names_its_fields() {
        let shop = Scope::namespace("shop").unwrap();
        let with = |values: &str, rest: &str| {
            format!("namespace: shop\nsettings: {{ a.B: {{ values: {{ {values} }} }} }}\n{rest}")
        };
        let fields = |before: &str, after: &str| {
            let fields = settings_fields(&shop, before, after);
            fields.map(|fields| fields.into_iter().map(|field| field.name).collect::<Vec<_>>())
        };
        let before = with("discount: 20, hidden: [x, y]", "");
        let check = |after: &str, expected: Option<&[&str]>| {
            let found = fields(&before, after);
            let found =
                found.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{after}");
        };
        check(&with("discount: 30, hidden: [x, y]", ""), Some(&["a.B/discount"]));
        check(&with("discount: 30, hidden: [z]", ""), Some(&["a.B/discount", "a.B/hidden"]));
        check(&with("hidden: [x, y]", ""), Some(&["a.B/discount"]));
        check(&before, Some(&[]));
        // Anything beside the values is more than a field.
        check(&with("discount: 30, hidden: [x, y]", "hosts: [a.b]"), None);
        check("namespace: shop\n", Some(&["a.B/discount", "a.B/hidden"]));
        check("namespace: shop\nsettings: { a.B: { require: all } }", None);
        // The group that the first field is written in, and that the last one leaves behind.
        check(&with("", ""), Some(&["a.B/discount", "a.B/hidden"]));
        let from = |before: &str| fields(before, &with("discount: 1", ""));
        let discount = Some(vec!["a.B/discount".to_owned()]);
        for empty in ["{}", "{ a.B: }", "{ a.B: {} }", "{ a.B: { values: } }"] {
            assert_eq!(from(&format!("namespace: shop\nsettings: {empty}\n")), discount, "{empty}");
        }
        assert_eq!(from("namespace: shop\nsettings: { a.B: [] }\n"), None);
        assert_eq!(from("namespace: shop\nsettings: { a.B: { values: 1 } }\n"), None);
        // An entry of another service is more than a field, however empty.
        assert_eq!(fields(&before, &before.replace("a.B:", "a.C: {}, a.B:")), None);
    }

    #[test]
    fn security_rb_10_who_was_given_a_field_publishes_that_field_and_nothing_else() {
        use std::collections::BTreeSet;

        use crate::access::{Claims, Identity, Membership, Who};
        use crate::history::{Checked, History};
        use crate::probe::{act, owner};
        use crate::store::Memory;

        let (store, shop) = (Memory::new(), Scope::namespace("shop").unwrap());
        let who = Who::parse("user:pm").unwrap();
        let mut membership = Membership::new();
        let field = ObjectId::named(ObjectKind::SettingsField, &shop, "a.B/discount");
        membership.open_field(&who, field);
        let identity = Identity { who, groups: BTreeSet::new(), platform_admin: false };
        let manager = membership.principal(&identity);
        let publish = |who: &crate::access::Principal, values: &str, read| {
            let text =
                format!("namespace: shop\nsettings: {{ a.B: {{ values: {{ {values} }} }} }}\n");
            let checked = Checked::for_tests(&shop, &text, Claims::default());
            History::new(&store).publish(act(who), &checked, read).is_ok()
        };
        // The first version is nobody's field.
        assert!(!publish(&manager, "discount: 30, hidden: 1", 0));
        assert!(publish(&owner("shop"), "discount: 20, hidden: 1", 0));
        assert!(publish(&manager, "discount: 30, hidden: 1", 1));
        assert!(!publish(&manager, "discount: 40, hidden: 2", 2));
        assert!(!publish(&manager, "discount: 30, hidden: 2", 2));
        assert!(!publish(&manager, "discount: 30, hidden: 1", 2), "nothing is no change");
    }
}
