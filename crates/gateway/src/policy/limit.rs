//! How often, and how many at once.
//!
//! A [`Rule`] is one entry of `limits` at the place where it was written: methods that take their
//! limits from one place are counted together, and a rule that stays over a reload keeps its
//! counts. Who is counted is named by a keyed hash, so nobody can choose with whom he shares a slot.
//!
//! A call that is refused later takes back what it used of limits that belong to everybody, so
//! that one caller's flood uses up nothing of the others (security T-6).
//!
//! Not here: when a limit is asked (`policy`), what the caller reads (`protocol::refusal`).

mod gcra;
mod rule;
mod table;

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tandem_config::document::{CallLimit, Per, PlacedLimits, Rate};
use tandem_protocol::refusal::{Limit, Refusal};
use tokio::time::Instant;

use self::gcra::Gcra;
pub(crate) use self::rule::Rule;
use self::rule::{Counted, Kinds, Refused, Whose};
use self::table::{Slot, Table};

/// What is counted of the process, over snapshots and data threads.
pub(crate) struct Registry {
    epoch: Instant,
    hasher: RandomState,
    // A lock that snapshots being built take, never a call.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    rules: BTreeMap<RuleKey, Weak<Rule>>,
    tables: BTreeMap<(String, Kind), Weak<Table>>,
}

/// Namespace, place, position, and all that is written: a rule that changes counts anew.
type RuleKey = (String, String, usize, String);

/// Keys of one kind share a table, so that names which are easy to make (headers) take no room
/// from those that are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Principal,
    Source,
    Header,
}

/// Who calls, as far as limits ask.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) peer: IpAddr,
    pub(crate) principal: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
}

/// All limits of a method.
#[derive(Default)]
pub(crate) struct MethodLimits {
    /// Asked before it is known who calls: by source, then of the namespace (security DP-6).
    before: Vec<Arc<Rule>>,
    /// Asked afterwards: by principal, by header (security DP-7).
    after: Vec<Arc<Rule>>,
    /// `ratelimit-policy`, where there is a rate.
    policy: Option<HeaderValue>,
}

/// What a call holds of its limits: what is open is given back when this is dropped.
#[derive(Default)]
pub(crate) struct Held {
    passed: Vec<Passed>,
}

/// The headers of an answer to a call that was counted by a rate (experience UX-36).
#[derive(Debug)]
pub(crate) struct ToldLimits {
    pub(crate) ratelimit: HeaderValue,
    pub(crate) policy: HeaderValue,
}

impl ToldLimits {
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static("ratelimit"), self.ratelimit.clone());
        headers.insert(HeaderName::from_static("ratelimit-policy"), self.policy.clone());
    }
}

/// The rules that a call has passed so far. Dropped, it is that of a call which is not carried: what
/// is open is given back, and what it used of everybody's.
pub(crate) struct Passing<'m> {
    limits: &'m MethodLimits,
    now: u64,
    held: Held,
}

/// One rule that let the call in.
struct Passed {
    rule: Arc<Rule>,
    counted: Counted,
}

impl Drop for Held {
    fn drop(&mut self) {
        for Passed { rule, counted } in &self.passed {
            rule.ended(counted);
        }
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        for Passed { rule, counted } in &self.held.passed {
            rule.not_carried(counted);
        }
    }
}

impl Default for Registry {
    fn default() -> Registry {
        let (epoch, hasher) = (Instant::now(), RandomState::new());
        Registry { epoch, hasher, known: Mutex::default() }
    }
}

