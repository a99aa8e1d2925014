//! A body of many JSON values, cut into its values as the bytes come.
//!
//! It finds where each value ends and no more: what stands in one is the business of whoever
//! reads it, who also refuses what is no JSON. Each byte is looked at once; what is kept is the
//! value under way, never more than the limit. Any split of the bytes gives the same values.
//!
//! Source: protocols S-9.
//!
//! Not here: media types of bodies (`rest`), types of messages (`tandem-transcode`).

use bytes::{Buf, Bytes, BytesMut};

/// What stands between the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[a,b]`.
    Array,
    /// `[a,b]` where the first byte says so, else `a b`.
    ArrayOrSequence,
    /// One value a line; empty lines are none.
    Lines,
}

/// The bytes are no such body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    #[error("a value has more than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("a list of messages was expected (at byte {at})")]
    NoList { at: u64 },
    #[error("a value was expected (at byte {at})")]
    NoValue { at: u64 },
    #[error("`,` or `]` was expected (at byte {at})")]
    NoComma { at: u64 },
    #[error("text stands behind the list (at byte {at})")]
    Behind { at: u64 },
    #[error("the body ends inside the list")]
    Truncated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space has come.
    Start,
    /// Behind `[`.
    First,
    /// Behind `,`.
    Next,
    /// Behind a value of a list.
    Between,
    /// Behind `]`.
    Behind,
    /// Between values of a sequence.
    Loose,
    /// Inside a value.
    Inside(Inside),
}

/// How the end of the value under way is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Brackets that are open, whatever their kind.
    Brackets {
        open: usize,
        quoted: Quoted,
    },
    Text(Quoted),
    /// A number, or letters.
    Word,
    Line,
}

/// Whether the next byte belongs to a text, and whether it is escaped there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    No,
    Yes,
    Escaped,
}

impl Quoted {
    fn over(self, byte: u8) -> Quoted {
        match (self, byte) {
            (Quoted::No, b'"') | (Quoted::Escaped, _) => Quoted::Yes,
            (Quoted::Yes, b'"') => Quoted::No,
            (Quoted::Yes, b'\\') => Quoted::Escaped,
            (same, _) => same,
        }
    }
}

/// Takes chunks, gives values.
#[derive(Debug)]
pub struct Values {
    layout: Layout,
    limit: usize,
    place: Place,
    /// What has come and was not given out; where a value is under way it begins here.
    kept: BytesMut,
    /// Bytes of `kept` that were looked at.
    seen: usize,
    /// Bytes of the body before `kept`.
    before: u64,
    count: u64,
    failed: bool,
}

impl Values {
    /// A cutter that refuses values of more than `limit` bytes.
    pub fn new(layout: Layout, limit: usize) -> Values {
        Values {
            layout,
            limit,
            place: Place::Start,
            kept: BytesMut::new(),
            seen: 0,
            before: 0,
            count: 0,
            failed: false,
        }
    }

    /// Values that were given out: the number of the next one, counted from 0.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether a value has begun and is not complete; white space and what stands between values
    /// is none.
    pub fn is_inside(&self) -> bool {
        matches!(self.place, Place::Inside(_))
    }

    /// Takes what came next. Take all values out first: what is left is at most one value's part.
    pub fn push(&mut self, data: &[u8]) {
        self.kept.extend_from_slice(data);
    }

