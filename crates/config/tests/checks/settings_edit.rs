//! Any text, any field: an edit gives a document that says what the old one said, with the change,
//! or says that it cannot.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tandem_config::edit::{set_values, values_of};

/// The first line is a field, the second a value as JSON (empty: none); the rest is the document.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let (Some(field), Some(value), Some(text)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let value: Option<Value> = match value {
        "" => None,
        written => Some(serde_json::from_str(written).unwrap_or_else(|_| json!(written))),
    };
    let Ok(before) = values_of(text, "p.A") else { return };
    let changes = BTreeMap::from([(field.to_owned(), value.clone())]);
    let Ok(edited) = set_values(text, "p.A", &changes) else { return };
    let after = values_of(&edited, "p.A").expect("an edited document is one");
    // Of a single name it is seen here what must have come of it.
    if !field.contains(['.', '[']) {
        let mut expected = before;
        match &value {
            Some(value) => drop(expected.insert(field.to_owned(), value.clone())),
            None => drop(expected.remove(field)),
        }
        assert_eq!(after, expected, "{text:?} → {edited:?}");
    }
    // Nothing is left to be done.
    let again = set_values(&edited, "p.A", &changes).expect("what was written can be read");
    assert_eq!(again, edited);
    // Other services are left alone.
    assert_eq!(values_of(text, "p.B"), values_of(&edited, "p.B"));
}
