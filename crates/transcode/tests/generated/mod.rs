//! Schemas and messages made from choices, with the other library's view of them.
//!
//! Everything is drawn from [`Choices`], so a test that fails is a list of numbers: proptest
//! shortens it, and shorter lists make smaller schemas and smaller messages. A list that has run
//! out goes on with zeros, which choose the plainest thing everywhere.
//!
//! Not here: what must hold (`oracle.rs`, `torture.rs`).

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod message;
pub(crate) mod schema;
pub(crate) mod spelling;

use std::sync::Arc;

use buffa_descriptor::reflect::DynamicMessage;
use buffa_descriptor::{DescriptorPool, MessageIndex};
use tandem_contract::{Contract, MessageId};
use tandem_transcode::{Fault, JsonOptions, Limits, Plans, json_from_wire, wire_from_json};

/// Where a generator's decisions come from.
pub(crate) enum Choices {
    /// Given one by one, then zeros.
    Listed { values: Vec<u64>, at: usize },
    /// Without end, from a seed (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom
    /// number generators", 2014).
    Seeded(u64),
}

impl Choices {
    pub(crate) fn listed(values: &[u64]) -> Choices {
        Choices::Listed { values: values.to_vec(), at: 0 }
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        match self {
            Choices::Listed { values, at } => {
                *at += 1;
                values.get(*at - 1).copied().unwrap_or(0)
            }
            Choices::Seeded(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
        }
    }

    /// 0 to `most`, 0 when the list has run out.
    pub(crate) fn up_to(&mut self, most: usize) -> usize {
        (self.any() % (most as u64 + 1)) as usize
    }

    /// True once in `times`; false when the list has run out.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.up_to(times - 1) == times - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.up_to(from.len() - 1)]
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for index in (1..list.len()).rev() {
            let other = index - self.up_to(index);
            list.swap(index, other);
        }
    }
}

/// One message type as both libraries know it.
pub(crate) struct Both {
    pub(crate) plans: Plans,
    pub(crate) pool: Arc<DescriptorPool>,
    id: MessageId,
    index: MessageIndex,
}

impl Both {
    /// The message `full_name` of a descriptor set.
    pub(crate) fn new(set: &[u8], full_name: &str) -> Both {
        let contract = Contract::from_descriptor_set(set).unwrap();
        assert_eq!(contract.faults(), [], "what is generated can be served");
        let pool = DescriptorPool::decode(set).unwrap();
        Both {
            id: contract.message_named(full_name).unwrap(),
            index: pool.message_index(full_name).unwrap(),
            plans: Plans::new(Arc::new(contract)),
            pool: Arc::new(pool),
        }
    }

    pub(crate) fn index(&self) -> MessageIndex {
        self.index
    }

    pub(crate) fn wire(&self, json: &str) -> Result<Vec<u8>, Fault> {
        let (options, limits) = (JsonOptions::default(), Limits::default());
        wire_from_json(&self.plans, self.id, json.as_bytes(), &options, &limits)
    }

    pub(crate) fn json(&self, wire: &[u8]) -> Result<String, Fault> {
        let (options, limits) = (JsonOptions::default(), Limits::default());
        json_from_wire(&self.plans, self.id, wire, &options, &limits)
            .map(|json| String::from_utf8(json).unwrap())
    }

    pub(crate) fn oracle(&self, wire: &[u8]) -> Result<DynamicMessage, String> {
        DynamicMessage::decode(Arc::clone(&self.pool), self.index, wire)
            .map_err(|error| error.to_string())
    }

    pub(crate) fn oracle_json(&self, wire: &[u8]) -> Result<String, String> {
        self.oracle(wire)?.to_json().map_err(|error| error.to_string())
    }

    pub(crate) fn oracle_wire(&self, json: &str) -> Result<Vec<u8>, String> {
        DynamicMessage::from_json(Arc::clone(&self.pool), self.index, json)
            .map(|message| message.encode_to_vec())
            .map_err(|error| error.to_string())
    }
}
