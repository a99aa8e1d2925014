//! `tandem audit`: who did what, and whether nobody cut it.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::AdminArguments;
use super::change::checked;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Of {
    /// The namespace; what was done to the platform without it.
    namespace: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Lists the newest entries.
    List {
        #[command(flatten)]
        of: Of,
        /// How many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
        most: u64,
    },
    /// Holds the chain against itself, and against a head that was noted elsewhere.
    Verify {
        #[command(flatten)]
        of: Of,
        /// The head that an earlier run printed.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
}

fn at(of: &Of) -> Result<String, Failure> {
    Ok(match &of.namespace {
        None => "/api/v1/audit".to_owned(),
        Some(name) => format!("/api/v1/namespaces/{}/audit", checked(name)?),
    })
}

pub(super) async fn audit(command: Audit, form: Form, timeout: Duration) -> Result<Exit, Failure> {
    match command {
        Audit::List { of, most } => {
            let path = format!("{}?most={most}", at(&of)?);
            let told = of.admin.client(timeout)?.get(&path).await?;
            for entry in told["entries"].as_array().into_iter().flatten().rev() {
                match form {
                    Form::Json => output::data(&entry.to_string()),
                    Form::Text => output::data(&line(entry)),
                }
            }
            Ok(Exit::Fine)
        }
        Audit::Verify { of, head } => {
            let query = match &head {
                None => String::new(),
                Some(head) if head.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    format!("?head={head}")
                }
                Some(_) => {
                    return Err(Failure::new(Exit::Usage, "this is no head of a log")
                        .at("--head")
                        .fix("give the 64 hex digits that `tandem audit verify` printed"));
                }
            };
            let path = format!("{}/verify{query}", at(&of)?);
            let told = of.admin.client(timeout)?.get(&path).await?;
            let whole = told["whole"] == true;
            match form {
                Form::Json => output::data(&told.to_string()),
                Form::Text if whole => {
                    let head = told["head"].as_str().unwrap_or_default();
                    output::data(&format!("{} entries hold\nhead {head}", told["entries"]));
                }
                Form::Text => {
                    for fault in told["faults"].as_array().into_iter().flatten() {
                        output::data(fault["what"].as_str().unwrap_or_default());
                    }
                }
            }
            Ok(if whole { Exit::Fine } else { Exit::Failed })
        }
    }
}

fn line(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().escape_debug().to_string();
    let when = text("when");
    let when = when.get(..19).unwrap_or(&when).replace('T', " ");
    let outcome = match entry["outcome"]["refused"].as_str() {
        Some(why) => format!("  REFUSED: {}", why.escape_debug()),
        None => String::new(),
    };
    let why = match text("why").as_str() {
        "" => String::new(),
        why => format!("  \"{why}\""),
    };
    format!(
        "{:>5} {when}  {:<22} {} ({}) by {}{why}{outcome}",
        entry["number"].to_string(),
        text("who"),
        text("action"),
        text("object"),
        text("source"),
    )
}
