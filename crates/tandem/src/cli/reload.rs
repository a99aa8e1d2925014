//! `tandem reload`.

use std::time::Duration;

use clap::Args;

use super::AdminArguments;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) async fn reload(
    arguments: Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let told = arguments.admin.client(timeout)?.post("/api/v1/reload").await?;
    let taken = told["taken"].as_bool() == Some(true);
    let exit = if taken { Exit::Fine } else { Exit::Failed };
    if form == Form::Json {
        output::data(&told.to_string());
        return Ok(exit);
    }
    if let Some(problems) = told["problems"].as_str().filter(|problems| !problems.is_empty()) {
        output::talk(problems);
    }
    if taken {
        output::data(&format!("reloaded, {} namespaces", told["namespaces"]));
    }
    let waiting: Vec<&str> = told["needs_restart"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|key| key.as_str())
        .collect();
    if !waiting.is_empty() {
        output::talk(&format!(
            "`{}` of tandem.yaml changes with a restart only",
            waiting.join("`, `")
        ));
    }
    Ok(exit)
}
