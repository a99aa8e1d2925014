//! Sides that are upstreams of `tandem.yaml`: their address, whom they trust over TLS, and the
//! target that `cost:` names.
//!
//! CPU is what a comparison is for, so a side is not taken without a target: where `cost:` is
//! missing and the upstream stands on this machine, it is whoever listens on its port, which is
//! said; elsewhere the name is refused with what to write.
//!
//! Not here: sides as they are written on the command line (`target`).

use std::path::Path;

use tandem_config::document::{self, Address};
use tandem_config::{Severity, Tnd};
use tandem_gateway::upstream::Upstream;
use tandem_measure::probe::Target;

use super::target::{Named, Way, is_near};
use crate::discover::plain;
use crate::documents::{Documents, problems_of};
use crate::failure::{Exit, Failure};

/// The upstream `asked` (`NAME`, or `NAMESPACE/NAME`) of the files at `config`.
///
/// # Errors
/// Files that cannot be used, no such upstream, several of them, or one that cannot be compared.
pub(crate) fn named(flag: &'static str, asked: &str, config: &Path) -> Result<Named, Failure> {
    let (problems, loaded) = problems_of(&Documents::Files(config.to_owned()));
    let faulty = problems.iter().find(|problem| problem.severity == Severity::Error);
    let Some((loaded, _)) = loaded.filter(|_| faulty.is_none()) else {
        let what = format!("{} and the teams' files cannot be used", config.display());
        return Err(Failure::new(Exit::Usage, what)
            .coded(faulty.map_or(Tnd::FileUnreadable, |problem| problem.code))
            .at(flag)
            .because(faulty.map(|problem| problem.what.clone()).unwrap_or_default())
            .fix(format!("`tandem check` names every fault; without files write {WRITTEN}")));
    };
    let all: Vec<(String, &String, &document::Upstream)> = loaded
        .namespaces
        .iter()
        .flat_map(|(namespace, _)| {
            let upstreams = namespace.upstreams.iter();
            upstreams.map(|(name, it)| (format!("{}/{name}", namespace.namespace), name, it))
        })
        .collect();
    let is_it = |full: &str, name: &str| full == asked || name == asked;
    let found: Vec<_> = all.iter().filter(|(full, name, _)| is_it(full, name)).collect();
    let (name, upstream) = match &found[..] {
        [(_, name, upstream)] => (*name, *upstream),
        [] => {
            let known: Vec<&str> = all.iter().map(|(_, name, _)| name.as_str()).collect();
            let known = match known.is_empty() {
                true => "none".to_owned(),
                false => known.join(", "),
            };
            return Err(Failure::new(Exit::Usage, format!("there is no upstream `{asked}`"))
                .coded(Tnd::UnknownUpstream)
                .at(flag)
                .because(format!("upstreams of {}: {known}", config.display()))
                .fix(format!("name one of them, or write {WRITTEN}")));
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(full, ..)| full.as_str()).collect();
            return Err(Failure::new(Exit::Usage, format!("`{asked}` is in several namespaces"))
                .coded(Tnd::UnknownUpstream)
                .at(flag)
                .because(format!("there are {}", names.join(", ")))
                .fix(format!("write `{flag} {}`", names[0])));
        }
    };
    side(flag, name, upstream)
}

const WRITTEN: &str = "`NAME=TARGET[@HOST:PORT]`";

fn side(flag: &'static str, name: &str, document: &document::Upstream) -> Result<Named, Failure> {
    let refused = |what: String| Failure::new(Exit::Usage, what).coded(Tnd::WrongType).at(flag);
    let [address] = &document.addresses[..] else {
        let count = document.addresses.len();
        return Err(refused(format!("`{name}` has {count} addresses"))
            .because("a comparison calls one instance, and reads what that one uses")
            .fix(format!("name one of them: `{name}=port:50051`, or {WRITTEN}")));
    };
    let (host_is_here, port) = match address {
        Address::Fixed(address) => (address.ip().is_loopback(), address.port()),
        Address::Dns { host, port } => (host == "localhost", *port),
    };
    let (targets, note) = match (&document.cost[..], host_is_here) {
        ([], true) => (
            vec![Target::Port(port)],
            Some(format!(
                "`{name}` has no `cost:` in its file, so what is read is whoever listens on port \
                 {port}"
            )),
        ),
        ([], false) => {
            let address = plain(address);
            return Err(refused(format!("what `{name}` uses cannot be read"))
                .because(format!("it has no `cost:` in its file, and {address} is elsewhere"))
                .fix(format!(
                    "write `cost:` into its file, for example `cost: unit:{name}`, or a side such \
                     as `{name}=pid:N@{address}`"
                )));
        }
        (targets, _) => (targets.to_vec(), None),
    };
    let is_remote = match address {
        Address::Fixed(address) => !is_near(address.ip()),
        Address::Dns { .. } => !host_is_here,
    };
    let upstream = Box::new(Upstream::of_document(name, document));
    let way = Way::Configured { upstream, is_remote };
    Ok(Named { flag, name: name.to_owned(), targets, way, note, runtime: None })
}

#[cfg(test)]
mod tests {
    use tandem_config::load::from_texts;

    use super::*;

    const PLATFORM: &str = "format: 1\nlisten: { public: { address: 127.0.0.1:0 } }\n\
                            namespaces: { it: { may: { loopback: true, cost: [\"pid:4242\"] } } }\n";

    fn of(entry: &str) -> Result<Named, Failure> {
        let team = format!(
            "namespace: it\ncontract: {{ reflection: rust }}\nupstreams:\n  rust: {entry}\n\
             methods: {{}}\n"
        );
        let loaded = from_texts(PLATFORM, &[("teams/it.yaml", &team)]).unwrap();
        side("--primary", "rust", &loaded.namespaces[0].0.upstreams["rust"])
    }

    #[test]
    fn an_upstream_is_read_by_its_cost_or_on_this_machine_by_its_port() {
        let named = of("{ address: \"10.0.0.7:80\", cost: \"pid:4242\" }").unwrap();
        assert_eq!((named.targets, named.note), (vec![Target::Pid(4242)], None));
        let named = of("{ address: \"127.0.0.1:50051\" }").unwrap();
        assert_eq!(named.targets, [Target::Port(50051)]);
        assert!(named.note.unwrap().contains("listens on port 50051"));
        let failure = of("{ address: \"10.0.0.7:80\" }").unwrap_err().text();
        assert!(failure.contains("no `cost:`") && failure.contains("rust=pid:N@10.0.0.7:80"));
        let failure = of("{ address: [\"127.0.0.1:1\", \"127.0.0.1:2\"] }").unwrap_err().text();
        assert!(failure.contains("has 2 addresses"), "{failure}");
    }

    #[test]
    fn compare_c_3_an_upstream_outside_of_private_networks_is_known_as_such() {
        for (address, remote) in
            [("127.0.0.1:1", false), ("10.0.0.7:1", false), ("8.8.8.8:1", true), ("a.b:1", true)]
        {
            let named = of(&format!("{{ address: \"{address}\", cost: \"pid:4242\" }}")).unwrap();
            assert_eq!(named.is_remote(), remote, "{address}");
        }
    }
}
