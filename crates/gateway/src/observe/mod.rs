//! What is known of calls: the record that rides on each answer, counters, the traces kept.
//!
//! A [`Record`] begins with the call and is closed by whoever writes the answer's last byte; a
//! record that is dropped open is a call that its caller abandoned. Counters are kept by data
//! thread and added up when somebody reads them, so the path never shares a line of memory.
//!
//! Not here: where the figures are shown (the admin API of the binary).

mod access_log;
mod metrics;
mod record;
mod shard;
mod traces;
mod upstreams;

pub use self::access_log::AccessLog;
pub use self::metrics::{MethodCounters, MethodFigures, Metrics};
pub use self::record::Record;
pub(crate) use self::record::{Begin, TraceContext};
pub use self::shard::Totals;
pub(crate) use self::shard::{Shard, ShardReader};
pub use self::traces::Span;
pub use self::upstreams::{EndpointState, RetryReason, UpstreamCounters, UpstreamFigures};
