//! One attempt after another, until one has an answer.
//!
//! An answer and a request that could go out again exclude each other by type: an attempt gives
//! back either [`Tried::Answer`], and then the request is gone, or [`Tried::Unanswered`] with the
//! request in it. So nothing is ever sent again once a byte of an answer was seen.
//!
//! Where a failure might be followed by another attempt, the head of an answer is held until its
//! first message or its status is there: a status that comes after the head, without a message,
//! is a failure as good as any.
//!
//! Not here: whether another attempt is allowed (`retry`), where it goes (`group`).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tandem_protocol::deadline::format_grpc_timeout;
use tandem_protocol::status::{self, Code};
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{Answer, code_of, failure, is_endpoints_fault, poll_pump};
use super::group::Group;
use super::pool::Pool;
use super::retry::{Cause, Kept, PREVIOUS_ATTEMPTS, Progress, Pushback, Request};
use super::{Outgoing, OutgoingBody, SendError, Terms, Upstream, UpstreamAnswer};
use crate::body::Companion;
use crate::call::value_of_one_call;
use crate::observe::{Journey, Outcome};
use crate::outbox;

/// Connections that may turn out to be unusable before a call has a stream. Nothing has left for
/// the upstream then, so these are no attempts.
const CONNECTIONS_TRIED_MOST: u32 = 3;
/// A stream's head is held no longer than this for the sake of another attempt: a status that
/// follows a head at all follows in the same breath, and the path holds the head for reasons of
/// its own afterwards (protocols A-1).
const STREAM_HOLD: Duration = Duration::from_millis(20);

/// What came of an attempt.
enum Tried {
    Answer(UpstreamAnswer),
    /// Another attempt is possible as far as the request goes. `otherwise` is what the caller
    /// gets without one.
    Unanswered {
        request: Request,
        cause: Cause,
        otherwise: Box<Result<UpstreamAnswer, SendError>>,
        at: Option<SocketAddr>,
    },
    Failed(SendError),
}

/// What stays the same over the attempts of a call.
struct Fixed {
    upstream: Arc<Upstream>,
    group: Rc<Group>,
    path: http::uri::PathAndQuery,
    terms: Terms,
}

impl Pool {
    /// Sends `outgoing` and waits for the head of the answer. The deadline is the caller's to
    /// keep: dropping the future cancels the attempt that is out. What was tried is noted in
    /// `journey`.
    pub(crate) async fn send(
        &self,
        upstream: &Arc<Upstream>,
        outgoing: Outgoing,
        journey: &mut Journey,
    ) -> Result<UpstreamAnswer, SendError> {
        let Outgoing { path, mut headers, body, terms } = outgoing;
        let group = self.group(upstream);
        group.budget.borrow_mut().called(terms.retries.budget, Instant::now());
        let fixed = Fixed { upstream: Arc::clone(upstream), group, path, terms };
        let mut request = match body {
            OutgoingBody::Whole(bytes) => Request::Whole(bytes),
            OutgoingBody::Stream(body) => Request::streamed(body),
        };
        let mut progress = Progress::default();
        let mut avoid = None;
        loop {
            let may_follow = terms.retries.may_follow(progress.sent + 1);
            let tried = self.attempt(&fixed, &headers, request, avoid, may_follow, journey).await;
            let (again, cause, otherwise, at) = match tried {
                Tried::Answer(answer) => {
                    journey.came_to(Outcome::Answered);
                    return Ok(answer);
                }
                Tried::Failed(error) => {
                    journey.came_to(outcome_of(&error));
                    return Err(error);
                }
                Tried::Unanswered { request, cause, otherwise, at } => {
                    (request, cause, otherwise, at)
                }
            };
            journey.came_to(match cause {
                Cause::NeverBegan => Outcome::NeverBegan,
                Cause::TimedOut => Outcome::TimedOut,
                Cause::Failed { code, .. } => Outcome::Failed(code),
            });
            let further = progress.further(cause, &terms.retries, self.random());
            let late = |wait| terms.deadline.is_some_and(|end| Instant::now() + wait >= end);
            let Some(further) = further.filter(|further| !late(further.wait)) else {
                return *otherwise;
            };
            let counters = &fixed.upstream.counters;
            if !fixed.group.budget.borrow_mut().take(Instant::now()) {
                counters.budget_exhausted(self.thread());
                return *otherwise;
            }
            // What the upstream said is let go before it is asked again.
            drop(otherwise);
            if !further.wait.is_zero() {
                sleep(further.wait).await;
            }
            counters.retried(self.thread(), further.reason);
            tracing::debug!(upstream = %fixed.upstream.name, reason = further.reason.name(), "sent again");
            prepare(&mut headers, progress.sent, terms.deadline);
            request = again;
            avoid = at;
        }
    }

