//! The targets of an agent, and one look at one of them.
//!
//! Looking walks over the processes of the machine and blocks: it is done where that is allowed,
//! one look at a time. While a block is measured the machine's own counters are read ten times a
//! second, so that what its host took is known for each half of the block (compare A-6).
//!
//! A block has a mark. Whoever begins another one takes the mark away, and the peak of the first is
//! said to be unknown: the kernel has one highest size for a process, not one for each reader.
//!
//! Not here: who may ask (`serve`), how a process is read (`tandem_measure::probe`).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tandem_measure::environment::own_cpu;
use tandem_measure::probe::host::{self, HostReading};
use tandem_measure::probe::{Probe, ProbeError, Target};

use super::{Asked, MachineTold, PROTO, Problem, Refused, Told, nanoseconds};

/// What one agent looks at.
pub(crate) struct Watch {
    started: Instant,
    /// Of this start.
    agent: String,
    targets: Vec<Named>,
    // Taken by one look at a time.
    probes: Mutex<Vec<Watched>>,
    // Taken by the sampler, ten times a second while a block is measured, and by looks.
    samples: Mutex<Samples>,
}

/// A target of the command line. Several of one name are instances of one side, which sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// `None` for the only one.
    pub(crate) name: Option<String>,
    pub(crate) targets: Vec<Target>,
}

struct Watched {
    probe: Probe,
    /// The block that is measured: its mark, and when it began.
    block: Option<(u64, Instant)>,
}

#[derive(Default)]
struct Samples {
    host: VecDeque<HostReading>,
    /// Blocks are measured until then.
    until: Option<Instant>,
    /// Marks that were given.
    marks: u64,
}

/// Between two samples of the machine.
pub(crate) const EVERY: Duration = Duration::from_millis(100);
/// A block that nobody ended in this time is not waited for; the longest has a minute.
const BLOCK_MOST: Duration = Duration::from_secs(120);
const SAMPLES_MOST: usize = 1_200;

impl Watch {
    /// # Errors
    /// A target that no agent reads.
    pub(crate) fn new(targets: Vec<Named>) -> Result<Watch, ProbeError> {
        let watched = |named: &Named| {
            let probe = Probe::new(named.targets.clone())?;
            Ok(Watched { probe, block: None })
        };
        let probes = targets.iter().map(watched).collect::<Result<Vec<_>, ProbeError>>()?;
        let id: [u8; 8] = rand::random();
        Ok(Watch {
            started: Instant::now(),
            agent: tandem_protocol::identity::hex(&id),
            targets,
            probes: Mutex::new(probes),
            samples: Mutex::default(),
        })
    }

    pub(crate) fn targets(&self) -> &[Named] {
        &self.targets
    }

    /// Looks, and says what was seen. Blocks.
    ///
    /// # Errors
    /// What is wrong with the request, or with its target.
    pub(crate) fn look(&self, asked: &Asked) -> Result<Told, Refused> {
        let Asked { proto, target, find, begins, ends, memory, scheduling, parallelism } = asked;
        if *proto != PROTO {
            let what = format!("this agent speaks {PROTO}, not {proto}");
            return Err(refused(Problem::Proto, what));
        }
        let place = self.place(target)?;
        if *find {
            // A probe of its own: what one reader finds must not begin anew for another.
            let found = Probe::open(self.targets[place].targets.clone());
            found.map(drop).map_err(|error| unreadable(&error))?;
        }
        let mut told = Told { proto: PROTO, agent: self.agent.clone(), ..Told::default() };
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let Watched { probe, block } = &mut probes[place];
        if *begins {
            // Before the reading: what it costs is not of the block.
            probe.begin_peak();
        }
        let read = probe.read();
        let host = host::read();
        told.at_ns = nanoseconds(read.at.saturating_duration_since(self.started));
        told.cpu_ns = read.cpu.map(nanoseconds);
        told.processes = read.processes as u64;
        told.restarts = read.restarts;
        told.missing = read.missing as u64;
        told.host = host.map(Into::into);
        if let Some(mark) = ends {
            match block.take_if(|(current, _)| current == mark) {
                Some((_, began)) => {
                    told.peak_bytes = probe.peak();
                    told.stolen_halves = self.samples().halves((began, read.at), host);
                    if told.peak_bytes.is_none() {
                        told.notes.push("the peak of memory may not be read".to_owned());
                    }
                }
                None => {
                    let what = "another reader began a block meanwhile, so the peak of this one \
                                is not known";
                    told.notes.push(what.to_owned());
                }
            }
        }
        if *begins {
            let mark = self.samples().begin(read.at, host);
            *block = Some((mark, read.at));
            told.mark = Some(mark);
        }
        if *memory {
            told.memory = Some(probe.memory().into());
        }
        if *scheduling {
            told.scheduling = probe.scheduling().map(Into::into);
        }
        if *parallelism {
            told.parallelism = probe.parallelism().map(Into::into);
        }
        if *find {
            told.machine = Some(MachineTold::read());
        }
        told.sources = probe.sources().into();
        told.own_cpu_ns = nanoseconds(own_cpu::of_process());
        Ok(told)
    }

