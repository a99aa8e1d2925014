//! File descriptors → the tables of a contract.
//!
//! Names first, so that types may be used before they are declared; then the entries of maps,
//! which decide what a map is; then all other fields, extensions, and services. Each name exists
//! once: what is declared again is left out and named with both places.
//!
//! Not here: single fields (`field`), methods (`service`), shapes that the codec relies on (`shape`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use buffa::Message as _;
use buffa_descriptor::features::{self, EnumType, JsonFormat, MessageEncoding, ResolvedFeatures};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, Edition, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use super::field::cut;
use super::{FIX_SET, Faults, fault, settings, shape};
use crate::digest;
use crate::types::{
    Contract, EnumId, Enumeration, Field, Message, MessageId, Method, Reserved, Service, WellKnown,
};

/// Bytes of a full name. With as many messages as may be, names stay below 20 MiB.
pub(super) const NAME_BYTES_MOST: usize = 1_024;

pub(super) const FIX_ONCE: &str = "declare it once";

/// A message type, before its fields can be resolved.
struct Declared<'a> {
    file: Arc<str>,
    full_name: String,
    proto: &'a DescriptorProto,
    features: ResolvedFeatures,
}

/// An extension, before its fields can be resolved.
struct Extension<'a> {
    file: Arc<str>,
    scope: String,
    proto: &'a FieldDescriptorProto,
    features: ResolvedFeatures,
}

/// What declares something: a file, or a message in it.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) file: &'a Arc<str>,
    pub(super) name: &'a str,
    pub(super) features: ResolvedFeatures,
}

pub(super) struct Builder {
    pub(super) messages: Vec<Message>,
    enums: Vec<Enumeration>,
    pub(super) services: Vec<Service>,
    pub(super) methods: Vec<Method>,
    pub(super) message_names: HashMap<Box<str>, MessageId>,
    pub(super) enum_names: HashMap<Box<str>, EnumId>,
    pub(super) service_names: HashSet<Box<str>>,
    /// Messages with an option of the number of `tandem.settings.v1.settings`, and its bytes.
    pub(super) settings: Vec<(MessageId, Vec<u8>)>,
    pub(super) faults: Faults,
}

impl Builder {
    pub(super) fn new(faults: Faults) -> Builder {
        Builder {
            messages: Vec::new(),
            enums: Vec::new(),
            services: Vec::new(),
            methods: Vec::new(),
            message_names: HashMap::new(),
            enum_names: HashMap::new(),
            service_names: HashSet::new(),
            settings: Vec::new(),
            faults,
        }
    }

