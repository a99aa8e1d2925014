//! The stages of a run in their order, and its end.
//!
//! Not here: what happens in a stage (the room of its name).

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use tandem_contract::Idempotency;
use tandem_gateway::tasks::Side as Tasks;
use tandem_judge::stats::draws::Draws;
use tandem_measure::load::{Arrivals, Precise, Waiting, WarmUp, Warmth, Window};

use super::Layout;
use super::answers::{self, Answers};
use super::ask::{Ask, Gaps, Noise, Offered};
use super::blocks::{Generator, Order};
use super::contract::{Agreed, agreed};
use super::corpus::{self, Sent};
use super::evidence::Evidence;
use super::interrupt::{Interrupt, Interrupted};
use super::process::Running;
use super::progress::Progress;
use super::quartets::{Budget, Pace, Pair, Series};
use super::requests::Requests;
use super::side::{self, Settings, Side};
use super::streams::Callee;
use super::{calibrate, capacity, pauses, report, requests, rubric, runtime};
use crate::failure::{Exit, Failure};
use crate::output::Form;

/// Quartets of the A/A run (compare I-4): as many as an interval takes.
const AA_QUARTETS: u32 = 12;
/// Quartets sent for each that is wanted, at most: void ones are sent again, and when more than half
/// of them are void the series is not believed anyway.
const SENT_MOST: u32 = 2;
/// Calls a method that are sent for their answers alone.
const ANSWERS: usize = 200;
/// Of them, as many as are under way at the same time.
const ANSWERS_AT_ONCE: usize = 20;
/// Quartets after which both sides are started anew (compare I-2).
const START_EVERY: u32 = 8;
/// Windows of a warm-up at most, at the beginning and after a restart.
const WINDOWS: usize = 10;
const WINDOWS_FEW: usize = 4;

/// Part of the weaker side's capacity up to which latencies are compared (compare P-3).
const LATENCY_PART_MOST: f64 = 0.8;

/// Why a run ends before its last stage.
pub(crate) enum Halt {
    Interrupted,
    /// Somebody went away.
    Failed(Failure),
}

