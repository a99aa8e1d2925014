//! `tandem help TOPIC|TNDxxxx`, and what `tandem` alone says.

use clap::{Args, CommandFactory as _};
use serde_json::json;
use tandem_config::{Tnd, help_page};

use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A command, `exit-codes`, `codes`, or a code such as TND0101.
    topic: Vec<String>,
}

/// The commands of a first day (experience UX-8).
pub(super) const FIRST_DAY: &str = "\
tandem runs the Rust and the Go services of one backend behind one contract.

  tandem init --from NAME=ADDR…   asks your services, writes the files to run them by
  tandem run                      serves them: REST and gRPC on one port
  tandem ls                       what is served, a line a method
  tandem call METHOD -d JSON      calls a method; `--to both` compares two services
  tandem check                    every fault in the files, at its place
  tandem status                   what a running gateway does

Examples:
  tandem init --from rust=127.0.0.1:50051 --from go=127.0.0.1:50052 && tandem run
  tandem run --upstream go=127.0.0.1:50051

All commands: tandem --help    A code: tandem help TND0101    Exit codes: tandem help exit-codes
";

const EXIT_CODES: &str = "\
0    fine
1    failed, for example faults found by `check`
2    wrong command line, or no such method, namespace or version
3    a difference was found: by `call --to both`, by `diff`, by `contract diff` one that breaks
     callers; by `compare` and `verdict` between answers; by `apply` and `settings set` a newer
     version than the one that was read
4    a version was taken back (`apply --watch`); of `compare`, a must-have failed, or a row is worse
     than in the baseline
5    not enough evidence: of `compare` within its budget, of `verdict` yet
6    a gateway or a service cannot be reached
7    refused: no right, no credential
8    a measurement that cannot be believed (`compare`, `verdict`), for example because the machine
     was too busy
130  interrupted

A gateway (`tandem run`) ends with 0, 1, 2 or 130 only.
";

pub(super) fn help(arguments: &Arguments, form: Form) -> Result<Exit, Failure> {
    let mut all = super::CommandLine::command();
    all.build();
    let words: Vec<&str> = arguments.topic.iter().map(String::as_str).collect();
    let text = match words[..] {
        [] => all.render_long_help().to_string(),
        ["exit-codes"] => EXIT_CODES.to_owned(),
        ["codes"] => codes(),
        [topic] if Tnd::named(topic).is_some() => {
            let code = Tnd::named(topic).unwrap_or_else(|| unreachable!("it was found above"));
            if form == Form::Json {
                let page = help_page(code);
                let object = json!({ "code": code.name(), "title": code.title(), "page": page });
                output::data(&object.to_string());
                return Ok(Exit::Fine);
            }
            help_page(code).to_owned()
        }
        _ => {
            let mut found = Some(&mut all);
            for word in &words {
                found = found.and_then(|command| command.find_subcommand_mut(word));
            }
            let Some(command) = found else { return Err(unknown(&words.join(" "))) };
            command.render_long_help().to_string()
        }
    };
    output::data(&text);
    Ok(Exit::Fine)
}

fn unknown(topic: &str) -> Failure {
    let all = super::CommandLine::command();
    let commands: Vec<&str> =
        all.get_subcommands().filter(|it| !it.is_hide_set()).map(clap::Command::get_name).collect();
    let codes: Vec<&str> = Tnd::ALL.iter().map(|code| code.name()).collect();
    let upper = topic.to_ascii_uppercase();
    let topics = commands.iter().copied().chain(["exit-codes", "codes"]);
    let near = tandem_config::nearest(topic, topics)
        .or_else(|| tandem_config::nearest(&upper, codes.iter().copied()));
    let fix = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name a command, `exit-codes`, `codes`, or a code such as TND0101".to_owned(),
    };
    Failure::new(Exit::Usage, format!("there is no help on `{topic}`")).fix(fix)
}

/// A line a code.
fn codes() -> String {
    Tnd::ALL.iter().map(|code| format!("{}  {}\n", code.name(), code.title())).collect()
}
