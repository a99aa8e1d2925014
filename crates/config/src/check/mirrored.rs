//! `mirror` and `same` against the contract and the upstreams: whose calls may be copied, and
//! which paths are there.
//!
//! Whether a copy may be made is decided by [`crate::document::MirrorRules::leave`], here as in
//! the gateway; this room says it in sentences, each at its place.

use std::collections::BTreeMap;

use tandem_contract::{Contract, Idempotency, Method};

use super::{Claims, list};
use crate::document::{
    Forbidden, Mirror, MirrorRules, OrderBy, ResolvedMethod, SameRules, TwinRule, Writes,
};
use crate::problem::{Problem, Tnd};
use crate::source::{Step, cut};

/// A line of the document that says something about methods.
struct Line<'a> {
    trail: Vec<Step<'a>>,
    place: &'a str,
}

impl Claims<'_> {
    /// Each line that copies calls, held against the methods for which it is the one that holds.
    pub(super) fn mirrored(&mut self, contract: Option<&Contract>) {
        let namespace = self.namespace;
        let lines = std::iter::once(("defaults", &namespace.defaults))
            .chain(namespace.methods.iter().map(|(key, rules)| (key.as_str(), rules)));
        for (place, rules) in lines {
            let trail = match place {
                "defaults" => vec![Step::Key("defaults")],
                key => vec![Step::Key("methods"), Step::Key(key)],
            };
            if let Some(name) = &rules.candidate {
                self.upstream_named(name, &[&trail[..], &[Step::Key("candidate")]].concat());
            }
            if let Some(Mirror::Copied(mirror)) = &rules.mirror {
                let line = Line { trail: [&trail[..], &[Step::Key("mirror")]].concat(), place };
                self.order(mirror, &line);
                if self.sides(mirror, &line) {
                    match contract {
                        Some(contract) => self.allowed(contract, mirror, &line),
                        None => self.isolated_sides(mirror, &line),
                    }
                }
            }
            if let (Some(same), Some(contract)) = (&rules.same, contract) {
                let line = Line { trail: [&trail[..], &[Step::Key("same")]].concat(), place };
                self.paths_of_same(contract, same, &line);
            }
        }
        if let Some(contract) = contract {
            self.services_whole(contract);
        }
    }

    /// Whether the upstreams that the line names are there.
    fn sides(&mut self, mirror: &MirrorRules, line: &Line<'_>) -> bool {
        let twin = match &mirror.twin {
            TwinRule::Named(name) => Some(name),
            TwinRule::Unwritten | TwinRule::None => None,
        };
        let mut good = true;
        for (key, name) in [("to", mirror.to.as_ref()), ("twin", twin)] {
            let Some(name) = name else { continue };
            good &= self.namespace.upstreams.contains_key(name);
            self.upstream_named(name, &[&line.trail[..], &[Step::Key(key)]].concat());
        }
        good
    }

    /// Copies of writes, of which some are left out.
    fn in_part(&mut self, mirror: &MirrorRules, line: &Line<'_>) {
        let Some(key) = mirror.part() else { return };
        let what = "the writes of a stateful service would be mirrored in part";
        let problem = Problem::error(Tnd::MirroredInPart, what)
            .here(format!("with `writes: isolated` `{key}` would leave some out"))
            .why("after the first write that is missing the two sides answer differently by design")
            .fix("write `share: 100%` and no `max_rate` here; give reads a line of their own");
        self.report(problem, &[&line.trail[..], &[Step::Key(key)]].concat());
    }

    /// An order that nothing has.
    fn order(&mut self, mirror: &MirrorRules, line: &Line<'_>) {
        if mirror.writes == Writes::Isolated || mirror.order_by.is_none() {
            return;
        }
        let problem = Problem::error(Tnd::WrongType, "`order_by` holds for nothing")
            .here("copies have an order where they follow the writes of the primary")
            .fix("write `writes: isolated` beside it, or take `order_by` out");
        self.report(problem, &[&line.trail[..], &[Step::Key("order_by")]].concat());
    }

    /// What can be said of a line without the contract.
    fn isolated_sides(&mut self, mirror: &MirrorRules, line: &Line<'_>) {
        if mirror.writes == Writes::Isolated {
            let resolved = self.resolved_at(line.place);
            // One method alone may be a read.
            let all = line.place == "defaults" || line.place.ends_with("/*");
            let idempotency = if all { Idempotency::Unknown } else { Idempotency::NoSideEffects };
            if let Err(why) = self.leave(mirror, idempotency, &resolved) {
                self.forbidden(&why, &[], (mirror, line));
            }
        }
    }

    /// Whether the calls of each method for which the line holds may be copied.
    fn allowed(&mut self, contract: &Contract, mirror: &MirrorRules, line: &Line<'_>) {
        let mut refused: BTreeMap<String, (Forbidden, Vec<&str>)> = BTreeMap::new();
        for method in self.methods_of(contract, line.place, |rules| rules.mirror.is_some()) {
            let resolved = self.resolved_of(method);
            if let Err(why) = self.leave(mirror, method.idempotency, &resolved) {
                let entry = refused.entry(format!("{why:?}"));
                entry.or_insert_with(|| (why, Vec::new())).1.push(&method.name);
                continue;
            }
            if let Some(OrderBy::Field(path)) = &mirror.order_by
                && let Err(why) =
                    tandem_transcode::Projection::check(contract, method.input, &[path])
            {
                let what = format!("the requests of `{}` have no such field", method.full_name());
                let problem = Problem::error(Tnd::WrongType, what)
                    .here(cut(&why))
                    .why("copies with the same value there are delivered one after the other")
                    .fix("name a field that each of these requests has, or write `\"*\"`");
                self.report(problem, &[&line.trail[..], &[Step::Key("order_by")]].concat());
            }
        }
        for (why, names) in refused.values() {
            self.forbidden(why, names, (mirror, line));
        }
    }

    fn forbidden(
        &mut self,
        why: &Forbidden,
        names: &[&str],
        (mirror, line): (&MirrorRules, &Line<'_>),
    ) {
        let names = || list(names.iter().copied());
        let problem = match why {
            Forbidden::Writes => Problem::error(
                Tnd::MirroredWrite,
                "a method with side effects would be mirrored",
            )
            .here(format!("`{}` does not declare idempotency_level = NO_SIDE_EFFECTS", names()))
            .why("a mirrored write would be carried out twice")
            .fix(
                "name an upstream with its own data (`isolated: true`) in `mirror.to` and set \
                     `mirror.writes: isolated`",
            ),
            Forbidden::NotIsolated(name) => {
                let what = format!("writes would be mirrored to `{name}`, which others see");
                Problem::error(Tnd::MirroredWrite, what)
                    .here(format!("`upstreams.{name}` does not say `isolated: true`"))
                    .why("a mirrored write would be carried out twice")
                    .fix("name upstreams with data of their own in `to` and `twin`")
            }
            Forbidden::IsThePrimary(name) => {
                let what = format!("writes would be mirrored to the primary itself, as `{name}`");
                Problem::error(Tnd::MirroredWrite, what)
                    .here("the upstream that answers these methods stands at the same address")
                    .why("a mirrored write would be carried out twice")
                    .fix("name upstreams with data of their own in `to` and `twin`")
            }
            Forbidden::NoOrder => Problem::error(Tnd::MissingKey, "`mirror` has no `order_by`")
                .here("copies of writes are delivered in the primary's order")
                .why("else two correct implementations disagree by design")
                .fix("write `order_by: FIELD`, or `order_by: \"*\"` for the whole service"),
            Forbidden::NoCandidate => {
                Problem::error(Tnd::MissingKey, "nobody says where copies go")
                    .here("there is neither `candidate` nor `mirror.to`")
                    .fix("name the upstream on trial with `candidate`, or `mirror.to`")
            }
            // Told already, at the name.
            Forbidden::UnknownUpstream(_) => return,
            Forbidden::InPart => return self.in_part(mirror, line),
        };
        self.report(problem, &line.trail);
    }

    /// A service of which some writes are copied to data of their own, and others not.
    fn services_whole(&mut self, contract: &Contract) {
        let namespace = self.namespace;
        for service in namespace.services() {
            let writes: Vec<(&Method, Option<String>)> = contract
                .methods()
                .map(|(_, method)| method)
                .filter(|method| &*method.service == service)
                .filter(|method| method.idempotency != Idempotency::NoSideEffects)
                .map(|method| {
                    let resolved = self.resolved_of(method);
                    let mirror = resolved.mirror.filter(|rules| rules.writes == Writes::Isolated);
                    (method, mirror.and_then(|rules| rules.to.or(resolved.candidate)))
                })
                .collect();
            let Some(to) = writes.iter().find_map(|(_, to)| to.clone()) else { continue };
            let left: Vec<&str> = writes
                .iter()
                .filter(|(_, other)| other.as_ref() != Some(&to))
                .map(|(method, _)| &*method.name)
                .collect();
            let Some(first) = left.first() else { continue };
            let key = super::key_of(namespace, &format!("{service}/{first}"), service);
            let what = format!("the writes of `{service}` would be mirrored in part");
            let problem = Problem::error(Tnd::MirroredInPart, what)
                .here(format!("to `{to}` go all but: {}", list(left.into_iter())))
                .why("after the first write that is missing the two sides answer differently by design")
                .fix("mirror every write of the service to it, or none");
            self.report(problem, &[Step::Key("methods"), Step::Key(&key), Step::Key("mirror")]);
        }
    }

    fn leave(
        &self,
        mirror: &MirrorRules,
        idempotency: Idempotency,
        resolved: &ResolvedMethod,
    ) -> Result<(), Forbidden> {
        let (primary, candidate) = (resolved.primary.as_deref(), resolved.candidate.as_deref());
        mirror.leave(idempotency, primary, candidate, &self.namespace.upstreams).map(drop)
    }

    /// Each path of `same` is one of some method for which the line holds.
    fn paths_of_same(&mut self, contract: &Contract, same: &SameRules, line: &Line<'_>) {
        let methods = self.methods_of(contract, line.place, |rules| rules.same.is_some());
        if methods.is_empty() {
            return;
        }
        for placed in same.placed() {
            let mut told: Option<String> = None;
            let mut fits = false;
            for method in &methods {
                let Some(rules) = placed.alone(contract, method.output) else { continue };
                let faults = rules.faults(contract, method.output);
                fits |= faults.is_empty();
                let said = |fault: &tandem_judge::diff::RuleFault| fault.what.clone();
                // That a field is there and cannot have the rule says more than that it is not.
                told =
                    told.filter(|one| !one.contains("no such field")).or(faults.first().map(said));
            }
            if fits {
                continue;
            }
            let mut trail = [&line.trail[..], &[Step::Key(placed.key)]].concat();
            trail.push(match placed.index {
                Some(index) => Step::Index(index),
                None => Step::Key(placed.path),
            });
            let what = format!("no answer has `{}`", cut(placed.path));
            let problem = Problem::error(Tnd::WrongType, what)
                .here(cut(&told.unwrap_or_else(|| "no message has a field of that name".into())))
                .why("a rule that holds nowhere would hide nothing and promise something")
                .fix("write the path as reports do, `orders[].price`, or `**.price` at any depth");
            self.report(problem, &trail);
        }
    }

    /// The methods for which the line of `place` is the one that holds, among those that say
    /// something of the key that `says` looks at.
    fn methods_of<'c>(
        &self,
        contract: &'c Contract,
        place: &str,
        says: fn(&crate::document::MethodRules) -> bool,
    ) -> Vec<&'c Method> {
        let namespace = self.namespace;
        let services = namespace.services();
        contract
            .methods()
            .map(|(_, method)| method)
            .filter(|method| services.contains(&*method.service))
            .filter(|method| {
                let own = method.full_name().to_owned();
                let whole = format!("{}/*", method.service);
                let places = [own, whole];
                let holds = places
                    .iter()
                    .find(|key| namespace.methods.get(*key).is_some_and(says))
                    .map_or("defaults", |key| key);
                holds == place
            })
            .collect()
    }

    fn resolved_of(&self, method: &Method) -> ResolvedMethod {
        let limits = &self.platform.limits;
        self.namespace.resolve(&method.service, &method.name, method.kind, limits)
    }

    /// What holds at a line, whose methods are not known.
    fn resolved_at(&self, place: &str) -> ResolvedMethod {
        let (service, method) = place.split_once('/').unwrap_or(("", ""));
        let kind = tandem_contract::MethodKind::Unary;
        self.namespace.resolve(service, method, kind, &self.platform.limits)
    }
}
