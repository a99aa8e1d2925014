//! A strict reader of JSON text that pulls value by value (RFC 8259).
//!
//! It keeps the counters of depth and nodes; whoever reads by it recurses no deeper than it lets
//! them. Numbers stay text, so that nothing is lost on the way to an integer.
//!
//! Not here: what a value means to a field (`from_json`).

use std::borrow::Cow;

use crate::fault::{Fault, echo};
use crate::limits::Limits;

/// The kind of the next value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Next {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Next::Null => "null",
            Next::Bool => "a boolean",
            Next::Number => "a number",
            Next::String => "a string",
            Next::Array => "a list",
            Next::Object => "an object",
        }
    }
}

/// A place in a JSON text. A copy is a second reader from the same place.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    depth_max: u32,
    nodes_left: u32,
    nodes_max: u32,
}

impl<'a> Reader<'a> {
    /// # Errors
    /// When the bytes are no UTF-8.
    pub(crate) fn new(json: &'a [u8], limits: &Limits) -> Result<Reader<'a>, Fault> {
        let text = std::str::from_utf8(json)
            .map_err(|error| Fault::caller("the text is not UTF-8").at(error.valid_up_to()))?;
        Ok(Reader {
            text,
            at: 0,
            depth: 0,
            depth_max: limits.json_depth,
            nodes_left: limits.json_nodes,
            nodes_max: limits.json_nodes,
        })
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Whether nothing but white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// # Errors
    /// When something stands behind the value (protocols I-3).
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        if self.at_end() { Ok(()) } else { Err(self.fault("text stands behind the value")) }
    }

    /// A fault at this place.
    pub(crate) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::caller(reason).at(self.at)
    }

    /// What stands next, without taking it.
    pub(crate) fn next(&mut self) -> Result<Next, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b'n') => Ok(Next::Null),
            Some(b't' | b'f') => Ok(Next::Bool),
            Some(b'-' | b'0'..=b'9') => Ok(Next::Number),
            Some(b'"') => Ok(Next::String),
            Some(b'[') => Ok(Next::Array),
            Some(b'{') => Ok(Next::Object),
            Some(_) => Err(self.fault("a value was expected here")),
            None => Err(self.fault("the text ends where a value was expected")),
        }
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.nodes_left = self
            .nodes_left
            .checked_sub(1)
            .ok_or_else(|| self.fault(format!("more than {} values", self.nodes_max)))?;
        Ok(())
    }

    pub(crate) fn null(&mut self) -> Result<(), Fault> {
        self.count()?;
        self.word("null")
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, Fault> {
        self.count()?;
        if self.peek() == Some(b't') {
            self.word("true").map(|()| true)
        } else {
            self.word("false").map(|()| false)
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault("a value was expected here"))
        }
    }

    /// The text of a number, in the grammar of JSON.
    pub(crate) fn number(&mut self) -> Result<&'a str, Fault> {
        self.count()?;
        let length = number_length(&self.text.as_bytes()[self.at..])
            .ok_or_else(|| self.fault("this is no number"))?;
        let number = &self.text[self.at..self.at + length];
        self.at += length;
        Ok(number)
    }

    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.count()?;
        self.quoted()
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.fault("a string was expected here"));
        }
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => break,
                Some(0..0x20) => return Err(self.fault("a control character inside a string")),
                Some(_) => self.at += 1,
                None => return Err(self.fault("a string has no end")),
            }
        }
        let mut text = String::from(&self.text[start..self.at]);
        loop {
            let plain = self.at;
            while matches!(bytes.get(self.at), Some(byte) if *byte != b'"' && *byte != b'\\' && *byte >= 0x20)
            {
                self.at += 1;
            }
            text.push_str(&self.text[plain..self.at]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(_) => return Err(self.fault("a control character inside a string")),
                None => return Err(self.fault("a string has no end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.hex4()?;
                let code = if (0xd800..0xdc00).contains(&first) {
                    if !self.text[self.at..].starts_with("\\u") {
                        return Err(self.fault("half of a surrogate pair"));
                    }
                    self.at += 2;
                    let second = self.hex4()?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return Err(self.fault("half of a surrogate pair"));
                    }
                    0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| self.fault("half of a surrogate pair"))?
            }
            _ => {
                self.at -= 1;
                return Err(self.fault("an unknown escape inside a string"));
            }
        })
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let value = digits.and_then(|digits| {
            digits
                .iter()
                .try_fold(0, |value, digit| Some(value << 4 | (*digit as char).to_digit(16)?))
        });
        let value = value.ok_or_else(|| self.fault("\\u without four hex digits"))?;
        self.at += 4;
        Ok(value)
    }

    fn enter(&mut self) -> Result<(), Fault> {
        self.count()?;
        self.depth += 1;
        if self.depth > self.depth_max {
            return Err(self.fault(format!(
                "more than {} objects and lists inside each other",
                self.depth_max
            )));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads an object: `each` is called behind every key and must take the value.
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Reader<'a>, Cow<'a, str>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.enter()?;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        loop {
            let key = self.quoted()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.fault("a colon was expected behind the key"));
            }
            self.at += 1;
            self.skip_space();
            each(self, key)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    self.depth -= 1;
                    return Ok(());
                }
                _ => return Err(self.fault("a comma or the end of the object was expected")),
            }
        }
    }

    /// Reads a list: `each` is called before every element, with its number, and must take it.
    pub(crate) fn array(
        &mut self,
        mut each: impl FnMut(&mut Reader<'a>, usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.enter()?;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            self.depth -= 1;
            return Ok(());
        }
        for number in 0.. {
            self.skip_space();
            each(self, number)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.fault("a comma or the end of the list was expected")),
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    /// Takes any value, checking that it is one.
    pub(crate) fn skip(&mut self) -> Result<(), Fault> {
        match self.next()? {
            Next::Null => self.null(),
            Next::Bool => self.boolean().map(drop),
            Next::Number => self.number().map(drop),
            Next::String => self.string().map(drop),
            Next::Array => self.array(|reader, _number| reader.skip()),
            Next::Object => self.object(|reader, _key| reader.skip()),
        }
    }

    /// A fault that says what was found in place of what was due.
    pub(crate) fn unexpected(&mut self, due: &str) -> Fault {
        match self.next() {
            Ok(found) => self.fault(format!("{due} was expected, {} was found", found.name())),
            Err(fault) => fault,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
}

/// Length of the number at the start of `bytes`, in the grammar of RFC 8259, section 6.
pub(crate) fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += match bytes.get(at)? {
        b'0' => 1,
        b'1'..=b'9' => digits(at),
        _ => return None,
    };
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

/// Refuses a key that came before in the same object.
pub(crate) fn duplicate(reader: &Reader<'_>, key: &str) -> Fault {
    reader.fault(format!("the key {} stands twice", echo(key)))
}

/// Appends `text` as a JSON string.
pub(crate) fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..0x20 => {
                out.extend_from_slice(&bytes[from..at]);
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                from = at + 1;
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(escape);
        from = at + 1;
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}
