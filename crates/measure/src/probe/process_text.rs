//! The files of a process below /proc, turned into numbers.
//!
//! Pure, total and bounded by the length of the text: what is not as expected gives `None`, or
//! leaves a field out, and nothing is guessed.
//!
//! Sources: proc(5); Documentation/filesystems/proc.rst and Documentation/scheduler/
//! sched-stats.rst of the kernel.

use std::time::Duration;

/// `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: u32,
    pub(super) state: u8,
    pub(super) parent: u32,
    /// User and kernel time of all its threads, dead ones too.
    pub(super) own: Duration,
    /// Of the children that it has waited for, and theirs.
    pub(super) reaped: Duration,
    pub(super) threads: u32,
    /// Since the machine started; with the pid it is the name of a process.
    pub(super) start_ticks: u64,
}

impl Stat {
    /// Ended, and not yet waited for.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// What user space is told times in: 100 a second on every architecture that is still made
/// (`USER_HZ`), whatever the kernel's own HZ is.
const TICK_MS: u64 = 10;

pub(super) fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(TICK_MS))
}

/// The name of the program may hold spaces, parentheses and line ends: what counts begins behind
/// the last parenthesis.
pub(super) fn stat(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let (pid, _) = head.split_once(" (")?;
    // Field 3 of proc(5) is the first here.
    let fields: Vec<&str> = tail.split_ascii_whitespace().take(20).collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    // Times of children are signed in the manual, and never below zero.
    let both = |one, other| Some(ticks(number(one)?.saturating_add(number(other)?)));
    Some(Stat {
        pid: pid.parse().ok()?,
        state: *fields.first()?.as_bytes().first()?,
        parent: u32::try_from(number(4)?).ok()?,
        own: both(14, 15)?,
        reaped: both(16, 17)?,
        threads: u32::try_from(number(20)?).ok()?,
        start_ticks: number(22)?,
    })
}

/// `/proc/PID/status` and `/proc/PID/task/TID/status`; what a line lacks is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// Bytes.
    pub(super) anonymous: Option<u64>,
    /// The highest resident size, in bytes.
    pub(super) high_water: Option<u64>,
    pub(super) switches_voluntary: Option<u64>,
    pub(super) switches_involuntary: Option<u64>,
    pub(super) threads: Option<u32>,
    pub(super) cores_allowed: Option<u32>,
}

pub(super) fn status(text: &str) -> Status {
    let mut status = Status::default();
    for (key, value) in lines(text) {
        match key {
            "RssAnon" => status.anonymous = kib(value),
            "VmHWM" => status.high_water = kib(value),
            "voluntary_ctxt_switches" => status.switches_voluntary = value.parse().ok(),
            "nonvoluntary_ctxt_switches" => status.switches_involuntary = value.parse().ok(),
            "Threads" => status.threads = value.parse().ok(),
            "Cpus_allowed_list" => status.cores_allowed = cores(value),
            _ => {}
        }
    }
    status
}

/// `/proc/PID/smaps_rollup`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rollup {
    pub(super) proportional: u64,
    pub(super) private_dirty: u64,
}

pub(super) fn smaps_rollup(text: &str) -> Option<Rollup> {
    let find = |name| lines(text).find(|(key, _)| *key == name).and_then(|(_, value)| kib(value));
    Some(Rollup { proportional: find("Pss")?, private_dirty: find("Private_Dirty")? })
}

/// The second figure of `schedstat`: how long a thread was ready and waited for a core.
pub(super) fn waited(text: &str) -> Option<Duration> {
    let mut fields = text.split_ascii_whitespace();
    let _on_core: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_nanos(fields.next()?.parse().ok()?))
}

/// The inodes of the sockets that listen on `port`, from `/proc/net/tcp` or `tcp6`.
pub(super) fn listeners(text: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
        let [_, local, _, state, .., inode] = fields[..] else { return None };
        let (_, at) = local.rsplit_once(':')?;
        let here = u16::from_str_radix(at, 16).ok()? == port && state == LISTEN;
        here.then(|| inode.parse().ok()).flatten().filter(|inode| fields.len() == 10 && *inode > 0)
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// The inode of a link below `/proc/PID/fd` that is a socket.
pub(super) fn socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key, value.trim()))
}

