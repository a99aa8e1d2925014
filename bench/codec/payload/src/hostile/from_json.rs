//! Attacks with JSON text.

use super::{ANY_NODE, Attack, attack};
use crate::call::Direction::In;

pub(super) fn all() -> Vec<Attack> {
    vec![
        attack("deep-objects-in", In, 100_000, 100_000, deep_objects).refused(),
        attack("deep-lists-in", In, 100_000, 100_000, deep_lists).refused(),
        attack("deep-unknown-in", In, 100_000, 100_000, deep_unknown).refused().unknown_ignored(),
        attack("deep-any-in", In, 100_000, 20_000, deep_any).refused(),
        attack("any-type-last-in", In, 28, 28, any_type_last),
        attack("any-late-type-in", In, 400_000, 20_000, any_late_type).uncounted(),
        attack("unknown-keys-in", In, 1_000_000, 40_000, unknown_keys)
            .unknown_ignored()
            .uncounted(),
        attack("unknown-keys-counted-in", In, 1_000_000, 400_000, unknown_keys)
            .unknown_ignored()
            .refused(),
        attack("unknown-key-repeated-in", In, 1_000_000, 80_000, unknown_key_repeated)
            .unknown_ignored()
            .uncounted()
            .refused(),
        attack("map-keys-in", In, 1_000_000, 40_000, map_keys).uncounted(),
        attack("map-key-repeated-in", In, 1_000_000, 80_000, map_key_repeated)
            .uncounted()
            .refused(),
        attack("map-keys-one-late-in", In, 1_000_000, 40_000, map_keys_one_late)
            .uncounted()
            .refused(),
        attack("lengths-deep-in", In, 20, 20, lengths_deep),
        attack("lengths-wide-in", In, 1_000_000, 100_000, lengths_wide),
        attack("lengths-alternating-in", In, 100_000, 10_000, lengths_alternating).uncounted(),
        attack("integer-digits-in", In, 100_000, 50_000, integer_digits).refused(),
        attack("integer-zeros-in", In, 100_000, 50_000, integer_zeros),
        attack("integer-exponent-in", In, 100_000, 50_000, integer_exponent).refused(),
        attack("real-digits-in", In, 100_000, 50_000, real_digits),
        attack("real-small-in", In, 100_000, 50_000, real_small),
        attack("reals-in", In, 1_000, 200, reals),
        attack("escapes-in", In, 1_000_000, 100_000, escapes),
        attack("surrogates-in", In, 500_000, 50_000, surrogates),
        attack("white-space-in", In, 1_000_000, 100_000, white_space),
    ]
}

/// `before` as often as there are levels, `middle`, `after` as often.
fn nested(levels: usize, before: &str, middle: &str, after: &str) -> Vec<u8> {
    format!("{}{middle}{}", before.repeat(levels), after.repeat(levels)).into_bytes()
}

