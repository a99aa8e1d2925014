//! `tandem.yaml`, key by key (experience §5).
//!
//! Not here: the default of a limit (`PlatformLimits::default`).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;

use super::Known::{Later, Now};
use super::identity::identity;
use super::tls::tls;
use super::{At, Reading, cost};
use crate::document::units::{self, Host, UnitFault};
use crate::document::{
    AccessLog, AccessLogTarget, Grants, HostPattern, Listen, Members, NamespaceGrant, Network,
    Observe, Offer, PathPattern, PatternSegment, Platform, PlatformLimits, Quota, ServicePattern,
    Share, StorePlace, Traces, UpstreamPattern, VerbPattern,
};
use crate::problem::{Problem, Tnd};
use crate::source::{Node, Value};

pub(crate) fn platform(reading: &mut Reading, root: &Node) -> Platform {
    let at = At::root(root);
    let fields = reading.fields(
        &at,
        &[
            Now("format"),
            Now("listen"),
            Now("threads"),
            Now("store"),
            Now("identity"),
            Now("limits"),
            Later("docs"),
            Now("observe"),
            Now("namespaces"),
        ],
    );
    format(reading, &at, fields.get("format"));
    if fields.get("listen").is_none() {
        let fix = "write at least one listener, for example \
                   `listen: { public: { address: 127.0.0.1:8080 } }`";
        reading.missing(&at, "listen", fix);
    }
    Platform {
        listen: fields.get("listen").map(|at| listeners(reading, at)).unwrap_or_default(),
        threads: fields
            .get("threads")
            .and_then(|at| reading.count(at, 1..=1024_u16))
            .and_then(NonZeroU16::new),
        identity: fields.get("identity").map(|at| identity(reading, at)).unwrap_or_default(),
        limits: fields.get("limits").map(|at| limits(reading, at)).unwrap_or_default(),
        observe: fields.get("observe").map(|at| observe(reading, at)).unwrap_or_default(),
        store: fields.get("store").and_then(|at| store(reading, at)),
        namespaces: fields.get("namespaces").map(|at| namespaces(reading, at)).unwrap_or_default(),
    }
}

fn format(reading: &mut Reading, root: &At<'_>, at: Option<&At<'_>>) {
    match at {
        None => reading.missing(root, "format", "write `format: 1` as the first line"),
        Some(at) if matches!(at.node.value, Value::Integer(1)) => {}
        Some(at) => {
            let problem = Problem::error(Tnd::WrongType, "`format` is not one that is known")
                .here("this build reads format 1")
                .fix("write `format: 1`, or use the build that the file was written for");
            reading.problem(at, problem);
        }
    }
}

fn listeners(reading: &mut Reading, at: &At<'_>) -> BTreeMap<String, Listen> {
    let mut listeners: BTreeMap<String, Listen> = BTreeMap::new();
    for entry in reading.entries(at) {
        if !reading.check_name(&entry, entry.name()) {
            continue;
        }
        let Some(listen) = listener(reading, &entry) else { continue };
        let twin = listeners
            .iter()
            .find(|(_, other)| other.address == listen.address && listen.address.port() != 0);
        if let Some((twin, _)) = twin {
            let what = format!("`{}` and `{twin}` listen on one address", entry.name());
            let problem = Problem::error(Tnd::PortTaken, what)
                .here(format!("`{twin}` has {} too", listen.address))
                .fix("give each listener a port of its own");
            reading.problem(&entry, problem);
        }
        listeners.insert(entry.name().to_owned(), listen);
    }
    listeners
}

