//! One line of JSON for each call, written off the path.
//!
//! A data thread hands a line over and goes on; when the writer does not keep up, lines are
//! dropped and counted, never waited for.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::traces::Span;
use crate::tasks::Side;

/// Lines that may wait for the writer.
const WAITING_LINES: usize = 8192;

/// Where lines go in; cheap to clone.
#[derive(Clone)]
pub struct AccessLog {
    lines: Sender<String>,
    dropped: Arc<AtomicU64>,
}

impl AccessLog {
    /// Starts a writer on the side runtime that writes to `out` until the last clone is gone.
    pub fn start(side: &Side, out: Box<dyn Write + Send>) -> AccessLog {
        let (lines, taken) = channel(WAITING_LINES);
        side.start(write_lines(taken, out));
        AccessLog { lines, dropped: Arc::default() }
    }

    /// Lines that were dropped because the writer did not keep up.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn write(&self, span: &Span) {
        if self.lines.try_send(line(span)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn write_lines(mut taken: Receiver<String>, out: Box<dyn Write + Send>) {
    let mut out = std::io::BufWriter::new(out);
    let mut batch = Vec::new();
    while taken.recv_many(&mut batch, 256).await > 0 {
        // A full disk must not stop calls: the line is lost, the log says so once it can.
        let written = batch.drain(..).try_for_each(|line| out.write_all(line.as_bytes()));
        if let Err(error) = written.and_then(|()| out.flush()) {
            tracing::warn!(%error, "the access log cannot be written");
        }
    }
}

/// Strangers' text appears in the request id and the path template only, both of closed
/// alphabets; names are escaped all the same (security W-8).
fn line(span: &Span) -> String {
    let mut text = String::with_capacity(320);
    text.push_str("{\"time\":");
    text.push_str(&format!("{:.6}", span.started.as_secs_f64()));
    for (key, value) in [
        ("request_id", &*span.request_id),
        ("trace", &hex(&span.trace)),
        ("listener", &*span.listener),
        ("call", &*span.name),
        ("method", &*span.method),
        ("upstream", span.upstream.as_deref().unwrap_or("")),
        ("code", span.code.name()),
    ] {
        text.push_str(",\"");
        text.push_str(key);
        text.push_str("\":\"");
        escape(value, &mut text);
        text.push('"');
    }
    text.push_str(&format!(
        ",\"http_status\":{},\"sent_bytes\":{},\"took_ms\":{:.3},\"abandoned\":{}}}\n",
        span.http_status,
        span.sent_bytes,
        span.took.as_secs_f64() * 1e3,
        span.abandoned
    ));
    text
}

fn escape(value: &str, text: &mut String) {
    for letter in value.chars() {
        match letter {
            '"' | '\\' => {
                text.push('\\');
                text.push(letter);
            }
            letter if letter.is_control() => {
                text.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => text.push(letter),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_w_8_a_name_cannot_begin_a_new_line_or_a_new_field() {
        let mut text = String::new();
        escape("a\"b\\c\nd\u{1b}[0m", &mut text);
        assert_eq!(text, "a\\\"b\\\\c\\u000ad\\u001b[0m");
    }
}
