//! What an implementation uses while it is called: CPU, memory, waiting, counters of its runtime.
//!
//! A [`Target`] says what to look at; a [`Probe`] is one side, the sum of its targets. Readings
//! are counters since the probe was opened; who wants a block takes one [`Reading`] before and one
//! after it. Each quantity has a ladder of sources, the best that works is used, and
//! [`Probe::sources`] names it: two figures from different sources are not the same figure.
//!
//! A process that ends or starts anew is noticed and counted, never an error: counters go on where
//! they were. A pid that was given to another process is not taken for the one before, because the
//! start time goes with it.
//!
//! What no source sees: a child that began, ended and was waited for by somebody outside the tree
//! between two readings of a `pid:` or `port:` target (a cgroup sees it), and what the kernel does
//! for a service in softirq, which it charges to whoever runs. [`host::unattributed`] bounds the
//! latter.
//!
//! Not here: what a figure means (`judge::cost`), when blocks begin (`tandem compare`).

mod cgroup;
mod cgroup_text;
pub mod exec;
pub mod host;
mod instance;
mod ledger;
mod listen;
mod processes;
mod process_text;
pub mod runtime;
mod source;
mod system;
mod target;
mod threads;

use std::time::{Duration, Instant};

use self::instance::Instance;
use self::processes::Processes;
use self::system::System;

pub use self::source::{CpuSource, MemorySource, PeakSource, Sources};
pub use self::target::{Target, TargetError};

/// Why a side cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    #[error("`{target}` names nothing that runs here: {what}")]
    NotFound { target: Target, what: String },
    #[error("`{target}` names several things: {what}")]
    Ambiguous { target: Target, what: String },
    #[error("`{target}` cannot be read: {what}")]
    Denied { target: Target, what: String },
    /// Whoever compares asks the agent.
    #[error("`{target}` is read by an agent, not from here")]
    Elsewhere { target: Target },
    /// Whoever compares starts it and hands over its pid (`exec::Exec`).
    #[error("`{target}` is a command that has not been started")]
    NotStarted { target: Target },
}

/// What one side used, all its instances together.
#[derive(Debug)]
pub struct Probe {
    system: System,
    instances: Vec<Instance>,
}

/// Counters since the probe was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub at: Instant,
    /// `None` where no source can be read, or nothing was ever found.
    pub cpu: Option<Duration>,
    /// That run now.
    pub processes: usize,
    /// Instances that were seen to begin anew.
    pub restarts: u64,
    /// Instances of which nothing runs now.
    pub missing: usize,
}

/// What lies between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    pub wall: Duration,
    pub cpu: Option<Duration>,
    pub restarts: u64,
    /// An instance was missing at either end: the figures are of a part.
    pub partial: bool,
}

impl Reading {
    /// What was used since `earlier`, which the same probe read.
    pub fn since(&self, earlier: &Reading) -> Used {
        Used {
            wall: self.at.saturating_duration_since(earlier.at),
            cpu: self.cpu.zip(earlier.cpu).map(|(now, then)| now.saturating_sub(then)),
            restarts: self.restarts.saturating_sub(earlier.restarts),
            partial: self.missing > 0 || earlier.missing > 0,
        }
    }
}

/// Memory at this moment, in bytes; `None` for what may not be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// A page shared by n processes counts 1/n in each.
    pub proportional: Option<u64>,
    pub private_dirty: Option<u64>,
    /// What was allocated and touched, without files and shared libraries.
    pub anonymous: Option<u64>,
}

/// What the scheduler says, summed over threads, since the probe was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scheduling {
    pub switches_voluntary: u64,
    pub switches_involuntary: u64,
    /// Time that threads were ready and no core was free for them.
    pub waited: Duration,
    /// Periods in which a cgroup's quota stopped the instance.
    pub throttled: Option<u64>,
    /// Time in which somebody in a cgroup waited for a core.
    pub pressure: Option<Duration>,
}

/// How much at once an instance can do (compare A-14).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Parallelism {
    /// Threads that it has, all of them.
    pub threads: u32,
    /// Cores that its affinity allows.
    pub cores_allowed: u32,
    /// Cores that its own cgroup allows; what Go's runtime goes by.
    pub quota_own: Option<f64>,
    /// The tightest on the way to the root, which is what holds.
    pub quota_tightest: Option<f64>,
}

impl Probe {
    /// A side whose instances may come later.
    ///
    /// # Errors
    /// A target that no version of this program can read by itself.
    pub fn new(targets: Vec<Target>) -> Result<Probe, ProbeError> {
        Probe::on(System::real(), targets)
    }

    /// A side whose instances run now.
    ///
    /// # Errors
    /// As [`Probe::new`], and a target that names nothing, or several things, or what may not be
    /// looked at.
    pub fn open(targets: Vec<Target>) -> Result<Probe, ProbeError> {
        let mut probe = Probe::new(targets)?;
        let processes = Processes::scan(&probe.system);
        for instance in &mut probe.instances {
            instance.find(&probe.system, &processes)?;
        }
        let read = probe.read_from(&processes);
        if let (None, Some(instance)) = (read.cpu, probe.instances.first()) {
            let what = "neither a clock nor a counter of it is open to this user".to_owned();
            return Err(ProbeError::Denied { target: instance.target().clone(), what });
        }
        Ok(probe)
    }

    fn on(system: System, targets: Vec<Target>) -> Result<Probe, ProbeError> {
        let instances = targets.into_iter().map(Instance::new).collect::<Result<_, _>>()?;
        Ok(Probe { system, instances })
    }

