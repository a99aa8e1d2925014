//! JSON that we write is read as the same message, by us and by another library.
//!
//! The other library reads our text, not the bytes: what bytes it takes differs from us in ways
//! that are meant (`oracle.rs` names them).

use std::sync::{Arc, OnceLock};

use buffa_descriptor::DescriptorPool;
use buffa_descriptor::reflect::DynamicMessage;

use super::shared::{descriptor_set, plans};

/// Fails when a message that was written is another one after it was read.
pub(crate) fn check(data: &[u8]) {
    use tandem_transcode::{JsonOptions, Limits, json_from_wire, wire_from_json};
    static POOL: OnceLock<Arc<DescriptorPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        Arc::new(DescriptorPool::decode(descriptor_set()).expect("a descriptor set"))
    });
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let id = plans().contract().message_named("t.M").expect("it is there");
    let written = |wire: &[u8]| json_from_wire(plans(), id, wire, &options, &limits);
    let Ok(json) = written(data) else { return };
    let text = std::str::from_utf8(&json).expect("JSON is text");

    // Callers may not nest as deep, nor send as many values, nor name types that are not known.
    if let Ok(again) = wire_from_json(plans(), id, &json, &options, &limits) {
        assert_eq!(written(&again).expect("it was taken"), json, "{text}");
    }

    // A type that is not known, an Any of Empty, a mask of odd letters and more than 128 levels
    // are the oracle's own to refuse.
    let index = pool.message_index("t.M").expect("it is there");
    match DynamicMessage::from_json(Arc::clone(pool), index, text) {
        Ok(theirs) => {
            let again = written(&theirs.encode_to_vec()).expect("the oracle wrote it");
            let (ours, theirs) = (sorted(&json), sorted(&again));
            assert_eq!(ours, theirs, "{text}");
        }
        Err(why) => {
            let odd = text.contains("@type") || text.contains("\"fm\":");
            assert!(odd || text.matches('{').count() > 100, "{why}: {text}");
        }
    }
}

/// Bytes of a text without their order: the oracle has its own for fields and for keys.
fn sorted(json: &[u8]) -> Vec<u8> {
    let mut bytes = json.to_vec();
    bytes.sort_unstable();
    bytes
}
