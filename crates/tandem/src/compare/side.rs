//! One side while it runs: started where it is ours to start, found, set up, probed, connected.
//!
//! Not here: processes (`process`), what is sent (`wire`).

use std::rc::Rc;
use std::time::{Duration, Instant};

use tandem_config::Tnd;
use tandem_gateway::tasks::Side as Tasks;
use tandem_gateway::upstream::Upstream;
use tandem_gateway::upstream::direct::DirectError;
use tandem_measure::probe::{Parallelism, Probe, ProbeError, Target};

use super::Layout;
use super::meter::{self, Meter};
use super::process::{self, Process, Running};
use super::streams::Callee;
use super::target::{Named, Way};
use super::wire::Wire;
use crate::discover::{self, Trust};
use crate::failure::{Exit, Failure};

/// What all sides have in common.
pub(crate) struct Settings {
    /// Where what we start may run.
    pub(crate) layout: Layout,
    pub(crate) running: Running,
    pub(crate) trust: Trust,
    pub(crate) timeout: Duration,
    pub(crate) connections: u16,
    pub(crate) hook: Option<String>,
    /// Of the agents.
    pub(crate) agent_token: Option<String>,
    pub(crate) tasks: Tasks,
}

impl Settings {
    /// Where a side may run; empty for anywhere.
    fn cores(&self, role: &str) -> &[usize] {
        match &self.layout.each {
            None => &self.layout.services,
            Some([primary, _]) if role == "primary" => primary,
            Some([_, other]) => other,
        }
    }
}

/// The primary, the candidate, or the twin.
pub(crate) struct Side {
    pub(crate) named: Named,
    /// `primary`, `candidate` or `twin`.
    pub(crate) role: &'static str,
    pub(crate) upstream: Upstream,
    pub(crate) probe: Meter,
    /// `None` before [`Side::connect`].
    wire: Option<Rc<Wire>>,
    process: Option<Process>,
}

/// For a service to begin to answer after it was started.
const START: Duration = Duration::from_secs(30);
/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(20);
/// For a hook.
const HOOK: Duration = Duration::from_secs(120);

impl Side {
    /// Starts it where it is ours to start, and finds it.
    ///
    /// # Errors
    /// It does not answer, it cannot be read, or its hook fails.
    pub(crate) async fn start(
        named: &Named,
        role: &'static str,
        settings: &Settings,
    ) -> Result<Side, Failure> {
        let Found { process, upstream, probe } = find(named, role, settings).await?;
        let probe = match probe {
            Some(probe) => probe,
            None => far_probe_of(named, settings).await?,
        };
        Ok(Side { named: named.clone(), role, upstream, probe, wire: None, process })
    }

    /// Ends it and starts it again, with a folder and ports of its own.
    ///
    /// # Errors
    /// As [`Side::start`], and as [`Side::connect`].
    pub(crate) async fn restart(
        &mut self,
        settings: &Settings,
        callees: &Rc<[Callee]>,
    ) -> Result<(), Failure> {
        self.wire = None;
        self.process = None;
        let Found { process, upstream, probe } = find(&self.named, self.role, settings).await?;
        (self.process, self.upstream) = (process, upstream);
        // An agent goes on counting, and one that is lost ends no run.
        if let Some(probe) = probe {
            self.probe = probe;
        }
        self.connect(settings, callees).await
    }

    /// Connects for these methods.
    ///
    /// # Errors
    /// Nobody is there any more.
    pub(crate) async fn connect(
        &mut self,
        settings: &Settings,
        callees: &Rc<[Callee]>,
    ) -> Result<(), Failure> {
        let Settings { connections, timeout, tasks, .. } = settings;
        let wire = Wire::connect(&self.upstream, *connections, callees, *timeout, tasks).await;
        self.wire = Some(Rc::new(wire.map_err(|error| self.gone(&error))?));
        Ok(())
    }

    /// Its connections, those that broke made anew.
    ///
    /// # Errors
    /// Nobody is there any more.
    pub(crate) async fn wire(&self) -> Result<Rc<Wire>, Failure> {
        let wire = self.wire.as_ref().expect("sides are connected before they are called");
        wire.mend().await.map_err(|error| self.gone(&error))?;
        Ok(Rc::clone(wire))
    }

