//! Descriptors as they come (a set, or the answers of reflection) → one immutable contract.
//!
//! The only module that knows the descriptor library. Whatever comes in, it ends with a contract
//! or with faults, never with a panic: sizes are bounded before anything is read, and every loop
//! runs over something that was counted. What cannot be served is left out and named; the rest
//! of the contract stays up.
//!
//! Not here: .proto text, which is compiled in a child process by the binary (protocols X-1).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use buffa::Message as _;
use buffa_descriptor::features::{
    self, EnumType, FieldPresence, MessageEncoding, RepeatedFieldEncoding, ResolvedFeatures,
    Utf8Validation,
};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::method_options::IdempotencyLevel;
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    MethodDescriptorProto,
};

use crate::http_rule;
use crate::types::{
    Cardinality, Contract, EnumId, Enumeration, Field, Idempotency, Kind, Message, MessageId,
    Method, MethodId, MethodKind, Presence, Service, WellKnown,
};
use crate::{digest, fields};

/// Bytes of all files together.
const BYTES_MOST: usize = 16 << 20;
/// Messages, enums, fields and methods together.
const ITEMS_MOST: usize = 500_000;

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

fn unusable(file: &str, what: impl Into<String>, fix: &str) -> ContractFaults {
    ContractFaults(vec![fault(file, "", what, fix)])
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

impl Contract {
    /// Reads a serialized `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    /// When the bytes are no descriptor set, or more than 16 MiB.
    pub fn from_descriptor_set(bytes: &[u8]) -> Result<Contract, ContractFaults> {
        if bytes.len() > BYTES_MOST {
            return Err(unusable("", format!("more than {BYTES_MOST} bytes"), FIX_SET));
        }
        let mut files = Vec::new();
        for field in fields::each(bytes) {
            let field = field.map_err(|what| {
                unusable("", format!("this is no descriptor set: {what}"), FIX_SET)
            })?;
            if field.number == 1 {
                files.push(field.bytes.to_vec());
            }
        }
        if files.is_empty() {
            return Err(unusable("", "the descriptor set holds no file", FIX_SET));
        }
        Contract::from_file_descriptors(&files)
    }

    /// Reads serialized `google.protobuf.FileDescriptorProto`s, in any order; of two files with
    /// one name the first counts.
    ///
    /// # Errors
    /// When a file is none, or all together are more than 16 MiB.
    pub fn from_file_descriptors(files: &[Vec<u8>]) -> Result<Contract, ContractFaults> {
        if files.iter().map(Vec::len).sum::<usize>() > BYTES_MOST {
            return Err(unusable("", format!("more than {BYTES_MOST} bytes"), FIX_SET));
        }
        let mut by_name: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
        for bytes in files {
            let mut file = FileDescriptorProto::decode_from_slice(bytes).map_err(|error| {
                unusable("", format!("a file descriptor cannot be read: {error}"), FIX_SET)
            })?;
            file.source_code_info = Default::default();
            by_name.entry(file.name.clone().unwrap_or_default()).or_insert(file);
        }
        Builder::default().build(&by_name)
    }
}

/// A message type and where it came from, before its fields can be resolved.
struct Declared<'a> {
    file: &'a str,
    full_name: String,
    proto: &'a DescriptorProto,
    features: ResolvedFeatures,
}

#[derive(Default)]
struct Builder {
    messages: Vec<Message>,
    enums: Vec<Enumeration>,
    message_names: HashMap<Box<str>, MessageId>,
    enum_names: HashMap<Box<str>, EnumId>,
    faults: Vec<ContractFault>,
    items: usize,
}

