//! `tandem compare METHOD… --primary NAME=TARGET --candidate NAME=TARGET`: which implementation a
//! method deserves, by measurement.
//!
//! Flags are read here, all of them before anything is started; what this build cannot do is
//! refused by name. The table goes to stdout, all talk to stderr. Exit: see `tandem help
//! exit-codes`; `--fail-on` chooses which of 3, 4, 5 and 8 count.
//!
//! Not here: the run itself (`crate::compare`), what its figures mean (`tandem_judge`).

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tandem_config::document::units::parse_duration;

use crate::compare::ask::{
    self, Ask, Cores, Data, Demand, Duties, Gaps, Keys, Noise, Objective, Offered, Prices,
};
use crate::compare::rubric::{self, Wanted};
use crate::compare::rules::PathRule;
use crate::compare::streams::Cut;
use crate::compare::target::Named;
use crate::discover::TrustArguments;
use crate::failure::{Exit, Failure};
use crate::output::Form;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Methods: `package.Service/Method`, an unambiguous tail, or `package.Service/*`.
    #[arg(required = true, value_name = "METHOD")]
    methods: Vec<String>,
    /// What serves today: NAME=TARGET[@HOST:PORT]. A target is `exec:"CMD --port {port}"`,
    /// `pid:N`, `port:N`, `cgroup:PATH`, `unit:NAME`, `docker:ID`, `k8s-pod:UID`, or
    /// `agent:HOST:PORT` where `tandem agent` reads it on another machine. Or the NAME of an
    /// upstream of `--config`.
    #[arg(long, value_name = "NAME=TARGET", help_heading = "Sides")]
    primary: String,
    /// What is on trial, written in the same way.
    #[arg(long, value_name = "NAME=TARGET", help_heading = "Sides")]
    candidate: String,
    /// Where upstreams stand that are named without a target.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "tandem.yaml",
        env = "TANDEM_CONFIG",
        help_heading = "Sides"
    )]
    config: PathBuf,
    /// The contract as a descriptor set, a .proto file or a folder of them; else both are asked.
    #[arg(long, value_name = "FILE", help_heading = "Sides")]
    contract: Option<PathBuf>,
    /// A command that sets a side up after each start, for methods with side effects too: `HOOK`
    /// gets TANDEM_ROLE, TANDEM_ADDRESS, TANDEM_PORT_NAME and TANDEM_FOLDER.
    #[arg(long, value_name = "HOOK", help_heading = "Sides")]
    stateful: Option<String>,
    /// Where a side serves `tandem.runtime.v1.Runtime`, if not on `{port:admin}` of its command or
    /// where it is called: rust=127.0.0.1:9100.
    #[arg(long, value_name = "NAME=HOST:PORT", help_heading = "Sides")]
    runtime: Vec<String>,
    /// The token of the agents of `agent:` targets: the file that `tandem agent` names, or a copy.
    #[arg(long, value_name = "FILE", env = "TANDEM_AGENT_TOKEN_FILE", help_heading = "Sides")]
    agent_token_file: Option<PathBuf>,
    /// Refuses sides whose runtimes may use different numbers of threads.
    #[arg(long, help_heading = "Sides")]
    symmetric: bool,
    /// Allows targets outside of this machine and of private networks.
    #[arg(long, help_heading = "Sides")]
    yes_remote: bool,
    #[command(flatten)]
    trust: TrustArguments,

    /// Calls a second that are offered to both sides.
    #[arg(long, value_name = "N", conflicts_with = "rates", help_heading = "Load")]
    rate: Option<String>,
    /// Several rates, at least three of which give the CPU of a call as a slope: 200,400,800; or,
    /// with `--capacity`, parts of what the weaker side can take: 20%,40%,60%,80%.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', help_heading = "Load")]
    rates: Vec<String>,
    /// Looks for the highest rate at which each side keeps `--slo`.
    #[arg(long, requires = "slo", help_heading = "Load")]
    capacity: bool,
    /// The objective of `--capacity`: p99=20ms,errors=0.1%.
    #[arg(long, value_name = "SLO", help_heading = "Load")]
    slo: Option<String>,
    /// Where the search for capacity begins.
    #[arg(long, value_name = "N", default_value = "100", help_heading = "Load")]
    start: String,
    /// What is sent: `schema` (values made from the contract), `plan:FILE` (calls of your own),
    /// `corpus:FILE` (recorded calls, in their order: corpus.binlog of another `--out`, or the
    /// binary log of a gRPC library).
    #[arg(long, value_name = "DATA", default_value = "schema", help_heading = "Load")]
    data: String,
    /// How many keys there are, and how they are drawn: 1000:zipf1.1, 1e6:uniform.
    #[arg(
        long,
        value_name = "COUNT[:zipfS]",
        default_value = "1000:zipf1.1",
        help_heading = "Load"
    )]
    keys: String,
    /// Where all random numbers come from; printed.
    #[arg(long, value_name = "N", help_heading = "Load")]
    seed: Option<u64>,
    /// Bytes of texts that the contract does not bound.
    #[arg(long, value_name = "BYTES", help_heading = "Load")]
    payload: Option<String>,
    /// Gaps between calls: `poisson`, `uniform`, or `trace`, those of `corpus:FILE`. Without
    /// `--rate` that is its own rate; with one the gaps become so much longer or shorter.
    #[arg(long, value_name = "KIND", default_value = "poisson", help_heading = "Load")]
    arrivals: String,
    /// How many times as fast as recorded, with `--arrivals trace`.
    #[arg(long, value_name = "X", conflicts_with_all = ["rate", "rates"], help_heading = "Load")]
    speed: Option<String>,
    /// Connections to each side.
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Load")]
    connections: u16,
    /// When a stream that has not ended is cut: after messages, a time, or both.
    #[arg(long, value_name = "N,TIME", help_heading = "Load")]
    cut: Option<String>,
    /// Cores of the generator and of the services: gen=0,svc=1; or `none`.
    #[arg(long, value_name = "CORES", help_heading = "Load")]
    cpus: Option<String>,

    /// Length of a block; a quartet has four.
    #[arg(long, value_name = "TIME", help_heading = "Plan")]
    block: Option<String>,
    /// Quartets at each rate; below 12 there are no intervals.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000),
          help_heading = "Plan")]
    quartets: Option<u32>,
    /// Times that both sides are started, where we start them; else every 8 quartets.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000),
          help_heading = "Plan")]
    restarts: Option<u32>,
    /// Both sides at once, on cores of their own; from four cores on.
    #[arg(long, help_heading = "Plan")]
    duet: bool,
    /// Time for the whole run: 10m; with `--capacity` 25m, with `--quick` 3m; with `--rubric` 20m
    /// more, in a hurry 10m.
    #[arg(long, value_name = "TIME", help_heading = "Plan")]
    budget: Option<String>,
    /// 12 quartets of 1 s blocks, within three minutes.
    #[arg(long, conflicts_with_all = ["rates", "capacity"], help_heading = "Plan")]
    quick: bool,
    /// Says what would be done and how long it takes, and sends nothing.
    #[arg(long, help_heading = "Plan")]
    plan_only: bool,

    /// How noise is known: `aa` (a second process of the primary, `twice` where it cannot be
    /// started), `twice` (the primary, called twice), `rules:FILE` (declared, not learned).
    #[arg(long, value_name = "HOW", default_value = "aa", help_heading = "Answers")]
    noise: String,
    /// A field that is not compared, with all below it.
    #[arg(long, value_name = "PATH", help_heading = "Answers")]
    ignore: Vec<String>,
    /// How far numbers may lie apart: total=1e-9.
    #[arg(long, value_name = "PATH=N", help_heading = "Answers")]
    tolerance: Vec<String>,
    /// A list whose order means nothing.
    #[arg(long, value_name = "PATH", help_heading = "Answers")]
    unordered: Vec<String>,
    /// A list whose elements find each other by a field: orders=id.
    #[arg(long, value_name = "PATH=FIELD", help_heading = "Answers")]
    keyed: Vec<String>,
    /// A field in which one difference is too many.
    #[arg(long, value_name = "PATH", help_heading = "Answers")]
    critical: Vec<String>,

    /// What each side must keep, one a line: `p99<=20ms`, `mismatch(critical)=0`.
    #[arg(long, value_name = "FILE", help_heading = "Verdict")]
    must: Option<PathBuf>,
    /// The rows that decide: cpu,p99,peak_mem,capacity.
    #[arg(long, value_name = "ROWS", value_delimiter = ',', help_heading = "Verdict")]
    counts: Vec<String>,
    /// By how much sides may differ and be the same: cpu=3%,p99=10%.
    #[arg(long, value_name = "ROW=PART", value_delimiter = ',', help_heading = "Verdict")]
    margin: Vec<String>,
    /// Your prices: cpu=0.04/h,mem=0.005/GiBh,inst=0.17/h.
    #[arg(long, value_name = "PRICES", help_heading = "Verdict")]
    prices: Option<String>,
    /// Also what is counted without load: builds, sizes, dependencies, tests, a cold start. With
    /// sources; without them only what the program of an `exec:` shows.
    #[arg(long, help_heading = "Verdict")]
    rubric: bool,
    /// The primary's sources, for `--rubric`.
    #[arg(long, value_name = "DIR", requires = "rubric", help_heading = "Verdict")]
    src_primary: Option<PathBuf>,
    /// The candidate's sources, for `--rubric`.
    #[arg(long, value_name = "DIR", requires = "rubric", help_heading = "Verdict")]
    src_candidate: Option<PathBuf>,

    /// A folder for report.html, result.json, blocks.csv, histograms and corpus.binlog, the calls
    /// that were sent.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// An older result.json: a row that became worse ends with 4.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    baseline: Option<PathBuf>,
    /// Which of the exits 3, 4, 5 and 8 count; the others are said and become 0.
    #[arg(long, value_name = "N,N", value_delimiter = ',', help_heading = "Output")]
    fail_on: Option<Vec<u8>>,
}

