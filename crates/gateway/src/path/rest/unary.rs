//! The answer that is one message, as a REST caller takes it: waited for as a whole, so that its
//! head says how the call ended.
//!
//! Source: protocols, sections 7 and 8.
//!
//! Not here: reading what the service sent (`gathered`).

use bytes::Bytes;
use http::header::HeaderMap;
use tandem_protocol::CallerProtocol;
use tandem_protocol::metadata;
use tandem_protocol::refusal::Refusal;
use tandem_protocol::status::Code;
use tandem_transcode::{RestAnswer, response_to_rest};

use super::gathered::gather;
use super::{Answering, JSON, failed, finish, media_type, success_status};
use crate::cache::Failure;
use crate::observe::Record;
use crate::path::cached::Answered;
use crate::path::{Call, Unrecorded, deadline_exceeded, gave_up_for_time};
use crate::snapshot::MethodPlan;
use crate::upstream::UpstreamAnswer;

pub(super) async fn answer(
    call: &Call,
    answering: Answering<'_>,
    answer: UpstreamAnswer,
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let Answering { place, reading, upstream, deadline, conditions } = answering;
    let plan = place.plan();
    let gathered = gather(answer, upstream).await?;
    record.upstream_over();
    let mut out = metadata::head_to_caller(&gathered.head, CallerProtocol::Rest);
    metadata::trailers_to_caller(&gathered.trailers, CallerProtocol::Rest, &mut out);
    call.sign(&mut out);
    let message = match gathered.outcome {
        Ok(message) => message,
        Err(said) if gave_up_for_time(&said, deadline) => return Err(deadline_exceeded()),
        Err(said) => return Ok(failed(call, out, said, plan, record)),
    };
    let answering = Answering { place, reading, upstream, deadline, conditions };
    written(call, answering, out, (&gathered.head, &message), record)
}

/// An answer that is kept, as this caller takes it.
pub(super) fn kept(
    call: &Call,
    answering: Answering<'_>,
    answered: &Answered,
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let kept = &answered.kept;
    let head = kept.head();
    let mut out = metadata::head_to_caller(&head, CallerProtocol::Rest);
    metadata::trailers_to_caller(&kept.trailers(), CallerProtocol::Rest, &mut out);
    answered.put_age(&mut out);
    call.sign(&mut out);
    written(call, answering, out, (&head, kept.message()), record)
}

/// A failure that was told to all who waited.
pub(super) fn failure(
    call: &Call,
    plan: &MethodPlan,
    failure: &Failure,
    record: &mut Record,
) -> Unrecorded {
    let (said, trailers) = failure.said();
    let mut out = HeaderMap::new();
    metadata::trailers_to_caller(trailers, CallerProtocol::Rest, &mut out);
    call.sign(&mut out);
    failed(call, out, said, plan, record)
}

/// The message as the caller takes it; `out` are the headers so far.
fn written(
    call: &Call,
    answering: Answering<'_>,
    mut out: HeaderMap,
    (head, message): (&HeaderMap, &Bytes),
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let Answering { place, reading, upstream, deadline: _, conditions } = answering;
    let plan = place.plan();
    let json = &reading.options.json;
    let written = response_to_rest(&plan.plans, place.rule(), message, json, &reading.limits);
    let (media, body) = match written.map_err(|fault| Refusal::of_fault(&fault))? {
        RestAnswer::Json(json) => (Some(JSON), Bytes::from(json)),
        RestAnswer::Raw { content_type, data } => {
            finish::put_coding_of_raw(&mut out, head);
            (media_type(content_type, upstream)?, message.slice_ref(data))
        }
    };
    let status = success_status(head);
    let answer = finish::whole(call, out, status, media, body, conditions);
    record.head(answer.status.as_u16(), Some(Code::Ok));
    Ok(answer)
}
