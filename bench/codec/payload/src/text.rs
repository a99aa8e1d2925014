//! JSON text in the forms in which callers send it.
//!
//! Not here: what is written (`order`).

use crate::order::Random;

/// A JSON value; scalars are ready text, strings are not yet quoted.
pub enum Json {
    Plain(String),
    String(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// No white space, keys in the order of the contract: what serializers write.
    Compact,
    /// Keys of each object in random order.
    Shuffled,
    /// One key or element a line, indented by two spaces a level.
    Pretty,
    /// Everything outside ASCII as `\u`.
    Ascii,
}

/// The text of `value`.
pub fn write(value: &Json, form: Form) -> Vec<u8> {
    let mut out = String::new();
    put(value, form, 0, &mut Random::new(11), &mut out);
    out.into_bytes()
}

fn put(value: &Json, form: Form, level: usize, random: &mut Random, out: &mut String) {
    match value {
        Json::Plain(text) => out.push_str(text),
        Json::String(text) => quote(text, form, out),
        Json::List(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                begin(index, form, level + 1, out);
                put(value, form, level + 1, random, out);
            }
            end(values.len(), form, level, out);
            out.push(']');
        }
        Json::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            if form == Form::Shuffled {
                random.shuffle(&mut entries);
            }
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                begin(index, form, level + 1, out);
                quote(key, form, out);
                out.push_str(if form == Form::Pretty { ": " } else { ":" });
                put(value, form, level + 1, random, out);
            }
            end(entries.len(), form, level, out);
            out.push('}');
        }
    }
}

fn begin(index: usize, form: Form, level: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
    line(form, level, out);
}

fn end(count: usize, form: Form, level: usize, out: &mut String) {
    if count > 0 {
        line(form, level, out);
    }
}

fn line(form: Form, level: usize, out: &mut String) {
    if form == Form::Pretty {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    }
}

fn quote(text: &str, form: Form, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            letter if letter < ' ' || (form == Form::Ascii && !letter.is_ascii()) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// Base64 of the standard alphabet, padded.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for piece in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| u32::from(piece.get(at).copied().unwrap_or(0)));
        let bits = a << 16 | b << 8 | c;
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= piece.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: Form, expected: &str) {
        let value = Json::Object(vec![
            ("a".into(), Json::String("é\u{1}\n\"😀".into())),
            ("b".into(), Json::List(vec![Json::Plain("1".into()), Json::Object(vec![])])),
        ]);
        assert_eq!(String::from_utf8(write(&value, form)).unwrap(), expected);
    }

    #[test]
    fn one_value_in_each_form() {
        check(Form::Compact, "{\"a\":\"é\\u0001\\n\\\"😀\",\"b\":[1,{}]}");
        check(Form::Ascii, "{\"a\":\"\\u00e9\\u0001\\n\\\"\\ud83d\\ude00\",\"b\":[1,{}]}");
        check(
            Form::Pretty,
            "{\n  \"a\": \"é\\u0001\\n\\\"😀\",\n  \"b\": [\n    1,\n    {}\n  ]\n}",
        );
    }

    #[test]
    fn rfc_4648_section_10() {
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }
}
