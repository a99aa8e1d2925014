//! Random messages of a descriptor, as trees of wire fields.
//!
//! A *tidy* message is as a serializer writes it, but for the order of its fields. A *wild* one is
//! what a parser must take as well: fields twice, messages in pieces, lists scattered and packed
//! against their declaration, map entries without key or value, two members of one oneof, numbers
//! that an enum does not have, fields that nobody knows, wire types that do not fit.
//!
//! Types come from the other library's descriptors, so ours are not asked about themselves.
//!
//! Not here: bytes that are no message (`oracle.rs` spoils good ones).

use buffa_descriptor::reflect::DynamicMessage;
use buffa_descriptor::{
    DescriptorPool, FieldDescriptor, FieldKind, MessageIndex, ScalarType, SingularKind,
};
use std::sync::Arc;

use super::Choices;

#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(Vec<u8>),
    Message(Vec<Node>),
    Group(Vec<Node>),
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) number: u32,
    pub(crate) payload: Payload,
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Tidy,
    Wild,
}

/// What a generated message may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taste {
    pub(crate) manner: Manner,
    /// Messages inside each other.
    pub(crate) depth: u32,
    /// Of the fields one in so many is set.
    pub(crate) one_in: usize,
    /// Only floats whose shortest text is the same as a `float` and as a `double`: the other
    /// library writes a `float` with the digits of a `double`.
    pub(crate) short_floats: bool,
}

pub(crate) struct Messages<'a> {
    pub(crate) pool: &'a Arc<DescriptorPool>,
    pub(crate) taste: Taste,
    /// What an `Any` may hold.
    pub(crate) contents: Vec<MessageIndex>,
}

pub(crate) fn encode(nodes: &[Node]) -> Vec<u8> {
    let mut out = Vec::new();
    for node in nodes {
        put(node, &mut out);
    }
    out
}

