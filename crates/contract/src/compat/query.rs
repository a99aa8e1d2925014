//! Query fields that a rule took and takes no more (`HTTP_QUERY_FIELD_NO_DELETE`).
//!
//! What path and body leave over may stand in the query, down through single messages. A field
//! that is gone, although reserved as it should be, is refused there (protocols Q), which no rule
//! of buf sees. Renamed and retyped fields are named by `types` already.
//!
//! A message that reaches itself is walked once. Many rules over one large type could still make a
//! long walk, so all together have a budget; what is left over when it is used up counts as broken.

use std::collections::HashSet;

use super::methods::{Numbers, numbers};
use super::{At, Report};
use crate::http_rule::{BodyBinding, HttpRule};
use crate::types::{Cardinality, Contract, Field, MessageId, Method, WellKnown};

/// Fields looked at in one comparison.
const STEPS_MOST: usize = 2_000_000;

const RULE: &str = "HTTP_QUERY_FIELD_NO_DELETE";

pub(super) struct Query<'a> {
    old: &'a Contract,
    new: &'a Contract,
    steps: usize,
}

impl<'a> Query<'a> {
    pub(super) fn new(old: &'a Contract, new: &'a Contract) -> Query<'a> {
        Query { old, new, steps: 0 }
    }

    pub(super) fn compare(
        &mut self,
        (before, old_rule): (&Method, &HttpRule),
        (now, rule): (&Method, &HttpRule),
        at: At<'_>,
        report: &mut Report,
    ) {
        // A body that became the whole message is named; so is a request of another type.
        if old_rule.body == BodyBinding::Whole || rule.body == BodyBinding::Whole {
            return;
        }
        let (taken_before, taken_now) = (taken(self.old, old_rule), taken(self.new, rule));
        let mut todo: Vec<(MessageId, MessageId, Numbers, String)> =
            vec![(before.input, now.input, Vec::new(), String::new())];
        let mut seen = HashSet::new();
        while let Some((old_id, id, path, name)) = todo.pop() {
            if !seen.insert((old_id, id)) {
                continue;
            }
            for field in &self.old.message(old_id).fields {
                self.steps += 1;
                if self.steps > STEPS_MOST {
                    if self.steps == STEPS_MOST + 1 {
                        let what = format!("more than {STEPS_MOST} query fields to compare");
                        let notice = "whether a query field was lost is not known";
                        report.breaks_calls(at, "TOO_LARGE_TO_COMPARE", what, notice);
                    }
                    return;
                }
                let path = [&path[..], &[field.number]].concat();
                if taken_before.contains(&path) || field.extension {
                    continue;
                }
                let name = if name.is_empty() {
                    field.json_name.to_string()
                } else {
                    format!("{name}.{}", field.json_name)
                };
                let inner = inner(self.old, field);
                if inner.is_none() && !is_value(self.old, field) {
                    continue;
                }
                let kept = self.new.message(id).field_numbered(field.number);
                match kept.filter(|_| !taken_now.contains(&path)) {
                    None => {
                        let what = format!("`{}` no longer takes `{name}`", rule.template.text());
                        let notice = "a query with it is refused";
                        report.breaks_calls(at, RULE, what, notice);
                    }
                    Some((_, kept)) => {
                        if let (Some(old_id), Some(id)) = (inner, self::inner(self.new, kept)) {
                            todo.push((old_id, id, path, name));
                        }
                    }
                }
            }
        }
    }
}

/// Fields that the path or the body fills.
fn taken(contract: &Contract, rule: &HttpRule) -> HashSet<Numbers> {
    let body = match &rule.body {
        BodyBinding::Field(path) => Some(path),
        BodyBinding::None | BodyBinding::Whole => None,
    };
    let variables = rule.variables.iter().map(|variable| &variable.path);
    variables.chain(body).map(|path| numbers(contract, path)).collect()
}

/// The message whose fields the query can name.
fn inner(contract: &Contract, field: &Field) -> Option<MessageId> {
    let id = field.kind.message()?;
    let plain = contract.message(id).well_known == WellKnown::No;
    (field.cardinality == Cardinality::Singular && plain).then_some(id)
}

/// Whether one text of a query can say the field, once or repeated.
fn is_value(contract: &Contract, field: &Field) -> bool {
    if field.cardinality == Cardinality::Map {
        return false;
    }
    field.kind.message().is_none_or(|id| {
        matches!(
            contract.message(id).well_known,
            WellKnown::Wrapper
                | WellKnown::Timestamp
                | WellKnown::Duration
                | WellKnown::FieldMask
                | WellKnown::Value
        )
    })
}
