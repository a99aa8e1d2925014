//! The evidence about one method: its ledger of differences, its samples, what each side took.
//!
//! Kept by the mirror's thread, read by whoever asks for it ([`MethodPairs`]); nobody on the path
//! ever waits for it. With a change of the contract, of a side or of how noise is told it begins
//! anew, with a change of a rule the paths below that rule do (compare N-5).
//!
//! Not here: comparing (`tandem_judge`), sending (`send`).

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tandem_judge::diff::{Differ, RowId, Rules};
use tandem_judge::noise::{Ledger, Outcome, Proposals, Samples, Settings, Source};
use tandem_judge::pair::{Abandoned, Answer, Loss, Reply, Trial};
use tandem_judge::stats::counts::Counts;
use tandem_judge::stats::draws::Draws;

use super::answer::Read;
use super::recent::Recent;
use super::view::{Lane, Lanes, MethodPairs};

/// What a trial side made of its copy.
#[derive(Debug)]
pub(super) enum Tried {
    Answered { read: Read, took: Duration },
    Lost(Loss),
}

/// What decides that evidence stays evidence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ground {
    /// Of the contract.
    pub(super) digest: [u8; 32],
    /// Primary, candidate, twin: name and addresses.
    pub(super) sides: [String; 3],
    pub(super) source: Source,
}

/// Who takes part, and by which rules.
pub(super) struct Setting {
    pub(super) namespace: String,
    pub(super) method: String,
    pub(super) primary: String,
    pub(super) candidate: String,
    pub(super) twin: Option<String>,
    pub(super) ground: Ground,
    pub(super) differ: Differ,
    pub(super) rules: Rules,
    pub(super) extra_most: f64,
    pub(super) samples: bool,
    pub(super) sampled_after_cache: bool,
}

/// The evidence of one method, shared with those who read it.
pub(super) struct Evidence(Mutex<Kept>);

struct Kept {
    setting: Setting,
    ledger: Ledger,
    samples: Samples,
    proposals: Proposals,
    lanes: [LaneCounts; 3],
    recent: Recent,
    since: SystemTime,
    seed: u64,
    draws: Draws,
}

#[derive(Debug, Default)]
struct LaneCounts {
    calls: u64,
    errors: u64,
    took_us: BTreeMap<u64, u64>,
}

impl Evidence {
    pub(super) fn new(setting: Setting, seed: u64, now: SystemTime) -> Evidence {
        Evidence(Mutex::new(Kept::new(setting, seed, now)))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on by other rules, and begins anew what they are about; whether that is everything.
    pub(super) fn takes_over(&self, setting: Setting, seed: u64, now: SystemTime) -> bool {
        let mut kept = self.kept();
        let old = &kept.setting;
        let same_rows = old.differ.rows().len() == setting.differ.rows().len()
            && setting.rules.trailer_names().eq(old.rules.trailer_names());
        let same_bar = (old.extra_most - setting.extra_most).abs() < f64::EPSILON;
        if old.ground != setting.ground || !same_rows || !same_bar {
            tracing::info!(
                namespace = %setting.namespace, method = %setting.method, seed,
                "evidence of pairs begins anew"
            );
            *kept = Kept::new(setting, seed, now);
            return true;
        }
        let changed = setting.rules.changed(&old.rules);
        let rows: Vec<RowId> =
            changed.iter().flat_map(|path| setting.differ.rows().below(path)).collect();
        for row in rows {
            kept.ledger.restart_row(row);
            kept.proposals.restart_row(row);
        }
        if !setting.samples {
            kept.samples = Samples::new(seed);
        }
        kept.setting = setting;
        false
    }

    /// Begins anew.
    pub(super) fn restart(&self, now: SystemTime) {
        let mut kept = self.kept();
        let Kept { setting, ledger, samples, proposals, lanes, recent, since, seed, .. } =
            &mut *kept;
        ledger.restart(&setting.differ);
        *samples = Samples::new(*seed);
        *proposals = Proposals::default();
        *lanes = Default::default();
        *recent = Recent::default();
        *since = now;
    }

    /// Whether the candidate's copy is sent before the twin's.
    pub(super) fn candidate_first(&self) -> bool {
        self.kept().draws.coin()
    }

    /// Counts one call. A fault in the comparison is ours, and costs this pair alone.
    pub(super) fn observe(
        &self,
        request_id: &str,
        primary: (&Read, Duration),
        candidate: &Tried,
        twin: Option<&Tried>,
        now: SystemTime,
    ) {
        let mut kept = self.kept();
        let since = now.duration_since(kept.since).unwrap_or_default();
        kept.recent.count(since);
        let compared = std::panic::catch_unwind(AssertUnwindSafe(|| {
            kept.observe(request_id, primary, candidate, twin);
        }));
        if compared.is_err() {
            let method = &kept.setting.method;
            tracing::error!(code = "TND0901", %method, "a comparison panicked; please report this");
        }
    }

    pub(super) fn view(&self, now: SystemTime, dropped: BTreeMap<Abandoned, u64>) -> MethodPairs {
        self.kept().view(now, dropped)
    }
}

impl Kept {
    fn new(setting: Setting, seed: u64, now: SystemTime) -> Kept {
        let settings = Settings { extra_most: setting.extra_most, ..Settings::default() };
        let ledger = Ledger::new(&setting.differ, setting.ground.source, settings);
        Kept {
            ledger,
            samples: Samples::new(seed),
            proposals: Proposals::default(),
            lanes: Default::default(),
            recent: Recent::default(),
            since: now,
            seed,
            draws: Draws::new(seed),
            setting,
        }
    }

