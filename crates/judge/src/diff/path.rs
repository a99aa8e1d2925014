//! Where a difference is.
//!
//! One path has three spellings: the place in one pair of answers (`orders[id=17].labels{eu}`),
//! the line under which it is listed (`orders[].labels{eu}`), and the template once a map has
//! shown too many keys to list them (`orders[].labels{}`, compare J-8).

use std::fmt::Write as _;

/// Bytes of a key that a path repeats.
const KEY_BYTES_MOST: usize = 64;

/// From the answer to the value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A field, a key of a `Struct`, or a part of the answer in angle brackets.
    Name(Box<str>),
    /// Of a list, or of a stream.
    Index(u32),
    /// Of a list whose elements have a key: its field and value.
    Keyed(Box<str>, Box<str>),
    /// Of a map.
    MapKey(Box<str>),
}

#[derive(Clone, Copy, PartialEq)]
enum Spelling {
    Place,
    Listed,
    Template,
}

impl Path {
    /// In one pair of answers: with indexes and keys.
    pub fn place(&self) -> String {
        self.spelled(Spelling::Place)
    }

    /// The line of a report: without places in lists, with keys of maps.
    pub fn listed(&self) -> String {
        self.spelled(Spelling::Listed)
    }

    /// Without keys of maps too.
    pub fn template(&self) -> String {
        self.spelled(Spelling::Template)
    }

    /// The keys of maps on the way, each with the template of its map.
    pub fn map_keys(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().enumerate().filter_map(|(place, step)| match step {
            Step::MapKey(key) => Some((Path(self.0[..place].to_vec()).template(), &**key)),
            Step::Name(_) | Step::Index(_) | Step::Keyed(..) => None,
        })
    }

    fn spelled(&self, spelling: Spelling) -> String {
        let mut text = String::new();
        for step in &self.0 {
            match step {
                Step::Name(name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(name);
                }
                Step::Index(_) | Step::Keyed(..) if spelling != Spelling::Place => {
                    text.push_str("[]");
                }
                Step::Index(index) => drop(write!(text, "[{index}]")),
                Step::Keyed(field, value) => drop(write!(text, "[{field}={value}]")),
                Step::MapKey(_) if spelling == Spelling::Template => text.push_str("{}"),
                Step::MapKey(key) => drop(write!(text, "{{{key}}}")),
            }
        }
        text
    }
}

/// A key as a path may show it: short, and without controls.
pub(super) fn key_text(key: &[u8]) -> Box<str> {
    let cut = &key[..key.len().min(KEY_BYTES_MOST)];
    let mut text: String = String::from_utf8_lossy(cut).escape_debug().collect();
    if cut.len() < key.len() {
        text.push('…');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_j_8_a_path_has_a_place_a_line_and_a_template() {
        let path = Path(vec![
            Step::Name("orders".into()),
            Step::Keyed("id".into(), "17".into()),
            Step::Name("labels".into()),
            Step::MapKey("eu".into()),
            Step::Name("tags".into()),
            Step::Index(3),
        ]);
        assert_eq!(path.place(), "orders[id=17].labels{eu}.tags[3]");
        assert_eq!(path.listed(), "orders[].labels{eu}.tags[]");
        assert_eq!(path.template(), "orders[].labels{}.tags[]");
        let keys: Vec<_> = path.map_keys().collect();
        assert_eq!(keys, [("orders[].labels".to_owned(), "eu")]);
    }

    #[test]
    fn a_key_is_cut_and_its_controls_are_written_out() {
        assert_eq!(&*key_text(b"a\nb"), "a\\nb");
        assert_eq!(key_text(&[b'x'; 65]).chars().count(), 65);
        assert!(key_text(&[b'x'; 65]).ends_with('…'));
        assert_eq!(key_text(&[b'x'; 64]).len(), 64);
    }
}
