//! Who may do what in which namespace (security RB-1 to RB-10).
//!
//! [`authorise`] is the only place that decides. It is asked by everything that reads or changes
//! configuration in the store, so command line, admin API and page cannot differ. The answer is
//! no unless the table of [`Action`] says yes, and an action cannot be written down without a
//! line in that table.
//!
//! Not here: who somebody is (the admin listener), what the answer protects (`crate::history`,
//! `crate::audit`), what a namespace may claim from the platform (`crate::check`).

mod action;
pub mod claims;
pub mod issued;
pub mod members;
mod principal;

pub use self::action::{Action, Allowed, ObjectId, ObjectKind, Refused, authorise, visible};
pub use self::claims::{ClaimConflict, Claims};
pub use self::principal::{Identity, Membership, Principal, Role, Who};
