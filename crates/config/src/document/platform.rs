//! The platform's document, `tandem.yaml`: one process, and what each namespace may claim.
//!
//! PlatformLimits carry the defaults of the platform; [`PlatformLimits::default`] is the one place that holds
//! them.
//!
//! Not here: what a team writes (`namespace`), who enforces a limit (`tandem-gateway`).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use tandem_measure::probe::Target;

use super::identity::Identities;
use super::tls::Tls;
use super::units::{Address, Share};
use crate::access::Role;

/// `tandem.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Platform {
    /// By name. [`Platform::INTERNAL`], [`Platform::ADMIN`] and [`Platform::METRICS`] are
    /// special; every other name is a public listener.
    pub listen: BTreeMap<String, Listen>,
    /// Data threads; `None`: as many as the cores allowed.
    pub threads: Option<NonZeroU16>,
    pub identity: Identities,
    pub limits: PlatformLimits,
    pub observe: Observe,
    /// `None`: files alone are served, and nothing makes versions.
    pub store: Option<StorePlace>,
    /// What each namespace may claim. A team's file without a line here claims nothing.
    pub namespaces: BTreeMap<String, NamespaceGrant>,
}

impl Platform {
    /// Listener of the calls between services.
    pub const INTERNAL: &'static str = "internal";
    /// Listener of the admin API and the page.
    pub const ADMIN: &'static str = "admin";
    /// Listener of `/metrics` alone.
    pub const METRICS: &'static str = "metrics";

    /// The listeners that callers from outside reach, in the order of their names.
    pub fn public_listeners(&self) -> impl Iterator<Item = (&str, &Listen)> {
        self.listen
            .iter()
            .map(|(name, listen)| (name.as_str(), listen))
            .filter(|(name, _)| ![Self::INTERNAL, Self::ADMIN, Self::METRICS].contains(name))
    }
}

/// Where versions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlace {
    /// `embedded`: the folder of the one file.
    pub folder: PathBuf,
    /// The file of the keys that seal secrets; made at the first start. Where nobody wrote one,
    /// `store.key` in the folder.
    pub key: PathBuf,
}

/// One listener, in clear text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    pub address: SocketAddr,
    /// Lower case, without port. Empty: every namespace that claims no host (protocols D-7).
    pub hosts: Vec<String>,
    /// `trust.mirrored`: networks whose marked copies are carried; nobody's, unless written
    /// (compare M-5).
    pub mirrored: Vec<Network>,
    pub offer: Offer,
}

/// What callers of a listener may ask the gateway itself; nothing unless it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offer {
    /// Server reflection, v1 and v1alpha.
    pub reflection: bool,
    /// `grpc.health.v1.Health`.
    pub health: bool,
}

/// The rows of security §4 that the platform may change, each with its default.
#[derive(Debug, Clone, PartialEq)]
pub struct PlatformLimits {
    /// LI-1; the process may have to go lower where it may not open as many files.
    pub connections: u32,
    /// LI-1, per source address.
    pub connections_per_source: u32,
    /// LI-2.
    pub handshake: Duration,
    /// LI-3, from the first byte of a head to its last.
    pub head_read: Duration,
    /// LI-4, without a request.
    pub keep_alive: Duration,
    /// LI-5, of a message under way.
    pub body_pace_bytes_per_second: u64,
    /// LI-5, before the pace is judged.
    pub body_pace_after: Duration,
    /// LI-6, without progress.
    pub stalled_write: Duration,
    /// LI-8, of the request target.
    pub uri_bytes: u64,
    /// LI-9, how many.
    pub headers: u32,
    /// LI-9, decoded, in all.
    pub header_bytes: u64,
    /// LI-10, before and after decompression.
    pub message_bytes: u64,
    /// LI-11, times the compressed size.
    pub ratio: u32,
    /// LI-12, levels.
    pub json_depth: u32,
    /// LI-15.
    pub json_nodes: u32,
    /// LI-16, the cap of the text written from one message.
    pub json_out_bytes: u64,
    /// LI-18, at once on one connection.
    pub streams: u32,
    /// LI-19. Four streams fill a connection's; one alone must not, for the others would wait.
    pub stream_window_bytes: u32,
    /// LI-19: what one connection can make us hold of requests.
    pub connection_window_bytes: u32,
    /// LI-20, resets pending accept.
    pub resets: u32,
    /// LI-21, frames a second outside HEADERS and DATA.
    pub control_frames_per_second: u32,
    /// LI-22.
    pub requests_per_connection: u32,
    /// Age at which a caller's connection is told to go; its calls finish (protocols G-7).
    pub connection_age: Duration,
    /// LI-7, the deadline of a unary call where nobody wrote one.
    pub unary: Duration,
    /// LI-7, the longest deadline of a unary call.
    pub unary_max: Duration,
    /// LI-7, without a message in either direction.
    pub stream_idle: Duration,
    /// LI-23; `None`: 256 MiB or a quarter of the memory allowed, the smaller.
    pub buffer_bytes: Option<u64>,
}

