//! The conversions that are timed and counted, each with its input.

use crate::call::Direction;
use crate::order::{Order, Size, Words};
use crate::text::Form;

/// One conversion of one payload.
pub struct Scenario {
    /// `medium-shuffled-in`.
    pub name: &'static str,
    pub direction: Direction,
    /// What goes in, or what comes out but for the spelling of numbers and the order of a map.
    pub json: Vec<u8>,
    pub wire: Vec<u8>,
}

impl Scenario {
    /// What the conversion is given.
    pub fn input(&self) -> &[u8] {
        match self.direction {
            Direction::In => &self.json,
            Direction::Out | Direction::Canonical => &self.wire,
        }
    }
}

type Recipe = (&'static str, Direction, Size, Words, Form);

const RECIPES: [Recipe; 10] = {
    use Direction::{In, Out};
    [
        ("small-in", In, Size::Small, Words::Plain, Form::Compact),
        ("small-out", Out, Size::Small, Words::Plain, Form::Compact),
        ("medium-in", In, Size::Medium, Words::Plain, Form::Compact),
        ("medium-out", Out, Size::Medium, Words::Plain, Form::Compact),
        ("medium-shuffled-in", In, Size::Medium, Words::Plain, Form::Shuffled),
        ("medium-pretty-in", In, Size::Medium, Words::Plain, Form::Pretty),
        ("medium-escaped-in", In, Size::Medium, Words::Escaped, Form::Ascii),
        ("medium-escaped-out", Out, Size::Medium, Words::Escaped, Form::Compact),
        ("large-in", In, Size::Large, Words::Plain, Form::Compact),
        ("large-out", Out, Size::Large, Words::Plain, Form::Compact),
    ]
};

/// The names of all scenarios, in the order in which they are printed.
pub fn names() -> impl Iterator<Item = &'static str> {
    RECIPES.iter().map(|(name, ..)| *name)
}

/// The scenario called `name`.
pub fn named(name: &str) -> Option<Scenario> {
    RECIPES.iter().find(|(known, ..)| *known == name).map(cook)
}

/// All scenarios, in the order of [`names`].
pub fn all() -> Vec<Scenario> {
    RECIPES.iter().map(cook).collect()
}

fn cook((name, direction, size, words, form): &Recipe) -> Scenario {
    let order = Order::new(*size, *words);
    Scenario { name, direction: *direction, json: order.json(*form), wire: order.wire() }
}
