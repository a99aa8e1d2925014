//! Versions from draft to rollback, with real documents and contracts, on every store.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod parts;

use parts::{Folder, PLATFORM, act, admin, checked, contract, document, member, name, scope};
use tandem_config::access::{Principal, Role};
use tandem_config::audit::{Outcome, chain, verify};
use tandem_config::history::{
    Checked, DRAFT_BYTES_MOST, History, HistoryFault, LastGood, Origin, PlatformBasis,
    SNAPSHOTS_KEPT, Snapshot, SnapshotDocument, VERSIONS_MOST, diff,
};
use tandem_config::store::{
    Embedded, Key, Kind, Memory, Range, Revision, Scope, Store, check, dump,
};
use tandem_config::{ActFault, Tnd};

fn each(test: impl Fn(&dyn Store)) {
    test(&Memory::new());
    let folder = Folder::new();
    test(&Embedded::open(folder.path()).unwrap());
}

fn of_a(port: u16) -> Checked {
    checked("a", &document("a", &["p.A"], port), &contract(&[("A", "/v1/a")])).unwrap()
}

fn fault<T>(result: Result<T, ActFault<HistoryFault>>) -> HistoryFault {
    match result {
        Err(ActFault::Act(fault)) => fault,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was done"),
    }
}

fn is_refused<T, F>(result: Result<T, ActFault<F>>) -> bool {
    matches!(result, Err(ActFault::Refused(_)))
}

#[test]
fn a_version_is_published_found_and_told_of() {
    each(|store| {
        let (history, a) = (History::new(store), scope("a"));
        let publisher = member("a", Role::Publisher);
        assert_eq!(history.live(&publisher, &a).unwrap(), None);
        let first = history.publish(act(&publisher, "the first"), &of_a(1), 0).unwrap();
        let second = history.publish(act(&publisher, "the second"), &of_a(2), 1).unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        let live = history.live(&publisher, &a).unwrap().unwrap();
        assert_eq!((&live.version, &*live.text), (&second, of_a(2).text()));
        let versions = history.versions(&publisher, &a).unwrap();
        assert_eq!(versions, [second, first.clone()]);
        assert_eq!(versions[1].who, "user:publisher");
        assert_eq!(versions[1].why, "the first");
        let old = history.version(&publisher, &a, 1).unwrap();
        assert_eq!((&old.version, &*old.text), (&first, of_a(1).text()));
        assert_eq!(fault(history.version(&publisher, &a, 3)), HistoryFault::NoVersion(3));
        let lines = diff(&old.text, &live.text).unwrap();
        let shown: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["~ upstreams.go.address: \"dns:go:1\" → \"dns:go:2\""]);
        let entries = chain(store, &a, 0, 10).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].after, entries[1].before);
        assert_eq!(entries[1].after, Some(versions[0].text));
        assert_eq!(check(store).unwrap(), []);
    });
}

#[test]
fn security_ad_6_a_change_made_from_an_older_version_is_refused() {
    each(|store| {
        let history = History::new(store);
        let publisher = member("a", Role::Publisher);
        history.publish(act(&publisher, ""), &of_a(1), 0).unwrap();
        let late = fault(history.publish(act(&publisher, ""), &of_a(2), 0));
        assert_eq!(late, HistoryFault::Newer { read: 0, live: 1 });
        assert_eq!(late.code(), Tnd::NewerVersion);
        let early = fault(history.publish(act(&publisher, ""), &of_a(2), 2));
        assert_eq!(early, HistoryFault::Newer { read: 2, live: 1 });
        assert_eq!(history.versions(&publisher, &scope("a")).unwrap().len(), 1);
    });
}

#[test]
fn of_two_who_publish_at_once_one_learns_of_the_other() {
    each(|store| {
        let publisher = member("a", Role::Publisher);
        let (one, other) = (of_a(1), of_a(2));
        let outcomes: Vec<bool> = std::thread::scope(|threads| {
            let publish = |checked| {
                let (history, who) = (History::new(store), &publisher);
                threads.spawn(move || history.publish(act(who, ""), checked, 0).is_ok())
            };
            let both = [publish(&one), publish(&other)];
            both.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|done| **done).count(), 1);
        assert_eq!(check(store).unwrap(), []);
    });
}