fn listener(reading: &mut Reading, at: &At<'_>) -> Option<Listen> {
    let special = [Platform::INTERNAL, Platform::ADMIN, Platform::METRICS].contains(&at.name());
    let public =
        [Now("address"), Now("hosts"), Later("tls"), Now("trust"), Later("cors"), Now("offer")];
    let fields = match special {
        true if at.name() == Platform::INTERNAL => {
            reading.fields(at, &[Now("address"), Later("tls"), Now("trust"), Now("offer")])
        }
        true => reading.fields(at, &[Now("address"), Later("tls"), Later("trust")]),
        false => reading.fields(at, &public),
    };
    let Some(address_at) = fields.get("address") else {
        reading.missing(at, "address", "write where to listen, for example `127.0.0.1:8080`");
        return None;
    };
    let address: SocketAddr = reading.parsed(address_at, units::parse_listen_address)?;
    if special && !address.ip().to_canonical().is_loopback() {
        let problem = Problem::error(
            Tnd::AddressForbidden,
            format!("listener `{}` would stand in clear text outside this machine", at.name()),
        )
        .here("only loopback addresses are taken")
        .why(
            "whoever reaches it is trusted; off loopback it takes TLS with client certificates, \
              which is not built in",
        )
        .fix(format!("write `127.0.0.1:{}`", address.port()));
        reading.problem(address_at, problem);
    }
    let hosts = fields.get("hosts").map(|at| hosts(reading, at)).unwrap_or_default();
    let offer = fields.get("offer").map(|at| offer(reading, at)).unwrap_or_default();
    let mirrored = fields.get("trust").map(|at| mirrored(reading, at)).unwrap_or_default();
    Some(Listen { address, hosts, mirrored, offer })
}

/// `trust`: whose marked copies are taken.
fn mirrored(reading: &mut Reading, at: &At<'_>) -> Vec<Network> {
    let fields = reading.fields(at, &[Later("forwarded"), Now("mirrored")]);
    let network = |reading: &mut Reading, at: &At<'_>| reading.parsed(at, parse_network);
    fields.get("mirrored").map(|at| reading.list(at, network)).unwrap_or_default()
}

fn parse_network(text: &str) -> Result<Network, UnitFault> {
    let example = "write a network such as `10.0.0.0/8`, or one address";
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address = address.parse().ok();
    let network = address.and_then(|address| network(address, prefix));
    network.ok_or_else(|| fault("this is no network", example))
}

fn offer(reading: &mut Reading, at: &At<'_>) -> Offer {
    let fields = reading.fields(at, &[Now("reflection"), Now("health"), Later("docs")]);
    let mut written = |name| fields.get(name).and_then(|at| reading.boolean(at)).unwrap_or(false);
    Offer { reflection: written("reflection"), health: written("health") }
}

pub(super) fn hosts(reading: &mut Reading, at: &At<'_>) -> Vec<String> {
    reading.list(at, |reading, at| reading.parsed(at, units::parse_host_name))
}

