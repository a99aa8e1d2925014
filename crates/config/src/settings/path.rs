//! Paths of values: `limits.max_discount_percent`, `hidden_categories[2]`, `labels["a"]`.
//!
//! Not here: paths of whole documents (`crate::source`).

use crate::source::Step;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Key(String),
    Index(usize),
}

impl Part {
    pub(crate) fn step(&self) -> Step<'_> {
        match self {
            Part::Key(name) => Step::Key(name),
            Part::Index(index) => Step::Index(*index),
        }
    }
}

/// The steps of a path as violations write it. An extension's name, `[package.name]`, is one step.
/// Ends at what is no path.
pub(crate) fn parts(path: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (part, after) = match rest.strip_prefix('[') {
            Some(inner) if inner.starts_with('"') => {
                let mut texts = serde_json::Deserializer::from_str(inner).into_iter::<String>();
                let Some(Ok(key)) = texts.next() else { break };
                let Some(after) = inner.get(texts.byte_offset()..) else { break };
                let Some(after) = after.strip_prefix(']') else { break };
                (Part::Key(key), after)
            }
            Some(inner) => {
                let Some((name, after)) = inner.split_once(']') else { break };
                match name.parse() {
                    Ok(index) => (Part::Index(index), after),
                    Err(_) => (Part::Key(format!("[{name}]")), after),
                }
            }
            None => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                (Part::Key(name.to_owned()), after)
            }
        };
        parts.push(part);
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    parts
}

/// The path of the field `name` below `above`.
pub(super) fn below(above: &str, name: &str) -> String {
    match above {
        "" => name.to_owned(),
        above => format!("{above}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_steps_that_it_names() {
        let key = |name: &str| Part::Key(name.to_owned());
        let check = |path: &str, expected: &[Part]| assert_eq!(parts(path), expected, "{path}");
        check("", &[]);
        check("a", &[key("a")]);
        check("a.b[2].c", &[key("a"), key("b"), Part::Index(2), key("c")]);
        check("a[\"x.\\\"]y\"].c", &[key("a"), key("x.\"]y"), key("c")]);
        check("[p.ext].c", &[key("[p.ext]"), key("c")]);
        check("a[\"x", &[key("a")]);
        check("a[", &[key("a")]);
    }
}
