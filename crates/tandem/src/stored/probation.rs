//! The minute after a version went live: one that breaks calls is taken back by itself (security
//! CF-2).
//!
//! Counted are calls that failed between the gateway and the upstreams of the namespace, which is
//! what a document can break; what services answer is theirs. Taken back is a version under which
//! at least [`FAILURES_LEAST`] calls failed so, and more than one in twenty, and more than three
//! times as many as in the five minutes before. The evidence stands in the history and in the
//! audit log.
//!
//! A version whose settings an instance refuses is taken back as well where the service says
//! `require: all` (hybrid SE-2).
//!
//! Not here: the counters (`tandem_gateway::observe`).

use std::collections::VecDeque;

use tandem_config::history::Version;
use tandem_gateway::SettingsRefused;

use super::*;

/// How long a version is watched.
const WATCHED: Duration = Duration::from_secs(60);
/// How long before it is looked at for comparison.
const BEFORE: Duration = Duration::from_secs(300);
/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
const FAILURES_LEAST: u64 = 20;
const SHARE_MOST: f64 = 0.05;
const TIMES_MOST: f64 = 3.0;

/// Calls of a namespace, and those of them that failed at the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    calls: u64,
    failed: u64,
}

impl Count {
    fn since(self, earlier: Count) -> Count {
        Count {
            calls: self.calls.saturating_sub(earlier.calls),
            failed: self.failed.saturating_sub(earlier.failed),
        }
    }

    fn share(self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.failed as f64 / self.calls as f64 }
    }
}

/// Why a version is taken back; `None`: it stays.
fn verdict(since: Count, before: Count) -> Option<String> {
    let most = SHARE_MOST.max(TIMES_MOST * before.share());
    (since.failed >= FAILURES_LEAST && since.share() > most).then(|| {
        format!(
            "{} of {} calls failed at the gateway since it went live ({:.1} %), {:.1} % before",
            since.failed,
            since.calls,
            since.share() * 100.0,
            before.share() * 100.0,
        )
    })
}

/// A version that is watched.
struct OnProbation {
    namespace: NamespaceName,
    number: u32,
    seconds: u64,
    began: Count,
    before: Count,
}

impl Stored {
    /// Watches versions that go live, until the gateway drains.
    pub(super) async fn watch_versions(self: &Arc<Self>, view: &View) {
        let (mut news, mut refused) = (self.news(), view.settings_refused());
        let mut each = tokio::time::interval(EVERY);
        each.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut history: VecDeque<BTreeMap<String, Count>> = VecDeque::new();
        let mut watched: Vec<OnProbation> = Vec::new();
        loop {
            tokio::select! {
                _ = each.tick() => {
                    let now = counts(view);
                    history.push_back(now.clone());
                    if history.len() as u64 > BEFORE.as_secs() / EVERY.as_secs() {
                        history.pop_front();
                    }
                    let mut on = Vec::new();
                    for mut one in std::mem::take(&mut watched) {
                        one.seconds += EVERY.as_secs();
                        let count = now.get(one.namespace.as_str()).copied().unwrap_or_default();
                        match verdict(count.since(one.began), one.before) {
                            Some(why) => self.take_back(&one.namespace, one.number, why).await,
                            None if one.seconds < WATCHED.as_secs() => on.push(one),
                            None => {}
                        }
                    }
                    watched = on;
                }
                refused = refused.recv() => match refused {
                    Ok(refused) => self.settings_refused(refused).await,
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                live = news.recv() => match live {
                    Ok(live) => {
                        let Some(namespace) = NamespaceName::new(&live.namespace) else { continue };
                        watched.retain(|one| one.namespace != namespace);
                        // The first has nothing to go back to, and what the gateway took back
                        // itself would only be taken back and forth.
                        if live.number < 2 || live.who == Principal::gateway().name() {
                            continue;
                        }
                        let began =
                            counts(view).get(live.namespace.as_str()).copied().unwrap_or_default();
                        let oldest = history.front().and_then(|one| one.get(&live.namespace));
                        let before = began.since(oldest.copied().unwrap_or_default());
                        let number = live.number;
                        watched.push(OnProbation { namespace, number, seconds: 0, began, before });
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            }
        }
    }

    /// A service that wants all its instances to agree has one that does not (hybrid SE-2).
    async fn settings_refused(self: &Arc<Self>, refused: SettingsRefused) {
        let SettingsRefused { namespace, version, service, instance, reason } = refused;
        let Some(namespace) = NamespaceName::new(&namespace) else { return };
        let live = self.live(&namespace);
        let taken = live.filter(|content| {
            let Version { number, who, .. } = &content.version;
            u64::from(*number) == version && *number > 1 && who != Principal::gateway().name()
        });
        if let Some(content) = taken {
            let why = format!("instance `{instance}` of {service} refused its settings: {reason}");
            self.take_back(&namespace, content.version.number, why).await;
        }
    }

    async fn take_back(self: &Arc<Self>, namespace: &NamespaceName, number: u32, why: String) {
        tracing::error!(%namespace, version = number, "taken back: {why}");
        let gateway = Principal::gateway();
        let why = format!("version {number} taken back: {why}");
        let (source, name) = (Source::Gateway, namespace.clone());
        let back = self.roll_back(gateway, source, name, number - 1, why, number).await;
        if let Err(fault) = back {
            tracing::error!(%namespace, version = number, ?fault, "it could not be taken back");
        }
    }
}

fn counts(view: &View) -> BTreeMap<String, Count> {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for method in view.metrics().methods() {
        let figures = method.figures();
        let count = counts.entry(method.namespace.to_string()).or_default();
        count.calls += figures.calls();
        count.failed += figures.ours;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(since: (u64, u64), before: (u64, u64), taken_back: bool) {
        let count = |(failed, calls)| Count { calls, failed };
        let why = verdict(count(since), count(before));
        assert_eq!(why.is_some(), taken_back, "{since:?} {before:?} {why:?}");
    }

    #[test]
    fn security_cf_2_both_sides_of_each_bound() {
        check((20, 20), (0, 1000), true);
        check((19, 19), (0, 1000), false); // too few to tell
        check((20, 399), (0, 1000), true);
        check((20, 400), (0, 1000), false); // five in a hundred, not more
        check((25, 100), (10, 100), false); // three times as many would be 30
        check((31, 100), (10, 100), true);
        check((0, 0), (0, 0), false);
    }

    #[test]
    fn the_evidence_has_its_figures() {
        let why = verdict(Count { calls: 120, failed: 30 }, Count { calls: 1000, failed: 2 });
        assert_eq!(
            why.as_deref(),
            Some("30 of 120 calls failed at the gateway since it went live (25.0 %), 0.2 % before")
        );
    }
}
