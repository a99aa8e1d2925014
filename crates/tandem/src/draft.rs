//! The documents for services that were found: what `init` writes and `run --upstream` serves.
//!
//! Upstreams that share a service are implementations of one contract and become one namespace;
//! others become a namespace each. Each line of the documents says what it is for, in a comment.
//! They are checked as any documents are before anybody gets them.
//!
//! Not here: asking the services (`discover`), writing files (`cli::init`).

mod sample;
mod team;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use tandem_config::document::Address;
use tandem_config::{Problem, Severity, Tnd};
use tandem_contract::{Contract, Method};

pub(crate) use self::sample::samples;
use crate::discover::{Found, Promise, Trust, WITHOUT_REFLECTION, plain};
use crate::documents::{self, Contracts, Documents};
use crate::failure::{Exit, Failure};

/// What the person asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    /// `None`: by the package.
    pub(crate) namespace: Option<String>,
    pub(crate) profile: Profile,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) trust: Trust,
}

/// Whose reading of REST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// What cannot be understood is refused.
    Strict,
    /// As Envoy's transcoder, as far as this build can.
    Envoy,
}

/// Documents that pass `check`, and what is to be said about them.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) documents: Documents,
    pub(crate) namespaces: Vec<Drafted>,
    /// What passes and is worth a word.
    pub(crate) warnings: Vec<Failure>,
}

/// One namespace of a draft.
#[derive(Debug)]
pub(crate) struct Drafted {
    pub(crate) name: String,
    pub(crate) contract: Arc<Contract>,
    /// Full names of the services that it serves.
    pub(crate) services: BTreeSet<String>,
}

impl Drafted {
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        let served = |method: &&Method| self.services.contains(&*method.service);
        self.contract.methods().map(|(_, method)| method).filter(served)
    }
}

/// Upstreams of one namespace.
struct Group<'a> {
    name: String,
    members: Vec<&'a Found>,
    /// Whose contract it is; `None`: it comes from a file.
    source: Option<&'a Found>,
    contract: Arc<Contract>,
    services: BTreeSet<String>,
}

/// Drafts the documents; `given` is the contract of all of them where they are not to be asked.
///
/// # Errors
/// A service that does not say what it serves; documents that do not pass, which is a fault of
/// ours.
pub(crate) fn draft(
    found: &[Found],
    given: Option<&Arc<Contract>>,
    wishes: &Wishes,
) -> Result<Draft, Failure> {
    let mut groups = match given {
        Some(contract) => vec![given_group(found, contract)],
        None => reflected_groups(found)?,
    };
    name(&mut groups, wishes)?;
    let mut warnings = Vec::new();
    for group in &groups {
        warn(group, &mut warnings);
    }
    let teams = groups
        .iter()
        .map(|group| (format!("teams/{}.yaml", group.name), team::text(group, wishes)))
        .collect();
    let documents = Documents::Texts { platform: platform(&groups, wishes), teams };
    let contracts: Contracts = groups
        .iter()
        .filter(|group| group.source.is_none())
        .map(|group| (group.name.clone(), Arc::clone(&group.contract)))
        .collect();
    passes(&documents, &groups, contracts)?;
    let namespaces = groups
        .into_iter()
        .map(|group| Drafted {
            name: group.name,
            contract: group.contract,
            services: group.services,
        })
        .collect();
    Ok(Draft { documents, namespaces, warnings })
}

/// Held against the contracts as `check` does it, before anybody sees the documents.
fn passes(documents: &Documents, groups: &[Group<'_>], given: Contracts) -> Result<(), Failure> {
    let mut contracts: Contracts =
        groups.iter().map(|group| (group.name.clone(), Arc::clone(&group.contract))).collect();
    contracts.extend(given);
    let problems = documents::problems_beside(documents, &contracts);
    // A REST rule of the contract that cannot be served is the service's, and leaves the rest.
    let ours = |problem: &&Problem| {
        problem.severity == Severity::Error
            && !matches!(problem.code, Tnd::TemplateError | Tnd::ContractUnusable)
    };
    let Some(problem) = problems.iter().find(ours) else { return Ok(()) };
    let Problem { code, what, here, path, fix, .. } = problem;
    Err(Failure::new(Exit::Failed, format!("the documents would not pass `tandem check`: {what}"))
        .coded(*code)
        .at(path)
        .because(here)
        .fix(fix))
}

fn given_group<'a>(found: &'a [Found], contract: &Arc<Contract>) -> Group<'a> {
    let services = contract.services().iter().map(|service| service.full_name.to_string());
    Group {
        name: String::new(),
        members: found.iter().collect(),
        source: None,
        contract: Arc::clone(contract),
        services: services.collect(),
    }
}

