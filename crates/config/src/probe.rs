//! Principals and acts for the unit tests of this crate.

use std::collections::BTreeSet;

use crate::access::{Identity, Membership, Principal, Role, Who};
use crate::act::Act;
use crate::audit::{Source, Timestamp};
use crate::secret::SealingKeys;
use crate::store::NamespaceName;

/// Somebody who has `role` in `namespace`.
pub(crate) fn member(namespace: &str, role: Role) -> Principal {
    let who = Who::parse("user:ann").unwrap();
    let mut membership = Membership::new();
    membership.grant(&NamespaceName::new(namespace).unwrap(), &who, role);
    let identity = Identity { who, groups: BTreeSet::new(), platform_admin: false };
    membership.principal(&identity)
}

pub(crate) fn owner(namespace: &str) -> Principal {
    member(namespace, Role::Owner)
}

pub(crate) fn gateway() -> Principal {
    Principal::gateway()
}

pub(crate) fn act(principal: &Principal) -> Act<'_> {
    Act { principal, source: Source::Cli, when: Timestamp(1_700_000_000_000), why: "a test" }
}

/// One key, always the same.
pub(crate) fn sealing_keys() -> SealingKeys {
    SealingKeys::for_tests()
}
