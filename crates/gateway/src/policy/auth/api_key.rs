//! Keys that teams give to their callers: `tnk_<id>_<secret>`.
//!
//! A key is found by its id, which is no secret; what is compared, in constant time, is the SHA-256
//! of the whole key. A key that nobody knows goes the same way as one that is wrong. A key of one
//! namespace opens nothing of another, and is told so in the words of a key that does not exist.
//!
//! Not here: making and keeping keys (the store), where callers send them (`auth`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// What every key begins with.
const FRONT: &str = "tnk_";
/// Bytes of a key; longer ones are none.
const KEY_BYTES_MOST: usize = 256;

/// All keys of callers, by their ids.
#[derive(Default)]
pub struct ApiKeys(HashMap<Box<str>, ApiKey>);

/// What is known of one key; not the key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// [`ApiKeys::digest`] of the key.
    pub digest: [u8; 32],
    /// What its team calls it.
    pub name: String,
    /// The only namespace that it opens anything of.
    pub namespace: String,
    pub scopes: Vec<String>,
    /// `None`: it does not expire.
    pub expires: Option<SystemTime>,
}

/// A key that was shown.
pub(crate) struct Shown<'k> {
    pub(crate) scopes: &'k [String],
    pub(crate) principal: Arc<str>,
}

impl FromIterator<(String, ApiKey)> for ApiKeys {
    fn from_iter<T: IntoIterator<Item = (String, ApiKey)>>(keys: T) -> ApiKeys {
        ApiKeys(keys.into_iter().map(|(id, key)| (id.into_boxed_str(), key)).collect())
    }
}

impl ApiKeys {
    /// What is kept of a key. Keys are 256 random bits, so a fast hash hides them.
    pub fn digest(key: &str) -> [u8; 32] {
        digest(&SHA256, key.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// Who shows `key` to a method of `namespace`.
    pub(crate) fn shown(&self, key: &str, namespace: &str, now: SystemTime) -> Option<Shown<'_>> {
        if key.len() > KEY_BYTES_MOST {
            return None;
        }
        let id = key.strip_prefix(FRONT).and_then(|rest| Some(rest.split_once('_')?.0));
        let known = id.and_then(|id| self.0.get(id));
        // Nobody's key has this digest; it makes the way of an unknown key as long.
        let expected = known.map_or(&[0; 32], |known| &known.digest);
        let same = verify_slices_are_equal(&ApiKeys::digest(key), expected).is_ok();
        let known = known.filter(|_| same)?;
        let holds = known.namespace == namespace && known.expires.is_none_or(|end| now < end);
        holds.then(|| Shown {
            scopes: &known.scopes,
            principal: format!("key:{}", known.name).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn security_a_6_a_key_opens_its_own_namespace_until_it_expires_and_nothing_else() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let key = |text: &str, namespace: &str, expires| ApiKey {
            digest: ApiKeys::digest(text),
            name: "partner".into(),
            namespace: namespace.into(),
            scopes: vec!["read".into()],
            expires,
        };
        let soon = Some(now + Duration::from_nanos(1));
        let keys: ApiKeys = [
            ("a1".to_owned(), key("tnk_a1_secret_with_lines", "shop", None)),
            ("a2".to_owned(), key("tnk_a2_secret", "shop", Some(now))),
            ("a3".to_owned(), key("tnk_a3_secret", "shop", soon)),
            ("b1".to_owned(), key("tnk_b1_secret", "search", None)),
        ]
        .into_iter()
        .collect();
        let who =
            |text: &str| keys.shown(text, "shop", now).map(|shown| shown.principal.to_string());
        assert_eq!(who("tnk_a1_secret_with_lines").as_deref(), Some("key:partner"));
        assert_eq!(who("tnk_a3_secret").as_deref(), Some("key:partner"));
        assert_eq!(keys.shown("tnk_b1_secret", "search", now).unwrap().scopes, ["read"]);
        let long = format!("tnk_a1_{}", "x".repeat(10_000));
        for refused in [
            "tnk_a2_secret", // expired at this very moment
            "tnk_b1_secret", // another namespace's
            "tnk_a1_secret",
            "tnk_a1_",
            "tnk_a1",
            "tnk_",
            "",
            "a1_secret_with_lines",
            "TNK_a1_secret_with_lines",
            " tnk_a1_secret_with_lines",
            "tnk_a9_secret",
            "tnd_a1_secret_with_lines",
            &long,
        ] {
            assert_eq!(who(refused), None, "{refused}");
        }
    }
}
