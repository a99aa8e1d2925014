//! What services on this machine use, read by `tandem compare` from another one.
//!
//! One request and one answer by HTTP/1.1: `POST /v1/read`, both JSON, with a token in
//! `authorization: Bearer`. Here is what stands in them; each quantity has its unit in its name. An
//! answer carries the agent's own time, so that an interval between two of them is the agent's and
//! no delay of the network is in it.
//!
//! Both sides say [`PROTO`]; another number is refused in words and nothing of the rest is read.
//! Fields are only added to an answer, anything else takes another number. What cannot be read is
//! `null`, never 0.
//!
//! HTTP and JSON, because every machine has something that asks by it, and both are read here by
//! libraries that strangers' bytes have tried already. gRPC was weighed: nothing outside of the
//! data path serves it here, and two readings a block need no streams.
//!
//! Rooms: what is looked at (`watch`), who may ask (`serve`), the other end (`ask`).

pub(crate) mod ask;
pub(crate) mod serve;
pub(crate) mod watch;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_measure::environment::Machine;
use tandem_measure::probe::host::HostReading;
use tandem_measure::probe::{Memory, Parallelism, Scheduling, Sources};

/// The number of this way of asking and answering.
pub(crate) const PROTO: u32 = 1;

/// The one path that is asked with a token.
pub(crate) const PATH: &str = "/v1/read";

/// Bytes of a request, and of an answer.
pub(crate) const BODY_BYTES_MOST: usize = 16 << 10;

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) proto: u32,
    /// What the agent calls it; whatever it is called where the agent has only one, without a name.
    pub(crate) target: String,
    /// Whoever asks is refused if nothing of it runs now; the answer has [`Told::machine`].
    #[serde(default)]
    pub(crate) find: bool,
    /// A block begins: from here on the peak of memory is looked for.
    #[serde(default)]
    pub(crate) begins: bool,
    /// The block ends that began with this mark.
    #[serde(default)]
    pub(crate) ends: Option<u64>,
    #[serde(default)]
    pub(crate) memory: bool,
    #[serde(default)]
    pub(crate) scheduling: bool,
    #[serde(default)]
    pub(crate) parallelism: bool,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    pub(crate) proto: u32,
    /// Another one after each start: counters of two starts have nothing in common.
    pub(crate) agent: String,
    /// Of the agent's steady clock, since it started.
    pub(crate) at_ns: u64,
    /// Used since the agent looked first.
    pub(crate) cpu_ns: Option<u64>,
    /// That run now.
    pub(crate) processes: u64,
    /// Instances that were seen to begin anew.
    pub(crate) restarts: u64,
    /// Instances of which nothing runs now.
    pub(crate) missing: u64,
    /// Of the agent itself.
    pub(crate) own_cpu_ns: u64,
    pub(crate) host: Option<HostTold>,
    /// Of the block that begins.
    pub(crate) mark: Option<u64>,
    /// Highest memory since the block began.
    pub(crate) peak_bytes: Option<u64>,
    /// Part of the machine's time that its host took, in the block's first half and in its second.
    pub(crate) stolen_halves: Option<[f64; 2]>,
    pub(crate) memory: Option<MemoryTold>,
    pub(crate) scheduling: Option<SchedulingTold>,
    pub(crate) parallelism: Option<ParallelismTold>,
    pub(crate) sources: SourcesTold,
    pub(crate) machine: Option<MachineTold>,
    /// Why something that was asked for is not there, in words.
    pub(crate) notes: Vec<String>,
}

/// The agent's machine, all cores together, since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HostTold {
    pub(crate) busy_ns: u64,
    /// Wanted by this machine, given to another by the host.
    pub(crate) stolen_ns: u64,
    pub(crate) all_ns: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MemoryTold {
    pub(crate) proportional_bytes: Option<u64>,
    pub(crate) private_dirty_bytes: Option<u64>,
    pub(crate) anonymous_bytes: Option<u64>,
}

/// Summed over threads, since the agent looked first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SchedulingTold {
    pub(crate) switches_voluntary: u64,
    pub(crate) switches_involuntary: u64,
    /// Time that threads were ready and no core was free for them.
    pub(crate) waited_ns: u64,
    /// Periods in which a cgroup's quota stopped the instance.
    pub(crate) throttled_periods: Option<u64>,
    /// Time in which somebody in a cgroup waited for a core.
    pub(crate) pressure_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ParallelismTold {
    pub(crate) threads: u32,
    pub(crate) cores_allowed: u32,
    pub(crate) quota_own_cores: Option<f64>,
    pub(crate) quota_tightest_cores: Option<f64>,
}

