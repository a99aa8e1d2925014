//! Flat descriptor types of our own: the only ones that other crates see.
//!
//! Everything refers to everything by index into the contract, so a contract is a handful of
//! vectors, cheap to share between threads and impossible to make cyclic by ownership.
//!
//! Not here: how they are read (`source`).

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::http_rule::HttpRule;
use crate::source::ContractFault;

/// Index of a message in its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u32);

/// Index of an enum in its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId(pub u32);

/// Index of a method in its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MethodId(pub u32);

/// All that a set of services promises. Immutable; shared by pointer.
#[derive(Debug, Clone)]
pub struct Contract {
    pub(crate) messages: Vec<Message>,
    pub(crate) enums: Vec<Enumeration>,
    pub(crate) services: Vec<Service>,
    pub(crate) methods: Vec<Method>,
    pub(crate) message_names: HashMap<Box<str>, MessageId>,
    pub(crate) enum_names: HashMap<Box<str>, EnumId>,
    /// Serialized `FileDescriptorProto` by file name.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) faults: Vec<ContractFault>,
    pub(crate) digest: [u8; 32],
    /// By full name of the service.
    pub(crate) settings: BTreeMap<Box<str>, MessageId>,
    /// By message and number of the field.
    pub(crate) comments: BTreeMap<(MessageId, u32), Box<str>>,
}

impl Contract {
    /// The message at `id`.
    ///
    /// # Panics
    /// When `id` comes from another contract and is out of range here.
    pub fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }

    /// The message called `full_name`, written without a leading dot.
    pub fn message_named(&self, full_name: &str) -> Option<MessageId> {
        self.message_names.get(full_name).copied()
    }

    /// The field that names and dots lead to, from `message` on; parents are singular messages.
    ///
    /// # Errors
    /// A sentence about the name that leads nowhere.
    pub fn field_path(&self, message: MessageId, text: &str) -> Result<FieldPath, String> {
        follow(&self.messages, message, text).map_err(|unknown| unknown.what)
    }

    /// The enum at `id`.
    ///
    /// # Panics
    /// When `id` comes from another contract and is out of range here.
    pub fn enumeration(&self, id: EnumId) -> &Enumeration {
        &self.enums[id.0 as usize]
    }

    /// All messages; position and [`MessageId`] agree.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }

    /// All enums; position and [`EnumId`] agree.
    pub fn enumerations(&self) -> impl Iterator<Item = &Enumeration> {
        self.enums.iter()
    }

    /// The enum called `full_name`, written without a leading dot.
    pub fn enumeration_named(&self, full_name: &str) -> Option<EnumId> {
        self.enum_names.get(full_name).copied()
    }

    /// The services in the order of their files' names and of their place in the file.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The method at `id`.
    ///
    /// # Panics
    /// When `id` comes from another contract and is out of range here.
    pub fn method(&self, id: MethodId) -> &Method {
        &self.methods[id.0 as usize]
    }

    /// All methods of all services.
    pub fn methods(&self) -> impl Iterator<Item = (MethodId, &Method)> {
        self.methods.iter().enumerate().map(|(index, method)| (MethodId(index as u32), method))
    }

    /// What was left out because it cannot be served; the rest serves (protocols P-15).
    pub fn faults(&self) -> &[ContractFault] {
        &self.faults
    }

    /// SHA-256 of the set: files by name, their source positions removed (protocols X-3).
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// SHA-256 of what one service means to its callers: methods, kinds, rules and reachable
    /// types, whatever files they stand in. Equal for a Rust and a Go upstream that keep one
    /// contract (protocols X-3). `None` for a service that is not here.
    pub fn service_digest(&self, full_name: &str) -> Option<[u8; 32]> {
        let service = self.services.iter().find(|service| &*service.full_name == full_name)?;
        Some(crate::digest::of_service(self, service))
    }

    /// The message that holds the settings of a service (hybrid SE-1); `None` where it declares
    /// none.
    pub fn settings_of(&self, service: &str) -> Option<MessageId> {
        self.settings.get(service).copied()
    }

    /// Full names of the services that declare settings, in order, each with its message.
    pub fn settings(&self) -> impl Iterator<Item = (&str, MessageId)> {
        self.settings.iter().map(|(service, message)| (&**service, *message))
    }

    /// What the file says above a field of a settings message, or behind it where nothing stands
    /// above: lines without their margins, at most
    /// [`COMMENT_BYTES_MOST`](crate::source::COMMENT_BYTES_MOST). `None` of other messages, and
    /// where the descriptors came without comments.
    pub fn comment(&self, message: MessageId, field: &Field) -> Option<&str> {
        self.comments.get(&(message, field.number)).map(|comment| &**comment)
    }

    /// The files as a serialized `google.protobuf.FileDescriptorSet`.
    pub fn descriptor_set(&self) -> Vec<u8> {
        let mut set = Vec::new();
        for (_, file) in self.files() {
            crate::fields::put_bytes(1, file, &mut set);
        }
        set
    }

    /// File names and serialized `google.protobuf.FileDescriptorProto`, in the order of names.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, file)| (name.as_str(), file.as_slice()))
    }
}

