//! Services, methods and HTTP rules of two contracts, matched by name and by what a path looks
//! like.
//!
//! Not here: the types that methods take and give (`types`), query fields (`query`).

use std::collections::BTreeMap;

use super::query::Query;
use super::{At, Report};
use crate::http_rule::{BodyBinding, HttpMethod, HttpRule, TemplateSegment};
use crate::types::{Contract, FieldPath, Idempotency, Method, Service};

/// Field numbers from the message to a field.
pub(super) type Numbers = Vec<u32>;

pub(super) fn compare(old: &Contract, new: &Contract, report: &mut Report) {
    let by_name = |contract: &Contract| -> BTreeMap<String, usize> {
        let services = contract.services().iter().enumerate();
        services.map(|(index, service)| (service.full_name.to_string(), index)).collect()
    };
    let (old_services, services) = (by_name(old), by_name(new));
    let mut query = Query::new(old, new);
    for (name, index) in &old_services {
        let before = &old.services()[*index];
        let Some(now) = services.get(name).map(|index| &new.services()[*index]) else {
            report.breaks_calls(
                At { file: &before.file, symbol: name },
                "SERVICE_NO_DELETE",
                "the service was removed".into(),
                "every call of it is answered UNIMPLEMENTED",
            );
            continue;
        };
        let (old_methods, methods) = (by_method(old, before), by_method(new, now));
        for (name, old_method) in &old_methods {
            let at = At { file: &now.file, symbol: old_method.full_name() };
            match methods.get(name) {
                Some(method) => {
                    let pair = Pair { old, new, before: old_method, now: method, at };
                    pair.compare(&mut query, report);
                }
                None => report.breaks_calls(
                    at,
                    "RPC_NO_DELETE",
                    "the method was removed".into(),
                    "calls of it are answered UNIMPLEMENTED, its REST paths are not found",
                ),
            }
        }
        for (name, method) in &methods {
            if !old_methods.contains_key(name) {
                let at = At { file: &now.file, symbol: method.full_name() };
                report.compatible(at, "RPC_ADDED", "the method is new".into(), "nothing");
            }
        }
    }
    for (name, index) in &services {
        if !old_services.contains_key(name) {
            let at = At { file: &new.services()[*index].file, symbol: name };
            report.compatible(at, "SERVICE_ADDED", "the service is new".into(), "nothing");
        }
    }
}

fn by_method<'a>(contract: &'a Contract, service: &Service) -> BTreeMap<&'a str, &'a Method> {
    let methods = service.methods.iter().map(|id| contract.method(*id));
    methods.map(|method| (&*method.name, method)).collect()
}

struct Pair<'a> {
    old: &'a Contract,
    new: &'a Contract,
    before: &'a Method,
    now: &'a Method,
    at: At<'a>,
}

