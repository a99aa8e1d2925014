//! Every action, for every role, in the own namespace and in another's (security T-7, RB-6): a
//! table that was written by hand beside what the code says.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(dead_code, reason = "each test uses a part of the parts")]

mod parts;

use std::collections::{BTreeMap, BTreeSet};

use parts::{act, admin, member, name, scope};
use tandem_config::access::{
    Action, Identity, Membership, ObjectId, ObjectKind, Principal, Role, Who, authorise, members,
    visible,
};
use tandem_config::audit::chain;
use tandem_config::secret::{self, SealingKeys, Secret, SecretFault};
use tandem_config::store::{Memory, Scope, ThingName, dump};
use tandem_config::{ActFault, Tnd};

/// v: viewer, e: editor, p: publisher, o: owner, all of the object's own namespace; f: who was
/// given that field; g: the gateway; A: the platform's administrator. Nobody else may anything.
const OF_NAMESPACES: &[(&str, &str)] = &[
    ("read document", "vepog"),
    ("read verdict", "vepo"),
    ("read metrics", "vepo"),
    ("read draft", "epo"),
    ("write draft", "epo"),
    ("publish", "po"),
    ("claim", "pog"),
    ("publish field", "pof"),
    ("roll back", "pog"),
    ("move rollout", "pog"),
    ("accept noise", "po"),
    ("read sample", "po"),
    ("purge cache", "po"),
    ("read members", "oA"),
    ("write members", "o"),
    ("list keys", "o"),
    ("write key", "o"),
    ("list tokens", ""),
    ("write token", ""),
    ("list secrets", "o"),
    ("write secret", "o"),
    ("use secret", "g"),
    ("grant reference", "o"),
    ("read audit", "oA"),
    ("read grants", ""),
    ("write grants", ""),
    ("roll back grants", ""),
    ("write listener", ""),
    ("dump store", ""),
    ("restore store", ""),
];

const OF_THE_PLATFORM: &[(&str, &str)] = &[
    ("read members", "A"),
    ("read audit", "A"),
    ("use secret", "g"),
    ("read grants", "gA"),
    ("write grants", "A"),
    ("roll back grants", "A"),
    ("write listener", "A"),
    ("list tokens", "A"),
    ("write token", "A"),
    ("dump store", "A"),
    ("restore store", "A"),
];

fn field_holder() -> Principal {
    let who = Who::parse("user:pm").unwrap();
    let mut membership = Membership::new();
    for scope in [scope("shop"), Scope::Platform] {
        membership
            .open_field(&who, ObjectId::named(ObjectKind::SettingsField, &scope, "a.B/discount"));
    }
    membership.principal(&Identity { who, groups: BTreeSet::new(), platform_admin: false })
}

fn everybody() -> Vec<(char, Principal)> {
    let mut all: Vec<(char, Principal)> = ['v', 'e', 'p', 'o']
        .into_iter()
        .zip(Role::ALL)
        .map(|(letter, role)| (letter, member("shop", role)))
        .collect();
    all.push(('f', field_holder()));
    all.push(('g', Principal::gateway()));
    all.push(('A', admin()));
    all
}

fn object(action: Action, scope: &Scope) -> ObjectId {
    match action.object_kind() {
        ObjectKind::SettingsField => {
            ObjectId::named(ObjectKind::SettingsField, scope, "a.B/discount")
        }
        kind => ObjectId::only(kind, scope),
    }
}

#[test]
fn security_ta_12_the_whole_matrix_is_as_written() {
    let namespaces: BTreeMap<_, _> = OF_NAMESPACES.iter().copied().collect();
    let platform: BTreeMap<_, _> = OF_THE_PLATFORM.iter().copied().collect();
    assert_eq!(namespaces.len(), Action::ALL.len(), "each action has its line");
    let mut asked = 0;
    for action in Action::ALL {
        let own = namespaces[action.name()];
        let of_platform = platform.get(action.name()).copied().unwrap_or("");
        for (letter, who) in everybody() {
            let check = |scope: Scope, expected: bool| {
                let answer = authorise(&who, *action, &object(*action, &scope));
                assert_eq!(answer.is_ok(), expected, "{} {action:?} {scope}", who.name());
            };
            check(scope("shop"), own.contains(letter));
            // In a namespace of others only those may anything who have no role of their own.
            let anywhere = matches!(letter, 'g' | 'A');
            check(scope("other"), anywhere && own.contains(letter));
            let field = letter == 'f' && *action == Action::PublishField;
            check(Scope::Platform, of_platform.contains(letter) || field);
            asked += 3;
        }
    }
    assert_eq!(asked, Action::ALL.len() * 7 * 3);
}

