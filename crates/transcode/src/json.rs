//! A strict reader of JSON text that pulls value by value (RFC 8259).
//!
//! It keeps the counters of depth and nodes; whoever reads by it recurses no deeper than it lets
//! them. Numbers stay text, so that nothing is lost on the way to an integer. The whole text is
//! checked to be UTF-8 once, before anything is read.
//!
//! Not here: what a value means to a field (`from_json`).

mod digits;
mod text;

use std::borrow::Cow;

use crate::fault::{Fault, FaultLimit, Stop, echo};
use crate::limits::Limits;

pub(crate) use self::digits::number_length;
use self::digits::{POWERS, leading_digits};
use self::text::plain_end;
pub(crate) use self::text::{put_front, put_string, put_text};

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
    pub(crate) fn new(json: &'a [u8], limits: &Limits) -> Result<Reader<'a>, Stop> {
        let text = simdutf8::basic::from_utf8(json).map_err(|_error| not_utf8(json))?;
        Ok(Reader {
            text,
            at: 0,
            depth: 0,
            depth_max: limits.json_depth,
            nodes_left: limits.json_nodes,
            nodes_max: limits.json_nodes,
        })
    }

    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Goes back to a place that was read before.
    #[inline]
    pub(crate) fn back_to(&mut self, position: usize) {
        self.at = position;
    }

    /// Whether nothing but white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// # Errors
    /// When something stands behind the value (protocols I-3).
    pub(crate) fn end(&mut self) -> Result<(), Stop> {
        if self.at_end() { Ok(()) } else { Err(self.stop("text stands behind the value")) }
    }

    /// A fault at this place.
    #[cold]
    pub(crate) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::caller(reason).at(self.at)
    }

    /// A fault at this place, as readers give it back.
    #[cold]
    #[inline(never)]
    pub(crate) fn stop(&self, reason: &str) -> Stop {
        Box::new(self.fault(reason))
    }

    /// What stands next, without taking it.
    pub(crate) fn next(&mut self) -> Result<Next, Stop> {
        self.skip_space();
        match self.peek() {
            b'n' => Ok(Next::Null),
            b't' | b'f' => Ok(Next::Bool),
            b'-' | b'0'..=b'9' => Ok(Next::Number),
            b'"' => Ok(Next::String),
            b'[' => Ok(Next::Array),
            b'{' => Ok(Next::Object),
            _ if self.at == self.text.len() => {
                Err(self.stop("the text ends where a value was expected"))
            }
            _ => Err(self.stop("a value was expected here")),
        }
    }

    /// Counts one value.
    #[inline]
    pub(crate) fn count(&mut self) -> Result<(), Stop> {
        match self.nodes_left.checked_sub(1) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => Err(self.too_many()),
        }
    }

    #[cold]
    #[inline(never)]
    fn too_many(&self) -> Stop {
        let fault = self.fault(format!("more than {} values", self.nodes_max));
        Box::new(fault.over(FaultLimit::JsonNodes))
    }

    pub(crate) fn null(&mut self) -> Result<(), Stop> {
        self.count()?;
        self.word("null")
    }

    #[inline]
    pub(crate) fn boolean(&mut self) -> Result<bool, Stop> {
        self.count()?;
        if self.peek() == b't' {
            self.word("true").map(|()| true)
        } else {
            self.word("false").map(|()| false)
        }
    }

    #[inline]
    fn word(&mut self, word: &str) -> Result<(), Stop> {
        if self.rest().starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.stop("a value was expected here"))
        }
    }

    /// The text of a number, in the grammar of JSON.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<&'a str, Stop> {
        self.count()?;
        let length = number_length(self.rest()).ok_or_else(|| self.stop("this is no number"))?;
        let number = &self.text[self.at..self.at + length];
        self.at += length;
        Ok(number)
    }

    /// An integer of at most 19 digits written as plain digits, its sign apart: what almost every
    /// integer is. `None` takes nothing: the number has another form, or is none.
    #[inline]
    pub(crate) fn plain_integer(&mut self) -> Option<(bool, u64)> {
        let rest = self.rest();
        let negative = rest.first() == Some(&b'-');
        let (value, digits) = leading_digits(&rest[usize::from(negative)..]);
        let length = usize::from(negative) + digits;
        // Nineteen digits fit; `012` is no JSON.
        let first = rest.get(length.wrapping_sub(digits));
        if digits == 0 || digits > 19 || (digits > 1 && first == Some(&b'0')) {
            return None;
        }
        if matches!(rest.get(length), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.at += length;
        Some((negative, value))
    }

    /// A number whose double is exact by one division (Clinger 1990): its digits are an integer
    /// below 2^53, the power of ten at most 22. What almost every number in a text is; `None`
    /// takes nothing.
    #[inline]
    pub(crate) fn plain_double(&mut self) -> Option<f64> {
        let rest = self.rest();
        let negative = rest.first() == Some(&b'-');
        let unsigned = &rest[usize::from(negative)..];
        let (whole, whole_digits) = leading_digits(unsigned);
        if whole_digits == 0
            || whole_digits > 15
            || (whole_digits > 1 && unsigned.first() == Some(&b'0'))
        {
            return None;
        }
        let mut length = usize::from(negative) + whole_digits;
        let mut value = whole as f64;
        if rest.get(length) == Some(&b'.') {
            let (fraction, digits) = leading_digits(&rest[length + 1..]);
            let scale = POWERS.get(digits).filter(|_| digits > 0 && whole_digits + digits <= 15)?;
            value = (whole * scale + fraction) as f64 / *scale as f64;
            length += 1 + digits;
        }
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            return None;
        }
        self.at += length;
        Some(if negative { -value } else { value })
    }

    /// Takes `byte` when it stands next.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Stop> {
        self.count()?;
        self.quoted()
    }

    /// The name of a type, behind `@type`.
    pub(crate) fn type_name(&mut self) -> Result<Cow<'a, str>, Stop> {
        if self.peek() != b'"' {
            return Err(self.unexpected("the name of a type").into());
        }
        self.string()
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, Stop> {
        let mut scratch = Vec::new();
        Ok(match self.quoted_into(&mut scratch)? {
            Some(text) => Cow::Borrowed(text),
            // Escapes mean characters, and what stands between them was checked.
            None => Cow::Owned(
                String::from_utf8(scratch).map_err(|_error| self.stop("the text is not UTF-8"))?,
            ),
        })
    }

    /// Reads a string: a part of the text where it holds no escape, else its characters in
    /// `scratch`, whatever was in there. Counts no value.
    #[inline]
    pub(crate) fn quoted_into(&mut self, scratch: &mut Vec<u8>) -> Result<Option<&'a str>, Stop> {
        if !self.take(b'"') {
            return Err(self.stop("a string was expected here"));
        }
        let start = self.at;
        let bytes = self.text.as_bytes();
        let end = plain_end(bytes, start);
        if bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Some(&self.text[start..end]));
        }
        self.escaped_into(start, end, scratch)?;
        Ok(None)
    }

    /// Takes a string that holds no escape; its length. `None` takes nothing: it holds one, or is
    /// none at all.
    #[inline]
    pub(crate) fn plain_text(&mut self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let end = plain_end(bytes, start);
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        Some(end - start)
    }

    /// The text from an earlier position on.
    #[inline]
    pub(crate) fn from(&self, position: usize) -> &'a [u8] {
        self.text.as_bytes().get(position..).unwrap_or_default()
    }

    #[cold]
    #[inline(never)]
    fn escaped_into(
        &mut self,
        start: usize,
        end: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let bytes = self.text.as_bytes();
        scratch.clear();
        scratch.extend_from_slice(&bytes[start..end]);
        self.at = end;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(scratch)?;
                }
                Some(_) => return Err(self.stop("a control character inside a string")),
                None => return Err(self.stop("a string has no end")),
            }
            let plain = self.at;
            self.at = plain_end(bytes, plain);
            scratch.extend_from_slice(&bytes[plain..self.at]);
        }
    }

    fn escape(&mut self, scratch: &mut Vec<u8>) -> Result<(), Stop> {
        let letter = self.peek();
        self.at += 1;
        let byte = match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let letter = self.unicode()?;
                scratch.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => {
                self.at -= 1;
                return Err(self.stop("an unknown escape inside a string"));
            }
        };
        scratch.push(byte);
        Ok(())
    }

    fn unicode(&mut self) -> Result<char, Stop> {
        let first = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !self.rest().starts_with(b"\\u") {
                return Err(self.stop("half of a surrogate pair"));
            }
            self.at += 2;
            let second = self.hex4()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.stop("half of a surrogate pair"));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.stop("half of a surrogate pair"))
    }

    fn hex4(&mut self) -> Result<u32, Stop> {
        let value = self.rest().first_chunk::<4>().and_then(|digits| {
            let [a, b, c, d] = digits.map(|digit| u32::from(HEX_VALUES[usize::from(digit)]));
            ((a | b | c | d) < 16).then_some(a << 12 | b << 8 | c << 4 | d)
        });
        let value = value.ok_or_else(|| self.stop("\\u without four hex digits"))?;
        self.at += 4;
        Ok(value)
    }

    /// Steps into the object or list that stands next.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<(), Stop> {
        self.count()?;
        self.depth += 1;
        if self.depth > self.depth_max {
            return Err(self.too_deep());
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn too_deep(&self) -> Stop {
        let most = self.depth_max;
        let fault = self.fault(format!("more than {most} objects and lists inside each other"));
        Box::new(fault.over(FaultLimit::JsonDepth))
    }

    /// Steps out of the object or list whose end was taken.
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The colon behind a key, and the space around it.
    #[inline]
    pub(crate) fn colon(&mut self) -> Result<(), Stop> {
        self.skip_space();
        if !self.take(b':') {
            return Err(self.stop("a colon was expected behind the key"));
        }
        self.skip_space();
        Ok(())
    }

    /// Behind a value of an object or list: whether another one follows; its end is taken.
    #[inline]
    pub(crate) fn more(&mut self, end: u8) -> Result<bool, Stop> {
        let mut byte = self.peek();
        if byte <= b' ' {
            self.skip_spaces();
            byte = self.peek();
        }
        if byte == b',' {
            self.at += 1;
            self.skip_space();
            return Ok(true);
        }
        if byte == end {
            self.at += 1;
            return Ok(false);
        }
        Err(self.stop(if end == b'}' {
            "a comma or the end of the object was expected"
        } else {
            "a comma or the end of the list was expected"
        }))
    }

    /// Reads an object: `each` is called behind every key and must take the value.
    pub(crate) fn object<E: From<Stop>>(
        &mut self,
        mut each: impl FnMut(&mut Reader<'a>, Cow<'a, str>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter()?;
        if !self.take(b'}') {
            loop {
                let key = self.quoted()?;
                self.colon()?;
                each(self, key)?;
                if !self.more(b'}')? {
                    break;
                }
            }
        }
        self.leave();
        Ok(())
    }

    /// Takes any value, checking that it is one. No level is deeper than the reader allows, so
    /// the recursion is bounded.
    pub(crate) fn skip(&mut self) -> Result<(), Stop> {
        match self.next()? {
            Next::Null => self.null(),
            Next::Bool => self.boolean().map(drop),
            Next::Number => self.number().map(drop),
            Next::String => {
                self.count()?;
                self.quoted_into(&mut Vec::new()).map(drop)
            }
            Next::Array => {
                self.enter()?;
                if !self.take(b']') {
                    loop {
                        self.skip()?;
                        if !self.more(b']')? {
                            break;
                        }
                    }
                }
                self.leave();
                Ok(())
            }
            Next::Object => self.object(|reader, _key| reader.skip()),
        }
    }

    /// A fault that says what was found in place of what was due.
    #[cold]
    pub(crate) fn unexpected(&mut self, due: &str) -> Fault {
        match self.next() {
            Ok(found) => self.fault(format!("{due} was expected, {} was found", found.name())),
            Err(stop) => *stop,
        }
    }

    /// The byte that stands next; 0, which begins nothing, at the end.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// What is left of the text.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Takes `bytes` that the caller has seen at the front of [`Reader::rest`].
    #[inline]
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    #[inline]
    pub(crate) fn skip_space(&mut self) {
        if self.peek() <= b' ' {
            self.skip_spaces();
        }
    }

    #[inline(never)]
    fn skip_spaces(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at)
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.at += 1;
            // Indentation is a run of blanks.
            while let Some(chunk) = bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
                let other = u64::from_le_bytes(*chunk) ^ 0x2020_2020_2020_2020;
                self.at += (other.trailing_zeros() / 8) as usize;
                if other != 0 {
                    break;
                }
            }
        }
    }
}

