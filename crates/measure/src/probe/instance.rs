//! One instance of an implementation: found, read, and found again when it began anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cgroup::{self, Groups};
use super::exec::FreshCgroup;
use super::ledger::{Ledger, Process, Spent};
use super::process_text;
use super::processes::{self, Processes};
use super::source::{CpuSource, MemorySource, PeakSource, Sources};
use super::system::{Peak, System};
use super::threads::Threads;
use super::{Memory, Parallelism, ProbeError, Scheduling, Target, listen};

#[derive(Debug)]
pub(super) struct Instance {
    target: Target,
    place: Place,
    /// Those of the last reading.
    members: BTreeSet<Process>,
    was_found: bool,
    restarts: u64,
    ledger: Ledger,
    threads: Threads,
    throttled: Option<u64>,
    pressure: Option<Duration>,
    peak: PeakMark,
    /// Once a clock was refused, ticks are read for good: a counter must not change its grain.
    clock_refused: bool,
    cpu: Option<CpuSource>,
    memory: Option<MemorySource>,
}

#[derive(Debug)]
enum Place {
    Nowhere,
    /// Processes and all below them.
    Tree(BTreeSet<Process>),
    Groups(Groups),
    /// Made for a command, and taken away with the probe. The command moves itself into it; until
    /// it has, it is a tree.
    Fresh {
        _made: FreshCgroup,
        groups: Groups,
        root: Process,
        joined: bool,
    },
}

#[derive(Debug)]
enum PeakMark {
    /// The largest sample so far.
    Samples(Option<u64>),
    HighWater,
    Cgroup(Peak),
}

/// What one instance says.
#[derive(Debug, Clone, Copy)]
pub(super) struct InstanceReading {
    pub(super) cpu: Option<Duration>,
    pub(super) processes: usize,
    pub(super) restarts: u64,
}

impl Instance {
    pub(super) fn new(target: Target) -> Result<Instance, ProbeError> {
        match target {
            Target::Agent { .. } => Err(ProbeError::Elsewhere { target }),
            Target::Exec(_) => Err(ProbeError::NotStarted { target }),
            Target::Pid(_)
            | Target::Cgroup(_)
            | Target::Unit(_)
            | Target::Docker(_)
            | Target::KubernetesPod(_)
            | Target::Port(_) => Ok(Instance::placed(target, Place::Nowhere)),
        }
    }

    /// A command that was started, by its pid, in a cgroup of its own if one could be made.
    pub(super) fn started(
        system: &System,
        target: Target,
        pid: u32,
        cgroup: Option<FreshCgroup>,
    ) -> Result<Instance, ProbeError> {
        let Some(stat) = processes::stat(system, pid).filter(|stat| !stat.is_over()) else {
            let what = format!("process {pid} has ended");
            return Err(ProbeError::NotFound { target, what });
        };
        let root = Process::of(&stat);
        let made = cgroup.and_then(|made| Some((Groups::at(system, made.folder())?, made)));
        Ok(Instance::placed(
            target,
            match made {
                Some((groups, _made)) => Place::Fresh { _made, groups, root, joined: false },
                None => Place::Tree(BTreeSet::from([root])),
            },
        ))
    }