    /// CPU used so far, and what runs.
    pub fn read(&mut self) -> Reading {
        let processes = Processes::scan(&self.system);
        self.read_from(&processes)
    }

    /// CPU and anonymous memory of several sides at one moment: one walk over the processes of the
    /// machine serves all of them.
    pub fn read_all<'a>(
        probes: impl IntoIterator<Item = &'a mut Probe>,
    ) -> Vec<(Reading, Option<u64>)> {
        let mut probes = probes.into_iter().peekable();
        let processes = match probes.peek() {
            Some(first) => Processes::scan(&first.system),
            None => return Vec::new(),
        };
        probes
            .map(|probe| (probe.read_from(&processes), probe.anonymous_from(&processes)))
            .collect()
    }

    fn read_from(&mut self, processes: &Processes) -> Reading {
        let mut reading =
            Reading { at: Instant::now(), cpu: None, processes: 0, restarts: 0, missing: 0 };
        let mut readable = true;
        let mut sum = None;
        for instance in &mut self.instances {
            let read = instance.read(&self.system, processes);
            readable &= read.cpu.is_some() || read.processes == 0;
            sum = match (sum, read.cpu) {
                (Some(sum), Some(cpu)) => Some(cpu + sum),
                (sum, cpu) => sum.or(cpu),
            };
            reading.processes += read.processes;
            reading.restarts += read.restarts;
            reading.missing += usize::from(read.processes == 0);
        }
        // A sum without one of its parts would be a figure of something else.
        reading.cpu = sum.filter(|_| readable);
        reading
    }

    /// Memory now, by walking what is mapped: for 1 Hz.
    pub fn memory(&mut self) -> Memory {
        let processes = Processes::scan(&self.system);
        let read = self.instances.iter_mut().map(|each| each.memory(&self.system, &processes));
        read.reduce(Memory::plus).unwrap_or_default()
    }

    /// Anonymous memory now, from counters of the kernel: cheap enough for 10 Hz. The largest
    /// value seen since [`Probe::begin_peak`] is what [`Probe::peak`] says where nothing better is
    /// to be had.
    pub fn anonymous(&mut self) -> Option<u64> {
        let processes = Processes::scan(&self.system);
        self.anonymous_from(&processes)
    }

    fn anonymous_from(&mut self, processes: &Processes) -> Option<u64> {
        let mut sum = None;
        for instance in &mut self.instances {
            sum = Some(sum.unwrap_or(0) + instance.anonymous(&self.system, processes)?);
        }
        sum
    }

    /// From now on [`Probe::peak`] speaks of this block. Where it is allowed, the kernel's mark of
    /// the highest resident size is taken back to what is resident now.
    pub fn begin_peak(&mut self) {
        let processes = Processes::scan(&self.system);
        for instance in &mut self.instances {
            instance.begin_peak(&self.system, &processes);
        }
    }

    /// The highest memory since [`Probe::begin_peak`], in bytes. For several processes it is the
    /// sum of their peaks, which need not have been at one time.
    pub fn peak(&mut self) -> Option<u64> {
        let processes = Processes::scan(&self.system);
        let mut sum = None;
        for instance in &mut self.instances {
            sum = Some(sum.unwrap_or(0) + instance.peak(&self.system, &processes)?);
        }
        sum
    }

    /// Switches and waiting of all threads: two files a thread, so for the ends of blocks.
    pub fn scheduling(&mut self) -> Option<Scheduling> {
        let processes = Processes::scan(&self.system);
        let read = self.instances.iter_mut().map(|each| each.scheduling(&self.system, &processes));
        read.reduce(|one, other| one.zip(other).map(|(one, other)| one.plus(other))).flatten()
    }

    /// Of the first process of each instance, summed.
    pub fn parallelism(&mut self) -> Option<Parallelism> {
        let processes = Processes::scan(&self.system);
        let read = self.instances.iter_mut().map(|each| each.parallelism(&self.system, &processes));
        read.reduce(|one, other| one.zip(other).map(|(one, other)| one.plus(other))).flatten()
    }

    /// What the readings come from; whole once each kind was read.
    pub fn sources(&self) -> Sources {
        Sources::of(self.instances.iter().map(Instance::sources))
    }
}

fn both<T>(one: Option<T>, other: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    one.zip(other).map(|(one, other)| join(one, other))
}

impl Memory {
    /// Known only where both are.
    fn plus(self, other: Memory) -> Memory {
        let sum = |one: Option<u64>, other| both(one, other, u64::saturating_add);
        Memory {
            proportional: sum(self.proportional, other.proportional),
            private_dirty: sum(self.private_dirty, other.private_dirty),
            anonymous: sum(self.anonymous, other.anonymous),
        }
    }
}

impl Scheduling {
    fn plus(self, other: Scheduling) -> Scheduling {
        Scheduling {
            switches_voluntary: self.switches_voluntary + other.switches_voluntary,
            switches_involuntary: self.switches_involuntary + other.switches_involuntary,
            waited: self.waited + other.waited,
            throttled: both(self.throttled, other.throttled, u64::saturating_add),
            pressure: both(self.pressure, other.pressure, Duration::saturating_add),
        }
    }
}

impl Parallelism {
    fn plus(self, other: Parallelism) -> Parallelism {
        Parallelism {
            threads: self.threads + other.threads,
            cores_allowed: self.cores_allowed.max(other.cores_allowed),
            quota_own: both(self.quota_own, other.quota_own, |one, other| one + other),
            quota_tightest: both(self.quota_tightest, other.quota_tightest, |one, other| {
                one + other
            }),
        }
    }
}