fn reflected_groups(found: &[Found]) -> Result<Vec<Group<'_>>, Failure> {
    let mut groups: Vec<Vec<(&Found, &Promise)>> = Vec::new();
    for one in found {
        let Some(promise) = &one.promise else { return Err(silent(one)) };
        if promise.services.is_empty() {
            return Err(serves_nothing(one));
        }
        let shares = |group: &Vec<(&Found, &Promise)>| {
            group
                .iter()
                .any(|(_, other)| other.services.iter().any(|name| promise.services.contains(name)))
        };
        // One that shares with several groups makes them one.
        let (mut joined, apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(shares);
        groups = apart;
        match joined.is_empty() {
            true => groups.push(vec![(one, promise)]),
            false => {
                let mut all: Vec<_> = joined.drain(..).flatten().collect();
                all.push((one, promise));
                groups.push(all);
            }
        }
    }
    Ok(groups.into_iter().map(of_members).collect())
}

fn of_members<'a>(members: Vec<(&'a Found, &'a Promise)>) -> Group<'a> {
    // The first of those that promise most: who was named first answers.
    let most = members.iter().map(|(_, promise)| promise.services.len()).max().unwrap_or(0);
    let (source, promise) = members
        .iter()
        .find(|(_, promise)| promise.services.len() == most)
        .copied()
        .unwrap_or_else(|| unreachable!("a group has members"));
    Group {
        name: String::new(),
        members: members.iter().map(|(found, _)| *found).collect(),
        source: Some(source),
        contract: Arc::clone(&promise.contract),
        services: promise.services.iter().cloned().collect(),
    }
}

fn silent(found: &Found) -> Failure {
    let address = plain(&found.address);
    Failure::new(Exit::Failed, format!("{address} does not say what it serves"))
        .coded(Tnd::NoReflection)
        .at(format!("{}={address}", found.name))
        .because("it answers neither reflection v1 nor v1alpha")
        .fix(WITHOUT_REFLECTION)
}

fn serves_nothing(found: &Found) -> Failure {
    let address = plain(&found.address);
    Failure::new(Exit::Failed, format!("{address} serves nothing"))
        .coded(Tnd::NoReflection)
        .at(format!("{}={address}", found.name))
        .because("its reflection names no service beside reflection and health")
        .fix("register the service before reflection; name the port that serves it")
}

/// Gives each group its name: what was wished, or the last part of its package that is no version.
fn name(groups: &mut [Group<'_>], wishes: &Wishes) -> Result<(), Failure> {
    if let Some(wish) = &wishes.namespace {
        let [only] = groups else {
            let what = format!("`--namespace {wish}` would name {} namespaces", groups.len());
            return Err(Failure::new(Exit::Usage, what)
                .because("the upstreams share no service, so each has a namespace of its own")
                .fix("leave `--namespace` out, or name one of them only"));
        };
        only.name.clone_from(wish);
        return Ok(());
    }
    let mut taken = BTreeSet::new();
    for group in groups {
        let service = group.services.first().map_or("", String::as_str);
        let base = namespace_of(service);
        let mut name = base.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}-{number}");
            number += 1;
        }
        group.name = name;
    }
    Ok(())
}

/// `orders` of `orders.v1.Book`; a service without a package gives its own name.
fn namespace_of(service: &str) -> String {
    let (package, name) = service.rsplit_once('.').unwrap_or(("", service));
    let version = |part: &&str| {
        let digits = part.strip_prefix('v').unwrap_or("x");
        !digits.starts_with(|first: char| first.is_ascii_digit())
    };
    let word = package.split('.').filter(|part| !part.is_empty()).rfind(version).unwrap_or(name);
    let word: String = word
        .to_ascii_lowercase()
        .chars()
        .map(|letter| if letter == '_' { '-' } else { letter })
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .take(60)
        .collect();
    let word = word.trim_matches('-');
    if word.is_empty() { "services".to_owned() } else { word.to_owned() }
}

