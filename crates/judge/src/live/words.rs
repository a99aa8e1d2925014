//! A live pair in sentences, built from its evidence alone.

use super::{Measured, Open, Seen};
use crate::noise::{Class, PathEvidence, Source};
use crate::report::units;
use crate::verdict::{self, Cell, Row, Verdict, Word};

pub(super) const NO_TWIN: &str = "needs a twin, a second instance of the primary's build: the \
                                  primary itself is asked earlier, over other connections";
pub(super) const NO_COST: &str = "not read: the upstreams name no `cost`";
pub(super) const MORE_PAIRS: &str = "needs more pairs";
pub(super) const MORE_TIME: &str = "needs more time";
pub(super) const AT_MARGIN: &str = "the difference is at the margin, and no number of pairs \
                                       settles it";

/// Paths that are named in one sentence.
const NAMED_MOST: usize = 4;

/// Without a twin this is as far as a verdict goes (compare N-9).
const BY_RULES: &str = "No difference found under these rules, and without a twin no more can be \
                        said.";

pub(super) fn sentence(seen: &Seen<'_>, verdict: &Verdict, rows: &[Row]) -> String {
    let names = (seen.primary.name, seen.candidate.name);
    let nothing = rows.iter().all(|row| !row.counts);
    if verdict.word == Word::NotEnoughEvidence && nothing {
        let mut text = format!("{} against {}: ", names.1, names.0);
        text.push_str(&match seen.pairs {
            0 => "no pair yet".to_owned(),
            pairs => format!("{} pairs, no verdict yet", units::count(pairs)),
        });
        text.push('.');
        if seen.source == Source::Rules && seen.pairs > 0 && !differs(seen) {
            text.push(' ');
            text.push_str(BY_RULES);
        }
        text.push_str(&format!(" Verdict: {}.", verdict.word));
        return text;
    }
    let rate = seen.pairs_per_s.map(|rate| rate.round()).filter(|rate| *rate >= 1.0);
    verdict::sentence(verdict, rows, names, rate)
}

fn differs(seen: &Seen<'_>) -> bool {
    seen.paths.iter().any(|path| path.candidate_only > 0)
}

/// "240 of about 3,900 pairs", or the pairs alone where nothing is open that pairs would settle.
pub(super) fn evidence(seen: &Seen<'_>, open: &[Open]) -> String {
    let left = open.iter().filter_map(|one| one.pairs).max();
    let pairs = units::count(seen.pairs);
    match left {
        Some(left) if left > 0 => format!("{pairs} of about {} pairs", about(seen.pairs + left)),
        _ => format!("{pairs} pairs"),
    }
}

/// Two digits of a number that is guessed.
pub(super) fn about(count: u64) -> String {
    let mut scale = 1;
    while count / scale >= 100 {
        scale *= 10;
    }
    units::count((count + scale / 2) / scale * scale)
}

pub(super) fn known(seen: &Seen<'_>, measured: &[Measured]) -> Vec<String> {
    let mut known = Vec::new();
    if seen.pairs > 0 {
        known.push(answers(seen));
    }
    for Measured { row, .. } in measured {
        let better = match row.cell {
            Cell::Better => format!("{} better", seen.candidate.name),
            Cell::Worse => format!("{} better", seen.primary.name),
            Cell::Same => "the same".to_owned(),
            Cell::Unknown => continue,
        };
        let interval = row.interval.map_or_else(String::new, |(low, high)| {
            format!(" [{}, {}]", units::ratio(low), units::ratio(high))
        });
        let label = verdict::row_label(&row.id);
        known.push(format!("{label}: {better}, {}{interval}", units::ratio(row.ratio)));
    }
    known
}

fn answers(seen: &Seen<'_>) -> String {
    let of = |wanted: &dyn Fn(&PathEvidence) -> bool| -> Vec<&str> {
        seen.paths.iter().filter(|path| wanted(path)).map(|path| &*path.path).collect()
    };
    let worse = of(&|path| path.class.is_worse() || path.critical > 0);
    if !worse.is_empty() {
        return format!("answers differ in {}", list(&worse));
    }
    let noise = of(&|path| matches!(path.class, Class::NoisyEqual | Class::Masked));
    let mut text = match of(&|path| path.class == Class::Unknown && path.candidate_only > 0)[..] {
        [] => "no difference of the answers".to_owned(),
        ref seen => format!("differences seen in {}, which say nothing yet", list(seen)),
    };
    match noise[..] {
        [] => {}
        [one] => text.push_str(&format!("; {one} is noise")),
        ref several => {
            text.push_str(&format!("; {} fields are noise ({})", several.len(), list(several)));
        }
    }
    text
}

pub(super) fn open_answers(waiting: usize, never: &[&str]) -> String {
    let mut text = match waiting {
        1 => "answers: one path has no class yet".to_owned(),
        waiting => format!("answers: {} paths have no class yet", units::count(waiting as u64)),
    };
    if !never.is_empty() {
        text.push_str(&format!("; by rules alone {} never will", list(never)));
    }
    text
}

fn list(names: &[&str]) -> String {
    let more = if names.len() > NAMED_MOST { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(NAMED_MOST)].join(", "))
}
