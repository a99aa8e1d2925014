//! Down both messages at once.
//!
//! The way down keeps four things together ([`Way`]): the row that is tested, the rules below,
//! what is inherited (critical, redacted) and how deep it is. Each step down copies it.

use std::collections::BTreeMap;

use tandem_contract::{Field, MessageId, Presence, WellKnown};
use tandem_transcode::view::{MapKey, Unreadable, Value, Values, View};

use super::path::{Path, Step, key_text};
use super::rows::{At, RowId, Rows};
use super::rules::{Node, Rule};
use super::{CrossCheck, Diff, Differ, Difference, What, sample, scalar};

/// Bytes of values that are kept for the other side to verify, in one pair.
const TO_VERIFY_BYTES_MOST: usize = 256 << 10;

pub(super) struct Walk<'d> {
    pub(super) differ: &'d Differ,
    pub(super) diff: Diff,
    pub(super) path: Vec<Step>,
    /// Values that may still be read or compared.
    pub(super) left: u32,
    /// Nothing is read or said any more.
    exhausted: bool,
    to_verify_bytes: usize,
}

/// Where the walk is.
#[derive(Clone, Copy)]
pub(super) struct Way<'d> {
    pub(super) at: At,
    pub(super) rules: Option<&'d Node>,
    pub(super) critical: bool,
    pub(super) redact: bool,
    /// Messages around this place.
    pub(super) depth: u32,
    pub(super) any_depth: u32,
}

/// The two texts of a difference.
pub(super) type Shown = (Option<String>, Option<String>);

impl<'d> Way<'d> {
    pub(super) fn rule(&self) -> Option<&'d Rule> {
        self.rules.map(|node| &node.rule)
    }

    pub(super) fn named(self, name: &str) -> Way<'d> {
        let rules = self.rules.and_then(|node| node.below(name));
        let critical = self.critical || rules.is_some_and(|node| node.rule.critical);
        Way { rules, critical, ..self }
    }

    pub(super) fn ignored(&self) -> bool {
        self.rule().is_some_and(|rule| rule.ignore)
    }

    pub(super) fn present_or_absent(&self) -> bool {
        self.rule().is_some_and(|rule| rule.present_or_absent)
    }
}