#[expect(clippy::too_many_lines, reason = "one table: a line a key")]
fn limits(reading: &mut Reading, at: &At<'_>) -> PlatformLimits {
    const KEYS: [&str; 22] = [
        "connections",
        "connections_per_source",
        "head_read",
        "keep_alive",
        "body_pace",
        "body_pace_after",
        "stalled_write",
        "uri",
        "headers",
        "header_bytes",
        "message",
        "json_depth",
        "json_nodes",
        "streams",
        "stream_window",
        "connection_window",
        "resets",
        "requests_per_connection",
        "connection_age",
        "unary",
        "unary_max",
        "stream_idle",
    ];
    /// Nothing acts on them yet: no TLS, no decompression, no frame counter, no watch on memory.
    const LATER: [&str; 5] = ["handshake", "ratio", "json_out", "control_frames", "buffers"];
    let known: Vec<super::Known> =
        KEYS.into_iter().map(Now).chain([Now("shared")]).chain(LATER.map(Later)).collect();
    let fields = reading.fields(at, &known);
    if let Some(at) = fields.get("shared") {
        let none = matches!(&at.node.value, Value::Text(text) if text == "none");
        if !none {
            reading.later(at, "write `shared: none`");
        }
    }
    let mut count = |name: &str, least: u32, most: u32, default: u32| {
        fields.get(name).and_then(|at| reading.count(at, least..=most)).unwrap_or(default)
    };
    let default = PlatformLimits::default();
    let connections = count("connections", 32, 1_000_000, default.connections);
    let connections_per_source =
        count("connections_per_source", 1, 1_000_000, default.connections_per_source);
    let headers = count("headers", 8, 1_000, default.headers);
    let json_depth = count("json_depth", 1, 100, default.json_depth);
    let json_nodes = count("json_nodes", 1, 10_000_000, default.json_nodes);
    let streams = count("streams", 1, 10_000, default.streams);
    let resets = count("resets", 1, 10_000, default.resets);
    let requests_per_connection =
        count("requests_per_connection", 1, 1_000_000_000, default.requests_per_connection);
    let mut time = |name: &str, least: &str, most: &str, default| {
        fields.get(name).and_then(|at| reading.duration(at, least, most)).unwrap_or(default)
    };
    let head_read = time("head_read", "100ms", "300s", default.head_read);
    let keep_alive = time("keep_alive", "100ms", "1h", default.keep_alive);
    let body_pace_after = time("body_pace_after", "100ms", "60s", default.body_pace_after);
    let connection_age = time("connection_age", "100ms", "24h", default.connection_age);
    let stalled_write = time("stalled_write", "100ms", "600s", default.stalled_write);
    let unary = time("unary", "1ms", "24h", default.unary);
    let unary_max = time("unary_max", "1ms", "24h", default.unary_max);
    let stream_idle = time("stream_idle", "100ms", "24h", default.stream_idle);
    let mut size = |name: &str, least: &str, most: &str| {
        fields.get(name).and_then(|at| reading.size(at, least, most))
    };
    let uri_bytes = size("uri", "1KiB", "64KiB").unwrap_or(default.uri_bytes);
    let header_bytes = size("header_bytes", "1KiB", "256KiB").unwrap_or(default.header_bytes);
    let message_bytes = size("message", "1KiB", "256MiB").unwrap_or(default.message_bytes);
    let mut window = |name: &str, least: &str, most: &str, default: u32| {
        size(name, least, most).and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(default)
    };
    let stream_window_bytes = window("stream_window", "1KiB", "16MiB", default.stream_window_bytes);
    let connection_window_bytes =
        window("connection_window", "64KiB", "256MiB", default.connection_window_bytes);
    let body_pace_bytes_per_second = fields
        .get("body_pace")
        .and_then(|at| reading.within(at, units::parse_pace, "1KiB/s", "1024MiB/s"))
        .unwrap_or(default.body_pace_bytes_per_second);
    if let Some(at) = fields.get("unary").filter(|_| unary > unary_max) {
        let problem = Problem::error(Tnd::OverLimit, "`unary` is longer than `unary_max`")
            .here("the default of a deadline cannot be above its most")
            .fix("lower `unary` or raise `unary_max`");
        reading.problem(at, problem);
    }
    PlatformLimits {
        connections,
        connections_per_source,
        handshake: default.handshake,
        head_read,
        keep_alive,
        body_pace_bytes_per_second,
        body_pace_after,
        stalled_write,
        uri_bytes,
        headers,
        header_bytes,
        message_bytes,
        ratio: default.ratio,
        json_depth,
        json_nodes,
        json_out_bytes: default.json_out_bytes,
        streams,
        stream_window_bytes,
        connection_window_bytes,
        resets,
        control_frames_per_second: default.control_frames_per_second,
        requests_per_connection,
        connection_age,
        unary,
        unary_max,
        stream_idle,
        buffer_bytes: default.buffer_bytes,
    }
}

