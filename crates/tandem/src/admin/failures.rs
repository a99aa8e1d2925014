//! Wrong tokens, counted by where they come from (security LI-31).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failed log-ins of one source in one minute (LI-31).
const FAILURES_MOST: u32 = 10;
const FAILURES_WINDOW: Duration = Duration::from_secs(60);
/// Sources that are remembered.
const SOURCES_MOST: usize = 1024;

/// Who failed lately.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Failures {
    /// Whether `source` has to wait.
    pub(crate) fn are_too_many(&self, source: IpAddr) -> bool {
        let (now, failures) = (Instant::now(), self.0.lock());
        let failures = failures.unwrap_or_else(PoisonError::into_inner);
        failures.get(&source).is_some_and(|(since, count)| {
            now.duration_since(*since) < FAILURES_WINDOW && *count >= FAILURES_MOST
        })
    }

    /// Somebody at `source` came with what opens nothing.
    pub(crate) fn count(&self, source: IpAddr) {
        let now = Instant::now();
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= SOURCES_MOST {
            failures.retain(|_, (since, _)| now.duration_since(*since) < FAILURES_WINDOW);
            if failures.len() >= SOURCES_MOST {
                // All of them failed within this minute; the count of one more is not worth memory.
                failures.clear();
            }
        }
        let entry = failures.entry(source).or_insert((now, 0));
        if now.duration_since(entry.0) >= FAILURES_WINDOW {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}