/// Which rung of each ladder was used, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SourcesTold {
    pub(crate) cpu: String,
    pub(crate) memory: String,
    pub(crate) peak: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MachineTold {
    /// The kernel's number of this start of the machine: whoever has it, too, stands on the same one.
    pub(crate) boot: String,
    pub(crate) cpu: String,
    pub(crate) cores: u64,
    pub(crate) kernel: String,
    pub(crate) virtualisation: String,
}

/// An answer that refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) proto: u32,
    pub(crate) problem: Problem,
    pub(crate) what: String,
}

/// Why nothing was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Problem {
    /// No token, or another one.
    Token,
    /// Too many wrong tokens came from there.
    Attempts,
    /// Another [`PROTO`].
    Proto,
    /// No request of this kind.
    Malformed,
    /// The agent does not have it.
    Unknown,
    /// Nothing of it runs.
    NotFound,
    /// It names several things.
    Ambiguous,
    /// The agent itself may not look at it.
    Denied,
    /// The agent's own fault.
    Broken,
    /// Of an agent that knows more.
    #[serde(other)]
    Other,
}

/// The part of an answer that every agent's has, whatever its number.
#[derive(Debug, Deserialize)]
pub(crate) struct Any {
    pub(crate) proto: u32,
}

/// The kernel's number of this start of this machine; empty where it does not say.
pub(crate) fn boot() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl From<HostReading> for HostTold {
    fn from(read: HostReading) -> HostTold {
        let HostReading { at: _, busy, stolen, all } = read;
        HostTold {
            busy_ns: nanoseconds(busy),
            stolen_ns: nanoseconds(stolen),
            all_ns: nanoseconds(all),
        }
    }
}

impl From<Memory> for MemoryTold {
    fn from(read: Memory) -> MemoryTold {
        let Memory { proportional, private_dirty, anonymous } = read;
        MemoryTold {
            proportional_bytes: proportional,
            private_dirty_bytes: private_dirty,
            anonymous_bytes: anonymous,
        }
    }
}

impl From<MemoryTold> for Memory {
    fn from(told: MemoryTold) -> Memory {
        let MemoryTold { proportional_bytes, private_dirty_bytes, anonymous_bytes } = told;
        Memory {
            proportional: proportional_bytes,
            private_dirty: private_dirty_bytes,
            anonymous: anonymous_bytes,
        }
    }
}

impl From<Scheduling> for SchedulingTold {
    fn from(read: Scheduling) -> SchedulingTold {
        let Scheduling { switches_voluntary, switches_involuntary, waited, throttled, pressure } =
            read;
        SchedulingTold {
            switches_voluntary,
            switches_involuntary,
            waited_ns: nanoseconds(waited),
            throttled_periods: throttled,
            pressure_ns: pressure.map(nanoseconds),
        }
    }
}

impl From<Parallelism> for ParallelismTold {
    fn from(read: Parallelism) -> ParallelismTold {
        let Parallelism { threads, cores_allowed, quota_own, quota_tightest } = read;
        ParallelismTold {
            threads,
            cores_allowed,
            quota_own_cores: quota_own,
            quota_tightest_cores: quota_tightest,
        }
    }
}

impl From<ParallelismTold> for Parallelism {
    fn from(told: ParallelismTold) -> Parallelism {
        let ParallelismTold { threads, cores_allowed, quota_own_cores, quota_tightest_cores } =
            told;
        Parallelism {
            threads,
            cores_allowed,
            quota_own: quota_own_cores,
            quota_tightest: quota_tightest_cores,
        }
    }
}

impl From<Sources> for SourcesTold {
    fn from(used: Sources) -> SourcesTold {
        SourcesTold { cpu: used.cpu_text(), memory: used.memory_text(), peak: used.peak_text() }
    }
}

impl MachineTold {
    fn read() -> MachineTold {
        let machine = Machine::read();
        MachineTold {
            boot: boot(),
            cpu: machine.cpu.unwrap_or_default(),
            cores: machine.cores as u64,
            kernel: machine.kernel.unwrap_or_default(),
            virtualisation: machine.virtualisation,
        }
    }

    /// As a report says it.
    pub(crate) fn text(&self) -> String {
        let MachineTold { boot: _, cpu, cores, kernel, virtualisation } = self;
        format!("{cpu}, {cores} cores, kernel {kernel}, virtualisation {virtualisation}")
    }
}
