//! Messages, fields and enums of two contracts, matched by full name and number.
//!
//! Rules and their names are those of buf's category WIRE_JSON
//! (buf.build, "Breaking change rules and categories").
//!
//! Not here: methods and what HTTP makes of them (`methods`).

use std::collections::{BTreeMap, BTreeSet};

use super::default;
use super::{At, Report};
use crate::types::{
    Cardinality, Contract, EnumId, Enumeration, Field, Kind, Message, Presence, Reserved,
};

pub(super) fn compare(old: &Contract, new: &Contract, report: &mut Report) {
    let pair = Pair { old, new };
    for before in old.messages.iter().filter(|message| is_compared(&message.full_name)) {
        let at = At { file: &before.file, symbol: &before.full_name };
        match new.message_named(&before.full_name) {
            Some(id) => pair.messages(before, new.message(id), report),
            None if before.map_entry => {} // said of the map
            None => report.compatible(
                at,
                "MESSAGE_REMOVED",
                "the message was removed".into(),
                "no field has it any more, or that field's change is named",
            ),
        }
    }
    for message in new.messages.iter().filter(|message| is_compared(&message.full_name)) {
        if old.message_named(&message.full_name).is_none() && !message.map_entry {
            let at = At { file: &message.file, symbol: &message.full_name };
            report.compatible(at, "MESSAGE_ADDED", "the message is new".into(), "nothing");
        }
    }
    for before in old.enums.iter().filter(|one| is_compared(&one.full_name)) {
        match new.enumeration_named(&before.full_name) {
            Some(id) => enums(before, new.enumeration(id), report),
            None => report.compatible(
                At { file: &before.file, symbol: &before.full_name },
                "ENUM_REMOVED",
                "the enum was removed".into(),
                "no field has it any more, or that field's change is named",
            ),
        }
    }
    for enumeration in new.enums.iter().filter(|one| is_compared(&one.full_name)) {
        if old.enumeration_named(&enumeration.full_name).is_none() {
            let at = At { file: &enumeration.file, symbol: &enumeration.full_name };
            report.compatible(at, "ENUM_ADDED", "the enum is new".into(), "nothing");
        }
    }
}

/// Protobuf's own types come with a compiler, and change with it: two upstreams of one contract
/// reflect two versions of `descriptor.proto`. Those that messages use have a form that is fixed.
fn is_compared(full_name: &str) -> bool {
    !full_name.starts_with("google.protobuf.")
}

struct Pair<'a> {
    old: &'a Contract,
    new: &'a Contract,
}

