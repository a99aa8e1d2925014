//! What moved lately, for those who watch; the same for every store of this process.
//!
//! Holds the keys of the last changes. A watcher that comes later than that is told so and reads
//! everything again; it never misses a change in silence.
//!
//! Not here: reading what moved.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{Key, News, Revision, StoreFault};

/// Changes whose keys are held.
const CHANGES_MOST: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Feed {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    revision: Revision,
    /// In the order of their revisions, which may skip numbers.
    changes: VecDeque<(Revision, Vec<Key>)>,
    /// All changes after this one are held.
    complete_after: Revision,
}

impl Feed {
    /// For a store that stands at `revision`.
    pub(crate) fn new(revision: Revision) -> Feed {
        let state = State { revision, changes: VecDeque::new(), complete_after: revision };
        Feed { state: Mutex::new(state), moved: Condvar::new() }
    }

    pub(crate) fn publish(&self, revision: Revision, keys: Vec<Key>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.revision = revision;
        state.changes.push_back((revision, keys));
        if state.changes.len() > CHANGES_MOST
            && let Some((dropped, _)) = state.changes.pop_front()
        {
            state.complete_after = dropped;
        }
        self.moved.notify_all();
    }

    /// The store was opened anew at `revision`: what happened meanwhile is not known.
    pub(crate) fn restart(&self, revision: Revision) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.revision != revision {
            *state = State { revision, changes: VecDeque::new(), complete_after: revision };
            self.moved.notify_all();
        }
    }

    pub(crate) fn wait(&self, after: Revision, timeout: Duration) -> Result<News, StoreFault> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.moved.wait_timeout_while(state, timeout, |state| state.revision == after);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let revision = state.revision;
        if revision < after {
            return Err(StoreFault::Older { known: after, found: revision });
        }
        if revision == after {
            return Ok(News::Nothing);
        }
        if after < state.complete_after {
            return Ok(News::Gap { revision });
        }
        let keys: BTreeSet<Key> = state
            .changes
            .iter()
            .filter(|(revision, _)| *revision > after)
            .flat_map(|(_, keys)| keys.iter().cloned())
            .collect();
        Ok(News::Moved { revision, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::*;

    #[test]
    fn a_watcher_learns_of_each_change_or_that_it_came_too_late() {
        let key = |number| Key::audit(&Scope::Platform, number);
        let feed = Feed::new(Revision(10));
        let news = |after| feed.wait(Revision(after), Duration::ZERO).unwrap();
        assert_eq!(news(10), News::Nothing);
        for number in 1..=CHANGES_MOST as u64 {
            feed.publish(Revision(10 + number), vec![key(number)]);
        }
        let last = 10 + CHANGES_MOST as u64;
        let News::Moved { revision, keys } = news(10) else { panic!("all changes are held") };
        assert_eq!((revision, keys.len()), (Revision(last), CHANGES_MOST));
        assert_eq!(news(9), News::Gap { revision: Revision(last) });
        feed.publish(Revision(last + 1), vec![key(0)]);
        assert_eq!(news(10), News::Gap { revision: Revision(last + 1) });
        let News::Moved { keys, .. } = news(last) else { panic!("the last change is held") };
        assert_eq!(keys, BTreeSet::from([key(0)]));
        let older = feed.wait(Revision(last + 2), Duration::ZERO).unwrap_err();
        assert!(matches!(older, StoreFault::Older { .. }), "{older}");
        feed.restart(Revision(last + 5));
        assert_eq!(news(last + 1), News::Gap { revision: Revision(last + 5) });
    }
}