fn deep_objects(levels: usize) -> Vec<u8> {
    nested(levels, r#"{"child":"#, "{}", "}")
}

fn deep_lists(levels: usize) -> Vec<u8> {
    [br#"{"value":"#, &nested(levels, "[", "1", "]")[..], b"}"].concat()
}

fn deep_unknown(levels: usize) -> Vec<u8> {
    nested(levels, r#"{"x":["#, "1", "]}")
}

fn deep_any(levels: usize) -> Vec<u8> {
    let before = format!(r#"{{"@type":"{ANY_NODE}","any":"#);
    let any = nested(levels, &before, &format!(r#"{{"@type":"{ANY_NODE}"}}"#), "}");
    [br#"{"any":"#, &any[..], b"}"].concat()
}

/// The type of each stands behind all that is below it: who looks for it reads that first, at
/// every level.
fn any_type_last(levels: usize) -> Vec<u8> {
    let before = format!(r#"{{"numbers":[{}],"any":"#, elements(200));
    let after = format!(r#","@type":"{ANY_NODE}"}}"#);
    let any = nested(levels, &before, &format!(r#"{{"@type":"{ANY_NODE}"}}"#), &after);
    [br#"{"any":"#, &any[..], b"}"].concat()
}

fn any_late_type(count: usize) -> Vec<u8> {
    format!(r#"{{"any":{{"numbers":[{}],"@type":"{ANY_NODE}"}}}}"#, elements(count)).into_bytes()
}

fn unknown_keys(count: usize) -> Vec<u8> {
    object(count, |index| format!(r#""u{index:07}":1"#))
}

fn unknown_key_repeated(count: usize) -> Vec<u8> {
    object(count, |_| r#""same":1"#.into())
}

fn map_keys(count: usize) -> Vec<u8> {
    [br#"{"counts":"#, &object(count, |index| format!(r#""k{index:07}":1"#))[..], b"}"].concat()
}

fn map_key_repeated(count: usize) -> Vec<u8> {
    [br#"{"counts":"#, &object(count, |_| r#""same":1"#.into())[..], b"}"].concat()
}

/// The first key comes once more, at the very end.
fn map_keys_one_late(count: usize) -> Vec<u8> {
    let key = |index: usize| if index + 1 == count { 0 } else { index };
    let keys = object(count, |index| format!(r#""k{:07}":1"#, key(index)));
    [br#"{"counts":"#, &keys[..], b"}"].concat()
}

/// In every list a short message comes before the one that holds the rest, so that a width
/// guessed from the one before is wrong at each level.
fn lengths_deep(levels: usize) -> Vec<u8> {
    let before = format!(r#"{{"numbers":[{}],"children":[{{}},"#, elements(300));
    nested(levels, &before, "{}", "]}")
}

/// One long text below as many levels as may be: a writer that moves what is inside once a level
/// moves all of it.
fn lengths_wide(count: usize) -> Vec<u8> {
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(count));
    nested(46, r#"{"child":"#, &text, "}")
}

/// Neighbours whose lengths need one byte and two, in turn.
fn lengths_alternating(count: usize) -> Vec<u8> {
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(200));
    let children: Vec<&str> =
        (0..count).map(|index| if index % 2 == 0 { "{}" } else { &long[..] }).collect();
    format!(r#"{{"children":[{}]}}"#, children.join(",")).into_bytes()
}

fn integer_digits(digits: usize) -> Vec<u8> {
    format!(r#"{{"integer":"{}"}}"#, "7".repeat(digits)).into_bytes()
}

/// One, written with as many zeros as are taken away again.
fn integer_zeros(digits: usize) -> Vec<u8> {
    format!(r#"{{"integer":1{}e-{digits}}}"#, "0".repeat(digits)).into_bytes()
}

fn integer_exponent(digits: usize) -> Vec<u8> {
    format!(r#"{{"integer":1e{}}}"#, "9".repeat(digits)).into_bytes()
}

fn real_digits(digits: usize) -> Vec<u8> {
    format!(r#"{{"real":1.{}}}"#, "7".repeat(digits)).into_bytes()
}

/// One, written as a fraction with as many zeros as its exponent gives back.
fn real_small(digits: usize) -> Vec<u8> {
    format!(r#"{{"real":0.{}1e{}}}"#, "0".repeat(digits), digits + 1).into_bytes()
}

/// Halfway between two doubles, which only all of the digits tell apart.
fn reals(count: usize) -> Vec<u8> {
    let half = format!("9007199254740993.{}1", "0".repeat(700));
    let values = vec![half; count].join(",");
    format!(r#"{{"value":[{values}]}}"#).into_bytes()
}

fn escapes(count: usize) -> Vec<u8> {
    format!(r#"{{"text":"{}"}}"#, r"\u00e9\n".repeat(count / 2)).into_bytes()
}

fn surrogates(count: usize) -> Vec<u8> {
    format!(r#"{{"text":"{}"}}"#, r"\ud83d\ude00".repeat(count)).into_bytes()
}

fn white_space(count: usize) -> Vec<u8> {
    format!(r#"{{"number":{}1}}"#, " \n".repeat(count / 2)).into_bytes()
}

fn object(count: usize, entry: impl Fn(usize) -> String) -> Vec<u8> {
    let entries: Vec<String> = (0..count).map(entry).collect();
    format!("{{{}}}", entries.join(",")).into_bytes()
}

/// `count` elements of one byte each.
fn elements(count: usize) -> String {
    vec!["1"; count].join(",")
}