    fn placed(target: Target, place: Place) -> Instance {
        Instance {
            target,
            place,
            members: BTreeSet::new(),
            was_found: false,
            restarts: 0,
            ledger: Ledger::default(),
            threads: Threads::default(),
            throttled: None,
            pressure: None,
            peak: PeakMark::Samples(None),
            clock_refused: false,
            cpu: None,
            memory: None,
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn sources(&self) -> Sources {
        let peak = match self.peak {
            PeakMark::Samples(None) => None,
            PeakMark::Samples(Some(_)) => Some(PeakSource::Samples),
            PeakMark::HighWater => Some(PeakSource::HighWater),
            PeakMark::Cgroup(_) => Some(PeakSource::CgroupPeak),
        };
        Sources {
            cpu: self.cpu.into_iter().collect(),
            memory: self.memory.into_iter().collect(),
            peak: peak.into_iter().collect(),
        }
    }

    /// Looks for the target, if nothing of it is known to run.
    pub(super) fn find(
        &mut self,
        system: &System,
        processes: &Processes,
    ) -> Result<(), ProbeError> {
        self.members = self.present(system, processes);
        if !self.members.is_empty() {
            return Ok(());
        }
        let place = look(system, processes, &self.target)?;
        // A pid is not given for good: another process under it is somebody else.
        if self.was_found && matches!(self.target, Target::Pid(_) | Target::Exec(_)) {
            let what = "the process has ended".to_owned();
            return Err(ProbeError::NotFound { target: self.target.clone(), what });
        }
        self.place = place;
        self.members = self.present(system, processes);
        if self.members.is_empty() {
            let what = "no process is in it".to_owned();
            return Err(ProbeError::NotFound { target: self.target.clone(), what });
        }
        Ok(())
    }

    /// Those of its processes that run now.
    fn present(&mut self, system: &System, processes: &Processes) -> BTreeSet<Process> {
        let in_groups = |groups: &Groups| {
            let pids = groups.pids(system).into_iter();
            pids.filter_map(|pid| processes.find(pid)).collect::<BTreeSet<Process>>()
        };
        match &mut self.place {
            Place::Nowhere => BTreeSet::new(),
            // Whoever was seen below it once stays with it, although its parent ended.
            Place::Tree(roots) => processes.tree(roots.union(&self.members).copied()),
            Place::Groups(groups) => in_groups(groups),
            Place::Fresh { _made, groups, root, joined } => {
                let inside = in_groups(groups);
                *joined |= inside.contains(root);
                if *joined { inside } else { processes.tree([*root]) }
            }
        }
    }

    fn refresh(&mut self, system: &System, processes: &Processes) {
        let before = std::mem::take(&mut self.members);
        // `present` looks at the members of before.
        self.members.clone_from(&before);
        // Not being there is a reading, not a failure.
        let _ = self.find(system, processes);
        if self.members.is_empty() {
            return;
        }
        if self.was_found && self.members.is_disjoint(&before) {
            self.restarts += 1;
        }
        self.was_found = true;
    }

    fn groups(&self) -> Option<&Groups> {
        match &self.place {
            Place::Groups(groups) | Place::Fresh { groups, joined: true, .. } => Some(groups),
            Place::Nowhere | Place::Tree(_) | Place::Fresh { .. } => None,
        }
    }

    pub(super) fn read(&mut self, system: &System, processes: &Processes) -> InstanceReading {
        self.refresh(system, processes);
        let cpu = match self.spent(system) {
            Some(spent) => Some(self.ledger.advance(spent)),
            None => self.was_found.then(|| self.ledger.total()).filter(|_| self.members.is_empty()),
        };
        InstanceReading { cpu, processes: self.members.len(), restarts: self.restarts }
    }

    /// What its parts have spent, by the best source that works.
    fn spent(&mut self, system: &System) -> Option<BTreeMap<Process, Spent>> {
        if let Some(groups) = self.groups() {
            let inode = groups.inode(system);
            if let (Some(inode), Some((source, usage))) = (inode, groups.cpu(system)) {
                // A cgroup is one spender, told from the one before it by its number.
                let cgroup = Process { pid: 0, start_ticks: inode };
                self.cpu = Some(source);
                let spent = Spent { own: usage, reaped: Duration::ZERO };
                return Some(BTreeMap::from([(cgroup, spent)]));
            }
        }
        if self.members.is_empty() {
            return self.was_found.then(BTreeMap::new);
        }
        let spent = self.by_process(system);
        if self.clock_refused && self.cpu.is_none() {
            // The next rung, if a cgroup holds just this instance.
            let first = self.members.first().map(|process| process.pid);
            let groups = first.and_then(|pid| Groups::of_process(system, pid));
            let pids: BTreeSet<u32> = self.members.iter().map(|process| process.pid).collect();
            if let Some(groups) = groups.filter(|groups| groups.pids(system) == pids) {
                self.place = Place::Groups(groups);
                return self.spent(system);
            }
        }
        self.cpu = Some(match self.clock_refused {
            false => CpuSource::ProcessClock,
            true => CpuSource::ProcStat,
        });
        Some(spent)
    }

    /// A child that is waited for while the others are read would count twice, in itself and in
    /// its parent: then everything is read again.
    fn by_process(&mut self, system: &System) -> BTreeMap<Process, Spent> {
        const READINGS_MOST: usize = 3;
        let mut members = self.members.clone();
        let mut spent = BTreeMap::new();
        for _ in 0..READINGS_MOST {
            spent = members.iter().filter_map(|each| self.of_process(system, *each)).collect();
            let alone = members.len() <= 1;
            let still = |each: &Process| {
                processes::stat(system, each.pid).is_some_and(|stat| Process::of(&stat) == *each)
            };
            if spent.len() == members.len() && (alone || members.iter().all(still)) {
                break;
            }
            members.retain(still);
        }
        spent
    }

    fn of_process(&mut self, system: &System, process: Process) -> Option<(Process, Spent)> {
        // The clock first: the pid meant this process before, and if it still does, it did then.
        let clock = match self.clock_refused {
            false => system.clock(process.pid),
            true => None,
        };
        let stat = processes::stat(system, process.pid)?;
        if Process::of(&stat) != process {
            return None;
        }
        if clock.is_none() && !stat.is_over() {
            self.clock_refused = true;
        }
        let own = clock.unwrap_or(stat.own);
        Some((process, Spent { own, reaped: stat.reaped }))
    }

    pub(super) fn memory(&mut self, system: &System, processes: &Processes) -> Memory {
        let anonymous = self.anonymous(system, processes);
        let (mut proportional, mut private_dirty) = (Some(0_u64), Some(0_u64));
        for process in &self.members {
            let Some(text) = unless_gone(system.of_process(process.pid, "smaps_rollup")) else {
                continue;
            };
            let read = text.ok().and_then(|text| process_text::smaps_rollup(&text));
            let plus = |sum: Option<u64>, more| sum.zip(more).map(|(sum, more)| sum + more);
            proportional = plus(proportional, read.map(|rollup| rollup.proportional));
            private_dirty = plus(private_dirty, read.map(|rollup| rollup.private_dirty));
        }
        if self.members.is_empty() {
            return Memory::default();
        }
        if proportional.is_some() {
            self.memory = Some(MemorySource::SmapsRollup);
        }
        Memory { proportional, private_dirty, anonymous }
    }

    pub(super) fn anonymous(&mut self, system: &System, processes: &Processes) -> Option<u64> {
        self.members = self.present(system, processes);
        if self.members.is_empty() {
            return None;
        }
        let of_group = self.groups().and_then(|groups| groups.anonymous(system));
        let (source, sum) = match of_group {
            Some(sum) => (MemorySource::CgroupStat, sum),
            None => (MemorySource::Status, self.sum_of_status(system, |status| status.anonymous)?),
        };
        self.memory.get_or_insert(source);
        if let PeakMark::Samples(most) = &mut self.peak {
            *most = Some(most.unwrap_or(0).max(sum));
        }
        Some(sum)
    }

    fn sum_of_status(
        &self,
        system: &System,
        field: impl Fn(&process_text::Status) -> Option<u64>,
    ) -> Option<u64> {
        let mut sum = None;
        for process in &self.members {
            let Some(text) = unless_gone(system.of_process(process.pid, "status")) else {
                continue;
            };
            // Ended and not waited for: it has no memory any more.
            let Some(bytes) = field(&process_text::status(&text.ok()?)) else { continue };
            sum = Some(sum.unwrap_or(0_u64).saturating_add(bytes));
        }
        sum
    }

    pub(super) fn begin_peak(&mut self, system: &System, processes: &Processes) {
        self.members = self.present(system, processes);
        let mut cleared = 0;
        let mut refused = false;
        for process in &self.members {
            match unless_gone(system.clear_high_water(process.pid)) {
                Some(Ok(())) => cleared += 1,
                Some(Err(_)) => refused = true,
                None => {}
            }
        }
        if cleared > 0 && !refused {
            self.peak = PeakMark::HighWater;
            return;
        }
        let folder = self.groups().and_then(Groups::v2);
        self.peak = match folder.and_then(|folder| system.peak(folder).ok()) {
            Some(peak) => PeakMark::Cgroup(peak),
            None => PeakMark::Samples(None),
        };
        // The first sample, where samples are all there is.
        let _ = self.anonymous(system, processes);
    }

    pub(super) fn peak(&mut self, system: &System, processes: &Processes) -> Option<u64> {
        // Adds a sample at the end, where samples are all there is.
        let _ = self.anonymous(system, processes);
        match &mut self.peak {
            PeakMark::Samples(most) => *most,
            PeakMark::Cgroup(peak) => peak.read(),
            PeakMark::HighWater => self.sum_of_status(system, |status| status.high_water),
        }
    }

    pub(super) fn scheduling(
        &mut self,
        system: &System,
        processes: &Processes,
    ) -> Option<Scheduling> {
        self.members = self.present(system, processes);
        let switches = self.threads.read(system, self.members.iter())?;
        let throttled = self.groups().and_then(|groups| groups.throttled(system));
        let pressure = self.groups().and_then(|groups| groups.pressure(system));
        let began = throttled.map(|now| *self.throttled.get_or_insert(now));
        let before = pressure.map(|now| *self.pressure.get_or_insert(now));
        Some(Scheduling {
            switches_voluntary: switches.voluntary,
            switches_involuntary: switches.involuntary,
            waited: switches.waited,
            throttled: throttled.zip(began).map(|(now, began)| now.saturating_sub(began)),
            pressure: pressure.zip(before).map(|(now, before)| now.saturating_sub(before)),
        })
    }

    pub(super) fn parallelism(
        &mut self,
        system: &System,
        processes: &Processes,
    ) -> Option<Parallelism> {
        self.members = self.present(system, processes);
        let first = self.members.first()?.pid;
        let status = process_text::status(&system.of_process(first, "status").ok()?);
        let (quota_own, quota_tightest) = cgroup::quota(system, first);
        Some(Parallelism {
            threads: status.threads?,
            cores_allowed: status.cores_allowed?,
            quota_own,
            quota_tightest,
        })
    }
}

/// `None` for a process that ended while it was looked at; ESRCH is what reading says then.
fn unless_gone<T>(read: std::io::Result<T>) -> Option<std::io::Result<T>> {
    const NO_SUCH_PROCESS: i32 = nix::libc::ESRCH;
    match read {
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                || error.raw_os_error() == Some(NO_SUCH_PROCESS) =>
        {
            None
        }
        read => Some(read),
    }
}

/// Where a target is now.
fn look(system: &System, processes: &Processes, target: &Target) -> Result<Place, ProbeError> {
    let missing = |what: &str| ProbeError::NotFound { target: target.clone(), what: what.into() };
    let only = |mut found: Vec<Groups>, what: &str| match (found.pop(), found.is_empty()) {
        (None, _) => Err(missing(what)),
        (Some(groups), true) => Ok(Place::Groups(groups)),
        (Some(_), false) => {
            let what = format!("{} cgroups are called so", found.len() + 1);
            Err(ProbeError::Ambiguous { target: target.clone(), what })
        }
    };
    match target {
        Target::Pid(pid) => {
            let process =
                processes.find(*pid).ok_or_else(|| missing("there is no such process"))?;
            Ok(Place::Tree(BTreeSet::from([process])))
        }
        Target::Cgroup(path) => {
            let groups = Groups::at(system, path);
            groups.map(Place::Groups).ok_or_else(|| missing("no hierarchy has such a cgroup"))
        }
        Target::Unit(unit) => {
            only(Groups::named(system, |name| name == unit), "no cgroup is called so")
        }
        Target::Docker(id) => {
            let found = Groups::named(system, |name| cgroup::is_container(name, id));
            only(found, "no cgroup is that of such a container")
        }
        Target::KubernetesPod(uid) => {
            let found = Groups::named(system, |name| cgroup::is_pod(name, uid));
            only(found, "no cgroup is that of such a pod")
        }
        Target::Port(port) => listen::on(system, processes, *port)
            .map(Place::Tree)
            .ok_or_else(|| missing("nobody whose sockets may be seen listens there")),
        Target::Exec(_) => Err(ProbeError::NotStarted { target: target.clone() }),
        Target::Agent { .. } => Err(ProbeError::Elsewhere { target: target.clone() }),
    }
}
