//! Whether what is in a store holds together: everything that is wrong, in one run.
//!
//! Not here: bits that a disk flipped (every read finds those), mending anything.

use std::collections::BTreeMap;
use std::fmt;

use super::{Digest, Key, Kind, Scope, Store, StoreFault, View};
use crate::access::{Claims, issued, members};
use crate::audit::{ChainFault, verify};
use crate::history::{claims_in, draft_in, live_in, version_in};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub key: Key,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// Reads everything and holds it against itself: versions have their content, what is live is a
/// version, no claim is held twice, the audit chains hold, every value can be read.
/// It asks for no right: whoever offers it to others asks first.
///
/// # Errors
/// A store that cannot be read at all, or a value that does not have its SHA-256.
pub fn check(store: &dyn Store) -> Result<Vec<Finding>, StoreFault> {
    let view = store.read(&[], &super::dump::everything())?;
    let mut findings = Findings::default();
    let mut claims: BTreeMap<&Scope, Claims> = BTreeMap::new();
    for (key, entry) in &view.entries {
        match key.kind() {
            Kind::Content => {
                if Digest::of(&entry.value).to_string() != key.name() {
                    findings.add(key, "it is not what its name says");
                }
            }
            Kind::Version => {
                let version = findings.read(key, version_in(&view, key));
                for digest in version.iter().flat_map(|version| version.contents()) {
                    findings.need(&view, key, &Key::content(key.scope(), &digest));
                }
            }
            Kind::Live => {
                if let Some(number) = findings.read(key, live_in(&view, key.scope()).map(Some)) {
                    findings.need(&view, key, &Key::version(key.scope(), number));
                }
            }
            Kind::Claims => {
                if let Some(found) = findings.read(key, claims_in(&view, key)) {
                    claims.insert(key.scope(), found);
                }
                findings.need(&view, key, &Key::live(key.scope()));
            }
            Kind::Draft => {
                findings.read(key, draft_in(&view, key.scope()));
            }
            Kind::Members => {
                findings.read(key, members::read(&view, key).map(Some));
            }
            Kind::AuditHead => match verify(store, key.scope(), None) {
                Ok(_) => {}
                Err(ChainFault::Store(fault)) => return Err(fault),
                Err(fault) => findings.add(key, fault.to_string()),
            },
            Kind::Audit => {
                let first = *key == Key::audit(key.scope(), 1);
                if first && view.value(&Key::audit_head(key.scope())).is_none() {
                    findings.add(key, "there is no head of the log");
                }
            }
            Kind::CallerKey | Kind::Token => {
                findings.read(key, issued::read(&view, key).map(Some));
            }
            Kind::ClaimsGuard | Kind::Secret => {}
        }
    }
    for (scope, own) in &claims {
        for (other, theirs) in &claims {
            if other < scope
                && let Some(conflict) = own.conflict(theirs)
            {
                let what = format!("{} is held by `{other}` as well", conflict.what);
                findings.add(&Key::claims(scope), what);
            }
        }
    }
    Ok(findings.0)
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, key: &Key, what: impl Into<String>) {
        self.0.push(Finding { key: key.clone(), what: what.into() });
    }

    fn read<T>(&mut self, key: &Key, read: Result<Option<T>, StoreFault>) -> Option<T> {
        read.unwrap_or_else(|fault| {
            self.add(key, fault.to_string());
            None
        })
    }

    fn need(&mut self, view: &View, key: &Key, needed: &Key) {
        if view.value(needed).is_none() {
            self.add(key, format!("it needs `{needed}`, which is missing"));
        }
    }
}
