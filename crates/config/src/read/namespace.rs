//! `teams/<namespace>.yaml`, key by key (experience §6).
//!
//! Not here: whether upstreams and methods that are named exist (`check`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Known::{Later, Now};
use super::platform::hosts;
use super::tls::tls;
use super::{
    At, Layer, Reading, auth, cache, contract, cost, limits, mirror, rest, same, settings,
};
use crate::document::units;
use crate::document::{
    Address, Deadline, HealthCheck, MethodRules, Namespace, Quota, Retries, RetryPolicy, Upstream,
};
use crate::problem::{Problem, Tnd};
use crate::source::{Node, Value, cut};
use tandem_protocol::status::Code;

/// `None` where the document has problems that leave nothing to go on with.
pub(crate) fn namespace(reading: &mut Reading, root: &Node, file_stem: &str) -> Option<Namespace> {
    let at = At::root(root);
    let fields = reading.fields(
        &at,
        &[
            Now("namespace"),
            Now("hosts"),
            Now("contract"),
            Now("upstreams"),
            Now("defaults"),
            Now("methods"),
            Now("settings"),
            Later("rollouts"),
        ],
    );
    let name = match fields.get("namespace") {
        Some(at) => own_name(reading, at, file_stem),
        None => {
            let fix = format!("write `namespace: {}` as the first line", cut(file_stem));
            reading.missing(&at, "namespace", &fix);
            None
        }
    };
    let contract = match fields.get("contract") {
        Some(at) => contract::contract(reading, at),
        None => {
            let fix = "write `contract: { reflection: UPSTREAM }`, `{ descriptors: FILE }` or \
                       `{ protos: FOLDER }`";
            reading.missing(&at, "contract", fix);
            None
        }
    };
    if fields.get("upstreams").is_none() {
        let fix = "write at least one, for example `upstreams: { go: { address: HOST:PORT } }`";
        reading.missing(&at, "upstreams", fix);
    }
    if fields.get("methods").is_none() {
        let fix = "name the services, for example `methods: { package.Service/*: {} }`; \
                   nothing is served that is not named";
        reading.missing(&at, "methods", fix);
    }
    let hosts = fields.get("hosts").map(|at| hosts(reading, at)).unwrap_or_default();
    let upstreams = fields.get("upstreams").map(|at| upstreams(reading, at)).unwrap_or_default();
    let defaults = fields.get("defaults").map(|at| rules(reading, at, Layer::Defaults));
    let methods = fields.get("methods").map(|at| methods(reading, at)).unwrap_or_default();
    let settings = fields.get("settings").map(|at| settings::settings(reading, at));
    let (contract, follow) = contract?;
    Some(Namespace {
        namespace: name?,
        hosts,
        contract,
        follow,
        upstreams,
        defaults: defaults.unwrap_or_default(),
        methods,
        settings: settings.unwrap_or_default(),
        calls_at_once: Quota::default().calls_at_once, // the platform's word: `load` asks it
        cache_bytes: 0,                                // the platform's word: `load` asks it
        mirror_share: Quota::default().mirror,         // the platform's word: `load` asks it
    })
}

fn own_name(reading: &mut Reading, at: &At<'_>, file_stem: &str) -> Option<String> {
    let name = reading.text(at)?;
    if !reading.check_name(at, name) {
        return None;
    }
    if name != file_stem {
        let what = format!("namespace `{name}` stands in the file of `{}`", cut(file_stem));
        let problem = Problem::error(Tnd::WrongType, what)
            .here("the name and the file's name differ")
            .why("each namespace has one file, found by its name")
            .fix(format!("rename the file to `{name}.yaml` or write `{}`", cut(file_stem)));
        reading.problem(at, problem);
    }
    Some(name.to_owned())
}

