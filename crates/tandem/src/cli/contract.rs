//! `tandem contract diff OLD NEW`: what changed between two contracts, and whether callers break.
//!
//! Each side is a descriptor set, a .proto file or a folder of them, or the address of a server
//! that offers reflection. Exit: 0 when nobody breaks, 3 when somebody does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tandem_config::{CompileFault, Tnd, load};
use tandem_contract::compat::{self, Change};
use tandem_contract::{Contract, DESCRIPTOR_SET_BYTES_MOST, TextFault};

use super::target::contract_at;
use super::{on_a_loop, plain};
use crate::compile::compile;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Subcommand)]
pub(super) enum Contracts {
    /// Names what changed from OLD to NEW, and ends with 3 when callers of OLD may break.
    Diff(DiffArguments),
}

#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// A descriptor set, a .proto file, a folder of them, or the HOST:PORT of a server.
    old: String,
    /// The same.
    new: String,
}

pub(super) fn contract(
    contracts: Contracts,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    match contracts {
        Contracts::Diff(DiffArguments { old, new }) => {
            let (old, new) = (Side::read(old, timeout)?, Side::read(new, timeout)?);
            Ok(diff(&old, &new, form))
        }
    }
}

/// One side as it was named, and what came of it.
struct Side {
    name: String,
    how: &'static str,
    contract: Contract,
}

impl Side {
    fn read(name: String, timeout: Duration) -> Result<Side, Failure> {
        let path = Path::new(&name);
        let (how, contract) = if is_text(path) {
            ("protos", usable(&set_of_texts(path, &name)?, &name)?)
        } else if path.exists() {
            ("descriptors", usable(&set_of_file(path, &name)?, &name)?)
        } else if name.contains(':') {
            ("reflection", on_a_loop(contract_at(&name, timeout))?)
        } else {
            return Err(Failure::new(Exit::Usage, format!("there is no `{name}`"))
                .fix("name a descriptor set, a .proto file, a folder of them, or HOST:PORT"));
        };
        Ok(Side { name, how, contract })
    }

    fn json(&self) -> Value {
        let faults: Vec<Value> = self
            .contract
            .faults()
            .iter()
            .map(|fault| {
                json!({
                    "file": fault.file,
                    "symbol": fault.symbol,
                    "column": fault.column,
                    "what": fault.what,
                    "fix": fault.fix,
                })
            })
            .collect();
        let digest: String =
            self.contract.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "source": self.name, "how": self.how, "digest": digest, "faults": faults })
    }
}

fn is_text(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|ending| ending == "proto")
}

/// The contract at `path`, a descriptor set, a .proto file or a folder of them, and its set.
pub(crate) fn from_file(path: &Path) -> Result<(Arc<Contract>, Vec<u8>), Failure> {
    let name = path.display().to_string();
    let set = match is_text(path) {
        true => set_of_texts(path, &name)?,
        false => set_of_file(path, &name)?,
    };
    Ok((Arc::new(usable(&set, &name)?), set))
}

fn set_of_file(path: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    // One byte more than may be, so that it is refused for its size and not for where it was cut.
    std::fs::File::open(path)
        .and_then(|file| file.take(DESCRIPTOR_SET_BYTES_MOST as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            Failure::new(Exit::Usage, format!("`{name}` cannot be read")).because(error.to_string())
        })?;
    Ok(bytes)
}

fn set_of_texts(path: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    let texts = load::proto_texts_at(path).map_err(|why| {
        Failure::new(Exit::Usage, format!("`{name}` cannot be read")).because(why)
    })?;
    compile(&texts).map_err(|fault| {
        let failure = Failure::new(Exit::Failed, format!("`{name}` does not compile"));
        match fault {
            CompileFault::Texts(faults) => {
                let import = faults.iter().any(|fault| fault.what.contains("import"));
                let fix = match import {
                    true => "name the folder that imports start from",
                    false => "correct the file; `protoc` says the same of it",
                };
                failure
                    .coded(Tnd::ContractUnusable)
                    .because(lines(faults.iter().map(line)))
                    .fix(fix)
            }
            CompileFault::NoEditionCompiler(file) => failure
                .coded(Tnd::NoEditionCompiler)
                .because(format!("`{file}` is written in an edition"))
                .fix("install `buf` or `protoc`, or name a descriptor set"),
            CompileFault::Ended(why) => {
                failure.because(why).fix("compile it yourself, and name the descriptor set")
            }
        }
    })
}

/// Below each other, as far in as the word `why` reaches.
fn lines(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("\n          ")
}

fn line(fault: &TextFault) -> String {
    let TextFault { file, place, what } = fault;
    plain(&match place {
        Some((line, column)) => format!("{file}:{line}:{column}: {what}"),
        None => format!("{file}: {what}"),
    })
}

fn usable(set: &[u8], name: &str) -> Result<Contract, Failure> {
    Contract::from_descriptor_set(set).map_err(|faults| {
        Failure::new(Exit::Failed, format!("`{name}` is no contract"))
            .coded(Tnd::ContractUnusable)
            .because(lines(faults.0.iter().map(|fault| plain(&fault.to_string()))))
    })
}

fn diff(old: &Side, new: &Side, form: Form) -> Exit {
    let changes = compat::changes(&old.contract, &new.contract);
    let breaking = changes.iter().filter(|change| change.breaks()).count();
    let compatible = changes.len() - breaking;
    match form {
        Form::Json => {
            let all: Vec<Value> = changes.iter().map(of_change).collect();
            let object = json!({
                "old": old.json(),
                "new": new.json(),
                "breaking": breaking,
                "compatible": compatible,
                "changes": all,
            });
            output::data(&object.to_string());
        }
        Form::Text => {
            for side in [old, new] {
                for fault in side.contract.faults() {
                    output::talk(&plain(&format!("left out of {}: {fault}", side.name)));
                }
            }
            if !changes.is_empty() {
                output::data(&table(&changes));
            }
            output::talk(&format!("{breaking} breaking, {compatible} compatible"));
        }
    }
    if breaking == 0 { Exit::Fine } else { Exit::Different }
}

fn of_change(change: &Change) -> Value {
    let Change { category, file, symbol, rule, what, notice } = change;
    json!({
        "breaking": change.breaks(),
        "category": category.name(),
        "rule": rule,
        "file": file,
        "symbol": symbol,
        "what": what,
        "notice": notice,
    })
}

/// Two lines a change: what and where, then why it matters.
fn table(changes: &[Change]) -> String {
    let place = |change: &Change| match (change.symbol.as_str(), change.file.as_str()) {
        ("", "") => "both".to_owned(),
        ("", file) => plain(file),
        (symbol, _) => plain(symbol),
    };
    let width = |text: &str| text.chars().count();
    let widest = changes.iter().map(|change| width(&place(change))).max().unwrap_or(0).min(60);
    let mut text = String::new();
    for change in changes {
        let verdict = if change.breaks() { "breaking" } else { "compatible" };
        let place = place(change);
        let gap = " ".repeat(widest.saturating_sub(width(&place)));
        let what = plain(&change.what);
        text.push_str(&format!("{verdict:<10}  {place}{gap}  {}\n{:12}{what}", change.rule, ""));
        if change.notice != "nothing" {
            text.push_str(&format!("; {}", change.notice));
        }
        text.push('\n');
    }
    text
}
