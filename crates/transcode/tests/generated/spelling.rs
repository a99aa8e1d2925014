//! The same JSON in other words: what ProtoJSON lets a caller write for one message.
//!
//! Keys in any order and by either name, 64-bit numbers bare and others quoted, `7` as `7.0` or
//! `70e-1`, enums by number, base64 in the other alphabet and without padding, any character
//! escaped, white space anywhere, `null` for what is not set.
//!
//! Not here: texts that mean something else, or nothing (`oracle.rs`).

use buffa_descriptor::{DescriptorPool, FieldDescriptor, FieldKind, ScalarType, SingularKind};
use serde_json::Value;

use super::Choices;

pub(crate) struct Speller<'a> {
    pub(crate) pool: &'a DescriptorPool,
    pub(crate) choices: &'a mut Choices,
    pub(crate) out: String,
}

impl Speller<'_> {
    /// Writes `value`, the JSON of a message `full_name`.
    pub(crate) fn message(&mut self, full_name: &str, value: &Value) {
        match full_name.strip_prefix("google.protobuf.") {
            Some("Any") => self.any(value),
            Some("Timestamp") => {
                let text = value.as_str().unwrap();
                let zone = self.choices.pick(&["Z", "+00:00", "-00:00"]);
                let text = format!("{}{zone}", text.strip_suffix('Z').unwrap());
                self.text(&text);
            }
            Some("DoubleValue") => self.scalar(ScalarType::Double, value),
            Some("FloatValue") => self.scalar(ScalarType::Float, value),
            Some("Int64Value") => self.scalar(ScalarType::Int64, value),
            Some("UInt64Value") => self.scalar(ScalarType::Uint64, value),
            Some("Int32Value") => self.scalar(ScalarType::Int32, value),
            Some("UInt32Value") => self.scalar(ScalarType::Uint32, value),
            Some("BytesValue") => self.scalar(ScalarType::Bytes, value),
            Some(_) => self.free(value),
            None => self.fields(full_name, value, None),
        }
    }

    fn fields(&mut self, full_name: &str, value: &Value, type_url: Option<&Value>) {
        let index = self.pool.message_index(full_name).unwrap();
        let descriptor = self.pool.message(index);
        let mut members: Vec<(String, Option<&FieldDescriptor>, &Value)> = Vec::new();
        for (key, value) in value.as_object().unwrap() {
            if key == "@type" && type_url.is_some() {
                continue;
            }
            let extension = self
                .pool
                .extensions_of(index)
                .find(|extension| extension.json_key() == key)
                .map(|extension| extension.field());
            let field = extension
                .or_else(|| descriptor.fields().iter().find(|field| field.json_name() == key))
                .unwrap_or_else(|| panic!("{full_name} has no {key}"));
            let name = if extension.is_none() && self.choices.once_in(2) {
                field.name().to_owned()
            } else {
                key.clone()
            };
            members.push((name, Some(field), value));
        }
        for field in descriptor.fields() {
            let absent = value.get(field.json_name()).is_none();
            if absent && !takes_null(self.pool, field) && self.choices.once_in(6) {
                members.push((field.json_name().to_owned(), None, &Value::Null));
            }
        }
        if let Some(url) = type_url {
            members.push(("@type".to_owned(), None, url));
        }
        self.choices.shuffle(&mut members);
        self.punctuation('{');
        for (place, (name, field, value)) in members.iter().enumerate() {
            if place > 0 {
                self.punctuation(',');
            }
            self.text(name);
            self.punctuation(':');
            match field {
                Some(field) => self.field(field, value),
                None => self.free(value),
            }
        }
        self.punctuation('}');
    }

    fn field(&mut self, field: &FieldDescriptor, value: &Value) {
        match field.kind() {
            FieldKind::Singular(kind) => self.single(kind, value),
            FieldKind::List(kind) => {
                self.punctuation('[');
                for (place, value) in value.as_array().unwrap().iter().enumerate() {
                    if place > 0 {
                        self.punctuation(',');
                    }
                    self.single(kind, value);
                }
                self.punctuation(']');
            }
            FieldKind::Map { value: kind, .. } => {
                let mut entries: Vec<(&String, &Value)> =
                    value.as_object().unwrap().iter().collect();
                self.choices.shuffle(&mut entries);
                self.punctuation('{');
                for (place, (key, value)) in entries.into_iter().enumerate() {
                    if place > 0 {
                        self.punctuation(',');
                    }
                    self.text(key);
                    self.punctuation(':');
                    self.single(kind, value);
                }
                self.punctuation('}');
            }
        }
    }

    fn single(&mut self, kind: SingularKind, value: &Value) {
        match kind {
            SingularKind::Scalar(scalar) => self.scalar(scalar, value),
            SingularKind::Enum(index) => {
                let number = value
                    .as_str()
                    .and_then(|name| self.pool.enumeration(index).value_by_name(name))
                    .map(|value| value.number());
                match number {
                    // A number in quotes is a name, and no enum has it.
                    Some(number) if self.choices.once_in(2) => {
                        self.out.push_str(&number.to_string());
                    }
                    _ => self.free(value),
                }
            }
            SingularKind::Message(index) => {
                let pool = self.pool;
                self.message(pool.message(index).full_name(), value);
            }
        }
    }

    fn scalar(&mut self, kind: ScalarType, value: &Value) {
        match kind {
            ScalarType::Bool | ScalarType::String => self.free(value),
            ScalarType::Bytes => {
                let mut text = value.as_str().unwrap().to_owned();
                if self.choices.once_in(2) {
                    text = text.replace('+', "-").replace('/', "_");
                }
                if self.choices.once_in(2) {
                    text = text.trim_end_matches('=').to_owned();
                }
                self.text(&text);
            }
            ScalarType::Double | ScalarType::Float => match value.as_str() {
                Some(word) => self.text(word),
                None if self.choices.once_in(3) => self.text(&value.to_string()),
                None => self.free(value),
            },
            _ => {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                self.number(&text);
            }
        }
    }

    /// An integer, bare or quoted, in one of its spellings.
    fn number(&mut self, digits: &str) {
        let spelled = match self.choices.up_to(5) {
            0 => format!("{digits}.0"),
            1 if digits != "0" => format!("{digits}0e-1"),
            2 => format!("{digits}e0"),
            3 => format!("{digits}.00E+0"),
            _ => digits.to_owned(),
        };
        if self.choices.once_in(2) { self.text(&spelled) } else { self.out.push_str(&spelled) }
    }

    fn any(&mut self, value: &Value) {
        let Some(url) = value.get("@type") else { return self.free(value) };
        let name = url.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        if !name.starts_with("google.protobuf.") || name == "google.protobuf.Empty" {
            return self.fields(&name, value, Some(url));
        }
        let url_first = self.choices.once_in(2);
        self.punctuation('{');
        for place in 0..2 {
            if (place == 0) == url_first {
                self.text("@type");
                self.punctuation(':');
                self.free(url);
            } else {
                self.text("value");
                self.punctuation(':');
                self.message(&name, &value["value"]);
            }
            self.punctuation(if place == 0 { ',' } else { '}' });
        }
    }

    /// A value without a type.
    fn free(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.out.push_str(&value.to_string());
                self.space();
            }
            Value::String(text) => self.text(text),
            Value::Array(list) => {
                self.punctuation('[');
                for (place, value) in list.iter().enumerate() {
                    if place > 0 {
                        self.punctuation(',');
                    }
                    self.free(value);
                }
                self.punctuation(']');
            }
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                self.choices.shuffle(&mut entries);
                self.punctuation('{');
                for (place, (key, value)) in entries.into_iter().enumerate() {
                    if place > 0 {
                        self.punctuation(',');
                    }
                    self.text(key);
                    self.punctuation(':');
                    self.free(value);
                }
                self.punctuation('}');
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for letter in text.chars() {
            let must = letter < ' ' || letter == '"' || letter == '\\';
            if !must && !self.choices.once_in(8) {
                self.out.push(letter);
                continue;
            }
            let short = match letter {
                '"' | '\\' | '/' => Some(letter),
                '\u{8}' => Some('b'),
                '\u{c}' => Some('f'),
                '\n' => Some('n'),
                '\r' => Some('r'),
                '\t' => Some('t'),
                _ => None,
            };
            if let Some(short) = short.filter(|_| !self.choices.once_in(3)) {
                self.out.push('\\');
                self.out.push(short);
                continue;
            }
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let escape = if self.choices.once_in(2) {
                    format!("\\u{unit:04x}")
                } else {
                    format!("\\u{unit:04X}")
                };
                self.out.push_str(&escape);
            }
        }
        self.out.push('"');
        self.space();
    }

    fn punctuation(&mut self, mark: char) {
        self.space();
        self.out.push(mark);
        self.space();
    }

    fn space(&mut self) {
        if self.choices.once_in(6) {
            self.out.push_str(self.choices.pick(&[" ", "\n", "\t", "\r\n  "]));
        }
    }
}

/// Whether `null` is a value of the field.
fn takes_null(pool: &DescriptorPool, field: &FieldDescriptor) -> bool {
    let kind = match field.kind() {
        FieldKind::Singular(kind) => kind,
        FieldKind::List(_) | FieldKind::Map { .. } => return false,
    };
    match kind {
        SingularKind::Enum(index) => {
            pool.enumeration(index).full_name() == "google.protobuf.NullValue"
        }
        SingularKind::Message(index) => pool.message(index).full_name() == "google.protobuf.Value",
        SingularKind::Scalar(_) => false,
    }
}
