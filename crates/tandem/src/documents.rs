//! The files of a gateway with all their faults, before anything is done by them.
//!
//! Not here: showing the faults (`cli::check`), serving (`cli::run`, `reload`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tandem_config::{Loaded, Problem};
use tandem_contract::Contract;

use crate::compile::compile;

/// The contracts that came by file, by namespace.
pub(crate) type Contracts = BTreeMap<String, Arc<Contract>>;

/// Reads and checks everything that can be without asking anybody.
pub(crate) fn problems_of(config: &Path) -> (Vec<Problem>, Option<(Loaded, Contracts)>) {
    let loaded = match tandem_config::load(config) {
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