#[test]
fn an_action_on_a_thing_of_another_sort_is_never_allowed() {
    for action in Action::ALL {
        for kind in ObjectKind::ALL.iter().filter(|kind| **kind != action.object_kind()) {
            for scope in [scope("shop"), Scope::Platform] {
                for (_, who) in everybody() {
                    let object = ObjectId::named(*kind, &scope, "a.B/discount");
                    assert!(authorise(&who, *action, &object).is_err(), "{action:?} {object}");
                }
            }
        }
    }
}

#[test]
fn security_rb_10_a_field_is_opened_alone() {
    let who = field_holder();
    let may = |scope: &Scope, name: &str| {
        let field = ObjectId::named(ObjectKind::SettingsField, scope, name);
        authorise(&who, Action::PublishField, &field).is_ok()
    };
    assert!(may(&scope("shop"), "a.B/discount"));
    assert!(!may(&scope("shop"), "a.B/hidden"));
    assert!(!may(&scope("shop"), "a.C/discount"));
    assert!(!may(&scope("shop"), ""));
    assert!(!may(&scope("other"), "a.B/discount"));
}

#[test]
fn security_t_7_lists_hold_only_what_one_may_see() {
    let all =
        ["shop", "other", "third"].map(|name| ObjectId::only(ObjectKind::Document, &scope(name)));
    let seen = |who: &Principal| -> Vec<String> {
        let objects = visible(who, Action::ReadDocument, all.clone());
        objects.map(|object| object.scope.to_string()).collect()
    };
    assert_eq!(seen(&member("shop", Role::Viewer)), ["shop"]);
    assert_eq!(seen(&admin()), [""; 0]);
    assert_eq!(seen(&Principal::gateway()), ["shop", "other", "third"]);
}

#[test]
fn a_refusal_says_what_would_be_needed() {
    let shop = scope("shop");
    let refused = |who: &Principal, action: Action| {
        authorise(who, action, &object(action, &shop)).unwrap_err()
    };
    let viewer = member("shop", Role::Viewer);
    let told = refused(&viewer, Action::Publish);
    assert_eq!(told.code(), Tnd::NoRight);
    assert_eq!(
        told.to_string(),
        "`user:viewer` may not publish (document shop): this needs the role publisher in `shop`"
    );
    let told = refused(&viewer, Action::WriteGrants).why();
    assert_eq!(told, "this needs a platform administrator");
    let told = refused(&member("shop", Role::Owner), Action::UseSecret).why();
    assert_eq!(told, "a secret can be replaced, and nobody can read it back");
}

#[test]
fn security_rb_4_members_of_the_store_are_kept_by_owners_and_count() {
    let store = Memory::new();
    let shop = name("shop");
    let (owner, publisher) = (member("shop", Role::Owner), member("shop", Role::Publisher));
    let bob = Who::parse("user:bob").unwrap();
    let set = |who: &Principal, role| members::set(&store, act(who, ""), &shop, &bob, role);
    assert!(matches!(set(&publisher, Role::Owner), Err(ActFault::Refused(_))));
    set(&owner, Role::Viewer).unwrap();
    set(&owner, Role::Editor).unwrap();
    assert_eq!(members::list(&store, &owner, &shop).unwrap(), [(bob.clone(), Role::Editor)].into());
    assert!(members::list(&store, &publisher, &shop).is_err());
    let role = || {
        let mut membership = Membership::new();
        members::collect(&store, &mut membership).unwrap();
        let who = bob.clone();
        let identity = Identity { who, groups: BTreeSet::new(), platform_admin: false };
        membership.principal(&identity).role_in(&scope("shop"))
    };
    assert_eq!(role(), Some(Role::Editor));
    assert!(members::remove(&store, act(&publisher, ""), &shop, &bob).is_err());
    members::remove(&store, act(&owner, ""), &shop, &bob).unwrap();
    assert_eq!(role(), None);
    assert_eq!(chain(&store, &scope("shop"), 0, 10).unwrap().len(), 5);
}

