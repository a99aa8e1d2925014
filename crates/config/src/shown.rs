//! Every value that holds, and where it comes from: a line of a file, or the default.
//!
//! Rows come in the order of the manual's tables. A value that was written is shown as it was
//! written; what follows for one method is searched in the order of precedence (experience UX-25).
//!
//! Not here: flags and environment of the command line (`tandem`).

use std::time::Duration;

use crate::document::{ApiKeyHeader, Identities, Platform, PlatformLimits, Quota, RetryPolicy};
use crate::load::Loaded;
use crate::source::{Key, Node, Source, Step, Trail, Value};

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `limits.message`; of a team's file `shop: defaults.primary`, its namespace in front.
    pub path: String,
    pub value: String,
    /// `None`: nobody wrote it, this is the default.
    pub origin: Option<Written>,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// As people name it, relative to the folder of `tandem.yaml`.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The key that says it, where that is not the path itself: `defaults.primary`.
    pub key: Option<String>,
}

/// All values of the platform's file, then of each team's.
pub fn shown(loaded: &Loaded) -> Vec<Shown> {
    let mut rows =
        Rows { source: &loaded.platform_source, prefix: String::new(), rows: Vec::new() };
    platform(&mut rows, &loaded.platform);
    for ((namespace, _), source) in loaded.namespaces.iter().zip(&loaded.sources) {
        rows.source = source;
        rows.prefix = format!("{}: ", namespace.namespace);
        team(&mut rows);
    }
    rows.rows
}

struct Rows<'a> {
    source: &'a Source,
    prefix: String,
    rows: Vec<Shown>,
}