impl From<Interrupted> for Halt {
    fn from(_: Interrupted) -> Halt {
        Halt::Interrupted
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Halt {
        Halt::Failed(failure)
    }
}

/// A run under way.
pub(crate) struct Run {
    pub(crate) ask: Ask,
    pub(crate) layout: Layout,
    pub(crate) settings: Settings,
    pub(crate) callees: Rc<[Callee]>,
    pub(crate) generator: Generator,
    pub(crate) sent: Sent,
    pub(crate) primary: Side,
    pub(crate) candidate: Side,
    pub(crate) evidence: Evidence,
    pub(crate) runtimes: runtime::Runtimes,
    pub(crate) draws: Draws,
    pub(crate) budget: Budget,
    pub(crate) interrupt: Interrupt,
    pub(crate) progress: Progress,
    /// Whether the same call may be sent as often as one likes.
    repeatable: bool,
}

/// Runs all stages, and reports.
pub(crate) async fn run(ask: Ask, layout: Layout, form: Form) -> Result<Exit, Failure> {
    let tasks = Tasks::new(tokio::runtime::Handle::current());
    let running = Running::default();
    let interrupt = Interrupt::listen(&tasks, running.clone()).map_err(|error| {
        Failure::new(Exit::Failed, "signals cannot be listened to").because(error.to_string())
    })?;
    let begun = Box::pin(begin(ask, layout, tasks, running, interrupt.clone(), form));
    let mut run = match interrupt.or(begun).await {
        Ok(run) => run?,
        // Nothing was measured, so there is nothing to report.
        Err(Interrupted) => return Ok(Exit::Interrupted),
    };
    let halt = Box::pin(run.stages()).await.err();
    runtime::end_early(&mut run).await;
    report::report(run, halt, form)
}

/// Both sides running, their contracts equal, their requests made.
async fn begin(
    mut ask: Ask,
    layout: Layout,
    tasks: Tasks,
    running: Running,
    interrupt: Interrupt,
    form: Form,
) -> Result<Run, Failure> {
    let (began, started) = (Instant::now(), SystemTime::now());
    let mut progress = Progress::new(form);
    let settings = Settings {
        layout: layout.clone(),
        running,
        trust: ask.trust.clone(),
        timeout: ask.timeout,
        connections: ask.connections,
        hook: ask.hook.clone(),
        agent_token: ask.agent_token.clone(),
        tasks,
    };
    let [primary, candidate] = &ask.sides;
    let mut primary = Side::start(primary, "primary", &settings).await?;
    let mut candidate = Side::start(candidate, "candidate", &settings).await?;
    if ask.symmetric {
        side::symmetric(&mut primary, &mut candidate).await?;
    }
    let sides = [&primary, &candidate].map(|side| (&*side.named.name, &side.upstream));
    let given = ask.contract.as_deref();
    let agreed = agreed(&ask.methods, sides, given, ask.hook.is_some()).await?;
    let Agreed { plans, methods, left_out, unasked } = agreed;
    progress.done("contract", &format!("{} methods, the same on both sides", methods.len()));
    for left_out in &left_out {
        progress.note(&format!("left out: {left_out}"));
    }
    for name in &unasked {
        progress.note(&format!("`{name}` does not reflect: `--contract` is taken at its word"));
    }
    let Requests { calls, at, trace, notes } = requests::calls(&ask, &plans, &methods)?;
    for note in &notes {
        progress.note(note);
    }
    if let (Offered::OfRecord(speed), Some(trace)) = (&ask.offered, &trace) {
        let (rate, said) = corpus::rate(trace, *speed)?;
        progress.done("record", &said);
        ask.offered = Offered::At(vec![rate]);
    }
    let data = corpus::described(&ask, calls.len(), trace.as_ref());
    let answers = Answers::new(&plans, &methods, &ask.rules, ask.noise, ask.seed)?;
    let callees: Rc<[Callee]> = methods.iter().map(|method| Callee::of(method, ask.cut)).collect();
    primary.connect(&settings, &callees).await?;
    candidate.connect(&settings, &callees).await?;
    let waiting = if layout.generator.is_empty() { Waiting::Asleep } else { Waiting::Awake };
    let clock = Precise::new(waiting).map_err(|error| {
        Failure::new(Exit::Failed, "the kernel gives no timer").because(error.to_string())
    })?;
    let arrivals = match (ask.gaps, trace) {
        (Gaps::Trace, Some(trace)) => Arrivals::Trace(trace.into()),
        (Gaps::Uniform, _) => Arrivals::Uniform,
        (Gaps::Poisson | Gaps::Trace, _) => Arrivals::Exponential,
    };
    let sent = Sent::new(&plans, &methods, at);
    let generator =
        Generator::new(clock, calls.into(), methods.len(), arrivals, ask.timeout, began);
    let names: Vec<&str> = methods.iter().map(|method| method.full_name()).collect();
    let evidence = Evidence {
        id: format!("{:016x}", ask.seed ^ began_ns(started)),
        began,
        started,
        method: names.join(", "),
        sides: report::sides(&primary, &candidate, &settings),
        machine: report::machine(),
        generator: tandem_judge::report::Generator::default(),
        aa: Series::default(),
        answers,
        series: Vec::new(),
        capacity: None,
        pauses: None,
        memory: None,
        rubric: Vec::new(),
        facts: BTreeMap::new(),
        builds: Default::default(),
        data,
        notes,
        partial: false,
    };
    let repeatable = methods.iter().all(|method| method.idempotency == Idempotency::NoSideEffects);
    let mut evidence = evidence;
    if ask.duet {
        let note = "both sides at once: neither is ever idle, so at fewer than three rates what \
                    they use idle is in the CPU of a call";
        progress.note(note);
        evidence.notes.push(note.to_owned());
    }
    let machines = [&primary, &candidate].into_iter().filter_map(|side| side.probe.machine());
    for note in ask.sides.iter().filter_map(|side| side.note.clone()).chain(machines) {
        progress.note(&note);
        evidence.notes.push(note);
    }
    let draws = Draws::new(ask.seed);
    let budget = Budget { until: began + ask.budget };
    Ok(Run {
        ask,
        layout,
        settings,
        callees,
        generator,
        sent,
        primary,
        candidate,
        evidence,
        runtimes: runtime::Runtimes::default(),
        draws,
        budget,
        interrupt,
        progress,
        repeatable,
    })
}

fn began_ns(started: SystemTime) -> u64 {
    started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

impl Run {
    async fn stages(&mut self) -> Result<(), Halt> {
        let idle = [
            self.primary.probe.memory().await.anonymous,
            self.candidate.probe.memory().await.anonymous,
        ];
        runtime::describe(self).await?;
        self.calibrate().await?;
        self.rates_of_capacity().await?;
        let mut twin = self.aa().await?;
        self.answers(&mut twin).await?;
        drop(twin);
        self.quartets().await?;
        runtime::judge(self);
        if self.evidence.capacity.is_none() {
            self.capacity().await?;
        }
        pauses::memory(self, idle).await?;
        pauses::hiccup(self).await?;
        rubric::rubric(self).await
    }

    /// Looks for the capacity of both, if that is asked for.
    async fn capacity(&mut self) -> Result<(), Halt> {
        if let Some(objective) = self.ask.objective.clone() {
            self.evidence.capacity = capacity::search(self, &objective).await?;
        }
        Ok(())
    }

    /// Turns per cent of the weaker side's capacity into calls a second; the search comes first
    /// then (compare A-11).
    async fn rates_of_capacity(&mut self) -> Result<(), Halt> {
        let Offered::Parts(parts) = &self.ask.offered else { return Ok(()) };
        let parts = parts.clone();
        self.capacity().await?;
        let found = self.evidence.capacity.as_ref();
        let weaker = found.map(|found| found.primary.lo.min(found.candidate.lo));
        self.ask.offered = match capacity::rates(&parts, weaker.unwrap_or_default()) {
            Some(rates) => {
                let said: Vec<String> =
                    rates.iter().map(|rate| tandem_judge::report::units::rate(*rate)).collect();
                self.progress.done("rates", &said.join(", "));
                Offered::At(rates)
            }
            None => {
                self.note(
                    "one side keeps the objective at no rate, so there is none to compare at",
                );
                // Nor does looking once more find any.
                self.ask.objective = None;
                Offered::OfCapacity
            }
        };
        if parts.last().is_some_and(|part| *part > LATENCY_PART_MOST) {
            self.note("above 80 % of the weaker side's capacity latency is that of a queue");
        }
        Ok(())
    }

    async fn calibrate(&mut self) -> Result<(), Halt> {
        let most = self.ask.offered.rates().last().copied().unwrap_or(self.ask.start);
        let calibrated = calibrate::calibrate(&self.settings, &self.layout, &self.generator, most);
        let found = self.interrupt.or(calibrated).await??;
        let said = match found.rate_most {
            Some(rate) => format!("{} without a service", tandem_judge::report::units::rate(rate)),
            None => "late at every rate: this machine is too busy".to_owned(),
        };
        self.evidence.generator = found;
        self.progress.done("generator", &said);
        Ok(())
    }

    /// Two processes of the primary, or one against itself where it is not ours to start.
    async fn aa(&mut self) -> Result<Option<Side>, Halt> {
        let mut twin = None;
        if self.ask.sides[0].is_started() && self.ask.noise == Noise::Twin {
            let started = async {
                let mut twin = Side::start(&self.ask.sides[0], "twin", &self.settings).await?;
                twin.connect(&self.settings, &self.callees).await?;
                Ok::<Side, Failure>(twin)
            };
            twin = Some(self.interrupt.or(started).await??);
        }
        // Without a rate there is no noise of figures; that of answers is there all the same.
        let Some(rate) = self.judged_rate() else { return Ok(twin) };
        if self.ask.quartets < AA_QUARTETS {
            self.note("fewer than 12 quartets: no noise floor and no intervals");
            return Ok(twin);
        }
        if twin.is_none() {
            self.evidence.notes.push(
                "A/A by one process of the primary against itself: what differs between two is not \
                 in the noise floor"
                    .to_owned(),
            );
        }
        for side in std::iter::once(&mut self.primary).chain(&mut twin) {
            let warming = warm(&self.generator, side, rate, self.ask.block, WINDOWS_FEW);
            self.interrupt.or(warming).await??;
        }
        let wanted = AA_QUARTETS;
        let pace = Pace { rate, block: self.ask.block, restart: 0, duet: self.ask.duet };
        for _ in 0..wanted * SENT_MOST {
            let (length, valid) = (self.quartet(), self.evidence.aa.valid());
            if valid >= wanted {
                break;
            }
            self.progress.at("A/A", valid.into(), wanted.into(), length * (wanted - valid));
            if !self.budget.allows(length) {
                self.cut("A/A");
                break;
            }
            let mut pair = Pair { primary: &mut self.primary, other: twin.as_mut() };
            let sent =
                self.evidence.aa.send(&self.generator, &mut pair, pace, &mut self.draws, None);
            self.interrupt.or(sent).await??;
        }
        let who = if twin.is_some() { "two processes of" } else { "one process of" };
        let valid = self.evidence.aa.valid();
        let name = &self.ask.sides[0].name;
        self.progress.done("A/A", &format!("{valid} quartets of {who} {name}"));
        Ok(twin)
    }

    /// Some calls of each method to all three at once.
    async fn answers(&mut self, twin: &mut Option<Side>) -> Result<(), Halt> {
        if !self.repeatable {
            // What was sent so far has moved their states apart.
            self.interrupt.or(self.primary.restart(&self.settings, &self.callees)).await??;
            self.interrupt.or(self.candidate.restart(&self.settings, &self.callees)).await??;
            if let Some(twin) = twin {
                self.interrupt.or(twin.restart(&self.settings, &self.callees)).await??;
            }
        }
        let (primary, candidate) = (self.primary.wire().await?, self.candidate.wire().await?);
        let second = match (twin, self.ask.noise) {
            (Some(twin), _) => Some(twin.wire().await?),
            (None, Noise::Rules) => None,
            // The primary twice; not for calls that change something (compare N-9).
            (None, Noise::Twin | Noise::Twice) if self.repeatable => Some(Rc::clone(&primary)),
            (None, Noise::Twin | Noise::Twice) => {
                self.note(
                    "no twin, and calls with side effects are not repeated: answers are not judged",
                );
                return Ok(());
            }
        };
        let calls = Rc::clone(&self.generator.calls);
        let count = self.callees.len();
        let mut chosen = vec![0; count];
        let mut picked = Vec::new();
        for call in calls.iter() {
            if chosen[call.method] < ANSWERS {
                chosen[call.method] += 1;
                picked.push(call);
            }
        }
        let mut wires = vec![&*primary, &*candidate];
        wires.extend(second.as_deref());
        // Calls that change something come one after the other, or their order would differ.
        let width = if self.repeatable { ANSWERS_AT_ONCE } else { 1 };
        for (done, some) in picked.chunks(width).enumerate() {
            let (done, all) = ((done * width) as u64, picked.len() as u64);
            self.progress.at("answers", done, all, Duration::ZERO);
            for side in [&self.primary, &self.candidate] {
                side.wire().await?;
            }
            let replies = answers::at_once(&wires, some, &mut self.draws);
            for (call, replies) in some.iter().zip(self.interrupt.or(replies).await?) {
                if let [primary, candidate, twin @ ..] = &replies[..] {
                    self.evidence.answers.observe(call.method, primary, candidate, twin.first());
                }
            }
        }
        let (failed, lost) = self.evidence.answers.failed();
        let said = format!("{} calls, {failed} not OK", self.evidence.answers.calls());
        self.progress.done("answers", &said);
        if (failed + lost) * 2 > picked.len() as u64 {
            self.note(
                "most calls are not answered with OK: give `--data plan:FILE` with calls that mean \
                 something",
            );
        }
        Ok(())
    }

    async fn quartets(&mut self) -> Result<(), Halt> {
        for rate in self.ask.offered.rates().to_vec() {
            self.evidence.series.push((rate, Series::default()));
            let few = self.ask.quick || self.ask.quartets < AA_QUARTETS;
            self.warm_both(rate, if few { WINDOWS_FEW } else { WINDOWS }).await?;
            self.quartets_at(rate).await?;
        }
        Ok(())
    }

    async fn quartets_at(&mut self, rate: f64) -> Result<(), Halt> {
        let wanted = self.ask.quartets;
        let every = match self.ask.starts {
            Some(starts) => wanted.div_ceil(starts),
            None => START_EVERY,
        };
        let can_restart = self.ask.sides.iter().all(|side| side.is_started());
        let (most, length) = (wanted * SENT_MOST, self.quartet());
        let mut restart = 0;
        runtime::begin(self).await?;
        for sent in 0..most {
            let place = self.evidence.series.len() - 1;
            let valid = self.evidence.series[place].1.valid();
            if valid >= wanted {
                break;
            }
            self.progress.at("quartets", valid.into(), wanted.into(), length * (wanted - valid));
            if !self.budget.allows(length) {
                self.cut("quartets");
                break;
            }
            if can_restart && sent > 0 && sent % every == 0 {
                restart += 1;
                runtime::end(self).await?;
                self.interrupt.or(self.primary.restart(&self.settings, &self.callees)).await??;
                self.interrupt.or(self.candidate.restart(&self.settings, &self.callees)).await??;
                self.warm_both(rate, WINDOWS_FEW).await?;
                runtime::begin(self).await?;
            }
            let pace = Pace { rate, block: self.ask.block, restart, duet: self.ask.duet };
            let mut pair = Pair { primary: &mut self.primary, other: Some(&mut self.candidate) };
            let answers = self.repeatable.then_some(&mut self.evidence.answers);
            let (_, series) = &mut self.evidence.series[place];
            let sent = series.send(&self.generator, &mut pair, pace, &mut self.draws, answers);
            self.interrupt.or(sent).await??;
        }
        runtime::end(self).await?;
        let (_, series) = &self.evidence.series[self.evidence.series.len() - 1];
        let said = format!(
            "{} at {}, {} blocks void",
            series.valid(),
            tandem_judge::report::units::rate(rate),
            series.void()
        );
        self.progress.done("quartets", &said);
        Ok(())
    }

    async fn warm_both(&mut self, rate: f64, windows: usize) -> Result<(), Halt> {
        for side in [&mut self.primary, &mut self.candidate] {
            let warming = warm(&self.generator, side, rate, self.ask.block, windows);
            if self.interrupt.or(warming).await?? == Warmth::Capped && windows == WINDOWS {
                let name = &side.named.name;
                self.evidence
                    .notes
                    .push(format!("{name} was still changing after {windows} windows"));
            }
        }
        Ok(())
    }

    /// Time of a quartet, with some for what lies between blocks.
    pub(crate) fn quartet(&self) -> Duration {
        self.ask.block * 4 + Duration::from_millis(100)
    }

    /// The rate that the verdict is about; `None` where only capacity was asked for.
    pub(crate) fn judged_rate(&self) -> Option<f64> {
        self.ask.offered.rates().last().copied()
    }

    pub(crate) fn note(&mut self, text: &str) {
        self.progress.note(text);
        self.evidence.notes.push(text.to_owned());
    }

    /// The budget ends a stage.
    pub(crate) fn cut(&mut self, stage: &str) {
        self.evidence.partial = true;
        self.note(&format!("the budget of {} s ended the {stage}", self.ask.budget.as_secs()));
    }
}

/// Sends windows until three of them agree (compare L-5).
async fn warm(
    generator: &Generator,
    side: &mut Side,
    rate: f64,
    block: Duration,
    most: usize,
) -> Result<Warmth, Failure> {
    let mut warm_up = WarmUp::new(most);
    for number in 0.. {
        // No two windows are alike, and none is a block of the run.
        let order = Order { rate, length: block, seed: number, first: number << 42, keep: 0 };
        let sent = generator.send(tandem_judge::cost::Side::Primary, side, None, &order).await?;
        let calls = sent.block.calls.max(1) as f64;
        let window = Window {
            p99_us: sent.block.latency_us.quantile(0.99).unwrap_or_default(),
            cpu_s: sent.block.cpu_s.map(|cpu| cpu / calls),
        };
        match warm_up.observe(window) {
            Warmth::More => {}
            done @ (Warmth::Steady | Warmth::Capped) => return Ok(done),
        }
    }
    Ok(Warmth::Capped)
}
