//! The files of cgroups, and of where they are mounted, turned into numbers and paths.
//!
//! Pure, as `process_text` is. Sources: cgroups(7); Documentation/admin-guide/cgroup-v2.rst and
//! cgroup-v1/ of the kernel; proc(5), "mountinfo".

use std::path::PathBuf;
use std::time::Duration;

/// Where one hierarchy is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// What of the hierarchy is to be seen there.
    pub(super) root: PathBuf,
    pub(super) at: PathBuf,
    /// `None` is version 2, else the controllers of version 1.
    pub(super) controllers: Option<Vec<String>>,
}

/// The hierarchies of `/proc/self/mountinfo`.
pub(super) fn mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (head, tail) = line.split_once(" - ")?;
    let mut head = head.split(' ').skip(3);
    let (root, at) = (unescaped(head.next()?), unescaped(head.next()?));
    let mut tail = tail.split(' ');
    let kind = tail.next()?;
    let options = tail.nth(1)?;
    let controllers = match kind {
        "cgroup2" => None,
        "cgroup" => Some(options.split(',').map(str::to_owned).collect()),
        _ => return None,
    };
    Some(Mount { root: root.into(), at: at.into(), controllers })
}

/// Blanks and line ends stand as `\040` there.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal = (byte == b'\\').then(|| after.get(..3)).flatten().and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        out.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// One line of `/proc/PID/cgroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Membership {
    /// `None` is version 2.
    pub(super) controllers: Option<Vec<String>>,
    pub(super) path: PathBuf,
}

pub(super) fn memberships(text: &str) -> Vec<Membership> {
    let line = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (number, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let controllers = match (number, names) {
            ("0", "") => None,
            _ => Some(names.split(',').map(str::to_owned).collect()),
        };
        path.starts_with('/').then(|| Membership { controllers, path: path.into() })
    };
    text.lines().filter_map(line).collect()
}

/// `cpu.stat` of version 2; throttling is there only where the controller is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuStat {
    pub(super) usage: Duration,
    pub(super) throttled: Option<u64>,
}

pub(super) fn cpu_stat(text: &str) -> Option<CpuStat> {
    let usage = Duration::from_micros(keyed(text, "usage_usec")?);
    Some(CpuStat { usage, throttled: keyed(text, "nr_throttled") })
}

/// Anonymous memory in `memory.stat`: `anon` of version 2, `total_rss` of version 1.
pub(super) fn anonymous(text: &str) -> Option<u64> {
    keyed(text, "anon").or_else(|| keyed(text, "total_rss"))
}

/// A file that holds one number.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim_end().parse().ok()
}

/// How long somebody in the cgroup waited for a core: the `some` line of `cpu.pressure`.
pub(super) fn pressure(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = line.split(' ').find_map(|field| field.strip_prefix("total="))?;
    Some(Duration::from_micros(total.parse().ok()?))
}

/// `cpu.max` of version 2 in cores; `None` where there is no limit.
pub(super) fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.trim_end().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0).then(|| quota as f64 / period as f64)
}

/// The pids of `cgroup.procs`. A process of another pid namespace stands there as 0.
pub(super) fn pids(text: &str) -> impl Iterator<Item = u32> {
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0)
}

fn keyed(text: &str, key: &str) -> Option<u64> {
    let find = |line: &str| line.split_once(' ').filter(|(name, _)| *name == key)?.1.parse().ok();
    text.lines().find_map(find)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found_among_the_mounts() {
        let text = "23 1 0:21 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                    33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n\
                    41 31 0:38 /docker/ab /sys/fs/cgroup\\040x rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate\n";
        let expected = [
            Mount {
                root: "/".into(),
                at: "/sys/fs/cgroup/cpuacct".into(),
                controllers: Some(vec!["rw".into(), "cpuacct".into()]),
            },
            Mount { root: "/docker/ab".into(), at: "/sys/fs/cgroup x".into(), controllers: None },
        ];
        assert_eq!(mounts(text), expected);
    }

    #[test]
    fn a_mount_line_that_is_none_is_left_out() {
        for text in
            ["", " - ", "1 2 3 4 - cgroup2", "a - cgroup2 cgroup2 rw", "1 2 3 / /x rw - cgroup2 x"]
        {
            assert_eq!(mounts(text), [], "{text:?}");
        }
        for (text, expected) in
            [("a\\04", "a\\04"), ("\\", "\\"), ("\\999x", "\\999x"), ("é\\040", "é ")]
        {
            assert_eq!(unescaped(text), expected);
        }
    }

    #[test]
    fn a_process_is_in_one_cgroup_of_each_hierarchy() {
        let text =
            "9:name=systemd:/\n4:memory:/a:b\n2:cpu,cpuacct:/x\n0::/system.slice/a.service\n";
        let named = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let expected = [
            Membership { controllers: named(&["name=systemd"]), path: "/".into() },
            Membership { controllers: named(&["memory"]), path: "/a:b".into() },
            Membership { controllers: named(&["cpu", "cpuacct"]), path: "/x".into() },
            Membership { controllers: None, path: "/system.slice/a.service".into() },
        ];
        assert_eq!(memberships(text), expected);
        for text in ["", "0", "0::", "0::x", "::", "\n\n"] {
            assert_eq!(memberships(text), [], "{text:?}");
        }
    }

    #[test]
    fn the_use_of_a_cgroup_is_read_with_and_without_a_quota() {
        let plain = "usage_usec 1028000\nuser_usec 1000000\nsystem_usec 28000\n";
        let usage = Duration::from_micros(1_028_000);
        assert_eq!(cpu_stat(plain), Some(CpuStat { usage, throttled: None }));
        let limited = format!("{plain}nr_periods 9\nnr_throttled 3\nthrottled_usec 7\n");
        assert_eq!(cpu_stat(&limited), Some(CpuStat { usage, throttled: Some(3) }));
        for text in ["", "usage_usec", "usage_usec -1", "usage_usec x\n", "xusage_usec 1\n"] {
            assert_eq!(cpu_stat(text), None, "{text:?}");
        }
    }

    #[test]
    fn anonymous_memory_has_another_name_in_each_version() {
        assert_eq!(anonymous("anon 4096\nfile 8192\nanon_thp 0\n"), Some(4096));
        assert_eq!(anonymous("cache 1\nrss 2\ntotal_cache 3\ntotal_rss 8192\n"), Some(8192));
        assert_eq!(anonymous("file 1\n"), None);
    }

    #[test]
    fn pressure_quota_and_pids_are_read() {
        let text =
            "some avg10=17.21 avg60=6.09 avg300=3.83 total=14096405640\nfull avg10=0.00 total=0\n";
        assert_eq!(pressure(text), Some(Duration::from_micros(14_096_405_640)));
        assert_eq!(pressure("full avg10=0.00 total=1\n"), None);
        for (text, expected) in [
            ("max 100000\n", None),
            ("150000 100000\n", Some(1.5)),
            ("1 0\n", None),
            ("150000", None),
            ("", None),
        ] {
            assert_eq!(quota(text), expected, "{text:?}");
        }
        assert_eq!(pids("7\n0\nx\n4294967296\n12\n").collect::<Vec<_>>(), [7, 12]);
        assert_eq!(number("45953851385220\n"), Some(45_953_851_385_220));
        assert_eq!(number("max\n"), None);
    }
}
