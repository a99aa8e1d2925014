//! Time that the host gave to others, from the first line of `/proc/stat`.
//!
//! Source: proc(5), `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, guest and
//! guest_nice in ticks; guest time is in user time already.

use std::io;

/// Ticks of all cores since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steal {
    stolen: u64,
    total: u64,
}

impl Steal {
    /// As it is now.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn read() -> io::Result<Steal> {
        let text = std::fs::read_to_string("/proc/stat")?;
        Steal::of(&text).ok_or_else(|| io::Error::other("/proc/stat has no line for all cores"))
    }

    fn of(text: &str) -> Option<Steal> {
        let ticks = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> =
            ticks.split_ascii_whitespace().map_while(|tick| tick.parse().ok()).collect();
        let stolen = *ticks.get(7)?;
        Some(Steal { stolen, total: ticks.iter().take(8).sum() })
    }

    /// The part of the time between two readings that the host took; 0 if no tick passed.
    pub fn share_until(self, later: Steal) -> f64 {
        let total = later.total.saturating_sub(self.total);
        let stolen = later.stolen.saturating_sub(self.stolen);
        if total == 0 { 0.0 } else { stolen as f64 / total as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_a_6_steal_is_its_part_of_the_ticks_between_two_readings() {
        let before = "cpu  100 0 50 800 10 0 5 35 20 0\ncpu0 1 2 3\n";
        let after = "cpu  140 0 60 840 10 0 5 45 60 0\n";
        let (before, after) = (Steal::of(before).unwrap(), Steal::of(after).unwrap());
        assert!((before.share_until(after) - 0.1).abs() < 1e-9);
        assert!(after.share_until(after).abs() < 1e-9);
        assert!(after.share_until(before).abs() < 1e-9);
    }

    #[test]
    fn kernels_that_say_less_say_nothing() {
        assert_eq!(Steal::of("cpu 1 2 3 4 5 6 7\n"), None);
        assert_eq!(Steal::of("intr 1\n"), None);
    }
}
