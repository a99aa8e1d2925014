//! Whether a contract that was read anew takes the place of the one that serves.
//!
//! Decisions only: they are given both contracts and say what to do. A contract that could not be
//! read or fetched is no argument here; the one that serves goes on (protocols X-6).
//!
//! Not here: asking again, swapping, keeping the last good one on disk (`tandem-gateway`).

use super::{Change, changes};
use crate::types::Contract;

/// `contract.follow` (protocols X-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Follow {
    /// Only the contract with the recorded digest serves.
    Pinned,
    /// A compatible change takes over by itself.
    #[default]
    Compatible,
    /// A person records the digest of each contract that is to serve; the others wait.
    Manual,
}

/// What to do with a contract that was read anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is the one that serves.
    Stay,
    /// It takes over; the changes, if any, break nobody, or a person has recorded it.
    Swap(Vec<Change>),
    /// It waits until a person records it. Breaking changes are among these, or the policy asks.
    Wait(Vec<Change>),
    /// It never serves: another one is pinned.
    Refuse,
}

/// Decides about `new`, of which `recorded` is the set digest that a person has agreed to, if any;
/// `old` serves now, if any does.
///
/// With nothing serving, `Compatible` takes what it gets, and so do the others as long as nothing
/// is recorded: there is no caller yet who could break.
pub fn follow(
    policy: Follow,
    recorded: Option<&[u8; 32]>,
    old: Option<&Contract>,
    new: &Contract,
) -> Decision {
    let agreed = recorded == Some(new.digest());
    let Some(old) = old else {
        return match (policy, recorded) {
            (Follow::Compatible, _) | (_, None) => Decision::Swap(Vec::new()),
            (_, Some(_)) if agreed => Decision::Swap(Vec::new()),
            (Follow::Pinned, Some(_)) => Decision::Refuse,
            (Follow::Manual, Some(_)) => Decision::Wait(Vec::new()),
        };
    };
    if old.digest() == new.digest() {
        return Decision::Stay;
    }
    match policy {
        Follow::Pinned if agreed => Decision::Swap(changes(old, new)),
        Follow::Pinned => Decision::Refuse,
        Follow::Manual if agreed => Decision::Swap(changes(old, new)),
        Follow::Manual => Decision::Wait(changes(old, new)),
        Follow::Compatible => {
            let changes = changes(old, new);
            if agreed || !changes.iter().any(Change::breaks) {
                Decision::Swap(changes)
            } else {
                Decision::Wait(changes)
            }
        }
    }
}

/// The services of both contracts that do not mean the same to callers, by name (protocols X-7).
///
/// No common part is guessed: where two upstreams of a service are unlike, the one that the
/// configuration names serves and the other is marked.
pub fn unlike_services<'a>(one: &'a Contract, other: &Contract) -> Vec<&'a str> {
    one.services()
        .iter()
        .map(|service| &*service.full_name)
        .filter(|name| {
            let theirs = other.service_digest(name);
            theirs.is_some() && theirs != one.service_digest(name)
        })
        .collect()
}
