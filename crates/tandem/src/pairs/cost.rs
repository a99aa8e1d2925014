//! What the two upstreams of a pair use for a call, from the readings of their processes.
//!
//! CPU is divided by all calls that reached an upstream in the same stretch of time, mirrored
//! copies included, or a side that gets a small share of them would look dear (compare G-6). What
//! a process uses when nobody calls is taken off where a stretch without any call has shown it;
//! where none has, it stays in the figure, and `idle` is `None`.
//!
//! Not here: reading (`tandem_gateway`), what a ratio means (`tandem_judge::live`).

use tandem_gateway::{CostWindow, UpstreamCost};

/// A stretch in which either side had fewer calls joins the next (compare G-6).
const CALLS_LEAST: u64 = 200;

/// What one upstream uses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LaneCost {
    /// CPU seconds a call; `None` while nobody called, or nothing was read.
    pub(crate) per_call_s: Option<f64>,
    /// Calls that it rests on.
    pub(crate) calls: u64,
    /// CPU seconds a second without any call.
    pub(crate) idle: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
    buckets: Vec<(u64, CostWindow)>,
}

impl LaneCost {
    /// Of the upstream `name`; `None` where it names no `cost`. While an instance is missing its
    /// figures are of a part, and are not divided by the calls of all.
    pub(crate) fn of(costs: &[UpstreamCost], namespace: &str, name: &str) -> Option<LaneCost> {
        let found =
            costs.iter().find(|cost| cost.namespace == namespace && cost.upstream == name)?;
        // Not the first: a service that has just begun is busy with itself.
        let silent = found.buckets.iter().skip(1).filter(|(_, bucket)| bucket.calls == 0);
        let mut idle: Vec<f64> = silent.filter_map(|(_, bucket)| rate(bucket)).collect();
        idle.sort_by(f64::total_cmp);
        let idle = idle.get(idle.len() / 2).copied();
        let whole = found.missing == 0;
        Some(LaneCost {
            per_call_s: whole.then(|| per_call(&found.total, idle)).flatten(),
            calls: found.total.calls,
            idle,
            memory_bytes: found.memory_bytes,
            buckets: if whole { found.buckets.clone() } else { Vec::new() },
        })
    }
}

/// The logs of candidate/primary, one of each stretch in which both had calls enough.
pub(crate) fn logs(primary: &LaneCost, candidate: &LaneCost) -> Vec<f64> {
    let mut logs = Vec::new();
    let mut joined: [CostWindow; 2] = Default::default();
    for (number, one) in &primary.buckets {
        let Ok(at) = candidate.buckets.binary_search_by_key(number, |(number, _)| *number) else {
            continue;
        };
        for (sum, bucket) in joined.iter_mut().zip([one, &candidate.buckets[at].1]) {
            sum.seconds += bucket.seconds;
            sum.calls += bucket.calls;
            sum.cpu_s = bucket.cpu_s.map(|cpu| sum.cpu_s.unwrap_or_default() + cpu);
        }
        if joined.iter().any(|sum| sum.calls < CALLS_LEAST) {
            continue;
        }
        let [of_primary, of_candidate] = std::mem::take(&mut joined);
        let each = (per_call(&of_primary, primary.idle), per_call(&of_candidate, candidate.idle));
        if let (Some(of_primary), Some(of_candidate)) = each {
            logs.push((of_candidate / of_primary).ln());
        }
    }
    logs
}

/// `None` where nothing positive is left: such a quotient says nothing.
fn per_call(window: &CostWindow, idle: Option<f64>) -> Option<f64> {
    let used = window.cpu_s? - idle.unwrap_or_default() * window.seconds;
    (window.calls > 0 && used > 0.0).then(|| used / window.calls as f64)
}

fn rate(window: &CostWindow) -> Option<f64> {
    window.cpu_s.filter(|_| window.seconds > 0.0).map(|cpu| cpu / window.seconds)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// Stretches of 30 s with so many calls, for a side that uses `idle` of a core by itself and
    /// `per_call_s` for each call.
    fn lane(calls: &[u64], idle: f64, per_call_s: f64) -> LaneCost {
        let window = |calls: u64, seconds: f64| CostWindow {
            seconds,
            cpu_s: Some(idle * seconds + per_call_s * calls as f64),
            calls,
        };
        let cost = UpstreamCost {
            namespace: "shop".into(),
            upstream: "go".into(),
            target: "pid:1".into(),
            source: "process clock".into(),
            memory_source: "RssAnon".into(),
            since: SystemTime::UNIX_EPOCH,
            window: CostWindow::default(),
            total: window(calls.iter().sum(), 30.0 * calls.len() as f64),
            buckets: (0..).zip(calls.iter().map(|calls| window(*calls, 30.0))).collect(),
            memory_bytes: Some(1),
            memory_peak_bytes: Some(1),
            processes: 1,
            restarts: 0,
            missing: 0,
        };
        assert_eq!(LaneCost::of(std::slice::from_ref(&cost), "shop", "rust"), None);
        LaneCost::of(&[cost], "shop", "go").unwrap()
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn compare_t_15_equal_sides_at_unequal_shares_cost_the_same_once_idle_is_known() {
        let primary = lane(&[0, 0, 60_000, 60_000], 0.01, 40e-6);
        let candidate = lane(&[0, 0, 600, 600], 0.01, 40e-6);
        assert!(near(primary.per_call_s.unwrap(), 40e-6));
        assert!(near(candidate.per_call_s.unwrap(), 40e-6));
        let logs = logs(&primary, &candidate);
        assert_eq!(logs.len(), 2);
        assert!(logs.iter().all(|log| near(*log, 0.0)), "{logs:?}");
        // Never seen idle: the figure holds it, and says that it does.
        let unknown = lane(&[600, 600], 0.01, 40e-6);
        assert_eq!(unknown.idle, None);
        assert!(near(unknown.per_call_s.unwrap(), 40e-6 + 0.01 * 60.0 / 1_200.0));
    }

    #[test]
    fn compare_g_6_a_stretch_with_few_calls_joins_the_next() {
        let primary = lane(&[500, 500, 500, 500, 500], 0.0, 10e-6);
        let candidate = lane(&[199, 1, 200, 150, 49], 0.0, 20e-6);
        let logs = logs(&primary, &candidate);
        assert_eq!(logs.len(), 2, "the last 199 wait");
        assert!(logs.iter().all(|log| near(*log, 2.0_f64.ln())), "{logs:?}");
    }
}
