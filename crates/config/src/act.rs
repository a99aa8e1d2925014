//! One act: allowed, carried out and written down, in one transaction.
//!
//! Everything that changes configuration in the store goes this way ([`carry_out`]). The right is
//! asked first; then the change is worked out from what is stored, gets its audit entry, and is
//! committed if nothing that it rests on has moved. If something has, it is worked out again, so
//! whoever acts learns of a newer version from the work itself and not from a race.
//!
//! Not here: what the acts are (`crate::history`, `crate::access::members`, `crate::secret`).

use crate::access::{Action, ObjectId, Principal, Refused, authorise};
use crate::audit::{self, AuditEntry, Outcome, Source, Timestamp};
use crate::problem::Tnd;
use crate::store::{Change, Digest, Key, Store, StoreFault};

/// Bytes of a reason.
pub const WHY_BYTES_MOST: usize = 4_096;
/// Times that a change is worked out anew when others were faster.
const ATTEMPTS_MOST: usize = 64;

/// Who acts, from where, when and why.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    pub principal: &'a Principal,
    pub source: Source,
    pub when: Timestamp,
    /// At most [`WHY_BYTES_MOST`] are kept.
    pub why: &'a str,
}

impl Act<'_> {
    /// The reason, as much of it as is kept.
    pub(crate) fn why_kept(&self) -> &str {
        &self.why[..self.why.floor_char_boundary(WHY_BYTES_MOST)]
    }
}

/// Why an act did not happen; `F` is what the act itself may object to.
#[derive(Debug, thiserror::Error)]
pub enum ActFault<F> {
    #[error(transparent)]
    Refused(Refused),
    #[error(transparent)]
    Store(StoreFault),
    #[error(transparent)]
    Act(F),
}

impl<F> ActFault<F> {
    /// The code that people are shown; `of_act` knows those of the act itself.
    pub fn code(&self, of_act: impl FnOnce(&F) -> Tnd) -> Tnd {
        match self {
            ActFault::Refused(refused) => refused.code(),
            ActFault::Store(fault) => fault.code(),
            ActFault::Act(fault) => of_act(fault),
        }
    }
}

impl<F> From<StoreFault> for ActFault<F> {
    fn from(fault: StoreFault) -> ActFault<F> {
        ActFault::Store(fault)
    }
}

/// A change that was worked out, and what its entry says.
pub(crate) struct Worked<T> {
    pub(crate) change: Change,
    pub(crate) before: Option<Digest>,
    pub(crate) after: Option<Digest>,
    /// What the caller is given once it is safe.
    pub(crate) value: T,
}

/// Why a change was not worked out.
pub(crate) enum Objection<F> {
    /// Said to whoever acts.
    Plain(F),
    /// Said and written down: somebody reached for what is not his.
    WrittenDown(F, String),
    Store(StoreFault),
}

impl<F> From<StoreFault> for Objection<F> {
    fn from(fault: StoreFault) -> Objection<F> {
        Objection::Store(fault)
    }
}

/// Does `work` as `act`, if its principal may do `action` to `object`.
pub(crate) fn carry_out<T, F>(
    store: &dyn Store,
    act: Act<'_>,
    action: Action,
    object: &ObjectId,
    work: impl FnMut() -> Result<Worked<T>, Objection<F>>,
) -> Result<T, ActFault<F>> {
    carry_out_if(store, act, action, object, || Ok(authorise(act.principal, action, object)), work)
}

/// As [`carry_out`], where the right rests on more than the object.
pub(crate) fn carry_out_if<T, F>(
    store: &dyn Store,
    act: Act<'_>,
    action: Action,
    object: &ObjectId,
    mut allowed: impl FnMut() -> Result<Result<(), Refused>, StoreFault>,
    mut work: impl FnMut() -> Result<Worked<T>, Objection<F>>,
) -> Result<T, ActFault<F>> {
    let mut moved = None;
    for _ in 0..ATTEMPTS_MOST {
        let entry = entry(act, action, object);
        if let Err(refused) = allowed()? {
            write_down(store, AuditEntry { outcome: Outcome::Refused(refused.why()), ..entry })?;
            return Err(ActFault::Refused(refused));
        }
        let Worked { mut change, before, after, value } = match work() {
            Ok(worked) => worked,
            Err(Objection::Store(StoreFault::Moved(key))) => {
                moved = Some(key);
                continue;
            }
            Err(Objection::Store(fault)) => return Err(fault.into()),
            Err(Objection::Plain(fault)) => return Err(ActFault::Act(fault)),
            Err(Objection::WrittenDown(fault, why)) => {
                write_down(store, AuditEntry { outcome: Outcome::Refused(why), ..entry })?;
                return Err(ActFault::Act(fault));
            }
        };
        let end = end_of_log(store, &entry)?;
        audit::append(&mut change, AuditEntry { before, after, ..entry }, end);
        match store.commit(&change) {
            Ok(_) => return Ok(value),
            Err(StoreFault::Moved(key)) => moved = Some(key),
            Err(fault) => return Err(fault.into()),
        }
    }
    Err(StoreFault::Moved(moved.unwrap_or_else(|| Key::audit_head(&object.scope))).into())
}

/// Writes down that somebody wanted what is not his, where that was found before the act itself
/// was asked (security AU-1).
///
/// # Errors
/// A store that cannot be written.
pub fn note_refusal(store: &dyn Store, act: Act<'_>, refused: &Refused) -> Result<(), StoreFault> {
    let entry = entry(act, refused.action, &refused.object);
    write_down(store, AuditEntry { outcome: Outcome::Refused(refused.why()), ..entry })
}

/// An entry that tells of no change.
fn write_down(store: &dyn Store, entry: AuditEntry) -> Result<(), StoreFault> {
    let mut moved = Key::audit_head(&entry.scope);
    for _ in 0..ATTEMPTS_MOST {
        let mut change = Change::new();
        audit::append(&mut change, entry.clone(), end_of_log(store, &entry)?);
        match store.commit(&change) {
            Ok(_) => return Ok(()),
            Err(StoreFault::Moved(key)) => moved = key,
            Err(fault) => return Err(fault),
        }
    }
    Err(StoreFault::Moved(moved))
}

fn end_of_log(
    store: &dyn Store,
    entry: &AuditEntry,
) -> Result<(audit::Head, Option<crate::store::Revision>), StoreFault> {
    let view = store.read(&[Key::audit_head(&entry.scope)], &[])?;
    audit::head(&view, &entry.scope)
}

fn entry(act: Act<'_>, action: Action, object: &ObjectId) -> AuditEntry {
    AuditEntry {
        number: 0,
        scope: object.scope.clone(),
        when: act.when,
        who: act.principal.name().to_owned(),
        action: action.name().to_owned(),
        object: object.to_string(),
        why: act.why_kept().to_owned(),
        source: act.source,
        before: None,
        after: None,
        outcome: Outcome::Done,
        previous: Digest::from_bytes([0; 32]),
    }
}
