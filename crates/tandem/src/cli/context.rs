//! `tandem context`: which gateway commands ask, where nobody says so (experience UX-10).
//!
//! One JSON file below the user's configuration. It names files of tokens and holds none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tandem_config::Tnd;
use tandem_config::store::ThingName;

use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Subcommand)]
pub(super) enum Contexts {
    /// Lists the contexts; `*` is in use.
    List,
    /// Adds a context, or puts it in the place of another of its name.
    Add {
        /// What it is called.
        name: String,
        /// The admin listener.
        #[arg(long, value_name = "ADDR")]
        admin: Option<SocketAddr>,
        /// The file of its token.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Uses a context from now on; `-` goes back to the one before.
    Use {
        /// Its name, or `-`.
        name: String,
    },
    /// Takes a context away.
    Remove {
        /// Its name.
        name: String,
    },
}

/// Where a gateway is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Context {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) admin: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

/// `$XDG_CONFIG_HOME/tandem/contexts.json`, below `~/.config` without it.
fn file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join("tandem/contexts.json"))
}

fn unusable(file: &std::path::Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, "the file of contexts cannot be used")
        .coded(Tnd::FileUnreadable)
        .because(format!("{}: {why}", file.display()))
        .fix("mend it, or remove it and add the contexts anew")
}

fn read() -> Result<Kept, Failure> {
    let Some(file) = file() else { return Ok(Kept::default()) };
    match std::fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| unusable(&file, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(unusable(&file, error)),
    }
}

fn write(kept: &Kept) -> Result<(), Failure> {
    let Some(file) = file() else {
        return Err(Failure::new(Exit::Failed, "there is no place for contexts")
            .coded(Tnd::NotWritten)
            .because("neither XDG_CONFIG_HOME nor HOME is set"));
    };
    let text = serde_json::to_vec_pretty(kept).unwrap_or_default();
    let aside = file.with_extension("part");
    let folder = file.parent().unwrap_or(&file);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&aside, text))
        .and_then(|()| std::fs::rename(&aside, &file))
        .map_err(|error| {
            let _ = std::fs::remove_file(&aside);
            Failure::new(Exit::Failed, "the context was not kept")
                .coded(Tnd::NotWritten)
                .because(format!("{}: {error}", file.display()))
        })
}

fn missing(name: &str) -> Failure {
    Failure::new(Exit::Usage, format!("there is no context `{}`", name.escape_debug()))
        .fix("tandem context list")
}

/// The context of this name, else the one in use, if any.
///
/// # Errors
/// A name that is not there, a file that cannot be read.
pub(super) fn in_use(named: Option<&str>) -> Result<Option<Context>, Failure> {
    let kept = read()?;
    match named.or(kept.current.as_deref()) {
        None => Ok(None),
        Some(name) => kept.contexts.get(name).cloned().map(Some).ok_or_else(|| missing(name)),
    }
}

pub(super) fn context(command: Contexts, form: Form) -> Result<Exit, Failure> {
    let mut kept = read()?;
    match command {
        Contexts::List => {
            for (name, context) in &kept.contexts {
                let current = kept.current.as_deref() == Some(name.as_str());
                let admin = context.admin.map(|admin| admin.to_string());
                let token = context.token_file.as_ref().map(|file| file.display().to_string());
                match form {
                    Form::Json => output::data(
                        &json!({
                            "name": name, "current": current, "admin": admin, "token_file": token,
                        })
                        .to_string(),
                    ),
                    Form::Text => output::data(&format!(
                        "{} {name:<16} {:<22} {}",
                        if current { "*" } else { " " },
                        admin.as_deref().unwrap_or("-"),
                        token.as_deref().unwrap_or("-"),
                    )),
                }
            }
            return Ok(Exit::Fine);
        }
        Contexts::Add { name, admin, token_file } => {
            if ThingName::new(&name).is_none() {
                return Err(Failure::new(Exit::Usage, "this is no name for a context")
                    .at(name.escape_debug().to_string())
                    .fix("write 1 to 63 of a-z, 0-9 and `-`"));
            }
            // A path from here would mean another file from elsewhere.
            let token_file = token_file.map(|file| std::path::absolute(&file).unwrap_or(file));
            kept.contexts.insert(name, Context { admin, token_file });
        }
        Contexts::Use { name } => {
            let wanted = match name.as_str() {
                "-" => kept.previous.clone().ok_or_else(|| missing("-"))?,
                name if kept.contexts.contains_key(name) => name.to_owned(),
                name => return Err(missing(name)),
            };
            if kept.current.as_ref() != Some(&wanted) {
                kept.previous = kept.current.replace(wanted);
            }
        }
        Contexts::Remove { name } => {
            kept.contexts.remove(&name).ok_or_else(|| missing(&name))?;
            kept.current = kept.current.filter(|current| *current != name);
            kept.previous = kept.previous.filter(|previous| *previous != name);
        }
    }
    write(&kept)?;
    Ok(Exit::Fine)
}
