//! Everything that a run has gathered, at whatever moment it ends.
//!
//! Not here: what follows from it (`document`, by `tandem_judge`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use tandem_judge::report;
use tandem_judge::verdict::Fact;
use tandem_measure::rubric::BuildTimes;

use super::answers::Answers;
use super::quartets::Series;

/// What is known so far.
pub(crate) struct Evidence {
    pub(crate) id: String,
    pub(crate) began: Instant,
    pub(crate) started: SystemTime,
    /// As a person reads it: one method, or several with commas.
    pub(crate) method: String,
    pub(crate) sides: [report::Side; 2],
    pub(crate) machine: report::Machine,
    pub(crate) generator: report::Generator,
    /// Two processes of the primary, or one against itself.
    pub(crate) aa: Series,
    pub(crate) answers: Answers,
    /// By offered rate, in rising order.
    pub(crate) series: Vec<(f64, Series)>,
    pub(crate) capacity: Option<report::Capacity>,
    pub(crate) pauses: Option<report::Pauses>,
    pub(crate) memory: Option<report::Memory>,
    pub(crate) rubric: Vec<report::Rubric>,
    /// What the rubric found by the names that must-haves use: by role, then by name.
    pub(crate) facts: BTreeMap<String, BTreeMap<String, Fact>>,
    /// How long builds took: the primary's, the candidate's.
    pub(crate) builds: [BuildTimes; 2],
    /// What is sent.
    pub(crate) data: report::Data,
    /// What the run could not do as it was asked; said beside the verdict.
    pub(crate) notes: Vec<String>,
    /// Ended before its plan did.
    pub(crate) partial: bool,
}

impl Evidence {
    /// Seconds since 1970.
    pub(crate) fn started_s(&self) -> u64 {
        self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// The series at the highest rate, which the verdict is about.
    pub(crate) fn judged(&self) -> Option<&(f64, Series)> {
        self.series.last()
    }

    /// All series, those that the noise floor comes from included.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Series> {
        std::iter::once(&self.aa).chain(self.series.iter().map(|(_, series)| series))
    }
}
