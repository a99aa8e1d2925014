//! Whether memory is short: copies are the first load to be shed (compare M-8).
//!
//! What is held against what may be held: anonymous memory, of this process or of its whole cgroup
//! where that is more, against the lowest limit of the cgroups that it is in, or the machine's
//! memory where none has one. Pages of files are left out: the kernel takes them back when it needs
//! them. From 80 % on nothing is copied; below 75 % it is again, so that a process at the bound does
//! not switch with every reading.
//!
//! Read by the mirror's own thread twice a second, and only where something is mirrored. Between
//! two readings the room of copies bounds what they can add (`room`).
//!
//! Not here: what else might be shed (nothing is yet).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Shares of the limit, in hundredths.
const SHED_AT: u64 = 80;
const BACK_BELOW: u64 = 75;
const EVERY: Duration = Duration::from_millis(500);

/// One reading, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) used: u64,
    pub(super) limit: u64,
}

impl Memory {
    fn is_at(self, percent: u64) -> bool {
        u128::from(self.used) * 100 >= u128::from(self.limit) * u128::from(percent)
    }
}

/// Looks by `read` for as long as the mirror runs, and says in `shed` whether memory is short.
/// Without a reading it is as it was.
pub(super) async fn watch(mut read: impl FnMut() -> Option<Memory>, shed: &AtomicBool) {
    let mut short = false;
    loop {
        if let Some(memory) = read() {
            let now = memory.is_at(if short { BACK_BELOW } else { SHED_AT });
            if now != short {
                short = now;
                shed.store(short, Ordering::Relaxed);
                let Memory { used, limit } = memory;
                match short {
                    true => tracing::warn!(used, limit, "memory is short: nothing is mirrored"),
                    false => tracing::info!(used, limit, "memory is free again: mirroring goes on"),
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Where memory of this process is read.
pub(super) struct Reader {
    limit: u64,
    /// `memory.stat` of the cgroup whose limit it is.
    group: Option<PathBuf>,
}

impl Reader {
    /// `None` where nothing says how much there is.
    pub(super) fn new() -> Option<Reader> {
        let of_machine = field(&text("/proc/meminfo".as_ref())?, "MemTotal:")? << 10;
        let memberships = text("/proc/self/cgroup".as_ref()).unwrap_or_default();
        let of_groups = groups(&memberships).into_iter().filter_map(|(folder, file)| {
            let limit = text(&folder.join(file))?.trim().parse().ok()?;
            Some((limit, folder.join("memory.stat")))
        });
        let lowest = of_groups.min_by_key(|(limit, _)| *limit);
        Some(match lowest.filter(|(limit, _)| *limit < of_machine) {
            Some((limit, stat)) => Reader { limit, group: Some(stat) },
            None => Reader { limit: of_machine, group: None },
        })
    }

    pub(super) fn read(&self) -> Option<Memory> {
        let own = field(&text("/proc/self/status".as_ref())?, "RssAnon:")? << 10;
        let group = self.group.as_deref().and_then(text);
        let group = group.and_then(|stat| field(&stat, "anon").or(field(&stat, "total_rss")));
        Some(Memory { used: own.max(group.unwrap_or(0)), limit: self.limit })
    }
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    let mut line = lines.find_map(|mut words| (words.next() == Some(name)).then_some(words))?;
    line.next()?.parse().ok()
}

/// The cgroups that a process is in, with those above, each with the file of its limit. The root of
/// each hierarchy is among them: inside a container it is the container's own.
fn groups(memberships: &str) -> Vec<(PathBuf, &'static str)> {
    let mut all = Vec::new();
    for line in memberships.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let below = Path::new(path.trim_start_matches('/'));
        all.extend(below.ancestors().map(|below| (Path::new(mount).join(below), file)));
    }
    all
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn compare_m_8_copies_are_shed_from_80_percent_of_memory_and_return_below_75() {
        let shed = AtomicBool::new(false);
        let seen = RefCell::new(Vec::new());
        let mut readings = [799, 800, 760, 750, 749, 799, 1_200].map(Some).into_iter();
        // What a reading says is seen at the next one.
        let read = || {
            seen.borrow_mut().push(shed.load(Ordering::Relaxed));
            let used = readings.next().flatten();
            used.map(|used| Memory { used, limit: 1_000 })
        };
        let _ended = tokio::time::timeout(EVERY * 8, watch(read, &shed)).await;
        let expected = [false, false, true, true, true, false, false, true];
        assert_eq!(seen.borrow()[..8], expected);
        // No reading changes nothing.
        assert!(shed.load(Ordering::Relaxed));
    }

    #[test]
    fn memory_of_this_process_is_read_against_a_limit_that_it_keeps() {
        let Memory { used, limit } = Reader::new().unwrap().read().unwrap();
        assert!(used > 0 && used < limit, "{used} of {limit}");
    }

    #[test]
    fn limits_are_looked_for_in_both_kinds_of_cgroups_and_in_those_above() {
        let text = "12:cpu,cpuacct:/a\n4:memory:/a/b\n0::/a\nodd\n";
        let found: Vec<String> = groups(text)
            .into_iter()
            .map(|(folder, file)| folder.join(file).display().to_string())
            .collect();
        let expected = [
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/a/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(found, expected);
        assert_eq!(field("Name: x\nRssAnon:\t  112 kB\n", "RssAnon:"), Some(112));
        assert_eq!(field("anon_thp 1\nanon 7\n", "anon"), Some(7));
        assert_eq!(field("anon max\n", "anon"), None);
    }
}