/// One service.
#[derive(Debug, Clone)]
pub struct Service {
    /// `package.Service`.
    pub full_name: Box<str>,
    /// In the order of the file.
    pub methods: Vec<MethodId>,
    /// Name of the file that holds it.
    pub file: Box<str>,
}

/// One method.
#[derive(Debug, Clone)]
pub struct Method {
    pub name: Box<str>,
    /// Full name of its service.
    pub service: Box<str>,
    /// `/package.Service/Method`.
    pub path: Box<str>,
    pub input: MessageId,
    pub output: MessageId,
    pub kind: MethodKind,
    pub idempotency: Idempotency,
    /// The rule of `google.api.http` and its additional bindings, those that can be served.
    pub rules: Vec<HttpRule>,
    pub deprecated: bool,
}

impl Method {
    /// `package.Service/Method`, as people write it.
    pub fn full_name(&self) -> &str {
        &self.path[1..]
    }
}

/// The four kinds of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodKind {
    Unary,
    ClientStream,
    ServerStream,
    Bidi,
}

impl MethodKind {
    /// Whether the caller may send any number of messages.
    pub fn many_requests(self) -> bool {
        matches!(self, MethodKind::ClientStream | MethodKind::Bidi)
    }

    /// Whether the upstream may answer any number of messages.
    pub fn many_answers(self) -> bool {
        matches!(self, MethodKind::ServerStream | MethodKind::Bidi)
    }
}

/// `google.protobuf.MethodOptions.idempotency_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Idempotency {
    Unknown,
    NoSideEffects,
    Idempotent,
}

/// One message type.
#[derive(Debug, Clone)]
pub struct Message {
    /// `package.Message`.
    pub full_name: Box<str>,
    /// Extensions of the message stand behind its own fields.
    pub fields: Vec<Field>,
    /// Names of the oneofs, those made for `optional` fields left out.
    pub oneofs: Vec<Box<str>>,
    pub well_known: WellKnown,
    /// The entry type of a map field: field 1 is the key, field 2 the value.
    pub map_entry: bool,
    /// `message_set_wire_format`: it has extensions only, and each stands on the wire in a group
    /// with its number and its bytes.
    pub message_set: bool,
    /// Name of the file that declares it.
    pub file: Arc<str>,
    pub reserved: Reserved,
    /// Whether the file promises a JSON form (`features.json_format = ALLOW`; proto2 does not).
    pub json_format: bool,
    pub(crate) by_number: HashMap<u32, u32>,
    pub(crate) by_name: HashMap<Box<str>, u32>,
}

impl Message {
    /// Index and field with this number.
    pub fn field_numbered(&self, number: u32) -> Option<(usize, &Field)> {
        let index = *self.by_number.get(&number)? as usize;
        Some((index, &self.fields[index]))
    }

    /// Index and field by its JSON name or by its name in the file.
    pub fn field_named(&self, name: &str) -> Option<(usize, &Field)> {
        let index = *self.by_name.get(name)? as usize;
        Some((index, &self.fields[index]))
    }
}

/// Numbers and names that must not be used again.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    /// In order, without overlap.
    numbers: Vec<RangeInclusive<i32>>,
    /// In order, each once.
    names: Vec<Box<str>>,
}

