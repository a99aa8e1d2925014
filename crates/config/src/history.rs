//! Versions of what a team, or the platform, configures: drafted, checked, published, compared,
//! rolled back (security CF-1, experience UX-13).
//!
//! A version is a text that was checked ([`Checked`]), with who published it, when and why. It
//! never changes; a rollback publishes an old text as a new version. Texts lie under their
//! SHA-256, so a rollback costs nothing. What a namespace claims becomes its own in the same
//! transaction, and the audit entry is written there too.
//!
//! [`History::publish`] refuses when another version was published since the one that the author
//! read (`If-Match`), and when a claim belongs to somebody else. [`History::claim`] is for what a
//! service tells beside a version that is live.
//!
//! Not here: what a document may say (`crate::check`), who may do what (`crate::access`), what is
//! served (`tandem-gateway`); the copy on the local disk is `last_good`.

mod checked;
mod diff;
mod last_good;
#[cfg(test)]
mod races;
mod record;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

pub use self::checked::{Checked, PlatformBasis};
pub use self::diff::{DiffLine, NoDocument, diff};
pub use self::last_good::{LastGood, LastGoodFault, SNAPSHOTS_KEPT, Snapshot, SnapshotDocument};
pub use self::record::{Draft, Origin, Version};
pub(crate) use self::record::{claims_in, draft_in, live_in, version_in};
use crate::access::{
    Action, ClaimConflict, Claims, ObjectId, ObjectKind, Principal, Refused, authorise,
};
use crate::act::{Act, ActFault, Objection, Worked, carry_out, carry_out_if};
use crate::problem::Tnd;
use crate::store::{
    Change, Damage, Digest, Key, Kind, Range, Revision, Scope, Store, StoreFault, View,
};

/// Versions of a namespace that are kept (security LI-24); the live one always is.
pub const VERSIONS_MOST: usize = 200;

/// Bytes of a draft: as many as a document may have (security LI-31).
pub const DRAFT_BYTES_MOST: usize = crate::yaml::INPUT_BYTES_MAX;

/// Why a version was not published or not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFault {
    /// 412.
    #[error("version {live} was published meanwhile; the change was made from {read}")]
    Newer { read: u32, live: u32 },
    #[error("{0}")]
    Claimed(ClaimConflict),
    #[error("there is no version {0}")]
    NoVersion(u32),
    #[error("there is no draft")]
    NoDraft,
    #[error("somebody else saved the draft meanwhile")]
    DraftMoved,
    #[error("a draft has at most {DRAFT_BYTES_MOST} bytes")]
    DraftTooLarge,
    /// What the check rested on is not so any more; check again.
    #[error("the platform's document was changed since the check")]
    PlatformMoved,
    #[error("what was checked is not the text of version {0}")]
    OtherText(u32),
}

impl HistoryFault {
    /// The code that people are shown.
    pub fn code(&self) -> Tnd {
        match self {
            HistoryFault::Newer { .. } | HistoryFault::DraftMoved | HistoryFault::PlatformMoved => {
                Tnd::NewerVersion
            }
            HistoryFault::Claimed(_) => Tnd::ClaimedByAnother,
            HistoryFault::DraftTooLarge => Tnd::OverLimit,
            HistoryFault::NoVersion(_) | HistoryFault::NoDraft | HistoryFault::OtherText(_) => {
                Tnd::NoVersion
            }
        }
    }
}

/// A version with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub version: Version,
    /// As its author wrote it.
    pub text: Arc<str>,
    /// The descriptor set that it was published with, where it names files.
    pub contract: Option<Arc<[u8]>>,
}

/// The versions in a store.
#[derive(Clone, Copy)]
pub struct History<'a> {
    store: &'a dyn Store,
}

