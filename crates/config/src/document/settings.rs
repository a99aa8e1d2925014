//! What a team writes about the settings of its services: `settings.SERVICE` (hybrid SE-1, SE-5).
//!
//! Not here: whether the contract allows the values (`crate::settings`), who is a member
//! (`crate::access`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::access::Who;

/// What stands under `settings.SERVICE`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SettingsRules {
    /// ProtoJSON of the service's settings message, fields by their names in the file. Never
    /// secrets (hybrid SE-8).
    pub values: Map<String, Value>,
    pub require: Require,
    /// By field of the message: who may change it without being a publisher (security RB-10).
    pub access: BTreeMap<String, Vec<Who>>,
}

/// Which instances must take new values for them to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Require {
    /// One that refuses them is shown, and goes on by those before.
    #[default]
    None,
    /// With one that refuses them the version is rolled back.
    All,
}

impl Require {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Require::None => "none",
            Require::All => "all",
        }
    }
}
