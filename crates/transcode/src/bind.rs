//! A REST request → the request message; the answer message → the REST body.
//!
//! Path, then body, then query; what two of them say about one field is refused, so no input can
//! override what the path says (protocols, section 3). Values of path and query are appended as
//! fields of their own behind the body's; parsers merge messages and let the last scalar win.
//!
//! Not here: media types and codings of the body (`tandem-protocol`).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use tandem_contract::{
    BodyBinding, Cardinality, Contract, Field, FieldPath, HttpRule, MessageId, Presence, WellKnown,
};

use crate::fault::{Fault, echo};
use crate::from_json::{field_from_json, put_seconds_nanos, wire_from_json};
use crate::json::{Next, Reader};
use crate::limits::{JsonOptions, Limits};
use crate::plan::Plans;
use crate::scalar;
use crate::to_json::{field_to_json, json_from_wire};
use crate::wire::{self, Value};
use crate::{mask, times};

/// A REST request after its rule was found.
#[derive(Debug, Clone, Copy)]
pub struct RestRequest<'a> {
    pub rule: &'a HttpRule,
    /// What the path binds, decoded, in the order of the rule's variables.
    pub values: &'a [String],
    /// As it stood in the target, without the `?`.
    pub query: Option<&'a str>,
    /// JSON text, or nothing.
    pub body: &'a [u8],
    /// The type of the request message.
    pub input: MessageId,
    /// Of the request; PATCH fills masks (protocols I-7).
    pub http_method: &'a str,
}

/// Builds the request message.
///
/// # Errors
/// The first fault of path, body and query in this order; always the caller's.
pub fn request_from_rest(
    plans: &Plans,
    request: RestRequest<'_>,
    options: &JsonOptions,
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    let contract = &**plans.contract();
    let RestRequest { rule, values, query, body, input, http_method } = request;
    let mut bound = Bound::new(contract);
    let mut path_fields = Vec::with_capacity(values.len());
    for (variable, text) in rule.variables.iter().zip(values) {
        let field = text_field(plans, &variable.path, text, false)
            .map_err(|fault| fault.within(&variable.path.text))?;
        bound.claim(&variable.path, Claim::Path)?;
        path_fields.push((&variable.path, field));
    }
    let mut out = body_message(plans, rule, body, input, options, limits)?;
    for (path, value) in &path_fields {
        agrees(contract, &out, path, value, limits)?;
    }
    bound.check_body(&out, limits)?;
    let patched = patch_mask(contract, rule, body, input, http_method, limits)?;
    for (path, value) in &path_fields {
        put_nested(contract, path, value, &mut out);
    }
    let mask_in_query = query_fields(plans, rule, query, input, options, &mut bound, &mut out)?;
    if let Some((path, paths)) = patched
        && !mask_in_query.contains(&path.steps)
    {
        let mut value = Vec::new();
        for path in paths {
            wire::put_bytes(1, path.as_bytes(), &mut value);
        }
        put_nested(contract, &path, &TextValue::Message(value), &mut out);
    }
    Ok(out)
}

/// Writes the answer's body: the message, or the field that the rule names (protocols A-2).
///
/// # Errors
/// As [`json_from_wire`].
pub fn response_to_rest(
    plans: &Plans,
    rule: &HttpRule,
    output: MessageId,
    wire: &[u8],
    options: &JsonOptions,
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    match &rule.response_body {
        None => json_from_wire(plans, output, wire, options, limits),
        Some(path) => field_to_json(plans, &path.steps, wire, options, limits),
    }
}

