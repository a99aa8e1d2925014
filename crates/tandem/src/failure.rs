//! How a command fails: what, why, what to do, and the exit code.
//!
//! Exit codes are those of the manual (`tandem help exit-codes`).

use std::fmt::Write as _;

use tandem_config::{Severity, Tnd};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Fine = 0,
    Failed = 1,
    Usage = 2,
    Different = 3,
    Gate = 4,
    NotEnough = 5,
    Unreachable = 6,
    Refused = 7,
    Invalid = 8,
    Interrupted = 130,
}

/// A failure of a command, or a warning of one. Faults of documents are `tandem_config::Problem`s instead.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) severity: Severity,
    pub(crate) code: Option<Tnd>,
    pub(crate) what: String,
    /// The flag or the key that is meant; `None` where `what` says it all.
    pub(crate) at: Option<String>,
    pub(crate) why: Option<String>,
    pub(crate) fix: Option<String>,
    pub(crate) exit: Exit,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Failure {
        let severity = Severity::Error;
        Failure { severity, code: None, what: what.into(), at: None, why: None, fix: None, exit }
    }

    /// What may stay as it is; it ends nothing.
    pub(crate) fn warning(code: Tnd, what: impl Into<String>) -> Failure {
        Failure { severity: Severity::Warning, ..Failure::new(Exit::Fine, what).coded(code) }
    }

    pub(crate) fn coded(mut self, code: Tnd) -> Failure {
        self.code = Some(code);
        self
    }

    pub(crate) fn at(mut self, at: impl Into<String>) -> Failure {
        self.at = Some(at.into());
        self
    }

    pub(crate) fn because(mut self, why: impl Into<String>) -> Failure {
        self.why = Some(why.into());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Failure {
        self.fix = Some(fix.into());
        self
    }

    /// The five parts, as far as there is something to say.
    pub(crate) fn text(&self) -> String {
        let severity = self.severity.name();
        let mut text = match self.code {
            Some(code) => format!("{severity}[{code}]: {}\n", self.what),
            None => format!("{severity}: {}\n", self.what),
        };
        // Writing into a string does not fail.
        if let Some(at) = &self.at {
            let _ = writeln!(text, "  --> {at}");
        }
        if let Some(why) = &self.why {
            let _ = writeln!(text, "   = why: {why}");
        }
        if let Some(fix) = &self.fix {
            let _ = writeln!(text, "   = fix: {fix}");
        }
        if let Some(code) = self.code {
            let _ = writeln!(text, "   = more: tandem help {code}");
        }
        text
    }

    /// One object, as documents' problems are shown.
    pub(crate) fn json(&self) -> String {
        serde_json::json!({
            "code": self.code.map(Tnd::name),
            "severity": self.severity.name(),
            "what": self.what,
            "file": null,
            "line": null,
            "column": null,
            "path": self.at.as_deref().unwrap_or_default(),
            "why": self.why,
            "fix": self.fix,
        })
        .to_string()
    }
}
