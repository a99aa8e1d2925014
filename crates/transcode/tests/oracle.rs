//! Random schemas and messages, converted by us and by another library.
//!
//! The other library is buffa's `DynamicMessage`. Where the two may differ, the difference is a
//! constant below with the rule behind it, and only then. A failure prints the numbers that made
//! it; `PROPTEST_CASES` asks for more.
//!
//! Not here: single rules (`json_rules`), the byte for byte comparison (`torture.rs`).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod generated;

use std::fmt;

use buffa_descriptor::MessageIndex;
use generated::message::{Manner, Messages, Taste, encode};
use generated::schema::{Kinds, WELL_KNOWN, WELL_KNOWN_PLAIN, descriptor_set};
use generated::spelling::Speller;
use generated::{Both, Choices, difference, parsed};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tandem_transcode::FaultKind;

/// Messages that one schema is tried with.
const MESSAGES: usize = 6;

/// A list of choices that a failure prints on one line.
#[derive(Clone)]
struct Numbers(Vec<u64>);

impl fmt::Debug for Numbers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x?}", self.0)
    }
}

/// The numbers of a schema, and those of a message.
fn choices() -> impl Strategy<Value = (Numbers, Numbers)> {
    let numbers = |most| prop::collection::vec(any::<u64>(), 0..most).prop_map(Numbers);
    (numbers(400), numbers(3000))
}

/// The same cases in every run, so that a rare difference stops nobody; others, and as many as
/// wanted, with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if asked { default.cases } else { 300 },
        rng_seed: if asked { RngSeed::Random } else { RngSeed::Fixed(33) },
        // A failure becomes a row of a table, not a line of a file.
        failure_persistence: None,
        max_shrink_iters: 5_000,
        ..default
    }
}

fn both(kinds: Kinds, Numbers(schema): &Numbers) -> Both {
    Both::new(&descriptor_set(kinds, &mut Choices::listed(schema)), "g.M0")
}

/// The messages that may stand in an `Any`: all but M0, whose extensions the oracle forgets there,
/// and Empty, which the oracle writes without a `value` and we with one, as Go does.
fn contents(both: &Both, kinds: Kinds) -> Vec<MessageIndex> {
    let well_known = match kinds {
        Kinds::All => &WELL_KNOWN[..],
        Kinds::Plain => &WELL_KNOWN[..WELL_KNOWN_PLAIN],
    };
    let well_known = well_known.iter().map(|name| format!("google.protobuf.{name}"));
    ["g.M1".to_owned(), "g.M2".to_owned()]
        .into_iter()
        .chain(well_known.filter(|name| !name.ends_with(".Empty")))
        .filter_map(|name| both.pool.message_index(&name))
        .collect()
}

/// Wire bytes of random messages of `g.M0`, each as the generator made them.
fn wires(both: &Both, kinds: Kinds, manner: Manner, choices: &mut Choices) -> Vec<Vec<u8>> {
    let taste = Taste { manner, depth: 4, one_in: 2, short_floats: false };
    let mut contents = contents(both, kinds);
    if manner == Manner::Wild {
        // The type of one Any and the bytes of another are merged to what is none.
        contents = vec![choices.pick(&contents)];
    }
    let messages = Messages { pool: &both.pool, taste, contents };
    (0..MESSAGES).map(|_| encode(&messages.message(both.index(), choices))).collect()
}

