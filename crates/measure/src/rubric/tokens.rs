//! Sources as tokens: words, marks and literals, without comments.
//!
//! A full parser would see less: what stands inside `macro_rules!` is no syntax tree, and half the
//! `unsafe` of some crates stands there. Words inside comments, texts and names are not mistaken
//! for keywords. Any bytes are read; what is no Rust or Go gives tokens that mean nothing.

use super::Language;

/// One token and the lines, from 0, that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// A keyword, a name or a number.
    Word(&'a str),
    Mark(char),
    /// A text or a character.
    Literal,
}

/// All tokens of a source.
pub(crate) fn tokens(text: &str, language: Language) -> Vec<Token<'_>> {
    let mut reader = Reader { text, place: 0, line: 0 };
    let mut tokens = Vec::new();
    while let Some(letter) = reader.peek() {
        if letter.is_whitespace() {
            reader.next();
            continue;
        }
        if reader.comment(language) {
            continue;
        }
        let first_line = reader.line;
        let kind = match language {
            Language::Rust => reader.rust(letter),
            Language::Go => reader.go(letter),
        };
        tokens.push(Token { kind, first_line, last_line: reader.line });
    }
    tokens
}

struct Reader<'a> {
    text: &'a str,
    place: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.place..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.place += letter.len_utf8();
        self.line += usize::from(letter == '\n');
        Some(letter)
    }

    fn skip(&mut self, bytes: usize) {
        let end = self.place + bytes;
        while self.place < end && self.next().is_some() {}
    }

    fn comment(&mut self, language: Language) -> bool {
        if self.rest().starts_with("//") {
            while self.peek().is_some_and(|letter| letter != '\n') {
                self.next();
            }
            return true;
        }
        if !self.rest().starts_with("/*") {
            return false;
        }
        self.skip(2);
        let mut depth = 1_usize;
        while depth > 0 {
            if self.rest().starts_with("*/") {
                self.skip(2);
                depth -= 1;
            } else if language == Language::Rust && self.rest().starts_with("/*") {
                self.skip(2);
                depth += 1;
            } else if self.next().is_none() {
                break;
            }
        }
        true
    }

    fn rust(&mut self, letter: char) -> Kind<'a> {
        if let Some(hashes) = raw_text(self.rest()) {
            self.raw(hashes);
            return Kind::Literal;
        }
        let rest = self.rest();
        for prefix in ["\"", "b\"", "c\""] {
            if rest.starts_with(prefix) {
                self.skip(prefix.len());
                self.until('"');
                return Kind::Literal;
            }
        }
        if rest.starts_with("b'") {
            self.skip(2);
            self.until('\'');
            return Kind::Literal;
        }
        if letter == '\'' {
            let mut behind = rest.chars().skip(1);
            let (first, second) = (behind.next(), behind.next());
            // `'a'` and `'\n'` are characters, `'a` is a lifetime.
            if first == Some('\\') || second == Some('\'') {
                self.skip(1);
                self.until('\'');
                return Kind::Literal;
            }
            self.skip(1);
            return Kind::Mark('\'');
        }
        if rest.starts_with("r#") {
            self.skip(2);
            self.word();
            // A raw name is a name, whatever keyword it is spelt like.
            return Kind::Word("");
        }
        self.word_or_mark(letter)
    }

    fn go(&mut self, letter: char) -> Kind<'a> {
        match letter {
            '`' => {
                self.skip(1);
                while self.next().is_some_and(|letter| letter != '`') {}
                Kind::Literal
            }
            '"' | '\'' => {
                self.skip(1);
                self.until(letter);
                Kind::Literal
            }
            _ => self.word_or_mark(letter),
        }
    }

    fn word_or_mark(&mut self, letter: char) -> Kind<'a> {
        if letter.is_alphanumeric() || letter == '_' {
            return Kind::Word(self.word());
        }
        self.next();
        Kind::Mark(letter)
    }

    fn word(&mut self) -> &'a str {
        let begin = self.place;
        while self.peek().is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
            self.next();
        }
        &self.text[begin..self.place]
    }

    /// To behind the next `end` that no backslash stands before.
    fn until(&mut self, end: char) {
        while let Some(letter) = self.next() {
            if letter == '\\' {
                self.next();
            } else if letter == end {
                return;
            }
        }
    }

    /// A raw text with so many hashes.
    fn raw(&mut self, hashes: usize) {
        while self.next().is_some_and(|letter| letter != '"') {}
        let end = format!("\"{}", "#".repeat(hashes));
        while !self.rest().starts_with(&end) {
            if self.next().is_none() {
                return;
            }
        }
        self.skip(end.len());
    }
}

/// The hashes of a raw text that begins here.
fn raw_text(rest: &str) -> Option<usize> {
    let behind = ["r", "br", "cr"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = behind.bytes().take_while(|&byte| byte == b'#').count();
    (behind.as_bytes().get(hashes) == Some(&b'"')).then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, language: Language) -> Vec<String> {
        tokens(text, language)
            .into_iter()
            .map(|token| match token.kind {
                Kind::Word(word) => word.to_owned(),
                Kind::Mark(letter) => letter.to_string(),
                Kind::Literal => "_".to_owned(),
            })
            .collect()
    }

    #[test]
    fn rust_is_cut_into_tokens() {
        for (text, expected) in [
            ("unsafe { x }", "unsafe { x }"),
            ("// unsafe\nfn", "fn"),
            ("/* a /* unsafe */ b */ fn", "fn"),
            (r#"let s = "unsafe \" { ";"#, "let s = _ ;"),
            (r###"r#"unsafe " {"# r"\" br##"x"# "## x"###, "_ _ _ x"),
            ("b\"\\\"\" c\"x\" b'\\'' 'x' '\\'' '\\u{7f}' 'ü'", "_ _ _ _ _ _ _"),
            ("fn f<'a>(x: &'a str)", "fn f < ' a > ( x : & ' a str )"),
            ("r#unsafe unsafe_code", " unsafe_code"),
            ("\"never ends", "_"),
            ("/* never ends", ""),
            ("r#\"never ends\"", "_"),
        ] {
            assert_eq!(words(text, Language::Rust).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn go_is_cut_into_tokens() {
        for (text, expected) in [
            ("go f() // go g()", "go f ( )"),
            ("/* a /* b */ c", "c"),
            ("`raw \\` x `\n\n` '\\'' \"\\\"\" 'a'", "_ x _ _ _ _"),
            ("`never ends", "_"),
        ] {
            assert_eq!(words(text, Language::Go).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn a_token_knows_its_lines() {
        let found = tokens("a\n\"x\ny\"\n b", Language::Rust);
        let lines: Vec<_> = found.iter().map(|token| (token.first_line, token.last_line)).collect();
        assert_eq!(lines, [(0, 0), (1, 2), (3, 3)]);
    }
}
