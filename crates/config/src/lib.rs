//! What teams and the platform write: read, checked, explained.
//!
//! [`load()`] reads `tandem.yaml` and the files of the teams beside it and gives them back whole
//! or names every fault at its place; [`check()`] holds them against the contracts and against
//! what the platform lets each team claim. A fault is a [`Problem`] with a code that has a page
//! of the manual.
//!
//! What was checked becomes a version ([`history`]) in a [`store`], if whoever publishes it may
//! ([`access`]); each act leaves an entry in a chain ([`audit`]). [`secret`] seals what no document
//! may hold. Calls of these rooms block. [`settings`] holds values of a service's own settings
//! against the rules of its contract.
//!
//! Not here: carrying calls by what is written (`tandem-gateway`).

pub mod access;
mod act;
pub mod audit;
pub mod check;
mod compile;
pub mod document;
pub mod edit;
mod files;
pub mod history;
pub mod load;
#[cfg(test)]
mod probe;
pub mod problem;
mod read;
pub mod schema;
pub mod secret;
pub mod settings;
pub mod shown;
mod source;
pub mod store;
mod suggest;
mod yaml;

pub use self::act::{Act, ActFault, WHY_BYTES_MOST, note_refusal};
pub use self::check::{check, contract_of};
pub use self::compile::{Compile, CompileFault};
pub use self::document::{Namespace, Platform};
pub use self::load::{Loaded, load};
pub use self::problem::{Paint, Problem, Severity, Tnd, help_page, render};
pub use self::shown::shown;
pub use self::suggest::nearest;
