//! The JSON Schemas for editors, held against the readers and against real files.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};
use tandem_config::load::from_texts;
use tandem_config::{Problem, Tnd, schema};

/// A key that nobody knows and that is near to none.
const STRANGE: &str = "qqqqqqqq";

/// A step from the root of a document to a group of keys.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    FirstOfList,
}

/// The document in which only `value` stands, at `path`; and the address of a listener, which is
/// read no further without one.
fn nested(path: &[Step], value: Value) -> Value {
    path.iter().rev().fold(value, |value, step| match step {
        Step::Key(key) if ["offer", "trust"].contains(&key.as_str()) => {
            json!({ key: value, "address": "127.0.0.1:0" })
        }
        Step::Key(key) => json!({ key: value }),
        Step::FirstOfList => json!([value]),
    })
}

/// What the readers say of a document of the kind.
fn problems(kind: Kind, document: &Value) -> Vec<Problem> {
    let text = document.to_string();
    let read = match kind {
        Kind::Tandem => from_texts(&text, &[]),
        Kind::Namespace => {
            let platform = "format: 1\nlisten: { public: { address: 127.0.0.1:0 } }\n";
            from_texts(platform, &[("teams/it.yaml", &text)])
        }
    };
    read.err().unwrap_or_default()
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Tandem,
    Namespace,
}

impl Kind {
    fn schema(self) -> Value {
        let text = match self {
            Kind::Tandem => schema::TANDEM,
            Kind::Namespace => schema::NAMESPACE,
        };
        serde_json::from_str(text).unwrap()
    }
}

fn resolved<'a>(root: &'a Value, mut node: &'a Value) -> &'a Value {
    while let Some(reference) = node["$ref"].as_str() {
        node = root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| {
            panic!("{reference} leads nowhere");
        });
    }
    node
}

/// Every group of keys of the schema: where it stands, its own keys, and a name where any key may
/// stand.
fn groups(root: &Value, node: &Value, path: &[Step], out: &mut Vec<(Vec<Step>, BTreeSet<String>)>) {
    assert!(path.len() < 16, "a schema that goes round: {path:?}");
    let node = resolved(root, node);
    for part in node["anyOf"].as_array().into_iter().flatten() {
        groups(root, part, path, out);
    }
    if node.get("items").is_some() {
        groups(root, &node["items"], &[path, &[Step::FirstOfList]].concat(), out);
    }
    let properties = node["properties"].as_object();
    let below = |key: &str| [path, &[Step::Key(key.to_owned())]].concat();
    for (key, value) in properties.into_iter().flatten() {
        groups(root, value, &below(key), out);
    }
    match &node["additionalProperties"] {
        // Any name: one that is good for a listener, a namespace, an upstream, a method.
        any @ Value::Object(_) => {
            let name =
                if path.last() == Some(&Step::Key("methods".into())) { "a.B/C" } else { "it" };
            groups(root, any, &below(name), out);
        }
        Value::Bool(false) => {
            let keys = properties.into_iter().flatten().map(|(key, _)| key.clone()).collect();
            out.push((path.to_vec(), keys));
        }
        _ => {}
    }
}

