//! Input that is meant to cost more than it weighs, at any size.
//!
//! Each attack is written for one size, a count of its own unit: levels, keys, elements, digits.
//! Twice the size is twice the bytes, near enough, and has to be at most about twice the work.
//! Attacks on depth come twice: far past the limits, where they have to be refused for little,
//! and within them, where each level tempts to read everything below it once more.
//!
//! Needs nothing but this crate's `wire`, so that fuzz targets and tests can take the module.

mod from_json;
mod from_wire;

use tandem_transcode::{JsonOptions, Limits};

use crate::call::Direction;

pub struct Attack {
    /// `any-type-last-in`.
    pub name: String,
    pub direction: Direction,
    /// The largest size of a full run; a run also takes a half and a quarter of it.
    pub size: usize,
    /// The largest size of a short run.
    pub size_short: usize,
    pub options: JsonOptions,
    pub limits: Limits,
    /// Whether it is to be converted; `None` where that turns on its size.
    pub answered: Option<bool>,
    make: fn(usize) -> Vec<u8>,
}

impl Attack {
    /// The input of one size.
    pub fn input(&self, size: usize) -> Vec<u8> {
        (self.make)(size)
    }
}

/// All attacks, in the order in which they are printed. What is hostile on the wire is so to both
/// of its readers: the writer of JSON and the writer of the canonical form.
///
/// But for groups inside groups: the canonical form, which is on no call's path, measures a group
/// once for each of the levels around it, and of those there are at most a hundred.
pub fn all() -> Vec<Attack> {
    let wire = from_wire::all().into_iter();
    let canonical = wire.filter(|attack| attack.name != "group-spine-out").map(|attack| Attack {
        name: attack.name.replace("-out", "-canonical"),
        direction: Direction::Canonical,
        ..attack
    });
    from_json::all().into_iter().chain(from_wire::all()).chain(canonical).collect()
}

/// An attack under the default limits that is to be converted.
fn attack(
    name: &str,
    direction: Direction,
    size: usize,
    size_short: usize,
    make: fn(usize) -> Vec<u8>,
) -> Attack {
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let name = name.to_owned();
    Attack { name, direction, size, size_short, options, limits, answered: Some(true), make }
}

impl Attack {
    fn refused(self) -> Attack {
        Attack { answered: Some(false), ..self }
    }

    /// Answered while it is small; refused when putting it in order would take too much memory.
    fn by_size(self) -> Attack {
        Attack { answered: None, ..self }
    }

    /// Unknown keys are let pass, so that what is done about them is seen.
    fn unknown_ignored(self) -> Attack {
        Attack { options: JsonOptions { ignore_unknown: true, ..self.options }, ..self }
    }

    /// The count of values does not end it, so that the work for each is seen.
    fn uncounted(self) -> Attack {
        Attack { limits: Limits { json_nodes: u32::MAX, ..self.limits }, ..self }
    }
}

const ANY_NODE: &str = "type.googleapis.com/tandem.hostile.v1.Node";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NODE;
    use crate::call::Codec;

    #[test]
    fn twice_the_size_is_twice_the_bytes() {
        for attack in all() {
            let size = attack.size_short / 2;
            let [once, twice] = [size, 2 * size].map(|size| attack.input(size).len() as f64);
            let growth = twice / once;
            assert!((1.7..2.2).contains(&growth), "{}: {growth}", attack.name);
        }
    }

    /// An attack that fails for a slip of its own would prove nothing.
    #[test]
    fn small_ones_are_converted() {
        for attack in all().into_iter().filter(|attack| attack.answered == Some(true)) {
            let codec = Codec::new(NODE, attack.options, attack.limits);
            let outcome = codec.convert(attack.direction, &attack.input(4));
            assert!(outcome.is_ok(), "{}: {}", attack.name, outcome.unwrap_err());
        }
    }
}