impl Default for PlatformLimits {
    fn default() -> PlatformLimits {
        const KIB: u64 = 1024;
        const MIB: u64 = 1024 * KIB;
        PlatformLimits {
            connections: 10_000,
            connections_per_source: 256,
            handshake: Duration::from_secs(5),
            head_read: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            body_pace_bytes_per_second: KIB,
            body_pace_after: Duration::from_secs(10),
            stalled_write: Duration::from_secs(30),
            uri_bytes: 8 * KIB,
            headers: 100,
            header_bytes: 16 * KIB,
            message_bytes: 4 * MIB,
            ratio: 100,
            json_depth: 48,
            json_nodes: 100_000,
            json_out_bytes: 64 * MIB,
            streams: 100,
            stream_window_bytes: 256 * 1024,
            connection_window_bytes: 1024 * 1024,
            resets: 20,
            control_frames_per_second: 100,
            requests_per_connection: 10_000,
            connection_age: Duration::from_secs(60 * 60),
            unary: Duration::from_secs(15),
            unary_max: Duration::from_secs(300),
            stream_idle: Duration::from_secs(300),
            buffer_bytes: None,
        }
    }
}

/// What the process tells about its calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observe {
    pub access_log: AccessLog,
    /// `None`: traces stay in memory.
    pub traces: Option<Traces>,
}

/// A collector that a part of the traces goes to, by OTLP over gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    pub collector: Address,
    /// `None`: clear text (h2c).
    pub tls: Option<Tls>,
    /// Part of the traces that begin here; those that began elsewhere follow their beginning.
    pub share: Share,
}

impl Traces {
    /// One in a hundred, where nobody wrote a share.
    pub const SHARE: Share = match Share::from_per_mille(10) {
        Some(share) => share,
        None => unreachable!(),
    };
}

/// One line a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    pub to: AccessLogTarget,
    /// Part of the calls that get a line.
    pub share: Share,
}

impl Default for AccessLog {
    fn default() -> AccessLog {
        AccessLog { to: AccessLogTarget::Stdout, share: Share::ALL }
    }
}

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTarget {
    None,
    Stdout,
    File(PathBuf),
}

/// What the platform lets a namespace do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamespaceGrant {
    pub members: Members,
    pub may: Grants,
    pub quota: Quota,
}

/// Who holds which role (security RB-1…RB-4): `user:NAME`, `group:NAME` or `token:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    pub owner: Vec<String>,
    pub publisher: Vec<String>,
    pub editor: Vec<String>,
    pub viewer: Vec<String>,
}

impl Members {
    /// The names of each role, the greatest first.
    pub fn by_role(&self) -> [(Role, &[String]); 4] {
        let Members { owner, publisher, editor, viewer } = self;
        [
            (Role::Owner, owner),
            (Role::Publisher, publisher),
            (Role::Editor, editor),
            (Role::Viewer, viewer),
        ]
    }
}

/// What a namespace may claim; empty lists claim nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grants {
    /// Lower case, without port; `*.example.com` stands for every name below.
    pub hosts: Vec<HostPattern>,
    pub services: Vec<ServicePattern>,
    pub paths: Vec<PathPattern>,
    pub upstreams: Vec<UpstreamPattern>,
    /// Processes and cgroups whose use of CPU and memory the team may see.
    pub cost: Vec<CostPattern>,
    /// Whether `auth: { public: true }` may be written.
    pub public_methods: bool,
    /// Whether upstreams may stand on this machine; their addresses must be granted as well.
    pub loopback: bool,
}

