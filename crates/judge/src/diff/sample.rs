//! Values as a report shows them: as text, cut, and not at all where the contract says so.

use tandem_contract::{Contract, Field, Kind};
use tandem_transcode::view::Value;

/// Bytes of one value in a sample (compare N-10).
pub(super) const SAMPLE_BYTES_MOST: usize = 4_096;

/// In the place of a value that is not to be shown.
pub(super) const REDACTED: &str = "(redacted)";

/// A value of `field`.
pub(super) fn text(contract: &Contract, field: &Field, value: &Value<'_>) -> String {
    let text = match value {
        Value::Signed(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Double(number) => format!("{number:?}"),
        Value::Text(text) => String::from_utf8_lossy(head(text)).into_owned(),
        Value::Bytes(bytes) => hex(bytes),
        Value::Enum(number) => match field.kind {
            Kind::Enum(id) => match contract.enumeration(id).name(*number) {
                Some(name) => name.to_owned(),
                None => number.to_string(),
            },
            _ => number.to_string(),
        },
        Value::Message(_, contents) => format!("({} bytes)", contents.len()),
    };
    cut(text)
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| {
        [byte >> 4, byte & 15].map(|nibble| char::from(b"0123456789abcdef"[usize::from(nibble)]))
    };
    // Two more digits than are shown, so that the cut is seen.
    let most = SAMPLE_BYTES_MOST / 2 + 1;
    cut(bytes.iter().take(most).flat_map(digits).collect())
}

/// What `cut` can make use of.
fn head(text: &[u8]) -> &[u8] {
    &text[..text.len().min(SAMPLE_BYTES_MOST + 4)]
}

pub(super) fn cut(mut text: String) -> String {
    if text.len() > SAMPLE_BYTES_MOST {
        let end = (0..=SAMPLE_BYTES_MOST).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}
