//! Tokens whose signatures were right, kept for a while: to check one costs as much as to carry
//! several calls (performance PF-9). Measured on one core of a shared machine: 59 µs for ES256,
//! 21 µs for RS256, 0.6 µs for the digest by which a token of 800 bytes is found again.
//!
//! Only what was accepted is kept, so nobody without a token fills it. Each data thread has its
//! own. What is kept is found by the digest of the whole credential with its issuer (security A-9),
//! and holds as long as the token and the keys of its issuer.

use std::collections::HashMap;
use std::rc::Rc;

use aws_lc_rs::digest::{Context, SHA256};

use super::jwt::Verified;

/// Tokens of each half.
const TOKENS_MOST: usize = 2048;
/// Bytes of the tokens of each half; what is kept of a token is never longer by much.
const BYTES_MOST: usize = 2 * 1024 * 1024;

/// Two halves: what is used moves into the young one; when that is full, the old one is dropped.
#[derive(Default)]
pub(crate) struct Tokens {
    young: Half,
    old: Half,
}

#[derive(Default)]
struct Half {
    tokens: HashMap<Digest, (Rc<Verified>, usize)>,
    bytes: usize,
}

/// Of a credential and its issuer.
pub(super) type Digest = [u8; 32];

/// Each part with its length in front: no two pairs are one text.
pub(super) fn digest(issuer: &str, token: &str) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in [issuer, token] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl Tokens {
    pub(super) fn get(&mut self, digest: &Digest) -> Option<Rc<Verified>> {
        if let Some((verified, _)) = self.young.tokens.get(digest) {
            return Some(Rc::clone(verified));
        }
        let (verified, bytes) = self.old.tokens.remove(digest)?;
        self.old.bytes -= bytes;
        self.put(*digest, Rc::clone(&verified), bytes);
        Some(verified)
    }

    pub(super) fn put(&mut self, digest: Digest, verified: Rc<Verified>, bytes: usize) {
        if self.young.tokens.len() >= TOKENS_MOST || self.young.bytes + bytes > BYTES_MOST {
            self.old = std::mem::take(&mut self.young);
        }
        if let Some((_, before)) = self.young.tokens.insert(digest, (verified, bytes)) {
            self.young.bytes -= before;
        }
        self.young.bytes += bytes;
    }

    pub(super) fn forget(&mut self, digest: &Digest) {
        for half in [&mut self.young, &mut self.old] {
            if let Some((_, bytes)) = half.tokens.remove(digest) {
                half.bytes -= bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_used_stays_and_the_memory_is_bounded() {
        let mut tokens = Tokens::default();
        let name = |number: usize| digest("i", &number.to_string());
        for number in 0..3 * TOKENS_MOST {
            tokens.put(name(number), Rc::new(Verified::of_test()), 100);
            assert!(tokens.get(&name(0)).is_some(), "it is used");
            assert!(tokens.young.tokens.len() + tokens.old.tokens.len() <= 2 * TOKENS_MOST);
        }
        assert!(tokens.get(&name(1)).is_none());
        for number in 0..10_000 {
            tokens.put(name(number), Rc::new(Verified::of_test()), 8 * 1024);
            assert!(tokens.young.bytes <= BYTES_MOST && tokens.old.bytes <= BYTES_MOST);
        }
        tokens.forget(&name(9_999));
        assert!(tokens.get(&name(9_999)).is_none());
    }

    proptest! {
        #[test]
        fn security_a_9_two_credentials_are_never_one(
            one in ("[a-c]{0,4}", "[a-c]{0,4}"),
            other in ("[a-c]{0,4}", "[a-c]{0,4}"),
        ) {
            let same = digest(&one.0, &one.1) == digest(&other.0, &other.1);
            prop_assert_eq!(same, one == other);
        }
    }
}