impl Reserved {
    /// Of ranges with their last numbers; an empty one reserves nothing.
    pub(crate) fn new(
        ranges: impl Iterator<Item = (i32, i32)>,
        names: impl Iterator<Item = Box<str>>,
    ) -> Reserved {
        let mut given: Vec<(i32, i32)> = ranges.filter(|(first, last)| first <= last).collect();
        given.sort_unstable();
        let mut numbers: Vec<RangeInclusive<i32>> = Vec::new();
        for (first, last) in given {
            match numbers.last_mut() {
                Some(before) if first <= before.end().saturating_add(1) => {
                    *before = *before.start()..=last.max(*before.end());
                }
                _ => numbers.push(first..=last),
            }
        }
        let mut names: Vec<Box<str>> = names.collect();
        names.sort_unstable();
        names.dedup();
        Reserved { numbers, names }
    }

    /// Ranges in order, without overlap.
    pub fn numbers(&self) -> &[RangeInclusive<i32>] {
        &self.numbers
    }

    /// In order.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// Whether all of `range` is reserved.
    pub fn has_numbers(&self, range: &RangeInclusive<i32>) -> bool {
        let place = self.numbers.partition_point(|kept| kept.end() < range.start());
        let kept = self.numbers.get(place);
        kept.is_some_and(|kept| kept.start() <= range.start() && range.end() <= kept.end())
    }

    /// Whether `name` is reserved.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.binary_search_by(|kept| (**kept).cmp(name)).is_ok()
    }
}

/// One field of a message.
#[derive(Debug, Clone)]
pub struct Field {
    /// As in the file; of an extension `[package.name]`.
    pub name: Box<str>,
    /// As in JSON; of an extension `[package.name]`.
    pub json_name: Box<str>,
    pub number: u32,
    pub kind: Kind,
    pub cardinality: Cardinality,
    pub presence: Presence,
    /// Index into the message's `oneofs`.
    pub oneof: Option<u32>,
    /// Whether a repeated field is written packed.
    pub packed: bool,
    /// Whether a string must be UTF-8 on the wire.
    pub utf8: bool,
    /// The default that the file gives (proto2 and editions), as descriptors write it: numbers in
    /// decimal, enums by name, bytes escaped as in C.
    pub default: Option<Box<str>>,
    pub extension: bool,
    /// `buf.validate.field`, as the file gives it: a serialized `buf.validate.FieldRules`.
    pub rules: Option<Box<[u8]>>,
    /// `debug_redact`: values are not for logs, samples and reports.
    pub redact: bool,
    pub behavior: Behavior,
    pub deprecated: bool,
}

/// What `google.api.field_behavior` says of a field, as far as it is kept (AIP-203).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Behavior {
    /// Callers have to fill it.
    pub required: bool,
    /// Services fill it; callers leave it out.
    pub output_only: bool,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    /// Length-delimited.
    Message(MessageId),
    /// Between group tags: proto2 groups, and `features.message_encoding = DELIMITED`.
    Group(MessageId),
}

impl Kind {
    /// As .proto text writes it; `enum`, `message` and `group` for types that have a name of their
    /// own. Service digests hold these words: they do not change.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Double => "double",
            Kind::Float => "float",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Sint32 => "sint32",
            Kind::Sint64 => "sint64",
            Kind::Fixed32 => "fixed32",
            Kind::Fixed64 => "fixed64",
            Kind::Sfixed32 => "sfixed32",
            Kind::Sfixed64 => "sfixed64",
            Kind::Bool => "bool",
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::Enum(_) => "enum",
            Kind::Message(_) => "message",
            Kind::Group(_) => "group",
        }
    }

    /// The message type of a message or group field.
    pub fn message(self) -> Option<MessageId> {
        match self {
            Kind::Message(id) | Kind::Group(id) => Some(id),
            _ => None,
        }
    }

    /// Whether values of the kind may stand packed: all numbers, booleans and enums.
    pub fn packable(self) -> bool {
        !matches!(self, Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_))
    }

    /// The wire type in which a value of the kind stands unpacked, 0 to 5 (protobuf's encoding
    /// guide, "Message Structure").
    pub fn wire_type(self) -> u8 {
        match self {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
            Kind::String | Kind::Bytes | Kind::Message(_) => 2,
            Kind::Group(_) => 3,
            Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Bool
            | Kind::Enum(_) => 0,
        }
    }
}

/// How often a field may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cardinality {
    Singular,
    Repeated,
    /// The kind is the message of the map's entries.
    Map,
}

/// Whether "not set" and "set to the default" are two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    Implicit,
    Explicit,
    Required,
}