fn check_same(ours: &str, theirs: &str, input: &[u8]) -> Result<(), TestCaseError> {
    match difference(&parsed(ours), &parsed(theirs)) {
        None => Ok(()),
        Some(what) => Err(TestCaseError::fail(format!("{what}\nfrom {input:02x?}"))),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_a_serializer_writes_becomes_the_oracles_json_and_comes_back(
        (schema, message) in choices()
    ) {
        let both = both(Kinds::All, &schema);
        for wire in wires(&both, Kinds::All, Manner::Tidy, &mut Choices::listed(&message.0)) {
            let wire = both.oracle(&wire).unwrap().encode_to_vec();
            let theirs = both.oracle_json(&wire).unwrap();
            let ours = both.json(&wire).unwrap();
            check_same(&ours, &theirs, &wire)?;

            // From the oracle's text we make the oracle's message; from ours both do.
            for text in [&theirs, &ours] {
                let made = both.wire(text).unwrap();
                prop_assert_eq!(&both.oracle_json(&made).unwrap(), &theirs, "{}", text);
            }
            // And what we wrote stays as it is.
            let again = both.json(&both.wire(&ours).unwrap()).unwrap();
            prop_assert_eq!(again, ours);
        }
    }

    #[test]
    fn what_a_parser_must_take_becomes_the_oracles_json((schema, message) in choices()) {
        let both = both(Kinds::All, &schema);
        for wire in wires(&both, Kinds::All, Manner::Wild, &mut Choices::listed(&message.0)) {
            let theirs = both.oracle_json(&wire).unwrap();
            let ours = both.json(&wire).unwrap();
            check_same(&ours, &theirs, &wire)?;
        }
    }

    #[test]
    fn other_spellings_mean_the_same((schema, message) in choices()) {
        let both = both(Kinds::All, &schema);
        let mut choices = Choices::listed(&message.0);
        for wire in wires(&both, Kinds::All, Manner::Tidy, &mut choices) {
            let theirs = both.oracle_json(&wire).unwrap();
            let mut speller =
                Speller { pool: &both.pool, choices: &mut choices, out: String::new() };
            speller.message("g.M0", &parsed(&theirs));
            let text = speller.out;
            let made = both.wire(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
            prop_assert_eq!(both.oracle_json(&made).unwrap(), theirs, "{}", text);
        }
    }

    #[test]
    fn spoiled_bytes_are_refused_by_both_or_by_neither((schema, message) in choices()) {
        // The oracle reads map entries and messages between group tags whatever their wire types
        // say, and a member of a oneof that a later one wipes; we take what does not fit for
        // unknown, and do not read what is wiped.
        let both = both(Kinds::Plain, &schema);
        let mut choices = Choices::listed(&message.0);
        for manner in [Manner::Tidy, Manner::Wild] {
            for mut wire in wires(&both, Kinds::Plain, manner, &mut choices) {
                spoil(&mut wire, &mut choices, &[0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x0b, 0x0c]);
                check_verdicts(&wire, |wire| {
                    let ours = both.json(wire).map_err(|fault| {
                        assert_eq!(fault.kind, FaultKind::Upstream, "{fault}: {wire:02x?}");
                        fault.to_string()
                    });
                    dispute(ours, both.oracle_json(wire), WIRE_DIFFERENCES)
                })?;
            }
        }
    }

    #[test]
    fn spoiled_texts_are_refused_by_both_or_by_neither((schema, message) in choices()) {
        let both = both(Kinds::All, &schema);
        let mut choices = Choices::listed(&message.0);
        for wire in wires(&both, Kinds::All, Manner::Tidy, &mut choices) {
            let mut text = both.oracle_json(&wire).unwrap().into_bytes();
            spoil(&mut text, &mut choices, b"{}[]:,\"\\ntf019-+.eE @_u\x00\xff");
            check_verdicts(&text, |text| {
                // Text that is none is refused by us; the oracle is not even asked.
                let text = std::str::from_utf8(text).ok()?;
                let ours = both.wire(text).map_err(|fault| {
                    assert_eq!(fault.kind, FaultKind::Caller, "{fault}: {text}");
                    fault.to_string()
                });
                dispute(ours, both.oracle_wire(text), TEXT_DIFFERENCES)
            })?;
        }
    }
}

/// Up to three small damages: bytes changed, put in, taken out, doubled, cut off.
fn spoil(input: &mut Vec<u8>, choices: &mut Choices, bytes: &[u8]) {
    for _ in 0..1 + choices.up_to(2) {
        if input.is_empty() {
            return;
        }
        let at = choices.up_to(input.len() - 1);
        match choices.up_to(5) {
            0 => input[at] = choices.pick(bytes),
            1 => input.insert(at, choices.pick(bytes)),
            2 => drop(input.remove(at)),
            3 => input[at] ^= 1 << choices.up_to(7),
            4 => {
                let end = (at + 1 + choices.up_to(15)).min(input.len());
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            _ => input.truncate(at),
        }
    }
}

/// A difference that is meant: why, and the words of whoever refuses.
struct Difference {
    #[expect(dead_code, reason = "for the reader")]
    why: &'static str,
    by: Who,
    says: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Ours,
    Theirs,
}

const WIRE_DIFFERENCES: &[Difference] = &[
    Difference {
        why: "J-9: an Any of a type that is not known is written with its bytes",
        by: Who::Theirs,
        says: "not registered",
    },
    Difference {
        why: "J-8: any path that survives the round trip passes",
        by: Who::Theirs,
        says: "FieldMask path does not round-trip",
    },
    Difference {
        why: "J-10: a Value that holds nothing is an error, as struct.proto says",
        by: Who::Ours,
        says: "a Value that holds nothing",
    },
    Difference {
        why: "J-13: a string of proto2 need not be UTF-8 on the wire",
        by: Who::Theirs,
        says: "invalid UTF-8 in string field",
    },
];
const TEXT_DIFFERENCES: &[Difference] = &[
    Difference {
        why: "I-3, J-11: the last of two equal keys of a map or a Struct wins with the oracle",
        by: Who::Ours,
        says: "stands twice",
    },
    Difference {
        why: "J-8: any path that survives the round trip passes",
        by: Who::Theirs,
        says: "not canonical lowerCamelCase",
    },
    Difference {
        why: "J-1: a number in quotes keeps the grammar of JSON; Rust's parser takes `01` and `+1`",
        by: Who::Ours,
        says: "is no number",
    },
    Difference {
        why: "J-4: an extension is named `[package.name]`; the oracle takes a dot before it",
        by: Who::Ours,
        says: "unknown field `[.",
    },
    Difference {
        why: "J-11: a key is a number as elsewhere; the oracle takes Rust's spellings alone",
        by: Who::Theirs,
        says: "nt32 key",
    },
    Difference {
        why: "J-11: a key is a number as elsewhere; the oracle takes Rust's spellings alone",
        by: Who::Theirs,
        says: "nt64 key",
    },
    Difference {
        why: "J-3: padding comes in fours or not at all, and one text has one alphabet",
        by: Who::Ours,
        says: "is no base64",
    },
];

/// Who alone refuses an input, and in which words, unless that difference is meant.
fn dispute<T, U>(
    ours: Result<T, String>,
    theirs: Result<U, String>,
    differences: &[Difference],
) -> Option<String> {
    let (by, says) = match (ours, theirs) {
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => return None,
        (Err(says), Ok(_)) => (Who::Ours, says),
        (Ok(_), Err(says)) => (Who::Theirs, says),
    };
    let meant =
        differences.iter().any(|difference| difference.by == by && says.contains(difference.says));
    (!meant).then(|| format!("refused by {by:?} alone: {says}"))
}

/// Fails with the smallest part of `input` that is still in dispute.
fn check_verdicts(
    input: &[u8],
    dispute: impl Fn(&[u8]) -> Option<String>,
) -> Result<(), TestCaseError> {
    if dispute(input).is_none() {
        return Ok(());
    }
    let mut small = input.to_vec();
    let mut piece = small.len();
    while piece > 0 {
        let mut at = 0;
        while at < small.len() {
            let mut without = small.clone();
            without.drain(at..(at + piece).min(small.len()));
            if dispute(&without).is_some() {
                small = without;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    let what = dispute(&small).unwrap();
    let text = String::from_utf8_lossy(&small);
    Err(TestCaseError::fail(format!("{what}\n{small:02x?}\n{text:?}\nfrom {input:02x?}")))
}
