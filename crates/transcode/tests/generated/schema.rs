//! A descriptor set with one file of random messages: proto2, proto3 or edition 2023.
//!
//! Every set is one that protoc would have written: numbers and names are unique, an open enum
//! begins with 0, a closed one is not in a field without presence, maps and groups have their
//! nested types. The message `g.M0` is the one to test.
//!
//! Not here: names that a schema may not have (the tests of `contract`).

use std::collections::HashSet;
use std::sync::OnceLock;

use buffa::Message as _;
use buffa_descriptor::generated::descriptor::descriptor_proto::ExtensionRange;
use buffa_descriptor::generated::descriptor::feature_set::{
    EnumType, FieldPresence, MessageEncoding, RepeatedFieldEncoding,
};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, Edition, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto,
    FeatureSet, FieldDescriptorProto, FieldOptions, FileDescriptorProto, FileDescriptorSet,
    FileOptions, MessageOptions, OneofDescriptorProto,
};

use super::Choices;

const SCALARS: [Type; 15] = [
    Type::TYPE_INT32,
    Type::TYPE_STRING,
    Type::TYPE_DOUBLE,
    Type::TYPE_FLOAT,
    Type::TYPE_INT64,
    Type::TYPE_UINT64,
    Type::TYPE_FIXED64,
    Type::TYPE_FIXED32,
    Type::TYPE_BOOL,
    Type::TYPE_BYTES,
    Type::TYPE_UINT32,
    Type::TYPE_SFIXED32,
    Type::TYPE_SFIXED64,
    Type::TYPE_SINT32,
    Type::TYPE_SINT64,
];

/// Types whose JSON form is their own.
pub(crate) const WELL_KNOWN: [&str; 17] = [
    "Timestamp",
    "Duration",
    "FieldMask",
    "Any",
    "Empty",
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
    // These are made of maps and oneofs.
    "Struct",
    "Value",
    "ListValue",
];

/// Those of [`WELL_KNOWN`] that hold no map and no oneof.
pub(crate) const WELL_KNOWN_PLAIN: usize = 14;

const FILES: [&str; 7] =
    ["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"];

/// The files of the well-known types.
fn well_known_files() -> &'static [FileDescriptorProto] {
    static SET: OnceLock<FileDescriptorSet> = OnceLock::new();
    let set = SET.get_or_init(|| {
        let mut compiler =
            protox::Compiler::with_file_resolver(protox::file::GoogleFileResolver::new());
        for file in FILES {
            compiler.open_file(format!("google/protobuf/{file}.proto")).unwrap();
        }
        FileDescriptorSet::decode_from_slice(&compiler.encode_file_descriptor_set()).unwrap()
    });
    &set.file
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Proto3,
    Proto2,
    Editions,
}

/// What schemas are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kinds {
    All,
    /// No maps of its own, no messages between group tags and no oneofs.
    Plain,
}

/// Makes a serialized descriptor set.
pub(crate) fn descriptor_set(kinds: Kinds, choices: &mut Choices) -> Vec<u8> {
    let syntax = choices.pick(&[Syntax::Proto3, Syntax::Proto2, Syntax::Editions]);
    let mut maker = Maker::new(syntax, kinds, choices);
    let file = maker.file();
    let mut files = well_known_files().to_vec();
    files.push(file);
    FileDescriptorSet { file: files, ..Default::default() }.encode_to_vec()
}

struct Maker<'c> {
    choices: &'c mut Choices,
    syntax: Syntax,
    kinds: Kinds,
    messages: usize,
    /// Whether each enum is closed.
    enums: Vec<bool>,
    /// What the file says where a field says nothing.
    implicit: bool,
    closed: bool,
}

