//! Settings of services as versions of their namespace's document: single values are changed in
//! its text, and the text is published (hybrid SE-1, experience UX-28).
//!
//! Not here: what values are allowed (`tandem_config::settings`), pushing them
//! (`tandem-gateway`).

use serde_json::{Map, Value};
use tandem_config::ActFault;
use tandem_config::edit::{EditFault, set_values, values_of};
use tandem_config::history::{HistoryFault, Version};

use super::*;

/// Values by the names of their fields, as a document has them.
pub(crate) type Written = Map<String, Value>;

/// A version in which the values of a service changed.
pub(crate) struct ValuesVersion {
    pub(crate) version: Version,
    pub(crate) values: Written,
    pub(crate) changed: Vec<String>,
}

/// Why the text with other values was not made.
#[derive(Debug)]
pub(crate) enum ValuesFault {
    /// The namespace has no version that could be changed.
    NoVersion,
    /// Somebody was faster: the live version now.
    Newer {
        read: u32,
        live: u32,
    },
    Edit(EditFault),
    Act(Fault),
}

impl Stored {
    /// The live document of a namespace with `changes` of the values of `service`; `None` takes a
    /// value out.
    pub(crate) fn with_values(
        &self,
        namespace: &NamespaceName,
        service: &str,
        changes: &BTreeMap<String, Option<Value>>,
        read: u32,
    ) -> Result<String, ValuesFault> {
        let live = self.live(namespace).ok_or(ValuesFault::NoVersion)?;
        if live.version.number != read {
            return Err(ValuesFault::Newer { read, live: live.version.number });
        }
        set_values(&live.text, service, changes).map_err(ValuesFault::Edit)
    }

    /// The changes by which the values of `service` become those of version `to`.
    pub(crate) fn values_back(
        &self,
        who: &Principal,
        namespace: &NamespaceName,
        service: &str,
        to: u32,
    ) -> Result<BTreeMap<String, Option<Value>>, ValuesFault> {
        let live = self.live(namespace).ok_or(ValuesFault::NoVersion)?;
        let scope = Scope::Namespace(namespace.clone());
        let old = History::new(self.store()).version(who, &scope, to);
        let old = old.map_err(|fault| ValuesFault::Act(fault.into()))?;
        let now = written(&live.text, service)?;
        let then = written(&old.text, service)?;
        let gone = now.keys().filter(|field| !then.contains_key(*field));
        let mut changes: BTreeMap<String, Option<Value>> =
            gone.map(|field| (field.clone(), None)).collect();
        for (field, value) in then {
            if now.get(&field) != Some(&value) {
                changes.insert(field, Some(value));
            }
        }
        Ok(changes)
    }

    /// The versions in which the values of `service` changed, the newest first.
    pub(crate) fn values_versions(
        &self,
        who: &Principal,
        namespace: &NamespaceName,
        service: &str,
    ) -> Result<Vec<ValuesVersion>, ValuesFault> {
        let scope = Scope::Namespace(namespace.clone());
        let history = History::new(self.store());
        let versions = history.versions(who, &scope);
        let versions = versions.map_err(|fault| ValuesFault::Act(never(fault).into()))?;
        let mut all: Vec<ValuesVersion> = Vec::new();
        let mut before = Written::new();
        // From the oldest, since each is shown by what it changed.
        for version in versions.into_iter().rev() {
            let content = match history.version(who, &scope, version.number) {
                Ok(content) => content,
                // Pruned while this was read.
                Err(ActFault::Act(HistoryFault::NoVersion(_))) => continue,
                Err(fault) => return Err(ValuesFault::Act(fault.into())),
            };
            let values = written(&content.text, service)?;
            let mut changed: Vec<String> = before
                .iter()
                .filter(|(field, _)| !values.contains_key(*field))
                .chain(values.iter().filter(|(field, value)| before.get(*field) != Some(value)))
                .map(|(field, _)| field.clone())
                .collect();
            changed.sort();
            if !changed.is_empty() || all.is_empty() {
                all.push(ValuesVersion { version, values: values.clone(), changed });
            }
            before = values;
        }
        all.reverse();
        Ok(all)
    }
}

/// What a document writes; nothing where it writes nothing.
fn written(text: &str, service: &str) -> Result<Written, ValuesFault> {
    values_of(text, service).map_err(ValuesFault::Edit)
}

/// A fault of an act that has none of its own.
pub(super) fn never(fault: ActFault<std::convert::Infallible>) -> ActFault<HistoryFault> {
    match fault {
        ActFault::Refused(refused) => ActFault::Refused(refused),
        ActFault::Store(fault) => ActFault::Store(fault),
        ActFault::Act(never) => match never {},
    }
}
