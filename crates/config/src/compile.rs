//! How .proto text becomes a contract here: by a compiler that is handed in.
//!
//! A compiler may use up memory and time, so it runs in a process that this crate cannot start;
//! what it says against a text becomes a problem at that line of that text.
//!
//! Not here: the process (`tandem`), the compiler (`tandem_contract::source::text`).

use std::sync::Arc;

use tandem_contract::{ProtoText, TextFault};

use crate::problem::{Problem, Tnd};
use crate::source::{Place, Source, Step, cut};

/// Compiles texts into the bytes of a descriptor set.
pub type Compile<'a> = &'a dyn Fn(&[ProtoText]) -> Result<Vec<u8>, CompileFault>;

/// Why there is no descriptor set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompileFault {
    /// At least one.
    Texts(Vec<TextFault>),
    /// This text is of an edition, and no program that reads it is there.
    NoEditionCompiler(String),
    /// The compiler did not come to its end; why.
    Ended(String),
}

/// The problems of a fault. `folder` is where the texts are, as people name it.
pub(crate) fn problems(
    fault: CompileFault,
    texts: &[ProtoText],
    folder: &str,
    document: &Arc<Source>,
) -> Vec<Problem> {
    let key = [Step::Key("contract"), Step::Key("protos")];
    match fault {
        CompileFault::Texts(faults) => {
            faults.iter().map(|fault| of_text(fault, texts, folder, document)).collect()
        }
        CompileFault::NoEditionCompiler(file) => {
            let what = format!("`{}` is written in an edition", cut(&file));
            let problem = Problem::error(Tnd::NoEditionCompiler, what)
                .here("neither `buf` nor `protoc` is on PATH")
                .why("this build compiles proto2 and proto3 by itself, editions with one of them")
                .fix(
                    "install `buf` or `protoc`, or compile the files and write `descriptors: FILE`",
                );
            vec![problem.at(document, &key)]
        }
        CompileFault::Ended(why) => {
            let problem = Problem::error(Tnd::OverLimit, "the .proto files could not be compiled")
                .here(cut(&why))
                .why("a compiler may use 2 seconds and 2 GiB, so that no text stops the gateway")
                .fix("compile the files yourself, and write `descriptors: FILE`");
            vec![problem.at(document, &key)]
        }
    }
}

fn of_text(
    fault: &TextFault,
    texts: &[ProtoText],
    folder: &str,
    document: &Arc<Source>,
) -> Problem {
    let TextFault { file, place, what } = fault;
    let fix = "correct the file; `protoc` says the same of it";
    let problem = Problem::error(Tnd::ContractUnusable, "a .proto file does not compile").fix(fix);
    let Some(text) = texts.iter().find(|text| text.name == *file) else {
        let key = [Step::Key("contract"), Step::Key("protos")];
        return problem.here(cut(&format!("{file}: {what}"))).at(document, &key);
    };
    let name = match folder {
        "" => text.name.clone(),
        folder => format!("{folder}/{}", text.name),
    };
    let Some((line, column)) = *place else {
        return problem.here(cut(what)).in_file(name);
    };
    let source = Arc::new(Source { name, text: text.text.clone(), root: None });
    let place = Place::new(span(&source.text, line, column), None);
    problem.here(cut(what)).at_place(&source, &[], place)
}

/// The character at a line and column, both from 1; the nearest there is.
fn span(text: &str, line: usize, column: usize) -> std::ops::Range<usize> {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let row = text[start..].lines().next().unwrap_or("");
    let before = row.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum::<usize>();
    let letter = row[before..].chars().next().map_or(0, char::len_utf8);
    start + before..start + before + letter
}
