//! What is known of calls: the record that rides on each answer, counters, the traces kept.
//!
//! A [`Record`] begins with the call and is closed by whoever writes the answer's last byte; a
//! record that is dropped open is a call that its caller abandoned. Counters are kept by data
//! thread and added up when somebody reads them, so the path never shares a line of memory.
//!
//! Rooms: what a call leaves behind (`record`, `way`, `traces`), what its caller may be told of it
//! (`debug`), what is counted (`shard`, `metrics`, `upstreams`, `durations`) and shown
//! (`exposition`, `access_log`), what goes to a collector (`export`, `otlp`); what upstreams use, read
//! off the path (`cost`).
//!
//! Not here: where the figures are shown (the admin API of the binary).

mod access_log;
mod cost;
mod debug;
mod durations;
mod export;
mod exposition;
mod metrics;
mod otlp;
mod record;
mod shard;
mod traces;
mod upstreams;
mod way;

pub use self::access_log::AccessLog;
pub(crate) use self::cost::Costs;
pub use self::cost::{CostWindow, UpstreamCost};
pub(crate) use self::debug::Debug;
pub use self::durations::DurationFigures;
pub(crate) use self::export::Exporter;
pub use self::metrics::{MethodCounters, MethodFigures, Metrics};
pub use self::record::Record;
pub(crate) use self::record::{Begin, Told, TraceContext};
pub use self::shard::Totals;
pub(crate) use self::shard::{OwnService, Shard, ShardReader};
pub use self::traces::Span;
pub use self::upstreams::{EndpointState, RetryReason, UpstreamCounters, UpstreamFigures};
pub(crate) use self::way::Journey;
pub use self::way::{Attempt, Moment, Outcome, Room, Way};
