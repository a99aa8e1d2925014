//! Attacks with protobuf bytes.
//!
//! The fields that are named here are those of `tandem.hostile.v1.Node`.

use super::{ANY_NODE, Attack, attack};
use crate::call::Direction::Out;
use crate::wire::{Inward, put_bytes, put_number, put_tag, put_varint};

const CHILD: u32 = 1;
const GROUP: u32 = 3;
const ANY: u32 = 4;
const COUNTS: u32 = 5;
const TEXT: u32 = 6;
const NUMBER: u32 = 7;
const BRANCH: u32 = 8;
const KINDS: u32 = 9;
const NUMBERS: u32 = 10;
const VALUE: u32 = 14;
const NODES: u32 = 15;
const DELIMITED: u32 = 16;
/// No field.
const UNKNOWN: u32 = 1000;

pub(super) fn all() -> Vec<Attack> {
    vec![
        attack("deep-messages-out", Out, 100_000, 100_000, deep_messages).refused(),
        attack("deep-groups-out", Out, 100_000, 100_000, deep_groups).refused(),
        attack("deep-any-out", Out, 100_000, 20_000, deep_any),
        attack("deep-values-out", Out, 100_000, 50_000, deep_values).refused(),
        attack("any-levels-out", Out, 28, 28, any_levels),
        attack("group-levels-out", Out, 40, 40, group_levels),
        attack("group-spine-out", Out, 96, 96, group_spine),
        attack("length-bombs-out", Out, 1_000_000, 200_000, length_bombs).refused(),
        attack("regroup-levels-out", Out, 40, 40, regroup_levels),
        attack("regroup-levels-wide-out", Out, 400_000, 40_000, regroup_levels_wide).by_size(),
        attack("last-wins-levels-out", Out, 40, 40, last_wins_levels),
        attack("map-levels-out", Out, 40, 40, map_levels),
        attack("oneof-levels-out", Out, 40, 40, oneof_levels),
        attack("regroup-below-out", Out, 400_000, 40_000, regroup_below).by_size(),
        attack("merge-parts-out", Out, 200_000, 20_000, merge_parts),
        attack("merge-spines-out", Out, 40, 40, merge_spines),
        attack("interleaved-out", Out, 1_000_000, 100_000, interleaved),
        attack("oneof-flips-out", Out, 500_000, 50_000, oneof_flips),
        attack("oneof-branches-out", Out, 400_000, 40_000, oneof_branches),
        attack("packed-enums-out", Out, 1_000_000, 100_000, packed_enums),
        attack("map-keys-out", Out, 1_000_000, 40_000, map_keys),
        attack("map-key-repeated-out", Out, 1_000_000, 80_000, map_key_repeated),
        attack("unknown-fields-out", Out, 1_000_000, 100_000, unknown_fields),
        attack("escapes-out", Out, 1_000_000, 100_000, escapes),
    ]
}

fn deep_messages(levels: usize) -> Vec<u8> {
    let mut out = Inward::default();
    for _ in 0..levels {
        out.wrap(CHILD);
    }
    out.into_bytes()
}

fn deep_groups(levels: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for wire_type in [3, 4] {
        for _ in 0..levels {
            put_tag(UNKNOWN, wire_type, &mut out);
        }
    }
    out
}

/// Deeper than it is opened: what lies below is shown unread (security LI-14).
fn deep_any(levels: usize) -> Vec<u8> {
    anys(levels, &[])
}

fn any_levels(levels: usize) -> Vec<u8> {
    anys(levels, &filler(200))
}

/// `Any` in `Any`, each with `beside` in its message.
fn anys(levels: usize, beside: &[u8]) -> Vec<u8> {
    let mut kind = Vec::new();
    put_bytes(1, ANY_NODE.as_bytes(), &mut kind);
    let mut out = Inward::default();
    for _ in 0..levels {
        out.before(beside).wrap(2).before(&kind).wrap(ANY);
    }
    out.into_bytes()
}

fn deep_values(levels: usize) -> Vec<u8> {
    let mut out = Inward::default();
    for _ in 0..levels {
        // Value.list_value of ListValue.values.
        out.wrap(1).wrap(6);
    }
    out.wrap(VALUE);
    out.into_bytes()
}

/// A group ends where its end tag stands, so that who wants its length reads to there.
fn group_levels(levels: usize) -> Vec<u8> {
    let mut begin = Vec::new();
    put_tag(GROUP, 3, &mut begin);
    let mut end = Vec::new();
    put_tag(GROUP, 4, &mut end);
    let mut out = Inward::default();
    for _ in 0..levels {
        // The group's field 1 is a node.
        out.before(&filler(200)).wrap(1).before(&begin).after(&end);
    }
    out.into_bytes()
}

/// Groups directly inside groups: who reads to the end of each reads what is inside once a level.
fn group_spine(levels: usize) -> Vec<u8> {
    let mut begin = Vec::new();
    put_tag(DELIMITED, 3, &mut begin);
    let mut end = Vec::new();
    put_tag(DELIMITED, 4, &mut end);
    let mut out = Inward::default();
    for _ in 0..levels {
        out.before(&filler(200)).before(&begin).after(&end);
    }
    out.into_bytes()
}

