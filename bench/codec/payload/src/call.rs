//! One conversion by the codec under measurement, through its public functions.

use std::sync::Arc;

use tandem_contract::{Contract, MessageId};
use tandem_transcode::{
    Fault, JsonOptions, Limits, Plans, json_from_wire, wire_from_json, wire_from_wire,
};

use crate::DESCRIPTORS;

/// Which way a conversion goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// JSON text → protobuf bytes.
    In,
    /// Protobuf bytes → JSON text.
    Out,
    /// Protobuf bytes → the same message in canonical form.
    Canonical,
}

/// A message of the contract, ready to be converted.
pub struct Codec {
    plans: Plans,
    message: MessageId,
    options: JsonOptions,
    limits: Limits,
}

impl Codec {
    /// # Panics
    /// When the contract that stands beside this crate cannot be read, or has no `message`.
    pub fn new(message: &str, options: JsonOptions, limits: Limits) -> Codec {
        let contract = Contract::from_descriptor_set(DESCRIPTORS).expect("the contract is ours");
        let message = contract.message_named(message).expect("the message is in proto/");
        Codec { plans: Plans::new(Arc::new(contract)), message, options, limits }
    }

    /// # Errors
    /// As the codec says.
    #[inline]
    pub fn convert(&self, direction: Direction, input: &[u8]) -> Result<Vec<u8>, Fault> {
        let Codec { plans, message, options, limits } = self;
        match direction {
            Direction::In => wire_from_json(plans, *message, input, options, limits),
            Direction::Out => json_from_wire(plans, *message, input, options, limits),
            Direction::Canonical => wire_from_wire(plans, *message, input, limits),
        }
    }

    /// The same; the instruction counter looks for this function by its name and counts nothing
    /// outside it.
    ///
    /// # Errors
    /// As the codec says.
    #[inline(never)]
    pub fn counted_call(&self, direction: Direction, input: &[u8]) -> Result<Vec<u8>, Fault> {
        self.convert(direction, input)
    }
}