/// `1600 kB` in bytes.
fn kib(value: &str) -> Option<u64> {
    value.strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// How many cores `0-3,8` are.
fn cores(list: &str) -> Option<u32> {
    list.split(',').try_fold(0_u32, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAT: &str = "19219 (cat) R 19208 19208 11842 0 -1 4194304 100 0 0 0 7 3 11 2 20 0 4 0 \
                       2853392 3133440 386 18446744073709551615 94346942644224 94346942664105";

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let cat = Stat {
            pid: 19219,
            state: b'R',
            parent: 19208,
            own: Duration::from_millis(100),
            reaped: Duration::from_millis(130),
            threads: 4,
            start_ticks: 2_853_392,
        };
        for name in ["(cat)", "(tokio worker)", "(a) R 1 (b)", "(()", "())", "(\n)", "(a b) S 7)"] {
            assert_eq!(stat(&CAT.replace("(cat)", name)), Some(cat), "{name}");
        }
        assert!(stat(&CAT.replace(" R ", " Z ")).is_some_and(|stat| stat.is_over()));
        assert!(stat(CAT).is_some_and(|stat| !stat.is_over()));
    }

    #[test]
    fn a_stat_line_that_is_none_gives_nothing() {
        let cut = &CAT[..CAT.find("2853392").unwrap_or(0)];
        for text in [
            "",
            ")",
            "(",
            "1",
            "1 (a)",
            "1 (a) R",
            "x (a) R 1 1",
            "-1 (a) R 1",
            cut,
            &CAT.replace(" 7 3 ", " 7 -3 "),
            &CAT.replace(" 7 3 ", " 7 99999999999999999999 "),
            &CAT.replace("19208", "4294967296"),
            "\0\0\0",
        ] {
            assert_eq!(stat(text), None, "{text:?}");
        }
        let most = u64::MAX.to_string();
        let full = stat(&CAT.replace(" 7 3 ", &format!(" {most} {most} ")));
        assert_eq!(full.map(|stat| stat.own), Some(Duration::from_millis(u64::MAX)));
    }

    #[test]
    fn the_lines_of_a_status_are_found_by_name() {
        let text = "Name:\tsvc\nVmHWM:\t    1624 kB\nRssAnon:\t     112 kB\nThreads:\t5\n\
                    Cpus_allowed_list:\t0-1,4\nvoluntary_ctxt_switches:\t17\n\
                    nonvoluntary_ctxt_switches:\t2\n";
        let expected = Status {
            anonymous: Some(112 << 10),
            high_water: Some(1624 << 10),
            switches_voluntary: Some(17),
            switches_involuntary: Some(2),
            threads: Some(5),
            cores_allowed: Some(3),
        };
        assert_eq!(status(text), expected);
    }

    #[test]
    fn a_kernel_thread_and_nonsense_have_no_memory() {
        for text in [
            "",
            "Name:\tkthreadd\nThreads:\t\n",
            "VmHWM:\nRssAnon: kB\n",
            "RssAnon:\t-1 kB",
            "RssAnon:\t1 MB",
            "RssAnon:\t18446744073709551615 kB",
            "Cpus_allowed_list:\t3-1",
            "Cpus_allowed_list:\t0-4294967295",
            "Cpus_allowed_list:\t",
            "::::\n:\n",
            "RssAnon",
        ] {
            assert_eq!(status(text), Status::default(), "{text:?}");
        }
    }

    #[test]
    fn a_rollup_gives_what_is_shared_in_parts() {
        let text = "562ad9cc5000-7fff62dba000 ---p 00000000 00:00 0                 [rollup]\n\
                    Rss:                1600 kB\nPss:                 230 kB\n\
                    Pss_Dirty:           112 kB\nPrivate_Clean:        40 kB\n\
                    Private_Dirty:       112 kB\nSwap:                  0 kB\n";
        let rollup = Rollup { proportional: 230 << 10, private_dirty: 112 << 10 };
        assert_eq!(smaps_rollup(text), Some(rollup));
        for text in ["", "Pss: 230 kB\n", "Pss: x kB\nPrivate_Dirty: 1 kB\n", "Pss 1 kB"] {
            assert_eq!(smaps_rollup(text), None, "{text:?}");
        }
    }

    #[test]
    fn waiting_is_the_second_figure_of_schedstat() {
        assert_eq!(waited("128751 3261475 2\n"), Some(Duration::from_nanos(3_261_475)));
        for text in ["", "1", "1 x 2", "-1 2 3", "1 99999999999999999999 3"] {
            assert_eq!(waited(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_listeners_on_the_port_are_found() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let tail = " 00000000:00000000 00:00000000 00000000     0        0";
        let four = format!("   0: 00000000:07E8 00000000:0000 0A{tail} 1657 1 0 100 0 0 10 0\n");
        let open = format!("   1: 0100007F:07E8 0100007F:A0B2 01{tail} 1700 1 0 20 4 30 10 -1\n");
        let other = format!("   2: 0100007F:07E9 00000000:0000 0A{tail} 1800 1 0\n");
        let six =
            format!("   3: {}:07E8 {}:0000 0A{tail} 1900 1 0\n", "0".repeat(32), "0".repeat(32));
        let gone = format!("   4: 00000000:07E8 00000000:0000 0A{tail} 0 1 0\n");
        let text = [head, &four, &open, &other, &six, &gone].concat();
        assert_eq!(listeners(&text, 2024), [1657, 1900]);
        assert!(listeners(&text, 2026).is_empty());
        for text in ["", "\n", head, "\n 0: :07E8", "\n0: x:07E8 y 0A a b c d e f", "\n1 2 3 0A 5"]
        {
            assert!(listeners(text, 2024).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn a_link_to_a_socket_gives_its_inode() {
        for (link, inode) in [
            ("socket:[4145650]", Some(4_145_650)),
            ("pipe:[4145650]", None),
            ("socket:[]", None),
            ("socket:[-1]", None),
            ("/tmp/socket:[1]", None),
        ] {
            assert_eq!(socket(link), inode, "{link}");
        }
    }
}