fn put(node: &Node, out: &mut Vec<u8>) {
    let tag = |wire_type: u64, out: &mut Vec<u8>| {
        put_varint(u64::from(node.number) << 3 | wire_type, out);
    };
    match &node.payload {
        Payload::Varint(value) => {
            tag(0, out);
            put_varint(*value, out);
        }
        Payload::Fixed64(value) => {
            tag(1, out);
            out.extend(value.to_le_bytes());
        }
        Payload::Bytes(bytes) => {
            tag(2, out);
            put_varint(bytes.len() as u64, out);
            out.extend(bytes);
        }
        Payload::Message(nodes) => {
            let bytes = encode(nodes);
            tag(2, out);
            put_varint(bytes.len() as u64, out);
            out.extend(bytes);
        }
        Payload::Group(nodes) => {
            tag(3, out);
            out.extend(encode(nodes));
            tag(4, out);
        }
        Payload::Fixed32(value) => {
            tag(5, out);
            out.extend(value.to_le_bytes());
        }
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const TEXTS: [&str; 14] = [
    "",
    "a",
    "plain text",
    "\"quoted\" \\ and / slashed",
    "line\nbreak\ttab\r\u{8}\u{c}",
    "\u{0}\u{1}\u{1f}\u{7f}",
    "größe",
    "日本語",
    "😀 beyond the plane",
    "\u{2028}\u{2029}",
    "</script>&<>'",
    "\u{feff}mark",
    "sixteen bytes ok",
    "thirty-two bytes and then a few more of them",
];

const PATHS: [&str; 6] = ["a", "some_field", "a.b_c.d", "x1", "foo_bar.baz_qux", "display_name"];

impl Messages<'_> {
    fn wild(&self) -> bool {
        self.taste.manner == Manner::Wild
    }

    /// The fields of a message of type `index`.
    pub(crate) fn message(&self, index: MessageIndex, choices: &mut Choices) -> Vec<Node> {
        self.at(index, self.taste.depth, choices)
    }

    fn at(&self, index: MessageIndex, depth: u32, choices: &mut Choices) -> Vec<Node> {
        let descriptor = self.pool.message(index);
        if let Some(name) = descriptor.full_name().strip_prefix("google.protobuf.")
            && let Some(nodes) = self.well_known(name, depth, choices)
        {
            return nodes;
        }
        let mut nodes = Vec::new();
        let mut set = vec![false; descriptor.oneofs().len()];
        let extensions = self.pool.extensions_of(index).map(|extension| extension.field());
        for field in descriptor.fields().iter().chain(extensions) {
            if !choices.once_in(self.taste.one_in) {
                continue;
            }
            if let Some(oneof) = field.oneof_index()
                && std::mem::replace(&mut set[usize::from(oneof)], true)
                && !self.wild()
            {
                continue;
            }
            self.field(field, depth, choices, &mut nodes);
        }
        if self.wild() {
            for _ in 0..choices.up_to(2) {
                nodes.push(self.stranger(index, choices));
            }
            if choices.once_in(2) {
                choices.shuffle(&mut nodes);
            }
        }
        nodes
    }

    fn field(
        &self,
        field: &FieldDescriptor,
        depth: u32,
        choices: &mut Choices,
        out: &mut Vec<Node>,
    ) {
        let number = field.number();
        let times = if self.wild() && choices.once_in(4) { 2 } else { 1 };
        match field.kind() {
            FieldKind::Singular(kind) => {
                for _ in 0..times {
                    let Some(payload) = self.single(kind, field, depth, choices) else { continue };
                    out.push(Node { number, payload });
                }
            }
            FieldKind::List(kind) => {
                for _ in 0..times {
                    let count = choices.up_to(3);
                    let elements: Vec<Payload> = (0..count)
                        .filter_map(|_| self.single(kind, field, depth, choices))
                        .collect();
                    let packed = if self.wild() { choices.once_in(2) } else { field.is_packed() };
                    if packed && packable(kind) {
                        let mut bytes = Vec::new();
                        for element in elements {
                            let mut whole = Vec::new();
                            put(&Node { number: 1, payload: element }, &mut whole);
                            bytes.extend(&whole[1..]);
                        }
                        if !bytes.is_empty() || self.wild() {
                            out.push(Node { number, payload: Payload::Bytes(bytes) });
                        }
                    } else {
                        out.extend(elements.into_iter().map(|payload| Node { number, payload }));
                    }
                }
            }
            FieldKind::Map { key, value } => {
                for _ in 0..choices.up_to(3) * times {
                    if let Some(entry) = self.entry(key, value, field, depth, choices) {
                        out.push(Node { number, payload: Payload::Message(entry) });
                    }
                }
            }
        }
    }

    fn entry(
        &self,
        key: ScalarType,
        value: SingularKind,
        field: &FieldDescriptor,
        depth: u32,
        choices: &mut Choices,
    ) -> Option<Vec<Node>> {
        let key = Node { number: 1, payload: self.scalar(key, choices) };
        // A Value that holds nothing is an error for us and null for the oracle (struct.proto:
        // "absence of any variant indicates an error"). An enum that is not there is its first
        // value for us and 0 for the oracle, whether that is a value of it or not.
        let may_lack_value = match value {
            SingularKind::Message(index) => {
                self.pool.message(index).full_name() != "google.protobuf.Value"
            }
            SingularKind::Enum(index) => self.pool.enumeration(index).values()[0].number() == 0,
            SingularKind::Scalar(_) => true,
        };
        // Entries are the one place where a message is never between group tags.
        let value = match value {
            SingularKind::Message(index) => {
                Payload::Message(self.at(index, depth.checked_sub(1)?, choices))
            }
            kind => self.single(kind, field, depth, choices)?,
        };
        let value = Node { number: 2, payload: value };
        if !self.wild() {
            return Some(vec![key, value]);
        }
        Some(match choices.up_to(5) {
            0 => vec![value, key],
            1 => vec![value],
            2 if may_lack_value => vec![key],
            3 => vec![key.clone(), Node { number: 3, payload: Payload::Varint(1) }, value, key],
            _ => vec![key, value],
        })
    }

    /// One value; `None` where messages may not nest deeper.
    fn single(
        &self,
        kind: SingularKind,
        field: &FieldDescriptor,
        depth: u32,
        choices: &mut Choices,
    ) -> Option<Payload> {
        Some(match kind {
            SingularKind::Scalar(scalar) => self.scalar(scalar, choices),
            SingularKind::Enum(index) => {
                let enumeration = self.pool.enumeration(index);
                let values = enumeration.values();
                let number = match choices.up_to(5) {
                    0 if self.wild() => choices.pick(&[-5, 5, 1000, i32::MIN + 1]),
                    _ => values[choices.up_to(values.len() - 1)].number(),
                };
                // NullValue has one value, and one text.
                let null = enumeration.full_name() == "google.protobuf.NullValue";
                Payload::Varint(if null { 0 } else { i64::from(number) as u64 })
            }
            SingularKind::Message(index) => {
                let nodes = self.at(index, depth.checked_sub(1)?, choices);
                if field.is_delimited() { Payload::Group(nodes) } else { Payload::Message(nodes) }
            }
        })
    }

    fn scalar(&self, kind: ScalarType, choices: &mut Choices) -> Payload {
        match kind {
            ScalarType::Bool => Payload::Varint(choices.up_to(1) as u64),
            ScalarType::String => Payload::Bytes(self.text(choices).into_bytes()),
            ScalarType::Bytes => {
                let length = choices.up_to(9);
                Payload::Bytes((0..length).map(|_| choices.any() as u8).collect())
            }
            ScalarType::Double => Payload::Fixed64(self.double(choices).to_bits()),
            ScalarType::Float => Payload::Fixed32(self.float(choices).to_bits()),
            ScalarType::Int32 => Payload::Varint(i64::from(whole(choices) as i32) as u64),
            ScalarType::Int64 | ScalarType::Uint64 => Payload::Varint(whole(choices)),
            ScalarType::Uint32 => Payload::Varint(u64::from(whole(choices) as u32)),
            ScalarType::Sint32 => {
                let value = whole(choices) as i32;
                Payload::Varint(u64::from(((value << 1) ^ (value >> 31)) as u32))
            }
            ScalarType::Sint64 => {
                let value = whole(choices) as i64;
                Payload::Varint(((value << 1) ^ (value >> 63)) as u64)
            }
            ScalarType::Fixed32 | ScalarType::Sfixed32 => Payload::Fixed32(whole(choices) as u32),
            ScalarType::Fixed64 | ScalarType::Sfixed64 => Payload::Fixed64(whole(choices)),
        }
    }

    fn text(&self, choices: &mut Choices) -> String {
        let mut text = choices.pick(&TEXTS).to_owned();
        if choices.once_in(4) {
            text.push_str(choices.pick(&TEXTS));
        }
        text
    }

    fn double(&self, choices: &mut Choices) -> f64 {
        match choices.up_to(5) {
            0 => choices.up_to(1000) as f64,
            1 => whole(choices) as i64 as f64 / 8.0,
            2 => choices.pick(&[
                0.0,
                -0.0,
                1.5,
                0.1,
                1e16,
                1e-5,
                1e21,
                f64::MAX,
                f64::MIN_POSITIVE,
                5e-324,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
            ]),
            _ => f64::from_bits(choices.any()),
        }
    }

    fn float(&self, choices: &mut Choices) -> f32 {
        match choices.up_to(3) {
            _ if self.taste.short_floats => (choices.up_to(1 << 16) as f32 - 32768.0) / 8.0,
            0 => choices.up_to(1000) as f32,
            1 => choices.pick(&[
                0.0,
                -0.0,
                0.1,
                f32::MAX,
                1e-45,
                16_777_216.0,
                f32::NAN,
                f32::INFINITY,
                f32::NEG_INFINITY,
            ]),
            _ => f32::from_bits(choices.any() as u32),
        }
    }

    /// A finite number, as a `Value` may hold.
    fn finite(&self, choices: &mut Choices) -> f64 {
        let value = self.double(choices);
        if value.is_finite() { value } else { 1.25 }
    }

    /// A field that the message does not have, or one of its own with a wrong wire type.
    fn stranger(&self, index: MessageIndex, choices: &mut Choices) -> Node {
        let descriptor = self.pool.message(index);
        let own = descriptor.fields();
        let mut payload = match choices.up_to(4) {
            0 => Payload::Varint(choices.any()),
            1 => Payload::Fixed32(1),
            2 => Payload::Fixed64(2),
            3 => Payload::Bytes(b"bytes".to_vec()),
            _ => Payload::Group(vec![
                Node { number: 1, payload: Payload::Varint(1) },
                Node { number: 2, payload: Payload::Group(Vec::new()) },
            ]),
        };
        if !own.is_empty() && choices.once_in(3) {
            let field = &own[choices.up_to(own.len() - 1)];
            // A group fits no scalar and a fixed number no message. (A message between group tags
            // where it should be behind a length, or the other way round, is unknown to us; the
            // oracle takes it.)
            payload = match field.kind() {
                FieldKind::Map { .. }
                | FieldKind::Singular(SingularKind::Message(_))
                | FieldKind::List(SingularKind::Message(_)) => Payload::Fixed64(3),
                _ => Payload::Group(vec![Node { number: 1, payload: Payload::Varint(1) }]),
            };
            return Node { number: field.number(), payload };
        }
        let number = (0..)
            .map(|step| 3_000_000 + choices.up_to(1000) as u32 + step)
            .find(|number| descriptor.field(*number).is_none())
            .unwrap();
        Node { number, payload }
    }

    /// Fields of a well-known type, valid ones; `None` for types that need no care.
    fn well_known(&self, name: &str, depth: u32, choices: &mut Choices) -> Option<Vec<Node>> {
        let number =
            |number: u32, value: i64| Node { number, payload: Payload::Varint(value as u64) };
        Some(match name {
            "Timestamp" => {
                let seconds = match choices.up_to(3) {
                    0 => choices.up_to(2_000_000_000) as i64,
                    1 => choices.pick(&[0, -1, -62_135_596_800, 253_402_300_799, 951_782_400]),
                    _ => (choices.any() % 315_537_897_600) as i64 - 62_135_596_800,
                };
                vec![number(1, seconds), number(2, nanos(choices))]
            }
            "Duration" => {
                let seconds = match choices.up_to(2) {
                    0 => choices.up_to(100_000) as i64,
                    _ => (choices.any() % 315_576_000_000) as i64,
                };
                let sign = if choices.once_in(2) { -1 } else { 1 };
                vec![number(1, seconds * sign), number(2, nanos(choices) * sign)]
            }
            "FieldMask" => (0..choices.up_to(3))
                .map(|_| Node {
                    number: 1,
                    payload: Payload::Bytes(choices.pick(&PATHS).as_bytes().to_vec()),
                })
                .collect(),
            "Any" => {
                let Some(depth) = depth.checked_sub(1).filter(|_| !self.contents.is_empty()) else {
                    return Some(Vec::new());
                };
                let index = choices.pick(&self.contents);
                let name = self.pool.message(index).full_name();
                let prefix = choices.pick(&["type.googleapis.com", "x", "a/b"]);
                let url = format!("{prefix}/{name}");
                let contents = encode(&self.at(index, depth, choices));
                // Bytes as a serializer writes them, so that they stay when they are written again.
                let contents = DynamicMessage::decode(Arc::clone(self.pool), index, &contents);
                let contents = contents.unwrap().encode_to_vec();
                let mut nodes = vec![Node { number: 1, payload: Payload::Bytes(url.into_bytes()) }];
                if !contents.is_empty() {
                    nodes.push(Node { number: 2, payload: Payload::Bytes(contents) });
                }
                nodes
            }
            "Struct" => self.structure(depth, choices),
            "Value" => self.value(depth, choices),
            "ListValue" => self.list(depth, choices),
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value"
            | "UInt32Value" | "BoolValue" | "StringValue" | "BytesValue" | "Empty" => return None,
            other => unreachable!("{other} is not generated"),
        })
    }

    fn structure(&self, depth: u32, choices: &mut Choices) -> Vec<Node> {
        let count = choices.up_to(3);
        let mut keys: Vec<&str> = (0..count).map(|_| choices.pick(&TEXTS)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.iter()
            .map(|key| {
                let value = self.value(depth.saturating_sub(1), choices);
                let entry = vec![
                    Node { number: 1, payload: Payload::Bytes(key.as_bytes().to_vec()) },
                    Node { number: 2, payload: Payload::Message(value) },
                ];
                Node { number: 1, payload: Payload::Message(entry) }
            })
            .collect()
    }

    fn list(&self, depth: u32, choices: &mut Choices) -> Vec<Node> {
        (0..choices.up_to(3))
            .map(|_| {
                let value = self.value(depth.saturating_sub(1), choices);
                Node { number: 1, payload: Payload::Message(value) }
            })
            .collect()
    }

    fn value(&self, depth: u32, choices: &mut Choices) -> Vec<Node> {
        let kinds = if depth == 0 { 3 } else { 5 };
        vec![match choices.up_to(kinds) {
            0 => Node { number: 1, payload: Payload::Varint(0) },
            1 => Node { number: 2, payload: Payload::Fixed64(self.finite(choices).to_bits()) },
            2 => Node { number: 3, payload: Payload::Bytes(self.text(choices).into_bytes()) },
            3 => Node { number: 4, payload: Payload::Varint(choices.up_to(1) as u64) },
            4 => Node { number: 5, payload: Payload::Message(self.structure(depth - 1, choices)) },
            _ => Node { number: 6, payload: Payload::Message(self.list(depth - 1, choices)) },
        }]
    }
}

pub(crate) fn packable(kind: SingularKind) -> bool {
    !matches!(
        kind,
        SingularKind::Message(_)
            | SingularKind::Scalar(ScalarType::String)
            | SingularKind::Scalar(ScalarType::Bytes)
    )
}

/// Small ones, edges, and anything.
fn whole(choices: &mut Choices) -> u64 {
    match choices.up_to(3) {
        0 => choices.up_to(300) as u64,
        1 => choices.pick(&[
            0,
            1,
            u64::MAX,
            i64::MAX as u64,
            i64::MIN as u64,
            i32::MAX as u64,
            i32::MIN as u64,
            u64::from(u32::MAX),
            (1 << 53) + 1,
            127,
            128,
        ]),
        _ => choices.any(),
    }
}

fn nanos(choices: &mut Choices) -> i64 {
    match choices.up_to(4) {
        0 => 0,
        1 => choices.up_to(999) as i64 * 1_000_000,
        2 => choices.up_to(999_999) as i64 * 1_000,
        _ => choices.up_to(999_999_999) as i64,
    }
}
