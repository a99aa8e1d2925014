//! `auth` of a team's document.
//!
//! Not here: whether the issuer exists, and whether keys are taken at all (`check`).

use super::Known::{Instead, Later, Now};
use super::{At, Fields, Known, Reading, shown};
use crate::document::{Auth, ClaimValue, TokenRule, Way, Who};
use crate::problem::{Problem, Tnd};
use crate::source::Value;

const NO_CERTIFICATES: &str =
    "listeners speak no TLS yet, so nobody shows a certificate; use `jwt` or `api_key`";

/// What stands in one group: at `auth` itself, or at one entry of `any`.
const WAY: [Known; 6] = [
    Now("jwt"),
    Now("scopes"),
    Now("claims"),
    Now("groups"),
    Instead("mtls", NO_CERTIFICATES),
    Now("api_key"),
];

pub(super) fn auth(reading: &mut Reading, at: &At<'_>) -> Option<Auth> {
    let known: Vec<Known> =
        [Now("public"), Now("debug"), Now("any"), Later("when")].into_iter().chain(WAY).collect();
    let before = reading.problems.len();
    let fields = reading.fields(at, &known);
    let debug = fields.get("debug").and_then(|at| reading.boolean(at)).unwrap_or(false);
    let kinds: Vec<&At<'_>> =
        ["public", "jwt", "api_key", "any"].iter().filter_map(|name| fields.get(name)).collect();
    match kinds[..] {
        [] => {
            // A key that is not built in says already why nobody may call.
            if reading.problems.len() > before {
                return None;
            }
            if let Some(at) = fields.get("debug") {
                let what = "`debug` gives a right to callers, and `auth` names none";
                let fix = "write `auth: { public: true, debug: true }`, or take `debug` out";
                reading.problem(at, Problem::error(Tnd::MissingKey, what).fix(fix));
            } else {
                let fix = "write `jwt: NAME`, `api_key: true`, `any: […]` or `public: true`; \
                           without `auth` nobody may call";
                let problem = Problem::error(Tnd::MissingKey, "`auth` does not say who may call");
                reading.problem(at, problem.fix(fix));
            }
            None
        }
        [only] => {
            let who = match only.name() {
                "public" => public(reading, only, &fields),
                "any" => any(reading, only, &fields),
                _ => way(reading, &fields).map(|way| Who::Known(vec![way])),
            };
            Some(Auth { who: who?, debug })
        }
        [first, second, ..] => {
            two(reading, first, second);
            None
        }
    }
}

fn two(reading: &mut Reading, first: &At<'_>, second: &At<'_>) {
    let what = format!("`{}` and `{}` stand in one group", first.name(), second.name());
    let problem = Problem::error(Tnd::WrongType, what)
        .here("either of them, or both?")
        .fix("write `any: [{ … }, { … }]` where either is enough");
    reading.problem(second, problem);
}

fn public(reading: &mut Reading, at: &At<'_>, fields: &Fields<'_>) -> Option<Who> {
    lonely(reading, fields, &["scopes", "claims", "groups"], "`public` asks nobody who he is");
    if reading.boolean(at)? {
        return Some(Who::Public);
    }
    let problem = Problem::error(Tnd::WrongType, "`public: false` says nothing")
        .here("a method without a policy is closed already")
        .fix("take `auth` out; nobody may call then");
    reading.problem(at, problem);
    None
}

/// Keys that stand where they mean nothing.
fn lonely(reading: &mut Reading, fields: &Fields<'_>, keys: &[&str], why: &str) {
    for at in keys.iter().filter_map(|key| fields.get(key)) {
        let problem = Problem::error(Tnd::WrongType, format!("`{}` means nothing here", at.name()))
            .here(why)
            .fix("put it beside the `jwt` or `api_key` that it belongs to, or take it out");
        reading.problem(at, problem);
    }
}

