//! Whether messages that have a form of their own are what their names promise.
//!
//! A stranger's set may hold a `google.protobuf.Timestamp` of its own making, or a map entry
//! without a value. The codec relies on the published shapes, so a message gets its form only
//! when it has them.
//!
//! Not here: the forms themselves (`tandem-transcode`).
//!
//! Source: google/protobuf/{any,timestamp,duration,field_mask,struct,wrappers}.proto,
//! google/api/httpbody.proto.

use crate::types::{Cardinality, Field, Kind, Message, WellKnown};

/// The expected kind of a field; of messages the full name.
#[derive(Clone, Copy)]
enum Expected {
    Scalar(Kind),
    Enum,
    Message(&'static str),
    Repeated(&'static str),
    RepeatedString,
    Map(&'static str),
}

use Expected::{Enum, Map, Repeated, RepeatedString, Scalar};

/// The form that `message` has: that of its name, or none where its fields are others.
pub(crate) fn well_known(message: &Message, messages: &[Message]) -> WellKnown {
    let claimed = WellKnown::of(&message.full_name);
    let expected: &[Expected] = match claimed {
        WellKnown::No => return WellKnown::No,
        WellKnown::Any => &[Scalar(Kind::String), Scalar(Kind::Bytes)],
        WellKnown::Timestamp | WellKnown::Duration => &[Scalar(Kind::Int64), Scalar(Kind::Int32)],
        WellKnown::FieldMask => &[RepeatedString],
        WellKnown::Struct => &[Map("google.protobuf.Value")],
        WellKnown::Value => &[
            Enum,
            Scalar(Kind::Double),
            Scalar(Kind::String),
            Scalar(Kind::Bool),
            Expected::Message("google.protobuf.Struct"),
            Expected::Message("google.protobuf.ListValue"),
        ],
        WellKnown::ListValue => &[Repeated("google.protobuf.Value")],
        WellKnown::Empty => &[],
        WellKnown::Wrapper => match &*message.full_name {
            "google.protobuf.DoubleValue" => &[Scalar(Kind::Double)],
            "google.protobuf.FloatValue" => &[Scalar(Kind::Float)],
            "google.protobuf.Int64Value" => &[Scalar(Kind::Int64)],
            "google.protobuf.UInt64Value" => &[Scalar(Kind::Uint64)],
            "google.protobuf.Int32Value" => &[Scalar(Kind::Int32)],
            "google.protobuf.UInt32Value" => &[Scalar(Kind::Uint32)],
            "google.protobuf.BoolValue" => &[Scalar(Kind::Bool)],
            "google.protobuf.StringValue" => &[Scalar(Kind::String)],
            _ => &[Scalar(Kind::Bytes)],
        },
        WellKnown::HttpBody => {
            &[Scalar(Kind::String), Scalar(Kind::Bytes), Repeated("google.protobuf.Any")]
        }
    };
    // Numbers count from 1 without gaps in all of them; extensions cannot be declared.
    let fits = message.fields.len() == expected.len()
        && expected.iter().zip(1..).all(|(expected, number)| {
            message
                .field_numbered(number)
                .is_some_and(|(_, field)| has_shape(field, *expected, messages))
        });
    if fits { claimed } else { WellKnown::No }
}

fn has_shape(field: &Field, expected: Expected, messages: &[Message]) -> bool {
    let named = |kind: Kind, name: &str| matches!(kind, Kind::Message(id) if *messages[id.0 as usize].full_name == *name);
    if field.extension {
        return false;
    }
    match (field.cardinality, expected) {
        (Cardinality::Singular, Scalar(kind)) => field.kind == kind,
        (Cardinality::Singular, Enum) => matches!(field.kind, Kind::Enum(_)),
        (Cardinality::Singular, Expected::Message(name)) => named(field.kind, name),
        (Cardinality::Repeated, Repeated(name)) => named(field.kind, name),
        (Cardinality::Repeated, RepeatedString) => field.kind == Kind::String,
        (Cardinality::Map, Map(name)) => field.kind.message().is_some_and(|id| {
            let entry = &messages[id.0 as usize];
            let key = entry.field_numbered(1).is_some_and(|(_, key)| key.kind == Kind::String);
            key && entry.field_numbered(2).is_some_and(|(_, value)| named(value.kind, name))
        }),
        _ => false,
    }
}

/// Why `entry` cannot be the entry type of a map.
pub(crate) fn map_entry(entry: &Message, messages: &[Message]) -> Result<(), &'static str> {
    let [_, _] = &entry.fields[..] else {
        return Err("a map's entry has a key, a value and nothing else");
    };
    let part = |number| entry.field_numbered(number).map(|(_, field)| field);
    let (Some(key), Some(value)) = (part(1), part(2)) else {
        return Err("a map's key is field 1 of its entry, the value field 2");
    };
    if [key, value].iter().any(|part| part.cardinality != Cardinality::Singular || part.extension) {
        return Err("key and value of a map are single");
    }
    let key_may_be = match key.kind {
        Kind::Double | Kind::Float | Kind::Bytes => false,
        Kind::Enum(_) | Kind::Message(_) | Kind::Group(_) => false,
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64 => {
            true
        }
        Kind::Fixed32 | Kind::Fixed64 | Kind::Sfixed32 | Kind::Sfixed64 => true,
        Kind::Bool | Kind::String => true,
    };
    if !key_may_be {
        return Err("a map's key is an integer, a boolean or a string");
    }
    if value.kind.message().is_some_and(|id| messages[id.0 as usize].map_entry) {
        return Err("a map's value is no map");
    }
    Ok(())
}