#[cold]
fn not_utf8(json: &[u8]) -> Stop {
    let valid = std::str::from_utf8(json).map_or_else(|error| error.valid_up_to(), str::len);
    Box::new(Fault::caller("the text is not UTF-8").at(valid))
}

/// Refuses a key that came before in the same object.
#[cold]
pub(crate) fn duplicate(reader: &Reader<'_>, key: &str) -> Fault {
    reader.fault(format!("the key {} stands twice", echo(key)))
}

/// The value of a hex digit; 0xff for what is none.
const HEX_VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut at = 0;
    while at < 256 {
        if let Some(value) = (at as u8 as char).to_digit(16) {
            values[at] = value as u8;
        }
        at += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_read_the_short_way_is_the_number_of_the_standard_library() {
        let mut taken = 0;
        for whole in ["0", "1", "7", "12", "48", "869", "123456789012", "999999999999999"] {
            for fraction in ["", ".0", ".5", ".1", ".869", ".3312", ".000001", ".123456789012345"] {
                for sign in ["", "-"] {
                    let text = format!("{sign}{whole}{fraction}");
                    let mut reader = Reader::new(text.as_bytes(), &Limits::default()).unwrap();
                    if let Some(value) = reader.plain_double() {
                        taken += 1;
                        assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits());
                        assert!(reader.at_end(), "{text}");
                    }
                }
            }
        }
        assert!(taken > 80, "{taken}");
        for text in ["", "-", "01", "1e5", "1.5e5", ".5", "1.", "x", "1234567890123456", "1.e1"] {
            let mut reader = Reader::new(text.as_bytes(), &Limits::default()).unwrap();
            assert_eq!(reader.plain_double(), None, "{text}");
            assert_eq!(reader.position(), 0);
        }
    }
}
