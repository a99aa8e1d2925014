//! A document against the contract, the claims and the other documents: all faults at once, each
//! with its place and a remedy.
//!
//! Works offline: what needs a contract is left out for namespaces whose contract is not at hand.
//! Addresses are checked as they are written here; what a name resolves to is checked where it is
//! connected.
//!
//! Not here: reading (`load`), serving (`tandem-gateway`).

mod callers;
mod cached;
mod event_ids;
mod mirrored;
mod rules;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tandem_contract::directory::{Directory, DirectoryMethod, NamespaceEntry};
use tandem_contract::{ConfiguredFault, Contract, ProtoText, Template, TemplateSegment};

use crate::compile::{self, Compile};
use crate::document::{
    Address, ContractSource, Deadline, Grants, MethodRules, Namespace, PathPattern, PatternSegment,
    Platform, UpstreamPattern, VerbPattern, forbidden, is_listener,
};
use crate::load::{Loaded, descriptor_set, proto_texts};
use crate::problem::{Problem, Severity, Tnd, sort};
use crate::source::{Source, Step, cut};
use crate::suggest;

/// The contract of a namespace that names files; `None` where it comes by reflection. .proto files
/// are compiled by `compile`.
///
/// # Errors
/// Files that cannot be read, do not compile, or are no descriptors.
pub fn contract_of(
    loaded: &Loaded,
    namespace: &str,
    compile: Compile<'_>,
) -> Option<Result<Contract, Vec<Problem>>> {
    let index =
        loaded.namespaces.iter().position(|(document, _)| document.namespace == namespace)?;
    let source = &loaded.sources[index];
    let (set, key) = if let Some(set) = descriptor_set(loaded, namespace) {
        (set.map_err(|problem| vec![problem]), "descriptors")
    } else {
        let texts = proto_texts(loaded, namespace)?;
        let set = texts.map_err(|problem| vec![problem]).and_then(|texts| {
            compile(&texts).map_err(|fault| {
                let folder = protos_folder(loaded, index, &texts);
                compile::problems(fault, &texts, &folder, source)
            })
        });
        (set, "protos")
    };
    Some(set.and_then(|bytes| {
        Contract::from_descriptor_set(&bytes).map_err(|faults| {
            let what = format!("the contract of `{namespace}` cannot be used");
            let problem = Problem::error(Tnd::ContractUnusable, what)
                .here(cut(&faults.to_string()))
                .fix("build it with `protoc --include_imports --descriptor_set_out=FILE …`")
                .at(source, &[Step::Key("contract"), Step::Key(key)]);
            vec![problem]
        })
    }))
}

/// Where the .proto files are that a document names, as people name it: `teams/proto`.
fn protos_folder(loaded: &Loaded, index: usize, texts: &[ProtoText]) -> String {
    let ContractSource::Protos(relative) = &loaded.namespaces[index].0.contract else {
        return String::new();
    };
    // A single file is named by itself, a folder is not.
    let single = matches!(texts, [text] if relative.ends_with(&text.name));
    let folder = if single { relative.parent() } else { Some(relative.as_path()) };
    let beside = Path::new(&loaded.sources[index].name).parent().unwrap_or(Path::new(""));
    beside.join(folder.unwrap_or(Path::new(""))).to_string_lossy().into_owned()
}

/// Everything that is wrong with documents that are well formed each for itself. `contracts` are
/// those at hand, by namespace.
pub fn check(loaded: &Loaded, contracts: &BTreeMap<String, Arc<Contract>>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut served = BTreeMap::new();
    for ((namespace, _), source) in loaded.namespaces.iter().zip(&loaded.sources) {
        let name = &namespace.namespace;
        let (contract, faults) = match contracts.get(name).map(|one| namespace.served(one)) {
            Some((contract, faults)) => (Some(contract), faults),
            None => (None, Vec::new()),
        };
        let grants = loaded.platform.namespaces.get(&namespace.namespace);
        let claims = Claims {
            namespace,
            source,
            may: grants.map_or_else(Grants::default, |grant| grant.may.clone()),
            platform: &loaded.platform,
            problems: &mut problems,
        };
        claims.check(contract.as_ref(), &faults);
        served.extend(contract.map(|contract| (name.clone(), contract)));
    }
    together(loaded, &served, &mut problems);
    sort(&mut problems);
    problems
}

