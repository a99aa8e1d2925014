//! Checked documents → the tables that the path reads; replaced whole, atomically.
//!
//! A call keeps the snapshot that it started with. Counters are found again by name, so a method
//! that stays keeps its figures.
//!
//! Not here: checking (`tandem-config`), swapping (`reconcile`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use tandem_config::Namespace;
use tandem_config::document::{
    Address, Bounds, JsonDefaults, JsonEnums, JsonInt64, JsonNames, JsonSwitches, PlatformLimits,
    ResolvedMethod, RestSwitches, Unknown,
};
use tandem_contract::directory::{Directory, DirectoryFault, DirectoryMethod, NamespaceEntry};
use tandem_contract::{Contract, Idempotency, MessageId, Method, MethodKind};
use tandem_transcode::{BindOptions, FieldText, JsonOptions, Plans, RulePlan};
use tokio::time::Instant;

use crate::cache::{Caches, MethodCache};
use crate::mirror::{MethodMirror, Mirrors, Served};
use crate::observe::{MethodCounters, Metrics, UpstreamCounters};
use crate::policy::Judges;
use crate::policy::auth::Policy;
use crate::policy::limit::MethodLimits;
use crate::route::{CandidateShare, Route};
use crate::upstream::{RetryRules, Terms, Upstream, UpstreamAddress, Windows, tls};

/// One published state of everything that the path reads.
pub struct Snapshot {
    pub(crate) directory: Directory,
    /// By `MethodIndex`.
    pub(crate) methods: Vec<MethodPlan>,
    /// Namespaces that have no contract yet: what is not found may be theirs.
    pub(crate) waiting: BTreeSet<String>,
    /// Rules that a namespace has twice; the first of each serves (protocols P-15).
    pub(crate) left_out: Vec<DirectoryFault>,
}

/// What holds for one method.
pub(crate) struct MethodPlan {
    /// With the contract that they were made from.
    pub(crate) plans: Arc<Plans>,
    pub(crate) kind: MethodKind,
    pub(crate) input: MessageId,
    pub(crate) output: MessageId,
    pub(crate) path: PathAndQuery,
    pub(crate) route: Route,
    /// `None`: no call is copied.
    pub(crate) mirror: Option<Arc<MethodMirror>>,
    pub(crate) policy: Policy,
    pub(crate) limits: MethodLimits,
    /// Whether a caller who asks is told where the time went and who answered (experience UX-35).
    pub(crate) debug: bool,
    pub(crate) deadline: Option<Bounds>,
    pub(crate) message_bytes_max: usize,
    pub(crate) rest: RestSwitches,
    /// What numbers the events of a stream, where the team named a field (protocols S-7).
    pub(crate) event_id: Option<FieldText>,
    pub(crate) json: JsonSwitches,
    pub(crate) retries: RetryRules,
    /// `None`: no answer is kept.
    pub(crate) cache: Option<MethodCache>,
    pub(crate) counters: Arc<MethodCounters>,
    /// `/package.Service/Method`.
    pub(crate) rpc_name: Arc<str>,
    /// `POST /v1/products`, by rule.
    pub(crate) rule_names: Vec<Arc<str>>,
    /// By rule: how it binds.
    pub(crate) rules: Vec<RulePlan>,
}

impl MethodPlan {
    /// What holds for the attempts of a call that ends by `deadline`.
    pub(crate) fn terms(&self, deadline: Option<Instant>) -> Terms {
        Terms { deadline, retries: self.retries, one_answer: !self.kind.many_answers() }
    }

    /// How requests are bound and messages read and written.
    pub(crate) fn bind_options(&self) -> BindOptions {
        let RestSwitches {
            paths: _, // judged where the path is
            unknown_query,
            unknown_json_field,
            body_without_rule,
            patch_mask,
            stream_framing: _, // read where answers are framed
            stream_envelope: _,
            sse_id_field: _,
            head_hold: _,
            error_details: _,
        } = &self.rest;
        let JsonSwitches { defaults, enums, names, int64 } = self.json;
        BindOptions {
            json: JsonOptions {
                ignore_unknown: *unknown_json_field == Unknown::Ignore,
                emit_defaults: defaults == JsonDefaults::Emit,
                enum_numbers: enums == JsonEnums::Number,
                proto_names: names == JsonNames::Proto,
                int64_numbers: int64 == JsonInt64::Number,
            },
            unknown_query: *unknown_query,
            body_without_rule: *body_without_rule,
            patch_mask: *patch_mask,
        }
    }
}

impl Snapshot {
    /// Nothing is served.
    pub(crate) fn empty() -> Snapshot {
        Snapshot {
            directory: Directory::empty(),
            methods: Vec::new(),
            waiting: BTreeSet::new(),
            left_out: Vec::new(),
        }
    }

