//! `bench mirror`: what a mirror costs the callers of the primary, whatever its candidate does.
//!
//! Gateways stand beside each other: one without a mirror, one that could have one and has
//! `mirror: none`, and one for each manner of a candidate, with every call copied. In every round
//! each carries the same calls at 2,000 a second, in an order that is drawn anew; ratios are taken
//! within one round. A call is sent when it is due, whatever became of those before it, and its
//! time runs from there. The CPU is that of the data thread alone; the mirror has a thread of its
//! own, which shares the core with it and must not be felt.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use serde_json::{Map, Value, json};
use tandem_bench_payload::median::{self, INTERVAL, Median};
use tandem_bench_payload::order::Random;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::candidate::Manner;
use crate::load::http2;
use crate::orders::{self, Size};
use crate::peer::{Peer, Speaks};
use crate::process::{Folder, Outcome, Running, rest};
use crate::report;

const RATE: u32 = 2_000;
const CONNECTIONS: usize = 4;
/// Rounds, and the time that each gateway has in one.
const FULL: (usize, Duration) = (21, Duration::from_secs(2));
const QUICK: (usize, Duration) = (7, Duration::from_secs(1));
/// Nothing that is called here takes as long.
const CALL_TAKES_AT_MOST: Duration = Duration::from_secs(20);
const WINDOWS: (u32, u32) = (1 << 20, 16 << 20);

/// CPU of the data thread with a mirror ÷ without.
const CPU_MOST: f64 = 1.3;
/// … and where a mirror is possible and switched off.
const CPU_OFF_MOST: f64 = 1.0;
/// The primary's p99 may rise by this part, or by this time.
const P99_MORE: (f64, f64) = (0.05, 0.2);
const MEMORY_MOST_MIB: f64 = 32.0;

pub(crate) fn run(quick: bool) -> Outcome<()> {
    let (rounds, slice) = if quick { QUICK } else { FULL };
    let bench = Bench::new()?;
    let surroundings = report::surroundings(&bench.root, &[(Peer::Tandem, Speaks::Grpc)]);
    report::print_surroundings(&surroundings);
    let folder = Folder::new()?;
    let lanes = bench.wait(measure(&bench, &folder, rounds, slice))?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average after: {}\n", load.trim());
    print(&lanes);
    let results = Map::from_iter([
        ("rate".to_owned(), RATE.into()),
        ("rounds".to_owned(), rounds.into()),
        ("slice_ms".to_owned(), (slice.as_millis() as u64).into()),
        ("interval".to_owned(), INTERVAL.into()),
        ("clock".to_owned(), "CPU time of the data thread alone".into()),
        ("results".to_owned(), lanes.iter().map(|lane| lane.json(&lanes[0])).collect()),
    ]);
    report::write(&bench.root, "mirror", quick, [surroundings, results, Map::new()])
}

/// A gateway, its connections, and what was seen of it.
struct Lane {
    name: &'static str,
    gateway: Gateway,
    connections: Vec<SendRequest<Bytes>>,
    rounds: Vec<Seen>,
    /// Resident after the warm-up, and at the most afterwards.
    resident_bytes: (u64, u64),
}

/// One round of one gateway.
struct Seen {
    calls: u64,
    errors: u64,
    p50_ms: f64,
    p99_ms: f64,
    /// Of the data thread, a call.
    cpu_us: f64,
    /// How late calls were sent, at the most.
    lag_ms: f64,
}

impl Lane {
    fn of(&self, part: fn(&Seen) -> f64) -> Vec<f64> {
        self.rounds.iter().map(part).collect()
    }

    fn errors(&self) -> u64 {
        self.rounds.iter().map(|seen| seen.errors).sum()
    }

    fn grown_mib(&self) -> f64 {
        let (before, most) = self.resident_bytes;
        most.saturating_sub(before) as f64 / f64::from(1 << 20)
    }

    fn cpu(&self, base: &Lane) -> Median {
        median::ratio(&self.of(|seen| seen.cpu_us), &base.of(|seen| seen.cpu_us))
    }

    fn p50(&self, base: &Lane) -> Median {
        median::ratio(&self.of(|seen| seen.p50_ms), &base.of(|seen| seen.p50_ms))
    }

    /// How much more the p99 is, round by round.
    fn p99_more_ms(&self, base: &Lane) -> Median {
        let pairs = self.rounds.iter().zip(&base.rounds);
        median::median(&pairs.map(|(own, base)| own.p99_ms - base.p99_ms).collect::<Vec<f64>>())
    }

    fn json(&self, base: &Lane) -> Value {
        let median = |median: Median| json!([median.middle, median.low, median.high]);
        json!({
            "candidate": self.name,
            "calls": self.rounds.iter().map(|seen| seen.calls).sum::<u64>(),
            "errors": self.errors(),
            "cpu_ratio": median(self.cpu(base)),
            "p50_ratio": median(self.p50(base)),
            "p99_more_ms": median(self.p99_more_ms(base)),
            "grown_mib": self.grown_mib(),
            "cpu_us_a_call": self.of(|seen| seen.cpu_us),
            "p50_ms": self.of(|seen| seen.p50_ms),
            "p99_ms": self.of(|seen| seen.p99_ms),
            "lag_ms": self.of(|seen| seen.lag_ms),
        })
    }
}