/// What a namespace may use up (security LI-24).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    pub calls_at_once: u32,
    /// Methods and REST rules together.
    pub routes: u32,
    pub document_bytes: u64,
    /// Answers kept for it, with all that belongs to them.
    pub cache_bytes: u64,
    /// Part of what copies of calls may take up in the process (security LI-27).
    pub mirror: Share,
}

impl Default for Quota {
    fn default() -> Quota {
        const MIB: u64 = 1024 * 1024;
        Quota {
            calls_at_once: 1_000,
            routes: 2_000,
            document_bytes: MIB,
            cache_bytes: 64 * MIB,
            mirror: Quota::MIRROR,
        }
    }
}

impl Quota {
    /// Half: no team has it all unless somebody says so.
    pub const MIRROR: Share = match Share::from_per_mille(500) {
        Some(share) => share,
        None => unreachable!(),
    };
}

/// A name, or every name below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `*`
    Any,
    /// `api.example.com`
    Exact(String),
    /// `*.example.com`: one label or more in front; holds `example.com`.
    Below(String),
}

impl HostPattern {
    /// Whether `host` (lower case, without port) is meant.
    pub fn covers(&self, host: &str) -> bool {
        match self {
            HostPattern::Any => true,
            HostPattern::Exact(name) => name == host,
            HostPattern::Below(name) => host
                .strip_suffix(name.as_str())
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty()),
        }
    }
}

/// A service, or every service of a package and of the packages below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServicePattern {
    Exact(String),
    /// `package.*`; holds `package`.
    Package(String),
}

impl ServicePattern {
    /// Whether the service of this full name is meant.
    pub fn covers(&self, service: &str) -> bool {
        match self {
            ServicePattern::Exact(name) => name == service,
            ServicePattern::Package(package) => service
                .strip_prefix(package.as_str())
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| !rest.is_empty()),
        }
    }
}

/// REST paths: `/v1/products`, `/v1/products:*`, `/v1/products/**`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    pub segments: Vec<PatternSegment>,
    pub verb: VerbPattern,
}

/// One segment of a path, in a grant or in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternSegment {
    Literal(String),
    /// `*`: one segment.
    One,
    /// `**`, last: any number of segments, also none, and what stands behind them.
    Rest,
}

/// What may stand behind the last segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerbPattern {
    None,
    /// `:*`
    Any,
    /// `:watch`
    Exact(String),
}

/// Addresses of upstreams: a name pattern or a network, and ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamPattern {
    Name { host: HostPattern, ports: RangeInclusive<u16> },
    Network { network: Network, ports: RangeInclusive<u16> },
}

/// Targets of `cost` by what is written: `unit:shop-go.service`, or `cgroup:/shop.slice/*` for all
/// that begin so.
///
/// A pattern speaks of the text of a target and of nothing that it leads to: whoever grants a port
/// or a pid grants whatever process has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CostPattern {
    Exact(Target),
    /// What stands before the `*`; a whole kind at least.
    Begins(String),
}

impl CostPattern {
    pub fn covers(&self, target: &Target) -> bool {
        match self {
            CostPattern::Exact(granted) => granted == target,
            CostPattern::Begins(text) => target.to_string().starts_with(text.as_str()),
        }
    }
}

/// A block of addresses, `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    /// Leading bits that count, at most 32 or 128.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` lies in the block. An IPv4-mapped IPv6 address is its IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let ignored = 32 - u32::from(self.prefix.min(32));
                let shift = |bits: u32| bits.checked_shr(ignored).unwrap_or(0);
                shift(network.to_bits()) == shift(address.to_bits())
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let ignored = 128 - u32::from(self.prefix.min(128));
                let shift = |bits: u128| bits.checked_shr(ignored).unwrap_or(0);
                shift(network.to_bits()) == shift(address.to_bits())
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}
