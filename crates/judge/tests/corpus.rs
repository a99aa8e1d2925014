//! The corpora of the fuzz targets, replayed; and the same check over messages made at random.

#![expect(clippy::disallowed_methods, reason = "the corpus is in files")]
#![expect(clippy::print_stdout, reason = "a test says its seed")]

#[path = "checks/diff.rs"]
mod check;
mod common;

use tandem_judge::stats::draws::Draws;

#[test]
fn security_fz_16_the_corpus_of_diff_passes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/diff");
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        check::check(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 5, "the corpus of diff is there");
}

#[test]
fn security_fz_16_two_damaged_messages_are_compared_the_same_from_both_sides() {
    const SEED: u64 = 16;
    println!("seed {SEED}");
    let mut draws = Draws::new(SEED);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/diff");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for _ in 0..40 {
        for path in &paths {
            let mut input = std::fs::read(path).unwrap();
            for _ in 0..1 + draws.below(4) {
                let place = draws.below(input.len().max(1));
                match draws.below(4) {
                    0 => drop(input.splice(place..place, [draws.next() as u8])),
                    1 if place < input.len() => drop(input.remove(place)),
                    2 => input.truncate(place.max(2)),
                    _ if place < input.len() => input[place] ^= 1 << draws.below(8),
                    _ => {}
                }
            }
            check::check(&input);
        }
    }
}