impl Builder {
    fn build(
        mut self,
        files: &BTreeMap<String, FileDescriptorProto>,
    ) -> Result<Contract, ContractFaults> {
        let mut declared = Vec::new();
        let mut extensions = Vec::new();
        for (name, file) in files {
            let features = features::for_file(file);
            let package = file.package.as_deref().unwrap_or("");
            for proto in &file.message_type {
                self.declare(name, package, proto, features, &mut declared, &mut extensions)?;
            }
            for proto in &file.enum_type {
                self.declare_enum(package, proto, features)?;
            }
            for field in &file.extension {
                extensions.push((name.as_str(), package.to_owned(), field, features));
            }
        }
        for (index, message) in declared.iter().enumerate() {
            self.fill(index, message);
        }
        for (file, scope, field, features) in &extensions {
            self.extend(file, scope, field, *features);
        }
        let mut services = Vec::new();
        let mut methods = Vec::new();
        for (name, file) in files {
            let package = file.package.as_deref().unwrap_or("");
            for proto in &file.service {
                let full_name = join(package, proto.name.as_deref().unwrap_or(""));
                let mut ids = Vec::new();
                for method in &proto.method {
                    self.count(1)?;
                    if let Some(method) = self.method(name, &full_name, method) {
                        ids.push(MethodId(methods.len() as u32));
                        methods.push(method);
                    }
                }
                services.push(Service {
                    full_name: full_name.into(),
                    methods: ids,
                    file: name.as_str().into(),
                });
            }
        }
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(name, file)| (name.clone(), file.encode_to_vec())).collect();
        let digest =
            digest::of_files(files.iter().map(|(name, file)| (name.as_str(), file.as_slice())));
        Ok(Contract {
            messages: self.messages,
            enums: self.enums,
            services,
            methods,
            message_names: self.message_names,
            files,
            faults: self.faults,
            digest,
        })
    }

    fn count(&mut self, items: usize) -> Result<(), ContractFaults> {
        self.items += items;
        if self.items > ITEMS_MOST {
            return Err(unusable(
                "",
                format!("more than {ITEMS_MOST} messages, fields and methods"),
                "serve only the services that are needed",
            ));
        }
        Ok(())
    }

    /// Gives every message and enum its index. Recursion is as deep as types nest, which the
    /// reader has bounded.
    fn declare<'a>(
        &mut self,
        file: &'a str,
        scope: &str,
        proto: &'a DescriptorProto,
        parent: ResolvedFeatures,
        declared: &mut Vec<Declared<'a>>,
        extensions: &mut Vec<(&'a str, String, &'a FieldDescriptorProto, ResolvedFeatures)>,
    ) -> Result<(), ContractFaults> {
        self.count(1 + proto.field.len())?;
        let full_name = join(scope, proto.name.as_deref().unwrap_or(""));
        let features = features::resolve_child(&parent, features::message_features(proto));
        let id = MessageId(self.messages.len() as u32);
        self.message_names.entry(full_name.as_str().into()).or_insert(id);
        self.messages.push(Message {
            full_name: full_name.as_str().into(),
            fields: Vec::new(),
            oneofs: Vec::new(),
            well_known: WellKnown::of(&full_name),
            map_entry: proto
                .options
                .as_option()
                .is_some_and(|options| options.map_entry.unwrap_or(false)),
            by_number: HashMap::new(),
            by_name: HashMap::new(),
        });
        declared.push(Declared { file, full_name: full_name.clone(), proto, features });
        for nested in &proto.nested_type {
            self.declare(file, &full_name, nested, features, declared, extensions)?;
        }
        for nested in &proto.enum_type {
            self.declare_enum(&full_name, nested, features)?;
        }
        for field in &proto.extension {
            extensions.push((file, full_name.clone(), field, features));
        }
        Ok(())
    }

    fn declare_enum(
        &mut self,
        scope: &str,
        proto: &EnumDescriptorProto,
        parent: ResolvedFeatures,
    ) -> Result<(), ContractFaults> {
        self.count(1 + proto.value.len())?;
        let full_name = join(scope, proto.name.as_deref().unwrap_or(""));
        let features = features::resolve_child(&parent, features::enum_features(proto));
        let values: Vec<(Box<str>, i32)> = proto
            .value
            .iter()
            .map(|value| (value.name.as_deref().unwrap_or("").into(), value.number.unwrap_or(0)))
            .collect();
        let by_name = values.iter().map(|(name, number)| (name.clone(), *number)).collect();
        let mut by_number = HashMap::new();
        for (index, (_, number)) in values.iter().enumerate() {
            by_number.entry(*number).or_insert(index as u32);
        }
        let id = EnumId(self.enums.len() as u32);
        self.enum_names.entry(full_name.as_str().into()).or_insert(id);
        self.enums.push(Enumeration {
            full_name: full_name.into(),
            values,
            closed: features.enum_type == EnumType::Closed,
            by_name,
            by_number,
        });
        Ok(())
    }

    fn fill(&mut self, index: usize, declared: &Declared<'_>) {
        // Oneofs made for proto3 `optional` have exactly one member, which says so.
        let made: HashSet<i32> = declared
            .proto
            .field
            .iter()
            .filter(|field| field.proto3_optional.unwrap_or(false))
            .filter_map(|field| field.oneof_index)
            .collect();
        let mut renumbered = HashMap::new();
        for (number, oneof) in declared.proto.oneof_decl.iter().enumerate() {
            if !made.contains(&(number as i32)) {
                let oneofs = &mut self.messages[index].oneofs;
                renumbered.insert(number as i32, oneofs.len() as u32);
                oneofs.push(oneof.name.as_deref().unwrap_or("").into());
            }
        }
        for proto in &declared.proto.field {
            let oneof = proto.oneof_index.and_then(|number| renumbered.get(&number).copied());
            match self.field(proto, declared.features, oneof) {
                Ok(field) => self.add_field(index, field),
                Err((what, fix)) => {
                    let symbol =
                        format!("{}.{}", declared.full_name, proto.name.as_deref().unwrap_or(""));
                    self.faults.push(fault(declared.file, &symbol, what, fix));
                }
            }
        }
    }

    fn add_field(&mut self, index: usize, field: Field) {
        let message = &mut self.messages[index];
        let place = message.fields.len() as u32;
        message.by_number.entry(field.number).or_insert(place);
        message.by_name.insert(field.json_name.clone(), place);
        message.by_name.entry(field.name.clone()).or_insert(place);
        message.fields.push(field);
    }

    fn extend(
        &mut self,
        file: &str,
        scope: &str,
        proto: &FieldDescriptorProto,
        parent: ResolvedFeatures,
    ) {
        let full_name = join(scope, proto.name.as_deref().unwrap_or(""));
        let extendee = proto.extendee.as_deref().unwrap_or("").trim_start_matches('.');
        // Options of files that were not handed over are of no use here.
        let Some(target) = self.message_names.get(extendee).copied() else { return };
        match self.field(proto, parent, None) {
            Ok(mut field) => {
                let name: Box<str> = format!("[{full_name}]").into();
                field.name = name.clone();
                field.json_name = name;
                field.extension = true;
                self.add_field(target.0 as usize, field);
            }
            Err((what, fix)) => self.faults.push(fault(file, &full_name, what, fix)),
        }
    }

    fn field(
        &self,
        proto: &FieldDescriptorProto,
        parent: ResolvedFeatures,
        oneof: Option<u32>,
    ) -> Result<Field, (String, &'static str)> {
        let features = features::resolve_child(&parent, features::field_features(proto));
        let name: Box<str> = proto.name.as_deref().unwrap_or("").into();
        let number = proto
            .number
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (1..1 << 29).contains(number))
            .ok_or_else(|| {
                (format!("`{name}` has no usable number"), "use a number from 1 to 536,870,911")
            })?;
        let type_name = proto.type_name.as_deref().unwrap_or("").trim_start_matches('.');
        let message = || {
            self.message_names
                .get(type_name)
                .copied()
                .ok_or_else(|| (format!("its type `{type_name}` is not in the contract"), FIX_SET))
        };
        let kind = match proto.r#type {
            Some(Type::TYPE_DOUBLE) => Kind::Double,
            Some(Type::TYPE_FLOAT) => Kind::Float,
            Some(Type::TYPE_INT64) => Kind::Int64,
            Some(Type::TYPE_UINT64) => Kind::Uint64,
            Some(Type::TYPE_INT32) => Kind::Int32,
            Some(Type::TYPE_FIXED64) => Kind::Fixed64,
            Some(Type::TYPE_FIXED32) => Kind::Fixed32,
            Some(Type::TYPE_BOOL) => Kind::Bool,
            Some(Type::TYPE_STRING) => Kind::String,
            Some(Type::TYPE_GROUP) => Kind::Group(message()?),
            Some(Type::TYPE_MESSAGE) => {
                let id = message()?;
                // A map's entries are length-delimited whatever the file says of messages.
                let entry = self.messages[id.0 as usize].map_entry;
                if features.message_encoding == MessageEncoding::Delimited && !entry {
                    Kind::Group(id)
                } else {
                    Kind::Message(id)
                }
            }
            Some(Type::TYPE_BYTES) => Kind::Bytes,
            Some(Type::TYPE_UINT32) => Kind::Uint32,
            Some(Type::TYPE_ENUM) => {
                Kind::Enum(self.enum_names.get(type_name).copied().ok_or_else(|| {
                    (format!("its type `{type_name}` is not in the contract"), FIX_SET)
                })?)
            }
            Some(Type::TYPE_SFIXED32) => Kind::Sfixed32,
            Some(Type::TYPE_SFIXED64) => Kind::Sfixed64,
            Some(Type::TYPE_SINT32) => Kind::Sint32,
            Some(Type::TYPE_SINT64) => Kind::Sint64,
            _ => return Err((format!("`{name}` has no usable type"), FIX_SET)),
        };
        let repeated = proto.label == Some(Label::LABEL_REPEATED);
        let map = matches!(kind, Kind::Message(id) if self.messages[id.0 as usize].map_entry);
        let cardinality = match (repeated, map) {
            (true, true) => Cardinality::Map,
            (true, false) => Cardinality::Repeated,
            (false, _) => Cardinality::Singular,
        };
        let presence = if repeated {
            Presence::Implicit
        } else if proto.label == Some(Label::LABEL_REQUIRED)
            || features.field_presence == FieldPresence::LegacyRequired
        {
            Presence::Required
        } else if proto.proto3_optional.unwrap_or(false)
            || proto.oneof_index.is_some()
            || kind.message().is_some()
            || features.field_presence == FieldPresence::Explicit
        {
            Presence::Explicit
        } else {
            Presence::Implicit
        };
        let options = proto.options.as_option();
        let packed = repeated
            && kind.packable()
            && options
                .and_then(|options| options.packed)
                .unwrap_or(features.repeated_field_encoding == RepeatedFieldEncoding::Packed);
        let json_name = match &proto.json_name {
            Some(json_name) => json_name.as_str().into(),
            None => json_name_of(&name).into(),
        };
        Ok(Field {
            name,
            json_name,
            number,
            kind,
            cardinality,
            presence,
            oneof,
            packed,
            utf8: features.utf8_validation == Utf8Validation::Verify,
            extension: false,
            deprecated: options.is_some_and(|options| options.deprecated.unwrap_or(false)),
        })
    }

    fn method(
        &mut self,
        file: &str,
        service: &str,
        proto: &MethodDescriptorProto,
    ) -> Option<Method> {
        let name = proto.name.as_deref().unwrap_or("");
        let full_name = format!("{service}/{name}");
        let mut type_of = |type_name: &Option<String>| {
            let type_name = type_name.as_deref().unwrap_or("").trim_start_matches('.');
            let found = self.message_names.get(type_name).copied();
            if found.is_none() {
                let what = format!("its type `{type_name}` is not in the contract");
                self.faults.push(fault(file, &full_name, what, FIX_SET));
            }
            found
        };
        let input = type_of(&proto.input_type);
        let output = type_of(&proto.output_type);
        let (input, output) = (input?, output?);
        let kind = match (
            proto.client_streaming.unwrap_or(false),
            proto.server_streaming.unwrap_or(false),
        ) {
            (false, false) => MethodKind::Unary,
            (true, false) => MethodKind::ClientStream,
            (false, true) => MethodKind::ServerStream,
            (true, true) => MethodKind::Bidi,
        };
        let options = proto.options.as_option();
        let idempotency = match options.and_then(|options| options.idempotency_level) {
            Some(IdempotencyLevel::NO_SIDE_EFFECTS) => Idempotency::NoSideEffects,
            Some(IdempotencyLevel::IDEMPOTENT) => Idempotency::Idempotent,
            Some(IdempotencyLevel::IDEMPOTENCY_UNKNOWN) | None => Idempotency::Unknown,
        };
        let rules = match options {
            Some(options) => {
                // The library keeps extensions that it does not know as bytes (protocols X-2).
                let (rules, faults) =
                    http_rule::of_options(&options.encode_to_vec(), &self.messages, input, output);
                for (column, what, fix) in faults {
                    self.faults
                        .push(ContractFault { column, ..fault(file, &full_name, what, &fix) });
                }
                rules
            }
            None => Vec::new(),
        };
        Some(Method {
            name: name.into(),
            service: service.into(),
            path: format!("/{full_name}").into(),
            input,
            output,
            kind,
            idempotency,
            rules,
            deprecated: options.is_some_and(|options| options.deprecated.unwrap_or(false)),
        })
    }
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// lowerCamelCase as `protoc` makes it: an underscore goes, the letter behind it grows.
fn json_name_of(name: &str) -> String {
    let mut json_name = String::with_capacity(name.len());
    let mut grow = false;
    for letter in name.chars() {
        if letter == '_' {
            grow = true;
        } else if std::mem::take(&mut grow) {
            json_name.push(letter.to_ascii_uppercase());
        } else {
            json_name.push(letter);
        }
    }
    json_name
}