fn store(reading: &mut Reading, at: &At<'_>) -> Option<StorePlace> {
    let fields = reading
        .fields(at, &[Now("embedded"), Now("key"), Later("etcd"), Later("prefix"), Later("tls")]);
    let Some(folder_at) = fields.get("embedded") else {
        if fields.get("etcd").is_none() {
            reading.missing(at, "embedded", "write a folder, for example `embedded: data/store`");
        }
        return None;
    };
    // A relative path begins where tandem.yaml lies, wherever the program was started.
    let folder = reading.text(folder_at)?;
    let folder = reading.folder.join(folder);
    let key = match fields.get("key") {
        None => folder.join("store.key"),
        Some(at) => {
            let text = reading.text(at)?;
            let Some(file) = text.strip_prefix("file:").filter(|file| !file.is_empty()) else {
                let example = "write `file:PATH`, for example `file:/etc/tandem/store.key`";
                reading.wrong(at, "names a file", example);
                return None;
            };
            reading.folder.join(file)
        }
    };
    Some(StorePlace { folder, key })
}

fn observe(reading: &mut Reading, at: &At<'_>) -> Observe {
    let fields = reading.fields(at, &[Now("access_log"), Now("traces")]);
    let traces = fields.get("traces").and_then(|at| traces(reading, at));
    let access_log = fields.get("access_log").map(|at| {
        let fields = reading.fields(at, &[Now("to"), Now("share")]);
        let to = fields.get("to").and_then(|at| reading.text(at)).map(|to| match to {
            "none" => AccessLogTarget::None,
            "stdout" => AccessLogTarget::Stdout,
            file => AccessLogTarget::File(PathBuf::from(file)),
        });
        let share = fields.get("share").and_then(|at| reading.parsed(at, units::parse_share));
        AccessLog { to: to.unwrap_or(AccessLogTarget::Stdout), share: share.unwrap_or(Share::ALL) }
    });
    Observe { access_log: access_log.unwrap_or_default(), traces }
}

fn traces(reading: &mut Reading, at: &At<'_>) -> Option<Traces> {
    let fields = reading.fields(at, &[Now("otlp"), Now("share"), Now("tls")]);
    let share = fields.get("share").and_then(|at| reading.parsed(at, units::parse_share));
    let tls_written = fields.get("tls");
    let tls = tls_written.and_then(|at| tls(reading, at));
    let Some(collector_at) = fields.get("otlp") else {
        let fix = "write `otlp: http://HOST:4317`, a collector that takes OTLP";
        match tls_written {
            None => reading.missing(at, "otlp", fix),
            // That key is near enough to be taken for a misspelt `otlp`, and is none.
            Some(_) => {
                let problem = Problem::error(Tnd::MissingKey, "`traces` has no `otlp`").fix(fix);
                reading.problem(at, problem);
            }
        }
        return None;
    };
    let (collector, secured) = reading.parsed(collector_at, units::parse_collector)?;
    match (secured, tls_written) {
        (true, None) => {
            let fix = "write `tls: { ca: FILE }`, the certificate of whoever signs the \
                       collector's; the system's own are not asked";
            let problem = Problem::error(Tnd::MissingKey, "`traces` has no `tls`").fix(fix);
            reading.problem(collector_at, problem);
            return None;
        }
        (false, Some(at)) => {
            let problem = Problem::error(Tnd::WrongType, "`tls` belongs to `https`")
                .here("the collector is spoken to in clear text")
                .fix("write `https://` in `otlp`, or take `tls` out");
            reading.problem(at, problem);
            return None;
        }
        (true, Some(_)) => _ = tls.as_ref()?,
        (false, None) => {}
    }
    Some(Traces { collector, tls, share: share.unwrap_or(Traces::SHARE) })
}

fn namespaces(reading: &mut Reading, at: &At<'_>) -> BTreeMap<String, NamespaceGrant> {
    let mut namespaces = BTreeMap::new();
    for entry in reading.entries(at) {
        if !reading.check_name(&entry, entry.name()) {
            continue;
        }
        let fields = reading.fields(&entry, &[Now("members"), Now("may"), Now("quota")]);
        let grant = NamespaceGrant {
            members: fields.get("members").map(|at| members(reading, at)).unwrap_or_default(),
            may: fields.get("may").map(|at| grants(reading, at)).unwrap_or_default(),
            quota: fields.get("quota").map(|at| quota(reading, at)).unwrap_or_default(),
        };
        namespaces.insert(entry.name().to_owned(), grant);
    }
    namespaces
}

