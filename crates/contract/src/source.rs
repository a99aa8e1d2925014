//! Descriptors as they come (a set, or the answers of reflection) → one immutable contract.
//!
//! The only module that knows the descriptor library. Whatever comes in, it ends with a contract
//! or with faults, never with a panic: everything is counted before the library reads it
//! (`budget`), and every loop runs over something that was counted. proto2, proto3 and editions
//! 2023 and 2024 are read, in any order of files. What cannot be served is left out and named
//! with its file and symbol; the rest of the contract stays up.
//!
//! Extensions stand behind the fields of the message that they extend, wherever they are declared;
//! those of options whose files are absent are no concern. A message set is a message with
//! [`Message::message_set`](crate::Message::message_set).
//!
//! Not here: .proto text (`text`), which the binary compiles in a child process (protocols X-1).

mod budget;
mod build;
mod field;
mod service;
mod settings;
mod shape;
pub mod text;

use std::collections::BTreeMap;
use std::fmt;

use buffa::DecodeOptions;
use buffa_descriptor::generated::descriptor::FileDescriptorProto;

use self::budget::{Budget, Overrun};
use self::build::Builder;
pub use self::settings::COMMENT_BYTES_MOST;
use crate::fields;
use crate::types::Contract;

/// Bytes of a descriptor set (security CF-7).
pub const DESCRIPTOR_SET_BYTES_MOST: usize = 8 << 20;
/// Bytes of all files that reflection answers with.
pub const REFLECTED_BYTES_MOST: usize = 16 << 20;
/// Faults that are kept of one contract; the rest is a number.
const FAULTS_MOST: usize = 1_000;

/// Something in a contract that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractFault {
    /// Name of the .proto file, as the descriptor says it; may be empty.
    pub file: String,
    /// Full name of the method, message or field; may be empty.
    pub symbol: String,
    /// Place in a template, counted from 1.
    pub column: Option<usize>,
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for ContractFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ContractFault { file, symbol, column, what, fix } = self;
        for part in [file, symbol].into_iter().filter(|part| !part.is_empty()) {
            write!(formatter, "{part}: ")?;
        }
        if let Some(column) = column {
            write!(formatter, "column {column}: ")?;
        }
        write!(formatter, "{what}; {fix}")
    }
}

/// Why there is no contract at all; at least one fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractFaults(pub Vec<ContractFault>);

impl fmt::Display for ContractFaults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            fault.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for ContractFaults {}

fn unusable(what: impl Into<String>, fix: &str) -> ContractFaults {
    ContractFaults(vec![fault("", "", what, fix)])
}

fn fault(file: &str, symbol: &str, what: impl Into<String>, fix: &str) -> ContractFault {
    ContractFault {
        file: file.into(),
        symbol: symbol.into(),
        column: None,
        what: what.into(),
        fix: fix.into(),
    }
}

const FIX_SET: &str = "build the set with `protoc --include_imports --descriptor_set_out` or \
                       `buf build -o set.binpb`";
const FIX_SIZE: &str = "hand over only the files that the services need";

/// Faults in the order in which they are found, bounded.
#[derive(Debug, Default)]
struct Faults {
    kept: Vec<ContractFault>,
    more: usize,
}

impl Faults {
    fn add(&mut self, fault: ContractFault) {
        if self.kept.len() < FAULTS_MOST { self.kept.push(fault) } else { self.more += 1 }
    }

    fn all(mut self) -> Vec<ContractFault> {
        if self.more > 0 {
            let what = format!("{} further faults", self.more);
            self.kept.push(fault("", "", what, "correct the others first"));
        }
        self.kept
    }
}

