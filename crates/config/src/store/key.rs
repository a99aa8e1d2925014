//! What stands in a store, by typed parts: a kind, whose it is, and a name within it.
//!
//! A key is built of parts that were read before, never of text that somebody sent, and its parts
//! hold no `/`; so no name reaches into another namespace (security T-2). The text form,
//! `kind/scope/name`, is what stores order by and what a dump shows.
//!
//! Not here: what the values mean (`crate::history`, `crate::audit`, `crate::access`,
//! `crate::secret`).

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::Digest;

/// The name of a namespace: 1 to 63 of `[a-z0-9-]` (security T-2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceName(Box<str>);

impl NamespaceName {
    /// `None` for anything that is no name.
    pub fn new(text: &str) -> Option<NamespaceName> {
        is_name(text, 63).then(|| NamespaceName(text.into()))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose a thing is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Grants, quotas, listeners.
    Platform,
    Namespace(NamespaceName),
}

impl Scope {
    /// No namespace can be called so.
    const PLATFORM: &'static str = "@platform";

    /// The namespace of this name; `None` where that is no name.
    pub fn namespace(name: &str) -> Option<Scope> {
        NamespaceName::new(name).map(Scope::Namespace)
    }

    /// `@platform` or a namespace's name.
    pub fn as_str(&self) -> &str {
        match self {
            Scope::Platform => Scope::PLATFORM,
            Scope::Namespace(name) => name.as_str(),
        }
    }

