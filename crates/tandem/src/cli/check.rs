//! `tandem check`: the files, offline.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tandem_config::{Loaded, Paint, Problem, Severity};
use tandem_contract::Contract;

use crate::compile::compile;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The platform's file; the teams' files are in `teams` beside it.
    #[arg(default_value = "tandem.yaml")]
    config: PathBuf,
    /// Warnings fail too.
    #[arg(long)]
    strict: bool,
}

pub(super) fn check(arguments: &Arguments, form: Form) -> Result<Exit, Failure> {
    let (problems, loaded) = problems_of(&arguments.config);
    let failed =
        problems.iter().any(|problem| arguments.strict || problem.severity == Severity::Error);
    show(&problems, form, "nothing was changed");
    if !failed && form == Form::Text {
        let namespaces = loaded.map_or(0, |(loaded, _)| loaded.namespaces.len());
        output::talk(&format!("{namespaces} namespaces, no errors"));
    }
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}

/// The contracts that came by file, by namespace.
pub(super) type Contracts = BTreeMap<String, Arc<Contract>>;

/// Reads and checks everything that can be without asking anybody.
pub(super) fn problems_of(config: &std::path::Path) -> (Vec<Problem>, Option<(Loaded, Contracts)>) {
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
    (problems, Some((loaded, contracts)))
}

/// Shows problems as people or machines want them.
pub(super) fn show(problems: &[Problem], form: Form, outcome: &str) {
    match form {
        Form::Text if problems.is_empty() => {}
        Form::Text => output::talk(&tandem_config::render(problems, Paint::Colour, outcome)),
        Form::Json => {
            for problem in problems {
                output::data(&problem.to_json());
            }
        }
    }
}
