//! Rules of a team's configuration in the place of annotations (protocols P-14).
//!
//! They become rules of the contract itself, so that everybody who asks it (directory, binding,
//! digest of a service) is told the same.
//!
//! Not here: how they are written (`tandem-config`).

use super::{RuleFault, RuleText};
use crate::types::{Contract, MethodId};

/// What is wrong with a rule that was to replace an annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredFault {
    pub method: MethodId,
    /// Index of the rule in the list of its method.
    pub rule: usize,
    pub fault: RuleFault,
}

impl Contract {
    /// The contract with `rules` instead of the annotations of their methods; of two lists for one
    /// method the last one counts. An empty list leaves a method without REST.
    ///
    /// Rules that cannot be served are left out and given back, each with all its faults. Faults
    /// of annotations that were replaced are forgotten. The digest of the set stays, that of a
    /// service sees the new rules.
    ///
    /// # Panics
    /// When a `MethodId` comes from another contract and is out of range here.
    pub fn with_rules(
        &self,
        rules: impl IntoIterator<Item = (MethodId, Vec<RuleText>)>,
    ) -> (Contract, Vec<ConfiguredFault>) {
        let mut contract = self.clone();
        let mut faults: Vec<ConfiguredFault> = Vec::new();
        for (id, texts) in rules {
            let method = &mut contract.methods[id.0 as usize];
            method.rules.clear();
            faults.retain(|fault| fault.method != id);
            for (rule, text) in texts.iter().enumerate() {
                match text.compile(&contract.messages, method.input, method.output) {
                    Ok(compiled) => method.rules.push(compiled),
                    Err(more) => faults.extend(more.into_iter().map(|fault| ConfiguredFault {
                        method: id,
                        rule,
                        fault,
                    })),
                }
            }
            // A method that is here has faults of its rules only.
            let name = method.full_name();
            contract.faults.retain(|fault| fault.symbol != name);
        }
        (contract, faults)
    }
}
