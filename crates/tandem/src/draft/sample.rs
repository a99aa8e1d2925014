//! One call of each kind that a person can repeat: the lines that `init` and `run` print.
//!
//! They are chosen so that they work as they stand and change nothing, as far as a contract tells:
//! methods without side effects first, then those that are read by GET, and never one whose name
//! says that something goes away.

use std::net::SocketAddr;

use tandem_contract::http_rule::{BodyBinding, TemplateSegment};
use tandem_contract::{
    Cardinality, Contract, HttpMethod, HttpRule, Idempotency, Kind, Method, MethodKind, WellKnown,
};

use super::Drafted;

/// Lines of a shell. `None` where no method of the contract fits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) curl: Option<String>,
    pub(crate) grpcurl: Option<String>,
}

/// For callers of the listener at `public`.
pub(crate) fn samples(namespaces: &[Drafted], public: SocketAddr) -> Sample {
    let methods = || {
        namespaces
            .iter()
            .flat_map(|namespace| namespace.methods().map(|method| (&*namespace.contract, method)))
    };
    let curl = methods()
        .flat_map(|(contract, method)| {
            method.rules.iter().map(move |rule| (contract, method, rule))
        })
        .filter_map(|(contract, method, rule)| {
            let path = path(contract, method, rule)?;
            let rank = rank(method)? + rule.variables.len();
            Some((rank, curl_line(rule, &path, public)))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, line)| line);
    let grpcurl = methods()
        .filter_map(|(_, method)| Some((rank(method)? + needs(method), method)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, method)| format!("grpcurl -plaintext -d '{{}}' {public} {}", method.full_name()));
    Sample { curl, grpcurl }
}

/// Lower is better; `None`: not to be called by way of trial.
fn rank(method: &Method) -> Option<usize> {
    const HARM: [&str; 19] = [
        "delete",
        "remove",
        "drop",
        "purge",
        "clear",
        "reset",
        "destroy",
        "shutdown",
        "stop",
        "kill",
        "cancel",
        "revoke",
        "terminate",
        "disable",
        "undelete",
        "wipe",
        "truncate",
        "restart",
        "transfer",
    ];
    const LOOK: [&str; 10] =
        ["list", "get", "search", "find", "say", "echo", "check", "describe", "read", "query"];
    let name = method.name.to_ascii_lowercase();
    let safe = method.idempotency == Idempotency::NoSideEffects;
    let looks = LOOK.iter().any(|word| name.starts_with(word));
    if !safe && HARM.iter().any(|word| name.contains(word)) {
        return None;
    }
    let kind = match method.kind {
        MethodKind::Unary => 0,
        MethodKind::ServerStream => 200,
        MethodKind::ClientStream => 300,
        MethodKind::Bidi => 400,
    };
    let read = method.rules.iter().any(|rule| rule.http_method == HttpMethod::Get);
    Some(
        kind + if safe {
            0
        } else if read {
            20
        } else if looks {
            40
        } else {
            80
        },
    )
}

/// How much a request says at least, as far as it can be told: an empty one is sent.
fn needs(method: &Method) -> usize {
    let variables = method.rules.iter().map(|rule| rule.variables.len()).min();
    // Who gets, gets something; who lists needs nothing.
    variables.unwrap_or(usize::from(!method.name.starts_with("List")))
}

/// A path that the template takes, each variable of a value of its type.
fn path(contract: &Contract, method: &Method, rule: &HttpRule) -> Option<String> {
    if method.kind.many_requests() {
        return None;
    }
    let mut parts: Vec<String> = rule
        .template
        .segments()
        .map(|segment| match segment {
            TemplateSegment::Literal(text) => percent(text),
            TemplateSegment::One | TemplateSegment::Rest => "1".to_owned(),
        })
        .collect();
    for variable in &rule.variables {
        let value = value_of(contract, variable.path.last(contract))?;
        // Only where the variable is one segment: else its segments say what it is.
        let place = variable.positions(&rule.template);
        let literal =
            matches!(rule.template.segments().nth(place.start), Some(TemplateSegment::Literal(_)));
        if place.len() == 1 && !literal {
            parts[place.start] = value;
        }
    }
    let verb = rule.template.verb().map(|verb| format!(":{}", percent(verb))).unwrap_or_default();
    Some(format!("/{}{verb}", parts.join("/")))
}

fn value_of(contract: &Contract, field: &tandem_contract::Field) -> Option<String> {
    if field.cardinality != Cardinality::Singular {
        return None;
    }
    match field.kind {
        Kind::Bool => Some("true".to_owned()),
        Kind::Enum(id) => {
            let values = &contract.enumeration(id).values;
            values.first().map(|(name, _)| name.to_string())
        }
        Kind::Message(id) | Kind::Group(id) => match contract.message(id).well_known {
            WellKnown::Timestamp => Some("2026-01-01T00:00:00Z".to_owned()),
            WellKnown::Duration => Some("1s".to_owned()),
            WellKnown::Wrapper => Some("1".to_owned()),
            _ => None,
        },
        // A letter of base64 alone is no byte.
        Kind::Bytes => Some("AA==".to_owned()),
        _ => Some("1".to_owned()),
    }
}

/// Literals may hold what a shell or a URL would read otherwise.
fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&()*+,;=:@".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn curl_line(rule: &HttpRule, path: &str, public: SocketAddr) -> String {
    let http_method = match &rule.http_method {
        HttpMethod::Get | HttpMethod::Any => String::new(),
        other => format!(" -X {other}"),
    };
    let body = match rule.body {
        BodyBinding::None => "",
        BodyBinding::Whole | BodyBinding::Field(_) => {
            " -H 'content-type: application/json' -d '{}'"
        }
    };
    format!("curl -s{http_method}{body} 'http://{public}{path}'")
}
