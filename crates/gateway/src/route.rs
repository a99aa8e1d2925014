//! Which implementation a call goes to, drawn last (security DP-10).
//!
//! A method has a primary and may have a candidate that answers a part of its calls. Each call is
//! drawn for itself; its retries stay on the side that was drawn.
//!
//! Not here: how large the part is to be (a rollout says so), which endpoint of an upstream
//! (`upstream`), copies of calls (`mirror`).

use std::sync::Arc;

use crate::upstream::Upstream;

/// Part of a method's calls that the candidate answers, in per mille (0 to 1000).
///
/// An integer, so that a rollout step compares equal after a trip through the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CandidateShare(u16);

impl CandidateShare {
    pub const NONE: CandidateShare = CandidateShare(0);

    /// `None` above 1000.
    pub fn from_per_mille(per_mille: u16) -> Option<CandidateShare> {
        (per_mille <= 1000).then_some(CandidateShare(per_mille))
    }

    pub fn per_mille(self) -> u16 {
        self.0
    }

    /// Whether a call that drew `random` goes to the candidate.
    fn holds(self, random: u32) -> bool {
        // In 64 bits the product cannot overflow, and its upper half is even over 0 to 999.
        (u64::from(random) * 1000) >> 32 < u64::from(self.0)
    }
}

/// Either implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Primary,
    Candidate,
}

/// Where the calls of one method go.
pub(crate) struct Route {
    /// `None` where the document names none; such calls find no endpoint.
    primary: Option<Arc<Upstream>>,
    /// `None` while it answers nothing.
    candidate: Option<(Arc<Upstream>, CandidateShare)>,
}

impl Route {
    pub(crate) fn new(
        primary: Option<Arc<Upstream>>,
        candidate: Option<Arc<Upstream>>,
        share: CandidateShare,
    ) -> Route {
        let candidate = candidate.filter(|_| share != CandidateShare::NONE);
        Route { primary, candidate: candidate.map(|candidate| (candidate, share)) }
    }

    /// Draws the side of one call. `random` is asked only where there is something to draw.
    pub(crate) fn draw(&self, random: impl FnOnce() -> u32) -> Option<(&Arc<Upstream>, Side)> {
        if let Some((candidate, share)) = &self.candidate
            && share.holds(random())
        {
            return Some((candidate, Side::Candidate));
        }
        self.primary.as_ref().map(|primary| (primary, Side::Primary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::UpstreamAddress;
    use std::time::Duration;

    fn upstream(name: &str) -> Arc<Upstream> {
        let address = UpstreamAddress::Fixed(([127, 0, 0, 1], 1).into());
        let authority = http::uri::Authority::from_static("it");
        Arc::new(Upstream {
            name: name.into(),
            ..Upstream::plain(address, authority, Duration::from_secs(1))
        })
    }

    #[test]
    fn compare_o_5_the_part_is_exact_to_one_in_a_thousand() {
        assert_eq!(CandidateShare::from_per_mille(1001), None);
        for per_mille in [0, 1, 10, 500, 999, 1000] {
            let share = CandidateShare::from_per_mille(per_mille).unwrap();
            let route = Route::new(Some(upstream("go")), Some(upstream("rust")), share);
            // Every draw that is possible, in even steps.
            let step = 1 << 12;
            let draws = (0..1_u32 << 20).map(|draw| draw * step);
            let count =
                draws.filter(|draw| matches!(route.draw(|| *draw), Some((_, Side::Candidate))));
            let found = count.count() as f64 / f64::from(1 << 20);
            assert!((found - f64::from(per_mille) / 1000.0).abs() < 2e-6, "{per_mille}: {found}");
        }
    }

    #[test]
    fn nothing_is_drawn_where_one_side_answers_all() {
        let none = || -> u32 { panic!("nothing to draw") };
        let (go, rust) = (upstream("go"), upstream("rust"));
        for (route, expected) in [
            (Route::new(Some(Arc::clone(&go)), None, CandidateShare(500)), Some("go")),
            (Route::new(Some(go), Some(rust), CandidateShare::NONE), Some("go")),
            (Route::new(None, None, CandidateShare::NONE), None),
        ] {
            assert_eq!(route.draw(none).map(|(upstream, _)| &*upstream.name), expected);
        }
    }
}