#[test]
fn a_namespace_has_as_many_members_as_it_may_and_no_more() {
    let store = Memory::new();
    let (shop, owner) = (name("shop"), member("shop", Role::Owner));
    let set = |number: usize| {
        let who = Who::parse(&format!("user:{number}")).unwrap();
        members::set(&store, act(&owner, ""), &shop, &who, Role::Viewer)
    };
    (0..members::MEMBERS_MOST).for_each(|number| set(number).unwrap());
    assert!(matches!(set(members::MEMBERS_MOST), Err(ActFault::Act(_))));
    assert!(set(0).is_ok(), "who is a member already stays one");
}

#[test]
fn security_w_7_a_secret_is_set_listed_used_and_never_shown() {
    let store = Memory::new();
    let folder = parts::Folder::new();
    let counter = std::sync::atomic::AtomicU8::new(0);
    let random = |bytes: &mut [u8]| {
        bytes.fill(counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        Ok(())
    };
    let file = folder.path().join("store.key");
    let keys = SealingKeys::load_or_make(&file, &random).unwrap();
    let (shop, owner) = (scope("shop"), member("shop", Role::Owner));
    let password = ThingName::new("password").unwrap();
    let marked = "MARKED-c0ffee-secret";
    let value = Secret::new(marked.as_bytes().to_vec());
    let publisher = member("shop", Role::Publisher);
    let refused =
        secret::set(&store, &keys, &random, act(&publisher, ""), &shop, &password, &value);
    assert!(matches!(refused, Err(ActFault::Refused(_))));
    secret::set(&store, &keys, &random, act(&owner, ""), &shop, &password, &value).unwrap();
    let first = secret::list(&store, &keys, &owner, &shop).unwrap();
    assert_eq!((first.len(), first[0].name.as_str()), (1, "password"));
    secret::set(&store, &keys, &random, act(&owner, ""), &shop, &password, &value).unwrap();
    let second = secret::list(&store, &keys, &owner, &shop).unwrap();
    assert_eq!(first[0].fingerprint, second[0].fingerprint, "the value is the same");
    assert!(first[0].revision < second[0].revision);

    // The key is read again from its file, and opens what it sealed; for the gateway alone.
    let keys = SealingKeys::load_or_make(&file, &random).unwrap();
    let opened = secret::open(&store, &keys, &Principal::gateway(), &shop, &password).unwrap();
    assert_eq!(opened.expose(), marked.as_bytes());
    for who in [&owner, &admin()] {
        let opened = secret::open(&store, &keys, who, &shop, &password);
        assert!(matches!(opened, Err(ActFault::Refused(_))));
    }

    let audit: String = chain(&store, &shop, 0, 10)
        .unwrap()
        .iter()
        .map(|entry| format!("{entry} {entry:?}"))
        .collect();
    let shown = format!("{} {audit} {second:?} {keys:?}", dump(&store).unwrap());
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, marked);
    for part in [marked, "c0ffee", &encoded[..20]] {
        assert!(!shown.contains(part), "{part} is to be seen");
    }
    let plain = tandem_config::store::Digest::of(marked.as_bytes()).to_string();
    assert!(!shown.contains(&plain), "a digest of the value could be guessed");

    secret::remove(&store, act(&owner, ""), &shop, &password).unwrap();
    let gone = secret::remove(&store, act(&owner, ""), &shop, &password);
    assert!(matches!(gone, Err(ActFault::Act(SecretFault::Missing(_)))));
}

#[test]
fn a_secret_of_the_largest_size_is_kept_and_one_byte_more_is_refused() {
    let store = Memory::new();
    let folder = parts::Folder::new();
    let random = |bytes: &mut [u8]| {
        bytes.fill(1);
        Ok(())
    };
    let keys = SealingKeys::load_or_make(&folder.path().join("key"), &random).unwrap();
    let owner = member("shop", Role::Owner);
    let set = |bytes: usize| {
        let value = Secret::new(vec![0; bytes]);
        let name = ThingName::new("large").unwrap();
        secret::set(&store, &keys, &random, act(&owner, ""), &scope("shop"), &name, &value)
    };
    assert!(set(secret::SECRET_BYTES_MOST).is_ok());
    let refused = set(secret::SECRET_BYTES_MOST + 1);
    assert!(matches!(refused, Err(ActFault::Act(SecretFault::TooLarge))));
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = parts::Folder::new();
    let file = folder.path().join("key");
    let random = |bytes: &mut [u8]| {
        bytes.fill(1);
        Ok(())
    };
    SealingKeys::load_or_make(&file, &random).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604)).unwrap();
    let fault = SealingKeys::load_or_make(&file, &random).unwrap_err();
    assert_eq!(fault.code(), Tnd::KeyFileReadable);
}
