//! One field descriptor → one field.
//!
//! Not here: whether it fits beside the message's other fields (`build`).

use buffa::Message as _;
use buffa_descriptor::features::{
    self, FieldPresence, MessageEncoding, RepeatedFieldEncoding, ResolvedFeatures, Utf8Validation,
};
use buffa_descriptor::generated::descriptor::FieldDescriptorProto;
use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};

use super::FIX_SET;
use super::build::{Builder, is_identifier};
use super::shape;
use crate::fields;
use crate::types::{Behavior, Cardinality, Field, Kind, Presence};

/// What is wrong and what to do about it.
pub(super) type Refused = (String, &'static str);

/// Number of the extension `buf.validate.field` of `google.protobuf.FieldOptions`.
const RULES_OPTION: u32 = 1159;

/// Number of the extension `google.api.field_behavior` of `google.protobuf.FieldOptions`.
const BEHAVIOR_OPTION: u32 = 1052;
const REQUIRED: u64 = 2;
const OUTPUT_ONLY: u64 = 3;

const FIX_NUMBER: &str = "use a number from 1 to 536,870,911";

/// The rules in a serialized `google.protobuf.FieldOptions`; an option that was written in parts
/// is all of them.
fn rules_of(options: &[u8]) -> Option<Box<[u8]>> {
    let parts = fields::each(options).map_while(Result::ok);
    let rules: Vec<&[u8]> =
        parts.filter(|field| field.number == RULES_OPTION).map(|field| field.bytes).collect();
    (!rules.is_empty()).then(|| rules.concat().into())
}

/// The behavior in a serialized `google.protobuf.FieldOptions`, whether or not it is packed.
fn behavior_of(options: &[u8]) -> Behavior {
    let mut behavior = Behavior::default();
    let parts = fields::each(options).map_while(Result::ok);
    for part in parts.filter(|field| field.number == BEHAVIOR_OPTION) {
        let packed = fields::varints(part.bytes);
        for value in packed.chain(part.bytes.is_empty().then_some(part.value)) {
            behavior.required |= value == REQUIRED;
            behavior.output_only |= value == OUTPUT_ONLY;
        }
    }
    behavior
}

impl Builder {
    /// The field that `proto` describes, which inherits `parent`; names are already declared, and
    /// the entries of maps filled.
    pub(super) fn field(
        &self,
        proto: &FieldDescriptorProto,
        parent: ResolvedFeatures,
        oneof: Option<u32>,
    ) -> Result<Field, Refused> {
        let features = features::resolve_child(&parent, features::field_features(proto));
        let name = proto.name.as_deref().unwrap_or("");
        if !is_identifier(name) {
            return Err(("its name is none".into(), FIX_SET));
        }
        let number = proto
            .number
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (1..1 << 29).contains(number))
            .ok_or_else(|| ("it has no usable number".to_owned(), FIX_NUMBER))?;
        let json_name = match &proto.json_name {
            Some(given) if given.starts_with('[') || given.contains('\0') || given.is_empty() => {
                let what = format!("`{}` is no JSON name", given.escape_debug());
                return Err((what, "correct its `json_name`"));
            }
            Some(given) => given.as_str().into(),
            None => json_name_of(name).into(),
        };
        let repeated = proto.label == Some(Label::LABEL_REPEATED);
        let kind = self.kind(proto, features)?;
        let entry = kind.message().map(|id| &self.messages[id.0 as usize]);
        let map = match entry.filter(|entry| entry.map_entry) {
            None => false,
            Some(_) if !repeated || matches!(kind, Kind::Group(_)) => {
                return Err(("only a map has the type of a map's entry".into(), FIX_SET));
            }
            Some(entry) => {
                shape::map_entry(entry, &self.messages).map_err(|what| (what.into(), FIX_SET))?;
                true
            }
        };
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
        // The library keeps extensions that it does not know as bytes (protocols X-2).
        let written = options.map(|options| options.encode_to_vec());
        Ok(Field {
            name: name.into(),
            json_name,
            number,
            kind,
            cardinality,
            presence,
            oneof,
            packed,
            utf8: features.utf8_validation == Utf8Validation::Verify,
            default: proto.default_value.as_deref().map(Into::into),
            extension: false,
            rules: written.as_deref().and_then(rules_of),
            behavior: written.as_deref().map(behavior_of).unwrap_or_default(),
            redact: options.is_some_and(|options| options.debug_redact.unwrap_or(false)),
            deprecated: options.is_some_and(|options| options.deprecated.unwrap_or(false)),
        })
    }

    fn kind(
        &self,
        proto: &FieldDescriptorProto,
        features: ResolvedFeatures,
    ) -> Result<Kind, Refused> {
        let type_name = proto.type_name.as_deref().unwrap_or("").trim_start_matches('.');
        let absent = || (format!("its type `{}` is not in the contract", cut(type_name)), FIX_SET);
        let message = || self.message_names.get(type_name).copied().ok_or_else(absent);
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
                Kind::Enum(self.enum_names.get(type_name).copied().ok_or_else(absent)?)
            }
            Some(Type::TYPE_SFIXED32) => Kind::Sfixed32,
            Some(Type::TYPE_SFIXED64) => Kind::Sfixed64,
            Some(Type::TYPE_SINT32) => Kind::Sint32,
            Some(Type::TYPE_SINT64) => Kind::Sint64,
            None => return Err(("it has no type".into(), FIX_SET)),
        };
        Ok(kind)
    }
}

/// The beginning of a text that a stranger wrote.
pub(super) fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(200).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
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
