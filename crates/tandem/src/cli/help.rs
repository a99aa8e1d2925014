//! `tandem help TOPIC|TNDxxxx`.

use clap::{Args, CommandFactory as _};
use tandem_config::{Tnd, help_page};

use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A command, `exit-codes`, or a code such as TND0101.
    topic: Option<String>,
}

const EXIT_CODES: &str = "\
0    fine
1    failed, for example faults found by `check`
2    wrong command line
3    a difference was found, for example one that breaks callers
6    a gateway or a service cannot be reached
7    refused: no right, no credential
130  interrupted
";

pub(super) fn help(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut all = super::CommandLine::command();
    let text = match arguments.topic.as_deref() {
        None => all.render_help().to_string(),
        Some("exit-codes") => EXIT_CODES.to_owned(),
        Some(topic) => {
            if let Some(code) = Tnd::named(&topic.to_ascii_uppercase()) {
                help_page(code).to_owned()
            } else if let Some(command) = all.find_subcommand_mut(topic) {
                command.render_long_help().to_string()
            } else {
                return Err(Failure::new(Exit::Usage, format!("there is no help on `{topic}`"))
                    .fix("name a command, `exit-codes`, or a code such as TND0101"));
            }
        }
    };
    output::data(&text);
    Ok(Exit::Fine)
}
