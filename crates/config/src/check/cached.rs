//! `cache` against the contract and the quota: which methods may be kept, and by which fields.
//!
//! Not here: reading the key (`crate::read`), choosing the fields (`tandem-transcode`).

use tandem_contract::{Contract, Idempotency, Method, MethodKind};
use tandem_transcode::Projection;

use super::Claims;
use crate::document::{Cache, CacheRules, MethodRules};
use crate::problem::{Problem, Tnd};
use crate::source::{Step, cut};

impl Claims<'_> {
    /// Each line that keeps answers, held against the methods for which it is the one that holds.
    pub(super) fn cached(&mut self, contract: Option<&Contract>) {
        let namespace = self.namespace;
        let defaults = (vec![Step::Key("defaults")], None, &namespace.defaults);
        let lines = namespace.methods.iter().map(|(key, rules)| {
            (vec![Step::Key("methods"), Step::Key(key)], Some(key.as_str()), rules)
        });
        for (mut trail, key, rules) in std::iter::once(defaults).chain(lines) {
            let Some(Cache::Kept(kept)) = &rules.cache else { continue };
            trail.push(Step::Key("cache"));
            self.fits_the_quota(kept, &trail);
            let Some(contract) = contract else { continue };
            let methods: Vec<&Method> = contract
                .methods()
                .map(|(_, method)| method)
                .filter(|method| {
                    self.line_of_cache(method).is_some_and(|line| std::ptr::eq(line, rules))
                })
                .collect();
            if let Some(key) = key
                && let [only] = methods[..]
                && key == only.full_name()
            {
                if let Some(why) = why_not(only) {
                    let what = format!("answers of `{key}` cannot be kept");
                    let problem = Problem::error(Tnd::WrongType, what).here(why.here).fix(why.fix);
                    self.report(problem, &trail);
                    continue;
                }
            } else if !methods.is_empty() && methods.iter().all(|one| why_not(one).is_some()) {
                let what = "`cache` holds for no method";
                let problem = Problem::error(Tnd::WrongType, what)
                    .here("none of them is unary and declared free of side effects")
                    .why("an answer that is kept takes the place of a call, which then never happens")
                    .fix("declare `idempotency_level = NO_SIDE_EFFECTS` where it is true, or take `cache` out");
                self.report(problem, &trail);
                continue;
            }
            let kept_ones = methods.into_iter().filter(|method| why_not(method).is_none());
            for method in kept_ones {
                if !self.fields_of_cache(contract, method, kept, &trail) {
                    // The others of this line would say the same.
                    break;
                }
            }
        }
    }

    /// Whether every field is one of the request.
    fn fields_of_cache(
        &mut self,
        contract: &Contract,
        method: &Method,
        kept: &CacheRules,
        trail: &[Step<'_>],
    ) -> bool {
        let mut good = true;
        for (index, path) in kept.fields.iter().flatten().enumerate() {
            let Err(why) = Projection::check(contract, method.input, &[path]) else { continue };
            good = false;
            let trail = [trail, &[Step::Key("fields"), Step::Index(index)]].concat();
            let what = format!("the requests of `{}` have no such field", method.full_name());
            let problem = Problem::error(Tnd::WrongType, what)
                .here(cut(&why))
                .why("answers are kept by the values of these fields")
                .fix("name fields like `name` or `filter.kind`, under the methods that have them");
            self.report(problem, &trail);
        }
        good
    }

    fn fits_the_quota(&mut self, kept: &CacheRules, trail: &[Step<'_>]) {
        let grant = self.platform.namespaces.get(&self.namespace.namespace);
        let quota = grant.map_or(0, |grant| grant.quota.cache_bytes);
        if kept.entry_bytes_max <= quota {
            return;
        }
        let problem = Problem::error(Tnd::OverLimit, "one answer may be larger than the cache")
            .here(format!("`quota.cache` of the namespace is {quota} bytes"))
            .fix("write a smaller `entry`, or ask the platform for more");
        self.report(problem, trail);
    }

    /// The line whose `cache` holds for `method`; `None` for a method that is not served.
    fn line_of_cache(&self, method: &Method) -> Option<&MethodRules> {
        let namespace = self.namespace;
        if !namespace.services().contains(&*method.service) {
            return None;
        }
        let whole = format!("{}/*", method.service);
        let lines = [namespace.methods.get(method.full_name()), namespace.methods.get(&whole)];
        let found = lines.into_iter().flatten().find(|rules| rules.cache.is_some());
        Some(found.unwrap_or(&namespace.defaults))
    }
}

struct WhyNot {
    here: &'static str,
    fix: &'static str,
}

fn why_not(method: &Method) -> Option<WhyNot> {
    if method.kind != MethodKind::Unary {
        let here = "it is a stream, and only single answers are kept";
        return Some(WhyNot { here, fix: "take `cache` out, or write `cache: none`" });
    }
    (method.idempotency != Idempotency::NoSideEffects).then_some(WhyNot {
        here: "a kept answer takes the place of a call, and this one may do something",
        fix: "declare `idempotency_level = NO_SIDE_EFFECTS` if it does nothing, or take `cache` out",
    })
}