fn body_message(
    plans: &Plans,
    rule: &HttpRule,
    body: &[u8],
    input: MessageId,
    options: &JsonOptions,
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    let contract = plans.contract();
    let empty = body.iter().all(u8::is_ascii_whitespace);
    match &rule.body {
        BodyBinding::None if empty => Ok(Vec::new()),
        BodyBinding::None => Err(Fault::caller("this method takes no body")),
        // An empty body is the empty message (I-2).
        BodyBinding::Whole | BodyBinding::Field(_) if empty => Ok(Vec::new()),
        BodyBinding::Whole => {
            let known = contract.message(input).well_known;
            let mut reader = Reader::new(body, limits)?;
            if known != WellKnown::Value && reader.next()? == Next::Null {
                return Err(reader.unexpected("an object"));
            }
            wire_from_json(plans, input, body, options, limits)
        }
        BodyBinding::Field(path) => {
            let field = path.last(contract);
            let mut reader = Reader::new(body, limits)?;
            let value = field
                .kind
                .message()
                .is_some_and(|id| contract.message(id).well_known == WellKnown::Value);
            if !value && reader.next()? == Next::Null {
                return Err(reader.unexpected("a value").within(&path.text));
            }
            let mut out = Vec::with_capacity(body.len());
            field_from_json(plans, path.steps[0], body, options, limits, &mut out)?;
            // A field of a body that is all default is present all the same.
            if out.is_empty()
                && field.kind.message().is_some()
                && field.cardinality == Cardinality::Singular
            {
                wire::put_bytes(field.number, b"", &mut out);
            }
            Ok(out)
        }
    }
}

/// The value of a text in the form of its field.
#[derive(Debug)]
enum TextValue {
    Scalar(scalar::Scalar),
    /// The bytes of a message whose JSON is a string.
    Message(Vec<u8>),
}

fn text_field(
    plans: &Plans,
    path: &FieldPath,
    text: &str,
    query: bool,
) -> Result<TextValue, Fault> {
    let contract = plans.contract();
    let field = path.last(contract);
    let Some(id) = field.kind.message() else {
        return scalar::from_text(plans, field.kind, text).map(TextValue::Scalar);
    };
    let message = contract.message(id);
    let mut bytes = Vec::new();
    match message.well_known {
        WellKnown::Timestamp => {
            let (seconds, nanos) = times::timestamp_of(text)?;
            put_seconds_nanos(seconds, nanos, &mut bytes);
        }
        WellKnown::Duration => {
            let (seconds, nanos) = times::duration_of(text)?;
            put_seconds_nanos(seconds, nanos, &mut bytes);
        }
        WellKnown::FieldMask => {
            for path in mask::paths_of(text, query)? {
                wire::put_bytes(1, path.as_bytes(), &mut bytes);
            }
        }
        WellKnown::Wrapper => {
            let value = message.field_numbered(1).map(|(_, field)| field.kind);
            let kind = value.ok_or_else(|| Fault::caller("a wrapper without a value"))?;
            let value = scalar::from_text(plans, kind, text)?;
            if !value.is_default() {
                value.put_field(1, &mut bytes);
            }
        }
        WellKnown::No
        | WellKnown::Any
        | WellKnown::Struct
        | WellKnown::Value
        | WellKnown::ListValue
        | WellKnown::Empty
        | WellKnown::HttpBody => {
            return Err(Fault::caller(format!("{} cannot be given here", message.full_name)));
        }
    }
    Ok(TextValue::Message(bytes))
}

/// Appends the field at `path`, its parents around it.
fn put_nested(contract: &Contract, path: &FieldPath, value: &TextValue, out: &mut Vec<u8>) {
    let mut fields =
        path.steps.iter().rev().map(|(id, index)| &contract.message(*id).fields[*index]);
    let last = fields.next().expect("a path has at least one step");
    let mut bytes = Vec::new();
    match value {
        TextValue::Scalar(scalar) => {
            // Without presence a default is not written, but it must still win over a body that
            // came before; `agrees` has seen to it that there is none with another value.
            if last.presence != Presence::Implicit
                || last.cardinality != Cardinality::Singular
                || !scalar.is_default()
            {
                scalar.put_field(last.number, &mut bytes);
            }
        }
        TextValue::Message(message) => {
            wire::put_message(last.number, last.kind, message, &mut bytes);
        }
    }
    for parent in fields {
        let inner = std::mem::take(&mut bytes);
        wire::put_message(parent.number, parent.kind, &inner, &mut bytes);
    }
    out.extend_from_slice(&bytes);
}

