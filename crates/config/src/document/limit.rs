//! `limits` of a team's document: how much, how often and how much at once.
//!
//! Not here: counting (`tandem-gateway`).

/// `limits` as written at one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// `message`, bytes.
    pub message_bytes_max: Option<u64>,
    /// In the order in which they were written.
    pub calls: Vec<CallLimit>,
}

/// How often, and how many at once. One of the two at least.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallLimit {
    pub per: Per,
    pub rate: Option<Rate>,
    /// Calls that have not ended.
    pub at_once: Option<u32>,
}

/// Whose calls are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Per {
    /// Of one caller; where nobody is known, of one source.
    Principal,
    /// Of one address (of one /64 of IPv6).
    Source,
    /// All of them.
    Namespace,
    /// Of one value of this header, in lower case; those without it are one.
    Header(String),
}

/// Calls a second, and how many may come together after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// 1 to 1,000,000.
    pub per_second: u32,
    /// 1 to 1,000,000.
    pub burst: u32,
}

/// What holds for one method, with the place that says so: methods that take their limits from
/// one place are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlacedLimits {
    /// `defaults`, `Service/*` or `Service/Method`.
    pub place: String,
    pub calls: Vec<CallLimit>,
}
