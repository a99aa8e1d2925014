//! What the platform and the teams write, as values: `tandem.yaml` and `teams/<namespace>.yaml`.
//!
//! A value of these types has been read whole: units are converted, names are well formed,
//! defaults stand where nothing was written. What a value means beside the contract and the
//! other documents is not known yet.
//!
//! Not here: reading text (`crate::load()`), judging a document (`crate::check`), places of keys
//! in the text (`crate::source`).

mod cache;
mod namespace;
mod platform;
mod reach;
mod rest;
mod tls;
pub mod units;

pub use self::cache::{Cache, CacheRules};
pub use self::namespace::{
    Auth, Bounds, ContractSource, Deadline, FollowRules, HealthCheck, MethodRules, Namespace,
    ResolvedMethod, Retries, RetryPolicy, Upstream, Who,
};
pub use self::platform::{
    AccessLog, AccessLogTarget, Grants, HostPattern, Listen, Members, NamespaceGrant, Network,
    Observe, Offer, PathPattern, PatternSegment, Platform, PlatformLimits, Quota, ServicePattern,
    Traces, UpstreamPattern, VerbPattern,
};
pub use self::reach::{forbidden, is_listener};
pub use self::rest::{
    EncodedSlash, ErrorDetails, HeadHold, JsonDefaults, JsonEnums, JsonInt64, JsonNames,
    JsonSwitches, PatchMask, PathSwitches, RestSwitches, StreamEnvelope, StreamFraming,
    TrailingSlash, UnaskedBody, Unknown,
};
pub use self::tls::{Identity, Tls};
pub use self::units::{Address, Share};