/// The last value at `path` in `bytes`, as its own bytes: scalars in their wire form.
fn value_at<'a>(
    contract: &Contract,
    bytes: &'a [u8],
    path: &FieldPath,
    limits: &Limits,
) -> Option<Vec<Value<'a>>> {
    let mut scopes: Vec<&[u8]> = vec![bytes];
    for (place, (id, index)) in path.steps.iter().enumerate() {
        let number = contract.message(*id).fields[*index].number;
        let values: Vec<Value<'a>> = scopes
            .iter()
            .flat_map(|scope| wire::each(scope, limits.wire_depth).map_while(Result::ok))
            .filter(|(found, _)| *found == number)
            .map(|(_, value)| value)
            .collect();
        if place + 1 == path.steps.len() {
            return (!values.is_empty()).then_some(values);
        }
        scopes = values
            .iter()
            .filter_map(|value| match value {
                Value::Bytes(bytes) | Value::Group(bytes) => Some(*bytes),
                Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) => None,
            })
            .collect();
    }
    None
}

/// A body may repeat what the path says, and nothing else (protocols B-1).
fn agrees(
    contract: &Contract,
    body: &[u8],
    path: &FieldPath,
    value: &TextValue,
    limits: &Limits,
) -> Result<(), Fault> {
    let Some(found) = value_at(contract, body, path, limits) else { return Ok(()) };
    let mut mine = Vec::new();
    match value {
        TextValue::Scalar(scalar) => scalar.put_field(1, &mut mine),
        TextValue::Message(message) => wire::put_bytes(1, message, &mut mine),
    }
    let mine = wire::each(&mine, limits.wire_depth).find_map(Result::ok).map(|(_, value)| value);
    if found.last().copied() == mine {
        return Ok(());
    }
    Err(Fault::caller("the body gives it another value than the path").within(&path.text))
}

/// Who has set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Path,
    Query,
}

/// Fields and oneofs that are taken.
struct Bound<'a> {
    contract: &'a Contract,
    fields: HashMap<Vec<(MessageId, usize)>, Claim>,
    /// Parent steps and the oneof → the path that set a member.
    oneofs: BTreeMap<(Vec<(MessageId, usize)>, u32), FieldPath>,
}

