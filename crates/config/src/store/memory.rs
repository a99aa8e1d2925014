//! A store that forgets: for tests, and for a process that keeps nothing.
//!
//! Not here: anything on disk (`embedded`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::feed::Feed;
use super::{Change, Entry, Key, News, Range, Revision, Store, StoreFault, View};

/// Values in memory; gone with the process.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
    feed: Feed,
}

#[derive(Debug, Default)]
struct State {
    revision: Revision,
    entries: BTreeMap<Key, Entry>,
}

impl Memory {
    /// An empty store, at revision 0.
    pub fn new() -> Memory {
        Memory { state: Mutex::default(), feed: Feed::new(Revision(0)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Changes are checked before the first is made, so a panic leaves a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Store for Memory {
    fn read(&self, keys: &[Key], ranges: &[Range]) -> Result<View, StoreFault> {
        let state = self.state();
        let mut entries = BTreeMap::new();
        for key in keys {
            if let Some(entry) = state.entries.get(key) {
                entries.insert(key.clone(), entry.clone());
            }
        }
        for range in ranges {
            let prefix = range.prefix();
            let wanted = state
                .entries
                .iter()
                .filter(|(key, _)| key.as_str().starts_with(&prefix))
                .filter(|(key, _)| range.after.as_ref().is_none_or(|after| *key > after))
                .take(range.most);
            entries.extend(wanted.map(|(key, entry)| (key.clone(), entry.clone())));
        }
        Ok(View { revision: state.revision, entries })
    }

    fn commit(&self, change: &Change) -> Result<Revision, StoreFault> {
        if let Some(fault) = change.too_large() {
            return Err(fault);
        }
        let mut state = self.state();
        for (key, expected) in &change.expected {
            if state.entries.get(key).map(|entry| entry.revision) != *expected {
                return Err(StoreFault::Moved(key.clone()));
            }
        }
        let revision = change.next_after(state.revision)?;
        for (key, value) in &change.writes {
            match value {
                Some(value) => {
                    let entry = Entry { revision, value: value.clone() };
                    state.entries.insert(key.clone(), entry);
                }
                None => {
                    state.entries.remove(key);
                }
            }
        }
        state.revision = revision;
        self.feed.publish(revision, change.keys());
        Ok(revision)
    }

    fn wait(&self, after: Revision, timeout: Duration) -> Result<News, StoreFault> {
        self.feed.wait(after, timeout)
    }
}