impl Registry {
    /// `moment` as rules count time.
    pub(crate) fn time(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.epoch).as_nanos();
        // From 1, so that what was never touched has passed; 500 years fit.
        u64::try_from(since).unwrap_or(u64::MAX / 2) + 1
    }

    /// The limits of a method, found again by where they are written.
    pub(crate) fn limits(
        &self,
        namespace: &str,
        calls_at_once: u32,
        placed: &PlacedLimits,
    ) -> MethodLimits {
        let quota = CallLimit { per: Per::Namespace, rate: None, at_once: Some(calls_at_once) };
        let kinds = Kinds { rate: Limit::Rate, at_once: Limit::CallsAtOnce };
        let quota = self.rule(namespace, "quota", 0, &quota, "namespace".into(), kinds);
        let kinds = Kinds { rate: Limit::Rate, at_once: Limit::AtOnce };
        let (mut sources, mut shared, mut after) = (Vec::new(), Vec::new(), Vec::new());
        let mut policy = Vec::new();
        let mut named: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, limit) in placed.calls.iter().enumerate() {
            let word = match &limit.per {
                Per::Principal => "principal",
                Per::Source => "source",
                Per::Namespace => "namespace",
                Per::Header(name) => name,
            };
            let count = named.entry(word).or_default();
            *count += 1;
            let name = if *count == 1 { word.to_owned() } else { format!("{word}-{count}") };
            if let Some(Rate { per_second, burst }) = limit.rate {
                // So many calls in the time in which a burst comes back, rounded up.
                let window = burst.div_ceil(per_second);
                policy.push(format!("\"{name}\";q={burst};w={window}"));
            }
            let rule = self.rule(namespace, &placed.place, index, limit, name, kinds);
            match limit.per {
                Per::Source => sources.push(rule),
                Per::Namespace => shared.push(rule),
                Per::Principal | Per::Header(_) => after.push(rule),
            }
        }
        let before = sources.into_iter().chain(shared).chain([quota]).collect();
        let policy = (!policy.is_empty()).then(|| HeaderValue::try_from(policy.join(", ")).ok());
        MethodLimits { before, after, policy: policy.flatten() }
    }

    /// A rule of the gateway's own, by source.
    pub(crate) fn own(&self, name: &str, rate: Rate, limit: Limit) -> Arc<Rule> {
        let written = CallLimit { per: Per::Source, rate: Some(rate), at_once: None };
        let kinds = Kinds { rate: limit, at_once: limit };
        self.rule("", name, 0, &written, name.to_owned(), kinds)
    }

    fn rule(
        &self,
        namespace: &str,
        place: &str,
        index: usize,
        limit: &CallLimit,
        name: String,
        kinds: Kinds,
    ) -> Arc<Rule> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { rules, tables } = &mut *known;
        let key = (namespace.to_owned(), place.to_owned(), index, format!("{limit:?}"));
        if let Some(rule) = rules.get(&key).and_then(Weak::upgrade) {
            return rule;
        }
        rules.retain(|_, rule| rule.strong_count() > 0);
        tables.retain(|_, table| table.strong_count() > 0);
        let CallLimit { per, rate, at_once } = limit;
        let (per, kind, whom) = match per {
            Per::Principal => (Whose::Principal, Some(Kind::Principal), "for each caller"),
            Per::Source => (Whose::Source, Some(Kind::Source), "from one address"),
            Per::Namespace => (Whose::Namespace, None, "in all"),
            Per::Header(name) => {
                let name = HeaderName::try_from(name).expect("names of headers were read");
                (Whose::Header(name), Some(Kind::Header), "for each value of a header")
            }
        };
        let table = kind.map(|kind| {
            let place = tables.entry((namespace.to_owned(), kind)).or_default();
            place.upgrade().unwrap_or_else(|| {
                let made = Arc::new(Table::new());
                *place = Arc::downgrade(&made);
                made
            })
        });
        let text = match (rate, at_once) {
            (Some(rate), Some(most)) => {
                format!("{} calls a second and {most} at once {whom}", rate.per_second)
            }
            (Some(rate), None) => format!("{} calls a second {whom}", rate.per_second),
            (None, most) => format!("{} calls at once {whom}", most.unwrap_or(u32::MAX)),
        };
        let rule = Arc::new(Rule {
            id: self.hasher.hash_one(&key),
            per,
            rate: rate.map(Gcra::new),
            at_once: *at_once,
            hasher: self.hasher.clone(),
            common: Slot::default(),
            table,
            name: name.into(),
            text: text.into(),
            kinds,
        });
        rules.insert(key, Arc::downgrade(&rule));
        rule
    }
}

/// A call that is over a limit, and what its answer says of the limits.
pub(crate) type Over = Box<(Refusal, Option<ToldLimits>)>;

impl MethodLimits {
    /// Asks what is asked before it is known who calls.
    ///
    /// # Errors
    /// 429.
    pub(crate) fn enter(&self, caller: Caller<'_>, now: u64) -> Result<Passing<'_>, Over> {
        // One allocation a call, which the answer keeps.
        let passed = Vec::with_capacity(self.before.len() + self.after.len());
        let mut passing = Passing { limits: self, now, held: Held { passed } };
        passing.ask(&self.before, caller)?;
        Ok(passing)
    }
}

impl Passing<'_> {
    fn ask(&mut self, rules: &[Arc<Rule>], caller: Caller<'_>) -> Result<(), Over> {
        for rule in rules {
            match rule.pass(rule.name_of(caller), self.now) {
                Ok(counted) => {
                    self.held.passed.push(Passed { rule: Arc::clone(rule), counted });
                }
                Err(refused) => {
                    let told = self.told(Some((rule, &refused)));
                    return Err(Box::new((rule.refusal(&refused), told)));
                }
            }
        }
        Ok(())
    }

    /// Asks the rest, now that it is known who calls. The call is carried from here on.
    ///
    /// # Errors
    /// 429.
    pub(crate) fn known(mut self, caller: Caller<'_>) -> Result<(Held, Option<ToldLimits>), Over> {
        let limits = self.limits;
        self.ask(&limits.after, caller)?;
        let told = self.told(None);
        Ok((std::mem::take(&mut self.held), told))
    }

    /// What an answer says that refuses the call for another reason.
    pub(crate) fn told_so_far(&self) -> Option<ToldLimits> {
        self.told(None)
    }

    /// `ratelimit`: for each rate what is left, and in how many seconds it is whole again.
    fn told(&self, refused: Option<(&Rule, &Refused)>) -> Option<ToldLimits> {
        let policy = self.limits.policy.clone()?;
        let mut text = String::new();
        let mut say = |rule: &Rule, left: u64, whole_in: u64| {
            use std::fmt::Write as _;
            let comma = if text.is_empty() { "" } else { ", " };
            let seconds = Duration::from_nanos(whole_in + 999_999_999).as_secs();
            let _ = write!(text, "{comma}\"{}\";r={left};t={seconds}", rule.name);
        };
        for Passed { rule, counted } in &self.held.passed {
            if let Some(rate) = rule.rate {
                let kept = counted.kept;
                say(rule, rate.left(kept, self.now), Gcra::whole_in(kept, self.now));
            }
        }
        if let Some((rule, Refused::Rate { kept, .. })) = refused {
            say(rule, 0, Gcra::whole_in(*kept, self.now));
        }
        let ratelimit = HeaderValue::try_from(text).ok().filter(|text| !text.is_empty())?;
        Some(ToldLimits { ratelimit, policy })
    }
}

#[cfg(test)]
mod tests;
