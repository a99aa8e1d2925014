//! Random documents in every style, with comments everywhere, and random changes of their settings:
//! the values are those that were asked for, the rest of the document says what it said, and every
//! comment outside of what was changed is there (experience UX-28).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use tandem_config::edit::{set_values, values_of};

const DOCUMENTS: u64 = 500;
const MUTATIONS: u64 = 500;

/// Writes a document, and remembers to which entry each of its comments belongs.
struct Author {
    dice: StdRng,
    text: String,
    /// Path of the entry, and the comment.
    comments: Vec<(String, String)>,
    newline: &'static str,
    step: usize,
}

impl Author {
    fn one_in(&mut self, sides: u32) -> bool {
        self.dice.random_range(0..sides) == 0
    }

    fn comment(&mut self, owner: &str) -> String {
        let words = format!("# c{} - it's: {{a}} [", self.comments.len());
        self.comments.push((owner.to_owned(), words.clone()));
        words
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The end of a line, sometimes with a comment.
    fn end_line(&mut self, owner: &str) {
        if self.one_in(3) {
            let comment = self.comment(owner);
            self.put("  ");
            self.put(&comment);
        }
        self.put(self.newline);
    }

    /// Lines between two entries of the group `owner`.
    fn between(&mut self, owner: &str, indent: usize) {
        if self.one_in(6) {
            self.put(self.newline);
        }
        if self.one_in(4) {
            let comment = self.comment(owner);
            let line = format!("{}{comment}{}", " ".repeat(indent), self.newline);
            self.put(&line);
        }
    }

    fn scalar(&mut self) -> String {
        let words = [
            "7",
            "-1.50",
            "true",
            "null",
            "plain",
            "two words",
            "it's",
            "'single # quoted'",
            "\"double \\\" # quoted\"",
            "~",
            "{}",
            "[]",
            "é ü",
            "a:b",
            "\"\"",
        ];
        words[self.dice.random_range(0..words.len())].to_owned()
    }

    fn keys(&mut self, most: usize) -> Vec<String> {
        let mut keys: Vec<String> = (0..7).map(|n| format!("k{n}")).collect();
        keys.push("a key".to_owned());
        let count = self.dice.random_range(0..=most);
        while keys.len() > count {
            keys.remove(self.dice.random_range(0..keys.len()));
        }
        keys
    }

    fn key(&mut self, name: &str) -> String {
        if name.contains(' ') || self.one_in(8) { format!("\"{name}\"") } else { name.to_owned() }
    }

    /// What stands behind a key and its colon, to the end of the line.
    fn value(&mut self, path: &str, indent: usize, depth: usize) {
        let inner = indent + self.step;
        match self.dice.random_range(0..10) {
            0..=3 => {
                let scalar = self.scalar();
                self.put(" ");
                self.put(&scalar);
                self.end_line(path);
            }
            4 => {
                let line = [" |", " >-", " |+", " |2"][self.dice.random_range(0..4)];
                // A digit says how far the text stands in.
                let line = if line == " |2" { format!(" |{}", self.step) } else { line.to_owned() };
                let lines = format!(
                    "{line}{n}{s}Text: # no comment{n}{n}{s}more{n}",
                    n = self.newline,
                    s = " ".repeat(inner)
                );
                self.put(&lines);
            }
            5 => {
                self.end_line(path);
                for item in 0..self.dice.random_range(1..4) {
                    self.put(&format!("{}- i{item}", " ".repeat(inner)));
                    self.end_line(path);
                }
            }
            6 => {
                self.put(" ");
                self.flow(path, inner, depth);
                self.end_line(path);
            }
            7 => {
                self.put("");
                self.end_line(path);
            }
            _ => {
                let keys = self.keys(3);
                if depth == 0 || keys.is_empty() {
                    self.put(" {}");
                    return self.end_line(path);
                }
                self.end_line(path);
                self.block(path, inner, depth - 1, &keys);
            }
        }
    }

    fn block(&mut self, path: &str, indent: usize, depth: usize, keys: &[String]) {
        for name in keys {
            self.between(path, indent);
            let line = format!("{}{}:", " ".repeat(indent), self.key(name));
            self.put(&line);
            self.value(&below(path, name), indent, depth);
        }
    }

    /// Braces, on one line or on many.
    fn flow(&mut self, path: &str, indent: usize, depth: usize) {
        let keys = self.keys(3);
        let many = self.one_in(3);
        self.put("{");
        for (index, name) in keys.iter().enumerate() {
            if many {
                self.end_line(path);
                self.put(&" ".repeat(indent));
            } else {
                self.put(" ");
            }
            let key = self.key(name);
            self.put(&format!("{key}: "));
            if depth > 0 && self.one_in(4) {
                self.flow(&below(path, name), indent + 2, depth - 1);
            } else {
                let scalar = self.scalar();
                self.put(&scalar);
            }
            if index + 1 < keys.len() || self.one_in(4) {
                self.put(",");
            }
        }
        if many {
            self.end_line(path);
            self.put(&" ".repeat(indent));
        }
        self.put(if keys.is_empty() { "}" } else { " }" });
    }

    fn others(&mut self, first: usize) {
        for number in first..first + self.dice.random_range(0..3) {
            self.between("", 0);
            self.put(&format!("other{number}:"));
            self.value(&format!("other{number}"), 0, 2);
        }
    }

    fn document(&mut self) {
        self.others(0);
        self.between("", 0);
        self.put("namespace: shop");
        self.end_line("");
        match self.dice.random_range(0..10) {
            0 => {}
            1 => {
                self.put("settings:");
                self.value("settings", 0, 0);
            }
            2 => {
                self.put("settings: { p.B: { values: { k0: 1 } }, p.A: { values: ");
                self.flow("settings.p.A.values", 2, 2);
                self.put(" } }");
                self.end_line("");
            }
            _ => {
                self.put("settings:");
                self.end_line("settings");
                let (one, two) = (self.step, 2 * self.step);
                for service in ["p.B", "p.A", "p.C"] {
                    self.between("settings", one);
                    self.put(&format!("{}{service}:", " ".repeat(one)));
                    self.end_line(&format!("settings.{service}"));
                    let path = format!("settings.{service}.values");
                    self.put(&format!("{}values:", " ".repeat(two)));
                    let keys = self.keys(6);
                    if keys.is_empty() || self.one_in(5) {
                        self.value(&path, two, 2);
                    } else {
                        self.end_line(&path);
                        self.block(&path, 3 * self.step, 2, &keys);
                    }
                }
            }
        }
        self.others(10);
        if self.one_in(3) {
            let end = self.text.trim_end().len();
            // What ends in text keeps its end.
            if self.text[..end].ends_with('}') {
                self.text.truncate(end);
            }
        }
    }

    /// Fields that are there, fields that are not, and what they become.
    fn changes(&mut self, values: &Map<String, Value>) -> BTreeMap<String, Option<Value>> {
        let mut changes = BTreeMap::new();
        for _ in 0..self.dice.random_range(1..4) {
            let mut path = String::new();
            let mut group = Some(values);
            loop {
                let names: Vec<&String> = group.into_iter().flat_map(Map::keys).collect();
                let name = match names.is_empty() || self.one_in(4) {
                    true => format!("new{}", self.dice.random_range(0..3)),
                    false => names[self.dice.random_range(0..names.len())].clone(),
                };
                group = group.and_then(|group| group.get(&name)).and_then(Value::as_object);
                path = below(&path, &name);
                if group.is_none() || self.one_in(2) {
                    break;
                }
            }
            let values = [
                json!(1),
                json!("words # here"),
                json!([1, "a"]),
                json!({ "k1": { "x": true } }),
                json!(false),
            ];
            let value = values[self.dice.random_range(0..values.len())].clone();
            let value = (!self.one_in(3)).then_some(value);
            // Paths of which one lies in the other would depend on their order.
            let meets = |other: &String| within(other, &path) || within(&path, other);
            if !changes.keys().any(meets) {
                changes.insert(path, value);
            }
        }
        changes
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether `inner` is `outer` or something in it.
fn within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn changed(
    mut values: Map<String, Value>,
    changes: &BTreeMap<String, Option<Value>>,
) -> Map<String, Value> {
    fn put(group: &mut Map<String, Value>, path: &str, value: &Option<Value>) {
        match (path.split_once('.'), value) {
            (None, Some(value)) => drop(group.insert(path.to_owned(), value.clone())),
            (None, None) => drop(group.remove(path)),
            (Some((name, _)), None) if !group.contains_key(name) => {}
            (Some((name, rest)), value) => {
                let inner = group.entry(name).or_insert(Value::Null);
                if inner.is_null() {
                    *inner = json!({});
                }
                put(inner.as_object_mut().unwrap(), rest, value);
            }
        }
    }
    for (path, value) in changes {
        put(&mut values, path, value);
    }
    values
}

/// What a document says beside the values of `p.A`.
fn rest(text: &str) -> Value {
    let mut document: Value = serde_saphyr::from_str(text).unwrap();
    let prune = |parent: &mut Value, name: &str| {
        let empty = |value: &Value| value.is_null() || *value == json!({});
        if let Some(group) = parent.as_object_mut()
            && group.get(name).is_some_and(empty)
        {
            group.remove(name);
        }
    };
    if let Some(values) = document.pointer_mut("/settings/p.A/values") {
        *values = Value::Null;
    }
    if let Some(service) = document.pointer_mut("/settings/p.A") {
        prune(service, "values");
    }
    if let Some(settings) = document.get_mut("settings") {
        prune(settings, "p.A");
    }
    prune(&mut document, "settings");
    document
}

#[test]
fn experience_ux_28_a_random_change_of_a_random_document_leaves_the_rest_as_it_was() {
    let mut changed_texts = 0;
    for seed in 0..DOCUMENTS {
        let mut dice = StdRng::seed_from_u64(seed);
        let newline = if dice.random_range(0..8) == 0 { "\r\n" } else { "\n" };
        let step = dice.random_range(1..5);
        let mut author = Author { dice, text: String::new(), comments: Vec::new(), newline, step };
        author.document();
        // Nobody's settings where something else stands in their place.
        let Ok(before) = values_of(&author.text, "p.A") else { continue };
        let changes = author.changes(&before);
        let Author { text, comments, .. } = author;
        let edited = set_values(&text, "p.A", &changes);
        let edited =
            edited.unwrap_or_else(|fault| panic!("seed {seed}: {fault}: {changes:?}\n{text}"));
        let told = || format!("seed {seed}: {changes:?}\n--- old\n{text}\n--- new\n{edited}");

        assert_eq!(values_of(&edited, "p.A").unwrap(), changed(before, &changes), "{}", told());
        assert_eq!(rest(&edited), rest(&text), "{}", told());
        let mut last = 0;
        for (owner, comment) in &comments {
            let path = |field: &String| format!("settings.p.A.values.{field}");
            if changes.keys().any(|field| within(owner, &path(field))) {
                continue;
            }
            let at = edited[last..].find(comment);
            last += at.unwrap_or_else(|| panic!("{comment} of {owner} is gone\n{}", told()));
        }
        assert_eq!(set_values(&edited, "p.A", &changes).as_ref(), Ok(&edited), "{}", told());
        changed_texts += usize::from(edited != text);
    }
    assert!(changed_texts > DOCUMENTS as usize / 2, "{changed_texts}");
}

#[path = "checks/settings_edit.rs"]
mod settings_edit;

/// The corpus of the fuzz target, broken in small ways.
#[test]
fn a_broken_document_is_refused_or_changed_rightly_and_nothing_panics() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/settings_edit");
    let mut corpus: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    corpus.sort();
    let corpus: Vec<Vec<u8>> = corpus.iter().map(|path| std::fs::read(path).unwrap()).collect();
    const PIECES: [&str; 24] = [
        "\n", " ", "#", " # é\n", "{", "}", "[", "]", ",", ":", ": ", "- ", "&a ", "*a", "|\n",
        ">+\n", "? ", "'", "\"", "\r", "\t", "é", "\u{feff}", "!t ",
    ];
    for seed in 0..MUTATIONS {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut data = corpus[dice.random_range(0..corpus.len())].clone();
        let first = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        for _ in 0..dice.random_range(1..4) {
            let at = dice.random_range(first..=data.len());
            let to = (at + dice.random_range(0..4)).min(data.len());
            let piece = PIECES[dice.random_range(0..PIECES.len())];
            data.splice(at..to, piece.bytes());
        }
        let text = String::from_utf8_lossy(&data).into_owned();
        let done = std::panic::catch_unwind(|| settings_edit::check(text.as_bytes()));
        assert!(done.is_ok(), "seed {seed}: {text:?}");
    }
}