    /// Where it is asked what it is: as `--runtime` says, else on the port that its command calls
    /// `{port:admin}`, else where it is called.
    ///
    /// # Errors
    /// Nobody is there.
    pub(crate) async fn runtime(
        &self,
        settings: &Settings,
        limit: Duration,
    ) -> Result<Upstream, Failure> {
        let filled = |text: &str| match &self.process {
            Some(process) => process.ports.fill(text),
            None => text.to_owned(),
        };
        let admin = self.process.as_ref().and_then(|process| process.ports.named("admin"));
        let text = match (&self.named.runtime, admin) {
            (Some(text), _) => filled(text),
            (None, Some(port)) => format!("127.0.0.1:{port}"),
            (None, None) => return Ok(self.upstream.clone()),
        };
        let address = discover::address_of(&text)
            .map_err(|(why, fix)| unreachable(&self.named, why, "").fix(fix))?;
        let name = &self.named.name;
        let (_, upstream) = discover::reach(name, &address, &settings.trust, limit).await?;
        Ok(upstream)
    }

    /// How many threads its runtime was told to use; `None` where we did not start it.
    pub(crate) fn threads_told(&self, settings: &Settings) -> Option<u32> {
        let cores = settings.cores(self.role);
        let told = self.process.is_some() && !cores.is_empty();
        told.then(|| u32::try_from(cores.len()).ok()).flatten()
    }

    fn gone(&self, error: &DirectError) -> Failure {
        let said = self.process.as_ref().map(Process::last_lines).unwrap_or_default();
        unreachable(&self.named, error.to_string(), &said)
    }
}

/// Whether both sides may use as much and are tuned alike, as far as it can be seen (compare P-6).
///
/// # Errors
/// What one side has and the other has not.
pub(crate) async fn symmetric(primary: &mut Side, candidate: &mut Side) -> Result<(), Failure> {
    let unlike = |why: String| {
        Failure::new(Exit::Usage, "the sides are not alike")
            .at("--symmetric")
            .because(why)
            .fix("start both with the same limits and settings, or leave `--symmetric` out")
    };
    let tuned = |side: &Side| match &side.named.way {
        Way::Started { command, .. } => command.variables().map(str::to_owned).collect(),
        Way::There(_) | Way::Configured { .. } => Vec::new(),
    };
    let names = [&primary.named.name, &candidate.named.name].map(Clone::clone);
    let settings: [Vec<String>; 2] = [tuned(primary), tuned(candidate)];
    if settings[0].is_empty() != settings[1].is_empty() {
        let place = usize::from(settings[0].is_empty());
        let all = settings[place].join(", ");
        return Err(unlike(format!("only `{}` is given {all}", names[place])));
    }
    let (one, other) = (primary.probe.parallelism().await, candidate.probe.parallelism().await);
    if let (Some(one), Some(other)) = (one, other)
        && (one.cores_allowed != other.cores_allowed || one.quota_tightest != other.quota_tightest)
    {
        let text = |found: &Parallelism| match found.quota_tightest {
            Some(quota) => format!("{} cores and a quota of {quota}", found.cores_allowed),
            None => format!("{} cores", found.cores_allowed),
        };
        let [first, second] = &names;
        let (one, other) = (text(&one), text(&other));
        return Err(unlike(format!("`{first}` may use {one}, `{second}` {other}")));
    }
    Ok(())
}

/// What was found of a side.
struct Found {
    process: Option<Process>,
    upstream: Upstream,
    /// `None` for an agent's to read.
    probe: Option<Meter>,
}

async fn find(named: &Named, role: &str, settings: &Settings) -> Result<Found, Failure> {
    let mut found = match &named.way {
        Way::There(address) => {
            let reached =
                discover::reach(&named.name, address, &settings.trust, settings.timeout).await;
            let (_, upstream) = reached.map_err(|failure| failure.at(named.flag))?;
            Found { process: None, upstream, probe: probe_of(named)? }
        }
        // Whether it answers is found out when it is asked for its contract.
        Way::Configured { upstream, .. } => {
            Found { process: None, upstream: (**upstream).clone(), probe: probe_of(named)? }
        }
        Way::Started { command, address } => {
            let process = Process::start(command, settings.cores(role), &settings.running)
                .map_err(|error| not_started(named, &error.to_string()))?;
            started(named, process, address, settings).await?
        }
    };
    if let Some(line) = &settings.hook {
        set_up(named, role, &mut found, line).await?;
    }
    Ok(found)
}

fn probe_of(named: &Named) -> Result<Option<Meter>, Failure> {
    if meter::agent_of(named).is_some() {
        return Ok(None);
    }
    let probe = Probe::open(named.targets.clone()).map_err(|error| unreadable(named, &error))?;
    Ok(Some(Meter::Here(probe)))
}

async fn far_probe_of(named: &Named, settings: &Settings) -> Result<Meter, Failure> {
    let agent = meter::agent_of(named).expect("all others are read here");
    // The token was read before anything was started.
    Meter::through(named, agent, settings.agent_token.as_deref().unwrap_or_default()).await
}