    /// Reads what [`Scope::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Scope> {
        match text {
            Scope::PLATFORM => Some(Scope::Platform),
            name => Scope::namespace(name),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a thing that a team names: 1 to 63 of `[a-z0-9-]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThingName(Box<str>);

impl ThingName {
    /// `None` for anything that is no name.
    pub fn new(text: &str) -> Option<ThingName> {
        is_name(text, 63).then(|| ThingName(text.into()))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// What sort of value stands under a key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name),* }

        impl Kind {
            /// Every kind, in the order of their names in a store.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];

            /// As it stands in a key.
            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$name => $text),* }
            }
        }
    };
}

kinds! {
    /// One entry of the chain; named by its number.
    Audit "audit",
    /// Where the chain of a scope ends.
    AuditHead "audit-head",
    /// What a live version claims.
    Claims "claims",
    /// Moves with every change of any claims, so that two changes meet.
    ClaimsGuard "claims-guard",
    /// A text or a descriptor set, named by its SHA-256.
    Content "content",
    /// What somebody prepares.
    Draft "draft",
    /// A caller's API key, by its id; never the key itself.
    CallerKey "key",
    /// Which version is live.
    Live "live",
    /// Who holds which role.
    Members "members",
    /// A sealed value.
    Secret "secret",
    /// A token of the admin API, by its id; never the token itself.
    Token "token",
    /// Who published what, when and why; named by its number.
    Version "version",
}

/// Where a value stands. Keys order by their text, as stores do.
#[derive(Debug, Clone)]
pub struct Key {
    kind: Kind,
    scope: Scope,
    /// `kind/scope/name`.
    text: Box<str>,
}

impl Key {
    /// Of things of which a scope has one.
    const ONLY: &'static str = "-";

    /// `name` is 1 to 64 of `[a-z0-9-]`.
    fn of(kind: Kind, scope: &Scope, name: &str) -> Key {
        let text = format!("{}/{scope}/{name}", kind.as_str()).into();
        Key { kind, scope: scope.clone(), text }
    }

    /// The entry of this number, from 1.
    pub fn audit(scope: &Scope, number: u64) -> Key {
        // As long as the largest, so that the order of the text is that of the numbers.
        Key::of(Kind::Audit, scope, &format!("{number:020}"))
    }

    /// The end of a scope's chain.
    pub fn audit_head(scope: &Scope) -> Key {
        Key::of(Kind::AuditHead, scope, Key::ONLY)
    }

    /// The claims of a namespace.
    pub fn claims(scope: &Scope) -> Key {
        Key::of(Kind::Claims, scope, Key::ONLY)
    }

    /// The one guard of all claims.
    pub fn claims_guard() -> Key {
        Key::of(Kind::ClaimsGuard, &Scope::Platform, Key::ONLY)
    }

    /// Content of this digest.
    pub fn content(scope: &Scope, digest: &Digest) -> Key {
        Key::of(Kind::Content, scope, &digest.to_string())
    }

    /// The draft of a scope.
    pub fn draft(scope: &Scope) -> Key {
        Key::of(Kind::Draft, scope, Key::ONLY)
    }

    /// A caller's API key of a namespace.
    pub fn caller_key(scope: &Scope, id: &ThingName) -> Key {
        Key::of(Kind::CallerKey, scope, id.as_str())
    }

    /// Which version of a scope is live.
    pub fn live(scope: &Scope) -> Key {
        Key::of(Kind::Live, scope, Key::ONLY)
    }

    /// The members of a scope.
    pub fn members(scope: &Scope) -> Key {
        Key::of(Kind::Members, scope, Key::ONLY)
    }

    /// A secret of a scope.
    pub fn secret(scope: &Scope, name: &ThingName) -> Key {
        Key::of(Kind::Secret, scope, name.as_str())
    }

    /// A token of the admin API.
    pub fn token(id: &ThingName) -> Key {
        Key::of(Kind::Token, &Scope::Platform, id.as_str())
    }

    /// The version of this number, from 1.
    pub fn version(scope: &Scope, number: u32) -> Key {
        Key::of(Kind::Version, scope, &format!("{number:010}"))
    }

    /// What sort of value stands there.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whose it is.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The name within kind and scope.
    pub fn name(&self) -> &str {
        self.text.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// `kind/scope/name`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads `kind/scope/name`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Key> {
        let mut parts = text.split('/');
        let (kind, scope, name) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = Kind::ALL.iter().copied().find(|known| known.as_str() == kind)?;
        let scope = Scope::parse(scope)?;
        let whole = parts.next().is_none() && is_name(name, 64);
        whole.then(|| Key::of(kind, &scope, name))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.text == other.text
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

macro_rules! as_text {
    ($($type:ty: $read:expr, $what:literal;)*) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let text = String::deserialize(deserializer)?;
                $read(&text).ok_or_else(|| serde::de::Error::custom($what))
            }
        }
    )* };
}

as_text! {
    Key: Key::parse, "no key";
    NamespaceName: NamespaceName::new, "no namespace's name";
    Scope: Scope::parse, "no scope";
}

/// Keys of one kind that are wanted together, in the order of their text.
#[derive(Debug, Clone)]
pub struct Range {
    pub(crate) kind: Kind,
    pub(crate) scope: Option<Scope>,
    pub(crate) after: Option<Key>,
    pub(crate) most: usize,
}

impl Range {
    /// Everything of a kind, of every scope.
    pub fn of(kind: Kind) -> Range {
        Range { kind, scope: None, after: None, most: usize::MAX }
    }

    /// Only what belongs to `scope`.
    #[must_use]
    pub fn within(self, scope: &Scope) -> Range {
        Range { scope: Some(scope.clone()), ..self }
    }

    /// Only what stands behind `key`.
    #[must_use]
    pub fn after(self, key: Key) -> Range {
        Range { after: Some(key), ..self }
    }

    /// Only the first `most`.
    #[must_use]
    pub fn most(self, most: usize) -> Range {
        Range { most, ..self }
    }

    /// What each key's text begins with.
    pub(crate) fn prefix(&self) -> String {
        match &self.scope {
            Some(scope) => format!("{}/{scope}/", self.kind.as_str()),
            None => format!("{}/", self.kind.as_str()),
        }
    }
}

fn is_name(text: &str, letters_max: usize) -> bool {
    (1..=letters_max).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_t_2_no_trick_with_a_name_is_a_name() {
        for good in ["a", "shop", "0-1", "-", &"a".repeat(63)] {
            assert_eq!(NamespaceName::new(good).as_ref().map(NamespaceName::as_str), Some(good));
        }
        let long = "a".repeat(64);
        let tricks = [
            "",
            "Shop",
            "a/b",
            "a@b",
            "a.b",
            "a b",
            "..",
            ".",
            "a%2fb",
            "@platform",
            "shop\0",
            "shöp",
            "ｓhop",
            "a_b",
            "a:b",
            "a\n",
            "\u{202e}a",
            long.as_str(),
        ];
        for trick in tricks {
            assert_eq!(NamespaceName::new(trick), None, "{trick:?}");
            assert_eq!(ThingName::new(trick), None, "{trick:?}");
            if trick != "@platform" {
                assert_eq!(Scope::parse(trick), None, "{trick:?}");
            }
            assert_eq!(Key::parse(&format!("live/{trick}/x/y")), None, "{trick:?}");
        }
    }

    #[test]
    fn a_key_comes_back_from_its_text_and_orders_as_its_numbers_do() {
        let shop = Scope::namespace("shop").unwrap();
        let keys = [
            Key::audit(&shop, u64::MAX),
            Key::audit_head(&shop),
            Key::claims(&shop),
            Key::claims_guard(),
            Key::content(&shop, &Digest::of(b"")),
            Key::draft(&Scope::Platform),
            Key::live(&shop),
            Key::members(&shop),
            Key::secret(&shop, &ThingName::new("password").unwrap()),
            Key::version(&shop, u32::MAX),
        ];
        for key in keys {
            assert_eq!(Key::parse(&key.to_string()), Some(key));
        }
        let text = |number| Key::version(&shop, number).to_string();
        assert!(text(9) < text(10) && text(99_999) < text(100_000));
        assert!(Key::audit(&shop, 9).to_string() < Key::audit(&shop, 10).to_string());
        for wrong in
            ["", "live", "live/shop", "live/shop/", "life/shop/-", "live/shop/-/", "live//-"]
        {
            assert_eq!(Key::parse(wrong), None, "{wrong}");
        }
    }
}