/// One enum type.
#[derive(Debug, Clone)]
pub struct Enumeration {
    /// `package.Enum`.
    pub full_name: Box<str>,
    /// In the order of the file; with `allow_alias` the first name of a number is the one
    /// written.
    pub values: Vec<(Box<str>, i32)>,
    /// Numbers outside the list are no values of it (proto2, `features.enum_type = CLOSED`).
    pub closed: bool,
    /// Name of the file that declares it.
    pub file: Arc<str>,
    pub reserved: Reserved,
    /// Whether the file promises a JSON form (`features.json_format = ALLOW`; proto2 does not).
    pub json_format: bool,
    pub(crate) by_name: HashMap<Box<str>, i32>,
    pub(crate) by_number: HashMap<i32, u32>,
}

impl Enumeration {
    /// The number of the value called `name`.
    pub fn number(&self, name: &str) -> Option<i32> {
        self.by_name.get(name).copied()
    }

    /// The name of the value `number`.
    pub fn name(&self, number: i32) -> Option<&str> {
        let index = *self.by_number.get(&number)?;
        Some(&self.values[index as usize].0)
    }

    /// The value of an unset field: the first of the list.
    pub fn default(&self) -> i32 {
        self.values.first().map_or(0, |(_, number)| *number)
    }
}

/// Messages whose JSON form is their own (ProtoJSON, "Well-known types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WellKnown {
    No,
    Any,
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
    Empty,
    /// `google.protobuf.DoubleValue` and its like: field 1 is the value.
    Wrapper,
    /// `google.api.HttpBody`.
    HttpBody,
}

impl WellKnown {
    pub(crate) fn of(full_name: &str) -> WellKnown {
        if full_name == "google.api.HttpBody" {
            return WellKnown::HttpBody;
        }
        match full_name.strip_prefix("google.protobuf.") {
            Some("Any") => WellKnown::Any,
            Some("Timestamp") => WellKnown::Timestamp,
            Some("Duration") => WellKnown::Duration,
            Some("FieldMask") => WellKnown::FieldMask,
            Some("Struct") => WellKnown::Struct,
            Some("Value") => WellKnown::Value,
            Some("ListValue") => WellKnown::ListValue,
            Some("Empty") => WellKnown::Empty,
            Some(
                "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value"
                | "UInt32Value" | "BoolValue" | "StringValue" | "BytesValue",
            ) => WellKnown::Wrapper,
            _ => WellKnown::No,
        }
    }
}

/// A field reached from a message by names and dots, checked against the types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    /// As it was written: `product.name`.
    pub text: Box<str>,
    /// For each step the message and the index of the field in it.
    pub steps: Vec<(MessageId, usize)>,
}

impl FieldPath {
    /// The field at the end of the path.
    pub fn last<'a>(&self, contract: &'a Contract) -> &'a Field {
        let (message, index) = self.last_step();
        &contract.message(message).fields[index]
    }

    pub(crate) fn last_step(&self) -> (MessageId, usize) {
        *self.steps.last().expect("a path has at least one step")
    }
}

/// Levels of a dotted path, at most.
pub(crate) const PATH_STEPS_MOST: usize = 32;

/// Why a dotted path leads nowhere.
pub(crate) struct Unknown {
    pub(crate) what: String,
    /// The byte of the path that cannot be followed.
    pub(crate) place: usize,
}

/// Follows `text` from `root`; parents must be singular messages.
pub(crate) fn follow(
    messages: &[Message],
    root: MessageId,
    text: &str,
) -> Result<FieldPath, Unknown> {
    let mut steps = Vec::new();
    let mut at = Some(root);
    let mut place = 0;
    for name in text.split('.') {
        let unknown = |what| Err(Unknown { what, place });
        let Some(message) = at else {
            return unknown(format!("`{text}`: only a singular message has fields of its own"));
        };
        if steps.len() == PATH_STEPS_MOST {
            return unknown(format!("`{text}` has more than {PATH_STEPS_MOST} parts"));
        }
        let descriptor = &messages[message.0 as usize];
        let Some((index, field)) = descriptor.field_named(name) else {
            return unknown(format!("`{}` has no field `{name}`", descriptor.full_name));
        };
        steps.push((message, index));
        at = match field.cardinality {
            Cardinality::Singular => field.kind.message(),
            Cardinality::Repeated | Cardinality::Map => None,
        };
        place += name.len() + 1;
    }
    Ok(FieldPath { text: text.into(), steps })
}
