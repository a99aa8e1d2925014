//! Which rung of each ladder a figure comes from.

use std::collections::BTreeSet;
use std::fmt;

/// Where CPU time is read, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CpuSource {
    /// Nanoseconds, of all threads.
    ProcessClock,
    /// Microseconds, ended children too.
    CgroupV2,
    /// Nanoseconds, ended children too.
    CgroupV1,
    /// Ticks of 10 ms.
    ProcStat,
}

/// Where memory is read, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemorySource {
    /// Pss and Private_Dirty of each process.
    SmapsRollup,
    /// Anonymous memory of each process.
    Status,
    /// Anonymous memory of the cgroup.
    CgroupStat,
}

/// Where the peak of a block is read, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeakSource {
    /// `VmHWM` after a reset.
    HighWater,
    /// `memory.peak` with a mark of our own: page cache counts too.
    CgroupPeak,
    /// The largest of the samples that were taken.
    Samples,
}

impl fmt::Display for CpuSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            CpuSource::ProcessClock => "process clock",
            CpuSource::CgroupV2 => "cgroup v2 cpu.stat",
            CpuSource::CgroupV1 => "cgroup v1 cpuacct.usage",
            CpuSource::ProcStat => "/proc/PID/stat, ticks of 10 ms",
        })
    }
}

impl fmt::Display for MemorySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            MemorySource::SmapsRollup => "smaps_rollup",
            MemorySource::Status => "RssAnon",
            MemorySource::CgroupStat => "cgroup memory.stat",
        })
    }
}

impl fmt::Display for PeakSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            PeakSource::HighWater => "VmHWM after a reset",
            PeakSource::CgroupPeak => "cgroup memory.peak after a reset",
            PeakSource::Samples => "largest sample",
        })
    }
}

/// The rungs that the readings of one side came from; several where its instances differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    pub cpu: BTreeSet<CpuSource>,
    pub memory: BTreeSet<MemorySource>,
    pub peak: BTreeSet<PeakSource>,
}

impl Sources {
    pub(super) fn of(each: impl Iterator<Item = Sources>) -> Sources {
        each.fold(Sources::default(), |mut all, Sources { cpu, memory, peak }| {
            all.cpu.extend(cpu);
            all.memory.extend(memory);
            all.peak.extend(peak);
            all
        })
    }

    /// As printed: `process clock`, or `none`.
    pub fn cpu_text(&self) -> String {
        listed(&self.cpu)
    }

    pub fn memory_text(&self) -> String {
        listed(&self.memory)
    }

    pub fn peak_text(&self) -> String {
        listed(&self.peak)
    }
}

fn listed<T: fmt::Display>(sources: &BTreeSet<T>) -> String {
    match sources.is_empty() {
        true => "none".to_owned(),
        false => {
            let texts: Vec<String> = sources.iter().map(T::to_string).collect();
            texts.join(" + ")
        }
    }
}
