//! Any split of the bytes gives the same messages, and the two readers agree.

use bytes::Bytes;
use tandem_protocol::coding::Coding;
use tandem_protocol::envelope::{Envelope, EnvelopeError, EnvelopeReader, Scanner};

const LIMIT: usize = 4096;

/// The first byte says how the rest is split.
pub(crate) fn check(data: &[u8]) {
    let Some((step, rest)) = data.split_first() else { return };
    let whole = read(rest, rest.len().max(1));
    let split = read(rest, usize::from(*step) + 1);
    assert_eq!(whole, split);
    match scan(rest, usize::from(*step) + 1, None) {
        // The reader leaves it to its user what compressed means.
        Err(EnvelopeError::Unnamed) => {}
        Err(_) => assert!(whole.1, "the reader sees the same fault"),
        Ok(end) => assert_eq!((false, end), (whole.1, whole.2)),
    }
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
        let split = scan(rest, usize::from(*step) + 1, Some(coding));
        let at_once = scan(rest, rest.len().max(1), Some(coding));
        assert_eq!(split.ok(), at_once.ok(), "{coding:?}");
    }
}

/// Whether the end is a lawful one.
fn scan(data: &[u8], step: usize, coding: Option<Coding>) -> Result<bool, EnvelopeError> {
    let mut scanner = Scanner::new(LIMIT).decoding(coding, 100);
    data.chunks(step).try_for_each(|part| scanner.pass(part))?;
    Ok(scanner.end().is_ok())
}

/// Messages, whether a fault came, whether the end is a lawful one.
fn read(data: &[u8], step: usize) -> (Vec<Envelope>, bool, bool) {
    let mut reader = EnvelopeReader::new(LIMIT);
    let mut messages = Vec::new();
    for part in data.chunks(step) {
        reader.push(Bytes::copy_from_slice(part));
        while let Some(message) = reader.next() {
            match message {
                Ok(message) => messages.push(message),
                Err(_) => return (messages, true, false),
            }
        }
    }
    let end = reader.end().is_ok();
    (messages, false, end)
}
