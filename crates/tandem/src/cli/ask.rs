//! Asks before what is hard to take back, on a terminal only; elsewhere `--yes` says it
//! (experience UX-14).

use std::io::{BufRead as _, IsTerminal as _};

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(super) struct Confirm {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// # Errors
/// Exit 2 where there is nobody to ask, or the answer is no.
pub(super) fn confirmed(confirm: &Confirm, what: &str) -> Result<(), Failure> {
    if confirm.yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::new(Exit::Usage, format!("nobody is there to be asked: {what}?"))
            .fix("say it with `--yes`"));
    }
    output::talk(&format!("{what}? [y/N] "));
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::new(Exit::Usage, "nothing was changed")),
    }
}
