//! The only place that prints: data on stdout, talk on stderr.

use std::io::Write as _;

/// Whether machines read the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// Says once whether what is printed may have colours.
pub(crate) fn colour(choice: anstream::ColorChoice) {
    choice.write_global();
}

/// Prints data. A reader that has gone away is no fault: `tandem … | head` ends quietly.
pub(crate) fn data(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Says something to the person.
pub(crate) fn talk(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = err.write_all(b"\n");
    }
}

/// Says how far something is, in the place of what was said so before; nothing clears it.
pub(crate) fn progress(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = write!(err, "\r\x1b[2K{text}");
    let _ = err.flush();
}
