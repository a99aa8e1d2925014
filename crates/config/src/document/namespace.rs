//! A team's document, `teams/<namespace>.yaml`, and what it says about one method in the end.
//!
//! [`Namespace::resolve`] is the only place that knows the precedence (experience UX-25).
//!
//! Not here: whether the team may say it (`crate::check`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tandem_contract::compat::Follow;
use tandem_contract::{ConfiguredFault, Contract, MethodKind, RuleText};
use tandem_measure::probe::Target;
use tandem_protocol::status::Code;

use super::auth::Auth;
use super::cache::{Cache, CacheRules};
use super::limit::{Limits, PlacedLimits};
use super::mirror::{Mirror, MirrorRules};
use super::platform::PlatformLimits;
use super::rest::{JsonSwitches, RestSwitches};
use super::same::SameRules;
use super::settings::SettingsRules;
use super::tls::Tls;
use super::units::{Address, Share};

/// `teams/<namespace>.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Namespace {
    /// 1 to 63 of `[a-z0-9-]`, the same as the file's name.
    pub namespace: String,
    /// Lower case, without port. Empty: claims no host (protocols D-7).
    pub hosts: Vec<String>,
    pub contract: ContractSource,
    pub follow: FollowRules,
    pub upstreams: BTreeMap<String, Upstream>,
    /// For every method that does not say otherwise.
    pub defaults: MethodRules,
    /// By `package.Service/Method` or `package.Service/*`.
    pub methods: BTreeMap<String, MethodRules>,
    /// By full name of the service.
    pub settings: BTreeMap<String, SettingsRules>,
    /// Calls of all methods that have not ended. Not the team's word: the platform's quota
    /// ([`super::Quota::calls_at_once`]), `load` puts it here.
    pub calls_at_once: u32,
    /// Bytes of answers that are kept for it. Not the team's word: the platform's quota
    /// ([`super::Quota::cache_bytes`]), `load` puts it here.
    pub cache_bytes: u64,
    /// Its part of what copies of calls may take up. Not the team's word: the platform's quota
    /// ([`super::Quota::mirror`]), `load` puts it here.
    pub mirror_share: Share,
}

/// Where the descriptors of the services come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContractSource {
    /// The name of the upstream that is asked.
    Reflection(String),
    /// A serialized `google.protobuf.FileDescriptorSet`; relative to the team's file, below its
    /// folder. [`crate::load::descriptor_set`] reads it.
    Descriptors(PathBuf),
    /// A .proto file, or a folder of them; relative to the team's file, below its folder.
    /// [`crate::load::proto_texts`] reads them.
    Protos(PathBuf),
}

/// What happens when a contract that comes by reflection changes (protocols X-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FollowRules {
    pub policy: Follow,
    /// `digest`: the set digest that a person has agreed to. Always there with [`Follow::Pinned`].
    pub recorded: Option<[u8; 32]>,
}

/// One implementation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// One or more.
    pub addresses: Vec<Address>,
    /// Connections per data thread to begin with, 1 to 4.
    pub connections: u8,
    /// Time to connect.
    pub connect: Duration,
    /// The largest message that it may answer.
    pub message_bytes_max: u64,
    pub health: HealthCheck,
    /// Whether an endpoint whose calls fail is left out for a while.
    pub eject: bool,
    /// Whether it has data of its own that nobody else sees, as its team promises: what is written
    /// there happens to nobody.
    pub isolated: bool,
    /// What is looked at to say what it uses: one target an instance, their sum. Empty: nothing is.
    pub cost: Vec<Target>,
    /// Whether its names may lead to this machine. Not the team's word: the platform grants it
    /// ([`super::Grants::loopback`]), `load` puts it here.
    pub loopback: bool,
    /// Where the gateway itself listens, and so no upstream may lead. `load` puts it here; ports
    /// that the system chooses at the start are not known to it.
    pub own_listeners: Arc<[SocketAddr]>,
    /// `None`: clear text (h2c).
    pub tls: Option<Tls>,
}

/// How the gateway asks an endpoint whether it is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthCheck {
    None,
    /// `grpc.health.v1.Health/Check` of the whole server.
    Grpc,
}