    pub(super) fn build(mut self, files: &BTreeMap<String, FileDescriptorProto>) -> Contract {
        let usable: Vec<(Arc<str>, &FileDescriptorProto)> = files
            .iter()
            .filter(|(name, file)| self.is_usable(name, file))
            .map(|(name, file)| (name.as_str().into(), file))
            .collect();
        let mut declared = Vec::new();
        let mut extensions = Vec::new();
        for (name, file) in &usable {
            let package = file.package.as_deref().unwrap_or("");
            let scope = Scope { file: name, name: package, features: features::for_file(file) };
            for proto in &file.message_type {
                self.declare(scope, proto, &mut declared, &mut extensions);
            }
            for proto in &file.enum_type {
                self.declare_enum(scope, proto);
            }
            extensions.extend(file.extension.iter().map(|proto| extension(scope, proto)));
        }
        for entries in [true, false] {
            for (index, message) in declared.iter().enumerate() {
                if self.messages[index].map_entry == entries {
                    self.fill(index, message);
                }
            }
        }
        for extension in &extensions {
            self.extend(extension);
        }
        self.give_forms();
        for (name, file) in &usable {
            let package = file.package.as_deref().unwrap_or("");
            for proto in &file.service {
                self.service(name, package, proto);
            }
        }
        let declared =
            |extension: &Extension<'_>| settings::is_option(&extension.scope, extension.proto);
        let settings = match extensions.iter().any(declared) {
            true => self.settings(),
            // The number is free for everybody, so it is somebody else's.
            false => BTreeMap::new(),
        };
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(name, file)| (name.clone(), file.encode_to_vec())).collect();
        let digest =
            digest::of_files(files.iter().map(|(name, file)| (name.as_str(), file.as_slice())));
        Contract {
            messages: self.messages,
            enums: self.enums,
            services: self.services,
            methods: self.methods,
            message_names: self.message_names,
            enum_names: self.enum_names,
            files,
            faults: self.faults.all(),
            digest,
            settings,
            comments: BTreeMap::new(),
        }
    }

    /// Whether the rules by which a file is to be read are known.
    fn is_usable(&mut self, name: &str, file: &FileDescriptorProto) -> bool {
        let refused = match (file.syntax.as_deref(), file.edition) {
            (None | Some("" | "proto2" | "proto3"), _)
            | (Some("editions"), Some(Edition::EDITION_2023 | Edition::EDITION_2024)) => None,
            (Some("editions"), _) => Some((
                "its edition is not known here",
                "write `edition = \"2024\"` or an older one",
            )),
            (Some(_), _) => Some(("its syntax is not known here", FIX_SET)),
        };
        let package = file.package.as_deref().unwrap_or("");
        let packaged = package.is_empty() || package.split('.').all(is_identifier);
        let refused = refused.or_else(|| {
            let named = packaged && package.len() <= NAME_BYTES_MOST;
            (!named).then_some(("its package is no name", FIX_SET))
        });
        if let Some((what, fix)) = refused {
            self.faults.add(fault(name, "", what, fix));
        }
        refused.is_none()
    }

    /// The full name of something new, or a fault: it is no name, too long, or known already.
    pub(super) fn new_name(&mut self, scope: Scope<'_>, name: &str) -> Option<String> {
        let full_name = join(scope.name, name);
        let other = if let Some(id) = self.message_names.get(full_name.as_str()) {
            Some(Arc::clone(&self.messages[id.0 as usize].file))
        } else {
            let id = self.enum_names.get(full_name.as_str());
            id.map(|id| Arc::clone(&self.enums[id.0 as usize].file))
        };
        let (what, fix) = if !is_identifier(name) {
            (format!("`{}` is no name", cut(name)), FIX_SET)
        } else if full_name.len() > NAME_BYTES_MOST {
            (format!("its full name has more than {NAME_BYTES_MOST} bytes"), "shorten it")
        } else if let Some(other) = other {
            (format!("it is declared in `{}` already, which counts", cut(&other)), FIX_ONCE)
        } else {
            return Some(full_name);
        };
        self.faults.add(fault(scope.file, &cut(&full_name), what, fix));
        None
    }

    /// Gives every message and enum its index. Recursion is as deep as types nest, which has been
    /// counted.
    fn declare<'a>(
        &mut self,
        scope: Scope<'_>,
        proto: &'a DescriptorProto,
        declared: &mut Vec<Declared<'a>>,
        extensions: &mut Vec<Extension<'a>>,
    ) {
        let Some(full_name) = self.new_name(scope, proto.name.as_deref().unwrap_or("")) else {
            return;
        };
        let features = features::resolve_child(&scope.features, features::message_features(proto));
        let options = proto.options.as_option();
        let id = MessageId(self.messages.len() as u32);
        self.message_names.insert(full_name.as_str().into(), id);
        if let Some(option) = options.and_then(settings::option_of) {
            self.settings.push((id, option));
        }
        self.messages.push(Message {
            full_name: full_name.as_str().into(),
            fields: Vec::new(),
            oneofs: Vec::new(),
            well_known: WellKnown::No,
            map_entry: options.is_some_and(|options| options.map_entry.unwrap_or(false)),
            message_set: options
                .is_some_and(|options| options.message_set_wire_format.unwrap_or(false)),
            file: Arc::clone(scope.file),
            reserved: Reserved::new(
                // The end of a range stands behind it in messages, and in it in enums.
                proto.reserved_range.iter().map(|range| {
                    (range.start.unwrap_or(0), range.end.unwrap_or(0).saturating_sub(1))
                }),
                proto.reserved_name.iter().map(|name| name.as_str().into()),
            ),
            json_format: features.json_format == JsonFormat::Allow,
            by_number: HashMap::new(),
            by_name: HashMap::new(),
        });
        let inner = Scope { file: scope.file, name: &full_name, features };
        let file = Arc::clone(scope.file);
        declared.push(Declared { file, full_name: full_name.clone(), proto, features });
        for nested in &proto.nested_type {
            self.declare(inner, nested, declared, extensions);
        }
        for nested in &proto.enum_type {
            self.declare_enum(inner, nested);
        }
        extensions.extend(proto.extension.iter().map(|proto| extension(inner, proto)));
    }

    fn declare_enum(&mut self, scope: Scope<'_>, proto: &EnumDescriptorProto) {
        let Some(full_name) = self.new_name(scope, proto.name.as_deref().unwrap_or("")) else {
            return;
        };
        let features = features::resolve_child(&scope.features, features::enum_features(proto));
        let mut values: Vec<(Box<str>, i32)> = Vec::with_capacity(proto.value.len());
        let mut by_name = HashMap::with_capacity(proto.value.len());
        let mut by_number = HashMap::with_capacity(proto.value.len());
        for value in &proto.value {
            let name = value.name.as_deref().unwrap_or("");
            let number = value.number.unwrap_or(0);
            let what = if !is_identifier(name) {
                format!("`{}` is no name of a value", cut(name))
            } else if by_name.contains_key(name) {
                format!("it has two values `{}`; the first one counts", cut(name))
            } else {
                by_name.insert(name.into(), number);
                // Of several names for one number (`allow_alias`) the first one is written.
                by_number.entry(number).or_insert(values.len() as u32);
                values.push((name.into(), number));
                continue;
            };
            self.faults.add(fault(scope.file, &full_name, what, FIX_SET));
        }
        if values.is_empty() {
            self.faults.add(fault(scope.file, &full_name, "an enum without a value", FIX_SET));
        }
        let id = EnumId(self.enums.len() as u32);
        self.enum_names.insert(full_name.as_str().into(), id);
        self.enums.push(Enumeration {
            full_name: full_name.into(),
            values,
            closed: features.enum_type == EnumType::Closed,
            file: Arc::clone(scope.file),
            reserved: Reserved::new(
                proto
                    .reserved_range
                    .iter()
                    .map(|range| (range.start.unwrap_or(0), range.end.unwrap_or(0))),
                proto.reserved_name.iter().map(|name| name.as_str().into()),
            ),
            json_format: features.json_format == JsonFormat::Allow,
            by_name,
            by_number,
        });
    }

    fn fill(&mut self, index: usize, declared: &Declared<'_>) {
        let Declared { file, full_name, proto, features } = declared;
        let mut features = *features;
        if self.messages[index].map_entry {
            // What a file says of messages is not said of a map's values (Protocol Buffers,
            // "Editions", `message_encoding`).
            features.message_encoding = MessageEncoding::LengthPrefixed;
        }
        // Oneofs made for proto3 `optional` have exactly one member, which says so.
        let made: HashSet<i32> = proto
            .field
            .iter()
            .filter(|field| field.proto3_optional.unwrap_or(false))
            .filter_map(|field| field.oneof_index)
            .collect();
        let mut oneofs = HashMap::new();
        for (number, oneof) in (0..).zip(&proto.oneof_decl) {
            if !made.contains(&number) {
                let kept = &mut self.messages[index].oneofs;
                let inherited = features::resolve_child(&features, features::oneof_features(oneof));
                oneofs.insert(number, (kept.len() as u32, inherited));
                kept.push(oneof.name.as_deref().unwrap_or("").into());
            }
        }
        for field in &proto.field {
            let (oneof, parent) = match field.oneof_index {
                None => (None, features),
                Some(number) if made.contains(&number) => (None, features),
                Some(number) => match oneofs.get(&number) {
                    Some((place, inherited)) => (Some(*place), *inherited),
                    None => (None, features),
                },
            };
            let outcome = self.field(field, parent, oneof);
            let outcome = outcome.and_then(|field| {
                self.fits(index, &field)?;
                Ok(field)
            });
            match outcome {
                Ok(field) => self.add_field(index, field),
                Err((what, fix)) => {
                    let name = cut(field.name.as_deref().unwrap_or(""));
                    let symbol = format!("{full_name}.{name}");
                    self.faults.add(fault(file, &symbol, what, fix));
                }
            }
        }
    }

    /// Whether the message has no other field of the number or of the name.
    fn fits(&self, index: usize, field: &Field) -> Result<(), (String, &'static str)> {
        let message = &self.messages[index];
        if let Some((_, other)) = message.field_numbered(field.number) {
            let what = format!("number {} is that of `{}` already", field.number, other.name);
            return Err((what, "give each field a number of its own"));
        }
        if let Some((_, other)) = message.field_named(&field.json_name)
            && other.json_name == field.json_name
        {
            let name = cut(&field.json_name);
            let what = format!("its JSON name `{name}` is that of `{}` already", other.name);
            return Err((what, "give one of them a `json_name` of its own"));
        }
        if let Some((_, other)) = message.field_named(&field.name)
            && other.name == field.name
        {
            return Err(("the message has a field of this name already".into(), FIX_ONCE));
        }
        Ok(())
    }

    fn add_field(&mut self, index: usize, field: Field) {
        let message = &mut self.messages[index];
        let place = message.fields.len() as u32;
        message.by_number.insert(field.number, place);
        // A JSON name goes before another field's name in the file.
        message.by_name.insert(field.json_name.clone(), place);
        message.by_name.entry(field.name.clone()).or_insert(place);
        message.fields.push(field);
    }

    fn extend(&mut self, extension: &Extension<'_>) {
        let Extension { file, scope, proto, features } = extension;
        let extendee = proto.extendee.as_deref().unwrap_or("").trim_start_matches('.');
        // Options of files that were not handed over are of no use here.
        let Some(target) = self.message_names.get(extendee).copied() else { return };
        let full_name = join(scope, proto.name.as_deref().unwrap_or(""));
        let outcome = self.field(proto, *features, None).and_then(|field| {
            if full_name.len() > NAME_BYTES_MOST {
                let what = format!("its full name has more than {NAME_BYTES_MOST} bytes");
                return Err((what, "shorten it"));
            }
            let name: Box<str> = format!("[{full_name}]").into();
            let field = Field { name: name.clone(), json_name: name, extension: true, ..field };
            self.fits(target.0 as usize, &field)?;
            Ok(field)
        });
        match outcome {
            Ok(field) => self.add_field(target.0 as usize, field),
            Err((what, fix)) => self.faults.add(fault(file, &cut(&full_name), what, fix)),
        }
    }

    /// Gives the messages with a JSON form of their own that form.
    fn give_forms(&mut self) {
        for index in 0..self.messages.len() {
            let message = &self.messages[index];
            let form = shape::well_known(message, &self.messages);
            if form != WellKnown::of(&message.full_name) {
                let what = "it is not the message that is published under this name, \
                            and is treated as any other";
                let fault = fault(&message.file, &message.full_name, what, FIX_SET);
                self.faults.add(fault);
            }
            self.messages[index].well_known = form;
        }
    }
}

fn extension<'a>(scope: Scope<'_>, proto: &'a FieldDescriptorProto) -> Extension<'a> {
    Extension {
        file: Arc::clone(scope.file),
        scope: scope.name.to_owned(),
        proto,
        features: scope.features,
    }
}

/// Letters, digits and underscores, no digit first: what `protoc` takes for a name.
pub(super) fn is_identifier(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
