//! What the name of a field says of its values.
//!
//! Guesses, each overridden by a rule of the contract or by the user. Names are read in parts:
//! `shipping_address_id` is an `id`.

use super::make::{Make, Scalar};
use super::text::Format;

/// Fields that a caller leaves out: their texts have a grammar, or come from an earlier answer.
const LEFT_OUT: [&str; 7] =
    ["page_token", "filter", "order_by", "etag", "cursor", "update_mask", "read_mask"];
const KEYS: [&str; 9] = ["id", "key", "sku", "isbn", "symbol", "slug", "code", "name", "uuid"];
const CONTENTS: [&str; 9] =
    ["description", "content", "contents", "body", "text", "data", "payload", "note", "comment"];
const CURRENCIES: [&str; 4] = ["EUR", "USD", "GBP", "JPY"];
const REGIONS: [&str; 5] = ["DE", "FR", "PL", "SE", "US"];
const LANGUAGES: [&str; 4] = ["en", "de", "fr", "ja"];

pub(super) fn text(name: &str) -> Make {
    let one_of = |texts: &[&str]| {
        Make::OneOf(texts.iter().map(|text| Scalar::Text((*text).to_owned())).collect())
    };
    let last = name.rsplit('_').next().unwrap_or(name);
    match name {
        _ if LEFT_OUT.contains(&name) => Make::Skip,
        "currency" | "currency_code" => one_of(&CURRENCIES),
        "country" | "country_code" | "region_code" => one_of(&REGIONS),
        "language" | "language_code" | "locale" => one_of(&LANGUAGES),
        _ => match last {
            "email" => Make::Formatted(Format::Email),
            "url" | "uri" => Make::Formatted(Format::Uri),
            "uuid" => Make::Formatted(Format::Uuid),
            "host" | "hostname" => Make::Formatted(Format::Host),
            _ if KEYS.contains(&last) => Make::Key(Box::default()),
            _ if CONTENTS.contains(&last) => Make::Contents(Box::default()),
            _ => Make::Words(Box::default()),
        },
    }
}

pub(super) fn integer(name: &str) -> Make {
    let last = name.rsplit('_').next().unwrap_or(name);
    match last {
        "id" | "key" => Make::Key(Box::default()),
        "count" | "quantity" | "qty" => Make::Integer(1, 10),
        "size" | "limit" | "results" | "top" | "k" => Make::Integer(1, 50),
        "offset" | "skip" | "page" => Make::Integer(0, 10),
        "cents" | "price" | "amount" | "units" => Make::Integer(1, 100_000),
        "nanos" => Make::Integer(0, 999_999_999),
        "percent" | "age" => Make::Integer(0, 100),
        "year" => Make::Integer(1_990, 2_030),
        "month" => Make::Integer(1, 12),
        "day" => Make::Integer(1, 28),
        _ => Make::Integer(0, 1_000),
    }
}

pub(super) fn float(name: &str) -> Make {
    let last = name.rsplit('_').next().unwrap_or(name);
    match last {
        "latitude" | "lat" => Make::Float(-90.0, 90.0),
        "longitude" | "lon" | "lng" => Make::Float(-180.0, 180.0),
        "ratio" | "share" | "score" | "probability" | "weight" => Make::Float(0.0, 1.0),
        "percent" => Make::Float(0.0, 100.0),
        _ => Make::Float(0.0, 1_000.0),
    }
}
