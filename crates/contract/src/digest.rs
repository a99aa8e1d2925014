//! Digests that say whether two contracts are the same (protocols X-3).
//!
//! They are kept on disk and compared between builds, so what goes in is written out here, word by
//! word, and depends on no `Debug` of a type. Every part stands behind its length.
//!
//! A service's digest holds what its callers can tell: methods, kinds, rules, idempotency, and the
//! reachable types by full name with numbers, names, JSON names, types, cardinality, presence,
//! defaults, oneofs, enum values and closedness. It holds no files, no order of declarations, no
//! comments; nothing of what is reserved or deprecated; and not whether a list is packed, for every
//! reader must take both.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{Context, SHA256};

use crate::types::{
    Cardinality, Contract, EnumId, Enumeration, Idempotency, Kind, Message, MessageId, Method,
    MethodKind, Presence, Service,
};

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
    for method in &methods {
        put_method(&mut context, contract, method);
    }
    let (messages, enums) = reachable(contract, &methods);
    for message in sorted(messages.iter().map(|id| contract.message(*id)), |one| &one.full_name) {
        put_message(&mut context, contract, message);
    }
    for enumeration in
        sorted(enums.iter().map(|id| contract.enumeration(*id)), |one| &one.full_name)
    {
        put_enum(&mut context, enumeration);
    }
    finish(context)
}

fn reachable(contract: &Contract, methods: &[&Method]) -> (BTreeSet<MessageId>, BTreeSet<EnumId>) {
    let mut todo: Vec<MessageId> =
        methods.iter().flat_map(|method| [method.input, method.output]).collect();
    let (mut messages, mut enums) = (BTreeSet::new(), BTreeSet::new());
    while let Some(id) = todo.pop() {
        if !messages.insert(id) {
            continue;
        }
        for field in &contract.message(id).fields {
            match field.kind {
                Kind::Enum(id) => drop(enums.insert(id)),
                kind => todo.extend(kind.message()),
            }
        }
    }
    (messages, enums)
}

fn sorted<'a, T>(items: impl Iterator<Item = &'a T>, name: fn(&T) -> &str) -> Vec<&'a T> {
    let mut items: Vec<&T> = items.collect();
    items.sort_by(|one, other| name(one).cmp(name(other)));
    items
}

fn put_method(context: &mut Context, contract: &Contract, method: &Method) {
    put(context, b"method");
    put(context, method.name.as_bytes());
    put(context, contract.message(method.input).full_name.as_bytes());
    put(context, contract.message(method.output).full_name.as_bytes());
    let kind: &[u8] = match method.kind {
        MethodKind::Unary => b"unary",
        MethodKind::ClientStream => b"client stream",
        MethodKind::ServerStream => b"server stream",
        MethodKind::Bidi => b"bidi",
    };
    put(context, kind);
    let idempotency: &[u8] = match method.idempotency {
        Idempotency::Unknown => b"",
        Idempotency::NoSideEffects => b"no side effects",
        Idempotency::Idempotent => b"idempotent",
    };
    put(context, idempotency);
    let mut rules: Vec<[&str; 4]> = method
        .rules
        .iter()
        .map(|rule| {
            let response_body = rule.response_body.as_ref().map_or("", |path| &path.text);
            [rule.http_method.name(), rule.template.text(), rule.body.text(), response_body]
        })
        .collect();
    rules.sort_unstable();
    for part in rules.iter().flatten() {
        put(context, part.as_bytes());
    }
}

fn put_message(context: &mut Context, contract: &Contract, message: &Message) {
    put(context, if message.message_set { b"message set" } else { b"message" });
    put(context, message.full_name.as_bytes());
    let mut fields: Vec<_> = message.fields.iter().collect();
    fields.sort_by_key(|field| field.number);
    for field in fields {
        put(context, &field.number.to_be_bytes());
        put(context, field.name.as_bytes());
        put(context, field.json_name.as_bytes());
        put(context, field.kind.name().as_bytes());
        let type_name: &str = match field.kind {
            Kind::Enum(id) => &contract.enumeration(id).full_name,
            kind => kind.message().map_or("", |id| &contract.message(id).full_name),
        };
        put(context, type_name.as_bytes());
        let cardinality: &[u8] = match field.cardinality {
            Cardinality::Singular => b"",
            Cardinality::Repeated => b"repeated",
            Cardinality::Map => b"map",
        };
        put(context, cardinality);
        let presence: &[u8] = match field.presence {
            Presence::Implicit => b"implicit",
            Presence::Explicit => b"explicit",
            Presence::Required => b"required",
        };
        put(context, presence);
        let oneof = field.oneof.map_or("", |index| &message.oneofs[index as usize]);
        put(context, oneof.as_bytes());
        put(context, field.default.as_deref().unwrap_or("").as_bytes());
        put(context, if field.utf8 { b"utf8" } else { b"" });
    }
}

fn put_enum(context: &mut Context, enumeration: &Enumeration) {
    put(context, if enumeration.closed { b"closed enum" } else { b"enum" });
    put(context, enumeration.full_name.as_bytes());
    // The order of declaration means two things: the default, and which of several names of one
    // number is written.
    put(context, &enumeration.default().to_be_bytes());
    let mut values: Vec<_> = enumeration.values.iter().collect();
    values.sort_by_key(|(_, number)| *number);
    for (name, number) in values {
        put(context, name.as_bytes());
        put(context, &number.to_be_bytes());
    }
}

fn put(context: &mut Context, bytes: &[u8]) {
    context.update(&(bytes.len() as u64).to_be_bytes());
    context.update(bytes);
}

fn finish(context: Context) -> [u8; 32] {
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}
