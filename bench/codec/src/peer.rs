//! Those who are timed, each by the way in which its own documents say to use it.
//!
//! Every call gives an output of its own, as a gateway needs one; nothing is kept between calls
//! but what the peer keeps by itself. All are built with the same profile in the same program.

use std::hint::black_box;
use std::sync::Arc;

use buffa::Message as _;
use buffa_descriptor::{DescriptorPool, MessageIndex};

use buffa_descriptor::reflect::DynamicMessage;
use prost::Message as _;
use tandem_bench_payload::call::{Codec, Direction};
use tandem_bench_payload::{DESCRIPTORS, ORDER};
use tandem_transcode::{JsonOptions, Limits};

use crate::generated;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Tandem,
    BuffaReflection,
    BuffaGenerated,
    Pbjson,
    /// Parses the text into a tree and stops there; in only.
    SerdeJsonParse,
    /// Copies the JSON text: what moving the bytes costs at least.
    Memcpy,
}

impl Peer {
    /// Ours first; the others in the order in which they are printed.
    pub(crate) const ALL: [Peer; 6] = [
        Peer::Tandem,
        Peer::BuffaReflection,
        Peer::BuffaGenerated,
        Peer::Pbjson,
        Peer::SerdeJsonParse,
        Peer::Memcpy,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Tandem => "tandem",
            Peer::BuffaReflection => "buffa-reflection",
            Peer::BuffaGenerated => "buffa-generated",
            Peer::Pbjson => "pbjson",
            Peer::SerdeJsonParse => "serde_json-parse",
            Peer::Memcpy => "memcpy",
        }
    }

    pub(crate) fn goes(self, direction: Direction) -> bool {
        self != Peer::SerdeJsonParse || direction == Direction::In
    }

    /// Whether its output is the converted message; the other two are yardsticks.
    fn converts(self) -> bool {
        !matches!(self, Peer::SerdeJsonParse | Peer::Memcpy)
    }
}

/// What the peers need beside the input, made once.
pub(crate) struct Peers {
    codec: Codec,
    pool: Arc<DescriptorPool>,
    order: MessageIndex,
}

impl Peers {
    pub(crate) fn new() -> Outcome<Peers> {
        let pool = Arc::new(DescriptorPool::decode(DESCRIPTORS)?);
        let order = pool.message_index(ORDER).ok_or("the pool has no order")?;
        let codec = Codec::new(ORDER, JsonOptions::default(), Limits::default());
        Ok(Peers { codec, pool, order })
    }

    /// One conversion. `json` is the text that [`Peer::Memcpy`] copies on both ways.
    #[inline]
    pub(crate) fn convert(
        &self,
        peer: Peer,
        direction: Direction,
        json: &[u8],
        wire: &[u8],
    ) -> Outcome<Vec<u8>> {
        use Direction::{Canonical, In, Out};
        let pool = || Arc::clone(&self.pool);
        Ok(match (peer, direction) {
            (Peer::Tandem, In) => self.codec.convert(In, json)?,
            (Peer::Tandem, Out | Canonical) => self.codec.convert(direction, wire)?,
            (Peer::BuffaReflection, In) => {
                let text = std::str::from_utf8(json)?;
                DynamicMessage::from_json(pool(), self.order, text)?.encode_to_vec()
            }
            (Peer::BuffaReflection, Out) => {
                DynamicMessage::decode(pool(), self.order, wire)?.to_json()?.into_bytes()
            }
            (Peer::BuffaReflection, Canonical) => {
                DynamicMessage::decode(pool(), self.order, wire)?.encode_to_vec()
            }
            (Peer::BuffaGenerated, In) => {
                serde_json::from_slice::<generated::buffa::Order>(json)?.encode_to_vec()
            }
            (Peer::BuffaGenerated, Out) => {
                serde_json::to_vec(&generated::buffa::Order::decode_from_slice(wire)?)?
            }
            (Peer::BuffaGenerated, Canonical) => {
                generated::buffa::Order::decode_from_slice(wire)?.encode_to_vec()
            }
            (Peer::Pbjson, In) => {
                serde_json::from_slice::<generated::pbjson::Order>(json)?.encode_to_vec()
            }
            (Peer::Pbjson, Out) => serde_json::to_vec(&generated::pbjson::Order::decode(wire)?)?,
            (Peer::Pbjson, Canonical) => generated::pbjson::Order::decode(wire)?.encode_to_vec(),
            (Peer::SerdeJsonParse, _) => {
                // The tree is dropped inside the measure, as the peers' messages are.
                black_box(serde_json::from_slice::<serde_json::Value>(json)?);
                Vec::new()
            }
            (Peer::Memcpy, _) => json.to_vec(),
        })
    }

    /// Fails unless `peer` gives what the generator of the payload meant.
    ///
    /// Outputs are read by prost and pbjson, whose messages compare by value, so that the order
    /// of a map and the spelling of a number do not count.
    pub(crate) fn check(
        &self,
        peer: Peer,
        direction: Direction,
        json: &[u8],
        wire: &[u8],
    ) -> Outcome<()> {
        if !peer.converts() {
            return Ok(());
        }
        let meant = generated::pbjson::Order::decode(wire)?;
        let output = self.convert(peer, direction, json, wire)?;
        let given: generated::pbjson::Order = match direction {
            Direction::In | Direction::Canonical => generated::pbjson::Order::decode(&output[..])?,
            Direction::Out => serde_json::from_slice(&output)?,
        };
        if given != meant {
            return Err(format!("{} gives another message", peer.name()).into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_bench_payload::scenario;

    #[test]
    fn all_peers_give_the_same_message() {
        let peers = Peers::new().unwrap();
        for scenario in scenario::all() {
            for peer in Peer::ALL.into_iter().filter(|peer| peer.goes(scenario.direction)) {
                peers.check(peer, scenario.direction, &scenario.json, &scenario.wire).unwrap();
            }
        }
    }

    #[test]
    fn another_message_is_noticed() {
        let peers = Peers::new().unwrap();
        let scenario = &scenario::all()[0];
        // The last field, `urgent`, is missing from the bytes.
        let (wire, last) = scenario.wire.split_at(scenario.wire.len() - 2);
        assert_eq!(last, [0x68, 1]);
        assert!(peers.check(Peer::Tandem, Direction::In, &scenario.json, wire).is_err());
    }
}
