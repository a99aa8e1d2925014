//! `tandem describe SYMBOL`: a service, a method, a message or an enum, as the contract has it.
//!
//! Of a running gateway, by its admin API; with `--server` of any server that offers reflection.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tandem_config::Tnd;
use tandem_contract::{
    Cardinality, Contract, EnumId, Field, Idempotency, Kind, MessageId, Method, Presence,
};

use super::target::{ServerArguments, contract_of};
use super::{AdminArguments, ls};
use crate::admin::views;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// `package.Service`, `package.Service/Method`, `package.Message`; an unambiguous tail is enough.
    symbol: String,
    /// Ask the server at `--server` by reflection, not the admin API of a gateway.
    #[arg(long)]
    reflect: bool,
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) async fn describe(
    arguments: Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let asked = arguments.symbol.trim_start_matches('/').to_owned();
    let (contracts, served) = if arguments.reflect {
        let upstream = arguments.server.reach(timeout).await?;
        let contract = contract_of(&upstream, &arguments.server.server).await?;
        (vec![(String::new(), contract)], Value::Null)
    } else {
        let admin = arguments.admin.client(timeout)?;
        let served = admin.get("/api/v1/methods").await?;
        let mut contracts = Vec::new();
        for namespace in served["namespaces"].as_array().into_iter().flatten() {
            let name = namespace["name"].as_str().unwrap_or("");
            if namespace["contract"] == Value::Bool(true) {
                let set = admin.bytes(&format!("/api/v1/namespaces/{name}/contract")).await?;
                let contract = Contract::from_descriptor_set(&set).map_err(|faults| {
                    Failure::new(Exit::Failed, format!("the contract of `{name}` cannot be used"))
                        .coded(Tnd::ContractUnusable)
                        .because(faults.to_string())
                })?;
                contracts.push((name.to_owned(), contract));
            }
        }
        (contracts, served)
    };
    let (namespace, contract, symbol) = find(&contracts, &asked)?;
    match form {
        Form::Text => output::data(&text(namespace, contract, symbol, &served)),
        Form::Json => output::data(&object(namespace, contract, symbol, &served).to_string()),
    }
    Ok(Exit::Fine)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Symbol<'a> {
    Service(&'a str),
    Method(&'a str),
    Message(MessageId),
    Enum(EnumId),
}

fn symbols(contract: &Contract) -> impl Iterator<Item = (&str, Symbol<'_>)> {
    let services =
        contract.services().iter().map(|it| (&*it.full_name, Symbol::Service(&it.full_name)));
    let methods =
        contract.methods().map(|(_, it)| (it.full_name(), Symbol::Method(it.full_name())));
    let messages = (0..).zip(contract.messages()).filter(|(_, it)| !it.map_entry);
    let messages = messages.map(|(id, it)| (&*it.full_name, Symbol::Message(MessageId(id))));
    let enums = (0..).zip(contract.enumerations());
    let enums = enums.map(|(id, it)| (&*it.full_name, Symbol::Enum(EnumId(id))));
    services.chain(methods).chain(messages).chain(enums)
}

type Place<'a> = (&'a str, &'a Contract, Symbol<'a>);

/// The symbol that `asked` names, wholly or by its tail.
fn find<'a>(contracts: &'a [(String, Contract)], asked: &str) -> Result<Place<'a>, Failure> {
    let mut tails: Vec<(&str, Place<'a>)> = Vec::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (namespace, contract) in contracts {
        for (name, symbol) in symbols(contract) {
            let place: Place<'a> = (namespace, contract, symbol);
            if name == asked {
                return Ok(place);
            }
            let before = name.strip_suffix(asked);
            if before.is_some_and(|before| before.ends_with(['.', '/'])) {
                tails.push((name, place));
            }
            if matches!(symbol, Symbol::Service(_) | Symbol::Method(_)) {
                names.insert(name);
            }
        }
    }
    // Two namespaces may have one symbol: either says the same of it.
    tails.dedup_by(|one, other| one.0 == other.0);
    let usage = |what: String| Failure::new(Exit::Usage, what).coded(Tnd::UnknownMethod);
    match &tails[..] {
        [(_, only)] => Ok(*only),
        [] => {
            let near = tandem_config::nearest(asked, names.iter().copied());
            let all: Vec<&str> = names.iter().copied().collect();
            Err(usage(format!("there is no `{asked}`")).fix(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("name one of: {}, or a message of theirs", all.join(", ")),
            }))
        }
        several => {
            let all: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
            Err(usage(format!("`{asked}` could be several"))
                .fix(format!("name one of: {}", all.join(", "))))
        }
    }
}

