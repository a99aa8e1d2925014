//! What is counted of one method's copies; it outlives snapshots, as counters of calls do.
//!
//! Label values come from closed sets: [`Abandoned`] names why a copy was never sent, [`Loss`] why
//! one that was sent has no answer (compare M-12).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tandem_judge::pair::{Abandoned, Loss};

/// Whose copy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    Candidate,
    Twin,
}

impl Trial {
    pub(crate) const ALL: [Trial; 2] = [Trial::Candidate, Trial::Twin];

    /// As the mark and the metrics call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Trial::Candidate => "candidate",
            Trial::Twin => "twin",
        }
    }
}

/// Every reason why a copy was never sent.
pub(crate) const DROPPED: [Abandoned; 7] = [
    Abandoned::QueueFull,
    Abandoned::BytesFull,
    Abandoned::BodyTooLarge,
    Abandoned::Shed,
    Abandoned::NoCandidate,
    Abandoned::OutOfOrder,
    Abandoned::Stopped,
];

/// Every reason why a copy that was sent has no answer, with its label.
pub(crate) const LOST: [(Loss, &str); 4] = [
    (Loss::TimedOut, "timed_out"),
    (Loss::Reset, "reset"),
    (Loss::TooLarge, "too_large"),
    (Loss::Unreachable, "unreachable"),
];

fn place_of(reason: Abandoned) -> usize {
    DROPPED.iter().position(|one| *one == reason).unwrap_or(0)
}

fn place_of_loss(loss: Loss) -> usize {
    LOST.iter().position(|(one, _)| *one == loss).unwrap_or(0)
}

/// Atomic, for data threads drop copies and the mirror's thread sends them.
#[derive(Debug, Default)]
pub(crate) struct MirrorCounts {
    sent: [AtomicU64; 2],
    lost: [[AtomicU64; LOST.len()]; 2],
    compared: AtomicU64,
    dropped: [AtomicU64; DROPPED.len()],
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MirrorFigures {
    pub(crate) sent: [u64; 2],
    pub(crate) lost: [[u64; LOST.len()]; 2],
    pub(crate) compared: u64,
    pub(crate) dropped: [u64; DROPPED.len()],
}

impl MirrorCounts {
    pub(super) fn sent(&self, trial: Trial) {
        self.sent[trial as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lost(&self, trial: Trial, loss: Loss) {
        self.lost[trial as usize][place_of_loss(loss)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn compared(&self) {
        self.compared.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, reason: Abandoned) {
        self.dropped[place_of(reason)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self) -> MirrorFigures {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        MirrorFigures {
            sent: self.sent.each_ref().map(read),
            lost: self.lost.each_ref().map(|lost| lost.each_ref().map(read)),
            compared: read(&self.compared),
            dropped: self.dropped.each_ref().map(read),
        }
    }

    /// Copies that were never sent, by reason; reasons that never were are not there.
    pub(super) fn by_reason(&self) -> BTreeMap<Abandoned, u64> {
        let counts = self.figures().dropped;
        DROPPED.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_m_12_each_reason_has_a_place_of_its_own() {
        let counts = MirrorCounts::default();
        for (times, reason) in (1..).zip(DROPPED) {
            (0..times).for_each(|_| counts.dropped(reason));
        }
        assert_eq!(counts.figures().dropped, [1, 2, 3, 4, 5, 6, 7]);
        for (loss, _) in LOST {
            counts.lost(Trial::Twin, loss);
        }
        assert_eq!(counts.figures().lost, [[0; 4], [1; 4]]);
    }
}