/// Quartets of a run, and of one at several rates or in a hurry.
const QUARTETS: u32 = 30;
const QUARTETS_FEW: u32 = 12;

pub(super) fn compare(
    arguments: Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let ask = read(arguments, timeout)?;
    crate::compare::run(ask, form)
}

fn read(arguments: Arguments, timeout: Duration) -> Result<Ask, Failure> {
    // No `..`: a flag without effect would promise what does not happen.
    let Arguments {
        methods,
        primary,
        candidate,
        config,
        contract,
        stateful,
        runtime,
        agent_token_file,
        symmetric,
        yes_remote,
        trust,
        rate,
        rates,
        capacity,
        slo,
        start,
        data,
        keys,
        seed,
        payload,
        arrivals,
        speed,
        connections,
        cut,
        cpus,
        block,
        quartets,
        restarts,
        duet,
        budget,
        quick,
        plan_only,
        noise,
        ignore,
        tolerance,
        unordered,
        keyed,
        critical,
        must,
        counts,
        margin,
        prices,
        rubric,
        src_primary,
        src_candidate,
        out,
        baseline,
        fail_on,
    } = arguments;
    let mut sides = [
        Named::read("--primary", &primary, &config)?,
        Named::read("--candidate", &candidate, &config)?,
    ];
    if sides[0].name == sides[1].name {
        return Err(ask::wrong("--candidate", &candidate, "both sides have the same name"));
    }
    let agent_token = ask::agent_token(&sides, agent_token_file.as_deref())?;
    for text in &runtime {
        Named::told_by(&mut sides, text)?;
    }
    let data = Data::read(&data)?;
    let gaps = Gaps::read(&arrivals, &data)?;
    let speed = speed.map(|text| ask::speed(&text, gaps)).transpose()?;
    let offered = match (rate, rates.as_slice()) {
        (Some(rate), _) => Offered::At(vec![ask::rate("--rate", &rate)?]),
        (None, []) if capacity && speed.is_none() => Offered::OfCapacity,
        (None, []) if gaps == Gaps::Trace => Offered::OfRecord(speed.unwrap_or(1.0)),
        (None, []) => Offered::At(vec![RATE_DEFAULT]),
        (None, rates) => Offered::read(rates, capacity)?,
    };
    let several = match &offered {
        Offered::At(rates) | Offered::Parts(rates) => rates.len() > 1,
        Offered::OfCapacity | Offered::OfRecord(_) => false,
    };
    let few = quick || several;
    let duration = |flag: &str, text: &str| {
        parse_duration(text).map_err(|fault| ask::wrong(flag, text, &fault.right))
    };
    let block = match block {
        Some(text) => duration("--block", &text)?,
        None => Duration::from_secs(if quick { 1 } else { 2 }),
    };
    if !(Duration::from_millis(50)..=Duration::from_secs(60)).contains(&block) {
        let text = format!("{} ms", block.as_millis());
        return Err(ask::wrong("--block", &text, "a block takes from 50 ms to 60 s"));
    }
    let is_usual = budget.is_none();
    let budget = match budget {
        Some(text) => duration("--budget", &text)?,
        None if quick => Duration::from_secs(3 * 60),
        None => Duration::from_secs(if capacity { 25 * 60 } else { 10 * 60 }),
    };
    let rubric = rubric.then_some(Wanted { sources: [src_primary, src_candidate] });
    let budget = match (is_usual, &rubric) {
        (true, Some(_)) => budget + rubric::time(quick),
        _ => budget,
    };
    let slo = slo.map(|text| Objective::read(&text)).transpose()?;
    let objective = if capacity { slo } else { None };
    let mut rules: Vec<PathRule> = Vec::new();
    rules.extend(ignore.into_iter().map(PathRule::ignore));
    rules.extend(unordered.into_iter().map(PathRule::unordered));
    rules.extend(critical.into_iter().map(PathRule::critical));
    for text in &tolerance {
        rules.push(PathRule::tolerance(text)?);
    }
    for text in &keyed {
        rules.push(PathRule::keyed(text)?);
    }
    let (noise, declared) = Noise::read(&noise)?;
    rules.extend(declared);
    if let Some(wrong) = fail_on.iter().flatten().find(|code| !matches!(code, 3 | 4 | 5 | 8)) {
        let text = wrong.to_string();
        return Err(ask::wrong("--fail-on", &text, "only 3, 4, 5 and 8 can be left out"));
    }
    Ok(Ask {
        methods,
        sides,
        contract,
        hook: stateful,
        symmetric,
        yes_remote,
        agent_token,
        trust: trust.read()?,
        offered,
        objective,
        start: ask::rate("--start", &start)?,
        data,
        keys: Keys::read(&keys)?,
        seed: seed.unwrap_or_else(rand::random),
        payload: payload.as_deref().map(ask::bytes).transpose()?,
        gaps,
        connections,
        cut: Cut::read(cut.as_deref(), timeout)?,
        cores: Cores::read(cpus.as_deref())?,
        block,
        quartets: quartets.unwrap_or(if few { QUARTETS_FEW } else { QUARTETS }),
        starts: restarts,
        budget,
        duet,
        quick,
        plan_only,
        noise,
        rules,
        duties: Duties::read(must.as_deref())?,
        demand: Demand::read(&counts, &margin)?,
        prices: prices.as_deref().map(Prices::read).transpose()?,
        rubric,
        out,
        baseline: baseline.as_deref().map(ask::baseline).transpose()?,
        fail_on,
        timeout,
    })
}

/// Offered where nobody says anything: what a small service serves without sweat.
const RATE_DEFAULT: f64 = 200.0;
