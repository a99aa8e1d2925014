//! Messages that mean something else than their fields: instants, masks, `Any`, `Value`.
//!
//! Source: the comments of google/protobuf/{timestamp,duration,field_mask,any,struct}.proto.

use std::collections::BTreeSet;

use tandem_contract::MessageId;
use tandem_transcode::view::{Value, Values, View};

use super::path::{Step, key_text};
use super::rows::At;
use super::walk::{Walk, Way};
use super::{What, sample};

impl<'d> Walk<'d> {
    /// `Timestamp` and `Duration`: seconds and nanoseconds are one number.
    pub(super) fn instant(&mut self, one: &View<'_>, other: &View<'_>, way: Way<'d>) {
        let (left, right) = (nanoseconds(one), nanoseconds(other));
        if left != right {
            self.differs(way, What::Value, || (Some(seconds(left)), Some(seconds(right))));
        }
        self.unknown(one, other, way);
    }

    /// `FieldMask`: a set of paths.
    pub(super) fn mask(&mut self, one: &View<'_>, other: &View<'_>, way: Way<'d>) {
        let (left, right) = (mask_paths(one), mask_paths(other));
        if left != right {
            let text = |paths: &BTreeSet<&[u8]>| {
                let paths: Vec<_> =
                    paths.iter().map(|path| String::from_utf8_lossy(path)).collect();
                Some(sample::cut(paths.join(",")))
            };
            self.differs(way, What::Value, || (text(&left), text(&right)));
        }
        self.unknown(one, other, way);
    }

    /// `Any`: unpacked where the contract knows the type, else bytes.
    pub(super) fn any(&mut self, one: &View<'_>, other: &View<'_>, way: Way<'d>) {
        let (left, right) = (type_of(one), type_of(other));
        if left != right {
            let shown = [left, right].map(|name| Some(key_text(name).into_string()));
            self.differs(way, What::Type, || shown.into());
            return;
        }
        let (contents, other_contents) = (bytes_of(one), bytes_of(other));
        let known = std::str::from_utf8(left)
            .ok()
            .and_then(|name| self.differ.plans.contract().message_named(name));
        let way = Way { at: At::settled(way.at.row), any_depth: way.any_depth + 1, ..way };
        match known {
            Some(id) => {
                let name = format!("[{}]", self.differ.plans.contract().message(id).full_name);
                let below = way.named(&name);
                if !below.ignored() {
                    self.step(Step::Name(name.into()), |walk| {
                        walk.message(id, contents, other_contents, below);
                    });
                }
            }
            None if contents != other_contents => {
                let shown = [contents, other_contents].map(|bytes| Some(sample::hex(bytes)));
                self.differs(way, What::Value, || shown.into());
            }
            None => {}
        }
        self.unknown(one, other, way);
    }

    /// `Value`: its one member, whose name people never write.
    pub(super) fn free_value(
        &mut self,
        id: MessageId,
        one: &View<'_>,
        other: &View<'_>,
        way: Way<'d>,
    ) {
        let message = self.differ.plans.contract().message(id);
        match (one.fields.first(), other.fields.first()) {
            (Some((place, Values::Singular(left))), Some((found, Values::Singular(right))))
                if place == found =>
            {
                self.value(&message.fields[*place], left, right, way);
            }
            (None, None) => {}
            (left, right) => {
                let name = |found: Option<&(usize, Values<'_>)>| {
                    found.map(|(place, _)| message.fields[*place].name.to_string())
                };
                let shown = (name(left), name(right));
                self.differs(way, What::Type, || shown);
            }
        }
        self.unknown(one, other, way);
    }
}

/// Of an instant or a length; a field out of range counts as it stands.
pub(super) fn nanoseconds(view: &View<'_>) -> i128 {
    view.fields.iter().fold(0, |sum, (place, values)| {
        let Values::Singular(Value::Signed(number)) = values else { return sum };
        let unit = if *place == 0 { 1_000_000_000 } else { 1 };
        sum + i128::from(*number) * unit
    })
}

pub(super) fn mask_paths<'v>(view: &'v View<'_>) -> BTreeSet<&'v [u8]> {
    let values = view.fields.iter().flat_map(|(_, values)| match values {
        Values::Repeated(values) => values.as_slice(),
        Values::Singular(_) | Values::Map(_) => &[],
    });
    values
        .filter_map(|value| match value {
            Value::Text(path) => Some(*path),
            _ => None,
        })
        .collect()
}

/// The name of an `Any`'s type, without the host before it.
pub(super) fn type_of<'w>(view: &View<'w>) -> &'w [u8] {
    let url = view.fields.iter().find_map(|(_, values)| match values {
        Values::Singular(Value::Text(url)) => Some(*url),
        _ => None,
    });
    let url = url.unwrap_or_default();
    url.rsplit(|byte| *byte == b'/').next().unwrap_or(url)
}

pub(super) fn bytes_of<'w>(view: &View<'w>) -> &'w [u8] {
    let found = view.fields.iter().find_map(|(_, values)| match values {
        Values::Singular(Value::Bytes(bytes)) => Some(*bytes),
        _ => None,
    });
    found.unwrap_or_default()
}

fn seconds(nanoseconds: i128) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let whole = nanoseconds.unsigned_abs();
    format!("{sign}{}.{:09}s", whole / 1_000_000_000, whole % 1_000_000_000)
}