    async fn attempt(
        &self,
        fixed: &Fixed,
        headers: &HeaderMap,
        request: Request,
        avoid: Option<SocketAddr>,
        may_follow: bool,
        journey: &mut Journey,
    ) -> Tried {
        let Fixed { upstream, group, path, terms } = fixed;
        let end = terms.retries.attempt.map(|time| Instant::now() + time);
        let timed_out = |request: Request, at| Tried::Unanswered {
            request,
            cause: Cause::TimedOut,
            otherwise: Box::new(Err(SendError::AttemptTimedOut(Arc::clone(&upstream.name)))),
            at,
        };
        let mut connections = 0;
        let (lease, response, mut pump) = loop {
            connections += 1;
            let (send, lease) = match within(end, self.stream(group, avoid)).await {
                Some(Ok(found)) => found,
                Some(Err(error)) => return Tried::Failed(error.into()),
                None => return timed_out(request, None),
            };
            // The library hands out streams to those who ask for them.
            let opened = match send.ready().await {
                Ok(send) => {
                    let head = request_head(upstream, path.clone(), headers.clone());
                    begin(send, head, &request)
                }
                Err(error) => Err(error),
            };
            match opened {
                Ok((response, pump)) => break (lease, response, pump),
                Err(error) => {
                    lease.condemn();
                    if connections == CONNECTIONS_TRIED_MOST {
                        return Tried::Failed(lost(upstream, &error));
                    }
                }
            }
        };
        upstream.counters.attempted(self.thread());
        journey.sent(lease.index());
        let at = lease.address();
        let response = match within(end, answer_head(response, &mut pump)).await {
            Some(Ok(response)) => response,
            Some(Err(error)) => {
                let cause = cause_of(&error);
                // What an upstream refused to begin says nothing about how it fares.
                if cause != Cause::NeverBegan {
                    lease.judged(!is_endpoints_fault(code_of(&error)));
                }
                drop((lease, pump));
                let error = lost(upstream, &error);
                return match request.is_at_hand() {
                    true => Tried::Unanswered {
                        request,
                        cause,
                        otherwise: Box::new(Err(error)),
                        at: Some(at),
                    },
                    false => Tried::Failed(error),
                };
            }
            None => {
                lease.judged(false);
                drop((lease, pump));
                return match request.is_at_hand() {
                    true => timed_out(request, Some(at)),
                    false => Tried::Failed(SendError::AttemptTimedOut(Arc::clone(&upstream.name))),
                };
            }
        };
        journey.head_came(lease.answered());
        let mut answer = Answer::of(response, pump, lease, terms.one_answer);
        if !may_follow || !request.is_at_hand() {
            request.let_go();
            return Tried::Answer(answer.give(None));
        }
        let hold = if terms.one_answer { None } else { Some(Instant::now() + STREAM_HOLD) };
        let first = match within(hold, within(end, answer.first_piece())).await {
            Some(Some(first)) => first,
            // The attempt's time is over before any byte of an answer.
            Some(None) => return timed_out(request, Some(at)),
            None => {
                request.let_go();
                return Tried::Answer(answer.give(None));
            }
        };
        match failure(&answer, &first) {
            Some((code, pushback)) => Tried::Unanswered {
                request,
                cause: Cause::Failed { code, pushback },
                otherwise: Box::new(Ok(answer.give(Some(first)))),
                at: Some(at),
            },
            None => {
                request.let_go();
                Tried::Answer(answer.give(Some(first)))
            }
        }
    }
}

/// Waits no longer than to `end`; `None` when that came first.
async fn within<T>(end: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match end {
        Some(end) => timeout_at(end, future).await.ok(),
        None => Some(future.await),
    }
}

