//! Who may call and how much, against what the platform knows and grants.
//!
//! Not here: proving who calls, counting (`tandem-gateway`).

use tandem_contract::Contract;

use super::{Claims, list};
use crate::document::{MethodRules, Way, Who};
use crate::problem::{Problem, Tnd};
use crate::source::Step;
use crate::suggest;

impl Claims<'_> {
    /// `auth` and `limits` of each place.
    pub(super) fn callers(&mut self, contract: Option<&Contract>) {
        let namespace = self.namespace;
        self.callers_of(&namespace.defaults, &[Step::Key("defaults")]);
        let exists = |key: &str| {
            contract.is_none_or(|contract| {
                key.ends_with("/*") || contract.methods().any(|(_, one)| one.full_name() == key)
            })
        };
        for (key, rules) in &namespace.methods {
            let trail = [Step::Key("methods"), Step::Key(key)];
            self.callers_of(rules, &trail);
            let covered = rules.auth.is_some()
                || namespace.defaults.auth.is_some()
                || self.of_service(key).is_some_and(|rules| rules.auth.is_some());
            // One that does not exist was named as unknown already.
            if covered || !exists(key) {
                continue;
            }
            let problem =
                Problem::warning(Tnd::NoAuthPolicy, format!("`{key}` has no auth policy"))
                    .here("every call will be answered with 401")
                    .fix(
                        "write `auth` here or under `defaults`: `{ jwt: NAME }`, \
                          `{ api_key: true }` or `{ public: true }`",
                    );
            self.report(problem, &trail);
        }
    }

    fn callers_of(&mut self, rules: &MethodRules, place: &[Step<'_>]) {
        match rules.auth.as_ref().map(|auth| &auth.who) {
            Some(Who::Public) if !self.may.public_methods => {
                let trail = [place, &[Step::Key("auth")]].concat();
                let what = "the namespace may not have public methods".into();
                self.outside(what, "public_methods", &trail);
            }
            Some(Who::Public) | None => {}
            Some(Who::Known(ways)) => {
                for (index, way) in ways.iter().enumerate() {
                    // Where the way stands: at `auth`, or in `any`. What is not there is passed by.
                    let trail = [place, &[Step::Key("auth")]].concat();
                    let in_any = [&trail[..], &[Step::Key("any"), Step::Index(index)]].concat();
                    self.way(way, if ways.len() > 1 { &in_any } else { &trail });
                }
            }
        }
        let grant = self.platform.namespaces.get(&self.namespace.namespace);
        let most = grant.map_or(0, |grant| grant.quota.calls_at_once);
        for limit in rules.limits.iter().flat_map(|limits| &limits.calls) {
            if limit.at_once.is_some_and(|at_once| at_once > most) {
                let problem =
                    Problem::error(Tnd::OverLimit, "`at_once` is above the platform's limit")
                        .here(format!("`quota.calls_at_once` of the namespace is {most}"))
                        .why("a team may only go lower")
                        .fix("write a lower value, or ask the platform to raise its limit");
                self.report(problem, &[place, &[Step::Key("limits")]].concat());
            }
        }
    }

    fn way(&mut self, way: &Way, trail: &[Step<'_>]) {
        match way {
            Way::Token(rule) => {
                let issuers = &self.platform.identity.issuers;
                if issuers.contains_key(&rule.issuer) {
                    return;
                }
                let names = || issuers.keys().map(String::as_str);
                let what = format!("the platform knows no issuer `{}`", rule.issuer);
                let problem = Problem::error(Tnd::UnknownIdentity, what)
                    .here(suggest::or_nothing(&rule.issuer, names()).unwrap_or_default())
                    .why("a team does not say whom the gateway believes")
                    .fix(match names().next() {
                        Some(_) => format!("name one of: {}", list(names())),
                        None => {
                            "ask the platform to add it to `identity.jwt` of tandem.yaml".into()
                        }
                    });
                self.report(problem, &[trail, &[Step::Key("jwt")]].concat());
            }
            Way::ApiKey { scopes: _ } => {
                if self.platform.identity.api_keys.is_some() {
                    return;
                }
                let problem = Problem::error(Tnd::UnknownIdentity, "the platform takes no keys")
                    .here("`identity.api_keys` does not stand in tandem.yaml")
                    .fix("ask the platform to add `identity: { api_keys: {} }`");
                self.report(problem, &[trail, &[Step::Key("api_key")]].concat());
            }
        }
    }
}
