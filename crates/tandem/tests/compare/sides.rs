//! Sides whose behaviour is known, and the command that compares them.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_testkit::Script;

use crate::place::{Notes, Place, Said, until};
use crate::schema;

/// A `Note` with this text and number.
pub(crate) fn note(text: &str, number: u8) -> Vec<u8> {
    let mut bytes = crate::place::note(text);
    bytes.extend_from_slice(&[0x10, number]);
    bytes
}

/// Long enough that the generator's own lateness is nothing beside it on a busy machine: late is
/// what is later than a twentieth of this (compare L-4).
pub(crate) const SLOW: Duration = Duration::from_millis(600);

/// Answers `note("x", 7)` after so long.
pub(crate) fn steady(time: Duration) -> Notes {
    Notes::answering(vec![Script::After(time, Box::new(Script::message(note("x", 7))))])
}

/// As one answer at once, but each `count`th call another number.
pub(crate) fn wrong_each(count: usize) -> Notes {
    let one = |number| Box::new(Script::message(note("x", number)));
    Notes::answering(vec![Script::Every(count, one(8), one(7))])
}

/// `NAME=pid:N@ADDRESS`, of a service in this process.
pub(crate) fn side(name: &str, address: SocketAddr) -> String {
    format!("{name}=pid:{}@{address}", std::process::id())
}

/// Small enough for a test, and with no time for a look at pauses, which takes 40 s. The generator
/// shares its core with everybody here.
pub(crate) const SMALL: [&str; 6] =
    ["--quartets=2", "--block=100ms", "--rate=60", "--budget=39s", "--cpus=none", "--seed=7"];

pub(crate) fn words<'w>(primary: &'w str, candidate: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    let mut words =
        vec!["compare", "test.v1.Notes/Read", "--primary", primary, "--candidate", candidate];
    // What a test says itself holds.
    let said = |flag: &str| more.iter().any(|word| word.split('=').next() == Some(flag));
    let small = SMALL.iter().filter(|word| !said(word.split('=').next().unwrap()));
    words.extend(small);
    words.extend(more);
    words
}

/// Runs it again while the machine takes so much time away that nothing is measured, or too little
/// for an interval that was asked for; `None`, and says so, where it never stops.
pub(crate) fn measured(place: &Place, words: &[&str]) -> Option<Said> {
    const TRIES: usize = 4;
    let mut tries = (0..TRIES).map(|_| place.tandem(words));
    let asked = !words.iter().any(|word| word.starts_with("--quartets=") && word.len() == 12);
    let too_few = |said: &Said| asked && said.out.contains("too few quartets for an interval");
    let said = tries.find(|said| said.exit != 8 && !too_few(said));
    if said.is_none() {
        println!("skipped: this machine is too busy to measure anything");
    }
    said
}

/// Runs these words, which write to `out`, until `sign` is said on stderr, and interrupts it then:
/// it ends with 130 and leaves a report that is whole. The result, and what stood on stdout.
pub(crate) fn interrupted(
    place: &Place,
    words: &[&str],
    sign: &str,
    within: Duration,
) -> (serde_json::Value, String) {
    let (out, err) = (place.0.join("out.txt"), place.0.join("err.txt"));
    let mut child = place
        .command(words)
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(std::fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let begun = until(within, || place.read("err.txt").contains(sign).then_some(()));
    assert!(begun.is_some(), "{}", place.read("err.txt"));
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", place.read("err.txt"));
    let result: serde_json::Value = serde_json::from_str(&place.read("out/result.json")).unwrap();
    assert_eq!(result["run"]["partial"], true);
    schema::keeps(&result);
    assert!(place.read("out/report.html").contains("</html>"));
    (result, place.read("out.txt"))
}
