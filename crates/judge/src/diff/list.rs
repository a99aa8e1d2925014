//! How the elements of two lists find each other: by place, in any order, by key.
//!
//! By place the equal ends are put aside first, so that one element more is one difference. What
//! is left over is compared element by element where it is equally long, and is a difference of
//! length else: an uneven rest has no counterparts, and comparing it by place would accuse fields
//! that are right.
//!
//! In a set the elements are matched by their canonical form; those without a match are paired
//! with the one that differs from them in the fewest places, up to 64 of each side.

use std::collections::HashMap;

use tandem_contract::{Field, MessageId};
use tandem_transcode::view::{Unreadable, Value, Values};

use super::canonical::Writer;
use super::path::{Step, key_text};
use super::rules::Order;
use super::walk::{Walk, Way};
use super::{What, sample, scalar};

/// Elements without a match that are paired, a side.
const PAIRED_MOST: usize = 64;

impl<'d> Walk<'d> {
    pub(super) fn list(
        &mut self,
        field: &Field,
        one: &[Value<'_>],
        other: &[Value<'_>],
        way: Way<'d>,
    ) {
        if let Some(rank) = way.rule().and_then(|rule| rule.rank.as_ref()) {
            return self.ranked(field, one, other, way, rank);
        }
        match way.rule().and_then(|rule| rule.order.as_ref()) {
            Some(Order::Set) => self.set(field, one, other, way),
            Some(Order::Keyed(key)) => self.keyed(field, one, other, way, key),
            Some(Order::List) | None => self.by_place(field, one, other, way),
        }
    }

    fn by_place(&mut self, field: &Field, one: &[Value<'_>], other: &[Value<'_>], way: Way<'d>) {
        if one.len() == other.len() {
            for (index, (one, other)) in (0..).zip(one.iter().zip(other)) {
                self.step(Step::Index(index), |walk| walk.value(field, one, other, way));
                if self.ended() {
                    return;
                }
            }
            return;
        }
        let tolerance = way.rule().and_then(|rule| rule.tolerance);
        let same = |(one, other): &(&Value<'_>, &Value<'_>)| scalar::agree(one, other, tolerance);
        let front = one.iter().zip(other).take_while(same).count();
        let (one, other) = (&one[front..], &other[front..]);
        let back = one.iter().rev().zip(other.iter().rev()).take_while(same).count();
        let (one, other) = (&one[..one.len() - back], &other[..other.len() - back]);
        self.length(one.len(), other.len(), way);
    }

    /// `one` elements on one side have no counterpart, and `other` on the other.
    pub(super) fn length(&mut self, one: usize, other: usize, way: Way<'d>) {
        if one + other > 0 && self.spend(1) {
            let text = |count: usize| Some(format!("{count} without a counterpart"));
            self.differs(way, What::Length, || (text(one), text(other)));
        }
    }

    fn set(&mut self, field: &Field, one: &[Value<'_>], other: &[Value<'_>], way: Way<'d>) {
        let mut writer = Writer::new(self);
        let forms = (forms(&mut writer, one, way), forms(&mut writer, other, way));
        let spent = self.left - writer.left;
        let (Ok(ones), Ok(others)) = forms else {
            self.spend(u32::MAX);
            return;
        };
        if !self.spend(spent) {
            return;
        }
        // Matched as often as both have it; what is left over keeps its place.
        let mut unmatched: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (place, form) in others.iter().enumerate().rev() {
            unmatched.entry(form).or_default().push(place);
        }
        let mut left = Vec::new();
        for (place, form) in ones.iter().enumerate() {
            if unmatched.get_mut(form.as_slice()).and_then(Vec::pop).is_none() {
                left.push(place);
            }
        }
        let mut right: Vec<usize> = unmatched.into_values().flatten().collect();
        right.sort_unstable();
        if left.is_empty() && right.is_empty() {
            return;
        }
        let pairs = self.nearest((one, &ones, &left), (other, &others, &right), way, field);
        for (first, second) in &pairs {
            self.step(Step::Index(*first as u32), |walk| {
                walk.value(field, &one[*first], &other[*second], way);
            });
        }
        self.length(left.len() - pairs.len(), right.len() - pairs.len(), way);
    }

    /// Pairs what has no match: those that differ in the fewest places first. None where there
    /// are too many, or where looking would take more than half of what may still be spent.
    fn nearest(
        &mut self,
        (one, ones, left): (&[Value<'_>], &[Vec<u8>], &[usize]),
        (other, others, right): (&[Value<'_>], &[Vec<u8>], &[usize]),
        way: Way<'d>,
        field: &Field,
    ) -> Vec<(usize, usize)> {
        if left.len() > PAIRED_MOST || right.len() > PAIRED_MOST || field.kind.message().is_none() {
            return Vec::new();
        }
        let mut probe = Walk::new(self.differ);
        let share = self.left / 2;
        probe.left = share;
        let mut distances = Vec::with_capacity(left.len() * right.len());
        for first in left {
            for second in right {
                let before = counted(&probe);
                probe.value(field, &one[*first], &other[*second], way);
                if probe.ended() {
                    self.spend(share);
                    return Vec::new();
                }
                probe.diff.listed.clear();
                let (form, other_form) = (&ones[*first], &others[*second]);
                let forms = (form.min(other_form), form.max(other_form));
                distances.push((counted(&probe) - before, forms, *first, *second));
            }
        }
        self.spend(share - probe.left);
        distances.sort_unstable();
        let mut pairs = Vec::new();
        for (_, _, first, second) in distances {
            if !pairs.iter().any(|(one, other)| *one == first || *other == second) {
                pairs.push((first, second));
            }
        }
        pairs.sort_unstable();
        pairs
    }

    fn keyed(
        &mut self,
        field: &Field,
        one: &[Value<'_>],
        other: &[Value<'_>],
        way: Way<'d>,
        key: &str,
    ) {
        let Some(id) = field.kind.message() else { return self.by_place(field, one, other, way) };
        let keys = self.keys(id, one, key).zip(self.keys(id, other, key));
        let Some((ones, others)) = keys else { return };
        // Of a key that comes more than once, the first meets the first.
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, key) in others.iter().enumerate().rev() {
            places.entry(key).or_default().push(place);
        }
        let mut lone = 0;
        for (place, found) in ones.iter().enumerate() {
            match places.get_mut(&**found).and_then(Vec::pop) {
                Some(second) => {
                    self.step(Step::Keyed(key.into(), key_text(found.as_bytes())), |walk| {
                        walk.value(field, &one[place], &other[second], way);
                    });
                }
                None => lone += 1,
            }
            if self.ended() {
                return;
            }
        }
        let lone_other = places.into_values().map(|places| places.len()).sum();
        self.length(lone, lone_other, way);
    }

    /// The text of a scalar field of each element. `None` when it costs too much.
    pub(super) fn keys(
        &mut self,
        id: MessageId,
        elements: &[Value<'_>],
        name: &str,
    ) -> Option<Vec<String>> {
        let contract = self.differ.plans.contract();
        let (place, field) = contract.message(id).field_named(name)?;
        let mut keys = Vec::with_capacity(elements.len());
        for element in elements {
            let key = self.member(element, place)?;
            let key = key.unwrap_or_else(|| Value::default_of(field.kind));
            keys.push(sample::text(contract, field, &key));
        }
        Some(keys)
    }

    /// The value at `place` of an element that is a message. `None` when it costs too much;
    /// `Some(None)` where it is not set, or the element cannot be read.
    pub(super) fn member<'v>(
        &mut self,
        element: &'v Value<'_>,
        place: usize,
    ) -> Option<Option<Value<'v>>> {
        let Value::Message(id, contents) = element else { return Some(None) };
        let mut left = self.left;
        let view = match self.differ.plans.view(*id, contents, &mut left) {
            Ok(view) => view,
            Err(Unreadable::Broken) => return self.spend(1).then_some(None),
            Err(Unreadable::Exhausted) => {
                self.spend(u32::MAX);
                return None;
            }
        };
        if !self.spend((self.left - left).max(1)) {
            return None;
        }
        let found = view.fields.into_iter().find(|(found, _)| *found == place);
        Some(found.and_then(|(_, values)| match values {
            Values::Singular(value) => Some(value),
            Values::Repeated(_) | Values::Map(_) => None,
        }))
    }
}

fn forms<'d>(
    writer: &mut Writer<'_, 'd>,
    values: &[Value<'_>],
    way: Way<'d>,
) -> Result<Vec<Vec<u8>>, Unreadable> {
    values.iter().map(|value| writer.of(value, way)).collect()
}

fn counted(walk: &Walk<'_>) -> u64 {
    walk.diff.rows.values().map(|row| row.differences).sum()
}
