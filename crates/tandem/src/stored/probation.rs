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
//! A gateway that starts anew within the minute watches on, for a whole one: what it knew of the
//! time before lies in a file of the data folder.
//!
//! Not here: the counters (`tandem_gateway::observe`).

use std::collections::VecDeque;
use std::io;

use serde_json::json;
use tandem_config::history::Version;
use tandem_gateway::SettingsRefused;

use super::acts::blocking;
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

/// What was counted before each version that is watched, for a start within its minute.
///
/// Losing it is no fault: a version is then held against a time without a failure.
#[derive(Debug)]
pub(super) struct Evidence(PathBuf);

impl Evidence {
    /// In a file of the folder `data`.
    pub(super) fn below(data: &Path) -> Evidence {
        Evidence(data.join("watched.json"))
    }

    fn keep(&self, watched: &[(NamespaceName, u32, Count)]) -> io::Result<()> {
        let each = watched.iter().map(|(name, number, Count { calls, failed })| {
            (name.to_string(), json!([number, calls, failed]))
        });
        let all: serde_json::Value = each.collect();
        let aside = self.0.with_extension("part");
        std::fs::write(&aside, all.to_string()).and_then(|()| std::fs::rename(&aside, &self.0))
    }

    fn of(&self, namespace: &NamespaceName, number: u32) -> Count {
        let text = std::fs::read(&self.0).unwrap_or_default();
        let kept: BTreeMap<String, (u32, u64, u64)> =
            serde_json::from_slice(&text).unwrap_or_default();
        match kept.get(namespace.as_str()) {
            Some((of, calls, failed)) if *of == number => Count { calls: *calls, failed: *failed },
            _ => Count::default(),
        }
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
        let mut watched = self.watched_on().await;
        let mut kept = Vec::new();
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
                        if !has_probation(live.number, &live.who) {
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
            let each = watched.iter().map(|one| (one.namespace.clone(), one.number, one.before));
            let now: Vec<_> = each.collect();
            if now != kept {
                kept.clone_from(&now);
                let this = Arc::clone(self);
                let written = tokio::task::spawn_blocking(move || this.evidence.keep(&now)).await;
                if let Ok(Err(error)) = written {
                    tracing::warn!(%error, "what was counted is not kept for the next start");
                }
            }
        }
    }

    /// The versions that went live within a minute before this process began to serve.
    async fn watched_on(self: &Arc<Self>) -> Vec<OnProbation> {
        let this = Arc::clone(self);
        let found = tokio::task::spawn_blocking(move || {
            let live: Vec<_> = this.state().live.clone().into_iter().collect();
            let since = now().0.saturating_sub(WATCHED.as_millis() as u64);
            let young = live.into_iter().filter(|(_, content)| {
                let Version { number, who, when, .. } = &content.version;
                has_probation(*number, who) && when.0 > since
            });
            let watched = young.map(|(namespace, content)| {
                let number = content.version.number;
                let before = this.evidence.of(&namespace, number);
                OnProbation { namespace, number, seconds: 0, began: Count::default(), before }
            });
            watched.collect()
        });
        found.await.unwrap_or_default()
    }

    /// A service that wants all its instances to agree has one that does not (hybrid SE-2).
    async fn settings_refused(self: &Arc<Self>, refused: SettingsRefused) {
        let SettingsRefused { namespace, version, service, instance, reason } = refused;
        let Some(namespace) = NamespaceName::new(&namespace) else { return };
        let live = self.live(&namespace);
        let taken = live.filter(|content| {
            let Version { number, who, .. } = &content.version;
            u64::from(*number) == version && has_probation(*number, who)
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
        // Reading the store blocks, and the side has one thread for everything else.
        let (this, handle) = (Arc::clone(self), tokio::runtime::Handle::current());
        let back = blocking(move || {
            handle.block_on(this.roll_back(gateway, source, name, number - 1, why, number))
        });
        if let Err(fault) = back.await {
            tracing::error!(%namespace, version = number, ?fault, "it could not be taken back");
        }
    }
}

/// The first has nothing to go back to, and what the gateway took back itself would only be taken
/// back and forth.
fn has_probation(number: u32, who: &str) -> bool {
    number > 1 && who != Principal::gateway().name()
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
    fn what_was_counted_before_is_known_again_for_its_version_alone() {
        let folder = std::env::temp_dir().join(format!("tandem-watched-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let evidence = Evidence::below(&folder);
        let shop = NamespaceName::new("shop").unwrap();
        assert_eq!(evidence.of(&shop, 3), Count::default(), "nothing was kept");
        let count = Count { calls: 100, failed: 10 };
        evidence.keep(&[(shop.clone(), 3, count)]).unwrap();
        assert_eq!(evidence.of(&shop, 3), count);
        assert_eq!(evidence.of(&shop, 4), Count::default());
        std::fs::write(folder.join("watched.json"), "{").unwrap();
        assert_eq!(evidence.of(&shop, 3), Count::default(), "it is no reason not to start");
        std::fs::remove_dir_all(&folder).unwrap();
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
