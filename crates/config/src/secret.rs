//! Secrets of teams: sealed in the store, opened for the gateway alone (security SE-1 to SE-3).
//!
//! A value is sealed with AES-256-GCM under a fresh nonce; the id of the key and the place in the
//! store are authenticated with it, so a sealed value opens under its own name only. The keys lie
//! in a file of their own that nobody else may read, and in no store. People see a name, when it
//! changed and a keyed fingerprint, by which two values can be told apart and not guessed.
//!
//! Not here: who resolves `store:NAME` in a document (`tandem-gateway`).

mod keys;
mod value;

use std::convert::Infallible;

pub use self::keys::{KeyFileFault, Random, SealFault, SealingKeys};
pub use self::value::Secret;
use crate::access::{Action, ObjectId, ObjectKind, Principal, authorise};
use crate::act::{Act, ActFault, Objection, Worked, carry_out};
use crate::store::{Change, Digest, Key, Kind, Range, Revision, Scope, Store, ThingName};

/// Bytes of one secret.
pub const SECRET_BYTES_MOST: usize = 64 * 1024;

/// Why a secret was not set or not opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretFault {
    #[error("a secret has at most {SECRET_BYTES_MOST} bytes")]
    TooLarge,
    #[error("there is no secret `{0}`")]
    Missing(String),
    #[error(transparent)]
    Seal(#[from] SealFault),
}

/// What people see of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretLine {
    pub name: String,
    /// When it changed last.
    pub revision: Revision,
    /// 16 hex digits; `None` where no key at hand opens it.
    pub fingerprint: Option<String>,
}

/// The secrets of `scope`, without their values.
///
/// # Errors
/// A principal without the right, a store that cannot be read.
pub fn list(
    store: &dyn Store,
    keys: &SealingKeys,
    principal: &Principal,
    scope: &Scope,
) -> Result<Vec<SecretLine>, ActFault<Infallible>> {
    let object = ObjectId::only(ObjectKind::Secret, scope);
    authorise(principal, Action::ListSecrets, &object).map_err(ActFault::Refused)?;
    let view = store.read(&[], &[Range::of(Kind::Secret).within(scope)])?;
    let line = |(key, entry): (&Key, &crate::store::Entry)| SecretLine {
        name: key.name().to_owned(),
        revision: entry.revision,
        fingerprint: keys.open(key, &entry.value).ok().map(|value| keys.fingerprint(key, &value)),
    };
    Ok(view.entries.iter().map(line).collect())
}

/// Seals `value` under `name`, in the place of what stood there.
///
/// # Errors
/// A principal without the right, a value that is too large, a store that cannot be written.
pub fn set(
    store: &dyn Store,
    keys: &SealingKeys,
    random: Random<'_>,
    act: Act<'_>,
    scope: &Scope,
    name: &ThingName,
    value: &Secret<Vec<u8>>,
) -> Result<(), ActFault<SecretFault>> {
    let object = ObjectId::named(ObjectKind::Secret, scope, name.as_str());
    let key = Key::secret(scope, name);
    carry_out(store, act, Action::WriteSecret, &object, || {
        if value.expose().len() > SECRET_BYTES_MOST {
            return Err(Objection::Plain(SecretFault::TooLarge));
        }
        let sealed = keys.seal(&key, value, random);
        let sealed = sealed.map_err(|fault| Objection::Plain(fault.into()))?;
        let view = store.read(std::slice::from_ref(&key), &[])?;
        let mut change = Change::new();
        change.expect_as_in(&view, key.clone());
        // Digests of what is sealed: one of the value itself could be guessed from the log.
        let (before, after) = (view.value(&key).map(Digest::of), Some(Digest::of(&sealed)));
        change.put(key.clone(), sealed);
        Ok(Worked { change, before, after, value: () })
    })
}

/// Takes a secret away.
///
/// # Errors
/// A principal without the right, no such secret, a store that cannot be written.
pub fn remove(
    store: &dyn Store,
    act: Act<'_>,
    scope: &Scope,
    name: &ThingName,
) -> Result<(), ActFault<SecretFault>> {
    let object = ObjectId::named(ObjectKind::Secret, scope, name.as_str());
    let key = Key::secret(scope, name);
    carry_out(store, act, Action::WriteSecret, &object, || {
        let view = store.read(std::slice::from_ref(&key), &[])?;
        let Some(sealed) = view.value(&key) else {
            let missing = SecretFault::Missing(name.as_str().to_owned());
            return Err(Objection::Plain(missing));
        };
        let before = Some(Digest::of(sealed));
        let mut change = Change::new();
        change.expect_as_in(&view, key.clone());
        change.delete(key.clone());
        Ok(Worked { change, before, after: None, value: () })
    })
}

/// The value itself, for the gateway that needs it to serve; for nobody else.
///
/// # Errors
/// Anybody else, no such secret, a key that is not at hand, a store that cannot be read.
pub fn open(
    store: &dyn Store,
    keys: &SealingKeys,
    principal: &Principal,
    scope: &Scope,
    name: &ThingName,
) -> Result<Secret<Vec<u8>>, ActFault<SecretFault>> {
    let object = ObjectId::named(ObjectKind::Secret, scope, name.as_str());
    authorise(principal, Action::UseSecret, &object).map_err(ActFault::Refused)?;
    let key = Key::secret(scope, name);
    let view = store.read(std::slice::from_ref(&key), &[])?;
    let missing = || ActFault::Act(SecretFault::Missing(name.as_str().to_owned()));
    let sealed = view.value(&key).ok_or_else(missing)?;
    keys.open(&key, sealed).map_err(|fault| ActFault::Act(fault.into()))
}
