//! Any split of a body gives the same values, and none is lost or longer than the limit.

use bytes::Bytes;
use tandem_protocol::values::{Layout, Values, ValuesError};

const LIMIT: usize = 64;

/// The first byte says how the rest is split, the second how it is laid out.
pub(crate) fn check(data: &[u8]) {
    let [step, layout, body @ ..] = data else { return };
    let layout = match layout % 3 {
        0 => Layout::ArrayOrSequence,
        1 => Layout::Array,
        _ => Layout::Lines,
    };
    let whole = read(layout, body, body.len().max(1));
    assert_eq!(read(layout, body, usize::from(*step) + 1), whole);
    let (values, error) = whole;
    assert!(values.iter().all(|value| !value.is_empty() && value.len() <= LIMIT));
    // The values stand in the body in their order, with nothing but separators between them.
    let mut rest = body;
    for value in &values {
        let at = rest.windows(value.len()).position(|part| part == value);
        let at = at.expect("a value is a part of the body");
        assert!(rest[..at].iter().all(|byte| b" \t\r\n[,".contains(byte)), "{rest:?}");
        rest = &rest[at + value.len()..];
    }
    if error.is_none() {
        assert!(rest.iter().all(|byte| b" \t\r\n[]".contains(byte)), "{rest:?}");
    }
}

fn read(layout: Layout, body: &[u8], step: usize) -> (Vec<Bytes>, Option<ValuesError>) {
    let mut values = Values::new(layout, LIMIT);
    let mut found = Vec::new();
    for part in body.chunks(step) {
        values.push(part);
        while let Some(value) = values.next() {
            match value {
                Ok(value) => found.push(value),
                Err(error) => return (found, Some(error)),
            }
        }
    }
    match values.end() {
        Ok(last) => found.extend(last),
        Err(error) => return (found, Some(error)),
    }
    (found, None)
}
