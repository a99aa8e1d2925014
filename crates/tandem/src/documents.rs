//! The documents of a gateway with all their faults, before anything is done by them.
//!
//! Not here: showing the faults (`cli::check`), serving (`cli::run`, `reload`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_config::load::from_texts;
use tandem_config::{Loaded, Problem, Severity, Tnd};
use tandem_contract::Contract;

use crate::compile::compile;
use crate::failure::{Exit, Failure};

/// The contracts that came by file, by namespace.
pub(crate) type Contracts = BTreeMap<String, Arc<Contract>>;

/// Where documents come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Documents {
    /// `tandem.yaml` and `teams` beside it.
    Files(PathBuf),
    /// No file; the teams' by the names that their files would have.
    Texts { platform: String, teams: Vec<(String, String)> },
}

impl Documents {
    /// # Errors
    /// Every fault of the documents themselves.
    pub(crate) fn load(&self) -> Result<Loaded, Vec<Problem>> {
        match self {
            Documents::Files(config) => tandem_config::load(config),
            Documents::Texts { platform, teams } => {
                let teams: Vec<(&str, &str)> =
                    teams.iter().map(|(name, text)| (&**name, &**text)).collect();
                from_texts(platform, &teams)
            }
        }
    }
}

/// Reads and checks everything that can be without asking anybody.
pub(crate) fn problems_of(documents: &Documents) -> (Vec<Problem>, Option<(Loaded, Contracts)>) {
    let loaded = match documents.load() {
        Ok(loaded) => loaded,
        Err(problems) => return (problems, None),
    };
    let mut problems = Vec::new();
    let mut contracts = Contracts::new();
    for (namespace, _) in &loaded.namespaces {
        let name = &namespace.namespace;
        match tandem_config::contract_of(&loaded, name, &compile) {
            None => {} // comes by reflection
            Some(Ok(contract)) => {
                contracts.insert(name.clone(), Arc::new(contract));
            }
            Some(Err(found)) => problems.extend(found),
        }
    }
    problems.extend(tandem_config::check(&loaded, &contracts));
    if loaded.platform.observe.traces.is_some() && !cfg!(feature = "otlp") {
        let fix = "take it out, or build with it: \
                   `cargo build --release -p tandem --features otlp`";
        problems.push(loaded.not_built_in(&["observe", "traces"], fix));
    }
    (problems, Some((loaded, contracts)))
}

/// Where a store holds the platform's document, its grants count and not those of `tandem.yaml`, and
/// what is live has what two files claim: both are told, and a file is held against the store's
/// grants and claims before anything of it is served.
pub(crate) fn settled_by_store(problems: &mut [Problem]) {
    for problem in problems {
        problem.why = match problem.code {
            Tnd::OutsideGrant => {
                "the grants that the store holds count; `tandem ns create` adds to them"
            }
            Tnd::ClaimedByAnother => {
                "what is live in the store keeps it; the file of the other is not served"
            }
            _ => continue,
        }
        .into();
        problem.severity = Severity::Warning;
    }
}

/// The descriptor set that a team's file names, compiled where it names .proto files; `None` where
/// its contract comes by reflection.
///
/// # Errors
/// A file that cannot be read, or a contract that cannot be used.
pub(crate) fn contract_of_file(file: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let wrong = |problems: Vec<Problem>| {
        let text =
            tandem_config::render(&problems, tandem_config::Paint::Plain, "nothing was sent");
        Failure::new(Exit::Failed, format!("{} cannot be used", file.display())).because(text)
    };
    let loaded = tandem_config::load::load_team(file).map_err(wrong)?;
    let name = loaded.namespaces.first().map(|(document, _)| document.namespace.clone());
    let contract = name.and_then(|name| tandem_config::contract_of(&loaded, &name, &compile));
    let contract = contract.transpose().map_err(wrong)?;
    Ok(contract.map(|contract| contract.descriptor_set()))
}

/// As [`problems_of`], with all contracts at hand.
pub(crate) fn problems_beside(documents: &Documents, contracts: &Contracts) -> Vec<Problem> {
    match documents.load() {
        Ok(loaded) => tandem_config::check(&loaded, contracts),
        Err(problems) => problems,
    }
}
