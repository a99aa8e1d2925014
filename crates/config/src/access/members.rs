//! Members whom the owners of a namespace added; those of the platform's document stand beside
//! them.
//!
//! Not here: what a role may do (`action`).

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::{Action, Membership, ObjectId, ObjectKind, Principal, Role, Who, authorise};
use crate::act::{Act, ActFault, Objection, Worked, carry_out};
use crate::store::{
    Change, Damage, Digest, Key, Kind, NamespaceName, Range, Scope, Store, StoreFault, View,
};

/// Members of one namespace.
pub const MEMBERS_MOST: usize = 1_000;

/// Why a member was not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberFault {
    #[error("a namespace has at most {MEMBERS_MOST} members")]
    TooMany,
}

/// The members of `namespace` that stand in the store.
///
/// # Errors
/// A principal without the right, a store that cannot be read.
pub fn list(
    store: &dyn Store,
    principal: &Principal,
    namespace: &NamespaceName,
) -> Result<BTreeMap<Who, Role>, ActFault<Infallible>> {
    let scope = Scope::Namespace(namespace.clone());
    let object = ObjectId::only(ObjectKind::Members, &scope);
    authorise(principal, Action::ReadMembers, &object).map_err(ActFault::Refused)?;
    let key = Key::members(&scope);
    let view = store.read(std::slice::from_ref(&key), &[])?;
    Ok(read(&view, &key)?)
}

/// Gives `who` the role `role`, in the place of another that he had here.
///
/// # Errors
/// A principal without the right, too many members, a store that cannot be written.
pub fn set(
    store: &dyn Store,
    act: Act<'_>,
    namespace: &NamespaceName,
    who: &Who,
    role: Role,
) -> Result<(), ActFault<MemberFault>> {
    change(store, act, namespace, |members| {
        members.insert(who.clone(), role);
        if members.len() > MEMBERS_MOST { Err(MemberFault::TooMany) } else { Ok(()) }
    })
}

/// Takes away the role that `who` has here; nothing where he has none.
///
/// # Errors
/// A principal without the right, a store that cannot be written.
pub fn remove(
    store: &dyn Store,
    act: Act<'_>,
    namespace: &NamespaceName,
    who: &Who,
) -> Result<(), ActFault<MemberFault>> {
    change(store, act, namespace, |members| {
        members.remove(who);
        Ok(())
    })
}

/// Adds the members of every namespace that stand in the store.
///
/// # Errors
/// A store that cannot be read.
pub fn collect(store: &dyn Store, membership: &mut Membership) -> Result<(), StoreFault> {
    let view = store.read(&[], &[Range::of(Kind::Members)])?;
    for key in view.entries.keys() {
        let Scope::Namespace(namespace) = key.scope() else { continue };
        for (who, role) in read(&view, key)? {
            membership.grant(namespace, &who, role);
        }
    }
    Ok(())
}

fn change(
    store: &dyn Store,
    act: Act<'_>,
    namespace: &NamespaceName,
    mut edit: impl FnMut(&mut BTreeMap<Who, Role>) -> Result<(), MemberFault>,
) -> Result<(), ActFault<MemberFault>> {
    let scope = Scope::Namespace(namespace.clone());
    let object = ObjectId::only(ObjectKind::Members, &scope);
    let key = Key::members(&scope);
    carry_out(store, act, Action::WriteMembers, &object, || {
        let view = store.read(std::slice::from_ref(&key), &[])?;
        let mut members = read(&view, &key)?;
        edit(&mut members).map_err(Objection::Plain)?;
        let bytes = serde_json::to_vec(&members).expect("texts are JSON");
        let mut change = Change::new();
        change.expect_as_in(&view, key.clone());
        let (before, after) = (view.value(&key).map(Digest::of), Some(Digest::of(&bytes)));
        change.put(key.clone(), bytes);
        Ok(Worked { change, before, after, value: () })
    })
}

pub(crate) fn read(view: &View, key: &Key) -> Result<BTreeMap<Who, Role>, StoreFault> {
    match view.value(key) {
        None => Ok(BTreeMap::new()),
        Some(bytes) => serde_json::from_slice(bytes)
            .map_err(|_| Damage::of(key, "is no list of members").into()),
    }
}
