//! Whether a `result.json` keeps its schema: what of JSON Schema that uses, and no more.

use serde_json::Value;
use tandem_judge::report::SCHEMA;

#[track_caller]
pub(crate) fn keeps(result: &Value) {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(faults(&schema, result, "$"), [""; 0]);
}

/// Types, required and known keys, enums.
fn faults(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let fits = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    };
    let right = match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(fits),
        name => fits(name),
    };
    let listed = schema["enum"].as_array().is_none_or(|values| values.contains(value));
    if !right || !listed || (!schema["const"].is_null() && schema["const"] != *value) {
        found.push(format!("{path}: {value} is not {}", schema["type"]));
    }
    if let Some(object) = value.as_object() {
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(key) {
                found.push(format!("{path} lacks {key}"));
            }
        }
        for (key, inner) in object {
            let of_key = match &schema["properties"][key] {
                Value::Null => &schema["additionalProperties"],
                of_key => of_key,
            };
            if of_key.is_null() {
                found.push(format!("{path}.{key} is in no schema"));
            } else {
                found.extend(faults(of_key, inner, &format!("{path}.{key}")));
            }
        }
    }
    for (place, inner) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(&schema["items"], inner, &format!("{path}[{place}]")));
    }
    found
}

#[test]
fn the_check_of_the_schema_can_fail() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert!(!faults(&schema, &serde_json::json!({ "schema": "other" }), "$").is_empty());
}