impl Pair<'_> {
    fn messages(&self, before: &Message, now: &Message, report: &mut Report) {
        let at = At { file: &now.file, symbol: &now.full_name };
        if before.json_format && !now.json_format {
            json_format(at, "MESSAGE_SAME_JSON_FORMAT", report);
        }
        reserved(at, "RESERVED_MESSAGE_NO_DELETE", &before.reserved, &now.reserved, report);
        required(at, before, now, report);
        for old_field in &before.fields {
            match same_field(now, old_field) {
                Some(field) => self.fields((before, old_field), (now, field), report),
                None => removed_field(now, old_field, report),
            }
        }
        for field in &now.fields {
            if same_field(before, field).is_none() && field.presence != Presence::Required {
                let symbol = symbol_of(now, field);
                report.compatible(
                    At { file: &now.file, symbol: &symbol },
                    "FIELD_ADDED",
                    format!("field {} is new", field.number),
                    "answers may hold it; readers that know it not leave it out",
                );
            }
        }
    }

    fn fields(
        &self,
        (old_message, before): (&Message, &Field),
        (message, now): (&Message, &Field),
        report: &mut Report,
    ) {
        let symbol = symbol_of(message, now);
        let at = At { file: &message.file, symbol: &symbol };
        if before.name != now.name {
            report.breaks_wire_json(
                at,
                "FIELD_SAME_NAME",
                format!("field {} was called `{}` before", now.number, before.name),
                "JSON, query and paths with the old name are refused",
            );
        }
        if !before.extension && before.json_name != now.json_name {
            report.breaks_wire_json(
                at,
                "FIELD_SAME_JSON_NAME",
                format!("its JSON name changed from `{}` to `{}`", before.json_name, now.json_name),
                "answers have the new name only",
            );
        }
        self.kinds(before, now, at, report);
        // Entries are made by compilers, which differ in what they say of presence.
        if !(old_message.map_entry && message.map_entry) {
            cardinalities(before, now, at, report);
        }
        let changed = default::changed((self.old, before), (self.new, now));
        if let Some((was, is)) = changed {
            report.breaks_wire_json(
                at,
                "FIELD_SAME_DEFAULT",
                format!("its default changed from {was} to {is}"),
                "a message without the field means something else",
            );
        }
        if !before.extension {
            oneofs((old_message, before), (message, now), at, report);
        }
        if !before.deprecated && now.deprecated {
            let what = "it is deprecated now".to_owned();
            report.compatible(at, "FIELD_DEPRECATED", what, "nothing");
        }
    }

    fn kinds(&self, before: &Field, now: &Field, at: At<'_>, report: &mut Report) {
        let was = type_name(self.old, before.kind);
        let is = type_name(self.new, now.kind);
        if was == is {
            return;
        }
        let compatible = compatibility(before.kind) == compatibility(now.kind)
            && match (before.kind, now.kind) {
                (Kind::Enum(before), Kind::Enum(now)) => self.enum_moved(before, now),
                (Kind::Message(_) | Kind::Group(_), _) => false,
                _ => true,
            };
        let what = format!("its type changed from `{was}` to `{is}`");
        if compatible {
            let notice = "values that fit both types are read alike";
            report.compatible(at, "FIELD_TYPE_CHANGED", what, notice);
        } else {
            let notice = "values are misread or refused, as bytes or as JSON";
            report.breaks_wire_json(at, "FIELD_WIRE_JSON_COMPATIBLE_TYPE", what, notice);
        }
    }

    /// Whether an enum is the other one under another full name, possibly with more values.
    fn enum_moved(&self, before: EnumId, now: EnumId) -> bool {
        let (before, now) = (self.old.enumeration(before), self.new.enumeration(now));
        let last = |name: &str| name.rsplit('.').next().map(str::to_owned);
        last(&before.full_name) == last(&now.full_name)
            && before.values.iter().all(|(name, number)| now.number(name) == Some(*number))
    }
}

/// The field of `message` with the number; a field and an extension are not the same.
fn same_field<'a>(message: &'a Message, field: &Field) -> Option<&'a Field> {
    let (_, found) = message.field_numbered(field.number)?;
    (found.extension == field.extension).then_some(found)
}

fn symbol_of(message: &Message, field: &Field) -> String {
    format!("{}.{}", message.full_name, field.name)
}

fn removed_field(now: &Message, field: &Field, report: &mut Report) {
    let symbol = symbol_of(now, field);
    let at = At { file: &now.file, symbol: &symbol };
    if field.extension {
        let what = format!("extension {} was removed", field.number);
        let notice = "JSON with it is refused; on the wire it is passed over";
        return report.compatible(at, "EXTENSION_REMOVED", what, notice);
    }
    // Numbers are below 2^29.
    let number = field.number as i32;
    let number_kept = now.reserved.has_numbers(&(number..=number));
    let name_kept = now.reserved.has_name(&field.name);
    let mut unreserved = |rule, what: &str, notice| {
        let what = format!("field {number} was removed and its {what} is not reserved");
        report.breaks_wire_json(at, rule, what, notice);
    };
    if !name_kept {
        let notice = "JSON with it is refused; a later field may take the name";
        unreserved("FIELD_NO_DELETE_UNLESS_NAME_RESERVED", "name", notice);
    }
    if !number_kept {
        let notice = "its value is lost; a later field may take the number and misread it";
        unreserved("FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED", "number", notice);
    }
    if name_kept && number_kept {
        let what = format!("field {number} was removed; name and number are reserved");
        let notice = "JSON with it is refused; on the wire it is passed over";
        report.compatible(at, "FIELD_REMOVED", what, notice);
    }
}

