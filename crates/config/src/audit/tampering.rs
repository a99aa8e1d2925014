//! Logs that somebody edited beside the gateway (security W-6, AU-2).

use super::*;
use crate::access::{Role, Who, members};
use crate::probe::{act, member, owner};
use crate::store::{Change, Digest, Key, Memory, NamespaceName, Scope, Store, check};

fn shop() -> Scope {
    Scope::namespace("shop").unwrap()
}

/// A log of five entries, one of them a refusal.
fn log() -> Memory {
    let store = Memory::new();
    let shop = NamespaceName::new("shop").unwrap();
    let who = Who::parse("user:bob").unwrap();
    for role in Role::ALL {
        members::set(&store, act(&owner("shop")), &shop, &who, role).unwrap();
    }
    let viewer = member("shop", Role::Viewer);
    assert!(members::set(&store, act(&viewer), &shop, &who, Role::Owner).is_err());
    store
}

fn value(store: &dyn Store, key: &Key) -> Vec<u8> {
    store.read(std::slice::from_ref(key), &[]).unwrap().value(key).unwrap().to_vec()
}

/// What a hand does that the gateway knows nothing of.
fn overwrite(store: &dyn Store, key: &Key, value: Option<Vec<u8>>) {
    let mut change = Change::new();
    match value {
        Some(value) => change.put(key.clone(), value),
        None => change.delete(key.clone()),
    }
    store.commit(&change).unwrap();
}

fn entry(number: u64) -> Key {
    Key::audit(&shop(), number)
}

#[test]
fn security_au_1_what_was_done_and_what_was_refused_stands_in_the_log() {
    let store = log();
    let head = verify(&store, &shop(), None).unwrap().head;
    assert_eq!(head.number, 5);
    assert_eq!(noted_head(&store, &shop()).unwrap(), head);
    let entries = chain(&store, &shop(), 0, 100).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(entries[0].before, None);
    assert_eq!(entries[0].after, entries[1].before);
    assert_eq!(entries[3].outcome, Outcome::Done);
    let refused = Outcome::Refused("this needs the role owner in `shop`".to_owned());
    assert_eq!(entries[4].outcome, refused);
    assert_eq!((entries[4].before, entries[4].after), (None, None));
    assert_eq!(chain(&store, &shop(), 3, 1).unwrap(), entries[3..4]);
    assert!(chain(&store, &Scope::Platform, 0, 10).unwrap().is_empty());
}

#[test]
fn security_w_6_each_byte_of_a_small_log_is_guarded() {
    let store = log();
    let keys: Vec<Key> = (1..=5).map(entry).chain([Key::audit_head(&shop())]).collect();
    let mut flips = 0;
    for key in keys {
        let whole = value(&store, &key);
        for place in 0..whole.len() {
            for mask in [0x01, 0x20, 0x80] {
                let mut flipped = whole.clone();
                flipped[place] ^= mask;
                overwrite(&store, &key, Some(flipped));
                let outcome = verify(&store, &shop(), None);
                assert!(outcome.is_err(), "{key}, byte {place}, {mask:#x}: {outcome:?}");
                flips += 1;
            }
        }
        overwrite(&store, &key, Some(whole));
        assert!(verify(&store, &shop(), None).is_ok());
    }
    assert!(flips > 3_000, "{flips}");
}

#[test]
fn security_au_2_a_cut_a_swap_and_a_forged_end_are_found() {
    let check = |what: &str, tamper: &dyn Fn(&Memory)| {
        let store = log();
        tamper(&store);
        assert!(verify(&store, &shop(), None).is_err(), "{what}");
        assert_ne!(check(&store).unwrap(), [], "{what}");
    };
    for number in 1..=5 {
        check("cut", &|store| overwrite(store, &entry(number), None));
    }
    for (one, other) in [(1, 2), (2, 4), (4, 5)] {
        check("swapped", &|store| {
            let (first, second) = (value(store, &entry(one)), value(store, &entry(other)));
            overwrite(store, &entry(one), Some(second));
            overwrite(store, &entry(other), Some(first));
        });
    }
    check("an entry of another log", &|store| {
        let forged = AuditEntry::from_bytes(&value(store, &entry(5))).unwrap();
        let forged = AuditEntry { scope: Scope::Platform, ..forged };
        overwrite(store, &entry(5), Some(forged.to_bytes()));
    });
    check("an entry behind the end", &|store| {
        let forged = AuditEntry::from_bytes(&value(store, &entry(5))).unwrap();
        let forged = AuditEntry { number: 6, previous: forged.digest(), ..forged };
        overwrite(store, &entry(6), Some(forged.to_bytes()));
    });
    check("no head", &|store| overwrite(store, &Key::audit_head(&shop()), None));
}

#[test]
fn security_au_2_a_tail_cut_with_its_head_is_found_by_a_head_noted_elsewhere() {
    let store = log();
    let noted = verify(&store, &shop(), None).unwrap().head.digest;
    // A head that was noted earlier holds for a log that went on.
    let fourth = chain(&store, &shop(), 3, 1).unwrap()[0].clone();
    let earlier = fourth.digest();
    assert!(verify(&store, &shop(), Some(earlier)).is_ok());
    assert!(verify(&store, &shop(), Some(noted)).is_ok());
    assert!(verify(&store, &shop(), Some(Digest::of(b"other"))).is_err());
    // The last entry is cut, and the head set back to fit.
    overwrite(&store, &entry(5), None);
    let head = Head { number: 4, digest: earlier };
    overwrite(&store, &Key::audit_head(&shop()), Some(serde_json::to_vec(&head).unwrap()));
    assert!(verify(&store, &shop(), None).is_ok(), "beside itself nothing shows it");
    let fault = verify(&store, &shop(), Some(noted)).unwrap_err();
    assert!(matches!(fault, ChainFault::HeadNotFound { .. }), "{fault}");
}

#[test]
fn security_w_8_an_entry_is_one_line_whatever_strangers_wrote() {
    let store = Memory::new();
    let shop_name = NamespaceName::new("shop").unwrap();
    let who = Who::parse("user:bob").unwrap();
    let principal = owner("shop");
    let act = crate::act::Act { why: "a\r\nb\u{1b}[31mred\u{7}", ..act(&principal) };
    members::set(&store, act, &shop_name, &who, Role::Viewer).unwrap();
    let line = chain(&store, &shop(), 0, 1).unwrap()[0].to_string();
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(line.contains("a\\r\\nb"), "{line}");
    let long = "ö".repeat(10_000);
    let act = crate::act::Act { why: &long, ..act };
    members::set(&store, act, &shop_name, &who, Role::Viewer).unwrap();
    let kept = chain(&store, &shop(), 1, 1).unwrap()[0].why.len();
    assert_eq!(kept, crate::act::WHY_BYTES_MOST);
}
