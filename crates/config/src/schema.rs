//! JSON Schemas of the two kinds of document, for editors.
//!
//! They are written by hand: the readers take a document key by key so that each fault has its
//! place, and no type of ours has a document's shape. A test holds them against the readers: every
//! key that is read is in them, and no other.
//!
//! Not here: judging a document (`read`, `check`), which says more than any schema can.

/// Of `tandem.yaml`.
pub const TANDEM: &str = include_str!("../schema/tandem.schema.json");
/// Of `teams/NAMESPACE.yaml`.
pub const NAMESPACE: &str = include_str!("../schema/namespace.schema.json");