#[test]
fn security_t_1_what_a_service_tells_later_is_claimed_beside_its_version() {
    // `p.A` at a path, and at one more.
    let more = |path: &str| {
        contract(&[("A", &format!("/v1/a\" additional_bindings {{ get: \"{path}\" }} body: \""))])
    };
    let text = document("a", &["p.A"], 1);
    let with = |contract| checked("a", &text, &contract).unwrap();
    let of_b =
        |path: &str| checked("b", &document("b", &["p.B"], 2), &contract(&[("B", path)])).unwrap();
    each(|store| {
        let (history, gateway) = (History::new(store), Principal::gateway());
        let (a, b) = (member("a", Role::Publisher), member("b", Role::Publisher));
        let claim = |checked: &Checked, live| history.claim(act(&gateway, ""), checked, live);
        let entries = || chain(store, &scope("a"), 0, 10).unwrap();
        history.publish(act(&a, ""), &of_a(1), 0).unwrap();
        // It tells more, and from then on it is its own.
        claim(&with(more("/v1/x")), 1).unwrap();
        assert_eq!(entries().len(), 2);
        assert_eq!((&*entries()[1].action, &*entries()[1].who), ("claim", "gateway"));
        let taken = fault(history.publish(act(&b, ""), &of_b("/v1/{name}"), 0));
        assert_eq!(taken.code(), Tnd::ClaimedByAnother);
        // The same again, and less, change nothing.
        claim(&with(more("/v1/x")), 1).unwrap();
        claim(&of_a(1), 1).unwrap();
        assert_eq!(entries().len(), 2);
        assert!(history.publish(act(&b, ""), &of_b("/v1/x"), 0).is_err());
        // A version gives back what is no longer told.
        let late = fault(claim(&with(more("/v1/y")), 2));
        assert_eq!(late, HistoryFault::Newer { read: 2, live: 1 });
        history.publish(act(&a, ""), &of_a(2), 1).unwrap();
        history.publish(act(&b, ""), &of_b("/v1/x"), 0).unwrap();
        // Equal, wider, narrower: nothing that another has comes by a service. No entry tells of
        // it, for a service may tell it every second.
        for path in ["/v1/x", "/v1/{name}", "/v1/{name=**}"] {
            let refused = fault(claim(&with(more(path)), 2));
            assert_eq!(refused.code(), Tnd::ClaimedByAnother, "{path}");
        }
        assert_eq!(entries().iter().filter(|entry| entry.action == "claim").count(), 1);
        assert!(is_refused(history.claim(act(&b, ""), &with(more("/v1/y")), 2)));
        assert_eq!(check(store).unwrap(), []);
    });
}

#[test]
fn a_rollback_is_a_new_version_with_an_old_text() {
    each(|store| {
        let (history, a) = (History::new(store), scope("a"));
        let publisher = member("a", Role::Publisher);
        for port in [1, 2, 3] {
            let read = u32::from(port) - 1;
            history.publish(act(&publisher, ""), &of_a(port), read).unwrap();
        }
        let back = history.roll_back(act(&publisher, "3 fails"), &of_a(1), 1, 3).unwrap();
        assert_eq!((back.number, back.origin), (4, Origin::RolledBack { to: 1 }));
        let live = history.live(&publisher, &a).unwrap().unwrap();
        assert_eq!(&*live.text, of_a(1).text());
        // Another text than that of the version it names is no rollback.
        let other = fault(history.roll_back(act(&publisher, ""), &of_a(3), 2, 4));
        assert_eq!(other, HistoryFault::OtherText(2));
        let none = fault(history.roll_back(act(&publisher, ""), &of_a(3), 9, 4));
        assert_eq!(none, HistoryFault::NoVersion(9));
        let late = fault(history.roll_back(act(&publisher, ""), &of_a(2), 2, 3));
        assert_eq!(late, HistoryFault::Newer { read: 3, live: 4 });
        assert_eq!(check(store).unwrap(), []);
    });
}

