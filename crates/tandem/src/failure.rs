//! How a command fails: what, why, what to do, and the exit code.
//!
//! Exit codes are those of the manual (`tandem help exit-codes`).

use std::fmt::Write as _;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Fine = 0,
    Failed = 1,
    Usage = 2,
    Different = 3,
    Unreachable = 6,
    Refused = 7,
    Interrupted = 130,
}

/// A failure of a command. Faults of documents are `tandem_config::Problem`s instead.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Option<&'static str>,
    pub(crate) what: String,
    pub(crate) why: Option<String>,
    pub(crate) fix: Option<String>,
    pub(crate) exit: Exit,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Failure {
        Failure { code: None, what: what.into(), why: None, fix: None, exit }
    }

    pub(crate) fn coded(mut self, code: &'static str) -> Failure {
        self.code = Some(code);
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
        let mut text = match self.code {
            Some(code) => format!("error[{code}]: {}\n", self.what),
            None => format!("error: {}\n", self.what),
        };
        // Writing into a string does not fail.
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
            "code": self.code,
            "severity": "error",
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
        })
        .to_string()
    }
}