    /// Builds the tables of all namespaces that have a contract.
    ///
    /// # Errors
    /// When two of them claim the same.
    pub(crate) fn build(
        limits: &PlatformLimits,
        namespaces: &[Namespace],
        plans: &BTreeMap<String, Arc<Plans>>,
        metrics: &Metrics,
        judges: &Judges,
        caches: &Caches,
        (mirrors, shares): (&Mirrors, &CandidateShares),
    ) -> Result<Snapshot, Vec<DirectoryFault>> {
        let mut entries = Vec::new();
        let mut method_plans = Vec::new();
        let mut waiting = BTreeSet::new();
        let mut cache_quotas = BTreeMap::new();
        let mut mirrored = BTreeSet::new();
        for namespace in namespaces {
            let Some(compiled) = plans.get(&namespace.namespace) else {
                waiting.insert(namespace.namespace.clone());
                continue;
            };
            let contract = compiled.contract();
            let upstreams = upstreams_of(namespace, metrics);
            let named = namespace.services();
            let lines = mirror_lines(namespace, contract, limits);
            let mut methods = Vec::new();
            for (id, method) in contract.methods() {
                if !named.contains(&*method.service) {
                    continue;
                }
                let resolved =
                    namespace.resolve(&method.service, &method.name, method.kind, limits);
                methods.push(DirectoryMethod {
                    contract: Arc::clone(contract),
                    method: id,
                    internal: resolved.internal,
                    paths: resolved.rest.paths,
                });
                let rule_names = method
                    .rules
                    .iter()
                    .map(|rule| format!("{} {}", rule.http_method, rule.template.text()).into())
                    .collect();
                let rules = method
                    .rules
                    .iter()
                    .map(|rule| RulePlan::new(contract, rule, method.input, method.output))
                    .collect();
                let path = PathAndQuery::try_from(&*method.path);
                let event_id = event_id(&resolved.rest, contract, method);
                let cache = cache(caches, namespace, method, compiled, &resolved);
                if cache.is_some() {
                    cache_quotas.insert(&*namespace.namespace, namespace.cache_bytes);
                }
                let upstream = |name: Option<&String>| {
                    name.and_then(|name| upstreams.get(name)).map(Arc::clone)
                };
                let key = (namespace.namespace.clone(), method.full_name().to_owned());
                let route = Route::new(
                    upstream(resolved.primary.as_ref()),
                    upstream(resolved.candidate.as_ref()),
                    shares.get(&key).copied().unwrap_or_default(),
                );
                let mirror = mirrors.method(&Served {
                    namespace,
                    method,
                    resolved: &resolved,
                    plans: compiled,
                    upstreams: &upstreams,
                    of_line: lines.get(line_of_mirror(namespace, method)).copied().unwrap_or(1),
                    cached: cache.is_some(),
                });
                if mirror.is_some() {
                    mirrored.insert(key);
                }
                method_plans.push(MethodPlan {
                    plans: Arc::clone(compiled),
                    kind: method.kind,
                    input: method.input,
                    output: method.output,
                    path: path.expect("names of services and methods are identifiers"),
                    route,
                    mirror,
                    policy: Policy::new(
                        resolved.auth.as_ref().map(|auth| &auth.who),
                        &judges.identity,
                    ),
                    limits: judges.limits.limits(
                        &namespace.namespace,
                        namespace.calls_at_once,
                        &resolved.limits,
                    ),
                    debug: resolved.auth.as_ref().is_some_and(|auth| auth.debug),
                    deadline: resolved.deadline,
                    message_bytes_max: usize::try_from(resolved.message_bytes_max)
                        .unwrap_or(usize::MAX),
                    rest: resolved.rest,
                    event_id,
                    json: resolved.json,
                    cache,
                    retries: RetryRules::of(resolved.retries.as_ref(), method.idempotency),
                    counters: metrics.method(&namespace.namespace, method.full_name()),
                    rpc_name: Arc::from(&*method.path),
                    rule_names,
                    rules,
                });
            }
            entries.push(NamespaceEntry {
                name: namespace.namespace.clone(),
                hosts: namespace.hosts.clone(),
                methods,
                rpc_paths: namespace.rpc_paths(),
            });
        }
        let (directory, faults) = Directory::of_what_stands(entries);
        let (left_out, refused): (Vec<_>, Vec<_>) =
            faults.into_iter().partition(|fault| fault.first.0 == fault.second.0);
        if !refused.is_empty() {
            return Err(refused);
        }
        caches.share(limits, &cache_quotas);
        mirrors.are(&mirrored);
        Ok(Snapshot { directory, methods: method_plans, waiting, left_out })
    }
}

/// Parts of methods' calls that their candidates answer, by namespace and
/// `package.Service/Method`; methods that are not named have none.
pub(crate) type CandidateShares = BTreeMap<(String, String), CandidateShare>;

/// The line of the document whose `mirror` holds for the method.
fn line_of_mirror<'n>(namespace: &'n Namespace, method: &Method) -> &'n str {
    let whole = format!("{}/*", method.service);
    let says = |key: &str| {
        let (key, rules) = namespace.methods.get_key_value(key)?;
        rules.mirror.is_some().then_some(key.as_str())
    };
    says(method.full_name()).or_else(|| says(&whole)).unwrap_or("defaults")
}

