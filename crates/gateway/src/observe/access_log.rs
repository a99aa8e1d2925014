//! One line of JSON for each call, written off the path.
//!
//! A data thread hands a line over and goes on; when the writer does not keep up, lines are
//! dropped and counted, never waited for. The writer has a thread of its own, because writing
//! blocks: a pipe that nobody reads must hold up neither a call nor the side runtime, on which
//! connections are accepted. A line that cannot be written (a full disk, a closed pipe) is lost
//! and counted, and the next one is tried as if nothing had been.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tandem_config::document::Share;
use tandem_protocol::CallerProtocol;
use tandem_protocol::identity::hex;
use tandem_protocol::refusal::Reason;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;

use super::traces::Span;
use crate::cache::CacheUse;

/// Lines that may wait for the writer.
const WAITING_LINES: usize = 8192;
/// Lines that are written between two flushes.
const BATCH: usize = 256;
/// A log that cannot be written is complained about once in so many lines.
const COMPLAINT_EVERY: u64 = 10_000;

/// Where lines go in; cheap to clone.
#[derive(Clone)]
pub struct AccessLog {
    lines: Sender<String>,
    share: Share,
    counts: Arc<LogCounts>,
    written: watch::Receiver<()>,
}

/// What became of lines that are not in the log.
#[derive(Debug, Default)]
pub(crate) struct LogCounts {
    not_taken: AtomicU64,
    not_written: AtomicU64,
}

impl LogCounts {
    /// Lines that the writer had no room for, and lines that it could not write.
    pub(super) fn dropped(&self) -> (u64, u64) {
        (self.not_taken.load(Ordering::Relaxed), self.not_written.load(Ordering::Relaxed))
    }
}

impl AccessLog {
    /// Starts a writer that writes to `out` until the last clone is gone; `share` of the calls
    /// get a line.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(out: Box<dyn Write + Send>, share: Share) -> std::io::Result<AccessLog> {
        let (lines, taken) = channel(WAITING_LINES);
        let counts = Arc::<LogCounts>::default();
        let (say_written, written) = watch::channel(());
        let counted = Arc::clone(&counts);
        std::thread::Builder::new().name("access-log".into()).spawn(move || {
            write_lines(taken, out, &counted);
            drop(say_written);
        })?;
        Ok(AccessLog { lines, share, counts, written })
    }

    pub(crate) fn counts(&self) -> Arc<LogCounts> {
        Arc::clone(&self.counts)
    }

    /// Lets go of the log and waits until everything is written, but no longer than `limit`: who
    /// does not read must not keep a gateway from ending.
    pub(crate) async fn written(self, limit: Duration) {
        let AccessLog { lines, mut written, .. } = self;
        drop(lines);
        // The channel is closed when the writer has ended.
        if tokio::time::timeout(limit, written.changed()).await.is_err() {
            tracing::warn!("the access log was not written to its end");
        }
    }

    pub(super) fn write(&self, span: &Span) {
        if self.share != Share::ALL && !drawn(self.share) {
            return;
        }
        if self.lines.try_send(line(span)).is_err() {
            self.counts.not_taken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether this call is one of the share.
pub(super) fn drawn(share: Share) -> bool {
    u32::from(share.per_mille()) > rand::random_range(0..1000)
}

fn write_lines(mut taken: Receiver<String>, mut out: Box<dyn Write + Send>, counts: &LogCounts) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut text = String::new();
    // A line was cut by a failure: the next one must not be taken for its end.
    let mut torn = false;
    while taken.blocking_recv_many(&mut batch, BATCH) > 0 {
        text.clear();
        if torn {
            text.push('\n');
        }
        batch.drain(..).for_each(|line| text.push_str(&line));
        let (written, error) = write(&mut *out, text.as_bytes());
        let (in_log, lost) = text.as_bytes().split_at(written);
        torn = in_log.last().map_or(torn, |last| *last != b'\n');
        let lost = lost.iter().filter(|byte| **byte == b'\n').count() as u64;
        let before = counts.not_written.fetch_add(lost, Ordering::Relaxed);
        let due = before == 0 || before / COMPLAINT_EVERY != (before + lost) / COMPLAINT_EVERY;
        if let Some(error) = error.filter(|_| due) {
            tracing::warn!(%error, lost = before + lost, "the access log cannot be written");
        }
    }
}

/// Writes as much as can be: how many bytes that was, and why not all.
fn write(out: &mut dyn Write, bytes: &[u8]) -> (usize, Option<std::io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => return (written, Some(std::io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, out.flush().err())
}

/// Strangers' text appears in the request id and the path template, both of closed alphabets, and in
/// the principal, as its issuer wrote it; names are escaped all the same (security W-8).
fn line(span: &Span) -> String {
    let Span {
        trace,
        span: span_id,
        parent: _,  // in the trace
        sampled: _, // of the trace, not of the log
        name,
        method,
        protocol,
        listener,
        principal,
        upstream,
        started,
        took,
        way,
        code,
        reason,
        http_status,
        request_id,
        received_bytes,
        sent_bytes,
        abandoned,
    } = span;
    let mut text = String::with_capacity(512);
    text.push_str("{\"time\":");
    text.push_str(&format!("{:.6}", started.as_secs_f64()));
    let protocol = match protocol {
        Some(CallerProtocol::Rest) => "rest",
        Some(CallerProtocol::Grpc) => "grpc",
        None => "",
    };
    for (key, value) in [
        ("request_id", &**request_id),
        ("trace", &hex(trace)),
        ("span", &hex(span_id)),
        ("listener", listener),
        ("principal", principal.as_deref().unwrap_or("")),
        ("protocol", protocol),
        ("call", name),
        ("method", method),
        ("upstream", upstream.as_deref().unwrap_or("")),
        ("code", code.name()),
        ("refused", reason.map_or("", Reason::name)),
        ("cache", way.cache.map_or("", CacheUse::name)),
    ] {
        text.push_str(",\"");
        text.push_str(key);
        text.push_str("\":\"");
        escape(value, &mut text);
        text.push('"');
    }
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    text.push_str(&format!(
        ",\"http_status\":{http_status},\"attempts\":{},\"received_bytes\":{received_bytes},\
         \"sent_bytes\":{sent_bytes},\"took_ms\":{:.3}",
        way.attempts().count(),
        millis(*took),
    ));
    if let Some(took) = way.upstream_took() {
        text.push_str(&format!(",\"upstream_ms\":{:.3}", millis(took)));
    }
    text.push_str(&format!(",\"abandoned\":{abandoned}}}\n"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_w_8_a_name_cannot_begin_a_new_line_or_a_new_field() {
        let mut text = String::new();
        escape("a\"b\\c\nd\u{1b}[0m", &mut text);
        assert_eq!(text, "a\\\"b\\\\c\\u000ad\\u001b[0m");
    }

    #[test]
    fn a_share_is_a_share() {
        let of = |per_mille| Share::from_per_mille(per_mille).unwrap();
        let drawn_of = |share| (0..10_000).filter(|_| drawn(share)).count();
        assert_eq!(drawn_of(of(0)), 0);
        assert_eq!(drawn_of(of(1000)), 10_000);
        let half = drawn_of(of(500));
        assert!((4_500..5_500).contains(&half), "{half}");
    }
}
