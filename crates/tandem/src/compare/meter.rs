//! What reads a side: a probe on this machine, or the agent of another one.
//!
//! Both are asked at the ends of blocks and at no other time; a question to an agent moves its
//! connection on only while it is asked. An agent's readings have its own time, so that neither
//! interval nor CPU has the network in it: what a side uses between the agent's reading and the first
//! call, a round trip, is all that a block has too much.
//!
//! An agent that does not answer within its deadline once is not asked again: without that reading a
//! series has no CPU anyway. Everything that it would have told is unknown from then on, and a note
//! says so.
//!
//! Not here: what is asked and answered (`crate::agent`), how a process is read
//! (`tandem_measure::probe`).

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tandem_config::Tnd;
use tandem_measure::probe::{Memory, Parallelism, Probe, Reading, Target};

use super::target::Named;
use crate::agent::ask::{Agent, Unanswered};
use crate::agent::{Asked, HostTold, MachineTold, PROTO, Problem, Told, boot};
use crate::failure::{Exit, Failure};

/// Reads one side.
pub(crate) enum Meter {
    Here(Probe),
    There(Box<Far>),
}

/// A side on a machine that an agent reads.
pub(crate) struct Far {
    agent: Agent,
    /// `HOST:PORT`.
    place: String,
    side: String,
    /// The agent's start as this process counts time; only differences are ever used.
    base: Instant,
    machine: MachineTold,
    /// The next reading is the beginning of a block.
    begins: bool,
    mark: Option<u64>,
    last: Told,
    lost: bool,
    notes: BTreeSet<String>,
}

/// The counters of an agent's machine at one reading.
#[derive(Debug, Clone)]
pub(crate) struct There {
    boot: String,
    agent: String,
    host: Option<HostTold>,
    own_ns: u64,
}

impl Meter {
    /// Finds the agent, and lets it find the side.
    ///
    /// # Errors
    /// No agent, another token, another version, nothing there to be read.
    pub(crate) async fn through(
        named: &Named,
        (host, port): (&str, u16),
        token: &str,
    ) -> Result<Meter, Failure> {
        let place = format!("{host}:{port}");
        let agent = Agent::new(host, port, token).ok_or_else(|| {
            Failure::new(Exit::Usage, "this is no token")
                .coded(Tnd::NoCredential)
                .at("--agent-token-file")
                .fix("name the file that `tandem agent` named")
        })?;
        let mut far = Far {
            agent,
            place,
            side: named.name.clone(),
            base: Instant::now(),
            machine: MachineTold::default(),
            begins: false,
            mark: None,
            last: Told::default(),
            lost: false,
            notes: BTreeSet::new(),
        };
        let asked = Asked { find: true, ..far.asked() };
        let told = far.agent.ask(&asked).await;
        far.last = told.map_err(|error| unanswered(named, &far.place, &error))?;
        far.machine = far.last.machine.take().unwrap_or_default();
        Ok(Meter::There(Box::new(far)))
    }

    /// From the next reading on [`Meter::peak`] speaks of this block.
    pub(crate) fn begin_peak(&mut self) {
        match self {
            Meter::Here(probe) => probe.begin_peak(),
            Meter::There(far) => far.begins = true,
        }
    }

    /// CPU used so far, and what runs.
    pub(crate) async fn read(&mut self) -> Reading {
        match self {
            Meter::Here(probe) => probe.read(),
            Meter::There(far) => far.read().await,
        }
    }

    /// The highest memory of the block; of an agent's side it came with the last reading.
    pub(crate) fn peak(&mut self) -> Option<u64> {
        match self {
            Meter::Here(probe) => probe.peak(),
            Meter::There(far) => far.last.peak_bytes,
        }
    }

    /// What the host of its machine took in each half of the block; `None` for this machine, where
    /// the generator sees it itself.
    pub(crate) fn stolen(&self) -> Option<[f64; 2]> {
        match self {
            Meter::Here(_) => None,
            Meter::There(far) => far.last.stolen_halves,
        }
    }

    pub(crate) async fn memory(&mut self) -> Memory {
        match self {
            Meter::Here(probe) => probe.memory(),
            Meter::There(far) => {
                let asked = Asked { memory: true, ..far.asked() };
                let told = far.ask(&asked).await;
                told.and_then(|told| told.memory).map(Memory::from).unwrap_or_default()
            }
        }
    }

