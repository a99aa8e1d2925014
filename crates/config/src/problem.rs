//! A fault in what people wrote: what, where, why, what to do (experience UX-18 to UX-21).
//!
//! [`render`] shows problems to people, all at once and in the order of the files;
//! `serde::Serialize` gives the object that `--json`, the page and the admin API show.
//!
//! Not here: finding faults (`read`, `check`).

mod code;
mod frame;

use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct, Serializer};

pub use self::code::{Tnd, help_page};
pub use self::frame::{Paint, SHOWN_MAX, render};
use crate::source::{Place, Source, Step, Trail};

/// Whether something must be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    /// Changes an exit code only under `--strict`.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One fault. Its texts are for the people who write the files, never for callers.
#[derive(Debug, Clone)]
pub struct Problem {
    pub code: Tnd,
    pub severity: Severity,
    /// What is wrong, in one line.
    pub what: String,
    /// As people name it, relative to the folder of `tandem.yaml`.
    pub file: Option<String>,
    /// From 1; `None` where the problem is not about one place.
    pub line: Option<usize>,
    /// In characters, from 1.
    pub column: Option<usize>,
    /// The key's path, `upstreams.go.address[1]`; may be empty.
    pub path: String,
    /// What is to be seen at the place; may be empty.
    pub here: String,
    /// The reason for the rule; may be empty.
    pub why: String,
    /// A command or an edit.
    pub fix: String,
    place: Option<(Arc<Source>, Place)>,
}

impl Problem {
    /// A problem without a place.
    pub fn error(code: Tnd, what: impl Into<String>) -> Problem {
        Problem {
            code,
            severity: Severity::Error,
            what: what.into(),
            file: None,
            line: None,
            column: None,
            path: String::new(),
            here: String::new(),
            why: String::new(),
            fix: String::new(),
            place: None,
        }
    }

    /// As [`Problem::error`], for what may stay as it is.
    pub fn warning(code: Tnd, what: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(code, what) }
    }

    #[must_use]
    pub fn here(self, here: impl Into<String>) -> Problem {
        Problem { here: here.into(), ..self }
    }

    #[must_use]
    pub fn why(self, why: impl Into<String>) -> Problem {
        Problem { why: why.into(), ..self }
    }

    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Problem {
        Problem { fix: fix.into(), ..self }
    }

    /// About a whole file.
    #[must_use]
    pub fn in_file(self, name: impl Into<String>) -> Problem {
        Problem { file: Some(name.into()), ..self }
    }

    /// About a key of a document, its place in the file looked up.
    pub(crate) fn at(self, source: &Arc<Source>, trail: &[Step<'_>]) -> Problem {
        let place = source.place(trail);
        self.at_place(source, trail, place)
    }

    pub(crate) fn at_place(
        self,
        source: &Arc<Source>,
        trail: &[Step<'_>],
        place: Place,
    ) -> Problem {
        let (line, column) = source.line_and_column(place.span.start);
        Problem {
            file: Some(source.name.clone()),
            line: Some(line),
            column: Some(column),
            path: Trail(trail).to_string(),
            place: Some((Arc::clone(source), place)),
            ..self
        }
    }
}

impl Problem {
    /// One object on one line (experience UX-20).
    pub fn to_json(&self) -> String {
        serde_json::json!({
            "code": self.code.name(),
            "severity": self.severity.name(),
            "what": self.what,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "here": self.here,
            "why": self.why,
            "fix": self.fix,
        })
        .to_string()
    }
}

/// Brings problems into the order of the files and of the lines in them.
pub(crate) fn sort(problems: &mut [Problem]) {
    problems.sort_by(|one, other| {
        let key = |problem: &Problem| (problem.line, problem.column, problem.code);
        one.file.cmp(&other.file).then_with(|| key(one).cmp(&key(other)))
    });
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Problem { code, severity, what, file, line, column, path, here, why, fix, place: _ } =
            self;
        let why = match (here.is_empty(), why.is_empty()) {
            (true, _) => why.clone(),
            (false, true) => here.clone(),
            (false, false) => format!("{here}; {why}"),
        };
        let mut object = serializer.serialize_struct("Problem", 9)?;
        object.serialize_field("code", code.name())?;
        object.serialize_field("severity", severity.name())?;
        object.serialize_field("what", what)?;
        object.serialize_field("file", file)?;
        object.serialize_field("line", line)?;
        object.serialize_field("column", column)?;
        object.serialize_field("path", path)?;
        object.serialize_field("why", &why)?;
        object.serialize_field("fix", fix)?;
        object.end()
    }
}