async fn started(
    named: &Named,
    mut process: Process,
    address: &str,
    settings: &Settings,
) -> Result<Found, Failure> {
    let text = process.ports.fill(address);
    let address =
        discover::address_of(&text).map_err(|(why, fix)| not_started(named, &why).fix(fix))?;
    let until = Instant::now() + START;
    loop {
        let reached = discover::reach(&named.name, &address, &settings.trust, LOOK * 10).await;
        if let Some(how) = process.ended() {
            let why = format!("it ended ({how}): {}", process.last_lines());
            return Err(not_started(named, &why));
        }
        match reached {
            Ok((_, mut upstream)) => {
                // The looks were short, for there were many; a connection for load has its time.
                upstream.connect = settings.timeout;
                let probe = Probe::open(vec![Target::Pid(process.pid())]);
                let probe = probe.map_err(|error| unreadable(named, &error))?;
                let probe = Some(Meter::Here(probe));
                return Ok(Found { process: Some(process), upstream, probe });
            }
            Err(failure) if Instant::now() > until => {
                let said = process.last_lines();
                let why = failure.why.unwrap_or(failure.what);
                return Err(unreachable(named, why, &said));
            }
            Err(_not_yet) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Runs the hook for one side, which has just been found.
async fn set_up(named: &Named, role: &str, found: &mut Found, line: &str) -> Result<(), Failure> {
    let mut variables = vec![
        ("TANDEM_ROLE".to_owned(), role.to_owned()),
        ("TANDEM_SIDE".to_owned(), named.name.clone()),
        ("TANDEM_ADDRESS".to_owned(), found.upstream.authority.to_string()),
    ];
    if let Some(process) = &found.process {
        variables.extend(process.ports.variables());
        let folder = process.folder.data().display().to_string();
        variables.push(("TANDEM_FOLDER".to_owned(), folder));
    }
    let line = line.to_owned();
    let ran = tokio::task::spawn_blocking(move || process::hook(&line, &variables, HOOK)).await;
    ran.unwrap_or_else(|error| Err(error.to_string())).map_err(|why| {
        Failure::new(Exit::Failed, format!("the hook failed for `{}`", named.name))
            .at("--stateful")
            .because(why)
            .fix("run it by hand with the variables that the manual names")
    })
}

fn not_started(named: &Named, why: &str) -> Failure {
    Failure::new(Exit::Unreachable, format!("`{}` cannot be started", named.name))
        .coded(Tnd::Unreachable)
        .at(named.flag)
        .because(why)
        .fix("run the command by hand with a port in the place of `{port}`")
}

fn unreachable(named: &Named, why: String, said: &str) -> Failure {
    let why = match said.trim() {
        "" => why,
        said => format!("{why}; it said last: {said}"),
    };
    Failure::new(Exit::Unreachable, format!("`{}` does not answer", named.name))
        .coded(Tnd::Unreachable)
        .at(named.flag)
        .because(why)
        .fix("look into the service's own log")
}

fn unreadable(named: &Named, error: &ProbeError) -> Failure {
    let (exit, code, fix) = match error {
        ProbeError::NotFound { .. } => {
            (Exit::Unreachable, Tnd::Unreachable, "name a process that runs on this machine")
        }
        ProbeError::Ambiguous { .. } => {
            (Exit::Usage, Tnd::WrongType, "name one process by `pid:N`")
        }
        ProbeError::Denied { .. } => {
            (Exit::Refused, Tnd::NoRight, "run this as the user of the service, or as root")
        }
        ProbeError::Elsewhere { .. } | ProbeError::NotStarted { .. } => {
            (Exit::Usage, Tnd::NotBuiltIn, "name a process on this machine")
        }
    };
    Failure::new(exit, format!("what `{}` uses cannot be read", named.name))
        .coded(code)
        .at(named.flag)
        .because(error.to_string())
        .fix(fix)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn compare_c_5_a_side_that_may_not_be_looked_at_is_7_and_one_that_is_not_there_6() {
        let named = Named::read("--primary", "go=port:50051", Path::new("tandem.yaml")).unwrap();
        let target = Target::Port(50051);
        let denied = ProbeError::Denied { target: target.clone(), what: "hidden".into() };
        let failure = unreadable(&named, &denied);
        assert_eq!((failure.exit, failure.code), (Exit::Refused, Some(Tnd::NoRight)));
        let failure = unreadable(&named, &ProbeError::NotFound { target, what: "no".into() });
        assert_eq!((failure.exit, failure.code), (Exit::Unreachable, Some(Tnd::Unreachable)));
    }
}
