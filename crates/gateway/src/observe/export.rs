//! Sampled calls go to a collector: chosen at their head, handed over in batches off the path.
//!
//! Which: a trace that comes by the internal listener follows its beginning. From outside a caller
//! who says "sampled" is believed, up to [`ASKED_MOST`] a second and data thread, so that a stranger
//! can turn tracing on for itself and not for everybody; of all others a share is drawn. Whatever
//! is sampled says so to its upstream (W3C Trace Context, level 1, section 3.2.2.5.1).
//!
//! How: a data thread hands a copy over and goes on. What the exporter has no room for, because
//! its collector is slow, dead or hangs, is dropped and counted, never waited for. A batch that
//! was not taken is tried again a few times, with waits that grow. At the end what is left has a
//! bounded time to go.
//!
//! Not here: the bytes (`otlp`), connections (`upstream`, `net`).

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use http::uri::Authority;
use tandem_config::document::{Address, Share, Traces};
use tandem_contract::fields;
use tandem_protocol::identity::hex;
use tandem_protocol::status::Code;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::access_log::drawn;
use super::otlp;
use super::traces::Span;
use crate::tasks::Side;
use crate::upstream::{Dialled, Upstream, UpstreamAddress, dial, tls};
use crate::upstream::{addresses, direct};

/// Calls of callers from outside that are sampled because they say so, by data thread.
const ASKED_MOST: f64 = 100.0;
/// Calls that may wait for the exporter.
const WAITING_CALLS: usize = 2048;
/// Calls of one batch.
const BATCH: usize = 512;
/// A batch that is not full goes out this long after its first call.
const BATCH_WAIT: Duration = Duration::from_secs(1);
/// Time for a connection to the collector.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for the collector to take a batch.
const TAKE: Duration = Duration::from_secs(10);
/// How often a batch is sent before it is given up.
const TRIES: u32 = 4;
/// The wait before the second time; it doubles from there.
const WAIT: Duration = Duration::from_secs(1);

/// What became of sampled calls.
#[derive(Debug, Default)]
pub(crate) struct ExportCounts {
    sent: AtomicU64,
    queue_full: AtomicU64,
    not_taken: AtomicU64,
}

impl ExportCounts {
    /// Calls that the collector took; those for which there was no room; those that it did not
    /// take.
    pub(super) fn read(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.sent), read(&self.queue_full), read(&self.not_taken))
    }
}

/// The exporter as data threads see it; cheap to clone.
#[derive(Clone)]
pub(crate) struct Exporter {
    calls: Sender<Span>,
    share: Share,
    counts: Arc<ExportCounts>,
    ended: watch::Receiver<()>,
    task: AbortHandle,
}

impl Exporter {
    /// Starts it; it runs on `side` until the last clone is gone.
    pub(crate) fn start(traces: &Traces, side: &Side) -> Exporter {
        let Traces { collector, tls, share } = traces;
        let (calls, taken) = channel(WAITING_CALLS);
        let counts = Arc::<ExportCounts>::default();
        let (say_ended, ended) = watch::channel(());
        let export = Export {
            collector: collector_at(collector, tls.as_ref()),
            connection: None,
            instance: hex(&rand::random::<[u8; 16]>()),
            counts: Arc::clone(&counts),
        };
        let task = side.start(async move {
            export.run(taken).await;
            drop(say_ended);
        });
        Exporter { calls, share: *share, counts, ended, task }
    }

    pub(crate) fn counts(&self) -> Arc<ExportCounts> {
        Arc::clone(&self.counts)
    }

    /// Lets go of the exporter and waits until everything is handed over, but no longer than
    /// `limit`.
    pub(crate) async fn flushed(self, limit: Duration) {
        let Exporter { calls, mut ended, task, .. } = self;
        drop(calls);
        // The channel is closed when the exporter has ended.
        if timeout(limit, ended.changed()).await.is_err() {
            tracing::warn!("not all traces were handed over");
            task.abort();
        }
    }