    pub(crate) async fn parallelism(&mut self) -> Option<Parallelism> {
        match self {
            Meter::Here(probe) => probe.parallelism(),
            Meter::There(far) => {
                let asked = Asked { parallelism: true, ..far.asked() };
                far.ask(&asked).await?.parallelism.map(Into::into)
            }
        }
    }

    /// Where CPU and the peak of memory are read, in words.
    pub(crate) fn sources(&self) -> [String; 2] {
        match self {
            Meter::Here(probe) => {
                let sources = probe.sources();
                [sources.cpu_text(), sources.peak_text()]
            }
            Meter::There(far) => {
                let sources = &far.last.sources;
                [&sources.cpu, &sources.peak].map(|source| format!("agent, {source}"))
            }
        }
    }

    /// The other machine, in words.
    pub(crate) fn machine(&self) -> Option<String> {
        match self {
            Meter::Here(_) => None,
            Meter::There(far) => {
                let (side, machine) = (&far.side, far.machine.text());
                let same = far.machine.boot == *BOOT;
                let other = if same { "this machine" } else { "another machine" };
                Some(format!("`{side}` is read by an agent, on {other}: {machine}"))
            }
        }
    }

    /// What could not be read, in words.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &String> {
        let far = match self {
            Meter::Here(_) => None,
            Meter::There(far) => Some(far),
        };
        far.into_iter().flat_map(|far| &far.notes)
    }

    /// The agent's machine as of the last reading; `None` for this one.
    pub(crate) fn there(&self) -> Option<There> {
        match self {
            Meter::Here(_) => None,
            Meter::There(far) => Some(There {
                boot: far.machine.boot.clone(),
                agent: far.last.agent.clone(),
                host: far.last.host,
                own_ns: far.last.own_cpu_ns,
            }),
        }
    }

    pub(crate) fn is_far(&self) -> bool {
        matches!(self, Meter::There(_))
    }
}

impl Far {
    fn asked(&self) -> Asked {
        Asked { proto: PROTO, target: self.side.clone(), ..Asked::default() }
    }

    async fn read(&mut self) -> Reading {
        let begins = std::mem::take(&mut self.begins);
        // A block that was broken off is nobody's any more once the next one begins.
        let ends = self.mark.take().filter(|_| !begins);
        let asked = Asked { begins, ends, ..self.asked() };
        let before = self.last.agent.clone();
        let Some(told) = self.ask(&asked).await else { return self.nothing() };
        if told.agent != before {
            let note = format!("the agent of `{}` at {} began anew", self.side, self.place);
            self.lose(&note);
            return self.nothing();
        }
        self.mark = told.mark;
        let notes = told.notes.iter().map(|note| format!("`{}`: {note}", self.side));
        self.notes.extend(notes);
        let reading = Reading {
            at: self.base + Duration::from_nanos(told.at_ns),
            cpu: told.cpu_ns.map(Duration::from_nanos),
            processes: told.processes as usize,
            restarts: told.restarts,
            missing: told.missing as usize,
        };
        self.last = told;
        reading
    }

    /// `None` where it does not answer, from then on.
    async fn ask(&mut self, asked: &Asked) -> Option<Told> {
        if self.lost {
            return None;
        }
        match self.agent.ask(asked).await {
            Ok(told) => Some(told),
            Err(error) => {
                let note =
                    format!("the agent of `{}` at {} was lost: {error}", self.side, self.place);
                self.lose(&note);
                None
            }
        }
    }

    fn lose(&mut self, why: &str) {
        self.lost = true;
        self.notes.insert(format!("{why}; what it uses is unknown from then on"));
        // Sources stay: they are those of what was read.
        self.last.peak_bytes = None;
        self.last.stolen_halves = None;
        self.last.host = None;
    }

    fn nothing(&self) -> Reading {
        Reading { at: self.base, cpu: None, processes: 0, restarts: 0, missing: 0 }
    }
}

static BOOT: LazyLock<String> = LazyLock::new(boot);