impl<'a> Bound<'a> {
    fn new(contract: &'a Contract) -> Bound<'a> {
        Bound { contract, fields: HashMap::new(), oneofs: BTreeMap::new() }
    }

    fn claim(&mut self, path: &FieldPath, claim: Claim) -> Result<(), Fault> {
        let taken = self.fields.insert(path.steps.clone(), claim);
        let repeated = path.last(self.contract).cardinality != Cardinality::Singular;
        match taken {
            Some(Claim::Path) => {
                return Err(Fault::caller("the path has set it already").within(&path.text));
            }
            Some(Claim::Query) if !repeated => {
                return Err(Fault::caller("it is given twice").within(&path.text));
            }
            Some(Claim::Query) | None => {}
        }
        // Each step of the path may be a member of a oneof of its parent.
        for (place, (id, index)) in path.steps.iter().enumerate() {
            let field = &self.contract.message(*id).fields[*index];
            let Some(oneof) = field.oneof else { continue };
            let key = (path.steps[..place].to_vec(), oneof);
            let member =
                FieldPath { text: path.text.clone(), steps: path.steps[..=place].to_vec() };
            if let Some(other) = self.oneofs.get(&key)
                && other.steps != member.steps
            {
                return Err(second_member(self.contract, *id, oneof, &path.text));
            }
            self.oneofs.insert(key, member);
        }
        Ok(())
    }

    /// A body must not hold another member of a oneof that the path has set (protocols B-3).
    fn check_body(&self, body: &[u8], limits: &Limits) -> Result<(), Fault> {
        for ((parents, oneof), member) in &self.oneofs {
            let Some((id, set)) = member.steps.last() else { continue };
            for (index, field) in self.contract.message(*id).fields.iter().enumerate() {
                if field.oneof != Some(*oneof) || index == *set {
                    continue;
                }
                let mut steps = parents.clone();
                steps.push((*id, index));
                let other = FieldPath { text: field.name.clone(), steps };
                if value_at(self.contract, body, &other, limits).is_some() {
                    return Err(second_member(self.contract, *id, *oneof, &member.text));
                }
            }
        }
        Ok(())
    }

    /// A query parameter against what the body holds of the same oneof.
    fn check_query(&self, path: &FieldPath, out: &[u8], limits: &Limits) -> Result<(), Fault> {
        for (place, (id, set)) in path.steps.iter().enumerate() {
            let message = self.contract.message(*id);
            let Some(oneof) = message.fields[*set].oneof else { continue };
            for (index, field) in message.fields.iter().enumerate() {
                if field.oneof != Some(oneof) || index == *set {
                    continue;
                }
                let mut steps = path.steps[..place].to_vec();
                steps.push((*id, index));
                let other = FieldPath { text: field.name.clone(), steps };
                if value_at(self.contract, out, &other, limits).is_some() {
                    return Err(second_member(self.contract, *id, oneof, &path.text));
                }
            }
        }
        Ok(())
    }
}

fn second_member(contract: &Contract, id: MessageId, oneof: u32, text: &str) -> Fault {
    let name = &contract.message(id).oneofs[oneof as usize];
    Fault::caller(format!("a second member of the oneof `{name}`")).within(text)
}

/// Binds the query; gives the paths that it has set.
fn query_fields(
    plans: &Plans,
    rule: &HttpRule,
    query: Option<&str>,
    input: MessageId,
    options: &JsonOptions,
    bound: &mut Bound<'_>,
    out: &mut Vec<u8>,
) -> Result<Vec<Vec<(MessageId, usize)>>, Fault> {
    let contract = &**plans.contract();
    let mut set = Vec::new();
    let limits = Limits::default();
    for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode(key)?;
        let Some(path) = resolve(contract, input, &key)? else {
            if options.ignore_unknown {
                continue;
            }
            return Err(Fault::caller(format!("unknown parameter {}", echo(&key))));
        };
        match &rule.body {
            BodyBinding::Whole => {
                let fault =
                    Fault::caller("the body is the whole message; a parameter binds nothing");
                return Err(fault.within(&key));
            }
            BodyBinding::Field(body) if path.steps.first() == body.steps.first() => {
                return Err(Fault::caller("it belongs to the body").within(&key));
            }
            BodyBinding::Field(_) | BodyBinding::None => {}
        }
        let field = path.last(contract);
        if field.cardinality == Cardinality::Map
            || (field.cardinality == Cardinality::Repeated && field.kind.message().is_some())
        {
            return Err(
                Fault::caller("a parameter cannot say a map or a list of messages").within(&key)
            );
        }
        bound.claim(&path, Claim::Query)?;
        bound.check_query(&path, out, &limits)?;
        let text = decode(value)?;
        let value = query_value(plans, &path, field, &text).map_err(|f| f.within(&key))?;
        put_nested(contract, &path, &value, out);
        set.push(path.steps);
    }
    Ok(set)
}

fn query_value(
    plans: &Plans,
    path: &FieldPath,
    field: &Field,
    text: &str,
) -> Result<TextValue, Fault> {
    use tandem_contract::Kind;
    let contract = plans.contract();
    // `flag` and `flag=` are the empty text, which only texts can be.
    let empty_is_lawful = matches!(field.kind, Kind::String | Kind::Bytes)
        || field.kind.message().is_some_and(|id| {
            let message = contract.message(id);
            let text_wrapper = message.well_known == WellKnown::Wrapper
                && message
                    .field_numbered(1)
                    .is_some_and(|(_, field)| matches!(field.kind, Kind::String | Kind::Bytes));
            text_wrapper || message.well_known == WellKnown::FieldMask
        });
    if text.is_empty() && !empty_is_lawful {
        return Err(Fault::caller("it has no value"));
    }
    text_field(plans, path, text, true)
}