    /// Reads the machine's counters if a block is measured; whoever owns the agent calls it each
    /// [`EVERY`].
    pub(crate) fn sample(&self) {
        let mut samples = self.samples();
        if samples.until.is_some_and(|until| until > Instant::now()) {
            samples.put(host::read());
        }
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, wanted: &str) -> Result<usize, Refused> {
        match &self.targets[..] {
            [Named { name: None, targets: _ }] => Ok(0),
            named => {
                let place = named.iter().position(|one| one.name.as_deref() == Some(wanted));
                place.ok_or_else(|| {
                    let names: Vec<&str> =
                        named.iter().filter_map(|one| one.name.as_deref()).collect();
                    let what = format!(
                        "this agent has no target `{}`; it has {}",
                        wanted.escape_debug(),
                        names.join(", ")
                    );
                    refused(Problem::Unknown, what)
                })
            }
        }
    }
}

impl Samples {
    /// The mark of a block that begins now.
    fn begin(&mut self, at: Instant, host: Option<HostReading>) -> u64 {
        self.until = Some(at + BLOCK_MOST);
        self.marks += 1;
        self.put(host);
        self.marks
    }

    fn put(&mut self, host: Option<HostReading>) {
        let Some(host) = host else { return };
        if self.host.len() == SAMPLES_MOST {
            self.host.pop_front();
        }
        self.host.push_back(host);
    }

    /// What was stolen in each half of a block that ends with `last`. Where no sample lies between,
    /// the block was too short for halves, and both are the whole.
    fn halves(
        &self,
        (from, to): (Instant, Instant),
        last: Option<HostReading>,
    ) -> Option<[f64; 2]> {
        let last = last?;
        let first = self.host.iter().find(|sample| sample.at >= from)?;
        let half = from + to.saturating_duration_since(from) / 2;
        let off = |sample: &HostReading| match sample.at > half {
            true => sample.at - half,
            false => half - sample.at,
        };
        let between = self.host.iter().filter(|sample| sample.at > first.at && sample.at < last.at);
        Some(match between.min_by_key(|sample| off(sample)) {
            Some(middle) => [middle.since(first).stolen, last.since(middle).stolen],
            None => [last.since(first).stolen; 2],
        })
    }
}

pub(crate) fn refused(problem: Problem, what: impl Into<String>) -> Refused {
    Refused { proto: PROTO, problem, what: what.into() }
}

fn unreadable(error: &ProbeError) -> Refused {
    let problem = match error {
        ProbeError::NotFound { .. } => Problem::NotFound,
        ProbeError::Ambiguous { .. } => Problem::Ambiguous,
        ProbeError::Denied { .. } => Problem::Denied,
        ProbeError::Elsewhere { .. } | ProbeError::NotStarted { .. } => Problem::Broken,
    };
    refused(problem, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        let targets = vec![Target::Pid(std::process::id())];
        Watch::new(vec![Named { name: Some("it".into()), targets }]).unwrap()
    }

    fn asked(target: &str) -> Asked {
        Asked { proto: PROTO, target: target.into(), ..Asked::default() }
    }

    #[test]
    fn what_another_number_or_another_name_asks_for_is_refused_in_words() {
        let watch = watch();
        let other = watch.look(&Asked { proto: 2, ..asked("it") }).unwrap_err();
        assert_eq!((other.problem, other.proto), (Problem::Proto, PROTO));
        let unknown = watch.look(&asked("its")).unwrap_err();
        assert_eq!(unknown.problem, Problem::Unknown);
        assert!(unknown.what.contains("it has it"), "{}", unknown.what);
    }

    #[test]
    fn a_block_has_a_peak_and_what_began_meanwhile_takes_it_away() {
        let watch = watch();
        let begin = || watch.look(&Asked { begins: true, ..asked("it") }).unwrap();
        let end = |mark| watch.look(&Asked { ends: mark, ..asked("it") }).unwrap();
        let first = begin();
        let ended = end(first.mark);
        assert!(ended.peak_bytes.is_some() && ended.stolen_halves.is_some(), "{ended:?}");
        assert!(ended.notes.is_empty() && ended.at_ns > first.at_ns, "{ended:?}");
        let (one, other) = (begin(), begin());
        let ended = end(one.mark);
        assert!(ended.peak_bytes.is_none() && ended.notes[0].contains("another reader"));
        assert!(end(other.mark).peak_bytes.is_some());
        assert!(end(other.mark).peak_bytes.is_none(), "a block ends once");
    }

    #[test]
    fn compare_a_6_each_half_of_a_block_knows_what_was_stolen_in_it() {
        let from = Instant::now();
        let sample = |ms: u64, stolen_ms: u64| HostReading {
            at: from + Duration::from_millis(ms),
            busy: Duration::ZERO,
            stolen: Duration::from_millis(stolen_ms),
            all: Duration::from_millis(ms),
        };
        let mut samples = Samples::default();
        samples.begin(from, Some(sample(0, 0)));
        let block = (from, from + Duration::from_millis(1_000));
        let near = |found: Option<[f64; 2]>, expected: [f64; 2]| {
            let found = found.unwrap();
            let off = found.iter().zip(expected).map(|(one, other)| (one - other).abs());
            assert!(off.fold(0.0, f64::max) < 1e-9, "{found:?}");
        };
        near(samples.halves(block, Some(sample(1_000, 10))), [0.01; 2]);
        for ms in [100, 200, 300, 400, 500, 600] {
            samples.put(Some(sample(ms, if ms > 500 { 50 } else { 0 })));
        }
        near(samples.halves(block, Some(sample(1_000, 50))), [0.0, 0.1]);
        assert_eq!(samples.halves(block, None), None);
    }
}