/// What stands under `defaults`, `Service/*` or `Service/Method`; `None` where nothing does.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MethodRules {
    /// Name of the upstream that answers.
    pub primary: Option<String>,
    /// Name of the upstream on trial.
    pub candidate: Option<String>,
    pub mirror: Option<Mirror>,
    pub same: Option<SameRules>,
    /// On the internal listener only.
    pub internal: Option<bool>,
    pub auth: Option<Auth>,
    pub deadline: Option<Deadline>,
    pub limits: Option<Limits>,
    pub retries: Option<Retries>,
    pub cache: Option<Cache>,
    /// `rest.rpc_paths`; under `defaults` only.
    pub rpc_paths: Option<bool>,
    pub rest: Option<RestSwitches>,
    pub json: Option<JsonSwitches>,
    /// In the place of the annotations; under `Service/Method` only.
    pub http: Option<Vec<RuleText>>,
}

/// `deadline` as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// `none`: the call may take as long as it takes.
    None,
    Bounded {
        default: Option<Duration>,
        max: Option<Duration>,
    },
}

/// `retries` as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retries {
    None,
    Within(RetryPolicy),
}

/// When a call that failed is tried again. Only methods without side effects and idempotent ones
/// ever are, before the first byte of their answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    pub codes: BTreeSet<Code>,
    /// Attempts of one call, the first included; 2 to 5.
    pub attempts: u8,
    /// Time for one attempt until its answer begins; `None`: what is left of the deadline.
    pub attempt: Option<Duration>,
    /// Attempts after the first, as a part of all calls.
    pub budget: Share,
}

/// How long a whole call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Where the caller sent no deadline.
    pub default: Duration,
    /// The smaller of this and the caller's holds.
    pub max: Duration,
}

/// What holds for one method, every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedMethod {
    /// Name of the upstream that answers. Where nobody wrote one it is the only upstream; `None`
    /// where there is not exactly one, which [`crate::check()`] refuses.
    pub primary: Option<String>,
    /// Name of the upstream on trial.
    pub candidate: Option<String>,
    /// `None`: no call is copied. Whether they may be is for [`MirrorRules::leave`] to say.
    pub mirror: Option<MirrorRules>,
    pub same: SameRules,
    pub internal: bool,
    /// `None`: nobody may call; answered with 401 (security PO-1).
    pub auth: Option<Auth>,
    /// `None`: no deadline of ours. Streams have none unless one was written.
    pub deadline: Option<Bounds>,
    /// The largest message of the caller, bytes; never above the platform's.
    pub message_bytes_max: u64,
    pub limits: PlacedLimits,
    pub rest: RestSwitches,
    pub json: JsonSwitches,
    /// `None`: no call is tried again, unless it never began (security U-3).
    pub retries: Option<RetryPolicy>,
    /// `None`: no answer is kept. What is written for methods that cannot be kept holds for the
    /// others of its line; whoever serves knows the contract.
    pub cache: Option<CacheRules>,
}

impl RetryPolicy {
    /// Where nobody wrote one; it holds for calls that never began as well (security U-3).
    pub const BUDGET: Share = match Share::from_per_mille(200) {
        Some(share) => share,
        None => unreachable!(),
    };
}

impl Namespace {
    /// Full names of the services that the document names: all their methods exist, and no
    /// others (protocols D-5).
    pub fn services(&self) -> BTreeSet<&str> {
        self.methods.keys().filter_map(|key| key.split_once('/')).map(|(name, _)| name).collect()
    }

    /// Whether the methods have their RPC paths (protocols D-5).
    pub fn rpc_paths(&self) -> bool {
        self.defaults.rpc_paths.unwrap_or(true)
    }