fn method_named<'a>(contract: &'a Contract, name: &str) -> Option<&'a Method> {
    contract.methods().map(|(_, method)| method).find(|method| method.full_name() == name)
}

fn how<'a>(served: &'a Value, namespace: &str, method: &str) -> Option<&'a Value> {
    served["methods"].as_array()?.iter().find(|it| {
        it["namespace"].as_str() == Some(namespace) && it["method"].as_str() == Some(method)
    })
}

fn text(namespace: &str, contract: &Contract, symbol: Symbol<'_>, served: &Value) -> String {
    match symbol {
        Symbol::Service(name) => {
            let mut out = format!("service {name} {{\n");
            for (_, method) in contract.methods().filter(|(_, it)| &*it.service == name) {
                let _ = writeln!(out, "  {}", signature(contract, method));
            }
            out.push_str("}\n");
            out
        }
        Symbol::Method(name) => {
            let Some(method) = method_named(contract, name) else { return String::new() };
            let mut out = format!("{name}\n  {}\n", signature(contract, method));
            describe_method(&mut out, namespace, method, served);
            for id in [method.input, method.output] {
                let _ = write!(out, "\n{}", message(contract, id));
            }
            out
        }
        Symbol::Message(id) => message(contract, id),
        Symbol::Enum(id) => {
            let found = contract.enumeration(id);
            let mut out = format!("enum {} {{\n", found.full_name);
            for (name, number) in &found.values {
                let _ = writeln!(out, "  {name} = {number};");
            }
            out.push_str("}\n");
            out
        }
    }
}

fn describe_method(out: &mut String, namespace: &str, method: &Method, served: &Value) {
    let effects = match method.idempotency {
        Idempotency::NoSideEffects => "none (NO_SIDE_EFFECTS)",
        Idempotency::Idempotent => "idempotent",
        Idempotency::Unknown => "unknown: never sent twice",
    };
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<10} {value}");
    };
    line("effects", effects);
    let how = how(served, namespace, method.full_name());
    // What a team's file says stands in the place of the annotations.
    let rules: Vec<String> = match how {
        Some(how) => how["rest"].as_array().into_iter().flatten().map(ls::rule).collect(),
        None => {
            let rule = |rule: &tandem_contract::HttpRule| {
                format!("{} {}", rule.http_method, rule.template.text())
            };
            method.rules.iter().map(rule).collect()
        }
    };
    match rules.is_empty() {
        true => line("REST", "none: by gRPC only"),
        false => rules.iter().for_each(|rule| line("REST", rule)),
    }
    let Some(how) = how else { return };
    line("namespace", namespace);
    line("primary", how["primary"].as_str().unwrap_or("nobody"));
    let who = match (how["internal"].as_bool(), how["public"].as_bool()) {
        (Some(true), _) => "services, by the internal listener",
        (_, Some(true)) => "everybody",
        _ => "nobody: no auth policy",
    };
    line("callers", who);
    let deadline = match (how["deadline_ms"].as_u64(), how["deadline_ms_max"].as_u64()) {
        (Some(default), Some(most)) => format!("{default} ms, at most {most} ms"),
        _ => "none".to_owned(),
    };
    line("deadline", &deadline);
}