impl<'a> History<'a> {
    /// The versions in `store`.
    pub fn new(store: &'a dyn Store) -> History<'a> {
        History { store }
    }

    /// The versions of `scope` that are kept, the newest first.
    ///
    /// # Errors
    /// A principal without the right, a store that cannot be read.
    pub fn versions(
        &self,
        principal: &Principal,
        scope: &Scope,
    ) -> Result<Vec<Version>, ActFault<Infallible>> {
        may_read(principal, scope).map_err(ActFault::Refused)?;
        let view = self.store.read(&[], &[Range::of(Kind::Version).within(scope)])?;
        let versions: Result<Vec<_>, _> =
            view.entries.keys().rev().map(|key| version_in(&view, key)).collect();
        Ok(versions?.into_iter().flatten().collect())
    }

    /// The live version of `scope`; `None` before the first.
    ///
    /// # Errors
    /// A principal without the right, a store that cannot be read or lacks what is live.
    pub fn live(
        &self,
        principal: &Principal,
        scope: &Scope,
    ) -> Result<Option<Content>, ActFault<Infallible>> {
        may_read(principal, scope).map_err(ActFault::Refused)?;
        let view = self.store.read(&[Key::live(scope)], &[])?;
        match live_in(&view, scope)? {
            0 => Ok(None),
            number => {
                let found = self.content(scope, number)?;
                let lost = || Damage::of(&Key::live(scope), "names a version that is not there");
                Ok(Some(found.ok_or_else(|| StoreFault::from(lost()))?))
            }
        }
    }

    /// Version `number` of `scope`.
    ///
    /// # Errors
    /// A principal without the right, no such version, a store that cannot be read.
    pub fn version(
        &self,
        principal: &Principal,
        scope: &Scope,
        number: u32,
    ) -> Result<Content, ActFault<HistoryFault>> {
        may_read(principal, scope).map_err(ActFault::Refused)?;
        self.content(scope, number)?.ok_or(ActFault::Act(HistoryFault::NoVersion(number)))
    }

    /// The draft of `scope`.
    ///
    /// # Errors
    /// A principal without the right, a store that cannot be read.
    pub fn draft(
        &self,
        principal: &Principal,
        scope: &Scope,
    ) -> Result<Option<Draft>, ActFault<Infallible>> {
        let object = ObjectId::only(ObjectKind::Draft, scope);
        authorise(principal, Action::ReadDraft, &object).map_err(ActFault::Refused)?;
        let view = self.store.read(&[Key::draft(scope)], &[])?;
        Ok(draft_in(&view, scope)?)
    }

    /// Saves a draft in the place of the one that the author read (`None`: there was none). It
    /// need not pass any check.
    ///
    /// # Errors
    /// A principal without the right, another draft meanwhile, a store that cannot be written.
    pub fn save_draft(
        &self,
        act: Act<'_>,
        scope: &Scope,
        read: Option<Revision>,
        text: &str,
    ) -> Result<Draft, ActFault<HistoryFault>> {
        let object = ObjectId::only(ObjectKind::Draft, scope);
        let key = Key::draft(scope);
        let draft = carry_out(self.store, act, Action::WriteDraft, &object, || {
            if text.len() > DRAFT_BYTES_MOST {
                return Err(Objection::Plain(HistoryFault::DraftTooLarge));
            }
            let view = self.store.read(&[key.clone(), Key::live(scope)], &[])?;
            if view.revision_of(&key) != read {
                return Err(Objection::Plain(HistoryFault::DraftMoved));
            }
            let draft = Draft {
                text: text.into(),
                base: live_in(&view, scope)?,
                who: act.principal.name().to_owned(),
                when: act.when,
                revision: Revision(0),
            };
            let mut change = Change::new();
            change.expect(key.clone(), read);
            change.put(key.clone(), draft.to_bytes());
            let before = draft_in(&view, scope)?.map(|draft| Digest::of(draft.text.as_bytes()));
            let after = Some(Digest::of(text.as_bytes()));
            Ok(Worked { change, before, after, value: draft })
        })?;
        let view = self.store.read(std::slice::from_ref(&key), &[])?;
        Ok(Draft { revision: view.revision_of(&key).unwrap_or_default(), ..draft })
    }

    /// Takes the draft away that the author read.
    ///
    /// # Errors
    /// A principal without the right, no draft or another one meanwhile, a store that cannot be
    /// written.
    pub fn discard_draft(
        &self,
        act: Act<'_>,
        scope: &Scope,
        read: Revision,
    ) -> Result<(), ActFault<HistoryFault>> {
        let object = ObjectId::only(ObjectKind::Draft, scope);
        let key = Key::draft(scope);
        carry_out(self.store, act, Action::WriteDraft, &object, || {
            let view = self.store.read(std::slice::from_ref(&key), &[])?;
            match view.revision_of(&key) {
                None => return Err(Objection::Plain(HistoryFault::NoDraft)),
                Some(found) if found != read => {
                    return Err(Objection::Plain(HistoryFault::DraftMoved));
                }
                Some(_) => {}
            }
            let before = draft_in(&view, scope)?.map(|draft| Digest::of(draft.text.as_bytes()));
            let mut change = Change::new();
            change.expect(key.clone(), Some(read));
            change.delete(key.clone());
            Ok(Worked { change, before, after: None, value: () })
        })
    }

    /// Makes what was checked the live version, if `read` still is (0: there was none). A draft of
    /// the same text is done with.
    ///
    /// # Errors
    /// A principal without the right, a newer version, a claim of somebody else's, a store that
    /// cannot be written.
    pub fn publish(
        &self,
        act: Act<'_>,
        checked: &Checked,
        read: u32,
    ) -> Result<Version, ActFault<HistoryFault>> {
        let scope = checked.scope();
        let (action, object) = match scope {
            Scope::Platform => (Action::WriteGrants, ObjectId::only(ObjectKind::Grants, scope)),
            Scope::Namespace(_) => (Action::Publish, ObjectId::only(ObjectKind::Document, scope)),
        };
        let allowed = || match authorise(act.principal, action, &object) {
            Ok(()) => Ok(Ok(())),
            Err(refused) => self.may_publish_fields(act.principal, checked, refused),
        };
        carry_out_if(self.store, act, action, &object, allowed, || {
            self.next(act, checked, read, Origin::Published)
        })
    }

    /// Makes the text of version `to` the live version again, as a new one. It was checked again:
    /// contracts and grants may have changed since.
    ///
    /// # Errors
    /// As [`History::publish`]; or `checked` is not the text of `to`.
    pub fn roll_back(
        &self,
        act: Act<'_>,
        checked: &Checked,
        to: u32,
        read: u32,
    ) -> Result<Version, ActFault<HistoryFault>> {
        let scope = checked.scope();
        let (action, object) = match scope {
            Scope::Platform => (Action::RollBackGrants, ObjectId::only(ObjectKind::Grants, scope)),
            Scope::Namespace(_) => (Action::RollBack, ObjectId::only(ObjectKind::Document, scope)),
        };
        carry_out(self.store, act, action, &object, || {
            let key = Key::version(scope, to);
            let view = self.store.read(std::slice::from_ref(&key), &[])?;
            let version = version_in(&view, &key)?;
            let version = version.ok_or(Objection::Plain(HistoryFault::NoVersion(to)))?;
            if version.text != checked.text_digest() {
                return Err(Objection::Plain(HistoryFault::OtherText(to)));
            }
            self.next(act, checked, read, Origin::RolledBack { to })
        })
    }

    /// Makes what `checked` claims the namespace's own, beside what it holds: its service tells
    /// more than when version `live` was published, whose text `checked` is. Claims that it holds
    /// already cost one reading and leave no entry in the audit log.
    ///
    /// # Errors
    /// A principal without the right, a newer version, a claim of somebody else's (which is not
    /// written down: a service may tell it every second), a store that cannot be written.
    pub fn claim(
        &self,
        act: Act<'_>,
        checked: &Checked,
        live: u32,
    ) -> Result<(), ActFault<HistoryFault>> {
        let Some(claims) = checked.claims() else { return Ok(()) };
        let next = || self.next_claims(checked, claims, live);
        if let Ok(Worked { value: Gain::Nothing, .. }) = next() {
            return Ok(());
        }
        let object = ObjectId::only(ObjectKind::Document, checked.scope());
        carry_out(self.store, act, Action::Claim, &object, next).map(|_| ())
    }

    /// The change by which the namespace holds `claims` as well.
    fn next_claims(
        &self,
        checked: &Checked,
        claims: &Claims,
        read: u32,
    ) -> Result<Worked<Gain>, Objection<HistoryFault>> {
        let scope = checked.scope();
        let own = Key::claims(scope);
        let keys = [Key::live(scope), Key::claims_guard(), Key::live(&Scope::Platform)];
        let view = self.store.read(&keys, &[Range::of(Kind::Claims)])?;
        let mut change = Change::new();
        rests_on(&mut change, &view, checked, read)?;
        let held = claims_in(&view, &own)?.unwrap_or_default();
        let joined = held.clone().joined(claims);
        let value = if joined == held { Gain::Nothing } else { Gain::Something };
        take_claims(&mut change, &view, scope, &joined).map_err(|objection| match objection {
            Objection::WrittenDown(fault, _) => Objection::Plain(fault),
            other => other,
        })?;
        let before = view.value(&own).map(Digest::of);
        Ok(Worked { change, before, after: Some(Digest::of(&to_bytes(&joined))), value })
    }

    /// Whether every field that the change touches was opened to the principal (security RB-10).
    fn may_publish_fields(
        &self,
        principal: &Principal,
        checked: &Checked,
        refused: Refused,
    ) -> Result<Result<(), Refused>, StoreFault> {
        let scope = checked.scope();
        let view = self.store.read(&[Key::live(scope)], &[])?;
        let live = match live_in(&view, scope)? {
            0 => None,
            number => self.content(scope, number)?,
        };
        let Some(live) = live else { return Ok(Err(refused)) };
        let Some(fields) = diff::settings_fields(scope, &live.text, checked.text()) else {
            return Ok(Err(refused));
        };
        let all = !fields.is_empty()
            && fields.iter().all(|field| authorise(principal, Action::PublishField, field).is_ok());
        Ok(if all { Ok(()) } else { Err(refused) })
    }

    /// The change that makes `checked` the next version.
    fn next(
        &self,
        act: Act<'_>,
        checked: &Checked,
        read: u32,
        origin: Origin,
    ) -> Result<Worked<Version>, Objection<HistoryFault>> {
        let scope = checked.scope();
        let keys =
            [Key::live(scope), Key::draft(scope), Key::claims_guard(), Key::live(&Scope::Platform)];
        let ranges = [Range::of(Kind::Claims), Range::of(Kind::Version).within(scope)];
        let view = self.store.read(&keys, &ranges)?;
        let live = live_in(&view, scope)?;
        let mut change = Change::new();
        rests_on(&mut change, &view, checked, read)?;
        if let Some(claims) = checked.claims() {
            take_claims(&mut change, &view, scope, claims)?;
        }
        let number = live.checked_add(1).ok_or(Damage::of(&Key::live(scope), "is at its end"));
        let number = number.map_err(StoreFault::from)?;
        let version = Version {
            number,
            who: act.principal.name().to_owned(),
            when: act.when,
            why: act.why_kept().to_owned(),
            origin,
            text: checked.text_digest(),
            contract: checked.contract().map(Digest::of),
        };
        change.expect(Key::version(scope, number), None);
        change.put(Key::version(scope, number), version.to_bytes());
        let text = checked.text().as_bytes();
        change.put(Key::content(scope, &version.text), text.to_vec());
        if let Some(set) = checked.contract() {
            change.put(Key::content(scope, &Digest::of(set)), set.to_vec());
        }
        change.put(Key::live(scope), number.to_string().into_bytes());
        let draft = draft_in(&view, scope)?;
        if draft.is_some_and(|draft| draft.text.as_bytes() == text) {
            change.expect_as_in(&view, Key::draft(scope));
            change.delete(Key::draft(scope));
        }
        prune(&mut change, &view, scope, &version)?;
        let before = match live {
            0 => None,
            live => version_in(&view, &Key::version(scope, live))?.map(|version| version.text),
        };
        Ok(Worked { change, before, after: Some(version.text), value: version })
    }

    fn content(&self, scope: &Scope, number: u32) -> Result<Option<Content>, StoreFault> {
        let key = Key::version(scope, number);
        let view = self.store.read(std::slice::from_ref(&key), &[])?;
        let Some(version) = version_in(&view, &key)? else { return Ok(None) };
        let text = Key::content(scope, &version.text);
        let set = version.contract.map(|digest| Key::content(scope, &digest));
        let keys: Vec<Key> = [key.clone(), text.clone()].into_iter().chain(set.clone()).collect();
        let view = self.store.read(&keys, &[])?;
        if view.value(&key).is_none() {
            // The oldest, which another change has just pruned.
            return Ok(None);
        }
        let read = String::from_utf8(content_in(&view, &text)?);
        let read = read.map_err(|_| Damage::of(&text, "is no text"))?;
        let contract = set.map(|key| content_in(&view, &key).map(Arc::from)).transpose()?;
        Ok(Some(Content { version, text: read.into(), contract }))
    }
}

/// Whether a service told more than its namespace claims.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gain {
    Nothing,
    Something,
}