    pub(super) fn offer(&self, span: &Span) {
        if self.calls.try_send(span.clone()).is_err() {
            self.counts.queue_full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Which calls of one data thread are sampled.
pub(super) struct Sampler {
    share: Share,
    /// Calls that may still be sampled because their callers say so, and since when.
    asked: Cell<(f64, Option<Instant>)>,
}

impl Sampler {
    pub(super) fn of(exporter: &Exporter) -> Sampler {
        Sampler::new(exporter.share)
    }

    fn new(share: Share) -> Sampler {
        Sampler { share, asked: Cell::new((ASKED_MOST, None)) }
    }

    /// `said` is the caller's flag "sampled", where it sent a trace context; `inside`: by the
    /// internal listener.
    pub(super) fn takes(&self, inside: bool, said: Option<bool>, now: Instant) -> bool {
        match said {
            Some(said) if inside => said,
            Some(true) => self.may_ask(now) || drawn(self.share),
            Some(false) | None => drawn(self.share),
        }
    }

    fn may_ask(&self, now: Instant) -> bool {
        let (left, since) = self.asked.get();
        let passed = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let left = (left + passed.as_secs_f64() * ASKED_MOST).min(ASKED_MOST);
        let may = left >= 1.0;
        self.asked.set((if may { left - 1.0 } else { left }, Some(now)));
        may
    }
}

fn collector_at(collector: &Address, tls: Option<&tandem_config::document::Tls>) -> Upstream {
    let (address, host, port) = match collector {
        Address::Fixed(address) => {
            (UpstreamAddress::Fixed(*address), address.ip().to_string(), address.port())
        }
        Address::Dns { host, port } => {
            (UpstreamAddress::Name { host: host.clone(), port: *port }, host.clone(), *port)
        }
    };
    let authority = match collector {
        Address::Fixed(address) => address.to_string(),
        Address::Dns { .. } => format!("{host}:{port}"),
    };
    let authority = authority.parse().unwrap_or_else(|_error| Authority::from_static("collector"));
    Upstream {
        name: "collector".into(),
        tls: tls.map(|tls| tls::Client::new(tls, &host)),
        ..Upstream::plain(address, authority, CONNECT)
    }
}

/// Why a batch was not taken.
struct NotTaken {
    why: String,
    /// Whether it may be taken later.
    later: bool,
}

/// The exporting side.
struct Export {
    collector: Upstream,
    connection: Option<Dialled>,
    instance: String,
    counts: Arc<ExportCounts>,
}

impl Export {
    async fn run(mut self, mut taken: Receiver<Span>) {
        let mut batch = Vec::with_capacity(BATCH);
        // A connection is looked after while nothing else is to do: its peer may ping, or go.
        while beside(&mut self.connection, taken.recv_many(&mut batch, BATCH)).await > 0 {
            let end = Instant::now() + BATCH_WAIT;
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                let more = timeout_at(end, taken.recv_many(&mut batch, room));
                match beside(&mut self.connection, more).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break, // the end, or time is up
                }
            }
            let message = otlp::request(&batch, &self.instance);
            let calls = batch.len() as u64;
            batch.clear();
            let counter = match self.hand_over(&message).await {
                Ok(()) => &self.counts.sent,
                Err(why) => {
                    tracing::warn!(calls, %why, "the collector did not take traces");
                    &self.counts.not_taken
                }
            };
            counter.fetch_add(calls, Ordering::Relaxed);
        }
    }

    async fn hand_over(&mut self, message: &[u8]) -> Result<(), String> {
        let mut wait = WAIT;
        let mut tries = 1;
        loop {
            let why = match self.send(message).await {
                Ok(()) => return Ok(()),
                Err(NotTaken { why, later }) if !later || tries == TRIES => return Err(why),
                Err(NotTaken { why, .. }) => why,
            };
            tracing::debug!(%why, "the collector is asked again");
            beside(&mut self.connection, sleep(wait)).await;
            (wait, tries) = (wait * 2, tries + 1);
        }
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), NotTaken> {
        let later = |why: String| NotTaken { why, later: true };
        if self.connection.is_none() {
            self.connection = Some(connect(&self.collector).await.map_err(later)?);
        }
        let Some(connection) = &self.connection else { return Err(later("no connection".into())) };
        let uri =
            format!("{}://{}{}", self.collector.scheme(), self.collector.authority, otlp::EXPORT);
        let headers = HeaderMap::new();
        let call = direct::unary(connection.send.clone(), &uri, &headers, message);
        let answer = beside(&mut self.connection, timeout(TAKE, call)).await;
        let answer = match answer.unwrap_or_else(|_elapsed| Err("no answer in time".into())) {
            Ok(answer) => answer,
            Err(why) => {
                // A connection on which one call broke is not trusted with the next.
                self.connection = None;
                return Err(later(why));
            }
        };
        if answer.status.code != Code::Ok {
            let why = format!("{}: {}", answer.status.code.name(), answer.status.message);
            return Err(NotTaken { why, later: is_passing(answer.status.code) });
        }
        if let Some(said) = refused_in_part(&answer.message) {
            tracing::warn!(%said, "the collector did not keep all spans");
        }
        Ok(())
    }
}

/// Awaits `future` and does the connection's work meanwhile; a connection that ends is let go.
async fn beside<T>(connection: &mut Option<Dialled>, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Some(dialled) = connection
            && dialled.work.as_mut().poll(cx).is_ready()
        {
            *connection = None;
        }
        future.as_mut().poll(cx)
    })
    .await
}