fn print(lanes: &[Lane]) {
    let base = &lanes[0];
    println!(
        "{:<11}{:>9}{:>8}{:>10}{:>10}{:>11}{:>24}{:>24}{:>26}{:>10}",
        "candidate",
        "calls",
        "errors",
        "p50, ms",
        "p99, ms",
        "CPU, µs",
        "CPU ratio",
        "p50 ratio",
        "p99 more, ms",
        "MiB more"
    );
    let shown = |Median { middle, low, high }: Median| format!("{middle:.3} [{low:.3}, {high:.3}]");
    for lane in lanes {
        let middle = |part| median::median(&lane.of(part)).middle;
        println!(
            "{:<11}{:>9}{:>8}{:>10.3}{:>10.3}{:>11.2}{:>24}{:>24}{:>26}{:>10.1}",
            lane.name,
            lane.rounds.iter().map(|seen| seen.calls).sum::<u64>(),
            lane.errors(),
            middle(|seen| seen.p50_ms),
            middle(|seen| seen.p99_ms),
            middle(|seen| seen.cpu_us),
            shown(lane.cpu(base)),
            shown(lane.p50(base)),
            shown(lane.p99_more_ms(base)),
            lane.grown_mib(),
        );
    }
    println!();
    let word = |met: bool| if met { "met" } else { "missed" };
    for lane in &lanes[1..] {
        let (cpu, p99) = (lane.cpu(base), lane.p99_more_ms(base));
        let most = if lane.name == OFF { CPU_OFF_MOST } else { CPU_MOST };
        // A bar is met when the interval does not lie beyond it.
        let p99_most =
            P99_MORE.1.max(P99_MORE.0 * median::median(&base.of(|seen| seen.p99_ms)).middle);
        println!(
            "bar mirror {}: errors {} of 0 {}; CPU {:.3} [{:.3}, {:.3}] <= {most:.2} {}; p99 more {:.3} ms [{:.3}, {:.3}] <= {p99_most:.3} {}; memory {:.1} MiB <= {MEMORY_MOST_MIB:.0} {}",
            lane.name,
            lane.errors(),
            word(lane.errors() == 0),
            cpu.middle,
            cpu.low,
            cpu.high,
            word(cpu.low <= most),
            p99.middle,
            p99.low,
            p99.high,
            word(p99.low <= p99_most),
            lane.grown_mib(),
            word(lane.grown_mib() <= MEMORY_MOST_MIB),
        );
    }
    println!();
}

/// The lane that could mirror and does not.
const OFF: &str = "none";

async fn measure(
    bench: &Bench,
    folder: &Folder,
    rounds: usize,
    slice: Duration,
) -> Outcome<Vec<Lane>> {
    let mut lanes = Vec::new();
    let primary = bench.backend.address;
    let nobody = Manner::Down.start()?;
    let all = Manner::ALL.map(|manner| (manner.name(), Some(manner)));
    for (name, manner) in [("plain", None), (OFF, None)].into_iter().chain(all) {
        let (candidate, mirror) = match manner {
            Some(manner) => (manner.start()?, "{ twin: none, max_rate: 100000/s }"),
            None => (nobody, "none"),
        };
        let rules = match name {
            "plain" => String::new(),
            _ => format!("candidate: rust, mirror: {mirror}"),
        };
        let gateway = Gateway::start(&bench.root, folder, name, primary, candidate, &rules)?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let io = TcpStream::connect(gateway.address).await?;
            connections.push(http2::connect(io, WINDOWS).await?);
        }
        let mut lane =
            Lane { name, gateway, connections, rounds: Vec::new(), resident_bytes: (0, 0) };
        // Buffers, tables and connections stand afterwards.
        lane.carry(bench, slice).await?;
        let resident = lane.gateway.running.resident_bytes()?;
        lane.resident_bytes = (resident, resident);
        lanes.push(lane);
    }
    let random = &mut Random::new(3);
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    for round in 0..rounds {
        random.shuffle(&mut order);
        for place in &order {
            let lane = &mut lanes[*place];
            let seen = lane.carry(bench, slice).await?;
            lane.rounds.push(seen);
            let resident = lane.gateway.running.resident_bytes()?;
            lane.resident_bytes.1 = lane.resident_bytes.1.max(resident);
        }
        eprint!("\rmirror: round {} of {rounds}   ", round + 1);
    }
    eprintln!();
    Ok(lanes)
}

