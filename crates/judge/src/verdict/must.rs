//! What a side must keep, whatever else it does better (compare V-3).
//!
//! `p99<=20ms@2000/s`, `mismatch(critical)=0`, `peak_mem<=256MiB`, `license in {MIT, ISC}`. Each
//! passes, fails, or is not proven: a bound inside an interval proves nothing, and a fact that was
//! not gathered is no pass.

use std::collections::BTreeSet;
use std::fmt;

/// One must-have.
#[derive(Debug, Clone, PartialEq)]
pub struct Must {
    text: String,
    /// `p99`, `mismatch(critical)`.
    pub name: String,
    demand: Demand,
    /// Calls a second at which it must hold.
    pub rate: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Demand {
    Compare(Relation, f64),
    In(BTreeSet<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// What was found out about a side, in the unit of the demand's base: seconds, bytes, counts,
/// parts.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    Exact(f64),
    /// A value with its 95 % interval.
    Interval(f64, f64),
    Names(BTreeSet<String>),
    /// Of each set one name must be allowed: a licence `MIT OR Apache-2.0` is one of two.
    OneOfEach(BTreeSet<BTreeSet<String>>),
    NotRun,
}

/// Whether it holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    Pass,
    Fail,
    NotProven,
    NotRun,
}

/// One must-have of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MustResult {
    pub text: String,
    pub value: Value,
}

/// Why a line is no must-have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MustFault {
    pub text: String,
    pub what: String,
}

impl fmt::Display for MustFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`: {}", self.text, self.what)
    }
}

impl std::error::Error for MustFault {}

impl Must {
    /// Reads one line.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Must, MustFault> {
        let text = text.trim();
        let fault = |what: &str| MustFault { text: text.to_owned(), what: what.to_owned() };
        let named = |name: &str| match name.trim() {
            "" => Err(fault("it begins with no name")),
            name => Ok(name.to_owned()),
        };
        if let Some((name, names)) = text.split_once(" in ") {
            let inner = names.trim().strip_prefix('{').and_then(|names| names.strip_suffix('}'));
            let inner = inner.ok_or_else(|| fault("names stand in braces: {MIT, ISC}"))?;
            let names = inner.split(',').map(|name| name.trim().to_owned()).collect();
            return Ok(Must {
                text: text.to_owned(),
                name: named(name)?,
                demand: Demand::In(names),
                rate: None,
            });
        }
        let (place, sign, relation) = [
            ("<=", Relation::AtMost),
            (">=", Relation::AtLeast),
            ("<", Relation::Less),
            (">", Relation::More),
            ("=", Relation::Equal),
        ]
        .into_iter()
        .find_map(|(sign, relation)| Some((text.find(sign)?, sign, relation)))
        .ok_or_else(|| fault("it compares nothing: `p99<=20ms`"))?;
        let (value, rate) = match text[place + sign.len()..].split_once('@') {
            Some((value, rate)) => {
                let rate = rate.trim().strip_suffix("/s").and_then(|rate| rate.parse().ok());
                let rate = rate.filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
                (value, Some(rate.ok_or_else(|| fault("a rate is written `@2000/s`"))?))
            }
            None => (&text[place + sign.len()..], None),
        };
        let value = quantity(value).ok_or_else(|| {
            fault("its value is no number with a unit such as 20ms, 256MiB or 0.1%")
        })?;
        let demand = Demand::Compare(relation, value);
        Ok(Must { text: text.to_owned(), name: named(&text[..place])?, demand, rate })
    }

    /// Whether a side keeps it.
    pub fn judged(&self, fact: &Fact) -> MustResult {
        let value = match (&self.demand, fact) {
            (_, Fact::NotRun) => Value::NotRun,
            (Demand::In(allowed), Fact::Names(found)) if found.is_subset(allowed) => Value::Pass,
            (Demand::In(_), Fact::Names(_)) => Value::Fail,
            (Demand::In(allowed), Fact::OneOfEach(sets)) => {
                let met = sets.iter().all(|names| !names.is_disjoint(allowed));
                if met { Value::Pass } else { Value::Fail }
            }
            (Demand::Compare(relation, bound), Fact::Exact(value)) => {
                if relation.holds(*value, *bound) { Value::Pass } else { Value::Fail }
            }
            (Demand::Compare(relation, bound), Fact::Interval(low, high)) => {
                match (relation.holds(*low, *bound), relation.holds(*high, *bound)) {
                    (true, true) => Value::Pass,
                    (false, false) if *relation != Relation::Equal => Value::Fail,
                    _ => Value::NotProven,
                }
            }
            // A fact of another kind proves nothing about the demand.
            (Demand::In(_), Fact::Exact(_) | Fact::Interval(..))
            | (Demand::Compare(..), Fact::Names(_) | Fact::OneOfEach(_)) => Value::NotProven,
        };
        MustResult { text: self.text.clone(), value }
    }
}

impl Relation {
    #[expect(clippy::float_cmp, reason = "counts are whole and exact")]
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Relation::Less => value < bound,
            Relation::AtMost => value <= bound,
            Relation::Equal => value == bound,
            Relation::AtLeast => value >= bound,
            Relation::More => value > bound,
        }
    }
}

/// A number with its unit, in seconds, bytes, parts or as it stands.
fn quantity(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|letter: char| letter.is_alphabetic() || letter == '%');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" | "B" => 1.0,
        "%" => 0.01,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        "KiB" => 1_024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return None,
    };
    number.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(|n| n * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_v_3_a_must_have_passes_fails_or_is_not_proven() {
        let names = |names: &[&str]| Fact::Names(names.iter().map(|name| (*name).into()).collect());
        for (text, fact, expected) in [
            ("p99<=20ms@2000/s", Fact::Interval(0.018, 0.020), Value::Pass),
            ("p99<=20ms@2000/s", Fact::Interval(0.018, 0.021), Value::NotProven),
            ("p99<=20ms", Fact::Interval(0.0201, 0.03), Value::Fail),
            ("p99<=20ms", Fact::NotRun, Value::NotRun),
            ("mismatch(critical)=0", Fact::Exact(0.0), Value::Pass),
            ("mismatch(critical)=0", Fact::Exact(1.0), Value::Fail),
            ("peak_mem<=256MiB", Fact::Exact(268_435_456.0), Value::Pass),
            ("peak_mem<=256MiB", Fact::Exact(268_435_457.0), Value::Fail),
            ("errors<0.1%", Fact::Exact(0.000_9), Value::Pass),
            ("capacity>=5000", Fact::Interval(4_900.0, 5_600.0), Value::NotProven),
            ("license in {MIT, Apache-2.0}", names(&["MIT"]), Value::Pass),
            ("license in {MIT, Apache-2.0}", names(&["MIT", "GPL-3.0"]), Value::Fail),
            ("license in {MIT}", Fact::Exact(1.0), Value::NotProven),
        ] {
            let must = Must::parse(text).unwrap();
            assert_eq!(must.judged(&fact).value, expected, "{text} {fact:?}");
        }
        assert_eq!(Must::parse("p99<=20ms@2000/s").unwrap().rate, Some(2_000.0));
        assert_eq!(Must::parse("p99<=20ms@2000/s").unwrap().name, "p99");
    }

    #[test]
    fn a_line_that_is_no_must_have_says_why() {
        for text in [
            "",
            "p99",
            "<=20ms",
            "p99<=",
            "p99<=20parsecs",
            "p99<=20ms@fast",
            "license in MIT",
            "p99<=nan",
        ] {
            let fault = Must::parse(text).unwrap_err();
            assert!(!fault.what.is_empty(), "{text}");
        }
    }
}
