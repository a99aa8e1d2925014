//! What every reference service in Rust shares: start-up, health, reflection, administration,
//! figures of its runtime, errors, and the trailers that the gateway's mirror reads.
//!
//! Not here: anything that only one case needs.

pub mod errors;
pub mod figures;
pub mod settings;
pub mod start;
pub mod trailers;

/// Types made from the contracts; no comments of ours could say more than theirs.
#[allow(missing_docs, clippy::all)]
pub mod protos {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

pub use protos::tandem::cases::admin::v1 as admin;
pub use protos::tandem::runtime::v1 as runtime;

/// Descriptors of the administration service.
pub const ADMIN_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// SHA-256 over records sorted by name, each with its length before it.
pub fn digest(records: &[admin::DigestRecord]) -> Vec<u8> {
    use prost::Message as _;
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for record in records {
        hash.update(record.encode_length_delimited_to_vec());
    }
    hash.finalize().to_vec()
}