impl Lane {
    /// Offers calls for the time of a slice.
    async fn carry(&self, bench: &Bench, slice: Duration) -> Outcome<Seen> {
        let request = bench.orders.framed(Size::Small);
        let count = (slice.as_secs_f64() * f64::from(RATE)) as u32;
        let every = Duration::from_secs(1) / RATE;
        let took = Rc::new(RefCell::new(Vec::with_capacity(count as usize)));
        let cpu = self.gateway.data_thread_cpu()?;
        let began = Instant::now();
        let mut lag = Duration::ZERO;
        let mut calls = JoinSet::new();
        for number in 0..count {
            let due = began + every * number;
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            lag = lag.max(due.elapsed());
            let send = self.connections[number as usize % CONNECTIONS].clone();
            let (request, took, address) =
                (request.clone(), Rc::clone(&took), self.gateway.address);
            calls.spawn_local(async move {
                let sent = Instant::now();
                let made = tokio::time::timeout(CALL_TAKES_AT_MOST, call(send, address, request));
                let good = matches!(made.await, Ok(Ok(())));
                took.borrow_mut().push((sent.elapsed(), good));
            });
        }
        while calls.join_next().await.is_some() {}
        let spent = self.gateway.data_thread_cpu()? - cpu;
        let took = took.borrow();
        let mut times: Vec<f64> = took.iter().map(|(took, _)| took.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        // The nearest rank.
        let at = |part: f64| times[((part * times.len() as f64).ceil() as usize).max(1) - 1];
        Ok(Seen {
            calls: times.len() as u64,
            errors: took.iter().filter(|(_, good)| !good).count() as u64,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            cpu_us: spent.as_secs_f64() * 1e6 / times.len() as f64,
            lag_ms: lag.as_secs_f64() * 1e3,
        })
    }
}

async fn call(
    send: SendRequest<Bytes>,
    address: SocketAddr,
    request: Bytes,
) -> Result<(), h2::Error> {
    let mut send = send.ready().await?;
    let wanted = request.len();
    let (response, mut stream) = send.send_request(http2::head(address, orders::ECHO), false)?;
    stream.send_data(request, true)?;
    let mut body = response.await?.into_body();
    let mut bytes = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes += data.len();
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    let good = bytes == wanted && trailers.get("grpc-status").is_some_and(|status| status == "0");
    if good { Ok(()) } else { Err(h2::Reason::INTERNAL_ERROR.into()) }
}

/// A gateway with one data thread.
struct Gateway {
    address: SocketAddr,
    running: Running,
    /// `schedstat` of its data thread.
    account: PathBuf,
}

impl Gateway {
    fn start(
        root: &Path,
        folder: &Folder,
        name: &str,
        primary: SocketAddr,
        candidate: SocketAddr,
        rules: &str,
    ) -> Outcome<Gateway> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let own = folder.0.join(format!("mirror-{name}"));
        std::fs::create_dir_all(own.join("teams"))?;
        let platform = std::fs::read_to_string(root.join("bench/peers/tandem.yaml"))?;
        let platform = platform.replace("@listen@", &address.port().to_string());
        std::fs::write(own.join("tandem.yaml"), platform)?;
        orders::write_descriptors(root, &own.join("teams/orders.binpb"))?;
        let team = format!(
            "namespace: bench\ncontract: {{ descriptors: orders.binpb }}\nupstreams:\n  \
             it: {{ address: \"{primary}\" }}\n  rust: {{ address: \"{candidate}\" }}\n\
             defaults: {{ primary: it, auth: {{ public: true }} }}\nmethods:\n  \
             tandem.bench.v1.Orders/*: {{}}\n  tandem.bench.v1.Orders/Echo: {{ {rules} }}\n"
        );
        std::fs::write(own.join("teams/bench.yaml"), team)?;
        let path = |name: &str| own.join(name).display().to_string();
        let words = ["run", "--config", &path("tandem.yaml"), "--data", &path("data")];
        let words: Vec<String> = words.map(str::to_owned).to_vec();
        let program = match std::env::var_os("TANDEM_BENCH_TANDEM") {
            Some(program) => program.into(),
            None => root.join("target/release/tandem"),
        };
        let mut running = Running::start(&program, &words, own.join("log"))?;
        let end = Instant::now() + CALL_TAKES_AT_MOST;
        while std::net::TcpStream::connect(address).is_err() {
            if let Some(why) = running.ended() {
                return Err(format!("{name}: {why}").into());
            }
            if Instant::now() > end {
                return Err(format!("{name} does not listen\n{}", running.said()).into());
            }
            rest();
        }
        // It listens before its threads stand.
        loop {
            if let Some(account) = data_thread(&running)? {
                return Ok(Gateway { address, running, account });
            }
            if Instant::now() > end {
                return Err(format!("{name} has no data thread").into());
            }
            rest();
        }
    }

    /// Run time of the data thread so far.
    fn data_thread_cpu(&self) -> Outcome<Duration> {
        // Its first number is the time on a processor, in nanoseconds; of a thread it is exact.
        let text = std::fs::read_to_string(&self.account)?;
        let nanos = text.split(' ').next().ok_or("no account of the data thread")?;
        Ok(Duration::from_nanos(nanos.parse()?))
    }
}

/// Where the account of the only data thread stands, once there is one.
fn data_thread(running: &Running) -> Outcome<Option<PathBuf>> {
    for process in running.ids() {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task"))?;
        for task in tasks.flatten().map(|entry| entry.path()) {
            let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
            if name.trim() == "data-0" {
                return Ok(Some(task.join("schedstat")));
            }
        }
    }
    Ok(None)
}