fn signature(contract: &Contract, method: &Method) -> String {
    let stream = |many| if many { "stream " } else { "" };
    format!(
        "rpc {}({}{}) returns ({}{});",
        method.name,
        stream(method.kind.many_requests()),
        contract.message(method.input).full_name,
        stream(method.kind.many_answers()),
        contract.message(method.output).full_name,
    )
}

fn message(contract: &Contract, id: MessageId) -> String {
    let found = contract.message(id);
    let mut out = format!("message {} {{\n", found.full_name);
    for field in &found.fields {
        let oneof = field.oneof.and_then(|index| found.oneofs.get(index as usize));
        let oneof = oneof.map(|name| format!("   // oneof {name}")).unwrap_or_default();
        let _ = writeln!(
            out,
            "  {}{} {} = {};{oneof}",
            label(field),
            type_of(contract, field),
            field.name,
            field.number
        );
    }
    out.push_str("}\n");
    out
}

fn label(field: &Field) -> &'static str {
    match (field.cardinality, field.presence) {
        (Cardinality::Repeated, _) => "repeated ",
        (Cardinality::Map, _) => "",
        (Cardinality::Singular, Presence::Required) => "required ",
        // Messages and members of a oneof have presence without being told.
        (Cardinality::Singular, Presence::Explicit)
            if field.oneof.is_none() && field.kind.message().is_none() =>
        {
            "optional "
        }
        (Cardinality::Singular, _) => "",
    }
}

fn type_of(contract: &Contract, field: &Field) -> String {
    if field.cardinality == Cardinality::Map
        && let Some(entry) = field.kind.message()
        && let [key, value] = &contract.message(entry).fields[..]
    {
        return format!("map<{}, {}>", type_of(contract, key), type_of(contract, value));
    }
    match field.kind {
        Kind::Message(id) | Kind::Group(id) => contract.message(id).full_name.to_string(),
        Kind::Enum(id) => contract.enumeration(id).full_name.to_string(),
        scalar => scalar.name().to_owned(),
    }
}

fn object(namespace: &str, contract: &Contract, symbol: Symbol<'_>, served: &Value) -> Value {
    let method_object = |method: &Method| match how(served, namespace, method.full_name()) {
        Some(how) => how.clone(),
        None => json!({
            "method": method.full_name(),
            "kind": views::kind(method.kind),
            "input": contract.message(method.input).full_name,
            "output": contract.message(method.output).full_name,
        }),
    };
    match symbol {
        Symbol::Service(name) => {
            let methods: Vec<Value> = contract
                .methods()
                .map(|(_, method)| method)
                .filter(|method| &*method.service == name)
                .map(method_object)
                .collect();
            json!({ "symbol": name, "is": "service", "methods": methods })
        }
        Symbol::Method(name) => {
            let method = method_named(contract, name);
            let messages: Vec<Value> = method
                .iter()
                .flat_map(|method| [method.input, method.output])
                .map(|id| message_object(contract, id))
                .collect();
            json!({
                "symbol": name,
                "is": "method",
                "method": method.map(method_object),
                "messages": messages,
            })
        }
        Symbol::Message(id) => message_object(contract, id),
        Symbol::Enum(id) => {
            let found = contract.enumeration(id);
            let values: Vec<Value> = found
                .values
                .iter()
                .map(|(name, number)| json!({ "name": name, "number": number }))
                .collect();
            json!({ "symbol": found.full_name, "is": "enum", "values": values })
        }
    }
}

fn message_object(contract: &Contract, id: MessageId) -> Value {
    let found = contract.message(id);
    let fields: Vec<Value> = found
        .fields
        .iter()
        .map(|field| {
            let oneof = field.oneof.and_then(|index| found.oneofs.get(index as usize));
            json!({
                "name": field.name,
                "json_name": field.json_name,
                "number": field.number,
                "type": type_of(contract, field),
                "repeated": field.cardinality == Cardinality::Repeated,
                "oneof": oneof,
            })
        })
        .collect();
    json!({ "symbol": found.full_name, "is": "message", "fields": fields })
}
