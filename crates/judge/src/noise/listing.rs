//! Every difference by where it is, from the first one on.
//!
//! Finer than what is tested: keys of maps are told apart while there are few of them (compare
//! J-8), and what lies under an `Any` or a `Struct` has lines of its own below its row.

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::{Diff, RowId, What};

/// Keys of one map that have lines of their own.
const KEYS_MOST: usize = 32;
/// Lines in all; what comes later is counted in the rows alone.
const LINES_MOST: usize = 1_000;

/// Lines of differences, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    lines: BTreeMap<String, Line>,
    keys: BTreeMap<String, BTreeSet<String>>,
    /// Calls with differences that had no place in the list.
    pub more: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub row: RowId,
    /// Differences seen here.
    pub count: u64,
    /// In which ways.
    pub what: BTreeSet<What>,
}

impl Listing {
    pub(super) fn add(&mut self, diff: &Diff) {
        self.more += u64::from(diff.more > 0);
        for difference in &diff.listed {
            let mut collapsed = false;
            for (map, key) in difference.path.map_keys() {
                let keys = self.keys.entry(map.clone()).or_default();
                let had = keys.len();
                if had <= KEYS_MOST {
                    keys.insert(key.to_owned());
                }
                if keys.len() > KEYS_MOST {
                    collapsed = true;
                    if had <= KEYS_MOST {
                        self.collapse(&map);
                    }
                }
            }
            let path =
                if collapsed { difference.path.template() } else { difference.path.listed() };
            self.count(path, difference.row, difference.what);
        }
    }

    fn count(&mut self, path: String, row: RowId, what: What) {
        if !self.lines.contains_key(&path) && self.lines.len() >= LINES_MOST {
            self.more += 1;
            return;
        }
        let line = self.lines.entry(path).or_insert(Line { row, count: 0, what: BTreeSet::new() });
        line.count += 1;
        line.what.insert(what);
    }

    /// Joins the lines of the keys of a map.
    fn collapse(&mut self, map: &str) {
        let start = format!("{map}{{");
        let under: Vec<String> =
            self.lines.keys().filter(|path| path.starts_with(&start)).cloned().collect();
        for path in under {
            let Some(line) = self.lines.remove(&path) else { continue };
            // Keys are free of nothing, so the end of the key is that of the last brace before
            // the next name.
            let rest = &path[start.len()..];
            let end = rest.find("}.").or_else(|| rest.rfind('}')).unwrap_or(rest.len() - 1);
            let joined = format!("{map}{{}}{}", &rest[end + 1..]);
            let into = self.lines.entry(joined).or_insert(Line { count: 0, ..line.clone() });
            into.count += line.count;
            into.what.extend(line.what);
        }
    }

    /// The lines in the order of their paths.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &Line)> {
        self.lines.iter().map(|(path, line)| (path.as_str(), line))
    }
}
