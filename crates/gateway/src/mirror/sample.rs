//! Which calls are copied: a share of them, no more than so many a second, by a key if asked.
//!
//! Decided from the head alone, before anything is kept. Of share and rate the lower counts. The
//! rate is that of the line in the team's document, divided evenly over the methods for which the
//! line holds, so that rare methods are seen beside busy ones (compare M-11).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName};
use tandem_config::document::{MirrorRules, SampleKey};
use tandem_protocol::metadata::PRINCIPAL;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Sampler {
    per_mille: u16,
    pace: Option<Pace>,
    key: Option<HeaderName>,
    seed: u64,
}

impl Sampler {
    /// For one of `methods` methods for which `rules` hold.
    pub(super) fn new(rules: &MirrorRules, methods: usize, seed: u64) -> Sampler {
        let key = match &rules.by_key {
            None => None,
            Some(SampleKey::Principal) => Some(PRINCIPAL),
            Some(SampleKey::Header(name)) => HeaderName::try_from(name).ok(),
        };
        Sampler {
            per_mille: rules.share.per_mille(),
            pace: rules.rate_max.map(|rate| Pace::new(rate, methods)),
            key,
            seed,
        }
    }

    /// Whether the call with these headers is copied.
    pub(super) fn takes(&self, headers: &HeaderMap) -> bool {
        let drawn = || match &self.key {
            None => rand::random::<u32>(),
            Some(name) => {
                let mut hasher = DefaultHasher::new();
                self.seed.hash(&mut hasher);
                headers.get(name).map(|value| value.as_bytes()).hash(&mut hasher);
                (hasher.finish() >> 32) as u32
            }
        };
        let within =
            self.per_mille == 1000 || (u64::from(drawn()) * 1000) >> 32 < u64::from(self.per_mille);
        within && self.pace.as_ref().is_none_or(|pace| pace.take(pace.now()))
    }
}

/// A rate, kept by when the next copy is due: one number, which all threads move on.
///
/// Source: the generic cell rate algorithm (ITU-T I.371, annex A, virtual scheduling).
#[derive(Debug)]
struct Pace {
    began: Instant,
    every_ns: u64,
    /// How far ahead of its time a copy may be.
    ahead_ns: u64,
    // Atomic because the data threads share it; relaxed, for nothing else hangs on it.
    due_ns: AtomicU64,
}

/// A tenth of a second's copies may come at once.
const AHEAD_NS: u64 = 100_000_000;

impl Pace {
    fn new(rate: u32, methods: usize) -> Pace {
        let every_ns = 1_000_000_000 * methods.max(1) as u64 / u64::from(rate.max(1));
        Pace { began: Instant::now(), every_ns, ahead_ns: AHEAD_NS, due_ns: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn take(&self, now_ns: u64) -> bool {
        let next = |due: u64| {
            let at = due.max(now_ns);
            (at - now_ns <= self.ahead_ns.saturating_sub(self.every_ns)).then(|| at + self.every_ns)
        };
        self.due_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use tandem_config::document::{Credentials, Share, TwinRule, Writes};

    fn rules(per_mille: u16, rate_max: Option<u32>, by_key: Option<SampleKey>) -> MirrorRules {
        MirrorRules {
            share: Share::from_per_mille(per_mille).unwrap(),
            rate_max,
            to: None,
            twin: TwinRule::Unwritten,
            writes: Writes::Refuse,
            order_by: None,
            by_key,
            credentials: Credentials::Strip,
            samples: false,
        }
    }

    #[test]
    fn compare_m_11_a_rate_is_kept_however_many_ask_and_is_divided_over_methods() {
        for (rate, methods, expected) in [(100, 1, 100), (100, 4, 25), (5, 1, 5), (1_000, 1, 1_000)]
        {
            let pace = Pace::new(rate, methods);
            // Ten seconds, asked each 100 µs.
            let taken = (0..100_000).filter(|step| pace.take(step * 100_000)).count();
            let (least, most) = (expected * 10, expected * 10 + expected / 10 + 1);
            assert!((least..=most).contains(&taken), "{rate} {methods}: {taken}");
        }
    }

    #[test]
    fn compare_m_11_the_lower_of_share_and_rate_counts() {
        let headers = HeaderMap::new();
        let all = Sampler::new(&rules(1000, None, None), 1, 1);
        assert!((0..1_000).all(|_| all.takes(&headers)));
        let none = Sampler::new(&rules(0, None, None), 1, 1);
        assert!(!(0..1_000).any(|_| none.takes(&headers)));
        let tenth = Sampler::new(&rules(100, None, None), 1, 1);
        let taken = (0..10_000).filter(|_| tenth.takes(&headers)).count();
        assert!((800..1_200).contains(&taken), "{taken}");
        let few = Sampler::new(&rules(1000, Some(50), None), 1, 1);
        let taken = (0..10_000).filter(|_| few.takes(&headers)).count();
        assert!((5..100).contains(&taken), "{taken}");
    }

    #[test]
    fn compare_m_11_calls_of_one_key_are_copied_all_or_not_at_all() {
        let key = SampleKey::Header("x-user".into());
        let half = Sampler::new(&rules(500, None, Some(key)), 1, 7);
        let mut taken = 0;
        for user in 0..200 {
            let mut headers = HeaderMap::new();
            headers.insert("x-user", HeaderValue::from(user));
            let first = half.takes(&headers);
            assert!((0..20).all(|_| half.takes(&headers) == first));
            taken += u32::from(first);
        }
        assert!((60..140).contains(&taken), "{taken}");
    }
}
