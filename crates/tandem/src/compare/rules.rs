//! What is declared about paths of answers, by flags or in a file of `--noise rules:FILE`.
//!
//! Not here: what a rule does to a comparison (`tandem_judge::diff`).

use tandem_judge::diff::{Order, Rules, Tolerance};

use super::ask::wrong;
use crate::failure::Failure;

/// What is declared about a path of answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PathRule {
    /// The flag, or the file, that it stands in.
    pub(crate) at: String,
    pub(crate) path: String,
    act: Act,
}

#[derive(Debug, Clone, PartialEq)]
enum Act {
    Ignore,
    Unordered,
    Critical,
    Tolerance(Tolerance),
    Keyed(String),
    PresentOrAbsent,
    Trailer,
}

impl PathRule {
    pub(crate) fn ignore(path: String) -> PathRule {
        PathRule { at: "--ignore".into(), path, act: Act::Ignore }
    }

    pub(crate) fn unordered(path: String) -> PathRule {
        PathRule { at: "--unordered".into(), path, act: Act::Unordered }
    }

    pub(crate) fn critical(path: String) -> PathRule {
        PathRule { at: "--critical".into(), path, act: Act::Critical }
    }

    pub(crate) fn tolerance(text: &str) -> Result<PathRule, Failure> {
        let read = text.split_once('=').and_then(|(path, bound)| {
            let absolute = bound.parse::<f64>().ok().filter(|it| it.is_finite() && *it >= 0.0)?;
            Some((path.to_owned(), Tolerance { absolute, ulps: 0 }))
        });
        let (path, bound) =
            read.ok_or_else(|| wrong("--tolerance", text, "write `--tolerance total=1e-9`"))?;
        Ok(PathRule { at: "--tolerance".into(), path, act: Act::Tolerance(bound) })
    }

    pub(crate) fn keyed(text: &str) -> Result<PathRule, Failure> {
        let read = text.split_once('=').map(|(path, key)| (path.trim(), key.trim()));
        let read = read.filter(|(path, key)| !path.is_empty() && !key.is_empty());
        let (path, key) =
            read.ok_or_else(|| wrong("--keyed", text, "write `--keyed orders=id`"))?;
        Ok(PathRule {
            at: "--keyed".into(),
            path: path.to_owned(),
            act: Act::Keyed(key.to_owned()),
        })
    }

    /// One line of a file: `ignore PATH`, `keyed PATH=KEY`.
    pub(crate) fn line(file: &str, line: &str) -> Result<PathRule, Failure> {
        let fault = || {
            wrong(
                "--noise",
                line,
                "a line is `ignore PATH`, `unordered PATH`, `keyed PATH=KEY`, `tolerance PATH=N`, \
                 `critical PATH`, `present-or-absent PATH` or `trailer NAME`",
            )
        };
        let (word, rest) = line.split_once(' ').ok_or_else(fault)?;
        let rest = rest.trim();
        let (path, act) = match word {
            "ignore" => (rest, Act::Ignore),
            "unordered" => (rest, Act::Unordered),
            "critical" => (rest, Act::Critical),
            "present-or-absent" => (rest, Act::PresentOrAbsent),
            "trailer" => (rest, Act::Trailer),
            "keyed" => {
                let (path, key) = rest.split_once('=').ok_or_else(fault)?;
                (path, Act::Keyed(key.to_owned()))
            }
            "tolerance" => {
                let read = PathRule::tolerance(rest)?;
                return Ok(PathRule { at: file.to_owned(), ..read });
            }
            _ => return Err(fault()),
        };
        Ok(PathRule { at: file.to_owned(), path: path.trim().to_owned(), act })
    }

    /// Adds it to the rules of an answer type.
    pub(crate) fn add(&self, rules: Rules) -> Rules {
        match &self.act {
            Act::Ignore => rules.ignore(&self.path),
            Act::Unordered => rules.unordered(&self.path),
            Act::Critical => rules.critical(&self.path),
            Act::Tolerance(bound) => rules.tolerance(&self.path, *bound),
            Act::Keyed(key) => rules.at(&self.path, |rule| {
                rule.order = Some(Order::Keyed(key.as_str().into()));
            }),
            Act::PresentOrAbsent => rules.at(&self.path, |rule| rule.present_or_absent = true),
            Act::Trailer => rules.trailer(&self.path.to_ascii_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_rule_or_says_what_rules_there_are() {
        for line in ["ignore a.b", "keyed rows=id", "tolerance total=1e-9", "trailer x-y"] {
            assert!(PathRule::line("f", line).is_ok(), "{line}");
        }
        for line in ["ignore", "keyed rows", "tolerance total", "mask a"] {
            assert!(PathRule::line("f", line).is_err(), "{line}");
        }
    }
}