fn members(reading: &mut Reading, at: &At<'_>) -> Members {
    let fields =
        reading.fields(at, &[Now("owner"), Now("publisher"), Now("editor"), Now("viewer")]);
    let mut role = |name: &str| {
        let who = fields.get(name).map(|at| reading.list(at, member));
        who.unwrap_or_default()
    };
    Members {
        owner: role("owner"),
        publisher: role("publisher"),
        editor: role("editor"),
        viewer: role("viewer"),
    }
}

fn member(reading: &mut Reading, at: &At<'_>) -> Option<String> {
    let who = reading.text(at)?;
    let named = ["user:", "group:", "token:"]
        .iter()
        .any(|kind| who.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
    if !named {
        let fix = "write `user:NAME`, `group:NAME` or `token:NAME`";
        let problem = Problem::error(Tnd::WrongType, "a member has no kind").fix(fix);
        reading.problem(at, problem);
    }
    named.then(|| who.to_owned())
}

fn grants(reading: &mut Reading, at: &At<'_>) -> Grants {
    let fields = reading.fields(
        at,
        &[
            Now("hosts"),
            Now("services"),
            Now("paths"),
            Now("upstreams"),
            Now("cost"),
            Now("public_methods"),
            Later("insecure_upstreams"),
            Now("loopback"),
        ],
    );
    let host = |reading: &mut Reading, at: &At<'_>| reading.parsed(at, parse_host_pattern);
    let service = |reading: &mut Reading, at: &At<'_>| reading.parsed(at, parse_service_pattern);
    let path = |reading: &mut Reading, at: &At<'_>| reading.parsed(at, parse_path_pattern);
    let upstream = |reading: &mut Reading, at: &At<'_>| reading.parsed(at, parse_upstream_pattern);
    let cost = |reading: &mut Reading, at: &At<'_>| reading.parsed(at, cost::parse_pattern);
    let public = fields.get("public_methods").and_then(|at| reading.boolean(at));
    let loopback = fields.get("loopback").and_then(|at| reading.boolean(at));
    Grants {
        hosts: fields.get("hosts").map(|at| reading.list(at, host)).unwrap_or_default(),
        services: fields.get("services").map(|at| reading.list(at, service)).unwrap_or_default(),
        paths: fields.get("paths").map(|at| reading.list(at, path)).unwrap_or_default(),
        upstreams: fields.get("upstreams").map(|at| reading.list(at, upstream)).unwrap_or_default(),
        cost: fields.get("cost").map(|at| reading.list(at, cost)).unwrap_or_default(),
        public_methods: public.unwrap_or(false),
        loopback: loopback.unwrap_or(false),
    }
}

fn quota(reading: &mut Reading, at: &At<'_>) -> Quota {
    let fields = reading.fields(
        at,
        &[
            Now("calls_at_once"),
            Now("cache"),
            Now("routes"),
            Now("document"),
            Later("versions"),
            Now("mirror"),
        ],
    );
    let default = Quota::default();
    let at_once = fields.get("calls_at_once").and_then(|at| reading.count(at, 1..=1_000_000));
    let routes = fields.get("routes").and_then(|at| reading.count(at, 1..=100_000));
    let document = fields.get("document").and_then(|at| reading.size(at, "1KiB", "1MiB"));
    let cache = fields.get("cache").and_then(|at| reading.size(at, "0KiB", "65536MiB"));
    let mirror = fields.get("mirror").and_then(|at| reading.parsed(at, units::parse_share));
    Quota {
        calls_at_once: at_once.unwrap_or(default.calls_at_once),
        routes: routes.unwrap_or(default.routes),
        document_bytes: document.unwrap_or(default.document_bytes),
        cache_bytes: cache.unwrap_or(default.cache_bytes),
        mirror: mirror.unwrap_or(default.mirror),
    }
}

fn fault(wrong: &str, right: &str) -> UnitFault {
    UnitFault { wrong: wrong.to_owned(), right: right.to_owned() }
}

fn parse_host_pattern(text: &str) -> Result<HostPattern, UnitFault> {
    match text.strip_prefix("*.") {
        Some(name) => units::parse_host_name(name).map(HostPattern::Below),
        None => units::parse_host_name(text).map(HostPattern::Exact),
    }
}

fn parse_service_pattern(text: &str) -> Result<ServicePattern, UnitFault> {
    let example = "write `package.Service` or `package.*`";
    let (name, package) = match text.strip_suffix(".*") {
        Some(package) => (package, true),
        None => (text, false),
    };
    if !super::namespace::is_full_name(name) {
        return Err(fault("this is no service and no package", example));
    }
    Ok(match package {
        true => ServicePattern::Package(name.to_owned()),
        false => ServicePattern::Exact(name.to_owned()),
    })
}

fn parse_path_pattern(text: &str) -> Result<PathPattern, UnitFault> {
    let example = "write a path such as `/v1/products`, `/v1/products:*` or `/v1/products/**`";
    let Some(path) = text.strip_prefix('/') else {
        return Err(fault("a path begins with `/`", example));
    };
    let (path, verb) = match path.rsplit_once(':') {
        Some((path, "*")) => (path, VerbPattern::Any),
        Some((path, verb)) if literal(verb) => (path, VerbPattern::Exact(verb.to_owned())),
        Some(_) => return Err(fault("this is no verb", example)),
        None => (path, VerbPattern::None),
    };
    let parts: Vec<&str> = path.split('/').collect();
    let mut segments = Vec::with_capacity(parts.len());
    for (position, part) in parts.iter().enumerate() {
        segments.push(match *part {
            "*" => PatternSegment::One,
            "**" if position + 1 == parts.len() => PatternSegment::Rest,
            "**" => return Err(fault("`**` stands last", example)),
            part if literal(part) => PatternSegment::Literal(part.to_owned()),
            _ => return Err(fault("this is no segment of a path", example)),
        });
    }
    Ok(PathPattern { segments, verb })
}

/// One segment as it stands in a template: no variable, no wildcard inside, nothing encoded.
fn literal(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'@' | b'+')
        })
}

