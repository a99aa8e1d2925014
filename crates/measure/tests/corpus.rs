//! The corpus of the fuzz target, replayed; and the same check over files that were damaged.

#![expect(clippy::print_stdout, reason = "a test says its seed")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "checks/records.rs"]
mod records;

use tandem_judge::stats::draws::Draws;

fn corpus() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/records");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn the_corpus_of_records_passes() {
    let corpus = corpus();
    assert!(corpus.len() >= 5, "the corpus of records is there");
    corpus.iter().for_each(|input| records::check(input));
}

#[test]
fn damaged_files_of_records_are_read_or_refused() {
    const SEED: u64 = 17;
    println!("seed {SEED}");
    let mut draws = Draws::new(SEED);
    for input in corpus() {
        for _ in 0..200 {
            let mut input = input.clone();
            for _ in 0..1 + draws.below(4) {
                let place = draws.below(input.len().max(1));
                match draws.below(4) {
                    0 => drop(input.splice(place..place, [draws.next() as u8])),
                    1 if place < input.len() => drop(input.remove(place)),
                    2 => input.truncate(place),
                    _ if place < input.len() => input[place] ^= 1 << draws.below(8),
                    _ => {}
                }
            }
            records::check(&input);
        }
    }
}
