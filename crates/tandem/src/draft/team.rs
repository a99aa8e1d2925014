//! The text of one team's file.

use tandem_contract::{Contract, Method, MethodKind};
use tandem_gateway::upstream::speaks::Speaks;

use super::{Group, Profile, Wishes, counts};
use crate::discover::upstream_text;

/// Methods without REST of one service that get lines of their own; the rest is counted.
const SUGGESTED_MOST: usize = 20;

pub(super) fn text(group: &Group<'_>, wishes: &Wishes) -> String {
    let name = &group.name;
    let mut text = format!(
        "# yaml-language-server: $schema=../.tandem/namespace.schema.json\n\
         # What the team `{name}` serves, by whom, for whom. Its claims stand in tandem.yaml.\n\
         namespace: {name}\n"
    );
    text.push_str(&match group.source {
        Some(found) => format!(
            "contract: {{ reflection: {} }}   # that upstream is asked, at the start and each minute\n",
            found.name
        ),
        None => format!(
            "contract: {{ descriptors: {name}.binpb }}   # from a file: it offers no reflection\n"
        ),
    });
    text.push_str("upstreams:                    # who can answer: one implementation each\n");
    for found in &group.members {
        let trust = (found.speaks == Speaks::Tls).then_some(&wishes.trust);
        upstream_text(&mut text, &found.name, &found.address, trust);
    }
    let primary = group.source.or(group.members.first().copied());
    if let Some(primary) = primary {
        text.push_str(
            "defaults:                     # for every method that does not say otherwise\n",
        );
        text.push_str(&format!(
            "  primary: {:<18} # who answers; write another name and `tandem reload`\n",
            primary.name
        ));
    }
    text.push_str(match wishes.public.ip().to_canonical().is_loopback() {
        true => "  auth: { public: true }      # everybody who reaches the listener may call\n",
        false => {
            "  # auth: { public: true }    # everybody may call; needs `public_methods: true` in tandem.yaml\n"
        }
    });
    text.push_str(
        "  deadline: { default: 15s, max: 300s }   # of a unary call: where the caller has none, and the most\n",
    );
    if wishes.profile == Profile::Envoy {
        text.push_str(
            "  rest:                       # as Envoy's transcoder reads REST, as far as this build can\n    \
               unknown_json_field: ignore\n    body_without_rule: ignore\n    \
               encoded_slash: decode\n    trailing_slash: redirect\n    patch_mask: leave\n",
        );
    }
    text.push_str("methods:                      # nothing is served that is not named here\n");
    let served = || {
        let methods = group.contract.methods().map(|(_, method)| method);
        methods.filter(|method| group.services.contains(&*method.service))
    };
    let counts = counts(served());
    for service in &group.services {
        // One without methods is named all the same: it may get some.
        let (all, rest) = counts.get(service.as_str()).copied().unwrap_or_default();
        text.push_str(&format!(
            "  {service}/*: {{}}   # by gRPC: {all}, of which by REST: {rest}\n"
        ));
        let without: Vec<&Method> = served()
            .filter(|method| *method.service == **service && method.rules.is_empty())
            .collect();
        suggest(&mut text, &group.contract, service, &without);
    }
    text
}

/// How methods without a path get one: lines that need only their marks taken off.
fn suggest(text: &mut String, contract: &Contract, service: &str, without: &[&Method]) {
    if without.is_empty() {
        return;
    }
    text.push_str(
        "  # These have no google.api.http in the contract, so they are reached by gRPC only. To give\n  \
           # one a REST path, take the marks off (or annotate the .proto) and `tandem reload`:\n",
    );
    for method in without.iter().take(SUGGESTED_MOST) {
        let rule = suggestion(contract, service, method);
        text.push_str(&format!(
            "  # {}: {{ http: {rule} }}{}\n",
            method.full_name(),
            match method.kind {
                MethodKind::Unary => "",
                MethodKind::ServerStream => "   # answers: an array, lines or events",
                MethodKind::ClientStream => "   # requests: an array or lines",
                MethodKind::Bidi => "   # lines both ways",
            }
        ));
    }
    if let Some(more @ 1..) = without.len().checked_sub(SUGGESTED_MOST) {
        text.push_str(&format!("  # … and {more} more\n"));
    }
}

/// A rule that fits any request: all of it in the body.
pub(super) fn suggestion(contract: &Contract, service: &str, method: &Method) -> String {
    let own = |full: &str| full.rsplit('.').next().unwrap_or(full).to_owned();
    let empty = contract.message(method.input).fields.is_empty();
    let (verb, body) = match empty && !method.kind.many_requests() {
        true => ("get", ""),
        false => ("post", ", body: \"*\""),
    };
    format!("{{ {verb}: \"/{}/{}\"{body} }}", kebab(&own(service)), kebab(&method.name))
}

/// `say-hello` of `SayHello`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    let mut before = '-';
    for letter in name.chars() {
        if letter == '_' {
            out.push('-');
        } else {
            if letter.is_ascii_uppercase() && !before.is_ascii_uppercase() && !out.is_empty() {
                out.push('-');
            }
            out.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words_in_lower_case() {
        for (name, path) in [
            ("SayHello", "say-hello"),
            ("Get", "get"),
            ("ListV2Books", "list-v2-books"),
            ("HTTPCall", "httpcall"),
            ("get_it", "get-it"),
        ] {
            assert_eq!(kebab(name), path, "{name}");
        }
    }
}
