//! The counters of one path.

use crate::stats::evidence::{NOISE, Stretch, evidence};

/// Calls from which on values of a path may be found to carry no information.
const MASKED_FROM: u64 = 20;

/// Counters of one row. All of it is needed to give its class again, and nothing else is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Only the candidate differed from the primary: c.
    pub candidate_only: u64,
    /// Only the twin did: n.
    pub twin_only: u64,
    pub both: u64,
    /// The call at which the evidence reached its threshold. It stays: looking on cannot unsay it.
    pub worse_since: Option<u64>,
    /// The call from which on only presence, type and shape count, because the twin's values
    /// differ in most calls.
    pub masked_since: Option<u64>,
    /// Differences in critical fields while the path had never shown noise.
    pub critical: u64,
    /// Calls before the counters of this path began anew: of all calls, and of those compared.
    pub begun: (u64, u64),
}

/// How one side differs in one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) any: bool,
    pub(super) shape: bool,
    pub(super) critical: bool,
}

impl RowCounts {
    /// Counts call number `call`; whether it is a critical difference.
    ///
    /// What counts as a difference follows from earlier calls alone, and is the same for both
    /// sides, so the bet stays fair when a path becomes masked.
    pub(super) fn count(&mut self, candidate: Seen, twin: Seen, threshold: f64, call: u64) -> bool {
        let masked = self.masked_since.is_some();
        let differs = |seen: Seen| if masked { seen.shape } else { seen.any };
        let mut is_critical = false;
        match (differs(candidate), differs(twin)) {
            (true, false) => {
                self.candidate_only += 1;
                if self.worse_since.is_none() && self.evidence() >= threshold {
                    self.worse_since = Some(call);
                }
                is_critical = candidate.critical && self.twin_only + self.both == 0;
                self.critical += u64::from(is_critical);
            }
            (false, true) => self.twin_only += 1,
            (true, true) => self.both += 1,
            (false, false) => {}
        }
        let noisy = self.twin_only + self.both;
        if !masked && call >= MASKED_FROM && noisy * 2 > call {
            self.masked_since = Some(call);
        }
        is_critical
    }

    /// The evidence that the candidate differs more often than a second primary: E of N-2.
    pub fn evidence(&self) -> f64 {
        let stretch =
            Stretch { candidate: self.candidate_only, primary: self.twin_only, share: 0.5 };
        evidence(&[stretch], NOISE, 1.0)
    }
}