    /// What holds for `method` (its own name) of `service` (its full name): `Service/Method`
    /// before `Service/*` before `defaults` before what is built in, key by key, never parts of
    /// a key (experience UX-25).
    pub fn resolve(
        &self,
        service: &str,
        method: &str,
        kind: MethodKind,
        limits: &PlatformLimits,
    ) -> ResolvedMethod {
        let places = [format!("{service}/{method}"), format!("{service}/*")];
        let [own, of_service] = [&places[0], &places[1]].map(|place| self.methods.get(place));
        let layers = [own, of_service, Some(&self.defaults)];
        let placed = layers
            .into_iter()
            .zip(places.iter().map(String::as_str).chain(["defaults"]))
            .find_map(|(layer, place)| Some((layer?.limits.as_ref()?, place)));
        let rules = layers.into_iter().flatten().fold(MethodRules::default(), MethodRules::or_from);
        let MethodRules {
            primary,
            candidate,
            mirror,
            same,
            internal,
            auth,
            deadline,
            limits: _, // with their place, above
            retries,
            cache,
            rpc_paths: _,
            rest,
            json,
            http: _, // in the contract that is served
        } = rules;
        ResolvedMethod {
            primary: primary.or_else(|| self.only_upstream()),
            candidate,
            mirror: match mirror {
                Some(Mirror::Copied(rules)) => Some(rules),
                Some(Mirror::None) | None => None,
            },
            same: same.unwrap_or_default(),
            internal: internal.unwrap_or(false),
            auth,
            deadline: bounds(deadline, kind, limits),
            message_bytes_max: placed
                .and_then(|(written, _)| written.message_bytes_max)
                .unwrap_or(limits.message_bytes)
                .min(limits.message_bytes),
            limits: placed.map_or_else(PlacedLimits::default, |(written, place)| PlacedLimits {
                place: place.to_owned(),
                calls: written.calls.clone(),
            }),
            rest: rest.unwrap_or_default(),
            json: json.unwrap_or_default(),
            retries: match retries {
                Some(Retries::Within(policy)) => Some(policy),
                Some(Retries::None) | None => None,
            },
            cache: match cache {
                Some(Cache::Kept(rules)) if kind == MethodKind::Unary => Some(rules),
                Some(Cache::Kept(_) | Cache::None) | None => None,
            },
        }
    }

    /// The contract as the namespace serves it: with the rules under `http` in the place of the
    /// annotations of their methods (protocols P-14). Rules that cannot be served are left out and
    /// given back; what is named and unknown is left to [`crate::check()`].
    pub fn served(&self, contract: &Arc<Contract>) -> (Arc<Contract>, Vec<ConfiguredFault>) {
        let rules: Vec<_> = contract
            .methods()
            .filter_map(|(id, method)| {
                let rules = self.methods.get(method.full_name())?.http.clone()?;
                Some((id, rules))
            })
            .collect();
        if rules.is_empty() {
            return (Arc::clone(contract), Vec::new());
        }
        let (contract, faults) = contract.with_rules(rules);
        (Arc::new(contract), faults)
    }

    fn only_upstream(&self) -> Option<String> {
        match self.upstreams.keys().collect::<Vec<_>>()[..] {
            [only] => Some(only.clone()),
            _ => None,
        }
    }
}

impl MethodRules {
    /// These rules, and `next` where these say nothing.
    fn or_from(self, next: &MethodRules) -> MethodRules {
        let MethodRules {
            primary,
            candidate,
            mirror,
            same,
            internal,
            auth,
            deadline,
            limits,
            retries,
            cache,
            rpc_paths,
            rest,
            json,
            http,
        } = next;
        MethodRules {
            primary: self.primary.or_else(|| primary.clone()),
            candidate: self.candidate.or_else(|| candidate.clone()),
            mirror: self.mirror.or_else(|| mirror.clone()),
            same: self.same.or_else(|| same.clone()),
            internal: self.internal.or(*internal),
            auth: self.auth.or_else(|| auth.clone()),
            deadline: self.deadline.or(*deadline),
            limits: self.limits.or_else(|| limits.clone()),
            retries: self.retries.or_else(|| retries.clone()),
            cache: self.cache.or_else(|| cache.clone()),
            rpc_paths: self.rpc_paths.or(*rpc_paths),
            rest: self.rest.or_else(|| rest.clone()),
            json: self.json.or(*json),
            http: self.http.or_else(|| http.clone()),
        }
    }
}

fn bounds(written: Option<Deadline>, kind: MethodKind, limits: &PlatformLimits) -> Option<Bounds> {
    let streams = kind != MethodKind::Unary;
    match written {
        Some(Deadline::None) => None,
        None if streams => None,
        None => Some(Bounds { default: limits.unary, max: limits.unary_max }),
        Some(Deadline::Bounded { default, max }) => {
            let max = max.unwrap_or(limits.unary_max).min(limits.unary_max);
            Some(Bounds { default: default.unwrap_or(limits.unary).min(max), max })
        }
    }
}
