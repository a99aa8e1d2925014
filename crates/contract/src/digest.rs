//! Digests that say whether two contracts are the same (protocols X-3).

use std::collections::BTreeSet;

use aws_lc_rs::digest::{Context, SHA256};

use crate::types::{Contract, MessageId, Service};

/// SHA-256 over pairs of name and bytes, each with its length before it.
pub(crate) fn of_files<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for (name, file) in files {
        put(&mut context, name.as_bytes());
        put(&mut context, file);
    }
    finish(context)
}

/// Names of files are left out, and everything is taken by full name, so two upstreams that lay
/// their files out differently agree.
pub(crate) fn of_service(contract: &Contract, service: &Service) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    put(&mut context, service.full_name.as_bytes());
    let mut methods: Vec<_> = service.methods.iter().map(|id| contract.method(*id)).collect();
    methods.sort_by(|one, other| one.name.cmp(&other.name));
    let mut todo: Vec<MessageId> = Vec::new();
    for method in methods {
        let (input, output) = (contract.message(method.input), contract.message(method.output));
        put(&mut context, method.name.as_bytes());
        put(&mut context, input.full_name.as_bytes());
        put(&mut context, output.full_name.as_bytes());
        put(&mut context, format!("{:?} {:?}", method.kind, method.idempotency).as_bytes());
        for rule in &method.rules {
            let response_body = rule.response_body.as_ref().map(|path| &*path.text);
            let line = format!(
                "{} {} {:?} {:?}",
                rule.http_method,
                rule.template.text(),
                rule.body.text(),
                response_body
            );
            put(&mut context, line.as_bytes());
        }
        todo.extend([method.input, method.output]);
    }
    let mut reached = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if reached.insert(id) {
            todo.extend(
                contract.message(id).fields.iter().filter_map(|field| field.kind.message()),
            );
        }
    }
    let mut types: Vec<_> = reached.into_iter().map(|id| contract.message(id)).collect();
    types.sort_by(|one, other| one.full_name.cmp(&other.full_name));
    for message in types {
        put(&mut context, message.full_name.as_bytes());
        let mut fields: Vec<_> = message.fields.iter().collect();
        fields.sort_by_key(|field| field.number);
        for field in fields {
            let kind = match field.kind {
                crate::Kind::Enum(id) => {
                    let enumeration = contract.enumeration(id);
                    format!(
                        "enum {} {} {:?}",
                        enumeration.full_name, enumeration.closed, enumeration.values
                    )
                }
                crate::Kind::Message(id) => format!("message {}", contract.message(id).full_name),
                crate::Kind::Group(id) => format!("group {}", contract.message(id).full_name),
                scalar => format!("{scalar:?}"),
            };
            let oneof = field.oneof.map(|index| &message.oneofs[index as usize]);
            let line = format!(
                "{} {} {} {kind} {:?} {:?} {oneof:?}",
                field.number, field.name, field.json_name, field.cardinality, field.presence
            );
            put(&mut context, line.as_bytes());
        }
    }
    finish(context)
}

fn put(context: &mut Context, bytes: &[u8]) {
    context.update(&(bytes.len() as u64).to_be_bytes());
    context.update(bytes);
}

fn finish(context: Context) -> [u8; 32] {
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}
