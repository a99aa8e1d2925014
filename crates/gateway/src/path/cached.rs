//! The way of a call whose method keeps answers: kept, waited for, or fetched for everybody.
//!
//! A fetch is a task of its own on the caller's data thread, with the deadline that the method's
//! document gives and not the caller's: a caller who leaves, or had little time, ends nothing for
//! those who ask the same. Each of them waits as long as he himself may. The request is made from
//! the key alone, with a request id of its own, for what a caller chose must not come back to
//! another one; the trace stays the caller's.
//!
//! Not here: what is kept and found (`cache`), how an answer is written (`rest`, `grpc`).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{self, HeaderValue};
use tandem_protocol::envelope;
use tandem_protocol::identity;
use tandem_protocol::metadata::{self, Metadata};
use tandem_protocol::refusal::Refusal;
use tandem_protocol::status::Code;
use tokio::time::{Instant, timeout_at};

use super::rest::gathered::{Gathered, gather};
use super::{Call, deadline_exceeded, gave_up_for_time, refusal_of};
use crate::cache::{
    Asked, CacheUse, Failure, Kept, Landed, Lead, MethodCache, Next, Question, has_credential,
};
use crate::mirror::Tap;
use crate::observe::{Journey, Record, Way};
use crate::route::Side;
use crate::snapshot::MethodPlan;
use crate::upstream::{Outgoing, OutgoingBody, Upstream};

/// A fetch for several ends by itself after this time, where the method has no deadline (security
/// LI-7).
const FETCH_MOST: Duration = Duration::from_secs(300);

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) headers: &'a HeaderMap,
    /// Who `policy` found him to be; where it was not asked, a credential in the headers keeps a
    /// call away from the cache.
    pub(super) principal: Option<&'a str>,
    /// The call is a copy: nothing is kept of it, and nothing of what is kept is its answer.
    pub(super) marked: bool,
}

/// What came of it.
pub(super) enum Cached {
    Answer(Answered),
    /// The service failed: [`Failure::Said`].
    Failed(Arc<Failure>),
    /// The answer is the caller's own: the service is asked with this, as for any call.
    Own {
        message: Bytes,
        metadata: Metadata,
    },
    /// Not for the cache; the call goes as it came.
    Passed,
}

pub(super) struct Answered {
    pub(super) kept: Arc<Kept>,
    /// For an answer that was not made for this caller (RFC 9111, section 5.1).
    age: Option<Duration>,
}

impl Answered {
    /// Says how old the answer is.
    pub(super) fn put_age(&self, headers: &mut HeaderMap) {
        if let Some(age) = self.age {
            headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
        }
    }
}

/// The cache of a method, where the call may have to do with it.
pub(super) fn open_to<'p>(
    plan: &'p MethodPlan,
    caller: Caller<'_>,
    record: &mut Record,
) -> Option<&'p MethodCache> {
    let cache = plan.cache.as_ref()?;
    let known = caller.principal.is_some();
    let own = match cache.per_principal() {
        _ if caller.marked => true,
        // A credential that nobody has read says who calls, and the key would not.
        true => !known && has_credential(caller.headers),
        false => known || has_credential(caller.headers),
    };
    if own {
        record.cache_used(CacheUse::Passed);
    }
    (!own).then_some(cache)
}

