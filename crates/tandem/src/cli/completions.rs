//! `tandem completions SHELL`: a script by which the shell completes commands and flags.
//!
//! It is made from the same definition as the help, so it knows every command and no other.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let mut all = super::CommandLine::command();
    clap_complete::generate(arguments.shell, &mut all, "tandem", &mut script);
    output::data(&String::from_utf8_lossy(&script));
    Ok(Exit::Fine)
}
