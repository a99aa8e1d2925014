//! Generated states, equal in both languages: the same lists, drawn from in the same order.

use case_service::admin::Dataset;
use prost_types::Timestamp;

use crate::contract::{Product, product};
use crate::protos::google::r#type::Money;
use crate::records::now;
use crate::store::{Fault, Store, put};
use crate::validate::price_text;

const ADJECTIVES: [&str; 10] =
    ["Blue", "Small", "Heavy", "Quiet", "Bright", "Plain", "Round", "Folding", "Old", "Warm"];
const NOUNS: [&str; 10] =
    ["kettle", "lamp", "chair", "teapot", "drill", "rope", "basket", "clock", "mirror", "tent"];
const CATEGORIES: [&str; 8] =
    ["kitchen", "light", "furniture", "tools", "garden", "outdoor", "office", "décor"];
const COLOURS: [&str; 6] = ["red", "green", "blue", "white", "black", "grey"];
const MATERIALS: [&str; 3] = ["steel", "wood", "glass"];

pub fn size(dataset: Dataset) -> i64 {
    match dataset {
        Dataset::Unspecified | Dataset::Empty => 0,
        Dataset::Small => 1_000,
        Dataset::Standard => 100_000,
        Dataset::Large => 2_000_000,
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): a few lines in any language.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = self.0;
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % bound as u64) as usize
    }
}

fn generated(draw: &mut SplitMix, number: i64, now: Timestamp) -> Product {
    let adjective = ADJECTIVES[draw.below(ADJECTIVES.len())];
    let noun = NOUNS[draw.below(NOUNS.len())];
    let category = CATEGORIES[draw.below(CATEGORIES.len())];
    let price = Money {
        currency_code: "EUR".into(),
        units: 1 + draw.below(500) as i64,
        nanos: draw.below(100) as i32 * 10_000_000,
    };
    let stock = draw.below(1000) as i64;
    let labels =
        [("colour", COLOURS.get(draw.below(8))), ("material", MATERIALS.get(draw.below(4)))];
    let retired = draw.below(20) == 0;
    let state = if retired { product::State::Retired } else { product::State::Active };
    Product {
        name: format!("products/p-{number}"),
        display_name: format!("{adjective} {noun} {number}"),
        description: format!("A {} {noun}.", adjective.to_lowercase()),
        category: category.into(),
        price_text: price_text(&price),
        price: Some(price),
        stock,
        discount_percent: 0,
        labels: labels
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), (*value?).to_owned())))
            .collect(),
        state: state as i32,
        create_time: Some(now),
        update_time: Some(now),
        etag: String::new(),
    }
}

impl Store {
    /// Puts a generated state of `size` products in the place of the present one.
    pub fn reset(&self, size: i64, seed: u64) -> Result<i64, Fault> {
        let now = now();
        self.replace(|transaction| {
            let mut draw = SplitMix(seed);
            for number in 1..=size {
                put(transaction, &mut generated(&mut draw, number, now), 1, number)?;
            }
            transaction.execute("UPDATE state SET sequence = ?1, pruned = ?1", [size])?;
            Ok(size)
        })
    }
}