async fn connect(collector: &Upstream) -> Result<Dialled, String> {
    let found = addresses(collector).await.map_err(|(name, why)| format!("{name}: {why}"))?;
    let mut last = String::from("the name has no address");
    for address in found {
        match dial(collector, address).await {
            Ok(dialled) => return Ok(dialled),
            Err((step, why)) => last = format!("{address}: {step}: {why}"),
        }
    }
    Err(last)
}

/// Codes after which OTLP asks to try again.
///
/// Source: OpenTelemetry Protocol 1.x, "Failures", OTLP/gRPC.
fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            | Code::ResourceExhausted
    )
}

/// `ExportTraceServiceResponse.partial_success`, where it says that spans were refused.
fn refused_in_part(answer: &[u8]) -> Option<String> {
    let partial = fields::each(answer).map_while(Result::ok).find(|field| field.number == 1)?;
    let rejected = fields::each(partial.bytes)
        .map_while(Result::ok)
        .find(|field| field.number == 1)
        .map_or(0, |field| field.value);
    let said = fields::first_text(partial.bytes, 2).unwrap_or_default();
    (rejected > 0).then(|| format!("{rejected} spans refused: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(per_mille: u16) -> Sampler {
        Sampler::new(Share::from_per_mille(per_mille).unwrap())
    }

    #[test]
    fn inside_a_trace_follows_its_beginning_whatever_the_share() {
        let now = Instant::now();
        for share in [0, 1000] {
            assert!(sampler(share).takes(true, Some(true), now), "{share}");
            assert!(!sampler(share).takes(true, Some(false), now), "{share}");
        }
        assert!(sampler(1000).takes(true, None, now), "a trace that begins here is drawn");
        assert!(!sampler(0).takes(true, None, now));
    }

    #[test]
    fn a_caller_from_outside_is_believed_so_often_a_second_and_no_more() {
        let sampler = sampler(0);
        let began = Instant::now();
        let believed =
            |now: Instant| (0..1000).filter(|_| sampler.takes(false, Some(true), now)).count();
        assert_eq!(believed(began), 100);
        assert_eq!(believed(began), 0);
        assert_eq!(believed(began + Duration::from_millis(500)), 50);
        assert_eq!(believed(began + Duration::from_secs(60)), 100);
        assert!(!sampler.takes(false, Some(false), began));
        assert!(!sampler.takes(false, None, began));
    }

    #[test]
    fn a_collector_that_keeps_a_part_is_heard() {
        let mut partial = Vec::new();
        fields::put_number(1, 3, &mut partial);
        fields::put_bytes(2, b"too old", &mut partial);
        let mut answer = Vec::new();
        fields::put_bytes(1, &partial, &mut answer);
        assert_eq!(refused_in_part(&answer).as_deref(), Some("3 spans refused: too old"));
        assert_eq!(refused_in_part(b""), None);
    }
}