/// Contracts that differ, and services that only some of a group have.
fn warn(group: &Group<'_>, warnings: &mut Vec<Failure>) {
    let Some(source) = group.source else { return };
    for member in &group.members {
        let Some(promise) = member.promise.as_ref().filter(|_| member.name != source.name) else {
            continue;
        };
        let fix = format!(
            "`tandem contract diff {} {}` names every difference; \
             `contract: {{ reflection: NAME }}` chooses whose holds",
            plain(&source.address),
            plain(&member.address)
        );
        let differ: Vec<&str> = promise
            .services
            .iter()
            .map(String::as_str)
            .filter(|name| group.services.contains(*name))
            .filter(|name| {
                group.contract.service_digest(name) != promise.contract.service_digest(name)
            })
            .collect();
        if !differ.is_empty() {
            let what = format!(
                "`{}` and `{}` have different contracts of {}",
                source.name,
                member.name,
                differ.join(", ")
            );
            let why = format!("the contract of `{}` is what callers see", source.name);
            warnings.push(
                Failure::warning(Tnd::DifferentContracts, what).because(why).fix(fix.clone()),
            );
        }
        let left: Vec<&str> = promise
            .services
            .iter()
            .map(String::as_str)
            .filter(|name| !group.services.contains(*name))
            .collect();
        if !left.is_empty() {
            let what =
                format!("`{}` alone has {}, which is not served", member.name, left.join(", "));
            let why = format!("the contract is that of `{}`", source.name);
            warnings.push(Failure::warning(Tnd::DifferentContracts, what).because(why).fix(fix));
        }
    }
}

fn platform(groups: &[Group<'_>], wishes: &Wishes) -> String {
    let loopback_only = wishes.public.ip().to_canonical().is_loopback();
    let place = match loopback_only {
        true => "# this machine only; see `--public`",
        false => "# other machines too: a method without `auth` is 401 there",
    };
    let mut text = format!(
        "# yaml-language-server: $schema=.tandem/tandem.schema.json\n\
         # The platform's file: where the gateway listens, and what each team may claim. Teams write\n\
         # `teams/NAME.yaml`. `tandem check` names every fault at its place, `tandem config show` every\n\
         # value with its source; `tandem reload` takes changes without a lost call.\n\
         format: 1\n\
         listen:\n  \
           public:                             # where callers come: REST and gRPC on one port\n    \
             address: {address:<24} {place}\n    \
             offer: {{ reflection: true, health: true }}   # grpcurl finds the methods, probes the health\n  \
           admin: {{ address: {admin} }}  # `tandem status`, `ls`, `reload`; asks for a token\n\
         observe:\n  \
           access_log: {{ to: stdout }}          # one line a call; `none` for none\n\
         namespaces:\n",
        address = quoted(&wishes.public.to_string()),
        admin = quoted(&wishes.admin.to_string()),
    );
    for group in groups {
        let services: Vec<&str> = group.services.iter().map(String::as_str).collect();
        let upstreams: Vec<String> =
            group.members.iter().map(|found| format!("\"{}\"", plain(&found.address))).collect();
        let loopback = group.members.iter().any(|found| on_this_machine(&found.address));
        text.push_str(&format!(
            "  {name}:{pad} # teams/{name}.yaml; what it may claim:\n    \
               may:\n      \
                 services: [{services}]\n      \
                 paths: [/**]                    # any REST path; narrow it when a second team comes\n      \
                 upstreams: [{upstreams}]\n      \
                 public_methods: {public:<15} # whether it may write `auth: {{ public: true }}`\n      \
                 loopback: {loopback:<21} # whether its services may stand on this machine\n",
            name = group.name,
            pad = " ".repeat(34_usize.saturating_sub(group.name.len())),
            services = services.join(", "),
            upstreams = upstreams.join(", "),
            public = loopback_only,
        ));
    }
    text
}

/// An IPv6 address would begin a list of YAML.
fn quoted(address: &str) -> String {
    if address.starts_with('[') { format!("\"{address}\"") } else { address.to_owned() }
}

fn on_this_machine(address: &Address) -> bool {
    match address {
        Address::Fixed(address) => address.ip().to_canonical().is_loopback(),
        Address::Dns { host, .. } => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// How many methods have rules, by service: `(all, by REST)`.
fn counts<'a>(methods: impl Iterator<Item = &'a Method>) -> BTreeMap<&'a str, (usize, usize)> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for method in methods {
        let count = counts.entry(&method.service).or_default();
        count.0 += 1;
        count.1 += usize::from(!method.rules.is_empty());
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_called_as_the_package_without_its_version() {
        for (service, name) in [
            ("orders.v1.Book", "orders"),
            ("helloworld.Greeter", "helloworld"),
            ("google.example.library.v1beta1.LibraryService", "library"),
            ("my_team.Thing", "my-team"),
            ("vending.Machine", "vending"),
            ("v1.Book", "book"),
            ("Greeter", "greeter"),
            ("_._", "services"),
        ] {
            assert_eq!(namespace_of(service), name, "{service}");
        }
    }
}