#[test]
fn a_draft_needs_no_check_and_is_done_with_when_it_is_published() {
    each(|store| {
        let (history, a) = (History::new(store), scope("a"));
        let (editor, publisher) = (member("a", Role::Editor), member("a", Role::Publisher));
        let first = history.save_draft(act(&editor, ""), &a, None, "half: [").unwrap();
        assert_eq!(history.draft(&editor, &a).unwrap(), Some(first.clone()));
        assert_eq!((first.base, first.who.as_str()), (0, "user:editor"));
        let moved = fault(history.save_draft(act(&editor, ""), &a, None, "other"));
        assert_eq!(moved, HistoryFault::DraftMoved);
        let ready = of_a(1);
        let read = Some(first.revision);
        history.save_draft(act(&editor, ""), &a, read, ready.text()).unwrap();
        let read = history.draft(&editor, &a).unwrap().map(|draft| draft.revision);
        let large = "x".repeat(DRAFT_BYTES_MOST);
        let larger = history.save_draft(act(&editor, ""), &a, read, &format!("{large}x"));
        assert_eq!(fault(larger), HistoryFault::DraftTooLarge);
        let saved = history.save_draft(act(&editor, ""), &a, read, &large).unwrap();
        let read = Some(saved.revision);
        history.save_draft(act(&editor, ""), &a, read, ready.text()).unwrap();
        // A text that is not the draft's leaves it alone.
        history.publish(act(&publisher, ""), &of_a(2), 0).unwrap();
        assert!(history.draft(&editor, &a).unwrap().is_some());
        history.publish(act(&publisher, ""), &ready, 1).unwrap();
        assert_eq!(history.draft(&editor, &a).unwrap(), None);
    });
}

#[test]
fn only_what_passes_its_check_can_be_published() {
    let contract = contract(&[("A", "/v1/a"), ("B", "/v1/b")]);
    let codes = |namespace: &str, text: &str| -> Vec<Tnd> {
        let problems = checked(namespace, text, &contract).unwrap_err();
        problems.iter().map(|problem| problem.code).collect()
    };
    assert_eq!(codes("a", "namespace: [")[0], Tnd::NotYaml);
    assert!(codes("a", &document("b", &["p.A"], 1)).contains(&Tnd::WrongType));
    assert!(codes("c", &document("c", &["p.B"], 1)).contains(&Tnd::OutsideGrant));
    assert!(codes("a", &document("a", &["p.C"], 1)).contains(&Tnd::UnknownMethod));
}

#[test]
fn security_t_1_what_one_namespace_has_no_other_gets() {
    each(|store| {
        let history = History::new(store);
        let (of_a, of_b) = (member("a", Role::Publisher), member("b", Role::Publisher));
        let contract_a = contract(&[("A", "/v1/{name=things/*}")]);
        let text = document("a", &["p.A"], 1);
        let first = checked("a", &text, &contract_a).unwrap();
        history.publish(act(&of_a, ""), &first, 0).unwrap();
        let same = checked("b", &document("b", &["p.A"], 1), &contract_a).unwrap();
        for (service, path, free) in [
            ("B", "/v1/things/{name}", false),
            ("B", "/v1/{name=**}", false),
            ("B", "/v1/things/special", false),
            ("B", "/v1/things", true),
            ("B", "/v2/things/{name}", true),
        ] {
            let contract = contract(&[(service, path)]);
            let text = document("b", &["p.B"], 1);
            let mine = checked("b", &text, &contract).unwrap();
            let live = history.live(&of_b, &scope("b")).unwrap();
            let read = live.map_or(0, |live| live.version.number);
            let published = history.publish(act(&of_b, path), &mine, read);
            assert_eq!(published.is_ok(), free, "{path}");
        }
        let fault = fault(history.publish(act(&of_b, "steal"), &same, 2));
        assert_eq!(fault.code(), Tnd::ClaimedByAnother);
        // Whose it is is not said to those who may not know.
        assert_eq!(
            fault.to_string(),
            "the service `p.A` is claimed by another namespace that answers the same host"
        );
        let refused = chain(store, &scope("b"), 0, 100).unwrap();
        let refused: Vec<_> =
            refused.iter().filter(|entry| entry.outcome != Outcome::Done).collect();
        assert_eq!(refused.len(), 4);
        assert_eq!(refused[3].why, "steal");
        // What its owner gives up is free.
        let other = contract(&[("D", "/v1/d")]);
        let text = document("a", &["p.D"], 1);
        history.publish(act(&of_a, ""), &checked("a", &text, &other).unwrap(), 1).unwrap();
        history.publish(act(&of_b, ""), &same, 2).unwrap();
        assert_eq!(check(store).unwrap(), []);
    });
}

