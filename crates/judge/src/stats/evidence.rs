//! A bet on the rate ratio that may be looked at at any moment (compare E-1 to E-5).
//!
//! Where the side of an event does not matter, it is the candidate's with a probability that
//! follows from the known share. A mixture of bets on other ratios is then a fair game: whatever
//! is done with its value, it ever reaches 1/α with probability α at most. So one number serves
//! noise, rollback and promotion, and needs no distribution and no fixed size of sample.
//!
//! Source: Ville, "Étude critique de la notion de collectif" (1939), section V.1, for the bound;
//! Ramdas, Grünwald, Vovk, Shafer, "Game-Theoretic Statistics and Safe Anytime-Valid Inference"
//! (Statistical Science 38, 2023), section 3, for e-processes by mixture. The binomial bet under a
//! known share: Turner, Ly, Grünwald, "Generic E-variables for Exact Sequential k-Sample Tests"
//! (2024), section 2.

/// Bets in a mixture.
const BETS: usize = 24;

/// The ratios that a mixture bets on, times the tolerated one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    from: f64,
    to: f64,
}

/// That the candidate fails more often: 1.25 to 64 times.
pub const HARM: Grid = Grid { from: 1.25, to: 64.0 };
/// That the candidate differs more often than a second primary: 1.05 to 64 times.
pub const NOISE: Grid = Grid { from: 1.05, to: 64.0 };
/// That the candidate fails less often than is tolerated: 1/1.1 to 1/16.
pub const SAFETY: Grid = Grid { from: 1.0 / 1.1, to: 1.0 / 16.0 };

impl Grid {
    /// The ratios, evenly apart on a scale of logs.
    pub fn ratios(self) -> impl Iterator<Item = f64> {
        let step = (self.to / self.from).ln() / (BETS - 1) as f64;
        (0..BETS).map(move |place| self.from * (step * place as f64).exp())
    }
}

/// Events while the share stayed the same.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stretch {
    /// Of the candidate: S.
    pub candidate: u64,
    /// Of the primary, or of the twin: F.
    pub primary: u64,
    /// The candidate's known part of the calls, between 0 and 1 without either.
    pub share: f64,
}

/// The evidence E against "the candidate's rate is at most `tolerated` times the other's" on the
/// grids above 1, or against "at least" on the grid below 1.
pub fn evidence(stretches: &[Stretch], grid: Grid, tolerated: f64) -> f64 {
    mixture(grid.ratios().map(|ratio| {
        let rate = ratio * tolerated;
        stretches.iter().map(|stretch| log_bet(*stretch, tolerated, rate)).sum()
    }))
}

/// ln of (q/θ)^S · ((1−q)/(1−θ))^F.
fn log_bet(stretch: Stretch, tolerated: f64, rate: f64) -> f64 {
    let Stretch { candidate, primary, share } = stretch;
    if candidate == 0 && primary == 0 {
        return 0.0;
    }
    // θ(r) = w·r/(w·r + 1 − w), so both fractions have the normalisers in common.
    let normaliser = ((share * tolerated + 1.0 - share) / (share * rate + 1.0 - share)).ln();
    candidate as f64 * ((rate / tolerated).ln() + normaliser) + primary as f64 * normaliser
}

/// The evidence against "an event comes in at least `budget` of the calls" (compare E-4).
pub fn budget_evidence(events: u64, calls: u64, budget: f64) -> f64 {
    let quiet = calls.saturating_sub(events) as f64;
    mixture(SAFETY.ratios().map(|ratio| {
        events as f64 * ratio.ln() + quiet * ((-budget * ratio).ln_1p() - (-budget).ln_1p())
    }))
}

/// The rate below which events are with 95 % certainty: the smallest budget that is proven
/// (compare N-7). 1 where nothing is.
pub fn rate_bound(events: u64, calls: u64) -> f64 {
    const PROVEN: f64 = 20.0;
    if calls == 0 || budget_evidence(events, calls, 1.0 - 1e-12) < PROVEN {
        return 1.0;
    }
    let (mut low, mut high) = (1e-12_f64.ln(), 0.0_f64);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if budget_evidence(events, calls, middle.exp().min(1.0 - 1e-12)) >= PROVEN {
            high = middle;
        } else {
            low = middle;
        }
    }
    high.exp()
}

/// The evidence that rolls back in epoch `epoch` (from 1) with `guards` guards: over all epochs
/// the chances of a false alarm sum to `alpha` (compare E-5).
pub fn harm_threshold(alpha: f64, guards: u32, epoch: u32) -> f64 {
    let (guards, epoch) = (f64::from(guards.max(1)), f64::from(epoch.max(1)));
    guards * epoch * (epoch + 1.0) / alpha
}

/// The mean of exponentials, without overflow on the way.
pub(crate) fn mixture(logs: impl Iterator<Item = f64>) -> f64 {
    let logs: Vec<f64> = logs.collect();
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return if most > 0.0 { f64::INFINITY } else { 0.0 };
    }
    let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
    (most + (sum / logs.len() as f64).ln()).exp()
}
