//! What is to be pushed to the services of a namespace.
//!
//! Not here: pushing it, and the version that it is pushed as (`tandem-gateway`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Map;
use tandem_contract::Contract;
use tandem_transcode::Plans;

use super::{RuleNotHeld, SettingsMessage, Values};
use crate::document::{Namespace, Require, SettingsRules};
use crate::problem::{Problem, Tnd};

/// All settings of one service, as they are pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Full name of the settings message.
    pub message: String,
    /// The message.
    pub wire: Vec<u8>,
    /// The same as ProtoJSON, fields without presence written out, by the names of the file.
    pub json: String,
    pub require: Require,
}

/// The settings of every service that declares some and that the document names, under `methods`
/// or under `settings`; those of the contract's defaults where it says nothing of their values.
///
/// Each service is judged alone: a contract may come by reflection and change under values that
/// were good, and that concerns no other service. For one with problems the gateway goes on with
/// what it pushed before, and pushes nothing where it never pushed: the service then starts by
/// itself, as it does without a gateway (hybrid SE-4).
///
/// Two namespaces may serve one service, each for its hosts; at most one of them writes settings
/// for it (`check`, [`crate::access::Claims`]). Where several publish, that one counts.
pub fn published(
    namespace: &Namespace,
    contract: &Arc<Contract>,
) -> BTreeMap<String, Result<ServiceSettings, Vec<Problem>>> {
    let declared = declared(namespace, contract);
    if declared.is_empty() {
        return BTreeMap::new();
    }
    let plans = Arc::new(Plans::new(Arc::clone(contract)));
    let nothing = SettingsRules::default();
    let one = |service: &str| {
        let SettingsRules { values, require, access: _ } = // rights, which no service is told
            namespace.settings.get(service).unwrap_or(&nothing);
        let id = contract.settings_of(service);
        let id = id.unwrap_or_else(|| unreachable!("a service that declares settings"));
        let message = SettingsMessage::of_plans(Arc::clone(&plans), id)
            .map_err(|faults| faults.iter().map(RuleNotHeld::problem).collect::<Vec<_>>())?;
        let held = message.hold(values);
        let Values { json, wire } = held.map_err(|violations| {
            violations.iter().map(|violation| violation.problem()).collect::<Vec<_>>()
        })?;
        let message = contract.message(id).full_name.to_string();
        Ok(ServiceSettings { message, wire, json, require: *require })
    };
    declared.into_iter().map(|service| (service.to_owned(), one(service))).collect()
}

/// The services of `namespace` that declare settings.
pub(crate) fn declared<'a>(namespace: &Namespace, contract: &'a Contract) -> BTreeSet<&'a str> {
    let served = namespace.services();
    let named =
        |service: &str| served.contains(service) || namespace.settings.contains_key(service);
    contract.settings().map(|(service, _)| service).filter(|service| named(service)).collect()
}

/// Whether the defaults of the contract are values that it allows.
pub(crate) fn defaults(message: &SettingsMessage) -> Result<(), Vec<super::Violation>> {
    message.hold(&Map::new()).map(drop)
}

impl RuleNotHeld {
    /// As people see faults.
    pub fn problem(&self) -> Problem {
        Problem::error(Tnd::ContractUnusable, self.to_string())
            .here("values of these settings cannot be held against it")
            .why("a rule that nobody holds would promise what does not happen")
            .fix("write the rule with what is known here, or without it and check in the service")
    }
}
