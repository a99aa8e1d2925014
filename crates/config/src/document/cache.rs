//! What a team says about keeping answers: the key `cache`.
//!
//! Not here: whether a method may be kept (`crate::check`), who keeps it (`tandem-gateway`).

use std::time::Duration;

/// `cache` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cache {
    /// `none`
    None,
    Kept(CacheRules),
}

/// How answers of a method are kept. Only those of unary methods without side effects ever are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRules {
    /// How long an answer is as good as a new one; a service may say less.
    pub ttl: Duration,
    /// Paths of the fields of the request that the answer depends on; `None`: all. The service
    /// is asked with these alone.
    pub fields: Option<Vec<String>>,
    /// `per: principal`: every caller has answers of his own. Else nothing that a caller with a
    /// credential asks or gets has to do with the cache.
    pub per_principal: bool,
    /// How long after `ttl` an answer is still given where the service fails.
    pub stale_if_error: Duration,
    /// The largest answer that is kept, message and metadata together.
    pub entry_bytes_max: u64,
}

impl CacheRules {
    /// Where nobody wrote `entry`, and the most that may be written (security LI-28).
    pub const ENTRY_BYTES: u64 = 1024 * 1024;
}
