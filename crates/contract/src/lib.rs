//! What a service promises: its descriptors and its HTTP rules.
//!
//! A [`Contract`] is read once, from a descriptor set or from the answers of server reflection,
//! and never changes. Its types are flat and our own, so that the library that reads descriptors
//! stays behind one module (`source`). A [`directory::Directory`] joins the contracts of all
//! namespaces into the one table that detection reads.
//!
//! This crate knows no socket, no file and no clock: it is given bytes.
//!
//! Not here: messages (`tandem-transcode`), calls (`tandem-protocol`).

pub mod compat;
pub mod directory;
mod digest;
pub mod fields;
pub mod http_rule;
pub mod rules;
pub mod source;
pub mod types;

pub use self::http_rule::{
    BodyBinding, ConfiguredFault, HttpMethod, HttpRule, RuleFault, RulePart, RuleText, Template,
    TemplateSegment, Variable,
};
pub use self::source::text::{ProtoText, TextFault};
pub use self::source::{ContractFault, ContractFaults, DESCRIPTOR_SET_BYTES_MOST};
pub use self::types::{
    Behavior, Cardinality, Contract, EnumId, Enumeration, Field, FieldPath, Idempotency, Kind,
    Message, MessageId, Method, MethodId, MethodKind, Presence, Reserved, Service, WellKnown,
};
