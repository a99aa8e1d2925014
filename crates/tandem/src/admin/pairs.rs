//! Live pairs of a method: its verdict, its differences, its noise; and the acts that change them.
//!
//! An act is a new version of the namespace's document, changed in its author's text at the
//! method's own line; it stands in the history with its reason and is rolled back like any other.
//!
//! Not here: what is shown (`crate::pairs`), how the text is changed (`tandem_config::edit`).

use std::time::SystemTime;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tandem_config::Tnd;
use tandem_config::access::Action;
use tandem_config::document::SameRules;
use tandem_config::edit::{self, Lawful};
use tandem_config::store::Scope;

use super::call::{Answer, Call};
use super::refusal::Refusal;
use super::teams::published_json;
use crate::pairs::Pair;
use crate::stored::{Change, ValuesFault};

/// Pairs of values that are shown of a path where nobody asked for another number.
const SAMPLES: usize = 3;

/// `package.Service/Method` of the path.
fn method_of(call: &Call) -> String {
    format!("{}/{}", call.part("service"), call.part("method"))
}

/// The rules of a served method that bear on its pairs; 404 where no such method is served.
fn same_of(call: &Call, namespace: &str, method: &str) -> Result<SameRules, Refusal> {
    let missing = || Refusal::missing("no such method is served in this namespace");
    let all = call.admin.view.served();
    let found = all.iter().find(|(document, _)| document.namespace == namespace);
    let (document, contract) = found.ok_or_else(missing)?;
    let mut methods = contract.iter().flat_map(|contract| contract.methods());
    let (_, found) = methods.find(|(_, one)| *one.full_name() == *method).ok_or_else(missing)?;
    if !document.services().contains(&*found.service) {
        return Err(missing());
    }
    let limits = call.admin.view.limits();
    Ok(document.resolve(&found.service, &found.name, found.kind, &limits).same)
}

fn extra_most(same: &SameRules) -> Option<f64> {
    same.extra_max.map(|share| f64::from(share.per_mille()) / 1_000.0)
}

/// The pair of the path, judged now.
fn pair(call: &Call) -> Result<(Pair, SameRules), Refusal> {
    let (namespace, method) = (call.namespace()?, method_of(call));
    let same = same_of(call, namespace.as_str(), &method)?;
    let pairs = call.admin.view.pairs(namespace.as_str(), &method).ok_or_else(|| {
        Refusal::coded(
            StatusCode::NOT_FOUND,
            Tnd::NoVersion,
            format!("calls of {method} are not mirrored, so there is nothing to compare"),
            "name a `candidate` and write `mirror: { share: 10% }` at the method",
        )
    })?;
    let costs = call.admin.view.costs();
    Ok((Pair::new(pairs, extra_most(&same), &costs, SystemTime::now()), same))
}

/// What moves of every pair that the visitor may see.
pub(super) fn figures(call: &Call) -> Value {
    let view = &call.admin.view;
    let sees = |namespace: &str| {
        Scope::namespace(namespace).is_some_and(|scope| call.may(Action::ReadVerdict, &scope))
    };
    let mirrored = view.mirrored();
    let seen = mirrored.iter().filter(|(namespace, _)| sees(namespace));
    let (costs, now) = (view.costs(), SystemTime::now());
    let each = seen.filter_map(|(namespace, method)| {
        let same = same_of(call, namespace, method).ok();
        let pairs = view.pairs(namespace, method)?;
        Some(Pair::new(pairs, same.as_ref().and_then(extra_most), &costs, now).figures())
    });
    Value::Array(each.collect())
}

pub(super) async fn list(call: Call) -> Result<Answer, Refusal> {
    Ok(Answer::json(figures(&call)))
}

/// With the tag of the version that an act is made from.
fn tagged(call: &Call, shown: Value) -> Answer {
    let namespace = call.namespace().ok();
    let stored = call.admin.stored.as_ref();
    let live = stored.zip(namespace).and_then(|(stored, name)| stored.live(&name));
    Answer::of_version(shown, live.map_or(0, |content| content.version.number))
}

fn reads_samples(call: &Call) -> Result<bool, Refusal> {
    Ok(call.may(Action::ReadSample, &Scope::Namespace(call.namespace()?)))
}

pub(super) async fn verdict(call: Call) -> Result<Answer, Refusal> {
    let (pair, _) = pair(&call)?;
    let shown = pair.verdict(reads_samples(&call)?);
    Ok(tagged(&call, shown))
}

pub(super) async fn differences(call: Call) -> Result<Answer, Refusal> {
    let (pair, _) = pair(&call)?;
    let wanted = match call.query.get("samples").map(|text| text.parse()) {
        None => SAMPLES,
        Some(Ok(wanted)) => wanted,
        Some(Err(_)) => {
            return Err(Refusal::malformed("`samples` is no number", "write samples=5"));
        }
    };
    let may = reads_samples(&call)?;
    let samples = if may { wanted } else { 0 };
    let mut shown = pair.differences(call.query.get("path").map(String::as_str), samples);
    shown["samples"] = json!(match (may, samples_are_kept(&call)) {
        (_, false) => "off",
        (true, true) => "on",
        (false, true) => "publisher",
    });
    Ok(tagged(&call, shown))
}