/// What `checked` was made from is so in `view`, where version `read` is live, and must be so still
/// when `change` is made.
fn rests_on(
    change: &mut Change,
    view: &View,
    checked: &Checked,
    read: u32,
) -> Result<(), Objection<HistoryFault>> {
    let scope = checked.scope();
    let live = live_in(view, scope)?;
    if live != read {
        return Err(Objection::Plain(HistoryFault::Newer { read, live }));
    }
    if let Some(seen) = checked.platform_revision() {
        if view.revision_of(&Key::live(&Scope::Platform)) != seen {
            return Err(Objection::Plain(HistoryFault::PlatformMoved));
        }
        change.expect(Key::live(&Scope::Platform), seen);
    }
    change.expect_as_in(view, Key::live(scope));
    Ok(())
}

/// Makes `claims` those of `scope`, if no other namespace holds any of them.
fn take_claims(
    change: &mut Change,
    view: &View,
    scope: &Scope,
    claims: &Claims,
) -> Result<(), Objection<HistoryFault>> {
    let own = Key::claims(scope);
    for key in view.entries.keys().filter(|key| key.kind() == Kind::Claims) {
        let Some(theirs) = claims_in(view, key)? else { continue };
        if *key == own {
            if theirs == *claims {
                return Ok(());
            }
        } else if let Some(conflict) = claims.conflict(&theirs) {
            let why = conflict.to_string();
            return Err(Objection::WrittenDown(HistoryFault::Claimed(conflict), why));
        }
    }
    change.expect_as_in(view, Key::claims_guard());
    change.put(Key::claims_guard(), Vec::new());
    change.put(own, to_bytes(claims));
    Ok(())
}

