//! `upstreams.NAME.cost` and the platform's `may.cost`: what the gateway may look at.

use tandem_measure::probe::Target;

use super::{At, Reading};
use crate::document::CostPattern;
use crate::document::units::UnitFault;
use crate::problem::{Problem, Tnd};
use crate::source::{Value, cut};

/// Targets of one upstream, as many as it may have addresses.
pub(super) const TARGETS_MAX: usize = super::namespace::ADDRESSES_MAX;

const EXAMPLE: &str = "write `cgroup:PATH`, `unit:NAME`, `docker:ID`, `k8s-pod:UID`, `port:N` or \
                       `pid:N`";

/// One target, or a list of one for each instance.
pub(super) fn targets(reading: &mut Reading, at: &At<'_>) -> Vec<Target> {
    match &at.node.value {
        Value::List(items) if items.len() > TARGETS_MAX => {
            let problem = Problem::error(Tnd::OverLimit, "an upstream has too many targets")
                .here(format!("{} are written, {TARGETS_MAX} are allowed", items.len()))
                .fix("name a cgroup that holds the instances");
            reading.problem(at, problem);
            Vec::new()
        }
        Value::List(_) => reading.list(at, target),
        _ => target(reading, at).into_iter().collect(),
    }
}

fn target(reading: &mut Reading, at: &At<'_>) -> Option<Target> {
    let target = reading.parsed(at, parse)?;
    let problem = match &target {
        Target::Agent { .. } => {
            Problem::error(Tnd::NotBuiltIn, "reading through an agent is not built in")
                .here("`agent:` is part of the format and not of this build")
                .why("a gateway reads its own machine; `agent:` is for `tandem compare`")
                .fix("run a gateway on the machine of the service, or leave `cost` out")
        }
        Target::Exec(_) => {
            let what = format!("`{}` is a command", cut(&target.to_string()));
            Problem::error(Tnd::WrongType, what)
                .here("the gateway starts no services")
                .why("`exec:` is for `tandem compare`, which starts what it measures")
                .fix(EXAMPLE)
        }
        Target::Pid(_)
        | Target::Cgroup(_)
        | Target::Unit(_)
        | Target::Docker(_)
        | Target::KubernetesPod(_)
        | Target::Port(_) => return Some(target),
    };
    reading.problem(at, problem);
    None
}

fn parse(text: &str) -> Result<Target, UnitFault> {
    text.parse().map_err(|error: tandem_measure::probe::TargetError| UnitFault {
        wrong: error.what.to_owned(),
        right: EXAMPLE.to_owned(),
    })
}

/// A target, or the beginning of some, of a kind that is written out.
pub(super) fn parse_pattern(text: &str) -> Result<CostPattern, UnitFault> {
    const KINDS: [&str; 6] = ["pid:", "cgroup:", "unit:", "docker:", "k8s-pod:", "port:"];
    let Some(beginning) = text.strip_suffix('*') else {
        return parse(text).map(CostPattern::Exact);
    };
    match KINDS.iter().any(|kind| beginning.starts_with(kind)) && !beginning.contains('*') {
        true => Ok(CostPattern::Begins(beginning.to_owned())),
        false => Err(UnitFault {
            wrong: "a pattern has its kind written out and one `*`, last".to_owned(),
            right: "write for example `cgroup:/shop.slice/*` or `unit:shop-*`".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_is_written_or_begins_as_it_does() {
        for (pattern, target, covered) in [
            ("unit:shop", "unit:shop.service", true),
            ("unit:shop.service", "unit:shop", true),
            ("unit:shop", "unit:shop2", false),
            ("cgroup:/shop.slice/*", "cgroup:/shop.slice/go", true),
            ("cgroup:/shop.slice/*", "cgroup:/shop.slice", false),
            ("cgroup:/shop.slice/*", "cgroup:/shop.slice2/go", false),
            ("port:*", "port:50051", true),
            ("port:50051", "port:50052", false),
            ("port:*", "pid:50051", false),
        ] {
            let pattern = parse_pattern(pattern).unwrap();
            assert_eq!(pattern.covers(&target.parse().unwrap()), covered, "{pattern:?} {target}");
        }
    }

    #[test]
    fn a_grant_of_everything_cannot_be_written() {
        for text in ["*", "p*", "exec:*", "agent:*", "cgroup:/a*b*", "cgroup:/../*x", "shop", ""] {
            assert!(parse_pattern(text).is_err(), "{text}");
        }
    }
}
