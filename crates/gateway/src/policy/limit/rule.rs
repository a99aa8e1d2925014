//! One limit: whose calls it counts together, and counting them.
//!
//! Not here: memory (`table`), arithmetic (`gcra`), several limits of one call (`limit`).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use http::HeaderName;
use tandem_protocol::refusal::{Limit, Reason, Refusal, Violation};

use super::Caller;
use super::gcra::Gcra;
use super::table::{Slot, Table};

/// One limit.
pub(crate) struct Rule {
    pub(super) id: u64,
    pub(super) per: Whose,
    pub(super) rate: Option<Gcra>,
    pub(super) at_once: Option<u32>,
    pub(super) hasher: RandomState,
    /// Of the whole namespace; else of newcomers for whom the table has no room.
    pub(super) common: Slot,
    pub(super) table: Option<Arc<Table>>,
    /// In answers: `principal`, `principal-2`.
    pub(super) name: Box<str>,
    /// For the caller: `20 a second for each caller`.
    pub(super) text: Box<str>,
    pub(super) kinds: Kinds,
}

/// As which limits a rule is counted where it is met.
#[derive(Clone, Copy)]
pub(super) struct Kinds {
    pub(super) rate: Limit,
    pub(super) at_once: Limit,
}

pub(super) enum Whose {
    Principal,
    Source,
    Namespace,
    Header(HeaderName),
}

/// A call that a rule let in.
pub(super) struct Counted {
    /// In the table; `None`: in the common slot.
    place: Option<usize>,
    /// What is kept now, where there is a rate.
    pub(super) kept: u64,
}

/// Why a rule does not let a call in.
pub(crate) enum Refused {
    Rate { wait: Duration, kept: u64 },
    AtOnce,
}

impl Rule {
    /// Whom the call is counted with; `None`: with all.
    pub(super) fn name_of(&self, caller: Caller<'_>) -> Option<u64> {
        self.table.as_ref()?;
        let mut hasher = self.hasher.build_hasher();
        self.id.hash(&mut hasher);
        let source = |hasher: &mut std::hash::DefaultHasher| match caller.peer.to_canonical() {
            IpAddr::V4(address) => address.octets().hash(hasher),
            // Whoever has one address of a /64 has them all.
            IpAddr::V6(address) => address.octets()[..8].hash(hasher),
        };
        match &self.per {
            Whose::Principal => match caller.principal {
                Some(principal) => (true, principal).hash(&mut hasher),
                None => {
                    false.hash(&mut hasher);
                    source(&mut hasher);
                }
            },
            Whose::Source => source(&mut hasher),
            Whose::Header(name) => {
                for value in caller.headers.get_all(name) {
                    value.as_bytes().hash(&mut hasher);
                }
            }
            Whose::Namespace => return None,
        }
        Some(Table::name(hasher.finish()))
    }

    /// Counts a call, or says why not.
    pub(super) fn pass(&self, name: Option<u64>, now: u64) -> Result<Counted, Refused> {
        loop {
            let found = name.zip(self.table.as_deref()).and_then(|(name, table)| {
                let place = table.place(name, now)?;
                Some((name, place, table.at(place)))
            });
            let Some((name, place, slot)) = found else {
                let kept = self.count(&self.common, now)?;
                return Ok(Counted { place: None, kept });
            };
            let counted = self.count(slot, now);
            if slot.belongs_to(name) {
                return counted.map(|kept| Counted { place: Some(place), kept });
            }
            // Somebody took the slot meanwhile: what was counted is not his.
            if counted.is_ok() {
                if self.at_once.is_some() {
                    slot.open.fetch_sub(1, SeqCst);
                }
                if let Some(rate) = self.rate {
                    slot.kept.fetch_sub(rate.interval, SeqCst);
                }
            }
        }
    }

    fn count(&self, slot: &Slot, now: u64) -> Result<u64, Refused> {
        if let Some(most) = self.at_once
            && slot.open.fetch_add(1, SeqCst) >= most
        {
            slot.open.fetch_sub(1, SeqCst);
            return Err(Refused::AtOnce);
        }
        let Some(rate) = self.rate else { return Ok(0) };
        let mut kept = slot.kept.load(SeqCst);
        loop {
            match rate.decide(kept, now) {
                Ok(next) => match slot.kept.compare_exchange_weak(kept, next, SeqCst, SeqCst) {
                    Ok(_) => return Ok(next),
                    Err(other) => kept = other,
                },
                Err(wait) => {
                    if self.at_once.is_some() {
                        slot.open.fetch_sub(1, SeqCst);
                    }
                    return Err(Refused::Rate { wait: Duration::from_nanos(wait), kept });
                }
            }
        }
    }

    fn slot(&self, place: Option<usize>) -> &Slot {
        place.zip(self.table.as_deref()).map_or(&self.common, |(place, table)| table.at(place))
    }

    /// A call that was counted is no longer open. Its slot is still its own: one with an open call
    /// is not given away.
    pub(super) fn ended(&self, counted: &Counted) {
        if self.at_once.is_some() {
            self.slot(counted.place).open.fetch_sub(1, SeqCst);
        }
    }

    /// A call that was counted is refused for another reason: what belongs to everybody is not used
    /// up by it.
    pub(super) fn not_carried(&self, counted: &Counted) {
        if let (Some(rate), Whose::Namespace) = (self.rate, &self.per) {
            self.slot(counted.place).kept.fetch_sub(rate.interval, SeqCst);
        }
    }

    /// Whether a call of this caller would be let in; for rules that count failures only.
    pub(crate) fn would_pass(&self, caller: Caller<'_>, now: u64) -> Result<(), Refused> {
        let (Some(rate), Some(name), Some(table)) =
            (self.rate, self.name_of(caller), self.table.as_deref())
        else {
            return Ok(());
        };
        let slot = self.slot(table.find(name));
        let kept = slot.kept.load(SeqCst);
        match rate.decide(kept, now) {
            Ok(_) => Ok(()),
            Err(wait) => Err(Refused::Rate { wait: Duration::from_nanos(wait), kept }),
        }
    }

    /// Counts, whether there is room or not.
    pub(crate) fn note(&self, caller: Caller<'_>, now: u64) {
        let _ = self.pass(self.name_of(caller), now);
    }

    pub(crate) fn refusal(&self, refused: &Refused) -> Refusal {
        let (limit, wait) = match refused {
            Refused::Rate { wait, kept: _ } => (self.kinds.rate, *wait),
            Refused::AtOnce => (self.kinds.at_once, Duration::from_secs(1)),
        };
        let (field, description) = (self.name.to_string(), self.text.to_string());
        Refusal {
            retry_after: Some(wait),
            violations: vec![Violation { field, description }],
            ..Refusal::new(Reason::Quota, "too many calls").over(limit)
        }
    }
}
