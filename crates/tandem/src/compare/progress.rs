//! What is said while a run goes on: a line a step, and on a terminal how far it is.
//!
//! Talk on stderr only; machines get none (`--json`).

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::output::{self, Form};

/// Says how far a run is.
pub(crate) struct Progress {
    is_quiet: bool,
    is_terminal: bool,
    step: Instant,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(form: Form) -> Progress {
        let is_terminal = std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|it| it != "dumb");
        Progress { is_quiet: form == Form::Json, is_terminal, step: Instant::now(), shown: false }
    }

    /// A step ended: what it was, and what it found.
    pub(crate) fn done(&mut self, step: &str, found: &str) {
        self.clear();
        let took = self.step.elapsed();
        self.step = Instant::now();
        self.say(&format!("  {step:<12}{found}   {}", seconds(took)));
    }

    /// Something that the reader has to know.
    pub(crate) fn note(&mut self, text: &str) {
        self.clear();
        self.say(&format!("  {:<12}{text}", "note"));
    }

    /// How far the step is; shown on a terminal only, on one line.
    pub(crate) fn at(&mut self, step: &str, done: u64, of: u64, left: Duration) {
        if self.is_terminal && !self.is_quiet {
            self.shown = true;
            output::progress(&format!("  {step:<12}{done}/{of}   about {} left", seconds(left)));
        }
    }

    /// What a step is at; shown on a terminal only, on one line.
    pub(crate) fn now(&mut self, step: &str, what: &str) {
        if self.is_terminal && !self.is_quiet {
            self.shown = true;
            output::progress(&format!("  {step:<12}{what}"));
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            output::progress("");
        }
    }

    fn say(&self, text: &str) {
        if !self.is_quiet {
            output::talk(text);
        }
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        less @ ..=119 => format!("{less} s"),
        more => format!("{} min", more.div_ceil(60)),
    }
}