impl Contract {
    /// Reads a serialized `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    /// When the bytes are no descriptor set, or more than [`DESCRIPTOR_SET_BYTES_MOST`]; else as
    /// [`from_file_descriptors`](Contract::from_file_descriptors).
    pub fn from_descriptor_set(bytes: &[u8]) -> Result<Contract, ContractFaults> {
        if bytes.len() > DESCRIPTOR_SET_BYTES_MOST {
            let what =
                format!("the descriptor set has more than {DESCRIPTOR_SET_BYTES_MOST} bytes");
            return Err(unusable(what, FIX_SIZE));
        }
        let mut files = Vec::new();
        for field in fields::each(bytes) {
            let field = field
                .map_err(|what| unusable(format!("this is no descriptor set: {what}"), FIX_SET))?;
            if field.number == 1 {
                files.push(field.bytes);
            }
        }
        if files.is_empty() {
            return Err(unusable("the descriptor set holds no file", FIX_SET));
        }
        read(&files)
    }

    /// Reads serialized `google.protobuf.FileDescriptorProto`s, in any order. A file that is none
    /// is left out and named; of two files with one name the first counts.
    ///
    /// # Errors
    /// When no file can be read, or all together are more than [`REFLECTED_BYTES_MOST`], or hold
    /// more than 20,000 messages or 250,000 fields, values and methods.
    pub fn from_file_descriptors(files: &[Vec<u8>]) -> Result<Contract, ContractFaults> {
        if files.iter().map(Vec::len).sum::<usize>() > REFLECTED_BYTES_MOST {
            let what = format!("the files have more than {REFLECTED_BYTES_MOST} bytes");
            return Err(unusable(what, FIX_SIZE));
        }
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        read(&files)
    }
}

fn read(files: &[&[u8]]) -> Result<Contract, ContractFaults> {
    let mut budget = Budget::default();
    let mut faults = Faults::default();
    let mut by_name: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
    let mut as_given: BTreeMap<String, &[u8]> = BTreeMap::new();
    for bytes in files {
        match file(bytes, &mut budget) {
            Ok(file) => {
                let name = file.name.clone().unwrap_or_default();
                match by_name.get(&name) {
                    None => {
                        as_given.insert(name.clone(), bytes);
                        by_name.insert(name, file);
                    }
                    Some(first) if *first == file => {}
                    Some(_) => faults.add(fault(
                        &name,
                        "",
                        "two files have this name and differ; the first one counts",
                        "hand over one of them",
                    )),
                }
            }
            Err((name, Overrun::Size(what))) => {
                return Err(ContractFaults(vec![fault(&name, "", what, FIX_SIZE)]));
            }
            Err((name, Overrun::Malformed(what))) => {
                let what = format!("this is no file descriptor: {what}");
                faults.add(fault(&name, "", what, FIX_SET));
            }
            Err((name, Overrun::Depth)) => {
                let what = format!("messages nest deeper than {} levels", budget::DEPTH_MOST);
                faults.add(fault(&name, "", what, "declare them beside each other"));
            }
        }
    }
    if by_name.is_empty() {
        return Err(ContractFaults(faults.all()));
    }
    let mut contract = Builder::new(faults).build(&by_name);
    contract.comments = settings::comments(&contract, &by_name, &as_given);
    Ok(contract)
}

/// One file, its source positions left behind; on error with its name, as far as it has one.
fn file(bytes: &[u8], budget: &mut Budget) -> Result<FileDescriptorProto, (String, Overrun)> {
    let named = |overrun| (fields::first_text(bytes, 1).unwrap_or_default(), overrun);
    let bytes =
        fields::without(SOURCE_CODE_INFO, bytes).map_err(|what| named(Overrun::Malformed(what)))?;
    budget.file(&bytes).map_err(named)?;
    // The library's own limits are for one message of a stranger; ours hold for all files.
    DecodeOptions::new()
        .with_element_memory_limit(usize::MAX)
        .decode_from_slice(&bytes)
        .map_err(|_error| named(Overrun::Malformed("a part of it is not of its kind")))
}

/// Field number in `FileDescriptorProto`.
const SOURCE_CODE_INFO: u32 = 9;