fn upstreams(reading: &mut Reading, at: &At<'_>) -> BTreeMap<String, Upstream> {
    let mut upstreams = BTreeMap::new();
    for entry in reading.entries(at) {
        if !reading.check_name(&entry, entry.name()) {
            continue;
        }
        let fields = reading.fields(
            &entry,
            &[
                Now("address"),
                Now("tls"),
                Now("connections"),
                Now("balance"),
                Now("health"),
                Now("eject"),
                Now("connect"),
                Now("message"),
                Now("isolated"),
                Now("cost"),
            ],
        );
        let addresses = match fields.get("address") {
            Some(at) => addresses(reading, at),
            None => {
                let fix = "write `address: HOST:PORT` or `address: \"dns:HOST:PORT\"`";
                reading.missing(&entry, "address", fix);
                Vec::new()
            }
        };
        let connections = fields.get("connections").and_then(|at| reading.count(at, 1..=4));
        let connect = fields.get("connect").and_then(|at| reading.duration(at, "10ms", "60s"));
        let message = fields.get("message").and_then(|at| reading.size(at, "1KiB", "256MiB"));
        let upstream = Upstream {
            addresses,
            connections: connections.unwrap_or(1),
            connect: connect.unwrap_or(Duration::from_secs(1)),
            message_bytes_max: message.unwrap_or(16 * 1024 * 1024),
            health: fields
                .get("health")
                .and_then(|at| health(reading, at))
                .unwrap_or(HealthCheck::None),
            eject: fields.get("eject").and_then(|at| reading.boolean(at)).unwrap_or(true),
            isolated: fields.get("isolated").and_then(|at| reading.boolean(at)).unwrap_or(false),
            tls: fields.get("tls").and_then(|at| tls(reading, at)),
            cost: fields.get("cost").map(|at| cost::targets(reading, at)).unwrap_or_default(),
            loopback: false, // the platform's word: `load` asks it
            own_listeners: Arc::default(),
        };
        if let Some(at) = fields.get("balance")
            && reading.text(at).is_some_and(|text| text != "p2c")
        {
            reading.wrong(at, "is `p2c`", "write `p2c`, or take it out: it is the only way");
        }
        upstreams.insert(entry.name().to_owned(), upstream);
    }
    upstreams
}

fn health(reading: &mut Reading, at: &At<'_>) -> Option<HealthCheck> {
    match reading.text(at)? {
        "none" => Some(HealthCheck::None),
        "grpc" => Some(HealthCheck::Grpc),
        _ => {
            let should = "is `none` or `grpc`";
            reading.wrong(at, should, "write `grpc` where the server answers grpc.health.v1");
            None
        }
    }
}

/// Addresses of one upstream (security LI-25).
pub(crate) const ADDRESSES_MAX: usize = 256;

fn addresses(reading: &mut Reading, at: &At<'_>) -> Vec<Address> {
    let one = |reading: &mut Reading, at: &At<'_>| reading.parsed(at, units::parse_address);
    match &at.node.value {
        Value::List(items) if items.is_empty() => {
            let problem = Problem::error(Tnd::WrongType, "an upstream without an address")
                .fix("write at least one `HOST:PORT`");
            reading.problem(at, problem);
            Vec::new()
        }
        Value::List(items) if items.len() > ADDRESSES_MAX => {
            let problem = Problem::error(Tnd::OverLimit, "an upstream has too many addresses")
                .here(format!("{} are written, {ADDRESSES_MAX} are allowed", items.len()))
                .fix("put the instances behind one DNS name, or make two upstreams of them");
            reading.problem(at, problem);
            Vec::new()
        }
        Value::List(_) => reading.list(at, one),
        _ => one(reading, at).into_iter().collect(),
    }
}

fn methods(reading: &mut Reading, at: &At<'_>) -> BTreeMap<String, MethodRules> {
    let mut methods = BTreeMap::new();
    for entry in reading.entries(at) {
        let well_formed = entry.name().split_once('/').is_some_and(|(service, method)| {
            is_full_name(service) && (method == "*" || is_identifier(method))
        });
        if !well_formed {
            let what = format!("`{}` is no method", cut(entry.name()));
            let problem = Problem::error(Tnd::WrongType, what)
                .here("the full name of the service, `/`, and a method or `*`")
                .fix("write `package.Service/Method` or `package.Service/*`");
            reading.problem_at_key(&entry, problem);
        }
        // `Service/Method:` with nothing behind it names the method and changes nothing.
        let rules = match entry.node.value {
            Value::Null => MethodRules::default(),
            _ if entry.name().ends_with("/*") => rules(reading, &entry, Layer::Service),
            _ => rules(reading, &entry, Layer::Method),
        };
        methods.insert(entry.name().to_owned(), rules);
    }
    methods
}