#[test]
fn only_what_callers_from_outside_reach_is_claimed() {
    let store = Memory::new();
    let history = History::new(&store);
    let publish = |namespace: &str, text: &str, path: &str| {
        let ready = checked(namespace, text, &contract(&[("A", path)])).unwrap();
        let publisher = member(namespace, Role::Publisher);
        let live = history.live(&publisher, &scope(namespace)).unwrap();
        let read = live.map_or(0, |live| live.version.number);
        history.publish(act(&publisher, ""), &ready, read).is_ok()
    };
    let plain = |namespace: &str| document(namespace, &["p.A"], 1);
    assert!(publish("a", &plain("a"), "/v1/a"));
    assert!(!publish("b", &plain("b"), "/v1/b"), "the service is claimed");
    // Without its RPC paths a service is its REST paths.
    let rest_alone = plain("b")
        .replace("auth: { public: true }", "auth: { public: true }, rest: { rpc_paths: false }");
    assert!(publish("b", &rest_alone, "/v1/b"));
    assert!(!publish("b", &rest_alone, "/v1/a"));
    // Inside, several may have one service: there the order decides.
    let internal = plain("b").replace("p.A/*: {}", "p.A/*: { internal: true }");
    assert!(publish("b", &internal, "/v1/a"));
    assert_eq!(check(&store).unwrap(), []);
}

#[test]
fn security_rb_6_every_act_asks_for_the_right_and_a_refusal_is_written_down() {
    each(|store| {
        let (history, a) = (History::new(store), scope("a"));
        let publisher = member("a", Role::Publisher);
        history.publish(act(&publisher, ""), &of_a(1), 0).unwrap();
        let strangers = [member("b", Role::Owner), admin()];
        let (viewer, editor) = (member("a", Role::Viewer), member("a", Role::Editor));
        for who in strangers.iter().chain([&viewer, &editor]) {
            assert!(is_refused(history.publish(act(who, ""), &of_a(2), 1)), "{}", who.name());
            assert!(is_refused(history.roll_back(act(who, ""), &of_a(1), 1, 1)));
        }
        for who in strangers.iter().chain([&viewer]) {
            assert!(is_refused(history.save_draft(act(who, ""), &a, None, "x")));
            assert!(is_refused(history.draft(who, &a)));
        }
        for who in &strangers {
            assert!(is_refused(history.live(who, &a)) && is_refused(history.versions(who, &a)));
            assert!(is_refused(history.version(who, &a, 1)));
        }
        assert!(history.live(&viewer, &a).is_ok());
        let entries = chain(store, &a, 1, 100).unwrap();
        assert_eq!(entries.len(), 4 * 2 + 3);
        assert!(entries.iter().all(|entry| entry.outcome != Outcome::Done));
        assert_eq!(verify(store, &a, None).unwrap().head.number, 12);
        assert_eq!(history.versions(&publisher, &a).unwrap().len(), 1);
    });
}

#[test]
fn security_rb_5_the_platforms_document_is_changed_by_its_administrator_alone() {
    each(|store| {
        let (history, admin) = (History::new(store), admin());
        let platform = Checked::platform(PLATFORM).unwrap();
        let owner = member("a", Role::Owner);
        assert!(is_refused(history.publish(act(&owner, ""), &platform, 0)));
        history.publish(act(&admin, ""), &platform, 0).unwrap();
        assert!(is_refused(history.live(&owner, &Scope::Platform)));
        assert!(history.live(&admin, &Scope::Platform).unwrap().is_some());
        assert!(Checked::platform("format: 2").is_err());
    });
}

