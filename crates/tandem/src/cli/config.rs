//! `tandem config show` and `config schema`: what holds, where it comes from, what may be written.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tandem_config::shown::{Shown, Written};
use tandem_config::{Severity, schema, shown};

use super::check::show as show_problems;
use crate::documents::{Documents, problems_of};
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Subcommand)]
pub(super) enum Configs {
    /// Shows every value that holds, written or not.
    Show(ShowArguments),
    /// Prints the JSON Schema of a kind of file, for editors.
    Schema {
        /// `tandem` for tandem.yaml, `namespace` for the files of teams.
        #[arg(value_enum)]
        of: Kind,
    },
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The platform's file; the teams' files are in `teams` beside it.
    #[arg(long, value_name = "FILE", default_value = "tandem.yaml", env = "TANDEM_CONFIG")]
    config: PathBuf,
    /// Name the source of each value: file and line, or the default.
    #[arg(long)]
    origin: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    Tandem,
    Namespace,
}

pub(super) fn config(configs: &Configs, form: Form) -> Result<Exit, Failure> {
    match configs {
        Configs::Schema { of: Kind::Tandem } => output::data(schema::TANDEM),
        Configs::Schema { of: Kind::Namespace } => output::data(schema::NAMESPACE),
        Configs::Show(arguments) => return Ok(show(arguments, form)),
    }
    Ok(Exit::Fine)
}

fn show(arguments: &ShowArguments, form: Form) -> Exit {
    let (problems, loaded) = problems_of(&Documents::Files(arguments.config.clone()));
    let Some((loaded, _)) = loaded else {
        show_problems(&problems, form, "nothing can be shown");
        return Exit::Failed;
    };
    let rows = shown(&loaded);
    let settings = settings(arguments);
    match form {
        Form::Json => {
            rows.iter().for_each(|row| output::data(&object(row).to_string()));
            settings.iter().for_each(|setting| output::data(&setting.object().to_string()));
        }
        Form::Text => {
            let mut lines: Vec<[String; 3]> =
                rows.iter().map(|row| line(row, arguments.origin)).collect();
            lines.extend(settings.iter().map(|setting| setting.line(arguments.origin)));
            output::data(&super::table(&lines));
            // They hold as far as they can be read; that they do not pass is worth a word.
            let failed = problems.iter().filter(|it| it.severity == Severity::Error).count();
            if failed > 0 {
                output::talk(&format!("{failed} problems: `tandem check` names them"));
            }
        }
    }
    Exit::Fine
}

/// What no file says: a flag of commands, its variable, and what holds without either.
const SETTINGS: [(&str, &str, &str); 5] = [
    ("--config", "TANDEM_CONFIG", "tandem.yaml"),
    ("--data", "TANDEM_DATA", "data"),
    ("--admin", "TANDEM_ADMIN", "127.0.0.1:9080"),
    ("--token-file", "TANDEM_TOKEN_FILE", "data/admin.token"),
    ("--server", "TANDEM_SERVER", "127.0.0.1:8080"),
];

/// A value that commands are given, and by whom.
struct Setting {
    flag: &'static str,
    value: String,
    from: &'static str,
}

/// A flag wins over its variable, and that over the default (experience UX-10). Only `--config` is
/// a flag of this command; the others are shown as they hold where nobody gives them.
fn settings(arguments: &ShowArguments) -> Vec<Setting> {
    let setting = |(flag, variable, default): (_, &'static str, &str)| {
        let written = std::env::var(variable).ok().filter(|value| !value.is_empty());
        let (value, from) = match written {
            Some(value) => (value, variable),
            None => (default.to_owned(), "default"),
        };
        let given = arguments.config.display().to_string();
        match flag == "--config" && given != value {
            true => Setting { flag, value: given, from: "flag" },
            false => Setting { flag, value, from },
        }
    };
    SETTINGS.into_iter().map(setting).collect()
}

impl Setting {
    fn line(&self, origin: bool) -> [String; 3] {
        let from = if origin { self.from.to_owned() } else { String::new() };
        [self.flag.to_owned(), self.value.clone(), from]
    }

    fn object(&self) -> Value {
        let origin = match self.from {
            "flag" | "default" => json!({ "from": self.from }),
            variable => json!({ "from": "environment", "name": variable }),
        };
        json!({ "path": self.flag, "value": self.value, "origin": origin })
    }
}

fn line(row: &Shown, origin: bool) -> [String; 3] {
    let Shown { path, value, origin: written } = row;
    let source = match (origin, written) {
        (false, _) => String::new(),
        (true, None) => "default".to_owned(),
        (true, Some(Written { file, line, key: None })) => format!("{file}:{line}"),
        (true, Some(Written { file, line, key: Some(key) })) => format!("{file}:{line} ({key})"),
    };
    [path.clone(), value.clone(), source]
}

fn object(row: &Shown) -> Value {
    let Shown { path, value, origin } = row;
    let origin = match origin {
        None => json!({ "from": "default" }),
        Some(Written { file, line, key }) => {
            json!({ "from": "file", "file": file, "line": line, "key": key })
        }
    };
    json!({ "path": path, "value": value, "origin": origin })
}