impl<'d> Walk<'d> {
    pub(super) fn new(differ: &'d Differ) -> Walk<'d> {
        Walk {
            differ,
            diff: Diff::default(),
            path: Vec::new(),
            left: differ.limits.comparisons,
            exhausted: false,
            to_verify_bytes: 0,
        }
    }

    /// The answer itself.
    pub(super) fn way(&self) -> Way<'d> {
        let rules = self.differ.rules.root();
        Way {
            at: self.differ.rows.root(),
            rules: Some(rules),
            critical: rules.rule.critical,
            redact: false,
            depth: 0,
            any_depth: 0,
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.exhausted
    }

    /// Says that two values differ.
    pub(super) fn differs(&mut self, way: Way<'_>, what: What, shown: impl FnOnce() -> Shown) {
        self.differs_in(way.at.row, way, what, shown);
    }

    pub(super) fn differs_in(
        &mut self,
        row: RowId,
        way: Way<'_>,
        what: What,
        shown: impl FnOnce() -> Shown,
    ) {
        if self.exhausted {
            return;
        }
        let count = self.diff.rows.entry(row).or_default();
        count.differences += 1;
        count.shapes += u64::from(what.is_shape());
        count.critical += u64::from(way.critical);
        if self.diff.listed.len() >= self.differ.limits.listed {
            self.diff.more += 1;
            return;
        }
        let (mut primary, mut other) = shown();
        if way.redact {
            for text in [&mut primary, &mut other].into_iter().flatten() {
                *text = sample::REDACTED.to_owned();
            }
        }
        let mut path = Path(self.path.clone());
        if path.0.is_empty() {
            path.0.push(Step::Name("<message>".into()));
        }
        let critical = way.critical;
        self.diff.listed.push(Difference { row, path, what, critical, primary, other });
    }

    /// Takes `values` from what may be spent; `false` when they are no longer there.
    pub(super) fn spend(&mut self, values: u32) -> bool {
        if self.exhausted {
            return false;
        }
        match self.left.checked_sub(values) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.exhaust();
                false
            }
        }
    }

    /// A bound is reached: what was not compared is different (compare N-6).
    fn exhaust(&mut self) {
        let (path, way) = (std::mem::take(&mut self.path), self.way());
        self.path.push(Step::Name("<cost>".into()));
        self.differs_in(Rows::COST, way, What::Cost, || (None, None));
        self.path = path;
        self.exhausted = true;
        self.left = 0;
    }

    /// Below a step of the path.
    pub(super) fn step(&mut self, step: Step, below: impl FnOnce(&mut Walk<'d>)) {
        self.path.push(step);
        below(self);
        self.path.pop();
    }

    pub(super) fn message(&mut self, id: MessageId, one: &[u8], other: &[u8], way: Way<'d>) {
        if one == other || self.exhausted {
            return;
        }
        let limits = &self.differ.limits;
        if way.depth >= limits.depth || way.any_depth > limits.any_depth {
            self.step(Step::Name("<cost>".into()), |walk| {
                walk.differs_in(Rows::COST, way, What::Cost, || (None, None));
            });
            return;
        }
        let Some((one, other)) = self.views(id, one, other, way) else { return };
        let way = Way { depth: way.depth + 1, ..way };
        match self.differ.plans.contract().message(id).well_known {
            WellKnown::Timestamp | WellKnown::Duration => self.instant(&one, &other, way),
            WellKnown::FieldMask => self.mask(&one, &other, way),
            WellKnown::Any => self.any(&one, &other, way),
            WellKnown::Value => self.free_value(id, &one, &other, way),
            WellKnown::No
            | WellKnown::Struct
            | WellKnown::ListValue
            | WellKnown::Empty
            | WellKnown::Wrapper
            | WellKnown::HttpBody => self.fields(id, &one, &other, way),
        }
    }

    /// Both messages a level deep. Each has the whole of what is left, so that it makes no
    /// difference which is read first.
    fn views<'w>(
        &mut self,
        id: MessageId,
        one: &'w [u8],
        other: &'w [u8],
        way: Way<'d>,
    ) -> Option<(View<'w>, View<'w>)> {
        let (mut left, mut left_other) = (self.left, self.left);
        let one = self.differ.plans.view(id, one, &mut left);
        let other = self.differ.plans.view(id, other, &mut left_other);
        match (one, other) {
            (Ok(one), Ok(other)) => {
                let spent = (self.left - left).saturating_add(self.left - left_other);
                self.spend(spent.max(1)).then_some((one, other))
            }
            (one, other) => {
                let broken = |read: &Result<_, _>| matches!(read, Err(Unreadable::Broken));
                if broken(&one) || broken(&other) {
                    let text =
                        |is_broken: bool| is_broken.then(|| "no message of its type".to_owned());
                    let shown = (text(broken(&one)), text(broken(&other)));
                    self.differs(way, What::Unreadable, || shown);
                } else {
                    self.exhaust();
                }
                None
            }
        }
    }

    /// The fields of two messages of one type.
    pub(super) fn fields(&mut self, id: MessageId, one: &View<'_>, other: &View<'_>, way: Way<'d>) {
        let message = self.differ.plans.contract().message(id);
        // Another member of a oneof is one difference, and its members are not looked at again.
        let mut settled = Vec::new();
        for (number, name) in (0_u32..).zip(&message.oneofs) {
            let member = |view: &View<'_>| {
                view.fields.iter().map(|(place, _)| *place).find(|place| {
                    message.fields.get(*place).is_some_and(|field| field.oneof == Some(number))
                })
            };
            if let (Some(left), Some(right)) = (member(one), member(other))
                && left != right
            {
                settled.extend([left, right]);
                let below = way.named(name);
                let fields = [left, right].map(|place| &message.fields[place]);
                if below.ignored() || fields.iter().any(|field| way.named(&field.name).ignored()) {
                    continue;
                }
                let row = self.differ.rows.oneof(way.at, number);
                let critical = fields.iter().any(|field| way.named(&field.name).critical);
                let below = Way { critical: below.critical || critical, ..below };
                let shown = fields.map(|field| Some(field.name.to_string()));
                self.step(Step::Name(name.clone()), |walk| {
                    walk.differs_in(row, below, What::Case, || shown.into());
                });
            }
        }
        let (mut ones, mut others) = (one.fields.iter().peekable(), other.fields.iter().peekable());
        loop {
            let place = match (ones.peek(), others.peek()) {
                (None, None) => break,
                (Some((one, _)), Some((other, _))) => *one.min(other),
                (Some((place, _)), None) | (None, Some((place, _))) => *place,
            };
            let left = ones.next_if(|(found, _)| *found == place).map(|(_, values)| values);
            let right = others.next_if(|(found, _)| *found == place).map(|(_, values)| values);
            if settled.contains(&place) || self.exhausted {
                continue;
            }
            self.field(id, place, left, right, way);
        }
        self.unknown(one, other, way);
    }

    fn field(
        &mut self,
        id: MessageId,
        place: usize,
        one: Option<&Values<'_>>,
        other: Option<&Values<'_>>,
        way: Way<'d>,
    ) {
        let message = self.differ.plans.contract().message(id);
        let field = &message.fields[place];
        let at = self.differ.rows.field(way.at, place);
        // These have one field, which people never write.
        let hidden = matches!(
            message.well_known,
            WellKnown::Struct | WellKnown::ListValue | WellKnown::Wrapper
        );
        let below = if hidden { way } else { way.named(&field.name) };
        let below = Way { at, redact: way.redact || field.redact, ..below };
        if below.ignored() {
            return;
        }
        let compare = |walk: &mut Walk<'d>| match (one, other) {
            (Some(Values::Repeated(one)), Some(Values::Repeated(other))) => {
                walk.list(field, one, other, below);
            }
            (Some(Values::Repeated(one)), None) => walk.list(field, one, &[], below),
            (None, Some(Values::Repeated(other))) => walk.list(field, &[], other, below),
            (Some(Values::Map(one)), Some(Values::Map(other))) => {
                walk.map(field, one, other, below, hidden);
            }
            (Some(Values::Map(one)), None) => walk.map(field, one, &[], below, hidden),
            (None, Some(Values::Map(other))) => walk.map(field, &[], other, below, hidden),
            (Some(Values::Singular(one)), Some(Values::Singular(other))) => {
                walk.value(field, one, other, below);
            }
            (Some(Values::Singular(value)), None) => walk.lone(field, value, false, below),
            (None, Some(Values::Singular(value))) => walk.lone(field, value, true, below),
            // One field has one shape in one contract.
            _ => {}
        };
        if hidden { compare(self) } else { self.step(Step::Name(field.name.clone()), compare) }
    }

    /// A singular field that stands on one side only: `second` says on which.
    fn lone(&mut self, field: &Field, value: &Value<'_>, second: bool, way: Way<'d>) {
        if way.present_or_absent() || !self.spend(1) {
            return;
        }
        let contract = self.differ.plans.contract();
        if field.presence == Presence::Implicit && field.kind.message().is_none() {
            let default = match field.kind {
                tandem_contract::Kind::Enum(id) => Value::Enum(contract.enumeration(id).default()),
                kind => Value::default_of(kind),
            };
            let (one, other) = if second { (&default, value) } else { (value, &default) };
            if !scalar::is_default(value, &default) {
                self.value(field, one, other, way);
            }
            return;
        }
        let text = Some(sample::text(contract, field, value));
        let shown = if second { (None, text) } else { (text, None) };
        self.differs(way, What::Presence, || shown);
    }

    /// Two values of one field.
    pub(super) fn value(
        &mut self,
        field: &Field,
        one: &Value<'_>,
        other: &Value<'_>,
        way: Way<'d>,
    ) {
        if !self.spend(1) {
            return;
        }
        if way.rule().is_some_and(|rule| rule.cross_verified) {
            return self.cross_check(one, other);
        }
        if let (Value::Message(id, one), Value::Message(_, other)) = (one, other) {
            return self.message(*id, one, other, way);
        }
        let tolerance = way.rule().and_then(|rule| rule.tolerance);
        if !scalar::agree(one, other, tolerance) {
            let contract = self.differ.plans.contract();
            self.differs(way, What::Value, || {
                let text = |value| Some(sample::text(contract, field, value));
                (text(one), text(other))
            });
        }
    }

    fn cross_check(&mut self, one: &Value<'_>, other: &Value<'_>) {
        let bytes = |value: &Value<'_>| match value {
            Value::Text(bytes) | Value::Bytes(bytes) => bytes.to_vec(),
            Value::Message(_, bytes) => bytes.to_vec(),
            Value::Signed(_)
            | Value::Unsigned(_)
            | Value::Bool(_)
            | Value::Float(_)
            | Value::Double(_)
            | Value::Enum(_) => Vec::new(),
        };
        let (primary, other) = (bytes(one), bytes(other));
        self.to_verify_bytes += primary.len() + other.len();
        if self.to_verify_bytes > TO_VERIFY_BYTES_MOST {
            return self.exhaust();
        }
        let path = Path(self.path.clone());
        self.diff.to_verify.push(CrossCheck { path, primary, other });
    }

    fn map(
        &mut self,
        field: &Field,
        one: &[(MapKey<'_>, Value<'_>)],
        other: &[(MapKey<'_>, Value<'_>)],
        way: Way<'d>,
        names: bool,
    ) {
        let contract = self.differ.plans.contract();
        let value_field = field
            .kind
            .message()
            .and_then(|entry| contract.message(entry).field_numbered(2).map(|(_, value)| value));
        let Some(value_field) = value_field else { return };
        let (mut ones, mut others) = (one.iter().peekable(), other.iter().peekable());
        loop {
            let key = match (ones.peek(), others.peek()) {
                (None, None) => break,
                (Some((one, _)), Some((other, _))) => one.min(other),
                (Some((key, _)), None) | (None, Some((key, _))) => key,
            };
            let left = ones.next_if(|(found, _)| found == key).map(|(_, value)| value);
            let right = others.next_if(|(found, _)| found == key).map(|(_, value)| value);
            if !self.spend(1) {
                return;
            }
            let text = map_key_text(key);
            // The keys of a `Struct` are its names.
            let below = if names { way.named(&text) } else { way };
            if below.ignored() {
                continue;
            }
            let step = if names { Step::Name(text) } else { Step::MapKey(text) };
            self.step(step, |walk| match (left, right) {
                (Some(one), Some(other)) => walk.value(value_field, one, other, below),
                (Some(_), None) | (None, Some(_)) if below.present_or_absent() => {}
                (one, other) => walk.differs(below, What::Presence, || {
                    let text = |value| sample::text(contract, value_field, value);
                    (one.map(text), other.map(text))
                }),
            });
        }
    }

    /// Unknown fields, as bytes by number: they show a service built from a newer contract.
    pub(super) fn unknown(&mut self, one: &View<'_>, other: &View<'_>, way: Way<'d>) {
        if one.unknown == other.unknown {
            return;
        }
        type Found<'w, 'v> = Vec<&'v (u32, u8, &'w [u8])>;
        let mut numbers: BTreeMap<u32, (Found<'_, '_>, Found<'_, '_>)> = BTreeMap::new();
        for field in &one.unknown {
            numbers.entry(field.0).or_default().0.push(field);
        }
        for field in &other.unknown {
            numbers.entry(field.0).or_default().1.push(field);
        }
        for (number, (left, right)) in numbers {
            let name = format!("#{number}");
            let below = way.named(&name);
            if left == right || below.ignored() {
                continue;
            }
            if !self.spend(1) {
                return;
            }
            let text =
                |fields: Found<'_, '_>| fields.first().map(|(_, _, bytes)| sample::hex(bytes));
            self.step(Step::Name(name.into()), |walk| {
                walk.differs(below, What::Unknown, || (text(left), text(right)));
            });
        }
    }
}

pub(super) fn map_key_text(key: &MapKey<'_>) -> Box<str> {
    match key {
        MapKey::Bool(key) => key.to_string().into(),
        MapKey::Signed(key) => key.to_string().into(),
        MapKey::Unsigned(key) => key.to_string().into(),
        MapKey::Text(key) => key_text(key),
    }
}
