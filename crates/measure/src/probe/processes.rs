//! Who runs on the machine at this moment, and whose children they are.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Process;
use super::process_text::{self, Stat};
use super::system::System;

/// One walk over `/proc`. It is no picture of one moment: processes come and go during the walk.
#[derive(Debug, Default)]
pub(super) struct Processes {
    by_pid: BTreeMap<u32, Stat>,
}

/// Processes of one tree that are looked at.
pub(super) const MEMBERS_MOST: usize = 4096;

impl Processes {
    pub(super) fn scan(system: &System) -> Processes {
        let stats = system.pids().into_iter().filter_map(|pid| stat(system, pid));
        Processes { by_pid: stats.map(|stat| (stat.pid, stat)).collect() }
    }

    pub(super) fn find(&self, pid: u32) -> Option<Process> {
        self.by_pid.get(&pid).filter(|stat| !stat.is_over()).map(Process::of)
    }

    pub(super) fn holds(&self, process: Process) -> bool {
        self.find(process.pid) == Some(process)
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.by_pid.keys().copied()
    }

    /// `roots` that still run, and all below them. Ended children that were not waited for are
    /// there: their clocks still stand.
    pub(super) fn tree(&self, roots: impl IntoIterator<Item = Process>) -> BTreeSet<Process> {
        let mut children: BTreeMap<u32, Vec<&Stat>> = BTreeMap::new();
        for stat in self.by_pid.values() {
            children.entry(stat.parent).or_default().push(stat);
        }
        let mut found = BTreeSet::new();
        let mut next: Vec<Process> = roots.into_iter().filter(|root| self.holds(*root)).collect();
        while let Some(process) = next.pop() {
            if found.len() >= MEMBERS_MOST || !found.insert(process) {
                continue;
            }
            let below = children.get(&process.pid).into_iter().flatten();
            next.extend(below.map(|stat| Process::of(stat)));
        }
        found
    }
}

impl Process {
    pub(super) fn of(stat: &Stat) -> Process {
        Process { pid: stat.pid, start_ticks: stat.start_ticks }
    }
}

pub(super) fn stat(system: &System, pid: u32) -> Option<Stat> {
    process_text::stat(&system.of_process(pid, "stat").ok()?).filter(|stat| stat.pid == pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn machine(processes: &[(u32, u32)]) -> Processes {
        let stat = |&(pid, parent): &(u32, u32)| Stat {
            pid,
            state: b'S',
            parent,
            own: Duration::ZERO,
            reaped: Duration::ZERO,
            threads: 1,
            start_ticks: u64::from(pid) * 10,
        };
        Processes { by_pid: processes.iter().map(stat).map(|stat| (stat.pid, stat)).collect() }
    }

    fn pids(processes: &Processes, root: u32) -> Vec<u32> {
        let root = Process { pid: root, start_ticks: u64::from(root) * 10 };
        processes.tree([root]).into_iter().map(|process| process.pid).collect()
    }

    #[test]
    fn a_tree_is_a_process_with_all_below_it() {
        let processes = machine(&[(1, 0), (2, 1), (3, 2), (4, 1), (5, 3)]);
        assert_eq!(pids(&processes, 2), [2, 3, 5]);
        assert_eq!(pids(&processes, 5), [5]);
        assert_eq!(pids(&processes, 9), [] as [u32; 0]);
    }

    #[test]
    fn parents_in_a_circle_end() {
        assert_eq!(pids(&machine(&[(2, 3), (3, 2), (4, 4)]), 2), [2, 3]);
        assert_eq!(pids(&machine(&[(4, 4)]), 4), [4]);
    }

    #[test]
    fn a_pid_of_another_start_is_another_process() {
        let processes = machine(&[(2, 1)]);
        assert!(processes.holds(Process { pid: 2, start_ticks: 20 }));
        assert!(!processes.holds(Process { pid: 2, start_ticks: 21 }));
        assert!(processes.tree([Process { pid: 2, start_ticks: 21 }]).is_empty());
    }
}
