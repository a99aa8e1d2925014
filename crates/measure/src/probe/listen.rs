//! Who listens on a port: the inode of the socket, and whose descriptors point at it.

use std::collections::BTreeSet;

use super::ledger::Process;
use super::process_text;
use super::processes::Processes;
use super::system::System;

/// All who hold a listener on `port`, in the network namespace of this process. `None` where there
/// is none, or its holder's descriptors may not be seen.
pub(super) fn on(system: &System, processes: &Processes, port: u16) -> Option<BTreeSet<Process>> {
    let tables = ["net/tcp", "net/tcp6"].into_iter().filter_map(|file| system.table(file).ok());
    let inodes: BTreeSet<u64> =
        tables.flat_map(|text| process_text::listeners(&text, port)).collect();
    if inodes.is_empty() {
        return None;
    }
    let holds = |pid: &u32| {
        let mut sockets = system.descriptors(*pid).filter_map(|link| process_text::socket(&link));
        sockets.any(|inode| inodes.contains(&inode))
    };
    let found: BTreeSet<Process> =
        processes.pids().filter(holds).filter_map(|pid| processes.find(pid)).collect();
    Some(found).filter(|found| !found.is_empty())
}
