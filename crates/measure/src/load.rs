//! Load at an offered rate: calls go out when the schedule says so, not when answers come.
//!
//! A schedule is computed before a block ([`Schedule`]). On the generator's own thread
//! ([`on_own_thread`]) one loop keeps it: it wakes shortly before a slot, looks at the clock until
//! the slot has come, hands the call to a task and goes on to the next slot; it never waits for an
//! answer ([`offer`]). Latency counts from the intended moment, so a service that stalls answers
//! for every call that should have been sent meanwhile (compare L-1 to L-4).
//!
//! Pacer and senders share one thread on purpose. A pacer on a thread of its own, pinned to the
//! core that the senders have, spins in their time slice, and an answer is read up to a whole
//! slice after it came. Here each look at the clock is also a look at the sockets.
//!
//! Not here: connections and protocols (whoever implements [`Sender`]), what the times mean
//! (`tandem-judge`).

mod capacity;
mod offer;
mod pace;
mod plan;
mod record;
mod schedule;
mod stall;
mod thread;
mod warm_up;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use self::capacity::{search, search_both};
pub use self::offer::{IN_FLIGHT_MOST, Offer, offer};
pub(crate) use self::offer::{drain, reap};
pub use self::pace::{Clock, Precise, Waiting};
pub use self::plan::{Due, Flow, OfferPlan, Plan, Step, Take, offer_plan};
pub use self::record::{OfMethod, Offered, Quantile, Recorded, Recorder, Times, Usage};
pub use self::schedule::{Arrivals, Schedule, Trace};
pub use self::stall::STALL_LEAST;
pub use self::thread::on_own_thread;
pub use self::warm_up::{WarmUp, Warmth, Window};

/// One call as it is sent, to whichever side.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which of the methods under load: a number of the caller's choice, from 0.
    pub method: usize,
    /// Request messages as they stand on the wire, without envelopes.
    pub messages: Arc<[Bytes]>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The service said so: its gRPC status.
    Answered(u8),
    /// Nobody said anything: the connection failed or the stream was reset. The status is what a
    /// caller would see.
    Lost(u8),
}

/// The end of a call.
#[derive(Debug, Clone)]
pub struct Ended {
    pub outcome: Outcome,
    /// Bytes of all messages of the answer.
    pub answer_bytes: u64,
    /// The last message of the answer; only plans read it.
    pub answer: Bytes,
    /// At the end of the call, time that is no part of it: of a stream that was cut, from its last
    /// message on.
    pub quiet: Duration,
}

/// Sends calls to one side.
///
/// Made and used on the generator's thread alone, so neither it nor its futures need be `Send`. A
/// call begins when its future is first polled: what it waits for from then on (a connection, a
/// stream) is counted as the service's. Dropping the future cancels the call.
pub trait Sender: 'static {
    /// Sends `call`, the `number`th of its sequence, and waits for its end.
    fn send(&self, number: u64, call: &Call) -> impl Future<Output = Ended>;
}
