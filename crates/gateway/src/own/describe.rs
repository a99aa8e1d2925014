//! What a caller may see: server reflection and health.
//!
//! Both speak of what the asking caller could reach by that listener and that host, and of
//! nothing else: an internal method's service is not named outside.
//!
//! Sources: grpc/reflection/v1/reflection.proto (v1alpha has the same messages),
//! grpc/health/v1/health.proto; protocols G-8.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use tandem_contract::directory::Audience;
use tandem_contract::{Contract, fields};
use tandem_protocol::status::{Code, Status};

use crate::path::Call;

/// What one caller may see.
pub(super) struct View {
    services: BTreeSet<String>,
    contracts: Vec<Arc<Contract>>,
}

impl View {
    pub(super) fn of(call: &Call, audience: Audience<'_>) -> View {
        let directory = &call.snapshot.directory;
        let mut services = BTreeSet::new();
        let mut contracts: Vec<Arc<Contract>> = Vec::new();
        for (index, indexed) in directory.methods().iter().enumerate() {
            let method = indexed.contract.method(indexed.method);
            // What this caller would find by calling is what it may see.
            let found = directory.find_rpc(audience, &method.path);
            if found.is_none_or(|found| found.0 as usize != index) {
                continue;
            }
            services.insert(method.service.to_string());
            if !contracts.iter().any(|known| Arc::ptr_eq(known, &indexed.contract)) {
                contracts.push(Arc::clone(&indexed.contract));
            }
        }
        View { services, contracts }
    }

    pub(super) fn health(&self, question: &Bytes) -> Result<Vec<u8>, Status> {
        let service = fields::first_text(question, 1).unwrap_or_default();
        if !service.is_empty() && !self.services.contains(&service) {
            return Err(Status::new(Code::NotFound, "unknown service"));
        }
        let mut answer = Vec::new();
        fields::put_number(1, 1, &mut answer); // SERVING
        Ok(answer)
    }

    /// Answers one `ServerReflectionRequest` with one `ServerReflectionResponse`.
    pub(super) fn reflect(&self, question: &Bytes) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(host) = fields::first_text(question, 1) {
            fields::put_bytes(1, host.as_bytes(), &mut out);
        }
        fields::put_bytes(2, question, &mut out);
        let asked = fields::each(question)
            .map_while(Result::ok)
            .find(|field| (3..=7).contains(&field.number));
        let Some(asked) = asked else {
            put_error(Code::InvalidArgument, "an empty question", &mut out);
            return out;
        };
        let text = String::from_utf8_lossy(asked.bytes);
        match asked.number {
            3 => match self.file_named(&text) {
                Some(file) => put_files(&[file], &mut out),
                None => put_error(Code::NotFound, "no such file", &mut out),
            },
            4 => match self.files_of_symbol(&text) {
                Some(files) => put_files(&files, &mut out),
                None => put_error(Code::NotFound, "no such symbol", &mut out),
            },
            7 => {
                let mut list = Vec::new();
                for service in &self.services {
                    let mut one = Vec::new();
                    fields::put_bytes(1, service.as_bytes(), &mut one);
                    fields::put_bytes(1, &one, &mut list);
                }
                fields::put_bytes(6, &list, &mut out);
            }
            _ => put_error(Code::NotFound, "extensions are not listed here", &mut out),
        }
        out
    }

    fn file_named(&self, name: &str) -> Option<&[u8]> {
        self.contracts
            .iter()
            .flat_map(|contract| contract.files())
            .find(|(file, _)| *file == name)
            .map(|(_, bytes)| bytes)
    }

    /// The file that declares the symbol, then every file that it imports: askers that would ask
    /// again for each need not.
    fn files_of_symbol(&self, symbol: &str) -> Option<Vec<&[u8]>> {
        for contract in &self.contracts {
            let files: BTreeMap<&str, &[u8]> = contract.files().collect();
            let Some((name, _)) = files.iter().find(|(_, file)| declares(file, symbol)) else {
                continue;
            };
            let mut order = vec![*name];
            let mut seen = BTreeSet::from([name.to_string()]);
            let mut at = 0;
            while at < order.len() {
                let file = files[order[at]];
                for import in fields::each(file).map_while(Result::ok).filter(|f| f.number == 3) {
                    let import = String::from_utf8_lossy(import.bytes).into_owned();
                    if let Some((name, _)) = files.get_key_value(import.as_str())
                        && seen.insert(import)
                    {
                        order.push(name);
                    }
                }
                at += 1;
            }
            return Some(order.into_iter().map(|name| files[name]).collect());
        }
        None
    }
}

/// Whether a serialized `FileDescriptorProto` declares the message, enum, service or method.
fn declares(file: &[u8], symbol: &str) -> bool {
    let package = fields::first_text(file, 2).unwrap_or_default();
    let rest = if package.is_empty() {
        symbol
    } else {
        match symbol.strip_prefix(&package).and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) => rest,
            None => return false,
        }
    };
    let mut parts = rest.split('.');
    let Some(first) = parts.next() else { return false };
    fields::each(file).map_while(Result::ok).any(|field| match field.number {
        4 => {
            fields::first_text(field.bytes, 1).as_deref() == Some(first)
                && nested(field.bytes, parts.clone())
        }
        5 => fields::first_text(field.bytes, 1).as_deref() == Some(first),
        6 => {
            fields::first_text(field.bytes, 1).as_deref() == Some(first)
                && match parts.clone().next() {
                    None => true,
                    Some(method) => fields::each(field.bytes).map_while(Result::ok).any(|inner| {
                        inner.number == 2
                            && fields::first_text(inner.bytes, 1).as_deref() == Some(method)
                    }),
                }
        }
        _ => false,
    })
}

/// Whether a serialized `DescriptorProto` declares what `parts` name below it.
fn nested<'a>(message: &[u8], parts: impl Iterator<Item = &'a str>) -> bool {
    let mut at = message.to_vec();
    for part in parts {
        let found = fields::each(&at)
            .map_while(Result::ok)
            .filter(|field| matches!(field.number, 2..=4))
            .find(|field| fields::first_text(field.bytes, 1).as_deref() == Some(part));
        match found {
            Some(field) => at = field.bytes.to_vec(),
            None => return false,
        }
    }
    true
}

fn put_files(files: &[&[u8]], out: &mut Vec<u8>) {
    let mut list = Vec::new();
    for file in files {
        fields::put_bytes(1, file, &mut list);
    }
    fields::put_bytes(4, &list, out);
}

fn put_error(code: Code, message: &str, out: &mut Vec<u8>) {
    let mut error = Vec::new();
    fields::put_number(1, code as u64, &mut error);
    fields::put_bytes(2, message.as_bytes(), &mut error);
    fields::put_bytes(7, &error, out);
}