fn rules(reading: &mut Reading, at: &At<'_>, layer: Layer) -> MethodRules {
    let fields = reading.fields(
        at,
        &[
            Now("primary"),
            Now("candidate"),
            Now("internal"),
            Now("mirror"),
            Now("same"),
            Now("cache"),
            Now("limits"),
            Now("retries"),
            Now("deadline"),
            Now("auth"),
            Now("rest"),
            Now("json"),
            Now("http"),
            Later("status"),
            Later("validate"),
            Later("docs"),
        ],
    );
    let primary = fields.get("primary").and_then(|at| reading.text(at)).map(str::to_owned);
    let (rpc_paths, rest) = match fields.get("rest") {
        Some(at) => {
            let (rpc_paths, switches) = rest::rest(reading, at, layer);
            (rpc_paths, Some(switches))
        }
        None => (None, None),
    };
    MethodRules {
        primary,
        candidate: fields.get("candidate").and_then(|at| reading.text(at)).map(str::to_owned),
        mirror: fields.get("mirror").and_then(|at| mirror::mirror(reading, at)),
        same: fields.get("same").map(|at| same::same(reading, at)),
        internal: fields.get("internal").and_then(|at| reading.boolean(at)),
        auth: fields.get("auth").and_then(|at| auth::auth(reading, at)),
        deadline: fields.get("deadline").and_then(|at| deadline(reading, at)),
        limits: fields.get("limits").map(|at| limits::limits(reading, at)),
        retries: fields.get("retries").and_then(|at| retries(reading, at)),
        cache: fields.get("cache").and_then(|at| cache::cache(reading, at)),
        rpc_paths,
        rest,
        json: fields.get("json").map(|at| rest::json(reading, at)),
        http: fields.get("http").and_then(|at| rest::http(reading, at, layer)),
    }
}

fn deadline(reading: &mut Reading, at: &At<'_>) -> Option<Deadline> {
    if let Value::Text(text) = &at.node.value {
        if text == "none" {
            return Some(Deadline::None);
        }
        reading.wrong(at, "is `none` or a group of keys", "write `none` or `{ default: 2s }`");
        return None;
    }
    let fields = reading.fields(at, &[Now("default"), Now("max")]);
    let default = fields.get("default").and_then(|at| reading.duration(at, "1ms", "24h"));
    let max = fields.get("max").and_then(|at| reading.duration(at, "1ms", "24h"));
    if let (Some(default), Some(max), Some(at)) = (default, max, fields.get("default"))
        && default > max
    {
        let problem = Problem::error(Tnd::OverLimit, "the default deadline is above the most")
            .here("longer than `max`")
            .fix("lower `default` or raise `max`");
        reading.problem(at, problem);
    }
    Some(Deadline::Bounded { default, max })
}

fn retries(reading: &mut Reading, at: &At<'_>) -> Option<Retries> {
    if let Value::Text(text) = &at.node.value {
        if text == "none" {
            return Some(Retries::None);
        }
        let fix = "write `none` or `{ codes: [UNAVAILABLE] }`";
        reading.wrong(at, "is `none` or a group of keys", fix);
        return None;
    }
    let fields =
        reading.fields(at, &[Now("codes"), Now("attempts"), Now("attempt"), Now("budget")]);
    let codes = fields.get("codes").map(|at| reading.list(at, code));
    let attempts = fields.get("attempts").and_then(|at| reading.count(at, 2..=5));
    let attempt = fields.get("attempt").and_then(|at| reading.duration(at, "1ms", "300s"));
    let budget = fields.get("budget").and_then(|at| reading.parsed(at, units::parse_share));
    Some(Retries::Within(RetryPolicy {
        codes: match codes {
            Some(codes) => codes.into_iter().collect(),
            None => BTreeSet::from([Code::Unavailable]),
        },
        attempts: attempts.unwrap_or(2),
        attempt,
        budget: budget.unwrap_or(RetryPolicy::BUDGET),
    }))
}

/// A gRPC code that a call may fail with.
fn code(reading: &mut Reading, at: &At<'_>) -> Option<Code> {
    let name = reading.text(at)?;
    let code = Code::from_name(name).filter(|code| *code != Code::Ok);
    if code.is_none() {
        let should = "is a gRPC code of a failure, in capitals";
        reading.wrong(at, should, "write for example `UNAVAILABLE` or `RESOURCE_EXHAUSTED`");
    }
    code
}

/// `package.Name` or `Name`, of protobuf identifiers.
pub(super) fn is_full_name(text: &str) -> bool {
    text.len() <= 512 && text.split('.').all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}
