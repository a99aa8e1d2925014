//! The two sides as they are named: what to start or to look at, and where to call it.
//!
//! `rust=exec:"./svc --port {port}"` is started by us, on a port of our choice; everything else
//! runs already and says where: `go=pid:4242@127.0.0.1:50052`, or stands in `tandem.yaml`.
//!
//! Not here: what a target uses (`tandem_measure::probe`), starting it (`process`).

use std::net::IpAddr;
use std::path::Path;

use tandem_config::document::Address;
use tandem_gateway::upstream::Upstream;
use tandem_measure::probe::Target;

use super::ask::wrong;
use super::configured;
use super::meter::agent_of;
use super::process::Command;
use crate::discover;
use crate::failure::Failure;

/// One side as it was named.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// `--primary` or `--candidate`.
    pub(crate) flag: &'static str,
    pub(crate) name: String,
    /// What is read: one, or one for each instance of an upstream of the configuration.
    pub(crate) targets: Vec<Target>,
    pub(crate) way: Way,
    /// What was not said and had to be found out.
    pub(crate) note: Option<String>,
    /// Where `--runtime` says that it tells of itself; may hold `{port:NAME}` of its command.
    pub(crate) runtime: Option<String>,
}

/// How it comes to run.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// By us. The address may hold `{port}`.
    Started {
        command: Command,
        address: String,
    },
    There(Address),
    /// As `tandem.yaml` has it.
    Configured {
        upstream: Box<Upstream>,
        is_remote: bool,
    },
}

impl Named {
    /// A side as it is written: `NAME=TARGET[@HOST:PORT]`, or the name of an upstream of the files
    /// at `config`.
    ///
    /// # Errors
    /// Anything else, or a target that is not read here.
    pub(crate) fn read(flag: &'static str, text: &str, config: &Path) -> Result<Named, Failure> {
        const RIGHT: &str = "write `NAME=TARGET[@HOST:PORT]`, for example \
                             `rust=exec:\"./svc --port {port}\"` or `go=pid:4242@127.0.0.1:50052`";
        let Some((name, rest)) = text.split_once('=') else {
            return configured::named(flag, text, config);
        };
        let good = (1..=63).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !good {
            return Err(wrong(flag, text, RIGHT)
                .because("a name is 1 to 63 of `a` to `z`, `0` to `9` and `-`"));
        }
        let (target, address) = split(rest);
        let target: Target =
            target.parse().map_err(|error| wrong(flag, text, RIGHT).because(format!("{error}")))?;
        let address = match (&target, address) {
            (_, Some(address)) => Some(address.to_owned()),
            (Target::Exec(_), None) => Some("127.0.0.1:{port}".to_owned()),
            (Target::Port(port), None) => Some(format!("127.0.0.1:{port}")),
            (_, None) => None,
        };
        let Some(address) = address else {
            return Err(wrong(flag, text, RIGHT)
                .because("where it is called is not said: `@HOST:PORT` is missing"));
        };
        let way = match &target {
            Target::Exec(command) => {
                let command =
                    Command::read(command).map_err(|why| wrong(flag, text, RIGHT).because(why))?;
                Way::Started { command, address }
            }
            _ => Way::There(
                discover::address_of(&address)
                    .map_err(|(why, fix)| wrong(flag, text, &fix).because(why))?,
            ),
        };
        Ok(Named {
            flag,
            name: name.to_owned(),
            targets: vec![target],
            way,
            note: None,
            runtime: None,
        })
    }

    /// Whether it lies outside of this machine and of private networks.
    pub(crate) fn is_remote(&self) -> bool {
        let runtime = self.runtime.as_deref().and_then(|text| ported(text).ok());
        let called = match &self.way {
            Way::Started { .. } => None,
            Way::There(address) => Some(address),
            Way::Configured { is_remote: true, .. } => return true,
            Way::Configured { .. } => None,
        };
        let agent = agent_of(self).map(|(host, _)| match host.trim_matches(['[', ']']).parse() {
            Ok(address) => !is_near(address),
            Err(_) => host != "localhost",
        });
        agent == Some(true) || called.into_iter().chain(&runtime).any(is_far)
    }

    /// `--runtime NAME=HOST:PORT`, for the side of that name.
    ///
    /// # Errors
    /// No such side, or no address.
    pub(crate) fn told_by(sides: &mut [Named; 2], text: &str) -> Result<(), Failure> {
        const RIGHT: &str = "write `NAME=HOST:PORT` or, of a command, `NAME=127.0.0.1:{port:NAME}`";
        let wrong = |why: &str| wrong("--runtime", text, RIGHT).because(why);
        let (name, address) = text.split_once('=').ok_or_else(|| wrong("it names no address"))?;
        ported(address).map_err(|(why, _)| wrong(&why))?;
        let side = sides.iter_mut().find(|side| side.name == name);
        let side = side.ok_or_else(|| wrong(&format!("no side is called `{name}`")))?;
        side.runtime = Some(address.to_owned());
        Ok(())
    }