fn parse_upstream_pattern(text: &str) -> Result<UpstreamPattern, UnitFault> {
    let example = "write a name pattern or a network and ports, for example \
                   `*.shop.svc:50051` or `10.0.0.0/8:50051-50059`";
    let (host, ports) = units::host_and_port(text, example)?;
    let ports = units::parse_ports(ports)?;
    if host == "*" {
        return Ok(UpstreamPattern::Name { host: HostPattern::Any, ports });
    }
    let (address, prefix) = match host.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (host, None),
    };
    let pattern = |name: &str| match units::parse_host(name, example)? {
        Host::Name(name) => Ok(Ok(name)),
        Host::Address(address) => Ok(Err(address)),
    };
    if let Some(name) = address.strip_prefix("*.") {
        return match pattern(name)? {
            Ok(name) if prefix.is_none() => {
                Ok(UpstreamPattern::Name { host: HostPattern::Below(name), ports })
            }
            _ => Err(fault("this is neither a name nor a network", example)),
        };
    }
    match (pattern(address)?, prefix) {
        (Ok(name), None) => Ok(UpstreamPattern::Name { host: HostPattern::Exact(name), ports }),
        (Ok(_), Some(_)) => Err(fault("a network begins with an address", example)),
        (Err(address), prefix) => {
            let network = network(address, prefix)
                .ok_or_else(|| fault("the length of the network is out of range", example))?;
            Ok(UpstreamPattern::Network { network, ports })
        }
    }
}

fn network(address: IpAddr, prefix: Option<&str>) -> Option<Network> {
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => most,
        Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => prefix.parse().ok()?,
        Some(_) => return None,
    };
    (prefix <= most).then_some(Network { address, prefix })
}