/// A dotted key by names of the file or of JSON; `None` when no field is called so.
fn resolve(contract: &Contract, input: MessageId, key: &str) -> Result<Option<FieldPath>, Fault> {
    let mut steps = Vec::new();
    let mut at = Some(input);
    for name in key.split('.') {
        if steps.len() >= 32 {
            return Err(Fault::caller("a parameter with more than 32 parts"));
        }
        let Some(id) = at else { return Ok(None) };
        let Some((index, field)) = contract.message(id).field_named(name) else {
            return Ok(None);
        };
        steps.push((id, index));
        at = (field.cardinality == Cardinality::Singular).then(|| field.kind.message()).flatten();
    }
    Ok(Some(FieldPath { text: key.into(), steps }))
}

/// Percent-decodes one side of a pair; `+` is a space.
fn decode(raw: &str) -> Result<Cow<'_, str>, Fault> {
    if !raw.contains(['%', '+']) {
        return Ok(Cow::Borrowed(raw));
    }
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' => decoded.push(b' '),
            b'%' => {
                let digit =
                    |at: usize| bytes.get(at).and_then(|digit| (*digit as char).to_digit(16));
                let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
                    return Err(Fault::caller(format!(
                        "{} has a `%` without two hex digits behind it",
                        echo(raw)
                    )));
                };
                decoded.push((high << 4 | low) as u8);
                at += 2;
            }
            byte => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_error| Fault::caller(format!("{} is not UTF-8", echo(raw))))
}

type Patched = (FieldPath, Vec<String>);

/// The mask of a PATCH whose body is a field `m`, where exactly one field mask stands beside `m`:
/// the paths of the JSON keys that are there (protocols I-7). `None` where the rule does not apply.
fn patch_mask(
    contract: &Contract,
    rule: &HttpRule,
    body: &[u8],
    input: MessageId,
    http_method: &str,
    limits: &Limits,
) -> Result<Option<Patched>, Fault> {
    let BodyBinding::Field(body_path) = &rule.body else { return Ok(None) };
    if http_method != "PATCH" || body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let body_field = body_path.last(contract);
    let Some(body_message) = body_field.kind.message() else { return Ok(None) };
    if body_field.cardinality != Cardinality::Singular
        || contract.message(body_message).well_known != WellKnown::No
    {
        return Ok(None);
    }
    let mut masks = contract.message(input).fields.iter().enumerate().filter(|(_, field)| {
        field.cardinality == Cardinality::Singular
            && field
                .kind
                .message()
                .is_some_and(|id| contract.message(id).well_known == WellKnown::FieldMask)
    });
    let (Some((index, field)), None) = (masks.next(), masks.next()) else { return Ok(None) };
    let mut paths = Vec::new();
    let mut reader = Reader::new(body, limits)?;
    keys(contract, body_message, &mut reader, "", &mut paths)?;
    let path = FieldPath { text: field.name.clone(), steps: vec![(input, index)] };
    Ok(Some((path, paths)))
}

/// The paths of the keys of an object, down to lists, maps and values.
fn keys(
    contract: &Contract,
    id: MessageId,
    reader: &mut Reader<'_>,
    prefix: &str,
    paths: &mut Vec<String>,
) -> Result<(), Fault> {
    let message = contract.message(id);
    reader.object(|reader, key| {
        let Some((_, field)) = message.field_named(&key) else { return Ok(reader.skip()?) };
        let path = format!("{prefix}{}", field.name);
        let nested = field.kind.message().filter(|id| {
            field.cardinality == Cardinality::Singular
                && contract.message(*id).well_known == WellKnown::No
        });
        match nested {
            Some(id) if reader.next()? == Next::Object => {
                let before = paths.len();
                keys(contract, id, reader, &format!("{path}."), paths)?;
                // An empty object says that the message is to be empty.
                if paths.len() == before {
                    paths.push(path);
                }
                Ok(())
            }
            _ => {
                paths.push(path);
                Ok(reader.skip()?)
            }
        }
    })
}