/// Whether the team asked for samples of this method.
fn samples_are_kept(call: &Call) -> bool {
    let (Ok(namespace), method) = (call.namespace(), method_of(call)) else { return false };
    let Some((service, name)) = method.split_once('/') else { return false };
    let all = call.admin.view.served();
    let found = all.iter().find(|(document, _)| document.namespace == namespace.as_str());
    let contract = found.and_then(|(_, contract)| contract.as_ref());
    let kind = contract
        .and_then(|contract| contract.methods().find(|(_, one)| *one.full_name() == *method))
        .map(|(_, method)| method.kind);
    let resolved = found.zip(kind).map(|((document, _), kind)| {
        document.resolve(service, name, kind, &call.admin.view.limits())
    });
    resolved.and_then(|rules| rules.mirror).is_some_and(|mirror| mirror.samples)
}

pub(super) async fn noise(call: Call) -> Result<Answer, Refusal> {
    let (pair, same) = pair(&call)?;
    let shown = pair.noise(&same.ignore);
    Ok(tagged(&call, shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptNoise {
    /// As a report has it: `orders[].price`.
    path: String,
    why: String,
    /// `ignore`, which it is where nothing is said, `unordered`, `keyed=id`, `tolerance=1e-9`.
    #[serde(default, rename = "as")]
    rule: Option<String>,
}

pub(super) async fn accept(call: Call) -> Result<Answer, Refusal> {
    let AcceptNoise { path, why, rule } = call.read()?;
    let read = call.read_version()?;
    let (namespace, method) = (call.namespace()?, method_of(&call));
    same_of(&call, namespace.as_str(), &method)?;
    if path.is_empty() || path.starts_with('<') {
        return Err(Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("`{path}` is never noise: it is the answer itself, or its status"),
            "name a field of the answer",
        ));
    }
    let rule = rule.as_deref().unwrap_or("ignore");
    let lawful = Lawful::read(rule).ok_or_else(|| {
        Refusal::malformed(
            format!("`{rule}` is no rule that can be accepted"),
            "write `ignore`, `unordered`, `keyed=FIELD` or `tolerance=1e-9`",
        )
    })?;
    let text = text_of(&call, read)?;
    let changed = edit::lawful(&text, &method, &path, &lawful).map_err(ValuesFault::Edit)?;
    if changed == text {
        let already = match lawful {
            Lawful::Ignore => "is not compared".to_owned(),
            Lawful::Unordered | Lawful::Keyed(_) | Lawful::Tolerance(_) => format!("is `{rule}`"),
        };
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            format!("`{path}` {already} in {method} already"),
            "look at what is declared: `tandem noise list METHOD`",
        ));
    }
    let what = match lawful {
        Lawful::Ignore => path,
        Lawful::Unordered | Lawful::Keyed(_) | Lawful::Tolerance(_) => format!("{path} {rule}"),
    };
    publish(&call, changed, format!("noise accepted in {method}, {what}: {why}"), read).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MirrorChange {
    on: bool,
    /// `5%`.
    #[serde(default)]
    share: Option<String>,
    /// `50/s`.
    #[serde(default)]
    max_rate: Option<String>,
    #[serde(default)]
    twin: Option<String>,
    #[serde(default)]
    samples: Option<bool>,
    why: String,
}

pub(super) async fn mirror(call: Call) -> Result<Answer, Refusal> {
    let MirrorChange { on, share, max_rate, twin, samples, why } = call.read()?;
    let read = call.read_version()?;
    let (namespace, method) = (call.namespace()?, method_of(&call));
    same_of(&call, namespace.as_str(), &method)?;
    let mut rule = Map::new();
    let texts = [("share", share), ("max_rate", max_rate), ("twin", twin)];
    rule.extend(texts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
    rule.extend(samples.map(|samples| ("samples".to_owned(), json!(samples))));
    if !on && !rule.is_empty() {
        return Err(Refusal::malformed(
            "a mirror that is switched off has no share, rate or twin",
            "send `on` and `why` alone",
        ));
    }
    let text = text_of(&call, read)?;
    let changed = edit::mirror(&text, &method, on.then_some(&rule)).map_err(ValuesFault::Edit)?;
    if changed == text {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            format!("the mirror of {method} is as it would be already"),
            "change something of it",
        ));
    }
    let what = if on { "mirror on" } else { "mirror off" };
    publish(&call, changed, format!("{what} for {method}: {why}"), read).await
}

/// The text of the version that the change was made from.
fn text_of(call: &Call, read: u32) -> Result<String, Refusal> {
    let namespace = call.namespace()?;
    let live = call.stored()?.live(&namespace).ok_or(ValuesFault::NoVersion)?;
    if live.version.number != read {
        return Err(Refusal::newer(read, live.version.number));
    }
    Ok(live.text.to_string())
}

async fn publish(call: &Call, text: String, why: String, read: u32) -> Result<Answer, Refusal> {
    let (stored, namespace) = (call.stored()?, call.namespace()?);
    let change = Change { namespace, text, contract: None };
    let published = stored.publish(call.principal.clone(), call.source, change, why, read).await?;
    Ok(published_json(&published))
}