fn required(at: At<'_>, before: &Message, now: &Message, report: &mut Report) {
    let numbers = |message: &Message| -> BTreeSet<u32> {
        let fields = message.fields.iter();
        fields
            .filter(|field| field.presence == Presence::Required && !field.extension)
            .map(|field| field.number)
            .collect()
    };
    let (before, now) = (numbers(before), numbers(now));
    for (number, what, notice) in before
        .difference(&now)
        .map(|number| (number, "no longer", "who still knows it as required refuses messages"))
        .chain(
            now.difference(&before)
                .map(|number| (number, "now", "messages without it are refused")),
        )
    {
        let what = format!("field {number} is {what} required");
        report.breaks_wire_json(at, "MESSAGE_SAME_REQUIRED_FIELDS", what, notice);
    }
}

fn cardinalities(before: &Field, now: &Field, at: At<'_>, report: &mut Report) {
    let group = |field: &Field| match (field.cardinality, field.presence) {
        (Cardinality::Repeated, _) => "a list",
        (Cardinality::Map, _) => "a map",
        (Cardinality::Singular, Presence::Required) => "required",
        (Cardinality::Singular, Presence::Implicit | Presence::Explicit) => "single",
    };
    let (was, is) = (group(before), group(now));
    if was != is {
        report.breaks_wire_json(
            at,
            "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
            format!("it was {was} and is {is}"),
            "JSON has another shape, or messages are refused",
        );
    } else if before.presence != now.presence {
        let what = match now.presence {
            Presence::Explicit => "unset and zero are two things now",
            Presence::Implicit | Presence::Required => "unset and zero are one thing now",
        };
        let notice = "answers may leave out a zero, or hold one, where they did not";
        report.compatible(at, "FIELD_PRESENCE_CHANGED", what.into(), notice);
    }
}

fn oneofs(
    (old_message, before): (&Message, &Field),
    (message, now): (&Message, &Field),
    at: At<'_>,
    report: &mut Report,
) {
    let name = |message: &Message, field: &Field| {
        field.oneof.map(|index| message.oneofs[index as usize].clone())
    };
    let (was, is) = (name(old_message, before), name(message, now));
    let what = match (&was, &is) {
        (Some(was), Some(is)) if was != is => format!("it moved from oneof `{was}` to `{is}`"),
        (Some(was), None) => format!("it moved out of oneof `{was}`"),
        (None, Some(is)) => format!("it moved into oneof `{is}`"),
        _ => return,
    };
    let notice = "setting it clears other fields, or no longer does";
    report.breaks_wire_json(at, "FIELD_SAME_ONEOF", what, notice);
}

fn json_format(at: At<'_>, rule: &'static str, report: &mut Report) {
    let what = "its file no longer promises a JSON form".to_owned();
    report.breaks_wire_json(at, rule, what, "JSON names may collide");
}

fn reserved(
    at: At<'_>,
    rule: &'static str,
    before: &Reserved,
    now: &Reserved,
    report: &mut Report,
) {
    let notice = "what was taken away may come back with another meaning";
    for range in before.numbers().iter().filter(|range| !now.has_numbers(range)) {
        let what = if range.start() == range.end() {
            format!("number {} is no longer reserved", range.start())
        } else {
            format!("numbers {} to {} are no longer all reserved", range.start(), range.end())
        };
        report.breaks_wire_json(at, rule, what, notice);
    }
    for name in before.names().iter().filter(|name| !now.has_name(name)) {
        report.breaks_wire_json(at, rule, format!("`{name}` is no longer reserved"), notice);
    }
}

