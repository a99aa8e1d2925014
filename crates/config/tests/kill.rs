//! A process that publishes and is killed at any moment, again and again (security S-1, CR-5).
//!
//! The child opens the store, publishes one version after another and says each number on a pipe
//! when it was acknowledged. The parent kills it, opens what is left, and holds it against the
//! last number that it read. This is a program of its own, for it starts itself.
//!
//! 200 kills, or 10,000 with `TANDEM_LONG=1`. What is killed here is a process and not the machine:
//! its writes are the kernel's by then, so the long form works in memory (`/dev/shm`) where there
//! is such a place. What a disk may lose is replayed elsewhere (`store::embedded::replay`).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::print_stdout, reason = "the pipe is what the two talk by")]
#![expect(dead_code, reason = "each test uses a part of the parts")]

mod parts;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parts::{Folder, act, checked, contract, document, member, scope};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tandem_config::access::Role;
use tandem_config::audit::verify;
use tandem_config::history::{History, LastGood, Snapshot};
use tandem_config::store::{Embedded, Revision, Store as _, check};
use tandem_contract::Contract;

const CHILD: &str = "--child";
/// Kills on one store: its log is verified after each, and it grows.
const ROUND: u32 = 50;
/// Rounds at once, for a round waits for its child and the child for its parent. Each in a process
/// of its own: a child that another round starts would for a moment hold this one's lock.
const HANDS: u32 = 4;
const HAND: &str = "--hand";
/// Where the contract lies that every child serves, below the folder of its round.
const CONTRACT: &str = "contract.binpb";
/// More than a child takes to make a store.
const MOMENT_MICROS_MOST: u64 = 30_000;
const NAME: &str = "security_s_1_nothing_acknowledged_is_lost_by_kill_9";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder] = arguments.as_slice()
        && flag == CHILD
    {
        return child(Path::new(folder));
    }
    if let [flag, number, rounds, seed, place, contract] = arguments.as_slice()
        && flag == HAND
    {
        let (number, rounds) = (number.parse().unwrap(), rounds.parse().unwrap());
        return hand(number, rounds, seed.parse().unwrap(), Path::new(place), Path::new(contract));
    }
    if arguments.iter().any(|word| word == "--list") {
        return println!("{NAME}: test");
    }
    let wanted = |word: &&String| !word.starts_with('-');
    let mut words = arguments.iter().filter(wanted).peekable();
    if words.peek().is_some() && !words.any(|word| NAME.contains(word.as_str())) {
        return;
    }
    let long = std::env::var_os("TANDEM_LONG").is_some();
    let kills = if long { 10_000 } else { 200 };
    let seed: u64 =
        std::env::var("TANDEM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5);
    let memory = PathBuf::from("/dev/shm");
    let place = if long && memory.is_dir() { memory } else { std::env::temp_dir() };
    println!("test {NAME} ... {kills} kills in {}, seed {seed}", place.display());
    let began = Instant::now();
    let contract = contract(&[("A", "/v1/a")]).descriptor_set();
    let contract_file = Folder::below(&place);
    std::fs::write(contract_file.path().join(CONTRACT), contract).unwrap();
    let hands: Vec<Child> = (0..HANDS)
        .map(|hand| {
            Command::new(std::env::current_exe().unwrap())
                .args([HAND, &hand.to_string(), &(kills / ROUND).to_string(), &seed.to_string()])
                .args([&place, contract_file.path()])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut tally = Tally::default();
    for hand in hands {
        let said = hand.wait_with_output().unwrap();
        assert!(said.status.success(), "a round failed");
        tally.add(Tally::parse(&String::from_utf8(said.stdout).unwrap()));
    }
    let Tally { kills: done, versions, ahead, idle } = tally;
    assert_eq!(done, kills);
    println!(
        "{done} kills, {versions} versions, {ahead} found that nobody was told of, {idle} idle kills, \
         {:.0} s",
        began.elapsed().as_secs_f64()
    );
    println!("test {NAME} ... ok");
}

/// Every [`HANDS`]th round from `hand` on.
fn hand(hand: u32, rounds: u32, seed: u64, place: &Path, contract: &Path) {
    let contract = std::fs::read(contract.join(CONTRACT)).unwrap();
    let mut tally = Tally::default();
    for round in (hand..rounds).step_by(HANDS as usize) {
        tally.add(kill_and_look(seed + u64::from(round), place, &contract));
    }
    let Tally { kills, versions, ahead, idle } = tally;
    println!("{kills} {versions} {ahead} {idle}");
}

/// What was seen in one round or in all.
#[derive(Default)]
struct Tally {
    kills: u32,
    versions: u32,
    /// Versions that stood and that nobody had been told of.
    ahead: u32,
    /// Kills before the child had said anything.
    idle: u32,
}

impl Tally {
    /// What a hand said.
    fn parse(line: &str) -> Tally {
        let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Tally { kills: next(), versions: next(), ahead: next(), idle: next() }
    }

    fn add(&mut self, one: Tally) {
        let Tally { kills, versions, ahead, idle } = one;
        self.kills += kills;
        self.versions += versions;
        self.ahead += ahead;
        self.idle += idle;
    }
}

/// Publishes until it is killed.
fn child(folder: &Path) {
    let store = Embedded::open(folder).unwrap();
    let last_good = LastGood::below(&folder.join("snapshots"));
    let publisher = member("a", Role::Publisher);
    let set = std::fs::read(folder.join(CONTRACT)).unwrap();
    let contract = Arc::new(Contract::from_descriptor_set(&set).unwrap());
    let history = History::new(&store);
    let live = history.live(&publisher, &scope("a")).unwrap();
    let mut number = live.map_or(0, |live| live.version.number);
    let mut stdout = std::io::stdout();
    loop {
        let port = u16::try_from(number % 50_000).unwrap() + 1;
        let ready = checked("a", &document("a", &["p.A"], port), &contract).unwrap();
        number = history.publish(act(&publisher, "again"), &ready, number).unwrap().number;
        writeln!(stdout, "{number}").unwrap();
        let revision = Revision(number.into());
        let snapshot = Snapshot { revision, platform: None, namespaces: [].into() };
        last_good.keep(&snapshot).unwrap();
    }
}

/// Kills [`ROUND`] processes that work on one store, one after another.
fn kill_and_look(seed: u64, place: &Path, contract: &[u8]) -> Tally {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = Folder::below(place);
    std::fs::write(folder.path().join(CONTRACT), contract).unwrap();
    let publisher = member("a", Role::Publisher);
    let (mut acknowledged, mut ahead, mut idle, mut kept) = (0, 0, 0, 0);
    for kill in 0..ROUND {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(CHILD)
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // Some are killed before they said anything, while they open or make the store.
        let mut said = 0;
        for _ in 0..random.random_range(0..4) {
            acknowledged = lines.next().unwrap().unwrap().parse().unwrap();
            said += 1;
        }
        // Anywhere in what it does next.
        std::thread::park_timeout(Duration::from_micros(
            random.random_range(0..MOMENT_MICROS_MOST),
        ));
        process.kill().unwrap();
        process.wait().unwrap();
        // What it said before it died counts, also where nobody had read it yet.
        for line in lines {
            acknowledged = line.unwrap().parse().unwrap();
            said += 1;
        }
        idle += u32::from(said == 0);

        let told = format!("seed {seed}, kill {kill}");
        let store = Embedded::open(folder.path()).unwrap_or_else(|fault| panic!("{told}: {fault}"));
        let live = History::new(&store).live(&publisher, &scope("a")).unwrap();
        let number = live.as_ref().map_or(0, |live| live.version.number);
        assert!(
            number == acknowledged || number == acknowledged + 1,
            "{told}: version {number}, and {acknowledged} was acknowledged"
        );
        ahead += u32::from(number > acknowledged);
        if let Some(live) = live {
            let port = u16::try_from((number - 1) % 50_000).unwrap() + 1;
            assert_eq!(*live.text, document("a", &["p.A"], port), "{told}");
        }
        let head = verify(&store, &scope("a"), None).unwrap().head;
        assert_eq!(head.number, u64::from(number), "{told}");
        if kill % 16 == 0 {
            assert_eq!(check(&store).unwrap(), [], "{told}");
        }
        let snapshot = LastGood::below(&folder.path().join("snapshots")).newest().unwrap();
        let snapshot = snapshot.map_or(0, |snapshot| snapshot.revision.0);
        // Each but the last that this child told of was kept before the next was published.
        let least = if said > 1 { kept.max(u64::from(acknowledged) - 1) } else { kept };
        assert!((least..=u64::from(number)).contains(&snapshot), "{told}: snapshot {snapshot}");
        kept = snapshot;
        assert!(store.read(&[], &[]).unwrap().revision.0 >= u64::from(number));
        acknowledged = number;
    }
    assert!(acknowledged > ROUND / 2 && idle < ROUND, "the kills came between changes");
    Tally { kills: ROUND, versions: acknowledged, ahead, idle }
}