#[test]
fn what_was_checked_against_older_grants_is_not_published() {
    each(|store| {
        let (history, admin) = (History::new(store), admin());
        let publisher = member("a", Role::Publisher);
        history.publish(act(&admin, ""), &Checked::platform(PLATFORM).unwrap(), 0).unwrap();
        let view = store.read(&[Key::live(&Scope::Platform)], &[]).unwrap();
        let basis = PlatformBasis::of_store(PLATFORM, &view);
        let text = document("a", &["p.A"], 1);
        let contract = contract(&[("A", "/v1/a")]);
        let old = Checked::namespace(&basis, &name("a"), &text, &contract, None).unwrap();
        let fewer = PLATFORM.replacen("services: [p.*]", "services: [p.B]", 1);
        history.publish(act(&admin, ""), &Checked::platform(&fewer).unwrap(), 1).unwrap();
        let moved = fault(history.publish(act(&publisher, ""), &old, 0));
        assert_eq!(moved, HistoryFault::PlatformMoved);
        let view = store.read(&[Key::live(&Scope::Platform)], &[]).unwrap();
        let basis = PlatformBasis::of_store(fewer, &view);
        assert!(Checked::namespace(&basis, &name("a"), &text, &contract, None).is_err());
    });
}

#[test]
fn security_li_24_the_newest_versions_are_kept_and_content_that_they_need() {
    let store = Memory::new();
    let (history, a) = (History::new(&store), scope("a"));
    let publisher = member("a", Role::Publisher);
    let most = u32::try_from(VERSIONS_MOST).unwrap();
    let contract = contract(&[("A", "/v1/a")]);
    // Two texts are published again and again, one only once.
    let texts: Vec<Checked> = [1, 2, 3]
        .map(|port| document("a", &["p.A"], port))
        .map(|text| {
            let set: std::sync::Arc<[u8]> = text.as_bytes().into();
            let platform = PlatformBasis::of_file(PLATFORM);
            Checked::namespace(&platform, &name("a"), &text, &contract, Some(set)).unwrap()
        })
        .into();
    history.publish(act(&publisher, ""), &texts[2], 0).unwrap();
    for read in 1..most {
        history.publish(act(&publisher, ""), &texts[read as usize % 2], read).unwrap();
    }
    let contents = || store.read(&[], &[Range::of(Kind::Content)]).unwrap().entries.len();
    assert_eq!(history.versions(&publisher, &a).unwrap().len(), VERSIONS_MOST);
    // Text and contract hold the same bytes here, so each is there once.
    assert_eq!(contents(), 3);
    assert!(history.version(&publisher, &a, 1).is_ok());
    history.publish(act(&publisher, ""), &texts[0], most).unwrap();
    let versions = history.versions(&publisher, &a).unwrap();
    assert_eq!((versions.len(), versions[0].number), (VERSIONS_MOST, most + 1));
    assert_eq!(fault(history.version(&publisher, &a, 1)), HistoryFault::NoVersion(1));
    assert_eq!(contents(), 2);
    let second = history.version(&publisher, &a, 2).unwrap();
    assert_eq!(second.contract.as_deref(), Some(second.text.as_bytes()));
    assert_eq!(check(&store).unwrap(), []);
}

