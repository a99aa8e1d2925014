//! What the platform and the teams write, as values: `tandem.yaml` and `teams/<namespace>.yaml`.
//!
//! A value of these types has been read whole: units are converted, names are well formed,
//! defaults stand where nothing was written. What a value means beside the contract and the
//! other documents is not known yet.
//!
//! Not here: reading text (`crate::load()`), judging a document (`crate::check`), places of keys
//! in the text (`crate::source`).

mod auth;
mod identity;
mod limit;
mod cache;
mod mirror;
mod namespace;
mod platform;
mod reach;
mod rest;
mod same;
mod settings;
mod tls;
pub mod units;

pub use self::auth::{Auth, ClaimValue, TokenRule, Way, Who};
pub use self::cache::{Cache, CacheRules};
pub use self::identity::{ApiKeyHeader, HttpsUrl, Identities, Issuer, KeySource, KeysAt};
pub use self::limit::{CallLimit, Limits, Per, PlacedLimits, Rate};
pub use self::mirror::{
    Credentials, Forbidden, Leave, Mirror, MirrorRules, OrderBy, SampleKey, TwinAsked, TwinRule,
    Writes,
};
pub use self::namespace::{
    Bounds, ContractSource, Deadline, FollowRules, HealthCheck, MethodRules, Namespace,
    ResolvedMethod, Retries, RetryPolicy, Upstream,
};
pub use self::platform::{
    AccessLog, AccessLogTarget, CostPattern, Grants, HostPattern, Listen, Members, NamespaceGrant,
    Network, Observe, Offer, PathPattern, PatternSegment, Platform, PlatformLimits, Quota,
    ServicePattern, StorePlace, Traces, UpstreamPattern, VerbPattern,
};
pub use self::reach::{forbidden, is_listener};
pub use self::rest::{
    EncodedSlash, ErrorDetails, HeadHold, JsonDefaults, JsonEnums, JsonInt64, JsonNames,
    JsonSwitches, PatchMask, PathSwitches, RestSwitches, StreamEnvelope, StreamFraming,
    TrailingSlash, UnaskedBody, Unknown,
};
pub use self::same::SameRules;
pub use self::settings::{Require, SettingsRules};
pub use self::tls::{Identity, Tls};
pub use self::units::{Address, Share};