/// The keys that the reader names where it meets a strange one.
fn known(kind: Kind, path: &[Step]) -> BTreeSet<String> {
    let problems = problems(kind, &nested(path, json!({ STRANGE: 1 })));
    let told = problems
        .iter()
        .find(|problem| problem.code == Tnd::UnknownKey && problem.path.ends_with(STRANGE))
        .unwrap_or_else(|| panic!("{kind:?} {path:?}: nobody reads there: {problems:#?}"));
    let (_, names) = told.fix.split_once("known here are ").unwrap();
    names.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn experience_ux_38_every_key_that_is_read_is_in_the_schema_and_no_other() {
    for kind in [Kind::Tandem, Kind::Namespace] {
        let root = kind.schema();
        let mut all = Vec::new();
        groups(&root, &root, &[], &mut all);
        assert!(all.len() > 10, "{kind:?}");
        for (path, keys) in all {
            let known = known(kind, &path);
            let invented: Vec<_> = keys.difference(&known).collect();
            assert!(invented.is_empty(), "{kind:?} {path:?}: nobody reads {invented:?}");
            for missing in known.difference(&keys) {
                // A key of a later version, or one that belongs elsewhere: never taken.
                let document = nested(&path, json!({ missing: {} }));
                let refused = problems(kind, &document).into_iter().any(|problem| {
                    problem.path.ends_with(missing.as_str())
                        && matches!(problem.code, Tnd::NotBuiltIn | Tnd::WrongType)
                });
                assert!(refused, "{kind:?} {path:?}: the schema does not know `{missing}`");
            }
        }
    }
}

/// Whether `value` is what `node` asks for; as much of JSON Schema as ours use.
fn fits(root: &Value, node: &Value, value: &Value) -> Result<(), String> {
    let node = resolved(root, node);
    if let Some(parts) = node["anyOf"].as_array() {
        let mut told = String::new();
        for part in parts {
            match fits(root, part, value) {
                Ok(()) => return Ok(()),
                Err(why) => told = why,
            }
        }
        return Err(told);
    }
    if let Some(values) = node["enum"].as_array()
        && !values.contains(value)
    {
        return Err(format!("{value} is none of {values:?}"));
    }
    if let Some(only) = node.get("const")
        && only != value
    {
        return Err(format!("{value} is not {only}"));
    }
    let good = match node["type"].as_str() {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        Some(other) => return Err(format!("the schema has a type `{other}`")),
    };
    if !good {
        return Err(format!("{value} is no {}", node["type"]));
    }
    for item in value.as_array().into_iter().flatten() {
        if node.get("items").is_some() {
            fits(root, &node["items"], item)?;
        }
    }
    let empty = Map::new();
    let object = value.as_object().unwrap_or(&empty);
    for needed in node["required"].as_array().into_iter().flatten() {
        if value.is_object() && !object.contains_key(needed.as_str().unwrap()) {
            return Err(format!("{needed} is missing"));
        }
    }
    for (key, value) in object {
        let told = match (&node["properties"][key], &node["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => Err(format!("unknown key {key}")),
            (Value::Null, Value::Object(_)) => fits(root, &node["additionalProperties"], value),
            (Value::Null, _) => Ok(()),
            (property, _) => fits(root, property, value),
        };
        told.map_err(|why| format!("{key}: {why}"))?;
    }
    Ok(())
}

/// YAML as the value that an editor holds against a schema.
fn value_of(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn experience_ux_38_the_examples_fit_the_schemas() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let read = |path: &Path| value_of(&std::fs::read_to_string(path).unwrap());
    let tandem = Kind::Tandem.schema();
    assert_eq!(fits(&tandem, &tandem, &read(&examples.join("tandem.yaml"))), Ok(()));
    let namespace = Kind::Namespace.schema();
    let mut count = 0;
    for entry in std::fs::read_dir(examples.join("teams")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            assert_eq!(fits(&namespace, &namespace, &read(&path)), Ok(()), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 3);
}

#[test]
fn what_an_editor_should_mark_does_not_fit() {
    let check = |kind: Kind, text: &str, word: &str| {
        let root = kind.schema();
        let told = fits(&root, &root, &value_of(text)).unwrap_err();
        assert!(told.contains(word), "{text}: {told}");
    };
    let listen = "listen: { public: { address: 127.0.0.1:0 } }";
    check(Kind::Tandem, listen, "\"format\" is missing");
    check(Kind::Tandem, &format!("format: 2\n{listen}"), "2 is not 1");
    check(Kind::Tandem, &format!("format: 1\n{listen}\nlimts: {{}}"), "unknown key limts");
    check(Kind::Tandem, &format!("format: 1\n{listen}\nlimits: {{ unary: 15 }}"), "15 is no");
    let team = "namespace: a\ncontract: { reflection: go }\nupstreams: { go: { address: h:1 } }\n";
    check(Kind::Namespace, team, "\"methods\" is missing");
    let defaults = |rest: &str| format!("{team}methods: {{}}\ndefaults: {{ {rest} }}\n");
    check(Kind::Namespace, &defaults("auth: { public: false }"), "false is not true");
    check(Kind::Namespace, &defaults("deadline: 15"), "is no");
    check(Kind::Namespace, &defaults("rest: { trailing_slash: 405 }"), "405 is none of");
    check(Kind::Namespace, &defaults("mirror: some"), "mirror: \"some\" is no");
}
