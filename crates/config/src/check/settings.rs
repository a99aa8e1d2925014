//! `settings` against the contract: values, rights on single fields, and what the contract itself
//! asks for (hybrid SE-1, SE-5).
//!
//! Not here: the rules of single values (`crate::settings`).

use std::collections::BTreeSet;
use std::sync::Arc;

use tandem_contract::{Contract, Message};
use tandem_transcode::Plans;

use super::{Claims, list};
use crate::document::{ContractSource, SettingsRules};
use crate::load::Loaded;
use crate::problem::{Problem, Severity, Tnd};
use crate::settings::{RuleNotHeld, SettingsMessage, declared, defaults};
use crate::source::{Step, cut};
use crate::suggest;

/// Settings of one service in two files: it watches them by its name alone, whatever the hosts.
pub(super) fn claimed_twice(loaded: &Loaded, problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for ((namespace, _), source) in loaded.namespaces.iter().zip(&loaded.sources) {
        for service in namespace.settings.keys() {
            if seen.insert(service) {
                continue;
            }
            let what = format!("`settings.{}` is claimed already", cut(service));
            let problem = Problem::error(Tnd::ClaimedByAnother, what)
                .here("by another namespace")
                .why("a service has one set of settings, whatever hosts its namespaces answer")
                .fix("write its settings in one of the namespaces");
            problems.push(problem.at(source, &[Step::Key("settings"), Step::Key(service)]));
        }
    }
}

impl Claims<'_> {
    /// Settings of services that are not this namespace's.
    pub(super) fn settings_granted(&mut self) {
        let namespace = self.namespace;
        let served = namespace.services();
        for service in namespace.settings.keys() {
            // What stands under `methods` was judged there.
            let granted = self.may.services.iter().any(|pattern| pattern.covers(service));
            if !granted && !served.contains(&**service) {
                let what = format!("the namespace may not claim the service `{service}`");
                self.outside(what, "services", &[Step::Key("settings"), Step::Key(service)]);
            }
        }
    }

    pub(super) fn settings(&mut self, contract: &Arc<Contract>) {
        let namespace = self.namespace;
        for service in namespace.settings.keys() {
            if contract.settings_of(service).is_none() {
                self.no_settings(contract, service);
            }
        }
        let declared = declared(namespace, contract);
        if declared.is_empty() {
            return;
        }
        let plans = Arc::new(Plans::new(Arc::clone(contract)));
        for service in declared {
            let Some(id) = contract.settings_of(service) else { continue };
            let written = namespace.settings.get(service);
            match (SettingsMessage::of_plans(Arc::clone(&plans), id), written) {
                (Err(faults), written) => self.not_held(service, &faults, written.is_some()),
                (Ok(message), Some(rules)) => self.values(&message, service, rules),
                (Ok(message), None) => self.defaults(&message, service),
            }
            if let Some(rules) = written {
                self.access(contract.message(id), service, rules);
            }
        }
    }

    fn no_settings(&mut self, contract: &Contract, service: &str) {
        let trail = [Step::Key("settings"), Step::Key(service)];
        let names = || contract.settings().map(|(service, _)| service);
        let here = suggest::or_nothing(service, names()).unwrap_or_default();
        if !contract.services().iter().any(|known| *known.full_name == *service) {
            let what = format!("the contract has no service `{}`", cut(service));
            let fix = match names().next() {
                Some(_) => format!("name one of: {}", list(names())),
                None => "take it out; no service of the contract has settings".to_owned(),
            };
            let problem = Problem::error(Tnd::UnknownMethod, what).here(here).fix(fix);
            return self.report(problem, &trail);
        }
        let problem =
            Problem::error(Tnd::UnknownKey, format!("`{}` has no settings", cut(service)))
                .here(here)
                .why("a service says in its contract what can be set")
                .fix(format!(
                    "give one message of the contract `option (tandem.settings.v1.settings) = \
                 {{ service: \"{}\" }};`, or take it out",
                    cut(service)
                ));
        self.report(problem, &trail);
    }

    /// A rule of the contract that nobody can hold: of a file an error, which somebody can correct
    /// before it is published, and so of values that are written.
    fn not_held(&mut self, service: &str, faults: &[RuleNotHeld], written: bool) {
        let (severity, key) = match self.namespace.contract {
            ContractSource::Reflection(_) => (Severity::Warning, "reflection"),
            ContractSource::Descriptors(_) => (Severity::Error, "descriptors"),
            ContractSource::Protos(_) => (Severity::Error, "protos"),
        };
        for fault in faults {
            let mut problem = fault.problem();
            if written {
                self.report(problem, &[Step::Key("settings"), Step::Key(service)]);
            } else {
                problem.severity = severity;
                self.report(problem, &[Step::Key("contract"), Step::Key(key)]);
            }
        }
    }

    fn values(&mut self, message: &SettingsMessage, service: &str, rules: &SettingsRules) {
        let SettingsRules { values, require: _, access: _ } = rules;
        for violation in message.hold(values).err().unwrap_or_default() {
            let parts = violation.parts();
            let head = [Step::Key("settings"), Step::Key(service), Step::Key("values")];
            let trail: Vec<Step<'_>> =
                head.into_iter().chain(parts.iter().map(|part| part.step())).collect();
            self.report(violation.problem(), &trail);
        }
    }

    /// A service whose own defaults its rules refuse is pushed nothing before somebody writes
    /// values.
    fn defaults(&mut self, message: &SettingsMessage, service: &str) {
        let Err(violations) = defaults(message) else { return };
        let told: Vec<String> = violations.iter().map(ToString::to_string).collect();
        let what = format!("the settings of `{}` need values", cut(service));
        let problem = Problem::warning(Tnd::SettingRefused, what)
            .here(list(told.iter().map(String::as_str)))
            .why("the contract refuses its own defaults, so nothing is handed to the service")
            .fix(format!("write `settings.{}.values`", cut(service)));
        let key = super::key_of(self.namespace, &format!("{service}/*"), service);
        self.report(problem, &[Step::Key("methods"), Step::Key(&key)]);
    }

    fn access(&mut self, message: &Message, service: &str, rules: &SettingsRules) {
        for field in rules.access.keys() {
            let names = || message.fields.iter().map(|field| &*field.name);
            if names().any(|name| name == field) {
                continue;
            }
            let what = format!("`{}` is no field of `{}`", cut(field), message.full_name);
            let problem = Problem::error(Tnd::UnknownKey, what)
                .here(suggest::or_nothing(field, names()).unwrap_or_default())
                .why("a field is opened as a whole, by its name in the contract's file")
                .fix(format!("name one of: {}", list(names())));
            let head = [Step::Key("settings"), Step::Key(service), Step::Key("access")];
            let trail: Vec<Step<'_>> = head.into_iter().chain([Step::Key(field)]).collect();
            self.report(problem, &trail);
        }
    }
}