/// Answers `message` from what is kept, or has it fetched. `method` is the place of the plan in
/// the call's snapshot.
pub(super) async fn carry(
    call: &Call,
    (cache, method): (&MethodCache, usize),
    (upstream, side): (&Arc<Upstream>, Side),
    (message, caller): (&[u8], Caller<'_>),
    deadline: Option<Instant>,
    record: &mut Record,
) -> Result<Cached, Refusal> {
    let principal = caller.principal.filter(|_| cache.per_principal());
    let Some(question) = cache.question(message, principal) else {
        record.cache_used(CacheUse::Passed);
        return Ok(Cached::Passed);
    };
    record.asked_of_cache();
    let (mut seat, lead, stale) = match cache.ask(&question) {
        Asked::Kept(kept) => return Ok(answer(cache, kept, CacheUse::Hit, record)),
        Asked::Own => return Ok(own(cache, (&question, principal), record)),
        Asked::Flight { seat, lead, stale } => (seat, lead, stale),
    };
    let fetched = Rc::<RefCell<Fetched>>::default();
    let mut leads = lead.is_some();
    let start = |lead| {
        let fetch = Fetch {
            call: call.clone(),
            method,
            upstream: Arc::clone(upstream),
            side,
            message: framed(cache, &question),
            metadata: told(principal),
            fetched: Rc::clone(&fetched),
        };
        call.thread.tasks.start(fetch.run(lead));
    };
    if let Some(lead) = lead {
        start(lead);
    }
    let landed = async {
        loop {
            match seat.next(leads).await {
                Next::Landed(landed) => return landed,
                Next::Lead(lead) => {
                    leads = true;
                    start(lead);
                }
            }
        }
    };
    let landed = match deadline {
        Some(deadline) => timeout_at(deadline, landed).await.ok(),
        None => Some(landed.await),
    };
    let Fetched { way, own: own_answer } = fetched.take();
    if let Some(way) = way {
        record.fetched(&upstream.name, way);
    }
    let made = if leads { CacheUse::Miss } else { CacheUse::Shared };
    let usable = stale.filter(|kept| cache.is_usable(kept));
    match landed {
        Some(Landed::Answer(kept)) => Ok(answer(cache, kept, made, record)),
        Some(Landed::Own) => match own_answer {
            Some(kept) => Ok(answer(cache, kept, CacheUse::Miss, record)),
            None => Ok(own(cache, (&question, principal), record)),
        },
        Some(Landed::Failed(failure)) => match usable {
            Some(kept) if failure.is_error() => Ok(answer(cache, kept, CacheUse::Stale, record)),
            _ => {
                record.cache_used(made);
                match &*failure {
                    Failure::Refused(refusal) => Err(refusal.clone()),
                    Failure::Said { .. } => Ok(Cached::Failed(failure)),
                }
            }
        },
        None => match usable {
            Some(kept) => Ok(answer(cache, kept, CacheUse::Stale, record)),
            None => {
                record.cache_used(made);
                Err(deadline_exceeded())
            }
        },
    }
}

fn answer(cache: &MethodCache, kept: Arc<Kept>, made: CacheUse, record: &mut Record) -> Cached {
    record.cache_used(made);
    let age = cache.age_of(&kept);
    // The service's own word of the age of what it just sent stays.
    let age = (made != CacheUse::Miss || !age.is_zero() && kept.was_old()).then_some(age);
    Cached::Answer(Answered { kept, age })
}

fn own(
    cache: &MethodCache,
    (question, principal): (&Question, Option<&str>),
    record: &mut Record,
) -> Cached {
    record.cache_used(CacheUse::Passed);
    Cached::Own { message: framed(cache, question), metadata: told(principal) }
}

/// All the metadata of a caller that reaches the service: who he is, where the key says so too
/// (protocols M-8).
fn told(principal: Option<&str>) -> Metadata {
    let mut told = Metadata::default();
    if let Some(principal) = principal {
        told.headers_mut().insert(metadata::PRINCIPAL, metadata::principal_header(principal));
    }
    told
}

fn framed(cache: &MethodCache, question: &Question) -> Bytes {
    let mut message = Vec::new();
    envelope::begin(&mut message);
    cache.message(question, &mut message);
    envelope::seal(message)
}

/// What a fetch leaves for the caller who made it.
#[derive(Default)]
struct Fetched {
    way: Option<Way>,
    own: Option<Arc<Kept>>,
}

/// A call for everybody who asks the same.
struct Fetch {
    call: Call,
    method: usize,
    upstream: Arc<Upstream>,
    side: Side,
    message: Bytes,
    metadata: Metadata,
    fetched: Rc<RefCell<Fetched>>,
}

impl Fetch {
    async fn run(self, lead: Lead) {
        let Fetch { mut call, method, upstream, side, message, metadata, fetched } = self;
        let asked_by = std::mem::replace(
            &mut call.request_id,
            identity::make_request_id(rand::random()).into(),
        );
        tracing::debug!(request = %asked_by, fetch = %call.request_id, "fetched for the cache");
        let snapshot = Arc::clone(&call.snapshot);
        let plan = &snapshot.methods[method];
        let Some(cache) = &plan.cache else { return };
        let mut journey = Journey::new(call.began, None);
        journey.asked();
        let time = plan.deadline.map_or(FETCH_MOST, |bounds| bounds.default.min(FETCH_MOST));
        let deadline = Some(Instant::now() + time);
        let mut outgoing = Outgoing {
            path: plan.path.clone(),
            headers: call.outgoing(metadata, None, deadline),
            body: OutgoingBody::Whole(message),
            terms: plan.terms(deadline),
        };
        // A fetch is a call of its own; whoever asks for copies has no mark.
        let tap = Tap::on(plan.mirror.as_ref(), side, false, &mut outgoing);
        let asked = async {
            let answer = call.thread.upstreams.send(&upstream, outgoing, &mut journey).await;
            gather(tap.observe(answer.map_err(|error| refusal_of(&error))?), &upstream).await
        };
        let answered = match tokio::time::timeout(time, asked).await {
            Ok(answered) => answered,
            Err(_elapsed) => Err(deadline_exceeded()),
        };
        journey.over();
        let way = journey.take();
        let code = match &answered {
            Ok(Gathered { outcome: Ok(_), .. }) => Code::Ok,
            Ok(Gathered { outcome: Err(said), .. }) => said.code,
            Err(refusal) => refusal.status(tandem_protocol::refusal::Shape::Grpc).code,
        };
        upstream.counters.ended(call.thread.index, code, way.upstream_took());
        fetched.borrow_mut().way = Some(way);
        match answered {
            Ok(Gathered { head, trailers, outcome: Ok(message) }) => {
                cache.land(lead, &head, &trailers, &message, |kept| {
                    fetched.borrow_mut().own = Some(kept);
                });
            }
            Ok(Gathered { outcome: Err(said), .. }) if gave_up_for_time(&said, deadline) => {
                cache.fail(lead, Failure::Refused(deadline_exceeded()));
            }
            Ok(Gathered { trailers, outcome: Err(status), .. }) => {
                cache.fail(lead, Failure::Said { status, trailers });
            }
            Err(refusal) => cache.fail(lead, Failure::Refused(refusal)),
        }
    }
}
