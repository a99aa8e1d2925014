//! The conversions that are timed and counted, each with its input.

use crate::call::Direction;
use crate::order::{Order, Size, Words};
use crate::text::Form;

/// One conversion of one payload.
pub struct Scenario {
    /// `medium-shuffled-in`.
    pub name: &'static str,
    pub direction: Direction,
    /// JSON text: what goes in, or what it comes out as when nothing has an escape too many.
    pub json: Vec<u8>,
    pub wire: Vec<u8>,
}

impl Scenario {
    /// What the conversion is given.
    pub fn input(&self) -> &[u8] {
        match self.direction {
            Direction::In => &self.json,
            Direction::Out => &self.wire,
        }
    }
}

/// All scenarios, in the order in which they are printed.
pub fn all() -> Vec<Scenario> {
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
    .map(|(name, direction, size, words, form)| {
        let order = Order::new(size, words);
        Scenario { name, direction, json: order.json(form), wire: order.wire() }
    })
    .into()
}