fn enums(before: &Enumeration, now: &Enumeration, report: &mut Report) {
    let at = At { file: &now.file, symbol: &now.full_name };
    if before.json_format && !now.json_format {
        json_format(at, "ENUM_SAME_JSON_FORMAT", report);
    }
    reserved(at, "RESERVED_ENUM_NO_DELETE", &before.reserved, &now.reserved, report);
    let (old_values, values) = (by_number(before), by_number(now));
    for (number, names) in &old_values {
        let shown = names.iter().copied().collect::<Vec<_>>().join("`, `");
        let Some(kept) = values.get(number) else {
            removed_value(at, now, *number, names, &shown, report);
            continue;
        };
        if !names.is_subset(kept) {
            let is = kept.iter().copied().collect::<Vec<_>>().join("`, `");
            report.breaks_wire_json(
                at,
                "ENUM_VALUE_SAME_NAME",
                format!("value {number} changed its names from `{shown}` to `{is}`"),
                "JSON with the old name is refused, answers have the new one",
            );
        }
    }
    for (number, names) in &values {
        if !old_values.contains_key(number) {
            let shown = names.iter().copied().collect::<Vec<_>>().join("`, `");
            report.compatible(
                at,
                "ENUM_VALUE_ADDED",
                format!("value {number} `{shown}` is new"),
                "answers may hold it; readers that know it not see a number",
            );
        }
    }
    if before.closed != now.closed {
        let what = if now.closed { "it is closed now" } else { "it is open now" };
        let notice = "numbers outside the list are treated otherwise";
        report.compatible(at, "ENUM_CLOSED_CHANGED", what.into(), notice);
    }
}

fn by_number(enumeration: &Enumeration) -> BTreeMap<i32, BTreeSet<&str>> {
    let mut values: BTreeMap<i32, BTreeSet<&str>> = BTreeMap::new();
    for (name, number) in &enumeration.values {
        values.entry(*number).or_default().insert(name);
    }
    values
}

fn removed_value(
    at: At<'_>,
    now: &Enumeration,
    number: i32,
    names: &BTreeSet<&str>,
    shown: &str,
    report: &mut Report,
) {
    let number_kept = now.reserved.has_numbers(&(number..=number));
    let names_kept = names.iter().all(|name| now.reserved.has_name(name));
    let removed = format!("value {number} `{shown}` was removed");
    if !names_kept {
        report.breaks_wire_json(
            at,
            "ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED",
            format!("{removed} and its name is not reserved"),
            "JSON with it is refused; a later value may take the name",
        );
    }
    if !number_kept {
        report.breaks_wire_json(
            at,
            "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED",
            format!("{removed} and its number is not reserved"),
            "a later value may take the number and mean something else",
        );
    }
    if names_kept && number_kept {
        let what = format!("{removed}; name and number are reserved");
        report.compatible(at, "ENUM_VALUE_REMOVED", what, "JSON with it is refused");
    }
}

fn type_name(contract: &Contract, kind: Kind) -> String {
    match kind {
        Kind::Enum(id) => format!("enum {}", contract.enumeration(id).full_name),
        Kind::Message(id) => contract.message(id).full_name.to_string(),
        Kind::Group(id) => format!("delimited {}", contract.message(id).full_name),
        scalar => scalar.name().to_owned(),
    }
}

/// Kinds of one group are read alike on the wire and in JSON, as far as values fit.
fn compatibility(kind: Kind) -> u8 {
    match kind {
        Kind::Int32 | Kind::Uint32 => 1,
        Kind::Int64 | Kind::Uint64 => 2,
        Kind::Fixed32 | Kind::Sfixed32 => 3,
        Kind::Fixed64 | Kind::Sfixed64 => 4,
        Kind::Bool => 5,
        Kind::Sint32 => 6,
        Kind::Sint64 => 7,
        Kind::String => 8,
        Kind::Bytes => 9,
        Kind::Double => 10,
        Kind::Float => 11,
        Kind::Group(_) => 12,
        Kind::Message(_) => 13,
        Kind::Enum(_) => 14,
    }
}