impl Pair<'_> {
    fn compare(&self, query: &mut Query<'_>, report: &mut Report) {
        let Pair { old, new, before, now, at } = *self;
        let name = |contract: &Contract, id| contract.message(id).full_name.to_string();
        for (rule, what, was, is) in [
            ("RPC_SAME_REQUEST_TYPE", "request", name(old, before.input), name(new, now.input)),
            ("RPC_SAME_RESPONSE_TYPE", "answer", name(old, before.output), name(new, now.output)),
        ] {
            if was != is {
                let what = format!("its {what} changed from `{was}` to `{is}`");
                let notice = "messages of the old type are misread";
                report.breaks_wire_json(at, rule, what, notice);
            }
        }
        for (rule, what, was, is) in [
            (
                "RPC_SAME_CLIENT_STREAMING",
                "requests",
                before.kind.many_requests(),
                now.kind.many_requests(),
            ),
            (
                "RPC_SAME_SERVER_STREAMING",
                "answers",
                before.kind.many_answers(),
                now.kind.many_answers(),
            ),
        ] {
            if was != is {
                let to = if is { "a stream" } else { "one message" };
                let what = format!("its {what} became {to}");
                report.breaks_wire_json(at, rule, what, "calls fail, and JSON has another shape");
            }
        }
        self.idempotency(report);
        if !before.deprecated && now.deprecated {
            let what = "it is deprecated now".to_owned();
            report.compatible(at, "RPC_DEPRECATED", what, "nothing");
        }
        for rule in &before.rules {
            self.rule(rule, query, report);
        }
        for rule in &now.rules {
            if !before.rules.iter().any(|old| key(old) == key(rule)) {
                let what = format!("`{}` is new", line(rule));
                report.compatible(at, "HTTP_RULE_ADDED", what, "nothing");
            }
        }
    }

    fn idempotency(&self, report: &mut Report) {
        let (was, is) = (self.before.idempotency, self.now.idempotency);
        let notice = match (was, is) {
            (Idempotency::NoSideEffects, Idempotency::Unknown | Idempotency::Idempotent) => {
                "it is no longer cached, mirrored or called by GET with Connect; \
                 callers that repeat it may act twice"
            }
            (Idempotency::Idempotent, Idempotency::Unknown) => {
                "it is no longer repeated; callers that repeat it may act twice"
            }
            (Idempotency::Unknown, _) | (Idempotency::Idempotent, _) if was != is => {
                "it may be repeated, cached or mirrored from now on"
            }
            _ => return,
        };
        let name = |level| match level {
            Idempotency::Unknown => "none",
            Idempotency::NoSideEffects => "NO_SIDE_EFFECTS",
            Idempotency::Idempotent => "IDEMPOTENT",
        };
        let what = format!("its idempotency level changed from {} to {}", name(was), name(is));
        report.breaks_wire_json(self.at, "RPC_SAME_IDEMPOTENCY_LEVEL", what, notice);
    }

    fn rule(&self, old_rule: &HttpRule, query: &mut Query<'_>, report: &mut Report) {
        let old_line = line(old_rule);
        let at = self.at;
        // `custom { kind: "*" }` takes what its path took under any method.
        let exact = self.now.rules.iter().find(|rule| key(rule) == key(old_rule));
        let any = || {
            let paths = |rule: &&HttpRule| {
                rule.http_method == HttpMethod::Any && key(rule).1 == key(old_rule).1
            };
            self.now.rules.iter().find(paths)
        };
        let Some(rule) = exact.or_else(any) else {
            let what = format!("`{old_line}` was removed or changed");
            return report.breaks_calls(at, "HTTP_RULE_NO_DELETE", what, "the path is not found");
        };
        let was = variables(self.old, old_rule);
        let is = variables(self.new, rule);
        if was != is {
            let names = |rule: &HttpRule| {
                let names: Vec<&str> =
                    rule.variables.iter().map(|variable| &*variable.path.text).collect();
                names.join("`, `")
            };
            let what =
                format!("`{old_line}` bound `{}` and binds `{}`", names(old_rule), names(rule));
            let notice = "a part of the path fills another field";
            report.breaks_calls(at, "HTTP_RULE_SAME_VARIABLES", what, notice);
        }
        let was = body(self.old, &old_rule.body);
        let is = body(self.new, &rule.body);
        if was != is {
            let what = format!(
                "the body of `{old_line}` changed from {} to {}",
                quoted(old_rule.body.text()),
                quoted(rule.body.text())
            );
            let notice = "bodies have another shape, or are refused";
            report.breaks_calls(at, "HTTP_RULE_SAME_BODY", what, notice);
        }
        let answer =
            |rule: &HttpRule| rule.response_body.as_ref().map_or("", |path| &path.text).to_owned();
        let was = old_rule.response_body.as_ref().map(|path| numbers(self.old, path));
        let is = rule.response_body.as_ref().map(|path| numbers(self.new, path));
        if was != is {
            let what = format!(
                "the answer of `{old_line}` changed from {} to {}",
                quoted(&answer(old_rule)),
                quoted(&answer(rule))
            );
            let notice = "answers have another shape";
            report.breaks_calls(at, "HTTP_RULE_SAME_RESPONSE_BODY", what, notice);
        }
        query.compare((self.before, old_rule), (self.now, rule), at, report);
    }
}

fn quoted(text: &str) -> String {
    match text {
        "" => "nothing".into(),
        "*" => "the whole message".into(),
        field => format!("`{field}`"),
    }
}

fn line(rule: &HttpRule) -> String {
    format!("{} {}", rule.http_method, rule.template.text())
}

/// Which calls a rule takes: names of variables are no part of it.
fn key(rule: &HttpRule) -> (&str, (Vec<TemplateSegment<'_>>, Option<&str>)) {
    (rule.http_method.name(), (rule.template.segments().collect(), rule.template.verb()))
}

pub(super) fn numbers(contract: &Contract, path: &FieldPath) -> Numbers {
    let step = |(message, index): &(_, usize)| contract.message(*message).fields[*index].number;
    path.steps.iter().map(step).collect()
}

/// Segments of the path and the field that each group fills.
fn variables(contract: &Contract, rule: &HttpRule) -> Vec<(usize, Option<usize>, Numbers)> {
    let of = |variable: &crate::Variable| {
        (variable.first, variable.end, numbers(contract, &variable.path))
    };
    rule.variables.iter().map(of).collect()
}

/// `None` for no body, an empty path for the whole message.
fn body(contract: &Contract, body: &BodyBinding) -> Option<Numbers> {
    match body {
        BodyBinding::None => None,
        BodyBinding::Whole => Some(Vec::new()),
        BodyBinding::Field(path) => Some(numbers(contract, path)),
    }
}
