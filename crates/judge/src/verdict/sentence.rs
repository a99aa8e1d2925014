//! The verdict in one sentence, built from the rows alone (compare V-7).
//!
//! It names implementations and their versions, never languages.

use super::{Cell, Row, Verdict, Word};
use crate::report::units;

/// "At 2,000/s, rust 1.4.0 against go 1.4.0: CPU per request 0.61× [0.59, 0.63]; …".
pub fn sentence(
    verdict: &Verdict,
    rows: &[Row],
    (primary, candidate): (&str, &str),
    rate: Option<f64>,
) -> String {
    let mut parts = Vec::new();
    for row in rows.iter().filter(|row| row.counts) {
        let name = label(&row.id);
        let interval = row.interval.map_or_else(String::new, |(low, high)| {
            format!(" [{}, {}]", units::ratio(low), units::ratio(high))
        });
        let ratio = units::ratio(row.ratio);
        parts.push(match row.cell {
            Cell::Better | Cell::Worse => format!("{name} {ratio}×{interval}"),
            Cell::Same => format!("{name} the same ({ratio}{interval})"),
            Cell::Unknown => format!("{name} unknown ({ratio}{interval})"),
        });
    }
    let mut text = match rate {
        Some(rate) => format!("At {}, {candidate} against {primary}: ", units::rate(rate)),
        None => format!("{candidate} against {primary}: "),
    };
    match verdict.word {
        Word::Invalid => text = format!("The measurement is void: {}.", verdict.invalid.join(", ")),
        Word::AnswersDiffer => {
            text = format!("The answers of {primary} and {candidate} differ: ");
            text.push_str(&verdict.differing.join(", "));
            text.push('.');
        }
        _ if parts.is_empty() => text = "Nothing was measured.".to_owned(),
        _ => {
            text.push_str(&parts.join("; "));
            text.push('.');
        }
    }
    match verdict.failed.as_slice() {
        [] => {}
        failed => text.push_str(&format!(" Must-haves failed: {}.", failed.join(", "))),
    }
    text.push_str(&format!(" Verdict: {}.", verdict.word));
    text
}

/// A row in words.
pub(crate) fn label(id: &str) -> &str {
    match id {
        "cpu" => "CPU per request",
        "peak_mem" => "peak memory",
        "build" => "clean build",
        "build_changed" => "build after a change",
        "allocations" => "allocations per request",
        other => other,
    }
}