impl Maker<'_> {
    fn new(syntax: Syntax, kinds: Kinds, choices: &mut Choices) -> Maker<'_> {
        let messages = 1 + choices.up_to(2);
        let (implicit, closed) = match syntax {
            Syntax::Proto3 => (true, false),
            Syntax::Proto2 => (false, true),
            Syntax::Editions => (choices.once_in(2), choices.once_in(2)),
        };
        Maker { choices, syntax, kinds, messages, enums: Vec::new(), implicit, closed }
    }

    fn file(&mut self) -> FileDescriptorProto {
        let mut file = FileDescriptorProto {
            name: Some("g.proto".into()),
            package: Some("g".into()),
            dependency: FILES.iter().map(|name| format!("google/protobuf/{name}.proto")).collect(),
            ..Default::default()
        };
        match self.syntax {
            Syntax::Proto3 => file.syntax = Some("proto3".into()),
            Syntax::Proto2 => {}
            Syntax::Editions => {
                file.syntax = Some("editions".into());
                file.edition = Some(Edition::EDITION_2023);
                let features = FeatureSet {
                    field_presence: self.implicit.then_some(FieldPresence::IMPLICIT),
                    enum_type: self.closed.then_some(EnumType::CLOSED),
                    repeated_field_encoding: self
                        .choices
                        .once_in(2)
                        .then_some(RepeatedFieldEncoding::EXPANDED),
                    message_encoding: (self.kinds == Kinds::All && self.choices.once_in(4))
                        .then_some(MessageEncoding::DELIMITED),
                    ..Default::default()
                };
                file.options =
                    FileOptions { features: features.into(), ..Default::default() }.into();
            }
        }
        for number in 0..2 {
            let enumeration = self.enumeration(number);
            file.enum_type.push(enumeration);
        }
        for number in 0..self.messages {
            let message = self.message(number);
            file.message_type.push(message);
        }
        if self.syntax != Syntax::Proto3 {
            // Only M0 is extended: other messages may stand in an Any, where the oracle forgets
            // extensions.
            file.message_type[0].extension_range.push(ExtensionRange {
                start: Some(1000),
                end: Some(2000),
                ..Default::default()
            });
            for number in 0..self.choices.up_to(3) {
                let mut field = self.plain_field(&format!("ext_{number}"), 1000 + number as i32);
                field.extendee = Some(".g.M0".into());
                if self.syntax == Syntax::Editions && field.label == Some(Label::LABEL_OPTIONAL) {
                    options_of(&mut field).field_presence = Some(FieldPresence::EXPLICIT);
                }
                file.extension.push(field);
            }
        }
        file
    }

    fn enumeration(&mut self, number: usize) -> EnumDescriptorProto {
        let closed = match self.syntax {
            Syntax::Editions if self.choices.once_in(3) => !self.closed,
            _ => self.closed,
        };
        self.enums.push(closed);
        let mut values = vec![if closed { 1 + self.choices.up_to(3) as i32 } else { 0 }];
        for _ in 0..self.choices.up_to(4) {
            values.push(self.choices.pick(&[1, 0, -1, 2, 7, 63, 64, 300, i32::MAX, i32::MIN]));
        }
        let distinct: HashSet<i32> = values.iter().copied().collect();
        let features = FeatureSet {
            enum_type: (closed != self.closed).then_some(if closed {
                EnumType::CLOSED
            } else {
                EnumType::OPEN
            }),
            ..Default::default()
        };
        let options = EnumOptions {
            allow_alias: (distinct.len() < values.len()).then_some(true),
            features: features.into(),
            ..Default::default()
        };
        EnumDescriptorProto {
            name: Some(format!("E{number}")),
            value: values
                .iter()
                .enumerate()
                .map(|(place, value)| EnumValueDescriptorProto {
                    name: Some(format!("E{number}_V{place}")),
                    number: Some(*value),
                    ..Default::default()
                })
                .collect(),
            options: if self.syntax == Syntax::Editions || options.allow_alias.is_some() {
                options.into()
            } else {
                Default::default()
            },
            ..Default::default()
        }
    }

    fn message(&mut self, number: usize) -> DescriptorProto {
        let mut message =
            DescriptorProto { name: Some(format!("M{number}")), ..Default::default() };
        let mut numbers = HashSet::new();
        let mut optional = Vec::new();
        for place in 0..1 + self.choices.up_to(9) {
            let name = self.name(place);
            let number = self.number(&mut numbers);
            match self.choices.up_to(9) {
                0..=2 => {
                    let mut field = self.plain_field(&name, number);
                    field.label = Some(Label::LABEL_OPTIONAL);
                    unpack(&mut field);
                    if self.choices.once_in(3) {
                        self.mark_presence(&mut field, &mut optional);
                    }
                    self.give_implicit_enums_presence(&mut field);
                    message.field.push(field);
                }
                3 | 4 => {
                    let mut field = self.plain_field(&name, number);
                    field.label = Some(Label::LABEL_REPEATED);
                    field.oneof_index = None;
                    message.field.push(field);
                }
                5 | 6 if self.kinds == Kinds::All => self.map_field(&name, number, &mut message),
                5..=8 if self.kinds == Kinds::All => {
                    let mut field = self.plain_field(&name, number);
                    field.label = Some(Label::LABEL_OPTIONAL);
                    unpack(&mut field);
                    field.oneof_index = Some(self.choices.up_to(1) as i32);
                    message.field.push(field);
                }
                _ if self.kinds == Kinds::All => self.group_field(&name, number, &mut message),
                _ => {}
            }
        }
        // Only oneofs that have a member, then those of proto3's `optional`.
        let used: Vec<i32> = (0..2)
            .filter(|index| message.field.iter().any(|field| field.oneof_index == Some(*index)))
            .collect();
        for field in &mut message.field {
            if let Some(index) = field.oneof_index {
                field.oneof_index =
                    used.iter().position(|used| *used == index).map(|place| place as i32);
            }
        }
        for index in &used {
            message.oneof_decl.push(OneofDescriptorProto {
                name: Some(format!("one_{index}")),
                ..Default::default()
            });
        }
        for field in &mut message.field {
            if field.proto3_optional == Some(true) {
                field.oneof_index = Some(message.oneof_decl.len() as i32);
                message.oneof_decl.push(OneofDescriptorProto {
                    name: Some(format!("_{}", field.name.as_deref().unwrap())),
                    ..Default::default()
                });
            }
        }
        message
    }

    fn name(&mut self, place: usize) -> String {
        let form = self.choices.pick(&["f{}", "some_field_{}", "f_{}_x", "Caps{}", "x{}_", "_y{}"]);
        form.replace("{}", &place.to_string())
    }

    fn number(&mut self, taken: &mut HashSet<i32>) -> i32 {
        let mut number = match self.choices.up_to(5) {
            0..=2 => 1 + self.choices.up_to(20),
            3 => 200 + self.choices.up_to(100),
            4 => (1 << 20) + self.choices.up_to(1000),
            _ => (1 << 29) - 1 - self.choices.up_to(50),
        } as i32;
        while !taken.insert(number) {
            number = if number == (1 << 29) - 1 { 400_000_000 } else { number + 1 };
        }
        number
    }

    /// A field of any kind that needs no nested type; repeated one time in four.
    fn plain_field(&mut self, name: &str, number: i32) -> FieldDescriptorProto {
        let mut field = FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            label: Some(if self.choices.once_in(4) {
                Label::LABEL_REPEATED
            } else {
                Label::LABEL_OPTIONAL
            }),
            json_name: match self.choices.up_to(5) {
                0 => None,
                1 => Some(format!("custom-{number}")),
                2 => Some(format!("größe {number}\"\\")),
                _ => Some(json_name_of(name)),
            },
            ..Default::default()
        };
        match self.choices.up_to(8) {
            0..=3 => field.r#type = Some(self.choices.pick(&SCALARS)),
            4 => {
                field.r#type = Some(Type::TYPE_ENUM);
                field.type_name =
                    Some(if self.choices.once_in(6) && self.syntax == Syntax::Proto3 {
                        ".google.protobuf.NullValue".into()
                    } else {
                        self.enum_name()
                    });
            }
            5 | 6 => {
                field.r#type = Some(Type::TYPE_MESSAGE);
                field.type_name = Some(format!(".g.M{}", self.choices.up_to(self.messages - 1)));
                let groups = self.kinds == Kinds::All && self.syntax == Syntax::Editions;
                if groups && self.choices.once_in(3) {
                    let features = options_of(&mut field);
                    features.message_encoding = Some(MessageEncoding::DELIMITED);
                }
            }
            _ => {
                field.r#type = Some(Type::TYPE_MESSAGE);
                let names = match self.kinds {
                    Kinds::All => &WELL_KNOWN[..],
                    Kinds::Plain => &WELL_KNOWN[..WELL_KNOWN_PLAIN],
                };
                field.type_name = Some(format!(".google.protobuf.{}", self.choices.pick(names)));
            }
        }
        if field.r#type.is_some_and(packable) && self.choices.once_in(3) {
            match self.syntax {
                Syntax::Editions => {
                    let encoding = self
                        .choices
                        .pick(&[RepeatedFieldEncoding::PACKED, RepeatedFieldEncoding::EXPANDED]);
                    options_of(&mut field).repeated_field_encoding = Some(encoding);
                }
                Syntax::Proto2 | Syntax::Proto3 => {
                    let packed = Some(self.syntax == Syntax::Proto2);
                    field.options = FieldOptions { packed, ..Default::default() }.into();
                }
            }
            if field.label != Some(Label::LABEL_REPEATED) {
                unpack(&mut field);
            }
        }
        field
    }

    fn enum_name(&mut self) -> String {
        format!(".g.E{}", self.choices.up_to(self.enums.len() - 1))
    }

    /// `optional`, `required` or explicit presence, as the syntax has it.
    fn mark_presence(&mut self, field: &mut FieldDescriptorProto, optional: &mut Vec<String>) {
        match self.syntax {
            Syntax::Proto3 => {
                field.proto3_optional = Some(true);
                optional.push(field.name.clone().unwrap());
            }
            Syntax::Proto2 => field.label = Some(Label::LABEL_REQUIRED),
            Syntax::Editions => {
                let message = field.r#type == Some(Type::TYPE_MESSAGE);
                let presence = match self.choices.up_to(2) {
                    0 => FieldPresence::EXPLICIT,
                    1 if !message => FieldPresence::IMPLICIT,
                    _ => FieldPresence::LEGACY_REQUIRED,
                };
                options_of(field).field_presence = Some(presence);
            }
        }
    }

    /// A closed enum has no value that means "unset" unless its field has presence.
    fn give_implicit_enums_presence(&self, field: &mut FieldDescriptorProto) {
        if self.syntax == Syntax::Editions && field.r#type == Some(Type::TYPE_ENUM) {
            let name = field.type_name.as_deref().unwrap_or("");
            let closed = name
                .strip_prefix(".g.E")
                .and_then(|number| number.parse::<usize>().ok())
                .is_some_and(|number| self.enums[number]);
            let features = options_of(field);
            if closed && features.field_presence != Some(FieldPresence::LEGACY_REQUIRED) {
                features.field_presence = Some(FieldPresence::EXPLICIT);
            }
        }
    }

    fn map_field(&mut self, name: &str, number: i32, message: &mut DescriptorProto) {
        const KEYS: [Type; 12] = [
            Type::TYPE_STRING,
            Type::TYPE_INT32,
            Type::TYPE_INT64,
            Type::TYPE_UINT32,
            Type::TYPE_UINT64,
            Type::TYPE_SINT32,
            Type::TYPE_SINT64,
            Type::TYPE_FIXED32,
            Type::TYPE_FIXED64,
            Type::TYPE_SFIXED32,
            Type::TYPE_SFIXED64,
            Type::TYPE_BOOL,
        ];
        let entry_name = format!("Entry{number}");
        let mut key = FieldDescriptorProto {
            name: Some("key".into()),
            number: Some(1),
            label: Some(Label::LABEL_OPTIONAL),
            json_name: Some("key".into()),
            ..Default::default()
        };
        key.r#type = Some(self.choices.pick(&KEYS));
        let mut value = self.plain_field("value", 2);
        value.label = Some(Label::LABEL_OPTIONAL);
        value.json_name = Some("value".into());
        value.options = Default::default();
        message.nested_type.push(DescriptorProto {
            name: Some(entry_name.clone()),
            field: vec![key, value],
            options: MessageOptions { map_entry: Some(true), ..Default::default() }.into(),
            ..Default::default()
        });
        message.field.push(FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            label: Some(Label::LABEL_REPEATED),
            r#type: Some(Type::TYPE_MESSAGE),
            type_name: Some(format!(".g.{}.{entry_name}", message.name.as_deref().unwrap())),
            json_name: Some(json_name_of(name)),
            ..Default::default()
        });
    }

    /// A group of proto2; where there are none, a field of the message itself.
    fn group_field(&mut self, name: &str, number: i32, message: &mut DescriptorProto) {
        let own = message.name.clone().unwrap();
        let mut field = FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            label: Some(self.choices.pick(&[Label::LABEL_OPTIONAL, Label::LABEL_REPEATED])),
            r#type: Some(Type::TYPE_MESSAGE),
            type_name: Some(format!(".g.{own}")),
            json_name: Some(json_name_of(name)),
            ..Default::default()
        };
        match self.syntax {
            Syntax::Proto3 => {}
            Syntax::Editions => {
                options_of(&mut field).message_encoding = Some(MessageEncoding::DELIMITED);
            }
            Syntax::Proto2 => {
                let group = format!("Group{number}");
                field.r#type = Some(Type::TYPE_GROUP);
                field.type_name = Some(format!(".g.{own}.{group}"));
                field.name = Some(group.to_lowercase());
                field.json_name = Some(group.to_lowercase());
                let mut inner = self.plain_field("inner", 1);
                inner.json_name = Some("inner".into());
                message.nested_type.push(DescriptorProto {
                    name: Some(group),
                    field: vec![inner],
                    ..Default::default()
                });
            }
        }
        message.field.push(field);
    }
}

fn options_of(field: &mut FieldDescriptorProto) -> &mut FeatureSet {
    field.options.get_or_insert_default().features.get_or_insert_default()
}

/// A singular field says nothing about packing.
fn unpack(field: &mut FieldDescriptorProto) {
    if let Some(options) = field.options.as_option_mut() {
        options.packed = None;
        if let Some(features) = options.features.as_option_mut() {
            features.repeated_field_encoding = None;
        }
    }
}

fn packable(kind: Type) -> bool {
    !matches!(kind, Type::TYPE_STRING | Type::TYPE_BYTES | Type::TYPE_MESSAGE | Type::TYPE_GROUP)
}

/// As protoc makes it: no underscores, and a capital behind each.
fn json_name_of(name: &str) -> String {
    let mut out = String::new();
    let mut raise = false;
    for letter in name.chars() {
        if letter == '_' {
            raise = true;
        } else if std::mem::take(&mut raise) {
            out.push(letter.to_ascii_uppercase());
        } else {
            out.push(letter);
        }
    }
    out
}