    /// Whether a second process of it can be started.
    pub(crate) fn is_started(&self) -> bool {
        matches!(self.way, Way::Started { .. })
    }
}

/// The target and the address behind it. A unit may have an `@` in its name, a command anywhere.
fn split(text: &str) -> (&str, Option<&str>) {
    let found = text.rsplit_once('@').filter(|(_, address)| {
        let plain = address.replace("{port}", "1");
        !address.contains(char::is_whitespace)
            && !address.contains('"')
            && discover::address_of(&plain).is_ok()
    });
    found.map_or((text, None), |(target, address)| (target, Some(address)))
}

/// An address in which a port may be a placeholder.
fn ported(text: &str) -> Result<Address, (String, String)> {
    let plain = match (text.split_once("{port"), text.ends_with('}')) {
        (Some((host, _)), true) => format!("{host}1"),
        _ => text.to_owned(),
    };
    discover::address_of(&plain)
}

fn is_far(address: &Address) -> bool {
    match address {
        Address::Fixed(address) => !is_near(address.ip()),
        Address::Dns { host, .. } => host != "localhost",
    }
}

/// This machine and private networks: 10/8, 172.16/12, 192.168/16, 169.254/16, fc00::/7, fe80::/10.
pub(super) fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_near(IpAddr::V4(mapped)),
            None => {
                address.is_loopback()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_has_a_name_a_target_and_where_it_is_called() {
        let read = |text: &str| Named::read("--primary", text, Path::new("nowhere/tandem.yaml"));
        for text in [
            "rust=exec:\"./svc --port {port}\"",
            "rust=exec:./svc --mail a@b --port {port}",
            "go=pid:1@127.0.0.1:50052",
            "go=port:50052",
            "go=unit:shop@1@10.0.0.7:80",
            "go=agent:10.0.0.7:9190@10.0.0.7:80",
            "go=agent:[::1]:9190@10.0.0.7:80",
        ] {
            assert!(read(text).is_ok(), "{text}: {:?}", read(text).err());
        }
        for text in ["go", "Go=pid:1@127.0.0.1:1", "go=pid:1", "go=pid:x@127.0.0.1:1", "go=cpu:1"] {
            assert!(read(text).is_err(), "{text}");
        }
        let failure = read("go=agent:h:1").unwrap_err().text();
        assert!(failure.contains("`@HOST:PORT` is missing"), "{failure}");
        let Way::Started { address, .. } = read("a=exec:./svc@127.0.0.1:{port}").unwrap().way
        else {
            panic!("it is started")
        };
        assert_eq!(address, "127.0.0.1:{port}");
    }

    #[test]
    fn a_side_is_told_where_it_tells_of_itself() {
        let mut sides = ["a=exec:./svc --admin {port:x}", "b=port:1"]
            .map(|text| Named::read("--primary", text, Path::new("tandem.yaml")).unwrap());
        for (text, told, remote) in [
            ("a=127.0.0.1:{port:x}", true, false),
            ("b=10.0.0.7:81", true, false),
            ("b=192.0.2.1:81", true, true),
            ("c=127.0.0.1:81", false, false),
            ("a=nowhere", false, false),
            ("a", false, false),
        ] {
            assert_eq!(Named::told_by(&mut sides, text).is_ok(), told, "{text}");
            assert_eq!(sides.iter().any(Named::is_remote), remote, "{text}");
            sides[1].runtime = None;
        }
        assert_eq!(sides[0].runtime.as_deref(), Some("127.0.0.1:{port:x}"));
    }

    #[test]
    fn compare_c_3_what_is_far_away_is_known_as_such() {
        for (agent, remote) in
            [("127.0.0.1", false), ("[fd00::1]", false), ("8.8.8.8", true), ("a.b", true)]
        {
            let text = format!("a=agent:{agent}:9190@127.0.0.1:1");
            let named = Named::read("--primary", &text, Path::new("tandem.yaml")).unwrap();
            assert_eq!(named.is_remote(), remote, "{agent}");
        }
        for (address, remote) in [
            ("127.0.0.1:1", false),
            ("10.1.2.3:1", false),
            ("192.168.0.1:1", false),
            ("[::1]:1", false),
            ("[fd00::1]:1", false),
            ("8.8.8.8:1", true),
            ("172.32.0.1:1", true),
            ("[2001:db8::1]:1", true),
            ("example.com:1", true),
            ("localhost:1", false),
        ] {
            let text = format!("a=pid:1@{address}");
            let named = Named::read("--primary", &text, Path::new("tandem.yaml")).unwrap();
            assert_eq!(named.is_remote(), remote, "{address}");
        }
    }
}