struct Claims<'a> {
    namespace: &'a Namespace,
    source: &'a Arc<Source>,
    may: Grants,
    platform: &'a Platform,
    problems: &'a mut Vec<Problem>,
}

impl Claims<'_> {
    fn check(mut self, contract: Option<&Arc<Contract>>, configured: &[ConfiguredFault]) {
        if !self.platform.namespaces.contains_key(&self.namespace.namespace) {
            let name = &self.namespace.namespace;
            let what = format!("the platform knows no namespace `{name}`");
            let problem = Problem::error(Tnd::OutsideGrant, what)
                .here("a namespace without a line in tandem.yaml may claim nothing")
                .fix(format!("add `namespaces.{name}` to tandem.yaml, with what it may claim"));
            return self.report(problem, &[Step::Key("namespace")]);
        }
        self.hosts();
        self.services(contract.map(|contract| &**contract));
        self.upstreams();
        self.references();
        self.callers(contract.map(|contract| &**contract));
        self.lower_only();
        self.settings_granted();
        self.cached(contract.map(|contract| &**contract));
        self.mirrored(contract.map(|contract| &**contract));
        if let Some(contract) = contract {
            self.methods(contract);
            self.unmentioned(contract);
            self.paths(contract);
            self.routes(contract);
            self.faults(contract);
            self.configured(contract, configured);
            self.event_ids(contract);
            self.settings(contract);
        }
    }

    fn report(&mut self, problem: Problem, trail: &[Step<'_>]) {
        self.problems.push(problem.at(self.source, trail));
    }

    fn outside(&mut self, what: String, grant: &str, trail: &[Step<'_>]) {
        let fix = format!(
            "ask the platform to add it to `namespaces.{}.may.{grant}`, or claim less",
            self.namespace.namespace
        );
        let problem = Problem::error(Tnd::OutsideGrant, what)
            .why("a team claims only what the platform has granted to it")
            .fix(fix);
        self.report(problem, trail);
    }

    fn hosts(&mut self) {
        let namespace = self.namespace;
        for (index, host) in namespace.hosts.iter().enumerate() {
            if !self.may.hosts.iter().any(|pattern| pattern.covers(host)) {
                let what = format!("the namespace may not claim the host `{host}`");
                self.outside(what, "hosts", &[Step::Key("hosts"), Step::Index(index)]);
            }
        }
    }

    fn services(&mut self, contract: Option<&Contract>) {
        let namespace = self.namespace;
        let mut judged = BTreeSet::new();
        for key in namespace.methods.keys() {
            let Some((service, _)) = key.split_once('/') else { continue };
            if !judged.insert(service) {
                continue;
            }
            let trail = [Step::Key("methods"), Step::Key(key)];
            if !self.may.services.iter().any(|pattern| pattern.covers(service)) {
                let what = format!("the namespace may not claim the service `{service}`");
                self.outside(what, "services", &trail);
            }
            let Some(contract) = contract else { continue };
            let names = || contract.services().iter().map(|service| &*service.full_name);
            if !names().any(|name| name == service) {
                let what = format!("the contract has no service `{service}`");
                let problem = Problem::error(Tnd::UnknownMethod, what)
                    .here(suggest::or_nothing(service, names()).unwrap_or_default())
                    .fix(format!("name one of: {}", list(names())));
                self.report(problem, &trail);
            }
        }
    }

    fn methods(&mut self, contract: &Contract) {
        let namespace = self.namespace;
        for key in namespace.methods.keys() {
            let Some((service, method)) = key.split_once('/') else { continue };
            let known = || {
                contract
                    .methods()
                    .map(|(_, method)| method)
                    .filter(move |known| &*known.service == service)
                    .map(|known| &*known.name)
            };
            // A service that is unknown was named already.
            if method == "*" || known().next().is_none() || known().any(|name| name == method) {
                continue;
            }
            let problem = Problem::error(Tnd::UnknownMethod, format!("there is no method `{key}`"))
                .here(suggest::or_nothing(method, known()).unwrap_or_default())
                .fix(format!("name one of: {}", list(known())));
            self.report(problem, &[Step::Key("methods"), Step::Key(key)]);
        }
    }

    fn upstreams(&mut self) {
        let namespace = self.namespace;
        for (name, upstream) in &namespace.upstreams {
            for (index, address) in upstream.addresses.iter().enumerate() {
                let mut trail = vec![Step::Key("upstreams"), Step::Key(name), Step::Key("address")];
                if upstream.addresses.len() > 1 {
                    trail.push(Step::Index(index));
                }
                self.address(address, &trail);
            }
            for (index, target) in upstream.cost.iter().enumerate() {
                if !self.may.cost.iter().any(|pattern| pattern.covers(target)) {
                    let mut trail =
                        vec![Step::Key("upstreams"), Step::Key(name), Step::Key("cost")];
                    if upstream.cost.len() > 1 {
                        trail.push(Step::Index(index));
                    }
                    let what =
                        format!("the namespace may not look at `{}`", cut(&target.to_string()));
                    self.outside(what, "cost", &trail);
                }
            }
        }
    }

    fn address(&mut self, address: &Address, trail: &[Step<'_>]) {
        if let Address::Fixed(fixed) = address
            && let Some(why) = forbidden(fixed.ip())
        {
            let what = format!("{} may not be an upstream", fixed.ip());
            let problem = Problem::error(Tnd::AddressForbidden, what)
                .here(why)
                .fix("use another address; these cannot be granted");
            return self.report(problem, trail);
        }
        let listen = self.platform.listen.values();
        let own: Vec<_> =
            listen.map(|listen| listen.address).filter(|one| one.port() != 0).collect();
        if let Address::Fixed(fixed) = address
            && is_listener(*fixed, &own, |address| address.is_loopback())
        {
            let what = format!("{fixed} may not be an upstream");
            let problem = Problem::error(Tnd::AddressForbidden, what)
                .here("the gateway itself listens there")
                .fix("name the service's own address; this one cannot be granted");
            return self.report(problem, trail);
        }
        let loopback = match address {
            Address::Fixed(fixed) => fixed.ip().to_canonical().is_loopback(),
            Address::Dns { host, .. } => host == "localhost" || host.ends_with(".localhost"),
        };
        if loopback && !self.may.loopback {
            let what = format!("the namespace may not reach this machine ({address})");
            return self.outside(what, "loopback", trail);
        }
        let covered = self.may.upstreams.iter().any(|pattern| match (pattern, address) {
            (UpstreamPattern::Name { host: names, ports }, Address::Dns { host, port }) => {
                names.covers(host) && ports.contains(port)
            }
            (UpstreamPattern::Network { network, ports }, Address::Fixed(fixed)) => {
                network.contains(fixed.ip()) && ports.contains(&fixed.port())
            }
            (UpstreamPattern::Name { .. }, Address::Fixed(_))
            | (UpstreamPattern::Network { .. }, Address::Dns { .. }) => false,
        });
        if !covered {
            self.outside(format!("the namespace may not reach {address}"), "upstreams", trail);
        }
    }

    fn references(&mut self) {
        let namespace = self.namespace;
        if let ContractSource::Reflection(name) = &namespace.contract {
            self.upstream_named(name, &[Step::Key("contract"), Step::Key("reflection")]);
        }
        if let Some(name) = &namespace.defaults.primary {
            self.upstream_named(name, &[Step::Key("defaults"), Step::Key("primary")]);
        }
        let only = namespace.upstreams.len() == 1;
        for (key, rules) in &namespace.methods {
            let trail = [Step::Key("methods"), Step::Key(key), Step::Key("primary")];
            match &rules.primary {
                Some(name) => self.upstream_named(name, &trail),
                None if only || namespace.defaults.primary.is_some() => {}
                None if self.of_service(key).is_some_and(|rules| rules.primary.is_some()) => {}
                None => {
                    let what = format!("nobody says which upstream answers `{key}`");
                    let problem = Problem::error(Tnd::MissingKey, what)
                        .fix("name it with `primary` here, or for all methods under `defaults`");
                    self.report(problem, &trail[..2]);
                }
            }
        }
    }

    /// The rules of the whole service that a method belongs to.
    fn of_service(&self, key: &str) -> Option<&MethodRules> {
        let (service, _) = key.split_once('/')?;
        self.namespace.methods.get(&format!("{service}/*"))
    }

    fn upstream_named(&mut self, name: &str, trail: &[Step<'_>]) {
        let namespace = self.namespace;
        if namespace.upstreams.contains_key(name) {
            return;
        }
        let names = || namespace.upstreams.keys().map(String::as_str);
        let problem =
            Problem::error(Tnd::UnknownUpstream, format!("there is no upstream `{name}`"))
                .here(suggest::or_nothing(name, names()).unwrap_or_default())
                .fix(match names().next() {
                    Some(_) => format!("name one of: {}", list(names())),
                    None => "describe it under `upstreams`".to_owned(),
                });
        self.report(problem, trail);
    }

    fn paths(&mut self, contract: &Contract) {
        let namespace = self.namespace;
        let services = namespace.services();
        for (_, method) in contract.methods() {
            if !services.contains(&*method.service) {
                continue;
            }
            for rule in &method.rules {
                if self.may.paths.iter().any(|pattern| covers(pattern, &rule.template)) {
                    continue;
                }
                let what = format!(
                    "the namespace may not claim the path {} {} of {}",
                    rule.http_method,
                    rule.template.text(),
                    method.full_name()
                );
                let key = key_of(namespace, method.full_name(), &method.service);
                self.outside(what, "paths", &[Step::Key("methods"), Step::Key(&key)]);
            }
        }
    }

    /// A team goes lower than the platform, never higher (security §4).
    fn lower_only(&mut self) {
        let namespace = self.namespace;
        let defaults = (vec![Step::Key("defaults")], &namespace.defaults);
        let methods = namespace
            .methods
            .iter()
            .map(|(key, rules)| (vec![Step::Key("methods"), Step::Key(key)], rules));
        let limits = &self.platform.limits;
        for (trail, rules) in std::iter::once(defaults).chain(methods) {
            let mut above = |keys: [&'static str; 2], row: &str| {
                let mut trail = trail.clone();
                trail.extend(keys.map(Step::Key));
                let what = format!("`{}` is above the platform's limit", keys.join("."));
                let problem = Problem::error(Tnd::OverLimit, what)
                    .here(format!("`limits.{row}` of tandem.yaml is lower"))
                    .why("a team may only go lower")
                    .fix("write a lower value, or ask the platform to raise its limit");
                self.problems.push(problem.at(self.source, &trail));
            };
            let message = rules.limits.as_ref().and_then(|limits| limits.message_bytes_max);
            if message.is_some_and(|bytes| bytes > limits.message_bytes) {
                above(["limits", "message"], "message");
            }
            let Some(Deadline::Bounded { default, max }) = rules.deadline else { continue };
            if default.is_some_and(|default| default > limits.unary_max) {
                above(["deadline", "default"], "unary_max");
            }
            if max.is_some_and(|max| max > limits.unary_max) {
                above(["deadline", "max"], "unary_max");
            }
        }
    }

    /// Methods that exist because another of their service is named (protocols D-5), and of which
    /// nothing says who may call or who answers.
    fn unmentioned(&mut self, contract: &Contract) {
        let namespace = self.namespace;
        for service in namespace.services() {
            let whole = format!("{service}/*");
            if namespace.methods.contains_key(&whole) {
                continue;
            }
            let names: Vec<&str> = contract
                .methods()
                .map(|(_, method)| method)
                .filter(|method| &*method.service == service)
                .filter(|method| !namespace.methods.contains_key(method.full_name()))
                .map(|method| &*method.name)
                .collect();
            if names.is_empty() {
                continue;
            }
            let key = key_of(namespace, &whole, service);
            let trail = [Step::Key("methods"), Step::Key(&key)];
            let names = list(names.into_iter());
            if namespace.defaults.auth.is_none() {
                let what = format!("other methods of `{service}` have no auth policy");
                let problem = Problem::warning(Tnd::NoAuthPolicy, what)
                    .here(format!("to name one method exposes all: {names}"))
                    .why("every call of them will be answered with 401")
                    .fix(format!("write `auth` under `{whole}` or under `defaults`"));
                self.report(problem, &trail);
            }
            if namespace.defaults.primary.is_none() && namespace.upstreams.len() != 1 {
                let what = format!("nobody says which upstream answers `{whole}`");
                let problem = Problem::error(Tnd::MissingKey, what)
                    .here(format!("to name one method exposes all: {names}"))
                    .fix(format!("write `primary` under `{whole}` or under `defaults`"));
                self.report(problem, &trail);
            }
        }
    }

    fn routes(&mut self, contract: &Contract) {
        let namespace = self.namespace;
        let services = namespace.services();
        let routes: usize = contract
            .methods()
            .filter(|(_, method)| services.contains(&*method.service))
            .map(|(_, method)| 1 + method.rules.len())
            .sum();
        let grant = self.platform.namespaces.get(&namespace.namespace);
        let allowed = grant.map_or(0, |grant| grant.quota.routes);
        if routes > allowed as usize {
            let problem = Problem::error(Tnd::OverLimit, "the namespace has too many routes")
                .here(format!("{routes} methods and REST rules, and {allowed} are allowed"))
                .why("`quota.routes` of the namespace says so")
                .fix("name fewer services, or ask the platform for more");
            self.report(problem, &[Step::Key("methods")]);
        }
    }

    /// What the contract had to leave out: an error of a file, which somebody can correct before
    /// it is published, a warning of what an upstream reflects (protocols P-15). Faults of
    /// services that nobody names here concern nobody here.
    fn faults(&mut self, contract: &Contract) {
        let namespace = self.namespace;
        let named = namespace.services();
        let (severity, key) = match namespace.contract {
            ContractSource::Reflection(_) => (Severity::Warning, "reflection"),
            ContractSource::Descriptors(_) => (Severity::Error, "descriptors"),
            ContractSource::Protos(_) => (Severity::Error, "protos"),
        };
        for fault in contract.faults() {
            let service = fault.symbol.rsplit_once(['/', '.']).map_or("", |(service, _)| service);
            let of_service = contract.services().iter().any(|known| *known.full_name == *service);
            if of_service && !named.contains(service) {
                continue;
            }
            let code = if of_service { Tnd::TemplateError } else { Tnd::ContractUnusable };
            let column = fault.column.map(|column| format!(", column {column}"));
            let place = format!("{} {}{}", fault.file, fault.symbol, column.unwrap_or_default());
            let mut problem = Problem::warning(code, cut(&fault.what))
                .here(cut(&place))
                .why("it is left out; the rest of the contract serves")
                .fix(cut(&fault.fix));
            problem.severity = severity;
            self.report(problem, &[Step::Key("contract"), Step::Key(key)]);
        }
    }
}

/// The key under which a method stands in the document.
fn key_of(namespace: &Namespace, method: &str, service: &str) -> String {
    if namespace.methods.contains_key(method) {
        return method.to_owned();
    }
    let whole = format!("{service}/*");
    if namespace.methods.contains_key(&whole) {
        return whole;
    }
    // The service is named by another of its methods.
    let named =
        namespace.methods.keys().find(|key| key.split_once('/').is_some_and(|(s, _)| s == service));
    named.cloned().unwrap_or(whole)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let all: Vec<&str> = names.collect();
    let mut text = all.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// Whether every path that the template matches is granted by the pattern.
fn covers(pattern: &PathPattern, template: &Template) -> bool {
    let mut wanted = template.segments();
    for segment in &pattern.segments {
        match (segment, wanted.next()) {
            // A verb behind a tail that may be empty stands outside: `/a/**:v` matches `/a:v`.
            (PatternSegment::Rest, Some(TemplateSegment::Rest)) => {
                return template.verb().is_none();
            }
            (PatternSegment::Rest, Some(_)) => return true,
            (PatternSegment::Literal(granted), Some(TemplateSegment::Literal(text)))
                if granted == text => {}
            (PatternSegment::One, Some(TemplateSegment::Literal(_) | TemplateSegment::One)) => {}
            _ => return false,
        }
    }
    let verb = match (&pattern.verb, template.verb()) {
        (VerbPattern::None, None) => true,
        (VerbPattern::Any, Some(_)) => true,
        (VerbPattern::Exact(granted), Some(verb)) => granted == verb,
        _ => false,
    };
    wanted.next().is_none() && verb
}

/// What two namespaces, or two rules of one, both claim.
fn together(
    loaded: &Loaded,
    contracts: &BTreeMap<String, Arc<Contract>>,
    problems: &mut Vec<Problem>,
) {
    let mut entries = Vec::new();
    for (namespace, _) in &loaded.namespaces {
        let Some(contract) = contracts.get(&namespace.namespace) else { continue };
        let services = namespace.services();
        let methods = contract
            .methods()
            .filter(|(_, method)| services.contains(&*method.service))
            .map(|(id, method)| {
                let limits = &loaded.platform.limits;
                let rules = namespace.resolve(&method.service, &method.name, method.kind, limits);
                DirectoryMethod {
                    contract: Arc::clone(contract),
                    method: id,
                    internal: rules.internal,
                    paths: rules.rest.paths,
                }
            })
            .collect();
        entries.push(NamespaceEntry {
            name: namespace.namespace.clone(),
            hosts: namespace.hosts.clone(),
            methods,
            rpc_paths: namespace.rpc_paths(),
        });
    }
    equal_to_rpc_paths(loaded, contracts, problems);
    services_claimed_twice(loaded, contracts, problems);
    settings::claimed_twice(loaded, problems);
    let Err(faults) = Directory::build(entries) else { return };
    for fault in faults {
        let (second, method) = &fault.second;
        let place = loaded
            .namespaces
            .iter()
            .zip(&loaded.sources)
            .find(|((namespace, _), _)| namespace.namespace == *second);
        let Some(((namespace, _), source)) = place else { continue };
        let service = method.split_once('/').map_or("", |(service, _)| service);
        let key = key_of(namespace, method, service);
        let problem = if fault.first.0 == fault.second.0 {
            Problem::error(Tnd::EqualRules, format!("{} is claimed twice", fault.what))
                .here(format!("by {} and by {}", fault.first.1, fault.second.1))
                .fix("change one of the two templates, in the contract or under `http`")
        } else {
            claimed_by_another(&fault.what)
        };
        problems.push(problem.at(source, &[Step::Key("methods"), Step::Key(&key)]));
    }
}

/// A REST rule whose template is the RPC path of a method of any namespace (protocols D-5).
fn equal_to_rpc_paths(
    loaded: &Loaded,
    contracts: &BTreeMap<String, Arc<Contract>>,
    problems: &mut Vec<Problem>,
) {
    let served = |namespace: &Namespace| {
        let services: Vec<String> = namespace.services().into_iter().map(str::to_owned).collect();
        let contract = contracts.get(&namespace.namespace).cloned();
        contract.map(|contract| (contract, services))
    };
    let mut paths = BTreeSet::new();
    for (contract, services) in loaded.namespaces.iter().filter_map(|(one, _)| served(one)) {
        let methods = contract.methods().map(|(_, method)| method);
        let named = methods.filter(|method| services.iter().any(|name| *name == *method.service));
        paths.extend(named.map(|method| method.path.to_string()));
    }
    for ((namespace, _), source) in loaded.namespaces.iter().zip(&loaded.sources) {
        let Some((contract, services)) = served(namespace) else { continue };
        for (_, method) in contract.methods() {
            if !services.iter().any(|name| *name == *method.service) {
                continue;
            }
            for rule in &method.rules {
                let text = rule.template.text();
                if !rule.template.only_path().is_some_and(|path| paths.contains(&path)) {
                    continue;
                }
                let what = format!("a REST rule of `{}` is an RPC path", method.full_name());
                let key = key_of(namespace, method.full_name(), &method.service);
                let problem = Problem::error(Tnd::EqualRules, what)
                    .here(format!("`{text}` is how the method of that name is called"))
                    .fix("choose another template, in the contract or under `http`");
                problems.push(problem.at(source, &[Step::Key("methods"), Step::Key(&key)]));
            }
        }
    }
}

/// One service in two namespaces that answer one host, where a contract is not at hand and so the
/// directory could not tell.
fn services_claimed_twice(
    loaded: &Loaded,
    contracts: &BTreeMap<String, Arc<Contract>>,
    problems: &mut Vec<Problem>,
) {
    let documents: Vec<_> = loaded.namespaces.iter().zip(&loaded.sources).collect();
    for (number, ((second, _), source)) in documents.iter().enumerate() {
        for ((first, _), _) in &documents[..number] {
            let told = [first, second].iter().all(|one| contracts.contains_key(&one.namespace));
            let both_open = first.hosts.is_empty() && second.hosts.is_empty();
            let meet = both_open || first.hosts.iter().any(|host| second.hosts.contains(host));
            // By REST alone several may answer for one service.
            let by_rpc = first.rpc_paths() && second.rpc_paths();
            if told || !meet || !by_rpc {
                continue;
            }
            for service in first.services().intersection(&second.services()) {
                let key = key_of(second, &format!("{service}/*"), service);
                let problem = claimed_by_another(&format!("`{service}`"));
                problems.push(problem.at(source, &[Step::Key("methods"), Step::Key(&key)]));
            }
        }
    }
}

fn claimed_by_another(what: &str) -> Problem {
    Problem::error(Tnd::ClaimedByAnother, format!("{what} is claimed already"))
        .here("by another namespace that answers the same host")
        .why("one caller could mean either namespace")
        .fix("claim a host of its own for one of them, or leave the method out of one")
}
