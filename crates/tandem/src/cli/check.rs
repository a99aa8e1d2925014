//! `tandem check`: the files, offline.

use std::path::PathBuf;

use clap::Args;
use tandem_config::{Paint, Problem, Severity};

use crate::documents::{Documents, problems_of};
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
    let (problems, loaded) = problems_of(&Documents::Files(arguments.config.clone()));
    let failed =
        problems.iter().any(|problem| arguments.strict || problem.severity == Severity::Error);
    show(&problems, form, "nothing was changed");
    if !failed && form == Form::Text {
        let namespaces = loaded.map_or(0, |(loaded, _)| loaded.namespaces.len());
        output::talk(&format!("{namespaces} namespaces, no errors"));
    }
    Ok(if failed { Exit::Failed } else { Exit::Fine })
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
