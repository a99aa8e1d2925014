//! Asks each endpoint whether it is well: `grpc.health.v1.Health/Check`, for the whole server.
//!
//! A server that says it is not serving is out at once; one that does not answer is out after
//! [`FAILURES`] questions, and either is back after [`SUCCESSES`] good answers. A server without
//! that service has nothing to say and counts as well (gRPC, "Client-Side Health Checking").
//! Questions go over the connections of the calls: what stops those stops these.
//!
//! Not here: what is done with an endpoint that is not well (`group`).

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tandem_contract::fields;
use tandem_protocol::envelope::{self, EnvelopeReader};
use tandem_protocol::status::{self, Code};
use tokio::time::{Instant, sleep, timeout};

use super::endpoint::Endpoint;
use super::group::{Group, spread};
use super::names::UNUSED;
use super::pool::Pool;
use super::{HealthCheck, Upstream};

const FAILURES: u32 = 2;
const SUCCESSES: u32 = 2;
/// An answer that is larger is no answer to this question.
const ANSWER_BYTES_MOST: usize = 1024;
/// `grpc.health.v1.HealthCheckResponse.ServingStatus`.
const SERVING: u64 = 1;

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Serving,
    NotServing,
    /// It has no such service.
    NoOpinion,
    /// No answer, or none that can be read.
    Nothing,
}

/// What was said in turn, and what follows from it.
#[derive(Debug, Clone, Copy)]
struct Record {
    well: bool,
    /// Answers in a row that speak against `well`.
    against: u32,
}

impl Record {
    /// Well until something speaks against it.
    const NEW: Record = Record { well: true, against: 0 };

    fn hear(&mut self, said: Said) {
        let (good, enough) = match said {
            Said::Serving | Said::NoOpinion => (true, SUCCESSES),
            Said::NotServing => (false, 1),
            Said::Nothing => (false, FAILURES),
        };
        if good == self.well {
            self.against = 0;
            return;
        }
        self.against += 1;
        if self.against >= enough {
            *self = Record { well: good, against: 0 };
        }
    }

    /// Whether the next answer may change something, so that it is worth asking soon.
    fn in_doubt(&self) -> bool {
        !self.well || self.against > 0
    }
}

/// Asks `endpoint` until it is gone or nobody uses its upstream.
pub(super) async fn keep_asking(pool: Pool, group: Rc<Group>, endpoint: Rc<Endpoint>) {
    let timing = pool.timing().clone();
    let mut record = Record::NEW;
    loop {
        let upstream = group.upstream();
        let unused = group.used.get().elapsed() > UNUSED.max(timing.check_every);
        if unused || endpoint.gone.get() || upstream.health != HealthCheck::Grpc {
            endpoint.checked.set(false);
            return;
        }
        let said = timeout(timing.check_answer, ask(&pool, &group, &endpoint, &upstream));
        record.hear(said.await.unwrap_or(Said::Nothing));
        if record.well != endpoint.healthy.replace(record.well) {
            let (name, address, well) = (&upstream.name, endpoint.address, record.well);
            tracing::warn!(upstream = %name, %address, well, "health has changed");
            group.changed.notify_waiters();
        }
        let next = if record.in_doubt() { timing.check_in_doubt } else { timing.check_every };
        sleep(spread(next)).await;
    }
}

async fn ask(pool: &Pool, group: &Rc<Group>, endpoint: &Rc<Endpoint>, upstream: &Upstream) -> Said {
    loop {
        if let Some((send, place)) = endpoint.take() {
            let said = talk(send, upstream).await.unwrap_or(Said::Nothing);
            if said != Said::Nothing {
                place.heard(Instant::now());
            }
            return said;
        }
        if endpoint.is_held_back(Instant::now()) || endpoint.gone.get() {
            return Said::Nothing;
        }
        pool.tend(group, endpoint);
        // What was begun is told there; between the two nothing else runs on this thread.
        let again = timeout(Duration::from_millis(100), group.changed.notified());
        let _ = again.await;
    }
}

async fn talk(send: SendRequest<Bytes>, upstream: &Upstream) -> Result<Said, h2::Error> {
    let mut send = send.ready().await?;
    let path = http::uri::PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let mut headers = http::HeaderMap::new();
    let grpc = http::HeaderValue::from_static("application/grpc");
    headers.insert(http::header::CONTENT_TYPE, grpc);
    headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
    let head = super::send::request_head(upstream, path, headers);
    let (response, mut body) = send.send_request(head, false)?;
    // The empty request means the server as a whole.
    body.send_data(envelope::frame(&[]), true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut reader = EnvelopeReader::new(ANSWER_BYTES_MOST);
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        reader.push(data);
    }
    let trailers = poll_fn(|cx| body.poll_trailers(cx)).await?.unwrap_or_default();
    let said = status::from_trailers(&trailers).or_else(|| status::from_trailers(&head.headers));
    Ok(match said.map(|said| said.code) {
        Some(Code::Ok) => serving(&mut reader),
        Some(Code::Unimplemented) => Said::NoOpinion,
        Some(_) | None => Said::Nothing,
    })
}

/// Field 1 of a `HealthCheckResponse`.
fn serving(reader: &mut EnvelopeReader) -> Said {
    let Some(Ok(message)) = reader.next() else { return Said::Nothing };
    let status = fields::each(&message.payload).map_while(Result::ok).find(|one| one.number == 1);
    match status.map(|field| field.value) {
        Some(SERVING) => Said::Serving,
        Some(_) | None => Said::NotServing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the server counts as well after each of the answers.
    fn well(said: &[Said]) -> Vec<bool> {
        let mut record = Record::NEW;
        let hear = |one: &Said| {
            record.hear(*one);
            record.well
        };
        said.iter().map(hear).collect()
    }

    #[test]
    fn thresholds_of_going_and_coming_back() {
        use Said::{NoOpinion, NotServing, Nothing, Serving};
        for (said, expected) in [
            (vec![Serving, Serving], vec![true, true]),
            (vec![NoOpinion], vec![true]),
            (vec![NotServing], vec![false]),
            (vec![Nothing], vec![true]),
            (vec![Nothing, Nothing], vec![true, false]),
            (vec![Nothing, Serving, Nothing], vec![true, true, true]),
            (vec![NotServing, Serving], vec![false, false]),
            (vec![NotServing, Serving, Serving], vec![false, false, true]),
            (vec![NotServing, Serving, Nothing, Serving], vec![false; 4]),
        ] {
            assert_eq!(well(&said), expected, "{said:?}");
        }
    }

    #[test]
    fn an_answer_is_read_by_its_field() {
        for (message, said) in [
            (&[8, 1][..], Said::Serving),
            (&[8, 2], Said::NotServing),
            (&[8, 3], Said::NotServing),
            (&[], Said::NotServing),
            (&[0xff], Said::NotServing),
        ] {
            let mut reader = EnvelopeReader::new(ANSWER_BYTES_MOST);
            reader.push(envelope::frame(message));
            assert_eq!(serving(&mut reader), said, "{message:?}");
        }
        assert_eq!(serving(&mut EnvelopeReader::new(ANSWER_BYTES_MOST)), Said::Nothing);
    }
}
