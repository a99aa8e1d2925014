//! Sides whose behaviour is known, and the command that compares them.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_testkit::Script;

use crate::place::{Notes, Place, Said};

/// A `Note` with this text and number.
pub(crate) fn note(text: &str, number: u8) -> Vec<u8> {
    let mut bytes = crate::place::note(text);
    bytes.extend_from_slice(&[0x10, number]);
    bytes
}

/// Long enough that the generator's own lateness is nothing beside it, however busy the machine.
pub(crate) const SLOW: Duration = Duration::from_millis(400);

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

/// Small enough for a test. The generator shares its core with everybody here.
pub(crate) const SMALL: [&str; 6] =
    ["--quartets=2", "--block=100ms", "--rate=60", "--budget=50s", "--cpus=none", "--seed=7"];

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

/// Runs it again while the machine took so much time away that nothing was measured.
pub(crate) fn measured(place: &Place, words: &[&str]) -> Said {
    const TRIES: usize = 5;
    let mut said = place.tandem(words);
    for _ in 1..TRIES {
        if said.exit != 8 {
            break;
        }
        said = place.tandem(words);
    }
    said
}
