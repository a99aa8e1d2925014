//! What of a source the language does not watch over: `unsafe` in Rust; `unsafe`, cgo, assembly
//! and linkname in Go.
//!
//! Counts of what is written, whatever `cfg` it stands under, tests in `src` included. Two lists
//! and no ratio: a block in Rust and an import in Go are not the same amount of anything.
//!
//! Not here: which files belong to whom (`rust`, `go`).

use std::ops::AddAssign;

use super::Language;
use super::tokens::{Kind, Token, tokens};

/// Of Rust sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unsafe {
    pub(crate) blocks: u64,
    pub(crate) functions: u64,
    pub(crate) impls: u64,
    pub(crate) traits: u64,
    pub(crate) extern_blocks: u64,
    /// Attributes, and what macros make of the word.
    pub(crate) others: u64,
    /// Of the impls: those of `Send` or `Sync`, the promises about threads that no compiler keeps.
    pub(crate) send_or_sync: u64,
    pub(crate) static_mut: u64,
}

impl Unsafe {
    pub(crate) fn total(&self) -> u64 {
        self.blocks + self.functions + self.impls + self.traits + self.extern_blocks + self.others
    }

    pub(crate) fn read(source: &str) -> Unsafe {
        let tokens = tokens(source, Language::Rust);
        let word = |place: usize| match tokens.get(place).map(|token| token.kind) {
            Some(Kind::Word(word)) => word,
            _ => "",
        };
        let mark = |place: usize, expected: char| {
            tokens.get(place).is_some_and(|token| token.kind == Kind::Mark(expected))
        };
        let mut found = Unsafe::default();
        for place in 0..tokens.len() {
            match word(place) {
                "static" if word(place + 1) == "mut" => found.static_mut += 1,
                // Before 2024 these are unsafe without saying so.
                "extern" if place == 0 || word(place - 1) != "unsafe" => {
                    let behind = place + 1;
                    let literal = tokens.get(behind).is_some_and(|t| t.kind == Kind::Literal);
                    if mark(behind + usize::from(literal), '{') {
                        found.extern_blocks += 1;
                    }
                }
                "unsafe" => match word(place + 1) {
                    "impl" => {
                        found.impls += 1;
                        found.send_or_sync += u64::from(of_send_or_sync(&tokens[place + 2..]));
                    }
                    "trait" => found.traits += 1,
                    "fn" if mark(place + 2, '(') => {} // a type
                    "fn" => found.functions += 1,
                    "extern" => {
                        let literal =
                            tokens.get(place + 2).is_some_and(|t| t.kind == Kind::Literal);
                        let behind = place + 2 + usize::from(literal);
                        match word(behind) {
                            "fn" if mark(behind + 1, '(') => {}
                            "fn" => found.functions += 1,
                            _ => found.extern_blocks += 1,
                        }
                    }
                    _ if mark(place + 1, '{') => found.blocks += 1,
                    _ => found.others += 1,
                },
                _ => {}
            }
        }
        found
    }
}

impl AddAssign for Unsafe {
    fn add_assign(&mut self, other: Unsafe) {
        let Unsafe {
            blocks,
            functions,
            impls,
            traits,
            extern_blocks,
            others,
            send_or_sync,
            static_mut,
        } = other;
        self.blocks += blocks;
        self.functions += functions;
        self.impls += impls;
        self.traits += traits;
        self.extern_blocks += extern_blocks;
        self.others += others;
        self.send_or_sync += send_or_sync;
        self.static_mut += static_mut;
    }
}

/// Whether the trait behind `unsafe impl` is one of the two; bounds name them too.
fn of_send_or_sync(behind: &[Token<'_>]) -> bool {
    let mut depth = 0_i32;
    let mut before = ' ';
    for token in behind.iter().take(400) {
        match token.kind {
            Kind::Mark('<') => depth += 1,
            Kind::Mark('>') if before != '-' => depth -= 1,
            Kind::Mark('{') => return false,
            Kind::Word("for") if depth == 0 => return false,
            Kind::Word("Send" | "Sync") if depth == 0 => return true,
            Kind::Word(_) | Kind::Mark(_) | Kind::Literal => {}
        }
        before = if let Kind::Mark(letter) = token.kind { letter } else { ' ' };
    }
    false
}

/// `//go:linkname` lines: names taken from other packages behind the compiler's back.
pub(crate) fn linknames(source: &str) -> u64 {
    source.lines().filter(|line| line.starts_with("//go:linkname ")).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_unsafe_is_counted_as_what_it_is() {
        let none = Unsafe::default();
        for (source, expected) in [
            ("fn f() { unsafe { g() } }", Unsafe { blocks: 1, ..none }),
            ("pub unsafe fn f() {}", Unsafe { functions: 1, ..none }),
            ("unsafe extern \"C\" fn f() {}", Unsafe { functions: 1, ..none }),
            ("unsafe extern \"C\" { fn f(); }", Unsafe { extern_blocks: 1, ..none }),
            ("extern \"C\" { fn f(); }", Unsafe { extern_blocks: 1, ..none }),
            ("extern { fn f(); }", Unsafe { extern_blocks: 1, ..none }),
            ("extern \"C\" fn f() {}", none),
            ("extern crate alloc;", none),
            ("struct S { call: unsafe fn(u8), back: unsafe extern \"C\" fn() }", none),
            ("unsafe trait T {}", Unsafe { traits: 1, ..none }),
            ("unsafe impl Send for S {}", Unsafe { impls: 1, send_or_sync: 1, ..none }),
            (
                "unsafe impl<T: Send, F: Fn() -> T> core::marker::Sync for S<T, F> {}",
                Unsafe { impls: 1, send_or_sync: 1, ..none },
            ),
            ("unsafe impl<T: Send + Sync> Buf for S<T> {}", Unsafe { impls: 1, ..none }),
            ("#[unsafe(no_mangle)] fn f() {}", Unsafe { others: 1, ..none }),
            ("macro_rules! m { () => { unsafe { f() } } }", Unsafe { blocks: 1, ..none }),
            ("static mut HITS: u64 = 0;", Unsafe { static_mut: 1, ..none }),
            ("#![forbid(unsafe_code)] // unsafe { }", none),
            ("let s = \"unsafe { }\"; /* unsafe fn */", none),
        ] {
            assert_eq!(Unsafe::read(source), expected, "{source}");
        }
    }

    #[test]
    fn a_linkname_is_a_line_of_its_own() {
        assert_eq!(
            linknames("//go:linkname now time.now\n // //go:linkname x\n//go:linknamed\n"),
            1
        );
    }
}