/// For how many methods each line asks for copies.
fn mirror_lines<'n>(
    namespace: &'n Namespace,
    contract: &Contract,
    limits: &PlatformLimits,
) -> BTreeMap<&'n str, usize> {
    let named = namespace.services();
    let mut lines = BTreeMap::new();
    for (_, method) in contract.methods() {
        if named.contains(&*method.service)
            && namespace
                .resolve(&method.service, &method.name, method.kind, limits)
                .mirror
                .is_some()
        {
            *lines.entry(line_of_mirror(namespace, method)).or_insert(0) += 1;
        }
    }
    lines
}

/// The field that numbers a stream's events. Where a contract that came by reflection has no such
/// field, events are counted: a stream is worth more than its ids.
fn event_id(rest: &RestSwitches, contract: &Contract, method: &Method) -> Option<FieldText> {
    let path = rest.sse_id_field.as_ref().filter(|_| method.kind.many_answers())?;
    FieldText::new(contract, method.output, path)
        .inspect_err(|what| {
            let method = method.full_name();
            tracing::warn!(method, "rest.sse_id_field: {what}; events are counted instead");
        })
        .ok()
}

/// What is kept of a method's answers. A contract that came by reflection may say another thing
/// than the one that was checked: then nothing is kept, and the method serves.
fn cache(
    caches: &Caches,
    namespace: &Namespace,
    method: &Method,
    plans: &Plans,
    resolved: &ResolvedMethod,
) -> Option<MethodCache> {
    let rules = resolved.cache.clone()?;
    let fits = method.kind == MethodKind::Unary
        && method.idempotency == Idempotency::NoSideEffects
        && namespace.cache_bytes > 0;
    if !fits {
        return None;
    }
    let (name, primary) = (method.full_name(), resolved.primary.as_deref());
    caches
        .method(namespace, (name, method.input), plans, primary, rules)
        .inspect_err(|what| {
            tracing::warn!(method = name, "cache.fields: {what}; nothing is kept");
        })
        .ok()
}

/// The upstreams of a namespace by name.
pub(crate) fn upstreams_of(
    namespace: &Namespace,
    metrics: &Metrics,
) -> BTreeMap<String, Arc<Upstream>> {
    let made = Upstream::next_made();
    namespace
        .upstreams
        .iter()
        .map(|(name, upstream)| {
            let counters = metrics.upstream(&namespace.namespace, name);
            let key = format!("{}/{name}", namespace.namespace).into();
            (name.clone(), Arc::new(Upstream::described(key, name, upstream, counters, made)))
        })
        .collect()
}

impl Upstream {
    /// One that is asked off the path, as its document describes it.
    pub fn of_document(name: &str, document: &tandem_config::document::Upstream) -> Upstream {
        Upstream::described("".into(), name, document, UpstreamCounters::unread(), 0)
    }

    fn described(
        key: Arc<str>,
        name: &str,
        document: &tandem_config::document::Upstream,
        counters: Arc<UpstreamCounters>,
        made: u64,
    ) -> Upstream {
        let tandem_config::document::Upstream {
            addresses,
            connections,
            connect,
            message_bytes_max,
            health,
            eject,
            isolated: _, // what may be sent there is decided before it is (`mirror`)
            loopback,
            own_listeners,
            tls,
        } = document;
        let authority = addresses.first().map(authority_of);
        Upstream {
            key,
            name: name.into(),
            addresses: addresses.iter().map(address_of).collect(),
            connect: (*connect).max(Duration::from_millis(1)),
            message_bytes_max: u32::try_from(*message_bytes_max).unwrap_or(u32::MAX),
            authority: authority
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| http::uri::Authority::from_static("upstream")),
            connections: *connections,
            health: *health,
            eject: *eject,
            loopback: *loopback,
            own_listeners: Arc::clone(own_listeners),
            tls: tls.as_ref().map(|tls| tls::Client::new(tls, &host_of(addresses))),
            counters,
            windows: Windows::CALLS,
            made,
        }
    }
}

fn address_of(address: &Address) -> UpstreamAddress {
    match address {
        Address::Fixed(address) => UpstreamAddress::Fixed(*address),
        Address::Dns { host, port } => UpstreamAddress::Name { host: host.clone(), port: *port },
    }
}

fn authority_of(address: &Address) -> String {
    match address {
        Address::Fixed(address) => address.to_string(),
        Address::Dns { host, port } => format!("{host}:{port}"),
    }
}

/// The host of the first address.
fn host_of(addresses: &[Address]) -> String {
    match addresses.first() {
        Some(Address::Fixed(address)) => address.ip().to_string(),
        Some(Address::Dns { host, .. }) => host.clone(),
        None => String::new(),
    }
}
