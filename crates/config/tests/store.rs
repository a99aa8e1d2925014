//! What every store does, run on each of them; then what only the one on disk can.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(dead_code, reason = "each test uses a part of the parts")]

mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use parts::{Folder, scope};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tandem_config::store::{
    Change, Digest, DumpFault, Embedded, Entry, Key, Kind, Memory, News, Range, Revision, Scope,
    Store, StoreFault, ThingName, VALUE_BYTES_MOST, dump, restore,
};

/// Runs a test on a fresh store of each kind.
fn each(test: impl Fn(&dyn Store)) {
    test(&Memory::new());
    let folder = Folder::new();
    test(&Embedded::open(folder.path()).unwrap());
}

fn secret(namespace: &str, name: &str) -> Key {
    Key::secret(&scope(namespace), &ThingName::new(name).unwrap())
}

fn put(store: &dyn Store, key: &Key, value: &str) -> Revision {
    let mut change = Change::new();
    change.put(key.clone(), value.as_bytes().to_vec());
    store.commit(&change).unwrap()
}

fn value(store: &dyn Store, key: &Key) -> Option<String> {
    let view = store.read(std::slice::from_ref(key), &[]).unwrap();
    view.value(key).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn a_new_store_holds_nothing_at_revision_0() {
    each(|store| {
        let everything: Vec<Range> = Kind::ALL.iter().copied().map(Range::of).collect();
        let view = store.read(&[secret("shop", "a")], &everything).unwrap();
        assert_eq!((view.revision, view.entries), (Revision(0), BTreeMap::new()));
    });
}

#[test]
fn a_change_is_made_whole_or_not_at_all() {
    each(|store| {
        let (a, b, c) = (secret("shop", "a"), secret("shop", "b"), secret("shop", "c"));
        let first = put(store, &a, "1");
        let mut change = Change::new();
        change.put(b.clone(), b"2".to_vec());
        change.delete(a.clone());
        change.expect(c.clone(), Some(first));
        let fault = store.commit(&change).unwrap_err();
        assert!(matches!(&fault, StoreFault::Moved(key) if *key == c), "{fault}");
        assert_eq!((value(store, &a).as_deref(), value(store, &b)), (Some("1"), None));
        change.expect(c, None);
        let second = store.commit(&change).unwrap();
        assert_eq!(second, Revision(first.0 + 1));
        assert_eq!((value(store, &a), value(store, &b).as_deref()), (None, Some("2")));
    });
}

#[test]
fn an_expectation_holds_for_one_revision_of_a_key_alone() {
    each(|store| {
        let (key, other) = (secret("shop", "a"), secret("shop", "b"));
        let attempt = |expected: Option<Revision>| {
            let mut change = Change::new();
            change.expect(key.clone(), expected);
            change.put(key.clone(), b"x".to_vec());
            store.commit(&change)
        };
        assert!(attempt(Some(Revision(0))).is_err());
        let first = attempt(None).unwrap();
        assert!(attempt(None).is_err());
        put(store, &other, "elsewhere");
        let second = attempt(Some(first)).unwrap();
        assert!(attempt(Some(first)).is_err());
        let mut change = Change::new();
        change.delete(key.clone());
        store.commit(&change).unwrap();
        assert!(attempt(Some(second)).is_err());
        assert!(attempt(None).is_ok());
    });
}

#[test]
fn ranges_give_what_is_of_their_kind_and_scope_in_order() {
    each(|store| {
        let shop = scope("shop");
        let others = [scope("shop-2"), scope("sho"), scope("0"), Scope::Platform];
        for number in [3, 1, 2, 10] {
            put(store, &Key::audit(&shop, number), &number.to_string());
        }
        put(store, &Key::audit_head(&shop), "head");
        for other in &others {
            put(store, &Key::audit(other, 2), "other");
        }
        let read = |range: Range| -> Vec<String> {
            let entries = store.read(&[], &[range]).unwrap().entries;
            entries.into_values().map(|entry| String::from_utf8(entry.value).unwrap()).collect()
        };
        let own = || Range::of(Kind::Audit).within(&shop);
        assert_eq!(read(own()), ["1", "2", "3", "10"]);
        assert_eq!(read(own().most(2)), ["1", "2"]);
        assert_eq!(read(own().after(Key::audit(&shop, 2))), ["3", "10"]);
        assert_eq!(read(own().after(Key::audit(&shop, 2)).most(1)), ["3"]);
        assert_eq!(read(own().after(Key::audit(&shop, 10))), [""; 0]);
        assert_eq!(read(Range::of(Kind::Audit)).len(), 8);
        assert_eq!(read(Range::of(Kind::AuditHead)), ["head"]);
        assert_eq!(read(Range::of(Kind::Live)), [""; 0]);
    });
}

#[test]
fn who_waits_is_told_what_moved() {
    each(|store| {
        let (a, b) = (secret("shop", "a"), secret("shop", "b"));
        let start = put(store, &a, "0");
        assert_eq!(store.wait(start, Duration::ZERO).unwrap(), News::Nothing);
        let news = std::thread::scope(|threads| {
            let waiting = threads.spawn(|| store.wait(start, Duration::from_secs(60)).unwrap());
            let revision = put(store, &b, "1");
            let moved = News::Moved { revision, keys: BTreeSet::from([b.clone()]) };
            assert_eq!(waiting.join().unwrap(), moved);
            revision
        });
        let revision = put(store, &a, "2");
        let keys = BTreeSet::from([a.clone(), b.clone()]);
        assert_eq!(store.wait(start, Duration::ZERO).unwrap(), News::Moved { revision, keys });
        let keys = BTreeSet::from([a.clone()]);
        assert_eq!(store.wait(news, Duration::ZERO).unwrap(), News::Moved { revision, keys });
        let fault = store.wait(Revision(revision.0 + 1), Duration::ZERO).unwrap_err();
        assert!(matches!(fault, StoreFault::Older { .. }), "{fault}");
    });
}

#[test]
fn changes_that_race_lose_nothing() {
    each(|store| {
        let key = secret("shop", "counter");
        let (threads, times) = (6, 20);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..times {
                        loop {
                            let view = store.read(std::slice::from_ref(&key), &[]).unwrap();
                            let text = view.value(&key).unwrap_or(b"0");
                            let count: u32 = std::str::from_utf8(text).unwrap().parse().unwrap();
                            let mut change = Change::new();
                            change.expect_as_in(&view, key.clone());
                            change.put(key.clone(), (count + 1).to_string().into_bytes());
                            match store.commit(&change) {
                                Ok(revision) => {
                                    // Whoever was told of it can wait for what comes after it.
                                    store.wait(revision, Duration::ZERO).unwrap();
                                    break;
                                }
                                Err(StoreFault::Moved(_)) => {}
                                Err(other) => panic!("{other}"),
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(value(store, &key), Some((threads * times).to_string()));
    });
}

#[test]
fn a_value_of_the_largest_size_is_kept_and_one_byte_more_is_refused() {
    each(|store| {
        let key = secret("shop", "a");
        let mut change = Change::new();
        change.put(key.clone(), vec![7; VALUE_BYTES_MOST]);
        store.commit(&change).unwrap();
        change.put(key.clone(), vec![7; VALUE_BYTES_MOST + 1]);
        assert!(matches!(store.commit(&change), Err(StoreFault::TooLarge { .. })));
        let view = store.read(std::slice::from_ref(&key), &[]).unwrap();
        assert_eq!(view.value(&key).map(<[u8]>::len), Some(VALUE_BYTES_MOST));
    });
}

#[test]
fn stores_agree_with_a_map_over_random_changes() {
    each(|store| {
        let mut random = StdRng::seed_from_u64(3);
        let keys: Vec<Key> = ["a", "b", "c", "d"]
            .iter()
            .flat_map(|name| [secret("shop", name), secret("search", name)])
            .collect();
        let mut model: BTreeMap<Key, Entry> = BTreeMap::new();
        let mut revision = Revision(0);
        for step in 0..150_u32 {
            let mut change = Change::new();
            let mut holds = true;
            for key in &keys {
                let known = model.get(key).map(|entry| entry.revision);
                match random.random_range(0..12) {
                    0 => change.expect(key.clone(), known),
                    1 => {
                        let guess = Revision(random.random_range(0..=revision.0 + 1));
                        change.expect(key.clone(), Some(guess));
                        holds &= known == Some(guess);
                    }
                    _ => {}
                }
            }
            let writes: Vec<(Key, Option<Vec<u8>>)> = keys
                .iter()
                .filter_map(|key| match random.random_range(0..6) {
                    0 => Some((key.clone(), None)),
                    1 => Some((key.clone(), Some(step.to_be_bytes().to_vec()))),
                    _ => None,
                })
                .collect();
            for (key, value) in &writes {
                match value {
                    Some(value) => change.put(key.clone(), value.clone()),
                    None => change.delete(key.clone()),
                }
            }
            assert_eq!(store.commit(&change).is_ok(), holds, "step {step}");
            if holds {
                revision = Revision(revision.0 + 1);
                for (key, value) in writes {
                    match value {
                        Some(value) => model.insert(key, Entry { revision, value }),
                        None => model.remove(&key),
                    };
                }
            }
            let view = store.read(&[], &[Range::of(Kind::Secret)]).unwrap();
            assert_eq!((view.revision, &view.entries), (revision, &model), "step {step}");
        }
        assert!(revision.0 > 30, "{revision}");
    });
}

#[test]
fn a_dump_fills_an_empty_store_which_then_stands_no_earlier() {
    each(|store| {
        put(store, &secret("shop", "a"), "one");
        put(store, &Key::audit(&Scope::Platform, 1), "two");
        let last = put(store, &Key::content(&scope("shop"), &Digest::of(b"x")), "three");
        let text = dump(store).unwrap();
        each(|filled| {
            let revision = restore(filled, &text).unwrap();
            assert_eq!(revision, last);
            let values = |store: &dyn Store| -> BTreeMap<Key, Vec<u8>> {
                let everything: Vec<Range> = Kind::ALL.iter().copied().map(Range::of).collect();
                let entries = store.read(&[], &everything).unwrap().entries;
                entries.into_iter().map(|(key, entry)| (key, entry.value)).collect()
            };
            assert_eq!(values(filled), values(store));
            assert!(matches!(restore(filled, &text), Err(DumpFault::NotEmpty)));
        });
    });
}

#[test]
fn a_dump_that_was_cut_or_altered_fills_nothing() {
    let store = Memory::new();
    put(&store, &secret("shop", "a"), "one");
    put(&store, &secret("shop", "b"), "two");
    let text = dump(&store).unwrap();
    let refused = |text: &str, what: &str| {
        let empty = Memory::new();
        assert!(restore(&empty, text).is_err(), "{what}");
        assert_eq!(empty.read(&[], &[]).unwrap().revision, Revision(0));
    };
    for length in 0..text.len() - 1 {
        refused(&text[..length], &format!("{length} bytes"));
    }
    for place in 0..text.len() - 1 {
        let mut bytes = text.clone().into_bytes();
        bytes[place] ^= 1;
        if let Ok(flipped) = String::from_utf8(bytes) {
            refused(&flipped, &format!("byte {place}"));
        }
    }
    let lines: Vec<&str> = text.lines().collect();
    refused(&[lines[0], lines[1], lines[3], ""].join("\n"), "a line less");
    refused(&[lines[0], lines[2], lines[1], lines[3], ""].join("\n"), "swapped lines");
    assert!(restore(&Memory::new(), &text).is_ok());
}

#[test]
fn the_store_on_disk_is_there_again_after_it_was_closed() {
    let folder = Folder::new();
    let key = secret("shop", "a");
    let store = Embedded::open(folder.path()).unwrap();
    let revision = put(&store, &key, "kept");
    drop(store);
    let store = Embedded::open(folder.path()).unwrap();
    assert_eq!(value(&store, &key).as_deref(), Some("kept"));
    assert_eq!(store.wait(revision, Duration::ZERO).unwrap(), News::Nothing);
    // What moved before this process is not remembered, and nobody is left in the dark.
    let gap = store.wait(Revision(revision.0 - 1), Duration::ZERO).unwrap();
    assert_eq!(gap, News::Gap { revision });
}

#[test]
fn the_store_on_disk_is_for_one_process_and_for_its_owner() {
    let folder = Folder::new();
    let place = folder.path().join("data/store");
    let store = Embedded::open(&place).unwrap();
    assert!(matches!(Embedded::open(&place), Err(StoreFault::InUse)));
    drop(store);
    drop(Embedded::open(&place).unwrap());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place), 0o700);
    for entry in std::fs::read_dir(&place).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn security_s_5_a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let key = secret("shop", "a");
    let store = Embedded::open(folder.path()).unwrap();
    put(&store, &key, "kept");
    drop(store);
    let file = folder.path().join("store.redb");
    let whole = std::fs::read(&file).unwrap();
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("other", b"a file of somebody else".to_vec()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("zeros", vec![0; whole.len()]),
    ] {
        std::fs::write(&file, &bytes).unwrap();
        let fault = Embedded::open(folder.path()).unwrap_err();
        assert!(matches!(fault, StoreFault::Damaged(_) | StoreFault::Io(_)), "{what}: {fault}");
        assert!(std::fs::read(&file).unwrap() == bytes, "{what}: the file was changed");
    }
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(value(&Embedded::open(folder.path()).unwrap(), &key).as_deref(), Some("kept"));
}

#[test]
fn a_store_whose_making_was_interrupted_is_made_anew() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("store.redb.new"), b"half a sto").unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    put(&store, &secret("shop", "a"), "kept");
    assert!(!folder.path().join("store.redb.new").exists());
}
