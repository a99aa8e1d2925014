//! Credentials that were given out: tokens of the admin API and API keys of callers (security
//! AD-5).
//!
//! `tnd_<id>_<secret>` and `tnk_<id>_<secret>`, 256 random bits in the secret. The store holds the
//! SHA-256 of the whole text; of 256 random bits no slow hash is needed. The text itself is shown
//! once, to whoever had it made.
//!
//! Not here: who comes with one (the admin listener, `tandem-gateway`), what a token may do
//! (`action`): a token is a member of namespaces like any user.

use std::convert::Infallible;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, ObjectId, ObjectKind, Principal, authorise};
use crate::act::{Act, ActFault, Objection, Worked, carry_out};
use crate::audit::Timestamp;
use crate::secret::{Random, Secret};
use crate::store::{
    Change, Damage, Digest, Key, Kind, Range, Scope, Store, StoreFault, ThingName, View,
};

/// Credentials of one sort that a scope may have at once.
pub const ISSUED_MOST: usize = 1_000;
/// Where nobody said how long (security AD-5).
pub const LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// The longest life of a credential.
pub const LIFETIME_MOST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Scopes of one key, and bytes of each.
const SCOPES_MOST: usize = 50;
const SCOPE_BYTES_MOST: usize = 100;

/// What a credential opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The admin API.
    Token,
    /// Methods of the namespace that it belongs to.
    CallerKey,
}

impl Sort {
    fn prefix(self) -> &'static str {
        match self {
            Sort::Token => "tnd",
            Sort::CallerKey => "tnk",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Sort::Token => Kind::Token,
            Sort::CallerKey => Kind::CallerKey,
        }
    }

    fn object(self) -> ObjectKind {
        match self {
            Sort::Token => ObjectKind::Token,
            Sort::CallerKey => ObjectKind::Key,
        }
    }

    fn listing(self) -> Action {
        match self {
            Sort::Token => Action::ListTokens,
            Sort::CallerKey => Action::ListKeys,
        }
    }

    fn writing(self) -> Action {
        match self {
            Sort::Token => Action::WriteToken,
            Sort::CallerKey => Action::WriteKey,
        }
    }

    fn key(self, scope: &Scope, id: &ThingName) -> Key {
        match self {
            Sort::Token => Key::token(id),
            Sort::CallerKey => Key::caller_key(scope, id),
        }
    }
}

/// What is stored of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// What people call it; `token:NAME` or `key:NAME` is who comes with it.
    pub name: String,
    /// Of the whole text.
    pub digest: Digest,
    /// Who had it made.
    pub who: String,
    pub when: Timestamp,
    /// From then on it opens nothing.
    pub expires: Timestamp,
    /// Of a token: whether it is a platform administrator's (security RB-5).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub platform_admin: bool,
    /// Of a key: what methods may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// What is wanted of a new credential.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub name: &'a ThingName,
    pub platform_admin: bool,
    pub scopes: Vec<String>,
    pub lifetime: Duration,
}

/// Why none was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueFault {
    #[error("there are {ISSUED_MOST} already")]
    TooMany,
    #[error("there is one called `{0}` already")]
    NameTaken(String),
    #[error("a life is a day to 366 days")]
    Lifetime,
    #[error(
        "a key has at most {SCOPES_MOST} scopes, each of 1 to {SCOPE_BYTES_MOST} printable \
         characters without a space"
    )]
    Scopes,
    #[error("the system gives no random numbers: {0}")]
    NoRandom(String),
    #[error("there is none with the id `{0}`")]
    Missing(String),
}

/// A credential that was made just now: the only time that its text is to be had.
pub struct Made {
    pub id: ThingName,
    pub text: Secret<String>,
    pub issued: Issued,
}

/// The credentials of `scope` with their ids, also those that have expired.
///
/// # Errors
/// A principal without the right, a store that cannot be read.
pub fn list(
    store: &dyn Store,
    principal: &Principal,
    sort: Sort,
    scope: &Scope,
) -> Result<Vec<(String, Issued)>, ActFault<Infallible>> {
    let object = ObjectId::only(sort.object(), scope);
    authorise(principal, sort.listing(), &object).map_err(ActFault::Refused)?;
    let view = store.read(&[], &[Range::of(sort.kind()).within(scope)])?;
    let each = view.entries.keys().map(|key| Ok((key.name().to_owned(), read(&view, key)?)));
    Ok(each.collect::<Result<_, StoreFault>>()?)
}