    /// The next whole value; `None` when more bytes are needed, and after an error.
    #[expect(clippy::should_implement_trait, reason = "bytes may be pushed after a None")]
    pub fn next(&mut self) -> Option<Result<Bytes, ValuesError>> {
        while !self.failed
            && let Some(byte) = self.kept.get(self.seen).copied()
        {
            let step = match self.place {
                Place::Inside(inside) => Ok(self.inside(inside, byte)),
                place => self.outside(place, byte).map(|()| None),
            };
            let bytes = match &step {
                Ok(Some(value)) => value.len(),
                _ => self.value_bytes(),
            };
            let step = if bytes > self.limit {
                Err(ValuesError::TooLarge { limit: self.limit })
            } else {
                step
            };
            match step {
                Ok(None) => {}
                Ok(Some(value)) => return Some(Ok(value)),
                Err(error) => {
                    self.failed = true;
                    self.kept.clear();
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// Ends the body: the value that only its end ends, where there is one.
    ///
    /// # Errors
    /// When a list is not closed, or is missing where the layout asks for one.
    pub fn end(&mut self) -> Result<Option<Bytes>, ValuesError> {
        if self.failed {
            return Ok(None);
        }
        match self.place {
            // In a list something must follow; elsewhere a value that is cut off is for its
            // reader to refuse.
            Place::First | Place::Next | Place::Between => Err(ValuesError::Truncated),
            Place::Inside(_) if self.in_list() => Err(ValuesError::Truncated),
            Place::Inside(_) => Ok(Some(self.cut())),
            Place::Start | Place::Behind | Place::Loose => Ok(None),
        }
    }

    /// Bytes of the value under way.
    fn value_bytes(&self) -> usize {
        if matches!(self.place, Place::Inside(_)) { self.seen } else { 0 }
    }

    /// Decided by the first byte of the body.
    fn in_list(&self) -> bool {
        self.layout == Layout::Array
    }

    fn outside(&mut self, place: Place, byte: u8) -> Result<(), ValuesError> {
        let at = self.before;
        let next = match (place, byte) {
            (place, b' ' | b'\t' | b'\r' | b'\n') => place,
            (Place::Start, _) if self.layout == Layout::Lines => Place::Inside(Inside::Line),
            (Place::Start, b'[') if self.layout == Layout::ArrayOrSequence => {
                self.layout = Layout::Array;
                Place::First
            }
            (Place::Start, b'[') => Place::First,
            (Place::Start, _) if self.layout == Layout::Array => {
                return Err(ValuesError::NoList { at });
            }
            (Place::First, b']') | (Place::Between, b']') => Place::Behind,
            (Place::Between, b',') => Place::Next,
            (Place::Between, _) => return Err(ValuesError::NoComma { at }),
            (Place::Behind, _) => return Err(ValuesError::Behind { at }),
            (_, b'{' | b'[') => Place::Inside(Inside::Brackets { open: 1, quoted: Quoted::No }),
            (_, b'"') => Place::Inside(Inside::Text(Quoted::Yes)),
            (_, b'}' | b']' | b',' | b':') => return Err(ValuesError::NoValue { at }),
            _ => Place::Inside(Inside::Word),
        };
        self.place = next;
        if matches!(next, Place::Inside(_)) {
            self.seen = 1;
        } else {
            self.kept.advance(1);
            self.before += 1;
        }
        Ok(())
    }

    /// Looks at a byte of the value under way; gives the value where it ends.
    fn inside(&mut self, inside: Inside, byte: u8) -> Option<Bytes> {
        let next = match inside {
            Inside::Brackets { open, quoted: Quoted::No } if matches!(byte, b'{' | b'[') => {
                Inside::Brackets { open: open + 1, quoted: Quoted::No }
            }
            Inside::Brackets { open, quoted: Quoted::No } if matches!(byte, b'}' | b']') => {
                if open == 1 {
                    self.seen += 1;
                    return Some(self.cut());
                }
                Inside::Brackets { open: open - 1, quoted: Quoted::No }
            }
            Inside::Brackets { open, quoted } => {
                Inside::Brackets { open, quoted: quoted.over(byte) }
            }
            Inside::Text(quoted) => match quoted.over(byte) {
                Quoted::No => {
                    self.seen += 1;
                    return Some(self.cut());
                }
                quoted => Inside::Text(quoted),
            },
            Inside::Word => match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']' | b'{' | b'}' | b'"' => {
                    return Some(self.cut());
                }
                _ => Inside::Word,
            },
            Inside::Line if byte == b'\n' => return Some(self.cut()),
            Inside::Line => Inside::Line,
        };
        self.place = Place::Inside(next);
        self.seen += 1;
        None
    }

    fn cut(&mut self) -> Bytes {
        let value = self.kept.split_to(self.seen).freeze();
        self.before += value.len() as u64;
        self.seen = 0;
        self.count += 1;
        self.place = match self.layout {
            Layout::Array => Place::Between,
            Layout::ArrayOrSequence => Place::Loose,
            Layout::Lines => Place::Start,
        };
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values, and how the body ended.
    fn read(
        layout: Layout,
        limit: usize,
        body: &str,
        step: usize,
    ) -> (Vec<String>, Option<String>) {
        let mut values = Values::new(layout, limit);
        let mut found = Vec::new();
        let text = |value: Bytes| String::from_utf8_lossy(&value).into_owned();
        for part in body.as_bytes().chunks(step) {
            values.push(part);
            while let Some(value) = values.next() {
                match value {
                    Ok(value) => found.push(text(value)),
                    Err(error) => return (found, Some(error.to_string())),
                }
            }
        }
        match values.end() {
            Ok(last) => found.extend(last.map(text)),
            Err(error) => return (found, Some(error.to_string())),
        }
        assert_eq!(values.count(), found.len() as u64);
        (found, None)
    }

    #[test]
    fn protocols_s_9_bodies_and_their_values() {
        use Layout::{Array, ArrayOrSequence, Lines};
        for (layout, body, values, error) in [
            (ArrayOrSequence, "", &[][..], None),
            (ArrayOrSequence, " \r\n", &[], None),
            (ArrayOrSequence, "[]", &[], None),
            (ArrayOrSequence, " [ { } , 1 ] \n", &["{ }", "1"], None),
            (
                ArrayOrSequence,
                r#"[{"a":"]\"}"},"\\",null]"#,
                &[r#"{"a":"]\"}"}"#, r#""\\""#, "null"],
                None,
            ),
            (ArrayOrSequence, "[[1,[2]],[]]", &["[1,[2]]", "[]"], None),
            (ArrayOrSequence, "[1,]", &["1"], Some("a value was expected (at byte 3)")),
            (ArrayOrSequence, "[,1]", &[], Some("a value was expected (at byte 1)")),
            (ArrayOrSequence, "[1 2]", &["1"], Some("`,` or `]` was expected (at byte 3)")),
            (ArrayOrSequence, "[{}{}]", &["{}"], Some("`,` or `]` was expected (at byte 3)")),
            (ArrayOrSequence, "[{}] {}", &["{}"], Some("text stands behind the list (at byte 5)")),
            (ArrayOrSequence, "[{}", &["{}"], Some("the body ends inside the list")),
            (ArrayOrSequence, "[{}, {", &["{}"], Some("the body ends inside the list")),
            (ArrayOrSequence, "[", &[], Some("the body ends inside the list")),
            (ArrayOrSequence, "{}{} {}\n[1]", &["{}", "{}", "{}", "[1]"], None),
            (ArrayOrSequence, "1 2\"a\"true{", &["1", "2", "\"a\"", "true", "{"], None),
            (ArrayOrSequence, "{},{}", &["{}"], Some("a value was expected (at byte 2)")),
            (ArrayOrSequence, "}", &[], Some("a value was expected (at byte 0)")),
            (Array, "[1,[2]]", &["1", "[2]"], None),
            (Array, "", &[], None),
            (Array, " 1", &[], Some("a list of messages was expected (at byte 1)")),
            (Lines, "{}\n\n  \r\n{\"a\":\n[1,2]\r\nx", &["{}", "{\"a\":", "[1,2]\r", "x"], None),
            (Lines, "", &[], None),
        ] {
            let expected: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            for step in 1..=body.len().max(1) {
                let (found, fault) = read(layout, 100, body, step);
                assert_eq!((&found, fault.as_deref()), (&expected, error), "{body} by {step}");
            }
        }
    }

    #[test]
    fn security_li_10_the_last_value_that_passes_and_the_first_that_does_not() {
        for (layout, limit, body, fine) in [
            (Layout::ArrayOrSequence, 4, "[\"ab\"]", true),
            (Layout::ArrayOrSequence, 3, "[\"ab\"]", false),
            (Layout::ArrayOrSequence, 4, "1234 ", true),
            (Layout::ArrayOrSequence, 3, "1234 ", false),
            (Layout::Lines, 4, "1234\n", true),
            (Layout::Lines, 3, "1234\n", false),
            (Layout::Lines, 3, "1234", false),
            // White space between values is none of them.
            (Layout::ArrayOrSequence, 1, "[           1           ]", true),
        ] {
            let (_, fault) = read(layout, limit, body, 1);
            assert_eq!(fault.is_none(), fine, "{body} within {limit}");
            assert_eq!(read(layout, limit, body, body.len()).1, fault);
        }
    }
}
