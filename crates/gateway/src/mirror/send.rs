//! One copy on its way: sent to the candidate and its twin at the same instant, answers read.
//!
//! Which of the two is sent first is drawn for each copy, so that neither profits from a cache or
//! a lock that the other one warmed (compare N-1). Nothing is sent again, whatever fails (M-6).
//! What was sent counts, however it ends: late, broken and endless answers are differences, and
//! only what is known before either side has answered gives a copy up (N-6).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use tandem_judge::pair::{Abandoned, Loss};
use tandem_protocol::deadline::format_grpc_timeout;
use tandem_protocol::metadata::MIRROR;
use tokio::time::{Instant, timeout_at};

use super::answer::{BODY_BYTES_MOST, Read, Recorded};
use super::counts::Trial;
use super::pairs::Tried;
use super::tap::Copied;
use crate::body::Piece;
use crate::observe::Journey;
use crate::upstream::{NoStream, Outgoing, OutgoingBody, Pool, RetryRules, SendError, Terms};
use crate::upstream::{Upstream, UpstreamAnswer};

/// What all copies are sent with.
pub(super) struct Sending {
    pub(super) pool: Pool,
    /// The first half of every mark.
    pub(super) run: String,
    /// What a compressed body may expand to, times its size.
    pub(super) ratio_max: usize,
}

/// Sends one copy and counts what came of it. `primary` is its answer to the caller.
pub(super) async fn pair(sending: Rc<Sending>, copied: Copied, primary: Read) {
    let mirror = &copied.mirror;
    let began = Instant::now();
    let end = began + copied.had;
    let candidate = trial(&sending, &copied, (Trial::Candidate, &mirror.candidate), began, end);
    let twin = async {
        match &mirror.twin {
            Some(upstream) => {
                Some(trial(&sending, &copied, (Trial::Twin, upstream), began, end).await)
            }
            None => None,
        }
    };
    // Whoever is polled first is sent first, within microseconds.
    let (candidate, twin) = if mirror.evidence.candidate_first() {
        tokio::join!(biased; candidate, twin)
    } else {
        let (twin, candidate) = tokio::join!(biased; twin, candidate);
        (candidate, twin)
    };
    let no_side = |tried: &Sent| matches!(tried, Sent::NobodyThere);
    if no_side(&candidate) || twin.as_ref().is_some_and(no_side) {
        return mirror.dropped(Abandoned::NoCandidate);
    }
    let tried = |sent: Sent| match sent {
        Sent::Tried(tried) => tried,
        Sent::NobodyThere => Tried::Lost(Loss::Unreachable),
    };
    let (candidate, twin) = (tried(candidate), twin.map(tried));
    for (side, tried) in [(Trial::Candidate, Some(&candidate)), (Trial::Twin, twin.as_ref())] {
        if let Some(Tried::Lost(loss)) = tried {
            mirror.counts.lost(side, *loss);
        }
    }
    let request_id = copied.headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let request_id = request_id.unwrap_or_default();
    let now = SystemTime::now();
    mirror.evidence.observe(request_id, (&primary, copied.took), &candidate, twin.as_ref(), now);
    mirror.counts.compared();
}

/// What became of one side's copy.
enum Sent {
    Tried(Tried),
    /// The upstream has no address at all: nothing was sent.
    NobodyThere,
}

async fn trial(
    sending: &Sending,
    copied: &Copied,
    (side, upstream): (Trial, &std::sync::Arc<Upstream>),
    began: Instant,
    end: Instant,
) -> Sent {
    let mirror = &copied.mirror;
    let mut headers = copied.headers.clone();
    let mark = format!("{}/{}", sending.run, side.name());
    headers.insert(MIRROR, HeaderValue::try_from(mark).expect("letters and a slash"));
    let left = end.saturating_duration_since(began);
    if let Ok(timeout) = HeaderValue::try_from(format_grpc_timeout(left)) {
        headers.insert("grpc-timeout", timeout);
    }
    let outgoing = Outgoing {
        path: mirror.path.clone(),
        headers,
        body: OutgoingBody::Whole(copied.request.clone()),
        terms: Terms {
            deadline: Some(end),
            retries: RetryRules::NEVER,
            one_answer: !mirror.kind.many_answers(),
        },
    };
    mirror.counts.sent(side);
    let mut journey = Journey::new(began, None);
    // What the primary's caller did not wait for is not waited for here.
    let wanted = copied.primary.cut.then_some(copied.primary.body.len());
    // Kept outside, so that what came of a cut answer is there when its time is over.
    let so_far = SoFar::default();
    let answered = async {
        let answer = sending.pool.send(upstream, outgoing, &mut journey).await?;
        read(answer, wanted, &so_far).await
    };
    let lost = |loss| Sent::Tried(Tried::Lost(loss));
    let recorded = match timeout_at(end, answered).await {
        Ok(Ok(recorded)) => recorded,
        Ok(Err(Unanswered::TooLarge)) => return lost(Loss::TooLarge),
        Ok(Err(Unanswered::Send(SendError::NoStream(NoStream::Unreachable { step, .. })))) => {
            return if step == "resolve" { Sent::NobodyThere } else { lost(Loss::Unreachable) };
        }
        Ok(Err(Unanswered::Send(SendError::NoStream(NoStream::TooManyWait(_))))) => {
            return lost(Loss::Unreachable);
        }
        Ok(Err(Unanswered::Send(SendError::AttemptTimedOut(_)))) => return lost(Loss::TimedOut),
        Ok(Err(_)) => return lost(Loss::Reset),
        Err(_elapsed) => match so_far.into_inner() {
            Some(recorded) if copied.primary.cut => recorded,
            _ => return lost(Loss::TimedOut),
        },
    };
    let took = began.elapsed();
    match Read::of(&recorded, &copied.headers, mirror.kind, sending.ratio_max) {
        Ok(read) => Sent::Tried(Tried::Answered { read, took }),
        Err(super::answer::TooLarge) => lost(Loss::TooLarge),
    }
}

/// Why there is no answer to read.
enum Unanswered {
    Send(SendError),
    Broken,
    TooLarge,
}

impl From<SendError> for Unanswered {
    fn from(error: SendError) -> Unanswered {
        Unanswered::Send(error)
    }
}

/// An answer as far as it has come.
type SoFar = RefCell<Option<Recorded>>;

/// All of an answer; of one that is cut no more than `wanted` bytes.
async fn read(
    answer: UpstreamAnswer,
    wanted: Option<usize>,
    so_far: &SoFar,
) -> Result<Recorded, Unanswered> {
    let UpstreamAnswer { status, headers: head, mut body } = answer;
    let cut = wanted.is_some();
    let recorded = |bytes: &BytesMut, trailers| Recorded {
        status,
        head: head.clone(),
        body: Bytes::copy_from_slice(bytes),
        trailers,
        cut,
    };
    let mut bytes = BytesMut::new();
    loop {
        match body.piece().await {
            Some(Ok(Piece::Data(data))) => {
                if bytes.len() + data.len() > BODY_BYTES_MOST {
                    return Err(Unanswered::TooLarge);
                }
                bytes.extend_from_slice(&data);
                if wanted.is_some_and(|wanted| bytes.len() >= wanted) {
                    return Ok(recorded(&bytes, None));
                }
                if cut {
                    *so_far.borrow_mut() = Some(recorded(&bytes, None));
                }
            }
            Some(Ok(Piece::Trailers(trailers))) => return Ok(recorded(&bytes, Some(trailers))),
            None => return Ok(recorded(&bytes, None)),
            Some(Err(_broken)) => return Err(Unanswered::Broken),
        }
    }
}