/// Makes one.
///
/// # Errors
/// A principal without the right, a name that is taken, bounds, a store that cannot be written.
pub fn issue(
    store: &dyn Store,
    random: Random<'_>,
    act: Act<'_>,
    sort: Sort,
    scope: &Scope,
    wanted: &Wanted<'_>,
) -> Result<Made, ActFault<IssueFault>> {
    let object = ObjectId::named(sort.object(), scope, wanted.name.as_str());
    carry_out(store, act, sort.writing(), &object, || {
        let day = Duration::from_secs(24 * 60 * 60);
        if !(day..=LIFETIME_MOST).contains(&wanted.lifetime) {
            return Err(Objection::Plain(IssueFault::Lifetime));
        }
        let good = |scope: &String| {
            (1..=SCOPE_BYTES_MOST).contains(&scope.len())
                && scope.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if wanted.scopes.len() > SCOPES_MOST || !wanted.scopes.iter().all(good) {
            return Err(Objection::Plain(IssueFault::Scopes));
        }
        let view = store.read(&[], &[Range::of(sort.kind()).within(scope)])?;
        if view.entries.len() >= ISSUED_MOST {
            return Err(Objection::Plain(IssueFault::TooMany));
        }
        for key in view.entries.keys() {
            if read(&view, key)?.name == wanted.name.as_str() {
                let name = wanted.name.as_str().to_owned();
                return Err(Objection::Plain(IssueFault::NameTaken(name)));
            }
        }
        let mut bytes = [0_u8; 36];
        random(&mut bytes)
            .map_err(|error| Objection::Plain(IssueFault::NoRandom(error.to_string())))?;
        let (id, secret) = bytes.split_at(4);
        let id = ThingName::new(&hex(id)).expect("hex digits are a name");
        let text = Secret::new(format!("{}_{}_{}", sort.prefix(), id.as_str(), hex(secret)));
        let lifetime = u64::try_from(wanted.lifetime.as_millis()).unwrap_or(u64::MAX);
        let issued = Issued {
            name: wanted.name.as_str().to_owned(),
            digest: Digest::of(text.expose().as_bytes()),
            who: act.principal.name().to_owned(),
            when: act.when,
            expires: Timestamp(act.when.0.saturating_add(lifetime)),
            platform_admin: wanted.platform_admin,
            scopes: wanted.scopes.clone(),
        };
        let key = sort.key(scope, &id);
        let stored = serde_json::to_vec(&issued).expect("texts are JSON");
        let mut change = Change::new();
        change.expect(key.clone(), None);
        let after = Some(Digest::of(&stored));
        change.put(key, stored);
        Ok(Worked { change, before: None, after, value: Made { id, text, issued } })
    })
}

/// Takes one away; whoever comes with it from now on is nobody.
///
/// # Errors
/// A principal without the right, no such id, a store that cannot be written.
pub fn revoke(
    store: &dyn Store,
    act: Act<'_>,
    sort: Sort,
    scope: &Scope,
    id: &ThingName,
) -> Result<(), ActFault<IssueFault>> {
    let object = ObjectId::named(sort.object(), scope, id.as_str());
    let key = sort.key(scope, id);
    carry_out(store, act, sort.writing(), &object, || {
        let view = store.read(std::slice::from_ref(&key), &[])?;
        let Some(stored) = view.value(&key) else {
            return Err(Objection::Plain(IssueFault::Missing(id.as_str().to_owned())));
        };
        let before = Some(Digest::of(stored));
        let mut change = Change::new();
        change.expect_as_in(&view, key.clone());
        change.delete(key.clone());
        Ok(Worked { change, before, after: None, value: () })
    })
}

/// Every credential of the sort, of every scope: what a listener compares with.
///
/// # Errors
/// A store that cannot be read.
pub fn collect(store: &dyn Store, sort: Sort) -> Result<Vec<(Scope, String, Issued)>, StoreFault> {
    let view = store.read(&[], &[Range::of(sort.kind())])?;
    let each = view
        .entries
        .keys()
        .map(|key| Ok((key.scope().clone(), key.name().to_owned(), read(&view, key)?)));
    each.collect()
}

pub(crate) fn read(view: &View, key: &Key) -> Result<Issued, StoreFault> {
    let bytes = view.value(key).ok_or_else(|| Damage::of(key, "is missing"))?;
    serde_json::from_slice(bytes).map_err(|_| Damage::of(key, "is no credential").into())
}

fn hex(bytes: &[u8]) -> String {
    tandem_protocol::identity::hex(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Identity, Membership, Who};
    use crate::probe::{act, owner};
    use crate::store::Memory;

    fn random() -> impl Fn(&mut [u8]) -> std::io::Result<()> {
        |bytes: &mut [u8]| {
            rand::fill(bytes);
            Ok(())
        }
    }

    fn administrator() -> Principal {
        let who = Who::parse("user:root").unwrap();
        let identity = Identity { who, groups: Default::default(), platform_admin: true };
        Membership::new().principal(&identity)
    }

    fn wanted(name: &ThingName) -> Wanted<'_> {
        Wanted { name, platform_admin: false, scopes: Vec::new(), lifetime: LIFETIME }
    }

    #[test]
    fn security_ad_5_the_store_holds_the_digest_of_a_token_and_never_the_token() {
        let store = Memory::new();
        let root = administrator();
        let name = ThingName::new("ci").unwrap();
        let made =
            issue(&store, &random(), act(&root), Sort::Token, &Scope::Platform, &wanted(&name))
                .unwrap();
        let text = made.text.expose().clone();
        assert_eq!(text.len(), "tnd_".len() + 8 + 1 + 64);
        assert_eq!(made.issued.digest, Digest::of(text.as_bytes()));
        let found = collect(&store, Sort::Token).unwrap();
        assert_eq!(found, [(Scope::Platform, made.id.as_str().to_owned(), made.issued.clone())]);
        let view = store.read(&[], &[Range::of(Kind::Token), Range::of(Kind::Audit)]).unwrap();
        let secret = text.rsplit_once('_').unwrap().1;
        for entry in view.entries.values() {
            assert!(!String::from_utf8_lossy(&entry.value).contains(secret));
        }
        let ninety_days = 90 * 24 * 60 * 60 * 1000;
        assert_eq!(made.issued.expires.0 - made.issued.when.0, ninety_days);
    }

    #[test]
    fn a_name_is_given_out_once_and_again_after_it_was_revoked() {
        let (store, shop) = (Memory::new(), Scope::namespace("shop").unwrap());
        let ann = owner("shop");
        let name = ThingName::new("mobile").unwrap();
        let make = || issue(&store, &random(), act(&ann), Sort::CallerKey, &shop, &wanted(&name));
        let first = make().unwrap();
        let taken = make().err().unwrap();
        assert!(matches!(taken, ActFault::Act(IssueFault::NameTaken(_))), "{taken}");
        revoke(&store, act(&ann), Sort::CallerKey, &shop, &first.id).unwrap();
        let again = revoke(&store, act(&ann), Sort::CallerKey, &shop, &first.id).err().unwrap();
        assert!(matches!(again, ActFault::Act(IssueFault::Missing(_))), "{again}");
        let second = make().unwrap();
        assert_ne!(first.text.expose(), second.text.expose());
        assert_eq!(list(&store, &ann, Sort::CallerKey, &shop).unwrap().len(), 1);
    }

    #[test]
    fn tokens_are_the_platforms_and_keys_the_owners() {
        let (store, shop) = (Memory::new(), Scope::namespace("shop").unwrap());
        let name = ThingName::new("x").unwrap();
        let (ann, root) = (owner("shop"), administrator());
        let make = |who: &Principal, sort, scope: &Scope| {
            issue(&store, &random(), act(who), sort, scope, &wanted(&name)).map(|_| ())
        };
        assert!(matches!(make(&ann, Sort::Token, &Scope::Platform), Err(ActFault::Refused(_))));
        assert!(matches!(make(&root, Sort::CallerKey, &shop), Err(ActFault::Refused(_))));
        make(&root, Sort::Token, &Scope::Platform).unwrap();
        make(&ann, Sort::CallerKey, &shop).unwrap();
    }

    #[test]
    fn lives_and_scopes_have_bounds_on_both_sides() {
        let (store, shop) = (Memory::new(), Scope::namespace("shop").unwrap());
        let ann = owner("shop");
        let day = 24 * 60 * 60;
        let check = |number: u32, seconds: u64, scopes: Vec<String>, good: bool| {
            let name = ThingName::new(&format!("key-{number}")).unwrap();
            let wanted = Wanted {
                name: &name,
                platform_admin: false,
                scopes,
                lifetime: Duration::from_secs(seconds),
            };
            let made = issue(&store, &random(), act(&ann), Sort::CallerKey, &shop, &wanted);
            assert_eq!(made.is_ok(), good, "{number}");
        };
        check(1, day, Vec::new(), true);
        check(2, day - 1, Vec::new(), false);
        check(3, 366 * day, vec!["a".repeat(100); 50], true);
        check(4, 366 * day + 1, Vec::new(), false);
        check(5, day, vec!["a".repeat(101)], false);
        check(6, day, vec!["a".to_owned(); 51], false);
        check(7, day, vec!["a b".to_owned()], false);
        check(8, day, vec![String::new()], false);
    }
}
