//! Rules of the configuration that a contract cannot serve, each fault at its letter.
//!
//! Not here: reading rules (`crate::read`), holding them against types (`tandem-contract`).

use tandem_contract::{ConfiguredFault, Contract, HttpMethod, RulePart};

use super::Claims;
use crate::problem::{Problem, Tnd};
use crate::source::{Step, cut};

impl Claims<'_> {
    /// Rules under `http` that the contract cannot serve (protocols P-14, P-15).
    pub(super) fn configured(&mut self, contract: &Contract, faults: &[ConfiguredFault]) {
        let namespace = self.namespace;
        for ConfiguredFault { method, rule, fault } in faults {
            let name = contract.method(*method).full_name();
            let rules = namespace.methods.get(name).and_then(|rules| rules.http.as_ref());
            let Some(text) = rules.and_then(|rules| rules.get(*rule)) else { continue };
            let mut trail = vec![Step::Key("methods"), Step::Key(name), Step::Key("http")];
            // One rule may stand without a list around it.
            if self.source.is_list(&trail) {
                trail.push(Step::Index(*rule));
            }
            let written = match fault.part {
                RulePart::Template => {
                    trail.extend(pattern_keys(&text.http_method).iter().copied().map(Step::Key));
                    text.template.as_str()
                }
                RulePart::Body => {
                    trail.push(Step::Key("body"));
                    text.body.as_str()
                }
                RulePart::ResponseBody => {
                    trail.push(Step::Key("response_body"));
                    text.response_body.as_str()
                }
                RulePart::Whole | RulePart::Kind => "",
            };
            let mut place = self.source.place(&trail);
            if let Some(column) = fault.column {
                place = self.source.within(place, written, column);
            }
            let problem = Problem::error(Tnd::TemplateError, cut(&fault.what))
                .why("the rules under `http` stand in the place of the annotations")
                .fix(cut(&fault.fix));
            self.problems.push(problem.at_place(self.source, &trail, place));
        }
    }
}

/// Where the template of a rule stands.
fn pattern_keys(http_method: &HttpMethod) -> &'static [&'static str] {
    match http_method {
        HttpMethod::Get => &["get"],
        HttpMethod::Put => &["put"],
        HttpMethod::Post => &["post"],
        HttpMethod::Delete => &["delete"],
        HttpMethod::Patch => &["patch"],
        HttpMethod::Custom(_) | HttpMethod::Any => &["custom", "path"],
    }
}
