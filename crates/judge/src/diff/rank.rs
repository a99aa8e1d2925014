//! Two ranked lists that mean the same (compare J-11, `rank_epsilon`).
//!
//! Scores that lie close may change places; an item may fall off the end of a list whose last
//! score is close to its own. Items that both lists have are then compared field by field, their
//! scores too: how exact those must be is said by a tolerance of their own.

use std::collections::HashMap;

use tandem_contract::Field;
use tandem_transcode::view::Value;

use super::What;
use super::path::{Step, key_text};
use super::rules::Rank;
use super::walk::{Walk, Way};

impl<'d> Walk<'d> {
    pub(super) fn ranked(
        &mut self,
        field: &Field,
        one: &[Value<'_>],
        other: &[Value<'_>],
        way: Way<'d>,
        rank: &Rank,
    ) {
        let Some(id) = field.kind.message() else { return };
        let keys = self.keys(id, one, &rank.key).zip(self.keys(id, other, &rank.key));
        let Some((keys, other_keys)) = keys else { return };
        let scores = self.scores(field, one, rank).zip(self.scores(field, other, rank));
        let Some((scores, other_scores)) = scores else { return };
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, key) in other_keys.iter().enumerate().rev() {
            places.entry(key).or_default().push(place);
        }
        let (mut shared, mut missing) = (Vec::new(), 0);
        for (place, key) in keys.iter().enumerate() {
            match places.get_mut(key.as_str()).and_then(Vec::pop) {
                Some(second) => shared.push((place, second)),
                None => missing += usize::from(!falls_off(scores[place], &other_scores, rank)),
            }
        }
        let missing_other = places
            .into_values()
            .flatten()
            .filter(|place| !falls_off(other_scores[*place], &scores, rank))
            .count();
        // Every pair of shared items is looked at; eight such looks cost what one value does.
        let pairs = shared.len().saturating_mul(shared.len()) / 8;
        if !self.spend(u32::try_from(pairs).unwrap_or(u32::MAX)) {
            return;
        }
        let swapped = shared.iter().enumerate().any(|(place, (first, second))| {
            shared[..place].iter().any(|(before, before_other)| {
                (before < first) != (before_other < second)
                    && !near(scores[*before], scores[*first], rank)
                    && !near(other_scores[*before_other], other_scores[*second], rank)
            })
        });
        if swapped {
            let text = |keys: &[String]| Some(super::sample::cut(keys.join(" ")));
            self.differs(way, What::Order, || (text(&keys), text(&other_keys)));
        }
        for (first, second) in shared {
            let step = Step::Keyed(rank.key.clone(), key_text(keys[first].as_bytes()));
            self.step(step, |walk| walk.value(field, &one[first], &other[second], way));
            if self.ended() {
                return;
            }
        }
        self.length(missing, missing_other, way);
    }

    fn scores(&mut self, field: &Field, elements: &[Value<'_>], rank: &Rank) -> Option<Vec<f64>> {
        let id = field.kind.message()?;
        let (place, _) = self.differ.plans.contract().message(id).field_named(&rank.score)?;
        elements
            .iter()
            .map(|element| {
                Some(match self.member(element, place)? {
                    Some(Value::Double(score)) => score,
                    Some(Value::Float(score)) => f64::from(score),
                    Some(Value::Signed(score)) => score as f64,
                    Some(Value::Unsigned(score)) => score as f64,
                    _ => 0.0,
                })
            })
            .collect()
    }
}

/// Whether two scores are within epsilon, relative to the larger one.
fn near(one: f64, other: f64, rank: &Rank) -> bool {
    // NaN is near to nothing, not to itself either.
    (one - other).abs() <= rank.epsilon * one.abs().max(other.abs())
}

/// Whether an item may lawfully be missing from a list.
fn falls_off(score: f64, scores: &[f64], rank: &Rank) -> bool {
    scores.last().is_some_and(|last| near(score, *last, rank))
}
