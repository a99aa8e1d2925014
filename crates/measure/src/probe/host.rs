//! The machine as a whole: how busy it was, what its host took away, and what of that nobody
//! answers for.

use std::time::{Duration, Instant};

use super::Used;
use super::process_text::ticks;
use super::system::System;

/// Counters of all cores together, since the machine started; in ticks of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostReading {
    pub at: Instant,
    pub busy: Duration,
    /// Wanted by this machine, given to another by the host.
    pub stolen: Duration,
    pub all: Duration,
}

/// What lies between two readings of the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HostUse {
    pub busy: Duration,
    /// Part of the time of all cores.
    pub stolen: f64,
    /// Part of the time of all cores.
    pub busy_share: f64,
}

/// `None` where the machine does not say.
pub fn read() -> Option<HostReading> {
    let text = System::real().table("stat").ok()?;
    let (busy, stolen, all) = cpu_line(&text)?;
    Some(HostReading { at: Instant::now(), busy, stolen, all })
}

impl HostReading {
    pub fn since(&self, earlier: &HostReading) -> HostUse {
        let less = |now: Duration, then| now.saturating_sub(then);
        let all = less(self.all, earlier.all).as_secs_f64();
        let share = |part: Duration| if all > 0.0 { part.as_secs_f64() / all } else { 0.0 };
        let busy = less(self.busy, earlier.busy);
        HostUse { busy, stolen: share(less(self.stolen, earlier.stolen)), busy_share: share(busy) }
    }
}

/// Part of the busy time that none of `used` answers for: softirq, which the kernel charges to
/// whoever runs, and other programs. `None` where one of them could not be read, or the machine
/// was hardly busy: below half a second a tick more or less decides.
pub fn unattributed<'a>(host: &HostUse, used: impl IntoIterator<Item = &'a Used>) -> Option<f64> {
    const BUSY_LEAST: Duration = Duration::from_millis(500);
    let mut sum = Duration::ZERO;
    for used in used {
        sum = sum.saturating_add(used.cpu?);
    }
    (host.busy >= BUSY_LEAST)
        .then(|| host.busy.saturating_sub(sum).as_secs_f64() / host.busy.as_secs_f64())
}

/// Above it a comparison says so (compare A-7).
pub const UNATTRIBUTED_MOST: f64 = 0.15;

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal. Time of
/// guests is in user already.
fn cpu_line(text: &str) -> Option<(Duration, Duration, Duration)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let counts: Vec<u64> =
        line.split_ascii_whitespace().map_while(|count| count.parse().ok()).take(8).collect();
    let [user, nice, system, idle, waiting, irq, softirq, stolen] = counts[..] else {
        return None;
    };
    let sum =
        |counts: &[u64]| ticks(counts.iter().fold(0, |sum, count| sum.saturating_add(*count)));
    let busy = [user, nice, system, irq, softirq];
    let all = [user, nice, system, irq, softirq, idle, waiting, stolen];
    Some((sum(&busy), ticks(stolen), sum(&all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_machine_is_all_cores() {
        let text = "cpu  2400362 1537338 616781 1046666 21360 0 25076 5597 0 0\n\
                    cpu0 1214939 761780 292118 537398 5675 0 11561 2761 0 0\n";
        let ms = Duration::from_millis;
        assert_eq!(cpu_line(text), Some((ms(45_795_570), ms(55_970), ms(56_531_800))));
        for text in
            ["", "cpu", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3 4 5 6 7", "cpu  1 2 x 4 5 6 7 8"]
        {
            assert_eq!(cpu_line(text), None, "{text:?}");
        }
    }

    fn used(cpu_ms: Option<u64>) -> Used {
        let cpu = cpu_ms.map(Duration::from_millis);
        Used { wall: Duration::from_secs(1), cpu, restarts: 0, partial: false }
    }

    #[test]
    fn compare_a_7_what_nobody_answers_for_is_a_part_of_the_busy_time() {
        let host = |busy_ms| HostUse {
            busy: Duration::from_millis(busy_ms),
            stolen: 0.0,
            busy_share: 0.5,
        };
        let part = unattributed(&host(1000), &[used(Some(600)), used(Some(250))]);
        assert!(part.is_some_and(|part| (0.149..0.151).contains(&part)), "{part:?}");
        assert_eq!(unattributed(&host(1000), &[used(Some(600)), used(None)]), None);
        assert_eq!(unattributed(&host(499), &[used(Some(1))]), None);
        let over = unattributed(&host(500), &[used(Some(700))]);
        assert!(over.is_some_and(|part| part.abs() < f64::EPSILON), "{over:?}");
    }

    #[test]
    fn two_readings_give_what_was_stolen_in_between() {
        let at = Instant::now();
        let ms = Duration::from_millis;
        let first = HostReading { at, busy: ms(1000), stolen: ms(0), all: ms(4000) };
        let second = HostReading { at, busy: ms(2000), stolen: ms(80), all: ms(8000) };
        let used = second.since(&first);
        assert_eq!(used.busy, ms(1000));
        assert!((used.stolen - 0.02).abs() < 1e-9 && (used.busy_share - 0.25).abs() < 1e-9);
        let back = first.since(&second);
        assert!(back.busy.is_zero() && back.stolen.abs() < 1e-9, "counters that fell are nothing");
    }
}
