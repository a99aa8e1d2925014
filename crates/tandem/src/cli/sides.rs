//! The upstreams behind a method, called past the gateway.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tandem_config::document::ContractSource;
use tandem_config::{Namespace, Severity, Tnd};
use tandem_contract::Contract;
use tandem_gateway::upstream::Upstream;

use super::call::{find, no_method};
use super::target::contract_of;
use crate::discover::{self, Reflection, Trust, WITHOUT_REFLECTION};
use crate::documents::{Documents, problems_of};
use crate::failure::{Exit, Failure};

/// Upstreams of one contract, in order.
pub(super) struct Sides {
    pub(super) contract: Arc<Contract>,
    upstreams: Vec<(String, Upstream)>,
}

impl Sides {
    /// Those that were named on the command line.
    pub(super) async fn named(
        texts: &[String],
        trust: &Trust,
        timeout: Duration,
    ) -> Result<Sides, Failure> {
        let first = |mut failures: Vec<Failure>| failures.swap_remove(0);
        let named = discover::named("--upstream", texts).map_err(first)?;
        let found = discover::discover("--upstream", named, trust, Reflection::Ask, timeout)
            .await
            .map_err(first)?;
        let contract = found.iter().find_map(|one| one.promise.as_ref()).ok_or_else(|| {
            Failure::new(Exit::Failed, "nobody says what is served")
                .coded(Tnd::NoReflection)
                .fix(WITHOUT_REFLECTION)
        })?;
        let contract = Arc::clone(&contract.contract);
        let upstreams = found.into_iter().map(|one| (one.name, one.upstream)).collect();
        Ok(Sides { contract, upstreams })
    }

    /// Those of the namespace that serves the method.
    pub(super) async fn of_files(
        config: &Path,
        method: &str,
        timeout: Duration,
    ) -> Result<Sides, Failure> {
        let (problems, loaded) = problems_of(&Documents::Files(config.to_owned()));
        let faulty = problems.iter().find(|problem| problem.severity == Severity::Error);
        let Some((loaded, contracts)) = loaded.filter(|_| faulty.is_none()) else {
            let what = format!("{} and the teams' files cannot be used", config.display());
            return Err(Failure::new(Exit::Failed, what)
                .coded(faulty.map_or(Tnd::FileUnreadable, |problem| problem.code))
                .because(faulty.map(|problem| problem.what.clone()).unwrap_or_default())
                .fix(
                    "`tandem check` names every fault; or name them here: `--upstream NAME=ADDR`",
                ));
        };
        let mut known: Vec<String> = Vec::new();
        let mut ambiguous = None;
        for (namespace, _) in &loaded.namespaces {
            let contract = match contracts.get(&namespace.namespace) {
                Some(contract) => Arc::clone(contract),
                None => Arc::new(reflected(namespace, timeout).await?),
            };
            let services = namespace.services();
            match find(&contract, method) {
                Ok(found) if services.contains(&*found.service) => {
                    let upstreams = namespace
                        .upstreams
                        .iter()
                        .map(|(name, document)| {
                            (name.clone(), Upstream::of_document(name, document))
                        })
                        .collect();
                    return Ok(Sides { contract, upstreams });
                }
                Ok(_) => {}
                Err(failure) if failure.code.is_none() => ambiguous = Some(failure),
                Err(_unknown) => {}
            }
            let served = contract.methods().map(|(_, method)| method);
            let served = served.filter(|method| services.contains(&*method.service));
            known.extend(served.map(|method| method.full_name().to_owned()));
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        Err(ambiguous.unwrap_or_else(|| no_method(method, &known)))
    }

    /// One by its name, or both of two.
    pub(super) fn chosen(&self, to: &str) -> Result<Vec<(&str, &Upstream)>, Failure> {
        let names = || self.upstreams.iter().map(|(name, _)| name.as_str());
        let all: Vec<&str> = names().collect();
        let failure = |what: String| Failure::new(Exit::Usage, what).coded(Tnd::UnknownUpstream);
        if to == "both" {
            return match &self.upstreams[..] {
                [first, second] => Ok(vec![(&first.0, &first.1), (&second.0, &second.1)]),
                _ => Err(failure(format!("there are {} upstreams, not two", all.len()))
                    .because(format!("they are {}", all.join(", ")))
                    .fix("name one with `--to NAME`, or two of them with `--upstream NAME=ADDR`")),
            };
        }
        let found = self.upstreams.iter().find(|(name, _)| name == to);
        found.map(|(name, upstream)| vec![(name.as_str(), upstream)]).ok_or_else(|| {
            failure(format!("there is no upstream `{to}`")).fix(
                match tandem_config::nearest(to, names()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("name one of: {}, or `both`", all.join(", ")),
                },
            )
        })
    }
}

async fn reflected(namespace: &Namespace, timeout: Duration) -> Result<Contract, Failure> {
    let name = match &namespace.contract {
        ContractSource::Reflection(name) => name.as_str(),
        ContractSource::Descriptors(_) | ContractSource::Protos(_) => "",
    };
    let Some(document) = namespace.upstreams.get(name) else {
        return Err(Failure::new(Exit::Failed, format!("there is no upstream `{name}`"))
            .coded(Tnd::UnknownUpstream));
    };
    let mut upstream = Upstream::of_document(name, document);
    upstream.connect = upstream.connect.min(timeout);
    contract_of(&upstream, &format!("upstream `{name}` of `{}`", namespace.namespace)).await
}