    fn observe(
        &mut self,
        request_id: &str,
        (primary, took): (&Read, Duration),
        candidate: &Tried,
        twin: Option<&Tried>,
    ) {
        self.lanes[0].count(primary.code, Some(took));
        let tried = [(1, Some(candidate)), (2, twin)];
        for (lane, tried) in tried {
            match tried {
                Some(Tried::Answered { read, took }) => {
                    self.lanes[lane].count(read.code, Some(*took));
                }
                Some(Tried::Lost(_)) => self.lanes[lane].count(u32::MAX, None),
                None => {}
            }
        }
        let (differ, ledger) = (&self.setting.differ, &mut self.ledger);
        let proposals = &mut self.proposals;
        let of_candidate = primary.lend(|primary| {
            lend(Some(candidate), |candidate| {
                lend(twin, |twin| {
                    let candidate = candidate.unwrap_or(Reply::Lost(Loss::Reset));
                    let trial = Trial { primary, candidate, twin };
                    let (of_candidate, of_twin) = ledger.observe(differ, &trial);
                    if let (Some(Reply::Answered(twin)), Some(Outcome::Compared(diff))) =
                        (twin, of_twin)
                    {
                        proposals.observe(differ, (&primary, &twin), &diff, request_id);
                    }
                    of_candidate
                })
            })
        });
        if self.setting.samples
            && let Outcome::Compared(diff) = &of_candidate
        {
            self.samples.offer(diff);
        }
    }

    fn view(&self, now: SystemTime, dropped: BTreeMap<Abandoned, u64>) -> MethodPairs {
        let Setting {
            namespace,
            method,
            primary,
            candidate,
            twin,
            ground,
            differ,
            rules: _,
            extra_most: _,
            samples: _,
            sampled_after_cache,
        } = &self.setting;
        let rows = differ.rows();
        let ids = (0..rows.len() as u32).map(RowId);
        let now_s = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let proposed = self.proposals.of(differ, now_s).into_iter();
        let proposals = proposed.map(|(row, proposal)| (rows.name(row).to_owned(), proposal));
        let lane = |counts: &LaneCounts, upstream: &str| Lane {
            upstream: upstream.to_owned(),
            calls: counts.calls,
            errors: counts.errors,
            latency_us: Counts::new(counts.took_us.iter().map(|(us, count)| (*us, *count))),
        };
        let [of_primary, of_candidate, of_twin] = &self.lanes;
        let asked_again = match ground.source {
            Source::Twice => Some(primary),
            Source::Twin | Source::Rules => twin.as_ref(),
        };
        MethodPairs {
            namespace: namespace.clone(),
            method: method.clone(),
            primary: primary.clone(),
            candidate: candidate.clone(),
            twin: twin.clone(),
            source: ground.source,
            since: self.since,
            per_second: self.recent.per_second(now.duration_since(self.since).unwrap_or_default()),
            seed: self.seed,
            sampled_after_cache: *sampled_after_cache,
            calls: self.ledger.calls(),
            critical: self.ledger.critical(),
            rows: rows.len(),
            paths: self.ledger.paths(),
            differences: self
                .ledger
                .listing()
                .lines()
                .map(|(path, line)| (path.to_owned(), line.clone()))
                .collect(),
            samples: ids.flat_map(|row| self.samples.of(row)).cloned().collect(),
            proposals: proposals.collect(),
            lost: self.ledger.lost().clone(),
            dropped,
            lanes: Lanes {
                primary: lane(of_primary, primary),
                candidate: lane(of_candidate, candidate),
                twin: asked_again.map(|name| lane(of_twin, name)),
            },
        }
    }
}

/// Lends what a side made of its copy.
fn lend<T>(tried: Option<&Tried>, to: impl FnOnce(Option<Reply<'_>>) -> T) -> T {
    match tried {
        Some(Tried::Answered { read, .. }) => {
            read.lend(|answer: Answer<'_>| to(Some(Reply::Answered(answer))))
        }
        Some(Tried::Lost(loss)) => to(Some(Reply::Lost(*loss))),
        None => to(None),
    }
}

impl LaneCounts {
    fn count(&mut self, code: u32, took: Option<Duration>) {
        self.calls += 1;
        self.errors += u64::from(code != 0);
        if let Some(took) = took {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            *self.took_us.entry(rounded(us)).or_default() += 1;
        }
    }
}

/// To the middle of a step of one in 128, so that there are few different values.
fn rounded(us: u64) -> u64 {
    const BITS: u32 = 7;
    let Some(shift) = (u64::BITS - us.leading_zeros()).checked_sub(BITS + 1) else { return us };
    let step = us >> shift << shift;
    step + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_rounded_by_less_than_one_in_a_hundred_and_stay_few() {
        let mut seen = std::collections::BTreeSet::new();
        for us in (0..5_000_000_u64).step_by(7) {
            let round = rounded(us);
            assert!(round.abs_diff(us) * 128 <= us.max(128), "{us} {round}");
            seen.insert(round);
        }
        assert!(seen.len() < 2_500, "{}", seen.len());
        assert_eq!([0, 1, 255].map(rounded), [0, 1, 255]);
        assert!(rounded(u64::MAX) > u64::MAX / 128 * 127);
    }
}