fn any(reading: &mut Reading, at: &At<'_>, fields: &Fields<'_>) -> Option<Who> {
    let why = "each entry of `any` says what it asks for";
    lonely(reading, fields, &["scopes", "claims", "groups"], why);
    let ways = reading.list(at, |reading, at| {
        let before = reading.problems.len();
        let fields = reading.fields(at, &WAY);
        match (fields.get("jwt"), fields.get("api_key")) {
            (Some(first), Some(second)) => {
                two(reading, first, second);
                None
            }
            // A key that is not taken says so itself.
            (None, None) if reading.problems.len() > before => None,
            (None, None) => {
                let fix = "write `{ jwt: NAME }` or `{ api_key: true }`";
                let problem = Problem::error(Tnd::MissingKey, "an entry of `any` names no way");
                reading.problem(at, problem.fix(fix));
                None
            }
            _ => way(reading, &fields),
        }
    });
    if matches!(&at.node.value, Value::List(items) if items.is_empty()) {
        reading.wrong(at, "is a list of one or more", "name a way, or take `auth` out");
    }
    (!ways.is_empty()).then_some(Who::Known(ways))
}

fn way(reading: &mut Reading, fields: &Fields<'_>) -> Option<Way> {
    let scopes = fields.get("scopes").map(|at| reading.list(at, scope)).unwrap_or_default();
    if let Some(at) = fields.get("api_key") {
        lonely(reading, fields, &["claims", "groups"], "a key has a name and scopes");
        if reading.boolean(at)? {
            return Some(Way::ApiKey { scopes });
        }
        reading.wrong(at, "is `true`", "take `auth` out; nobody may call then");
        return None;
    }
    let issuer = fields.get("jwt").and_then(|at| reading.text(at))?.to_owned();
    let claims = fields.get("claims").map(|at| claims(reading, at)).unwrap_or_default();
    let groups = fields
        .get("groups")
        .map(|at| reading.list(at, |reading, at| reading.text(at).map(str::to_owned)));
    if let Some(at) = fields.get("groups")
        && matches!(&at.node.value, Value::List(items) if items.is_empty())
    {
        reading.wrong(at, "is a list of one or more", "name a group, or take `groups` out");
    }
    Some(Way::Token(TokenRule { issuer, scopes, claims, groups: groups.unwrap_or_default() }))
}

/// RFC 6749, section 3.3: what fits into a list with blanks between, and into a header.
fn scope(reading: &mut Reading, at: &At<'_>) -> Option<String> {
    let text = reading.text(at)?;
    let good = (1..=256).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if !good {
        let should = "has a scope without blanks, quotes and backslashes";
        reading.wrong(at, should, "write for example `products.write`");
    }
    good.then(|| text.to_owned())
}

fn claims(reading: &mut Reading, at: &At<'_>) -> Vec<(String, Vec<ClaimValue>)> {
    let mut claims = Vec::new();
    for entry in reading.entries(at) {
        let values = match &entry.node.value {
            Value::List(_) => reading.list(&entry, value),
            _ => value(reading, &entry).into_iter().collect(),
        };
        if matches!(&entry.node.value, Value::List(items) if items.is_empty()) {
            let should = "is a value, or a list of one or more";
            reading.wrong(&entry, should, "name a value that the claim may have");
        }
        claims.push((entry.name().to_owned(), values));
    }
    claims
}

fn value(reading: &mut Reading, at: &At<'_>) -> Option<ClaimValue> {
    match &at.node.value {
        Value::Text(text) => Some(ClaimValue::Text(text.clone())),
        Value::Bool(truth) => Some(ClaimValue::Truth(*truth)),
        Value::Integer(number) if i64::try_from(*number).is_ok() => {
            i64::try_from(*number).ok().map(ClaimValue::Number)
        }
        _ => {
            let should = format!("`{}` is compared with a claim", shown(at));
            let problem = Problem::error(Tnd::WrongType, should)
                .here(format!("this is {}", at.node.value.kind()))
                .fix("write a text, a whole number, `true` or `false`");
            reading.problem(at, problem);
            None
        }
    }
}
