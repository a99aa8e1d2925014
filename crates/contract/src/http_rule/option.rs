//! The option `google.api.http` of a method: bytes → rules as they are written.
//!
//! Source: google/api/http.proto; extension 72295728 of `google.protobuf.MethodOptions`, read
//! from the option's bytes because servers often reflect without `annotations.proto` (protocols
//!
//!
//! Not here: what the texts mean (`RuleText::compile`).

use super::{HttpMethod, RuleFault, RuleText};
use crate::fields::{self, Field};

/// Number of the extension `google.api.http`.
const HTTP_OPTION: u32 = 72_295_728;
/// Number of `HttpRule.additional_bindings`.
const ADDITIONAL_BINDINGS: u32 = 11;
/// Additional bindings of one method, at most.
const BINDINGS_MOST: usize = 100;

/// The rules in a serialized `google.protobuf.MethodOptions`, and what cannot be read of them.
pub(super) fn rules_of(options: &[u8]) -> (Vec<RuleText>, Vec<RuleFault>) {
    let mut rules = Vec::new();
    let mut faults = Vec::new();
    // Of an option given twice the last one counts.
    let option = fields::each(options)
        .map_while(Result::ok)
        .filter(|field| field.number == HTTP_OPTION)
        .last();
    let Some(option) = option else { return (rules, faults) };
    let mut bindings = vec![option.bytes];
    for field in fields::each(option.bytes).map_while(Result::ok) {
        if field.number != ADDITIONAL_BINDINGS {
            continue;
        }
        if bindings.len() > BINDINGS_MOST {
            let what = format!("more than {BINDINGS_MOST} additional bindings");
            faults.push(RuleFault::whole(what, "write fewer"));
            break;
        }
        let deeper = fields::each(field.bytes)
            .map_while(Result::ok)
            .any(|inner| inner.number == ADDITIONAL_BINDINGS);
        if deeper {
            faults.push(RuleFault::whole(
                "additional_bindings inside additional_bindings",
                "put all bindings beside each other, one level deep",
            ));
        }
        bindings.push(field.bytes);
    }
    for binding in bindings {
        match rule(binding) {
            Ok(rule) => rules.extend(rule),
            Err(fault) => faults.push(fault),
        }
    }
    (rules, faults)
}

/// `None` for a rule without a pattern, which binds nothing.
fn rule(binding: &[u8]) -> Result<Option<RuleText>, RuleFault> {
    let mut pattern = None;
    let mut body = String::new();
    let mut response_body = String::new();
    for field in fields::each(binding) {
        let Field { number, bytes, .. } = field.map_err(|what| {
            RuleFault::whole(format!("the rule cannot be read: {what}"), "rebuild the set")
        })?;
        let text = || {
            String::from_utf8(bytes.to_vec()).map_err(|_error| {
                RuleFault::whole("the rule holds text that is no UTF-8", "rebuild the set")
            })
        };
        match number {
            2 => pattern = Some((HttpMethod::Get, text()?)),
            3 => pattern = Some((HttpMethod::Put, text()?)),
            4 => pattern = Some((HttpMethod::Post, text()?)),
            5 => pattern = Some((HttpMethod::Delete, text()?)),
            6 => pattern = Some((HttpMethod::Patch, text()?)),
            7 => body = text()?,
            8 => {
                let kind = fields::first_text(bytes, 1).unwrap_or_default();
                let template = fields::first_text(bytes, 2).unwrap_or_default();
                pattern = Some((HttpMethod::of_kind(&kind)?, template));
            }
            12 => response_body = text()?,
            _ => {}
        }
    }
    Ok(pattern.map(|(http_method, template)| RuleText {
        http_method,
        template,
        body,
        response_body,
    }))
}
