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
    passes(&documents, &groups)?;
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
fn passes(documents: &Documents, groups: &[Group<'_>]) -> Result<(), Failure> {
    let contracts: Contracts =
        groups.iter().map(|group| (group.name.clone(), Arc::clone(&group.contract))).collect();
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
    use tandem_gateway::upstream::Upstream;
    use tandem_gateway::upstream::speaks::Speaks;
    use tandem_testkit::gateway::contract;

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

    /// A service at a port of its own that promises these .proto services.
    fn found(name: &str, port: u16, services: &str) -> Found {
        let text = format!(
            "syntax = \"proto3\"; package {}.v1; import \"google/api/annotations.proto\";\n\
             message M {{ string a = 1; int32 b = 2; }}\n{services}",
            if services.contains("service Other") { "other" } else { "shop" }
        );
        let contract = Arc::new(contract(&text));
        let services = contract.services().iter().map(|it| it.full_name.to_string()).collect();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Found {
            name: name.into(),
            address: Address::Fixed(address),
            speaks: Speaks::ClearText,
            upstream: Upstream::plain(
                tandem_gateway::upstream::UpstreamAddress::Fixed(address),
                "it".parse().unwrap(),
                std::time::Duration::from_secs(1),
            ),
            promise: Some(Promise { version: "v1", services, contract }),
        }
    }

    fn wishes() -> Wishes {
        Wishes {
            namespace: None,
            profile: Profile::Strict,
            public: ([127, 0, 0, 1], 8080).into(),
            admin: ([127, 0, 0, 1], 9080).into(),
            trust: Trust::default(),
        }
    }

    fn drafted(found: &[Found]) -> Draft {
        draft(found, None, &wishes()).unwrap_or_else(|failure| panic!("{}", failure.text()))
    }

    const A: &str = "service A { rpc Get(M) returns (M); }";
    const B: &str = "service B { rpc Get(M) returns (M); }";
    const OTHER: &str = "service Other { rpc Get(M) returns (M); }";

    #[test]
    fn upstreams_that_share_a_service_are_one_namespace_and_others_are_not() {
        let names = |found: &[Found]| -> Vec<String> {
            drafted(found).namespaces.into_iter().map(|it| it.name).collect()
        };
        assert_eq!(names(&[found("a", 1, A), found("b", 2, A)]), ["shop"]);
        assert_eq!(names(&[found("a", 1, A), found("b", 2, OTHER)]), ["shop", "other"]);
        // One package in two services that share nothing: two names all the same.
        assert_eq!(names(&[found("a", 1, A), found("b", 2, B)]), ["shop", "shop-2"]);
        // Whoever has both joins them.
        let both = format!("{A} {B}");
        assert_eq!(names(&[found("a", 1, A), found("b", 2, B), found("c", 3, &both)]), ["shop"]);
    }

    #[test]
    fn who_promises_most_gives_the_contract_and_what_others_have_alone_is_told() {
        let both = format!("{A} {B}");
        let draft = drafted(&[found("small", 1, A), found("large", 2, &both)]);
        let Documents::Texts { teams, .. } = &draft.documents else { panic!("no texts") };
        assert!(teams[0].1.contains("contract: { reflection: large }"), "{}", teams[0].1);
        assert!(draft.warnings.is_empty(), "{:?}", draft.warnings);

        let third = "service C { rpc Get(M) returns (M); }";
        let draft = drafted(&[found("one", 1, &both), found("two", 2, &format!("{A} {third}"))]);
        let told: Vec<&str> = draft.warnings.iter().map(|it| &*it.what).collect();
        assert_eq!(told, ["`two` alone has shop.v1.C, which is not served"]);
    }

    #[test]
    fn one_wished_name_does_not_name_two_namespaces() {
        let wishes = Wishes { namespace: Some("mine".into()), ..wishes() };
        let failure = draft(&[found("a", 1, A), found("b", 2, OTHER)], None, &wishes).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        let draft = draft(&[found("a", 1, A)], None, &wishes).unwrap();
        assert_eq!(draft.namespaces[0].name, "mine");
    }

    #[test]
    fn a_service_of_any_shape_gives_documents_that_pass() {
        // Names at their longest, words of YAML, no method at all, rules that cannot be served.
        let long = format!("service {} {{ rpc Get(M) returns (M); }}", "L".repeat(200));
        let odd = "service null { rpc yes(M) returns (M); rpc on(stream M) returns (stream M); }";
        let rules = "service R { rpc Get(M) returns (M) { option (google.api.http) = { get: \"/v1/{c}\" }; } }";
        for services in [&*long, odd, "service Empty {}", rules] {
            drafted(&[found("a", 1, services)]);
        }
    }

    /// The lines for one contract.
    fn lines(services: &str) -> (Option<String>, Option<String>) {
        let sample = samples(&drafted(&[found("a", 1, services)]).namespaces, wishes().public);
        (sample.curl, sample.grpcurl)
    }

    #[test]
    fn the_call_to_try_is_one_that_changes_nothing() {
        let rule = |name: &str, rule: &str, more: &str| {
            format!(
                "rpc {name}(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; {more} }} "
            )
        };
        let all = [
            rule("DeleteAll", "get: \"/v1/delete\"", ""),
            rule("Create", "post: \"/v1/things\" body: \"*\"", ""),
            rule("GetThing", "get: \"/v1/{a=things/*}\"", ""),
            rule("List", "get: \"/v1/things\"", ""),
        ];
        let service = |methods: &[String]| lines(&format!("service A {{ {} }}", methods.concat()));
        let curl = |methods: &[String]| service(methods).0.unwrap_or_default();
        assert_eq!(curl(&all), "curl -s 'http://127.0.0.1:8080/v1/things'");
        assert_eq!(curl(&all[..3]), "curl -s 'http://127.0.0.1:8080/v1/things/1'");
        assert_eq!(
            curl(&all[..2]),
            "curl -s -X POST -H 'content-type: application/json' -d '{}' 'http://127.0.0.1:8080/v1/things'"
        );
        assert_eq!(service(&all[..1]), (None, None));
        // Of two the one that is marked.
        let safe =
            rule("Look", "get: \"/v1/look/{b}\"", "option idempotency_level = NO_SIDE_EFFECTS;");
        let marked = [all[3].clone(), safe];
        assert_eq!(curl(&marked), "curl -s 'http://127.0.0.1:8080/v1/look/1'");
        // A quote in a path does not end the shell's.
        let quote = rule("Get", "get: \"/v1/it's\"", "");
        let curl = service(&[quote]).0;
        assert!(curl.is_none_or(|line| line.matches('\'').count() == 2));
    }

    #[test]
    fn methods_of_grpc_alone_have_a_line_of_grpcurl_and_none_of_curl() {
        let (curl, grpcurl) =
            lines("service A { rpc Purge(M) returns (M); rpc SayHello(M) returns (M); }");
        assert_eq!(curl, None);
        let line = "grpcurl -plaintext -d '{}' 127.0.0.1:8080 shop.v1.A/SayHello";
        assert_eq!(grpcurl.as_deref(), Some(line));
    }
}
