//! What licences say: an expression of a Rust package, the text of a Go module.
//!
//! An expression becomes clauses: of each, one name must be allowed. `MIT OR Apache-2.0` is one
//! clause of two names, `MIT AND Zlib` two of one.

use std::collections::BTreeSet;

/// Names of which one must be allowed.
pub(crate) type Clause = BTreeSet<String>;

/// More clauses than a licence has that a person wrote.
const CLAUSES_MAX: usize = 64;
const DEPTH_MAX: usize = 16;

/// An SPDX expression, or its old form with a stroke; `None` for anything else.
pub(crate) fn clauses(expression: &str) -> Option<BTreeSet<Clause>> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, place: 0 };
    let clauses = parser.any(0)?;
    (parser.place == words.len()).then_some(clauses)
}

struct Parser<'a> {
    words: &'a [&'a str],
    place: usize,
}

impl Parser<'_> {
    fn takes(&mut self, word: &str) -> bool {
        let there = self.words.get(self.place) == Some(&word);
        self.place += usize::from(there);
        there
    }

    /// `a OR b`: one of each side's clauses.
    fn any(&mut self, depth: usize) -> Option<BTreeSet<Clause>> {
        let mut found = self.all(depth)?;
        while self.takes("OR") {
            let other = self.all(depth)?;
            found =
                found.iter().flat_map(|left| other.iter().map(move |right| left | right)).collect();
            if found.len() > CLAUSES_MAX {
                return None;
            }
        }
        Some(found)
    }

    /// `a AND b`: the clauses of both.
    fn all(&mut self, depth: usize) -> Option<BTreeSet<Clause>> {
        let mut found = self.one(depth)?;
        while self.takes("AND") {
            found.extend(self.one(depth)?);
        }
        Some(found)
    }

    fn one(&mut self, depth: usize) -> Option<BTreeSet<Clause>> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.takes("(") {
            let inner = self.any(depth + 1)?;
            return self.takes(")").then_some(inner);
        }
        let mut name = (*self.words.get(self.place)?).to_owned();
        if ["AND", "OR", "WITH", "(", ")"].contains(&name.as_str()) {
            return None;
        }
        self.place += 1;
        if self.takes("WITH") {
            name = format!("{name} WITH {}", self.words.get(self.place)?);
            self.place += 1;
        }
        Some(BTreeSet::from([Clause::from([name])]))
    }
}

/// The name of a licence by the words of its text, for modules that only carry the text.
pub(crate) fn of_text(text: &str) -> Option<&'static str> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let says = |words: &str| text.contains(words);
    let redistribution = says("redistribution and use in source and binary forms");
    // The narrowest first: what names a licence in passing names it late.
    Some(match () {
        () if says("apache license") && says("version 2.0") => "Apache-2.0",
        () if says("mozilla public license") && says("2.0") => "MPL-2.0",
        () if says("gnu affero general public license") => "AGPL",
        () if says("gnu lesser general public license") => "LGPL",
        () if says("gnu general public license") => "GPL",
        () if redistribution && (says("neither the name") || says("names of its contributors")) => {
            "BSD-3-Clause"
        }
        () if redistribution => "BSD-2-Clause",
        () if says("permission is hereby granted, free of charge") => "MIT",
        () if says("permission to use, copy, modify, and/or distribute this software") => "ISC",
        () if says("this is free and unencumbered software released into the public domain") => {
            "Unlicense"
        }
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_becomes_clauses() {
        for (expression, expected) in [
            ("MIT", Some("MIT")),
            ("MIT OR Apache-2.0", Some("Apache-2.0|MIT")),
            ("MIT/Apache-2.0", Some("Apache-2.0|MIT")),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", Some("Apache-2.0|MIT & Unicode-3.0")),
            ("MIT AND BSD-3-Clause OR ISC", Some("BSD-3-Clause|ISC & ISC|MIT")),
            (
                "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
                Some("Apache-2.0|Apache-2.0 WITH LLVM-exception|MIT"),
            ),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT Apache-2.0", None),
            ("AND MIT", None),
        ] {
            let found = clauses(expression).map(|clauses| {
                let shown = |clause: &Clause| {
                    clause.iter().map(String::as_str).collect::<Vec<_>>().join("|")
                };
                clauses.iter().map(shown).collect::<Vec<_>>().join(" & ")
            });
            assert_eq!(found.as_deref(), expected, "{expression}");
        }
        assert_eq!(clauses(&"(".repeat(100_000)), None);
    }

    #[test]
    fn a_text_is_known_by_its_words() {
        for (text, expected) in [
            ("Permission is hereby granted, free of charge, to any\nperson", Some("MIT")),
            ("Apache License\n   Version 2.0, January 2004", Some("Apache-2.0")),
            (
                "Redistribution and use in source and binary forms … Neither the name of Google",
                Some("BSD-3-Clause"),
            ),
            ("Redistribution and use in source and binary forms …", Some("BSD-2-Clause")),
            ("All rights reserved.", None),
        ] {
            assert_eq!(of_text(text), expected, "{text}");
        }
    }
}
