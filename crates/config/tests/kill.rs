//! A process that publishes and is killed at any moment, again and again (security S-1, CR-5).
//!
//! The child opens the store, publishes one version after another and says each number on a pipe
//! when it was acknowledged. The parent kills it, opens what is left, and holds it against the
//! last number that it read. This is a program of its own, for it starts itself.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::print_stdout, reason = "the pipe is what the two talk by")]
#![expect(dead_code, reason = "each test uses a part of the parts")]

mod parts;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use parts::{Folder, act, checked, contract, document, member, scope};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tandem_config::access::Role;
use tandem_config::audit::verify;
use tandem_config::history::{History, LastGood, Snapshot};
use tandem_config::store::{Embedded, Revision, Store as _, check};

const CHILD: &str = "--child";
/// Kills on one store.
const ROUND: u32 = 100;
const NAME: &str = "security_s_1_nothing_acknowledged_is_lost_by_kill_9";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder] = arguments.as_slice()
        && flag == CHILD
    {
        return child(Path::new(folder));
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
    let seed = std::env::var("TANDEM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5);
    println!("test {NAME} ... {kills} kills, seed {seed}");
    // A store of its own for each hundred: the log is verified each time, and it grows.
    for round in 0..kills / ROUND {
        kill_and_look(seed + u64::from(round));
    }
    println!("test {NAME} ... ok");
}

/// Publishes until it is killed.
fn child(folder: &Path) {
    let store = Embedded::open(folder).unwrap();
    let last_good = LastGood::below(&folder.join("snapshots"));
    let publisher = member("a", Role::Publisher);
    let contract = contract(&[("A", "/v1/a")]);
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
fn kill_and_look(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = Folder::new();
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
        for _ in 0..random.random_range(0..3_000) {
            std::thread::yield_now();
        }
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
    println!("{acknowledged} versions, {ahead} found that nobody was told of, {idle} idle kills");
    assert!(acknowledged > ROUND / 2 && idle < ROUND, "the kills came between changes");
}