/// Makes the headers those of a further attempt: how many went before, and the time that is left.
fn prepare(headers: &mut HeaderMap, sent: u8, deadline: Option<Instant>) {
    if sent > 0 {
        headers.insert(PREVIOUS_ATTEMPTS, HeaderValue::from(u16::from(sent)));
    }
    if let Some(deadline) = deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(value) = value_of_one_call(&format_grpc_timeout(left)) {
            headers.insert(HeaderName::from_static("grpc-timeout"), value);
        }
    }
}

pub(super) fn request_head(
    upstream: &Upstream,
    path: http::uri::PathAndQuery,
    headers: HeaderMap,
) -> http::Request<()> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(upstream.scheme());
    uri.authority = Some(upstream.authority.clone());
    uri.path_and_query = Some(path);
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = Uri::from_parts(uri).expect("scheme, authority and path are all there");
    *request.headers_mut() = headers;
    request
}

/// Opens the stream and begins to send. On an error no stream was opened.
fn begin(
    mut send: SendRequest<Bytes>,
    head: http::Request<()>,
    request: &Request,
) -> Result<(ResponseFuture, Option<Companion>), h2::Error> {
    match request {
        Request::Whole(bytes) => {
            let (response, mut stream) = send.send_request(head, bytes.is_empty())?;
            if !bytes.is_empty() {
                // The bytes are in memory already: the library keeps them and sends them as the
                // window opens. Where it does not take them, the answer says why.
                outbox::lend(bytes);
                let _ = stream.send_data(bytes.clone(), true);
            }
            Ok((response, None))
        }
        Request::Stream(kept) => {
            let (response, stream) = send.send_request(head, false)?;
            Ok((response, Some(Box::pin(pump(Rc::clone(kept), stream)))))
        }
    }
}

/// Moves the request's pieces to the upstream as its windows allow.
async fn pump(kept: Rc<std::cell::RefCell<Kept>>, mut stream: SendStream<Bytes>) {
    let mut next = 0;
    while let Some(piece) = poll_fn(|cx| kept.borrow_mut().poll_piece(&mut next, cx)).await {
        let Ok(mut data) = piece else {
            // Never ended, always reset: half a request must not look whole.
            stream.send_reset(Reason::CANCEL);
            return;
        };
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            let room = match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(room)) => room,
                // The answer says why; what is left of the request is not wanted.
                Some(Err(_)) | None => return,
            };
            let part = data.split_to(room.min(data.len()));
            outbox::lend(&part);
            if !part.is_empty() && stream.send_data(part, false).is_err() {
                return;
            }
        }
    }
    let _ = stream.send_data(Bytes::new(), true);
}

async fn answer_head(
    mut response: ResponseFuture,
    pump: &mut Option<Companion>,
) -> Result<http::Response<RecvStream>, h2::Error> {
    poll_fn(|cx| {
        poll_pump(pump, cx);
        Pin::new(&mut response).poll(cx)
    })
    .await
}

fn outcome_of(error: &SendError) -> Outcome {
    match error {
        SendError::AttemptTimedOut(_) => Outcome::TimedOut,
        SendError::Reset { code, .. } => Outcome::Failed(status::from_reset(*code)),
        SendError::NoStream(_) | SendError::ConnectionLost { .. } => {
            Outcome::Failed(Code::Unavailable)
        }
    }
}

fn cause_of(error: &h2::Error) -> Cause {
    if never_began(error) {
        return Cause::NeverBegan;
    }
    Cause::Failed { code: code_of(error), pushback: Pushback::Nothing }
}

/// Whether the upstream has said that it did nothing about the stream: it was refused (RFC 9113,
/// section 8.7), or lies above the last one that a GOAWAY names (section 6.8). The library tells
/// a GOAWAY to such streams only.
fn never_began(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

fn lost(upstream: &Upstream, error: &h2::Error) -> SendError {
    let name = Arc::clone(&upstream.name);
    match error.reason() {
        Some(reason) if error.is_reset() => SendError::Reset { name, code: reason.into() },
        _ => SendError::ConnectionLost { name, what: error.to_string() },
    }
}
