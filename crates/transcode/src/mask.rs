//! FieldMask between its paths and its one string (protocols J-8, Q-5).
//!
//! Source: google/protobuf/field_mask.proto, "JSON Encoding of Field Masks".

use crate::fault::{Fault, echo};

/// Paths of a mask in the words of the file, from comma-separated lowerCamel. A path that would
/// come back as another one is refused. `snake_too` also lets names of the file pass.
pub(crate) fn paths_of(text: &str, snake_too: bool) -> Result<Vec<String>, Fault> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|path| {
            let snake = snake_too && path.contains('_') && !path.contains(char::is_uppercase);
            if snake { Some(path.to_owned()) } else { to_snake(path) }
                .ok_or_else(|| Fault::caller(format!("{} is no path of a mask", echo(path))))
        })
        .collect()
}

fn to_snake(path: &str) -> Option<String> {
    if path.contains('_') {
        return None;
    }
    let mut snake = String::with_capacity(path.len() + 4);
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
            snake.push(letter.to_ascii_lowercase());
        } else {
            snake.push(letter);
        }
    }
    Some(snake)
}

/// lowerCamel of a path in the words of the file; `None` when it would not come back the same: an
/// empty one, or one with a comma, would come back as none or as two.
pub(crate) fn to_camel(path: &str) -> Option<String> {
    if path.is_empty() || path.contains(',') {
        return None;
    }
    let mut camel = String::with_capacity(path.len());
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '_' => match letters.next() {
                Some(next) if next.is_ascii_lowercase() => camel.push(next.to_ascii_uppercase()),
                _ => return None,
            },
            letter if letter.is_ascii_uppercase() => return None,
            letter => camel.push(letter),
        }
    }
    Some(camel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_j_8_only_paths_that_survive_the_round_trip_pass() {
        assert_eq!(paths_of("fooBar,baz.quxQuux", false).unwrap(), ["foo_bar", "baz.qux_quux"]);
        assert!(paths_of("foo_bar", false).is_err());
        assert_eq!(paths_of("foo_bar,fooBar", true).unwrap(), ["foo_bar", "foo_bar"]);
        assert_eq!(paths_of("", false).unwrap(), [""; 0]);
        assert_eq!(to_camel("foo_bar.x").as_deref(), Some("fooBar.x"));
        for path in ["fooBar", "foo__bar", "foo_3", "foo_", "", ",", "a,b"] {
            assert_eq!(to_camel(path), None, "{path}");
        }
    }
}