fn to_bytes(claims: &Claims) -> Vec<u8> {
    serde_json::to_vec(claims).expect("texts are JSON")
}

/// Takes away the oldest versions above the number that is kept, and content that no other needs.
fn prune(
    change: &mut Change,
    view: &View,
    scope: &Scope,
    next: &Version,
) -> Result<(), StoreFault> {
    let keys: Vec<&Key> = view.entries.keys().filter(|key| key.kind() == Kind::Version).collect();
    let above = (keys.len() + 1).saturating_sub(VERSIONS_MOST);
    let content = |key: &Key| -> Result<Vec<Digest>, StoreFault> {
        let version = version_in(view, key)?;
        Ok(version.into_iter().flat_map(|version| version.contents()).collect())
    };
    let (old, kept) = keys.split_at(above.min(keys.len()));
    let mut needed: BTreeSet<Digest> = next.contents().into_iter().collect();
    for key in kept {
        needed.extend(content(key)?);
    }
    for key in old {
        change.delete((*key).clone());
        for digest in content(key)?.into_iter().filter(|digest| !needed.contains(digest)) {
            change.delete(Key::content(scope, &digest));
        }
    }
    Ok(())
}

/// Content that is what its name says.
fn content_in(view: &View, key: &Key) -> Result<Vec<u8>, StoreFault> {
    let bytes = view.value(key).ok_or_else(|| Damage::of(key, "is missing"))?;
    if Digest::of(bytes).to_string() != key.name() {
        return Err(Damage::of(key, "is not what its name says").into());
    }
    Ok(bytes.to_vec())
}

fn may_read(principal: &Principal, scope: &Scope) -> Result<(), Refused> {
    match scope {
        Scope::Platform => {
            let object = ObjectId::only(ObjectKind::Grants, scope);
            authorise(principal, Action::ReadGrants, &object)
        }
        Scope::Namespace(_) => {
            let object = ObjectId::only(ObjectKind::Document, scope);
            authorise(principal, Action::ReadDocument, &object)
        }
    }
}
