//! `tandem store`: the store of a gateway that is not running, dumped, filled, checked.
//!
//! A running gateway holds its store alone, so these work on the folder when it has stopped.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tandem_config::Tnd;
use tandem_config::store::{self, Embedded, StoreFault};

use super::ask::{Confirm, confirmed};
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Place {
    /// The folder of the store: `store.embedded` of tandem.yaml.
    folder: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(super) enum Stores {
    /// Writes everything to a file, a line an entry; secrets stay sealed.
    Dump {
        #[command(flatten)]
        place: Place,
        /// Where to; stdout without it.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Fills an empty store from a dump.
    Restore {
        #[command(flatten)]
        place: Place,
        /// The dump.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Reads everything and holds it against itself.
    Check {
        #[command(flatten)]
        place: Place,
    },
}

fn open(place: &Place) -> Result<Embedded, Failure> {
    Embedded::open(&place.folder).map_err(|fault| failed(place, &fault))
}

fn failed(place: &Place, fault: &StoreFault) -> Failure {
    let failure = Failure::new(Exit::Failed, "the store cannot be used")
        .coded(fault.code())
        .because(format!("{}: {fault}", place.folder.display()));
    match fault {
        StoreFault::InUse => failure.fix("stop the gateway first"),
        _ => failure.fix("name the folder that tandem.yaml names, as a user who may write it"),
    }
}

fn file(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "the file cannot be used")
        .coded(Tnd::FileUnreadable)
        .because(format!("{}: {error}", path.display()))
}

pub(super) fn store(command: Stores, form: Form) -> Result<Exit, Failure> {
    match command {
        Stores::Dump { place, to } => dump(&place, to.as_deref(), form),
        Stores::Restore { place, from, confirm } => {
            let what = format!("fill {} from {}", place.folder.display(), from.display());
            confirmed(&confirm, &what)?;
            let text = std::fs::read_to_string(&from).map_err(|error| file(&from, &error))?;
            let into = open(&place)?;
            let restored = store::restore(&into, &text);
            let revision = restored.map_err(|fault| {
                Failure::new(Exit::Failed, "the store was not filled")
                    .because(fault.to_string())
                    .fix("take a folder without a store, and a dump that is whole")
            })?;
            said(form, &format!("filled, revision {revision}"));
            Ok(Exit::Fine)
        }
        Stores::Check { place } => {
            if !place.folder.exists() {
                let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
                return Err(file(&place.folder, &missing).fix("name the folder of a store"));
            }
            let found = store::check(&open(&place)?).map_err(|fault| failed(&place, &fault))?;
            for finding in &found {
                match form {
                    Form::Json => output::data(
                        &json!({ "key": finding.key.to_string(), "what": finding.what })
                            .to_string(),
                    ),
                    Form::Text => output::data(&finding.to_string()),
                }
            }
            if found.is_empty() {
                said(form, "everything holds together");
            }
            Ok(if found.is_empty() { Exit::Fine } else { Exit::Failed })
        }
    }
}

fn dump(place: &Place, to: Option<&std::path::Path>, form: Form) -> Result<Exit, Failure> {
    if !place.folder.exists() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(file(&place.folder, &missing).fix("name the folder of a store"));
    }
    let from = open(place)?;
    let text = store::dump(&from).map_err(|fault| failed(place, &fault))?;
    match to {
        None => output::data(&text),
        Some(path) => {
            let written =
                std::fs::OpenOptions::new().write(true).create_new(true).open(path).and_then(
                    |mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()),
                );
            written.map_err(|error| {
                Failure::new(Exit::Failed, "the dump was not written")
                    .coded(Tnd::NotWritten)
                    .because(format!("{}: {error}", path.display()))
                    .fix("name a file that is not there yet, on a disk with room")
            })?;
            said(form, &format!("{} bytes in {}", text.len(), path.display()));
        }
    }
    Ok(Exit::Fine)
}

fn said(form: Form, what: &str) {
    match form {
        Form::Json => output::data(&json!({ "done": what }).to_string()),
        Form::Text => output::data(what),
    }
}
