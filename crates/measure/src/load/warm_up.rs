//! When a side has warmed up (compare L-5).

/// Windows that have to agree.
const AGREEING: usize = 3;
/// How far apart they may be.
const WITHIN: f64 = 1.05;

/// What one window of the warm-up showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub p99_us: u64,
    /// CPU seconds a call; `None` where the target cannot be read.
    pub cpu_s: Option<f64>,
}

/// Whether measuring may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmth {
    More,
    /// The last three windows agree.
    Steady,
    /// They never did; the report says so.
    Capped,
}

/// The windows of a warm-up, in their order.
#[derive(Debug, Clone)]
pub struct WarmUp {
    windows: Vec<Window>,
    windows_most: usize,
}

impl WarmUp {
    /// Gives up after `windows_most`.
    pub fn new(windows_most: usize) -> WarmUp {
        WarmUp { windows: Vec::new(), windows_most }
    }

    /// Takes one more window.
    pub fn observe(&mut self, window: Window) -> Warmth {
        self.windows.push(window);
        if self.is_steady() {
            Warmth::Steady
        } else if self.windows.len() >= self.windows_most {
            Warmth::Capped
        } else {
            Warmth::More
        }
    }

    /// All windows so far, for the report.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    fn is_steady(&self) -> bool {
        let Some(start) = self.windows.len().checked_sub(AGREEING) else { return false };
        let last = &self.windows[start..];
        let cpu: Option<Vec<f64>> = last.iter().map(|window| window.cpu_s).collect();
        // A side whose CPU cannot be read is steady by its latency alone.
        agree(last.iter().map(|window| window.p99_us as f64))
            && cpu.is_none_or(|cpu| agree(cpu.into_iter()))
    }
}

fn agree(values: impl Iterator<Item = f64> + Clone) -> bool {
    let most = values.clone().fold(0.0, f64::max);
    let least = values.fold(f64::INFINITY, f64::min);
    most <= least * WITHIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(windows: &[(u64, f64)]) -> Vec<Warmth> {
        let mut warm_up = WarmUp::new(6);
        let windows = windows.iter();
        windows
            .map(|(p99_us, cpu)| warm_up.observe(Window { p99_us: *p99_us, cpu_s: Some(*cpu) }))
            .collect()
    }

    #[test]
    fn compare_l_5_warm_up_ends_when_three_windows_agree_in_latency_and_cpu() {
        use Warmth::{Capped, More, Steady};
        for (windows, expected) in [
            (
                &[(900, 9.0), (100, 1.0), (105, 1.0), (102, 1.05)][..],
                &[More, More, More, Steady][..],
            ),
            (&[(100, 1.0), (100, 1.0), (106, 1.0)], &[More, More, More]),
            (&[(100, 1.0), (100, 1.0), (100, 1.06)], &[More, More, More]),
            (
                &[(10, 1.0), (20, 1.0), (30, 1.0), (40, 1.0), (50, 1.0), (60, 1.0)],
                &[More, More, More, More, More, Capped],
            ),
        ] {
            assert_eq!(observed(windows), expected, "{windows:?}");
        }
    }

    #[test]
    fn a_side_without_cpu_readings_warms_up_by_latency() {
        let mut warm_up = WarmUp::new(9);
        let window = Window { p99_us: 100, cpu_s: None };
        assert_eq!(warm_up.observe(window), Warmth::More);
        assert_eq!(warm_up.observe(window), Warmth::More);
        assert_eq!(warm_up.observe(window), Warmth::Steady);
        assert_eq!(warm_up.windows().len(), 3);
    }
}
