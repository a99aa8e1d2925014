//! Any split of the bytes gives the same messages, and the two readers agree.

use bytes::Bytes;
use tandem_protocol::envelope::{EnvelopeReader, Scanner};

const LIMIT: usize = 4096;

/// The first byte says how the rest is split.
pub(crate) fn check(data: &[u8]) {
    let Some((step, rest)) = data.split_first() else { return };
    let whole = read(rest, rest.len().max(1));
    let split = read(rest, usize::from(*step) + 1);
    assert_eq!(whole, split);
    let mut scanner = Scanner::new(LIMIT);
    let scanned = rest.chunks(usize::from(*step) + 1).try_for_each(|part| scanner.pass(part));
    assert_eq!(scanned.is_err(), whole.1, "the scanner sees the same fault");
    if scanned.is_ok() {
        assert_eq!(scanner.end().is_ok(), whole.2);
    }
}

/// Messages, whether a fault came, whether the end is a lawful one.
fn read(data: &[u8], step: usize) -> (Vec<Bytes>, bool, bool) {
    let mut reader = EnvelopeReader::new(LIMIT);
    let mut messages = Vec::new();
    for part in data.chunks(step) {
        reader.push(Bytes::copy_from_slice(part));
        while let Some(message) = reader.next() {
            match message {
                Ok(message) => messages.push(message.payload),
                Err(_) => return (messages, true, false),
            }
        }
    }
    let end = reader.end().is_ok();
    (messages, false, end)
}