#[test]
fn a_store_that_does_not_hold_together_is_told_of() {
    let tamper = |key: &Key, value: Option<&[u8]>| -> Vec<String> {
        let store = Memory::new();
        let publisher = member("a", Role::Publisher);
        History::new(&store).publish(act(&publisher, ""), &of_a(1), 0).unwrap();
        let mut change = tandem_config::store::Change::new();
        match value {
            Some(value) => change.put(key.clone(), value.to_vec()),
            None => change.delete(key.clone()),
        }
        store.commit(&change).unwrap();
        check(&store).unwrap().iter().map(ToString::to_string).collect()
    };
    let a = scope("a");
    let digest = tandem_config::store::Digest::of(of_a(1).text().as_bytes());
    for (key, value) in [
        (Key::live(&a), Some(&b"2"[..])),
        (Key::live(&a), Some(b"x")),
        (Key::version(&a, 1), None),
        (Key::version(&a, 1), Some(b"{}")),
        (Key::content(&a, &digest), None),
        (Key::content(&a, &digest), Some(b"other")),
        (Key::claims(&a), Some(b"[]")),
        (Key::claims(&scope("b")), Some(br#"{"hosts":[],"services":["p.A"],"paths":[]}"#)),
        (Key::draft(&a), Some(b"1")),
        (Key::members(&a), Some(br#"{"ann":"viewer"}"#)),
        (Key::audit(&a, 1), None),
    ] {
        let found = tamper(&key, value);
        assert!(!found.is_empty(), "{key} {value:?}");
        assert!(found.iter().any(|finding| finding.contains("a/") || finding.contains("b/")));
    }
}

fn snapshot(revision: u64) -> Snapshot {
    let document = SnapshotDocument { version: 1, text: "ä: 1\n".to_owned(), contract: None };
    let namespaces = [(name("a"), document)].into();
    Snapshot { revision: Revision(revision), platform: None, namespaces }
}

#[test]
fn security_cf_3_the_newest_whole_snapshot_is_found_and_twenty_are_kept() {
    let folder = Folder::new();
    let last_good = LastGood::below(&folder.path().join("snapshots"));
    assert_eq!(last_good.newest().unwrap(), None);
    for revision in 1..=25 {
        last_good.keep(&snapshot(revision)).unwrap();
        assert_eq!(last_good.newest().unwrap(), Some(snapshot(revision)));
    }
    let files = || -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder.path().join("snapshots")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    assert_eq!(files().len(), SNAPSHOTS_KEPT);
    // The newest are damaged, each in another way: the one before them serves.
    let mut paths = files();
    let whole = std::fs::read(&paths[0]).unwrap();
    let damage = |path: &std::path::Path, bytes: &[u8]| std::fs::write(path, bytes).unwrap();
    damage(&paths.pop().unwrap(), &whole);
    damage(&paths.pop().unwrap(), &whole[..whole.len() - 1]);
    damage(&paths.pop().unwrap(), b"");
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    damage(&paths.pop().unwrap(), &flipped);
    assert_eq!(last_good.newest().unwrap(), Some(snapshot(21)));
    paths.iter().for_each(|path| damage(path, b"x"));
    assert!(last_good.newest().is_err());
}

#[test]
fn security_cf_3_what_a_store_held_before_it_was_put_back_is_no_longer_the_newest() {
    let folder = Folder::new();
    let last_good = LastGood::below(folder.path());
    for revision in [7, 8, 9, 30] {
        last_good.keep(&snapshot(revision)).unwrap();
    }
    last_good.keep(&snapshot(8)).unwrap();
    assert_eq!(last_good.newest().unwrap(), Some(snapshot(8)));
    last_good.keep(&snapshot(9)).unwrap();
    assert_eq!(last_good.newest().unwrap(), Some(snapshot(9)));
}

#[test]
fn security_cf_3_every_flipped_byte_of_a_snapshot_is_found() {
    let folder = Folder::new();
    let last_good = LastGood::below(folder.path());
    last_good.keep(&snapshot(1)).unwrap();
    let path = folder.path().join("00000000000000000001.snapshot");
    let whole = std::fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        assert!(last_good.newest().is_err(), "byte {place}");
    }
}

#[test]
fn a_dump_of_real_versions_comes_back_whole() {
    each(|store| {
        let publisher = member("a", Role::Publisher);
        let history = History::new(store);
        for port in 1..4_u16 {
            let read = u32::from(port) - 1;
            history.publish(act(&publisher, ""), &of_a(port), read).unwrap();
        }
        let filled = Memory::new();
        tandem_config::store::restore(&filled, &dump(store).unwrap()).unwrap();
        assert_eq!(check(&filled).unwrap(), []);
        let live = History::new(&filled).live(&publisher, &scope("a")).unwrap().unwrap();
        assert_eq!(&*live.text, of_a(3).text());
        History::new(&filled).publish(act(&publisher, ""), &of_a(4), 3).unwrap();
    });
}
