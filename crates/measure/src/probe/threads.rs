//! Switches and waiting of threads that come and go, added up.
//!
//! The kernel keeps these by thread and forgets them with it: what a thread did after the last
//! reading before its end is lost, and threads shorter than the time between two readings are not
//! seen at all. CPU has a clock of the whole process instead.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::Process;
use super::process_text;
use super::system::System;

/// A thread that is told from another one of the same number by its process.
type Thread = (Process, u32);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    voluntary: u64,
    involuntary: u64,
    waited: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Threads {
    living: Option<BTreeMap<Thread, Seen>>,
    sum: Seen,
}

/// Threads that are read at most; a part of them would be a figure of something else.
const THREADS_MOST: usize = 16_384;

/// What threads did since the first reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Switches {
    pub(super) voluntary: u64,
    pub(super) involuntary: u64,
    pub(super) waited: Duration,
}

impl Threads {
    /// `None` where there are too many, or they may not be seen.
    pub(super) fn read<'a>(
        &mut self,
        system: &System,
        members: impl Iterator<Item = &'a Process>,
    ) -> Option<Switches> {
        let mut now = BTreeMap::new();
        for process in members {
            for thread in system.threads(process.pid) {
                if now.len() >= THREADS_MOST {
                    return None;
                }
                if let Some(seen) = seen(system, process.pid, thread) {
                    now.insert((*process, thread), seen);
                }
            }
        }
        Some(self.advance(now))
    }

    fn advance(&mut self, now: BTreeMap<Thread, Seen>) -> Switches {
        if let Some(before) = &self.living {
            for (thread, seen) in &now {
                let last = before.get(thread).copied().unwrap_or_default();
                // A number that was given to another thread begins at nothing.
                let last = if last.waited > seen.waited || last.voluntary > seen.voluntary {
                    Seen::default()
                } else {
                    last
                };
                self.sum.voluntary += seen.voluntary.saturating_sub(last.voluntary);
                self.sum.involuntary += seen.involuntary.saturating_sub(last.involuntary);
                self.sum.waited += seen.waited.saturating_sub(last.waited);
            }
        }
        self.living = Some(now);
        let Seen { voluntary, involuntary, waited } = self.sum;
        Switches { voluntary, involuntary, waited }
    }
}

fn seen(system: &System, pid: u32, thread: u32) -> Option<Seen> {
    let status = system.of_process(pid, &format!("task/{thread}/status")).ok()?;
    let status = process_text::status(&status);
    // Absent where the kernel was built without it: nothing is known to have waited then.
    let waited = system.of_process(pid, &format!("task/{thread}/schedstat")).ok();
    Some(Seen {
        voluntary: status.switches_voluntary?,
        involuntary: status.switches_involuntary?,
        waited: waited.and_then(|text| process_text::waited(&text)).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_come_and_go_are_added_up() {
        let mut threads = Threads::default();
        let mut read = |seen: &[(u32, u64, u64)]| {
            let process = Process { pid: 1, start_ticks: 0 };
            let one = |&(thread, voluntary, waited_ms): &(u32, u64, u64)| {
                let waited = Duration::from_millis(waited_ms);
                ((process, thread), Seen { voluntary, involuntary: 0, waited })
            };
            let sum = threads.advance(seen.iter().map(one).collect());
            (sum.voluntary, sum.waited.as_millis())
        };
        assert_eq!(read(&[(1, 100, 50)]), (0, 0), "what was before does not count");
        assert_eq!(read(&[(1, 103, 51), (2, 10, 4)]), (13, 5), "a thread that came counts whole");
        assert_eq!(read(&[(1, 104, 51)]), (14, 5), "one that went takes nothing back");
        assert_eq!(read(&[(1, 2, 1)]), (16, 6), "a number given again begins at nothing");
    }
}