/// Lengths that promise two gigabytes, one inside the other.
fn length_bombs(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for index in 0..count {
        put_tag([CHILD, KINDS, TEXT][index % 3], 2, &mut out);
        put_varint((1 << 31) - 1, &mut out);
    }
    out
}

/// At every level one more element of a list follows behind all that is below it.
fn regroup_levels(levels: usize) -> Vec<u8> {
    levels_with(levels, &filler(200), &filler(1))
}

/// The same at 40 levels with lists of any length, so that memory held once a level is seen.
fn regroup_levels_wide(count: usize) -> Vec<u8> {
    levels_with(40, &filler(count / 40), &filler(1))
}

/// At every level a field follows once more behind all that is below it.
fn last_wins_levels(levels: usize) -> Vec<u8> {
    let mut number = Vec::new();
    put_number(NUMBER, 1, &mut number);
    levels_with(levels, &[&filler(200)[..], &number].concat(), &number)
}

/// At every level another member of a oneof follows behind all that is below it.
fn oneof_levels(levels: usize) -> Vec<u8> {
    let mut text = Vec::new();
    put_bytes(TEXT, b"a", &mut text);
    let mut number = Vec::new();
    put_number(NUMBER, 1, &mut number);
    levels_with(levels, &[&filler(200)[..], &text].concat(), &number)
}

fn levels_with(levels: usize, before: &[u8], after: &[u8]) -> Vec<u8> {
    let mut out = Inward::default();
    for _ in 0..levels {
        // What is there becomes the child, between the two.
        out.wrap(CHILD).before(before).after(after);
    }
    out.into_bytes()
}

/// At every level a key of the map comes once more behind the entry that holds the rest.
fn map_levels(levels: usize) -> Vec<u8> {
    let mut other = Vec::new();
    put_bytes(1, b"b", &mut other);
    let mut inner = Vec::new();
    for _ in 0..levels {
        let mut entry = Vec::new();
        put_bytes(1, b"a", &mut entry);
        put_bytes(2, &inner, &mut entry);
        let mut level = filler(200);
        put_bytes(NODES, &other, &mut level);
        put_bytes(NODES, &entry, &mut level);
        put_bytes(NODES, &other, &mut level);
        inner = level;
    }
    inner
}

/// A list in two pieces below many levels.
fn regroup_below(count: usize) -> Vec<u8> {
    let mut inner = filler(count);
    put_number(NUMBER, 1, &mut inner);
    inner.extend(filler(1));
    let mut out = Inward::default();
    out.before(&inner);
    for _ in 0..80 {
        out.wrap(CHILD);
    }
    out.into_bytes()
}

/// One message in very many pieces.
fn merge_parts(count: usize) -> Vec<u8> {
    let mut piece = Vec::new();
    put_number(NUMBERS, 1, &mut piece);
    let mut out = Vec::new();
    for _ in 0..count {
        put_bytes(CHILD, &piece, &mut out);
    }
    out
}

/// Two towers of messages that are one: they merge at each level.
fn merge_spines(levels: usize) -> Vec<u8> {
    let spine = levels_with(levels, &filler(200), &[]);
    [&spine[..], &spine].concat()
}

fn interleaved(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for index in 0..count {
        put_number([NUMBERS, KINDS][index % 2], 1, &mut out);
    }
    out
}

fn oneof_flips(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for index in 0..count {
        match index % 2 {
            0 => put_bytes(TEXT, b"a", &mut out),
            _ => put_number(NUMBER, 1, &mut out),
        }
    }
    out
}

/// A member that is a message comes and goes.
fn oneof_branches(count: usize) -> Vec<u8> {
    let mut piece = Vec::new();
    put_number(NUMBERS, 1, &mut piece);
    let mut out = Vec::new();
    for index in 0..count {
        match index % 3 {
            2 => put_number(NUMBER, 1, &mut out),
            _ => put_bytes(BRANCH, &piece, &mut out),
        }
    }
    out
}

fn packed_enums(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(KINDS, &vec![1; count], &mut out);
    out
}

fn map_keys(count: usize) -> Vec<u8> {
    map(count, |index| format!("k{index:07}"))
}

fn map_key_repeated(count: usize) -> Vec<u8> {
    map(count, |_| "same".into())
}

fn map(count: usize, key: impl Fn(usize) -> String) -> Vec<u8> {
    let mut out = Vec::new();
    for index in 0..count {
        let mut entry = Vec::new();
        put_bytes(1, key(index).as_bytes(), &mut entry);
        put_number(2, 1, &mut entry);
        put_bytes(COUNTS, &entry, &mut out);
    }
    out
}

fn unknown_fields(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..count {
        put_number(UNKNOWN, 1, &mut out);
    }
    out
}

fn escapes(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(TEXT, "\u{1}\n".repeat(count / 2).as_bytes(), &mut out);
    out
}

/// `count` elements of a list, one by one.
fn filler(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..count {
        put_number(NUMBERS, 1, &mut out);
    }
    out
}
