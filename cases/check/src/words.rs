//! What fields are filled with: few values, so that they meet, and those that hurt.

use crate::draw::Draw;

const TEXTS: [&str; 14] = [
    "",
    "kitchen",
    "Kitchen",
    "garden",
    "gardens",
    "décor",
    "a b",
    "it's",
    "say \"so\"",
    "back\\slash",
    "100%_",
    "日本",
    "nul\0inside",
    "AND",
];

pub fn category(draw: &mut Draw) -> String {
    match draw.below(20) {
        0 => "c".repeat(64),
        _ => (*draw.pick(&TEXTS)).to_owned(),
    }
}

pub fn display_name(draw: &mut Draw) -> String {
    match draw.below(20) {
        0 => "n".repeat(128),
        1 => String::from("x"),
        _ => format!("{} {}", draw.pick(&TEXTS), draw.below(5)),
    }
}

pub fn label_key(draw: &mut Draw) -> String {
    (*draw.pick(&["colour", "size", "in stock", "a.b", "ключ", "q'\"\\"])).to_owned()
}

pub fn label_value(draw: &mut Draw) -> String {
    (*draw.pick(&TEXTS)).to_owned()
}

pub fn number(draw: &mut Draw) -> i64 {
    match draw.below(12) {
        0 => i64::MAX,
        1 => i64::MIN,
        2 => -1,
        _ => draw.below(8) as i64,
    }
}
