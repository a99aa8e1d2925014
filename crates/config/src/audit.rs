//! Who did what, when and from where: a chain of entries for each namespace that cannot be edited
//! unseen (security AU-1, AU-2).
//!
//! Each entry holds the digest of the one before, so an entry that was edited, cut out or put
//! elsewhere breaks the chain. Where the chain ends stands beside it; a cut tail is found by that,
//! and where that was set back as well, by a head that was noted elsewhere.
//!
//! An entry is written in the transaction of the change that it tells of ([`crate::act`]); what
//! was refused for want of a right leaves an entry too.
//!
//! Not here: who may read it (`crate::access`).

mod entry;
#[cfg(test)]
mod tampering;
mod verify;

pub use self::entry::{AuditEntry, Outcome, Source, Timestamp};
pub use self::verify::{ChainFault, Head, Verified, chain, noted_head, verify};
pub(crate) use self::verify::{append, head};
