//! Edits of the values in a document's text: the change is there, and everything else is as its
//! author wrote it (experience UX-28).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tandem_config::edit::{CHANGES_MOST, EditFault, add_namespace, set_values, values_of};

/// `changes` is an object; null takes a field out.
fn set(text: &str, changes: Value) -> Result<String, EditFault> {
    let Value::Object(changes) = changes else { panic!("{changes}") };
    let changes: BTreeMap<String, Option<Value>> = changes
        .into_iter()
        .map(|(field, value)| (field, (!value.is_null()).then_some(value)))
        .collect();
    set_values(text, "p.A", &changes)
}

fn check(text: &str, changes: Value, expected: &str) {
    let edited = set(text, changes.clone()).unwrap_or_else(|fault| panic!("{fault}:\n{text}"));
    assert_eq!(edited, expected, "{changes} in:\n{text}\ngave:\n{edited}");
}

const BLOCK: &str = "\
# The shop.
namespace: shop   # its name
settings:
  p.A:
    # What the managers change.
    values:
      max: 20          # in percent
      # Two of them.
      hidden:
        - a            # first
        - b
      limits: { per_day: 5, per_week: 20 } # both

      note: |
        Two
        lines.
    access: { max: [user:pm] }
# The end.
methods: { p.A/*: {} }
";

#[test]
fn a_value_changes_and_nothing_else_does() {
    check(BLOCK, json!({ "max": 30 }), &BLOCK.replace("max: 20 ", "max: 30 "));
    let changed = BLOCK.replace("per_day: 5", "per_day: 6");
    check(BLOCK, json!({ "limits.per_day": 6 }), &changed);
    check(BLOCK, json!({ "limits": { "per_day": 6, "per_week": 20 } }), &changed);
    let list = "hidden:\n        - a            # first\n        - b\n";
    check(BLOCK, json!({ "hidden": ["a", "c d"] }), &BLOCK.replace(list, "hidden: [a, \"c d\"]\n"));
    let note = "note: |\n        Two\n        lines.\n";
    check(BLOCK, json!({ "note": "One." }), &BLOCK.replace(note, "note: \"One.\"\n"));
    check(BLOCK, json!({ "max": 20 }), BLOCK);
    check(BLOCK, json!({ "max": "twenty" }), &BLOCK.replace("max: 20 ", "max: twenty "));
}

#[test]
fn a_field_that_is_new_stands_behind_the_others() {
    let line = "        lines.\n";
    check(BLOCK, json!({ "rate": 0.5 }), &BLOCK.replace(line, "        lines.\n      rate: 0.5\n"));
    let both = BLOCK.replace("per_week: 20 }", "per_week: 20, per_year: 99 }");
    check(BLOCK, json!({ "limits.per_year": 99 }), &both);
    let new = BLOCK.replace(line, "        lines.\n      in:\n        deep:\n          er: true\n");
    check(
        BLOCK,
        json!({ "in.deep.er": true }),
        &new.replace(
            "      in:\n        deep:\n          er: true\n",
            "      in: { deep: { er: true } }\n",
        ),
    );
}

#[test]
fn a_field_that_is_taken_out_takes_its_lines_and_no_others() {
    let max = "      max: 20          # in percent\n";
    check(BLOCK, json!({ "max": null }), &BLOCK.replace(max, ""));
    let hidden = "      hidden:\n        - a            # first\n        - b\n";
    check(BLOCK, json!({ "hidden": null }), &BLOCK.replace(hidden, ""));
    let note = "      note: |\n        Two\n        lines.\n";
    check(BLOCK, json!({ "note": null }), &BLOCK.replace(note, ""));
    check(BLOCK, json!({ "limits.per_day": null }), &BLOCK.replace("per_day: 5, ", ""));
    check(BLOCK, json!({ "limits.per_week": null }), &BLOCK.replace(", per_week: 20", ""));
    check(
        BLOCK,
        json!({ "limits.per_week": null, "limits.per_day": null }),
        &BLOCK.replace("{ per_day: 5, per_week: 20 }", "{}"),
    );
    check(BLOCK, json!({ "nowhere": null, "limits.nowhere.at_all": null, "x.y": null }), BLOCK);
}

#[test]
fn groups_that_are_missing_are_made() {
    let all = "settings:\n  p.A:\n    values:\n      max: 20\n";
    for text in
        ["a: 1\n", "a: 1", "a: 1\nsettings:\n", "a: 1\nsettings: {}\n", "a: 1\nsettings:\n  p.A:\n"]
    {
        check(text, json!({ "max": 20 }), &format!("a: 1\n{all}"));
    }
    check(
        "settings: # S\n  p.A: # A\n",
        json!({ "max": 20 }),
        "settings: # S\n  p.A: # A\n    values:\n      max: 20\n",
    );
    check(
        "settings:\n    p.A:\n        values: {}\n# end\n",
        json!({ "max": 20, "on": false }),
        "settings:\n    p.A:\n        values:\n            max: 20\n            \"on\": false\n# end\n",
    );
    check(
        "settings:\n  p.A:\n    access: {}\n  p.B: {}\nb: 1\n",
        json!({ "max": 20 }),
        "settings:\n  p.A:\n    access: {}\n    values:\n      max: 20\n  p.B: {}\nb: 1\n",
    );
    check(
        "settings: { p.B: {} }",
        json!({ "max": 1 }),
        "settings: { p.B: {}, p.A: { values: { max: 1 } } }",
    );
    check(
        "settings: { p.A: { values: } }",
        json!({ "max": 1 }),
        "settings: { p.A: { values: { max: 1 } } }",
    );
    check(
        "settings: { p.A: null }",
        json!({ "max": 1 }),
        "settings: { p.A: { values: { max: 1 } } }",
    );
    check(
        "settings:\r\n  p.B: {}\r\nb: 1\r\n",
        json!({ "max": 1 }),
        "settings:\r\n  p.B: {}\r\n  p.A:\r\n    values:\r\n      max: 1\r\nb: 1\r\n",
    );
}

#[test]
fn the_last_field_leaves_an_empty_group_which_takes_the_next() {
    let with = "settings:\n  p.A:\n    values:\n      max: 20 # why\n    require: all\n";
    let without = "settings:\n  p.A:\n    values: {} # why\n    require: all\n";
    check(with, json!({ "max": null }), without);
    check(
        without,
        json!({ "max": 20 }),
        "settings:\n  p.A:\n    values: { max: 20 } # why\n    require: all\n",
    );
    let noted = "settings:\n  p.A:\n    values:\n      # why\n      max: 20\n    require: all\n";
    check(noted, json!({ "max": null }), &noted.replace("max: 20", "{}"));
}

#[test]
fn json_stays_json() {
    let json = "{\"settings\": {\"p.A\": {\"values\": {\"max\": 20, \"on\": true}}}}\n";
    check(json, json!({ "max": 30 }), &json.replace("20", "30"));
    check(json, json!({ "yes": "no" }), &json.replace("true", "true, \"yes\": \"no\""));
    check(json, json!({ "on": null }), &json.replace(", \"on\": true", ""));
    check(json, json!({ "max": null }), &json.replace("\"max\": 20, ", ""));
    check("{}", json!({ "max": 1 }), "{\"settings\": {\"p.A\": {\"values\": {\"max\": 1}}}}");
    let pretty = "{\n  \"settings\": {\n    \"p.A\": {\n      \"values\": {\n        \"max\": 20,\n        \"on\": true\n      }\n    }\n  }\n}\n";
    check(
        pretty,
        json!({ "new": [1] }),
        &pretty.replace("true\n", "true,\n        \"new\": [1]\n"),
    );
    check(pretty, json!({ "on": null }), &pretty.replace(",\n        \"on\": true", ""));
    check(pretty, json!({ "max": null }), &pretty.replace("        \"max\": 20,\n", ""));
}

#[test]
fn comments_between_braces_stay() {
    let text = "settings: { p.A: { values: {\n  # one\n  max: 1, # first\n  # two\n  on: true, # second\n  off: false # third\n} } }\n";
    check(text, json!({ "max": null }), &text.replace("max: 1, # first", "# first"));
    check(text, json!({ "on": null }), &text.replace("on: true, # second", "# second"));
    check(
        text,
        json!({ "off": null }),
        &text.replace("true, # second\n  off: false #", "true # second\n   #"),
    );
    check(
        text,
        json!({ "new": 1 }),
        &text
            .replace("off: false # third", "off: false,\n  # one\n  new: 1 # third")
            .replace(",\n  # one\n  new", ", new"),
    );
}

#[test]
fn values_that_look_like_something_else_mean_themselves() {
    for value in [
        json!("yes"),
        json!("null"),
        json!("1"),
        json!("~"),
        json!(""),
        json!(" a"),
        json!("a: b"),
        json!("a #b"),
        json!("*a"),
        json!("\u{85}\u{2028}\u{7f}\u{feff}\n\t\"'\\"),
        json!("ä€😀"),
        json!(-0.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!([[], {}, [{ "yes": null, "a b": "no" }]]),
        json!({ "": 1, "1": 2, "a:": 3, "#": 4 }),
        json!("store"),
        json!("0x10"),
        json!("1_000"),
        json!("NaN"),
    ] {
        for text in [BLOCK, "{}", "settings: { p.A: { values: { max: 0, } } }"] {
            let edited = set(text, json!({ "max": value })).unwrap();
            assert_eq!(values_of(&edited, "p.A").unwrap()["max"], value, "{edited}");
        }
    }
}

#[test]
fn what_cannot_be_changed_by_one_value_is_written_anew_or_refused() {
    // The values stand elsewhere: here they are written out.
    let alias = "b: &b { max: 1 } # b\nsettings:\n  p.A:\n    values: *b # all\n";
    check(
        alias,
        json!({ "max": 2 }),
        "b: &b { max: 1 } # b\nsettings:\n  p.A:\n    values: { max: 2 } # all\n",
    );
    // Others use what is here.
    let anchor = "settings:\n  p.A:\n    values: &b\n      max: 1\n  p.B:\n    values: *b\n";
    assert_eq!(set(anchor, json!({ "max": 2 })), Err(EditFault::NotEditable));
    let one = "settings:\n  p.A:\n    values:\n      max: &m 1\n      min: *m\n";
    assert_eq!(
        set(one, json!({ "max": 2 })).map(|text| values_of(&text, "p.A").unwrap()["min"].clone()),
        Ok(json!(1))
    );
}

#[test]
fn what_is_no_document_and_what_is_no_field_is_said() {
    assert_eq!(set("a: [", json!({ "max": 1 })), Err(EditFault::NoDocument));
    assert_eq!(set("a: 1\na: 2\n", json!({ "max": 1 })), Err(EditFault::NoDocument));
    assert_eq!(
        set("settings: 1\n", json!({ "max": 1 })),
        Err(EditFault::NoGroup("settings".into()))
    );
    assert_eq!(set(BLOCK, json!({ "max.most": 1 })), Err(EditFault::NoGroup("max.most".into())));
    assert_eq!(set(BLOCK, json!({ "hidden[0]": 1 })), Err(EditFault::NoField("hidden[0]".into())));
    assert_eq!(set(BLOCK, json!({ "": 1 })), Err(EditFault::NoField("".into())));
    let many = |count: usize| (0..count).map(|n| (format!("f{n}"), json!(1))).collect::<Value>();
    assert_eq!(set(BLOCK, many(CHANGES_MOST + 1)), Err(EditFault::TooMany));
    assert_eq!(
        values_of(&set(BLOCK, many(CHANGES_MOST)).unwrap(), "p.A").unwrap().len(),
        CHANGES_MOST + 4
    );
    let large = json!({ "max": "x".repeat(1024 * 1024) });
    assert_eq!(set(BLOCK, large), Err(EditFault::TooLarge));
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(set(BLOCK, json!({ "max": deep })), Err(EditFault::NotEditable));
}

#[test]
fn a_namespace_is_put_behind_the_others_and_nothing_else_is_touched() {
    let add = |text: &str| add_namespace(text, "new", &json!({ "may": { "paths": ["/**"] } }));
    let line = "new: { may: { paths: [\"/**\"] } }";
    let block =
        "format: 1\n# who\nnamespaces:\n  a: # first\n    may: { loopback: true }\n\nthreads: 2\n";
    let expected = block.replace("\n\nthreads", &format!("\n  {line}\n\nthreads"));
    assert_eq!(add(block), Ok(Some(expected)));
    assert_eq!(add("format: 1\n"), Ok(Some(format!("format: 1\nnamespaces:\n  {line}\n"))));
    let flow = "{ format: 1, namespaces: { a: {} } }\n";
    assert_eq!(add(flow), Ok(Some(flow.replace("a: {}", &format!("a: {{}}, {line}")))));
    // One of that name stays as it is, and what is shared is not written to.
    assert_eq!(add("namespaces:\n  new: {}\n"), Ok(None));
    let shared = "limits: &all {}\nnamespaces: *all\n";
    assert_eq!(add(shared), Err(EditFault::NotEditable));
    assert!(add("- a list\n").is_err());
}