impl Rows<'_> {
    fn one(&mut self, trail: &[Step<'_>], default: &str) {
        self.first_of(trail, &[trail.to_vec()], default);
    }

    /// The value at the first of `places` where one is written.
    fn first_of(&mut self, trail: &[Step<'_>], places: &[Vec<Step<'_>>], default: &str) {
        let path = format!("{}{}", self.prefix, Trail(trail));
        let found = places.iter().find_map(|place| Some((place, node(self.source, place)?)));
        self.rows.push(match found {
            None => Shown { path, value: default.to_owned(), origin: None },
            Some((place, found)) => {
                let (line, _) = self.source.line_and_column(found.span.start);
                let key = (place != trail).then(|| Trail(place).to_string());
                let written = Written { file: self.source.name.clone(), line, key };
                Shown { path, value: on_one_line(self.source, found), origin: Some(written) }
            }
        });
    }

    fn names(&self, trail: &[Step<'_>]) -> Vec<String> {
        match node(self.source, trail).map(|node| &node.value) {
            Some(Value::Map(entries)) => entries.iter().map(|(key, _)| key.text.clone()).collect(),
            _ => Vec::new(),
        }
    }
}

fn node<'a>(source: &'a Source, trail: &[Step<'_>]) -> Option<&'a Node> {
    trail.iter().try_fold(source.root.as_ref()?, |node, step| match (step, &node.value) {
        (Step::Key(name), Value::Map(entries)) => {
            entries.iter().find(|(key, _)| key.text == *name).map(|(_, value)| value)
        }
        (Step::Index(index), Value::List(items)) => items.get(*index),
        _ => None,
    })
}

fn on_one_line(source: &Source, node: &Node) -> String {
    let all = |items: Vec<String>, open, close| match items.is_empty() {
        true => format!("{open}{close}"),
        false if open == '{' => format!("{open} {} {close}", items.join(", ")),
        false => format!("{open}{}{close}", items.join(", ")),
    };
    match &node.value {
        Value::Null => "{}".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(_) => source.text.get(node.span.clone()).unwrap_or_default().to_owned(),
        // Certificates may stand in a document: their first line says what they are.
        Value::Text(text) => match text.trim().split_once('\n') {
            Some((first, _)) => format!("{first} …"),
            None => text.clone(),
        },
        Value::List(items) => {
            all(items.iter().map(|item| on_one_line(source, item)).collect(), '[', ']')
        }
        Value::Map(entries) => {
            let entry = |(key, value): &(Key, Node)| {
                format!("{}: {}", key.text, on_one_line(source, value))
            };
            all(entries.iter().map(entry).collect(), '{', '}')
        }
    }
}

fn platform(rows: &mut Rows<'_>, platform: &Platform) {
    use Step::Key as At;
    let Platform { listen, threads: _, identity, limits: _, observe: _, store: _, namespaces } =
        platform;
    for name in listen.keys() {
        rows.one(&[At("listen"), At(name), At("address")], "");
        if [Platform::ADMIN, Platform::METRICS].contains(&name.as_str()) {
            continue;
        }
        if name != Platform::INTERNAL {
            let any = "[] (every namespace that claims none)";
            rows.one(&[At("listen"), At(name), At("hosts")], any);
        }
        rows.one(&[At("listen"), At(name), At("trust"), At("mirrored")], "[]");
        for offer in ["reflection", "health"] {
            rows.one(&[At("listen"), At(name), At("offer"), At(offer)], "false");
        }
    }
    rows.one(&[At("threads")], "the cores allowed");
    let Identities { issuers, api_keys } = identity;
    for name in issuers.keys() {
        for (key, default) in [
            ("issuer", ""),
            ("audience", ""),
            ("jwks", "auto"),
            ("ca", "the system's roots"),
            ("algorithms", "[ES256, RS256]"),
            ("principal", "sub"),
            ("groups", "groups"),
            ("not_before", "required"),
        ] {
            rows.one(&[At("identity"), At("jwt"), At(name), At(key)], default);
        }
    }
    let header = if api_keys.is_some() { ApiKeyHeader::DEFAULT } else { "none: no key is taken" };
    rows.one(&[At("identity"), At("api_keys"), At("header")], header);
    for (name, default) in limits(&PlatformLimits::default()) {
        rows.one(&[At("limits"), At(name)], &default);
    }
    rows.one(&[At("observe"), At("access_log"), At("to")], "stdout");
    rows.one(&[At("observe"), At("access_log"), At("share")], "100%");
    rows.one(&[At("store"), At("embedded")], "none");
    rows.one(&[At("store"), At("key")], "store.key in the folder");
    let Quota { calls_at_once, routes, document_bytes, cache_bytes, mirror } = Quota::default();
    for name in namespaces.keys() {
        let at = |group, key| [At("namespaces"), At(name), At(group), At(key)];
        for role in ["owner", "publisher", "editor", "viewer"] {
            rows.one(&at("members", role), "[]");
        }
        for claim in ["hosts", "services", "paths", "upstreams", "cost"] {
            rows.one(&at("may", claim), "[]");
        }
        for claim in ["public_methods", "loopback"] {
            rows.one(&at("may", claim), "false");
        }
        rows.one(&at("quota", "calls_at_once"), &calls_at_once.to_string());
        rows.one(&at("quota", "routes"), &routes.to_string());
        rows.one(&at("quota", "document"), &size(document_bytes));
        rows.one(&at("quota", "cache"), &size(cache_bytes));
        rows.one(&at("quota", "mirror"), &mirror.to_string());
    }
}

/// The limits that can be written, in the order of the manual.
fn limits(limits: &PlatformLimits) -> Vec<(&'static str, String)> {
    let PlatformLimits {
        connections,
        connections_per_source,
        handshake: _, // nothing acts on these yet, and nobody may write them
        head_read,
        keep_alive,
        body_pace_bytes_per_second,
        body_pace_after,
        stalled_write,
        uri_bytes,
        headers,
        header_bytes,
        message_bytes,
        ratio: _,
        json_depth,
        json_nodes,
        json_out_bytes: _,
        streams,
        stream_window_bytes,
        connection_window_bytes,
        resets,
        control_frames_per_second: _,
        requests_per_connection,
        connection_age,
        unary,
        unary_max,
        stream_idle,
        buffer_bytes: _,
    } = limits;
    vec![
        ("connections", connections.to_string()),
        ("connections_per_source", connections_per_source.to_string()),
        ("head_read", duration(*head_read)),
        ("keep_alive", duration(*keep_alive)),
        ("body_pace", format!("{}/s", size(*body_pace_bytes_per_second))),
        ("body_pace_after", duration(*body_pace_after)),
        ("stalled_write", duration(*stalled_write)),
        ("uri", size(*uri_bytes)),
        ("headers", headers.to_string()),
        ("header_bytes", size(*header_bytes)),
        ("message", size(*message_bytes)),
        ("json_depth", json_depth.to_string()),
        ("json_nodes", json_nodes.to_string()),
        ("streams", streams.to_string()),
        ("stream_window", size((*stream_window_bytes).into())),
        ("connection_window", size((*connection_window_bytes).into())),
        ("resets", resets.to_string()),
        ("requests_per_connection", requests_per_connection.to_string()),
        ("connection_age", duration(*connection_age)),
        ("unary", duration(*unary)),
        ("unary_max", duration(*unary_max)),
        ("stream_idle", duration(*stream_idle)),
    ]
}

fn team(rows: &mut Rows<'_>) {
    use Step::Key as At;
    rows.one(&[At("hosts")], "[] (callers of any host that nobody claims)");
    rows.one(&[At("contract")], "");
    rows.one(&[At("contract"), At("follow")], "compatible");
    for name in rows.names(&[At("upstreams")]) {
        for (key, default) in [
            ("address", ""),
            ("tls", "none (h2c)"),
            ("connections", "1"),
            ("balance", "p2c"),
            ("health", "none"),
            ("eject", "true"),
            ("isolated", "false"),
            ("cost", "none"),
            ("connect", "1s"),
            ("message", "16MiB"),
        ] {
            rows.one(&[At("upstreams"), At(&name), At(key)], default);
        }
    }
    rows.one(&[At("defaults"), At("rest"), At("rpc_paths")], "true");
    let defaults = PlatformLimits::default();
    let bounds = format!(
        "{{ default: {}, max: {} }}; streams: none",
        duration(defaults.unary),
        duration(defaults.unary_max)
    );
    let budget = format!("none (once, if it never began; budget {})", RetryPolicy::BUDGET);
    for name in rows.names(&[At("methods")]) {
        for (key, default) in [
            ("primary", "the only upstream"),
            ("candidate", "none"),
            ("mirror", "none"),
            ("same", "{} (every difference counts)"),
            ("internal", "false"),
            ("auth", "none: every call is answered with 401"),
            ("deadline", &*bounds),
            ("limits", "the platform's"),
            ("retries", &*budget),
            ("cache", "none"),
            ("rest", "strict"),
            ("json", "{ defaults: omit, enums: name, names: json, int64: string }"),
            ("http", "the contract's annotations"),
        ] {
            let own = vec![At("methods"), At(&name), At(key)];
            let whole = name.split_once('/').map(|(service, _)| format!("{service}/*"));
            let mut places = vec![own.clone()];
            if key != "http" {
                if let Some(whole) = &whole {
                    places.push(vec![At("methods"), At(whole), At(key)]);
                }
                places.push(vec![At("defaults"), At(key)]);
            }
            rows.first_of(&own, &places, default);
        }
    }
    for service in rows.names(&[At("settings")]) {
        for (key, default) in [
            ("values", "{} (the contract's defaults)"),
            ("require", "none"),
            ("access", "{} (publishers only)"),
        ] {
            rows.one(&[At("settings"), At(&service), At(key)], default);
        }
    }
}

fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    match bytes {
        0 => "0KiB".to_owned(),
        bytes if bytes.is_multiple_of(KIB * KIB) => format!("{}MiB", bytes / KIB / KIB),
        bytes => format!("{}KiB", bytes / KIB),
    }
}

fn duration(time: Duration) -> String {
    match time.as_millis() {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}
