//! What a product may be, field by field in the order of the contract (CAT-1).
//!
//! Every limit stands in the contract's comments and in `cases/limits.yaml`.

use case_service::errors::Violation;

use crate::contract::{Product, product};
use crate::protos::google::r#type::Money;

/// `[a-z0-9][a-z0-9-]{0,62}`.
pub fn product_id(id: &str) -> Option<Violation> {
    let lawful = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fine = (1..=63).contains(&id.len()) && id.bytes().all(lawful) && !id.starts_with('-');
    (!fine).then(|| violation("product_id", "PRODUCT_ID", "must be [a-z0-9][a-z0-9-]{0,62}"))
}

/// `products/{id}`.
pub fn name(field: &'static str, name: &str) -> Option<Violation> {
    let fine = name.strip_prefix("products/").is_some_and(|id| product_id(id).is_none());
    (!fine).then(|| violation(field, "NAME", "must be products/{id}"))
}

/// An etag that could be one of ours, or none.
pub fn etag(field: &'static str, etag: &str) -> Option<Violation> {
    (!etag_is_fine(etag)).then(|| violation(field, "ETAG", "must be as it was given"))
}

/// The faults of a product's own fields, `name` left out. No discount is larger than
/// `discount_most`.
pub fn fields(product: &Product, discount_most: i32) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut check = |fine: bool, field, reason, description: &str| {
        if !fine {
            violations.push(violation(field, reason, description));
        }
    };
    check(
        (1..=128).contains(&product.display_name.len()),
        "product.display_name",
        "DISPLAY_NAME",
        "must have 1 to 128 bytes",
    );
    check(
        product.description.len() <= 4096,
        "product.description",
        "DESCRIPTION",
        "must have at most 4096 bytes",
    );
    check(
        product.category.len() <= 64,
        "product.category",
        "CATEGORY",
        "must have at most 64 bytes",
    );
    check(
        product.price.as_ref().is_some_and(price_is_fine),
        "product.price",
        "PRICE",
        "must have a currency of three capital letters, and units and nanos of one sign",
    );
    check(product.stock >= 0, "product.stock", "STOCK", "must be 0 or more");
    let labels_fine = product.labels.len() <= 16
        && product
            .labels
            .iter()
            .all(|(key, value)| (1..=63).contains(&key.len()) && value.len() <= 63);
    check(
        labels_fine,
        "product.labels",
        "LABELS",
        "must be at most 16, keys of 1 to 63 bytes, values of at most 63 bytes",
    );
    check(
        product::State::try_from(product.state).is_ok(),
        "product.state",
        "STATE",
        "must be a known state",
    );
    check(etag_is_fine(&product.etag), "product.etag", "ETAG", "must be as it was given");
    check(
        (0..=discount_most).contains(&product.discount_percent),
        "product.discount_percent",
        "DISCOUNT_PERCENT",
        &format!("must be 0 to {discount_most}, the largest discount at this time"),
    );
    violations
}

fn etag_is_fine(etag: &str) -> bool {
    etag.is_empty()
        || etag.strip_prefix("\"r").and_then(|rest| rest.strip_suffix('"')).is_some_and(|digits| {
            (1..=19).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        })
}

fn price_is_fine(price: &Money) -> bool {
    let currency = price.currency_code.len() == 3
        && price.currency_code.bytes().all(|byte| byte.is_ascii_uppercase());
    let range = (-999_999_999..=999_999_999).contains(&price.nanos);
    let sign = price.units == 0 || price.nanos == 0 || (price.units < 0) == (price.nanos < 0);
    currency && range && sign
}

/// `12.50 EUR`: two decimals at least, more where they say something.
pub fn price_text(price: &Money) -> String {
    format!("{} {}", amount(price), price.currency_code)
}

/// The same with the currency before the amount, `EUR 12.50`.
pub fn new_price_text(price: &Money) -> String {
    format!("{} {}", price.currency_code, amount(price))
}

fn amount(price: &Money) -> String {
    let sign = if price.units < 0 || price.nanos < 0 { "-" } else { "" };
    let mut decimals = format!("{:09}", price.nanos.unsigned_abs());
    while decimals.len() > 2 && decimals.ends_with('0') {
        decimals.pop();
    }
    format!("{sign}{}.{decimals}", price.units.unsigned_abs())
}

/// A version-4 UUID, in its usual form.
pub fn request_id_is_fine(id: &str) -> bool {
    let bytes = id.as_bytes();
    id.is_empty()
        || (bytes.len() == 36
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                14 => *byte == b'4',
                19 => b"89abAB".contains(byte),
                _ => byte.is_ascii_hexdigit(),
            }))
}

/// A violation with a fixed description.
pub fn violation(field: &'static str, reason: &'static str, description: &str) -> Violation {
    Violation { field, reason, description: description.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(units: i64, nanos: i32) -> Money {
        Money { currency_code: "EUR".into(), units, nanos }
    }

    #[test]
    fn a_price_is_written_for_people() {
        for (units, nanos, text) in [
            (12, 500_000_000, "12.50 EUR"),
            (0, 0, "0.00 EUR"),
            (-1, -50_000_000, "-1.05 EUR"),
            (0, -1, "-0.000000001 EUR"),
            (3, 123_000_000, "3.123 EUR"),
        ] {
            assert_eq!(price_text(&money(units, nanos)), text);
        }
    }

    #[test]
    fn cat_4_units_and_nanos_have_one_sign() {
        for (units, nanos, fine) in [
            (1, 999_999_999, true),
            (1, 1_000_000_000, false),
            (1, -1, false),
            (-1, 1, false),
            (0, -1, true),
        ] {
            assert_eq!(price_is_fine(&money(units, nanos)), fine, "{units} {nanos}");
        }
    }

    #[test]
    fn cat_1_ids_and_etags_have_closed_forms() {
        for (id, fine) in [
            ("a", true),
            ("0-", true),
            (&"a".repeat(63), true),
            (&"a".repeat(64), false),
            ("", false),
            ("-a", false),
            ("A", false),
            ("a_b", false),
        ] {
            assert_eq!(product_id(id).is_none(), fine, "{id}");
        }
        for (etag, fine) in
            [("", true), ("\"r1\"", true), ("r1", false), ("\"r\"", false), ("\"rx\"", false)]
        {
            assert_eq!(etag_is_fine(etag), fine, "{etag}");
        }
        assert!(request_id_is_fine("5c1e8a2e-3d0b-4b67-9a7c-0d6c3ad8f3b1"));
        assert!(!request_id_is_fine("5c1e8a2e-3d0b-1b67-9a7c-0d6c3ad8f3b1"));
        assert!(!request_id_is_fine("x"));
    }
}