/// What machines did in a block, and what of it somebody answers for: `here` is this one, `there`
/// are the agents' at its ends. A machine counts once, whoever stands on it; agents answer for what
/// they use. `None` where one of them does not say.
pub(crate) fn busy(
    here: (Duration, Duration),
    there: &[(There, There)],
) -> Option<(Duration, Duration)> {
    let (mut busy, mut answered) = here;
    let (mut boots, mut agents) = (BTreeSet::from([BOOT.as_str()]), BTreeSet::new());
    for (before, after) in there {
        if boots.insert(&after.boot) {
            let (before, after) = before.host.zip(after.host)?;
            busy += Duration::from_nanos(after.busy_ns.saturating_sub(before.busy_ns));
        }
        if agents.insert(&after.agent) {
            answered += Duration::from_nanos(after.own_ns.saturating_sub(before.own_ns));
        }
    }
    Some((busy, answered))
}

/// The agent of a side, by what it is called.
pub(crate) fn agent_of(named: &Named) -> Option<(&str, u16)> {
    match &named.targets[..] {
        [Target::Agent { host, port }] => Some((host, *port)),
        _ => None,
    }
}

fn unanswered(named: &Named, place: &str, error: &Unanswered) -> Failure {
    let name = &named.name;
    let failure = |exit, code| {
        Failure::new(exit, format!("the agent at {place} does not read `{name}`"))
            .coded(code)
            .at(named.flag)
            .because(error.to_string())
    };
    let start = format!("start it there: `tandem agent --target {name}=pid:N --listen ADDR`");
    match (error, error.problem()) {
        (Unanswered::OtherProto { .. }, _) | (_, Some(Problem::Proto)) => {
            failure(Exit::Failed, Tnd::OtherAgent)
                .fix("run the same version of tandem on both machines")
        }
        (_, Some(Problem::Token | Problem::Attempts)) => failure(Exit::Refused, Tnd::NoCredential)
            .fix("give the file that `tandem agent` named with `--agent-token-file FILE`"),
        (_, Some(Problem::Unknown)) => failure(Exit::Refused, Tnd::NoRight)
            .fix(format!("call the side as the agent does, or add `--target {name}=…` to it")),
        (_, Some(Problem::Denied)) => failure(Exit::Refused, Tnd::NoRight)
            .fix("run the agent as the user of the service, or as root"),
        (_, Some(Problem::NotFound)) => failure(Exit::Unreachable, Tnd::Unreachable)
            .fix("start the service there, or the agent with another target"),
        (_, Some(Problem::Ambiguous)) => {
            failure(Exit::Usage, Tnd::WrongType).fix("let the agent read one process by `pid:N`")
        }
        (_, Some(Problem::Malformed | Problem::Broken | Problem::Other)) => {
            failure(Exit::Failed, Tnd::OtherAgent).fix("look into the agent's own log")
        }
        (_, None) => failure(Exit::Unreachable, Tnd::Unreachable).fix(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_a_7_a_machine_counts_once_and_its_agents_answer_for_themselves() {
        let ms = Duration::from_millis;
        let there = |boot: &str, agent: &str, busy_ms: u64, own_ms: u64| There {
            boot: boot.into(),
            agent: agent.into(),
            host: Some(HostTold { busy_ns: busy_ms * 1_000_000, ..HostTold::default() }),
            own_ns: own_ms * 1_000_000,
        };
        let pair = |boot, agent| (there(boot, agent, 100, 10), there(boot, agent, 1_100, 30));
        let here = (ms(500), ms(400));
        assert_eq!(busy(here, &[]), Some(here));
        assert_eq!(busy(here, &[pair("b", "1")]), Some((ms(1_500), ms(420))));
        // Two sides of one agent, two agents of one machine, an agent on this machine.
        assert_eq!(busy(here, &[pair("b", "1"), pair("b", "1")]), Some((ms(1_500), ms(420))));
        assert_eq!(busy(here, &[pair("b", "1"), pair("b", "2")]), Some((ms(1_500), ms(440))));
        assert_eq!(busy(here, &[pair(&BOOT, "1")]), Some((ms(500), ms(420))));
        let (before, after) = pair("b", "1");
        assert_eq!(busy(here, &[(There { host: None, ..before }, after)]), None);
    }
}
