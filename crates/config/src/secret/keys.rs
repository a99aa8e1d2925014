//! The keys that seal, and their file.
//!
//! The file holds one key a line, in hex: the first seals, all of them open. So a key is replaced
//! by putting a new one in front, and taken out when nothing is sealed with it any more.
//!
//! Not here: where sealed values lie (`super`).

use std::fmt;
use std::io;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::value::Secret;
use crate::files::{self, FileFault};
use crate::problem::Tnd;
use crate::store::{Digest, Key};

const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 8;
/// How a sealed value is laid out: this byte, key id, nonce, ciphertext with its tag.
const FORMAT: u8 = 1;
const FILE_BYTES_MOST: u64 = 16 * 1024;

/// Fills bytes that nobody can foretell; fails where the system cannot.
pub type Random<'a> = &'a dyn Fn(&mut [u8]) -> io::Result<()>;

/// Keys by which secrets are sealed and opened.
pub struct SealingKeys {
    /// The first seals.
    keys: Vec<SealingKey>,
}

/// Shows how many there are, and no key.
impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeys({})", self.keys.len())
    }
}

struct SealingKey {
    id: [u8; KEY_ID_BYTES],
    aead: LessSafeKey,
    fingerprints: hmac::Key,
}

/// Why a value was not sealed or opened. Says nothing of the value.
#[derive(Debug, thiserror::Error)]
pub enum SealFault {
    #[error("the system gives no random numbers: {0}")]
    NoRandom(#[source] io::Error),
    #[error("a secret could not be sealed")]
    Seal,
    #[error("a secret is sealed with a key that is not at hand")]
    UnknownKey,
    #[error("a sealed secret was altered, or stands under another name than it was sealed for")]
    Altered,
}

/// Why the file of the keys was not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileFault {
    #[error("the key file cannot be read or written: {0}")]
    Io(#[source] io::Error),
    #[error("the key file can be read by others")]
    ReadableByOthers,
    #[error("line {0} of the key file is no key: 64 hex digits, in lower case")]
    NoKey(usize),
    #[error("the key file is empty")]
    Empty,
    #[error("the system gives no random numbers: {0}")]
    NoRandom(#[source] io::Error),
}

impl KeyFileFault {
    /// The code that people are shown.
    pub fn code(&self) -> Tnd {
        match self {
            KeyFileFault::ReadableByOthers => Tnd::KeyFileReadable,
            KeyFileFault::Io(_)
            | KeyFileFault::NoKey(_)
            | KeyFileFault::Empty
            | KeyFileFault::NoRandom(_) => Tnd::FileUnreadable,
        }
    }
}

impl SealingKeys {
    /// Reads the key file, and makes it with one key where there is none.
    ///
    /// # Errors
    /// A file that others may read, that holds no keys, or a disk that refuses.
    pub fn load_or_make(path: &Path, random: Random<'_>) -> Result<SealingKeys, KeyFileFault> {
        if !path.try_exists().map_err(KeyFileFault::Io)? {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            random(&mut *key).map_err(KeyFileFault::NoRandom)?;
            let line = Secret::new(hex(&*key));
            files::write_whole(path, line.expose().as_bytes()).map_err(KeyFileFault::Io)?;
        }
        if files::others_may_read(path) {
            return Err(KeyFileFault::ReadableByOthers);
        }
        let text = files::read_text(path, FILE_BYTES_MOST).map_err(|fault| match fault {
            FileFault::Io(error) => KeyFileFault::Io(error),
            other => KeyFileFault::Io(io::Error::other(other.to_string())),
        })?;
        SealingKeys::read(&Secret::new(text))
    }

    fn read(text: &Secret<String>) -> Result<SealingKeys, KeyFileFault> {
        let mut keys = Vec::new();
        for (index, line) in text.expose().lines().enumerate() {
            // The same 64 digits as a digest; the value is a key all the same.
            let bytes = Digest::parse(line).ok_or(KeyFileFault::NoKey(index + 1))?;
            keys.push(SealingKey::of(bytes.as_bytes()));
        }
        if keys.is_empty() { Err(KeyFileFault::Empty) } else { Ok(SealingKeys { keys }) }
    }

    /// `value`, sealed for the place `key` of a store.
    ///
    /// # Errors
    /// A system without random numbers.
    pub(super) fn seal(
        &self,
        key: &Key,
        value: &Secret<Vec<u8>>,
        random: Random<'_>,
    ) -> Result<Vec<u8>, SealFault> {
        let sealing = self.keys.first().ok_or(SealFault::UnknownKey)?;
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce).map_err(SealFault::NoRandom)?;
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&sealing.id);
        bytes.extend_from_slice(&nonce);
        // Sealed in place and without growing, so that no copy of the value stays behind.
        let mut sealed = Vec::with_capacity(value.expose().len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(value.expose());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let done = sealing.aead.seal_in_place_append_tag(nonce, sealing.aad(key), &mut sealed);
        done.map_err(|_| SealFault::Seal)?;
        bytes.append(&mut sealed);
        Ok(bytes)
    }

    /// What was sealed for the place `key`.
    pub(super) fn open(&self, key: &Key, sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealFault> {
        let (format, rest) = sealed.split_first().ok_or(SealFault::Altered)?;
        let (id, rest) = rest.split_first_chunk().ok_or(SealFault::Altered)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(SealFault::Altered)?;
        if *format != FORMAT {
            return Err(SealFault::Altered);
        }
        let opening = self.keys.iter().find(|key| key.id == *id).ok_or(SealFault::UnknownKey)?;
        let mut value = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = opening.aead.open_in_place(nonce, opening.aad(key), &mut value);
        let length = plain.map_err(|_| SealFault::Altered)?.len();
        value.truncate(length);
        Ok(Secret::new(value))
    }

    /// 16 hex digits by which two values of one place can be told apart.
    pub(super) fn fingerprint(&self, key: &Key, value: &Secret<Vec<u8>>) -> String {
        let Some(sealing) = self.keys.first() else { return String::new() };
        let mut context = hmac::Context::with_key(&sealing.fingerprints);
        context.update(key.as_str().as_bytes());
        context.update(&[0]);
        context.update(value.expose());
        context.sign().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
impl SealingKeys {
    pub(crate) fn for_tests() -> SealingKeys {
        SealingKeys { keys: vec![SealingKey::of(&[1; KEY_BYTES])] }
    }
}

impl SealingKey {
    fn of(bytes: &[u8; KEY_BYTES]) -> SealingKey {
        let unbound = UnboundKey::new(&AES_256_GCM, bytes).expect("a key of AES-256 has 32 bytes");
        // Names of the key and of its fingerprints are made by a function that nobody inverts.
        let derived = |what: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), what);
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&derived(b"tandem key id").as_ref()[..KEY_ID_BYTES]);
        let fingerprints = derived(b"tandem fingerprints");
        SealingKey {
            id,
            aead: LessSafeKey::new(unbound),
            fingerprints: hmac::Key::new(hmac::HMAC_SHA256, fingerprints.as_ref()),
        }
    }

    fn aad(&self, key: &Key) -> Aad<Vec<u8>> {
        Aad::from([&self.id[..], key.as_str().as_bytes()].concat())
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Scope, ThingName};

    fn keys(lines: &[u8]) -> SealingKeys {
        let text: String = lines.iter().map(|byte| hex(&[*byte; KEY_BYTES])).collect();
        SealingKeys::read(&Secret::new(text)).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn place(scope: &str, name: &str) -> Key {
        Key::secret(&Scope::namespace(scope).unwrap(), &ThingName::new(name).unwrap())
    }

    fn seven(bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(7);
        Ok(())
    }

    fn opened(keys: &SealingKeys, key: &Key, sealed: &[u8]) -> Option<Vec<u8>> {
        keys.open(key, sealed).ok().map(|secret| secret.expose().clone())
    }

    #[test]
    fn security_se_1_a_value_opens_under_its_own_name_and_any_other_bit_is_found() {
        let keys = keys(&[1]);
        let key = place("shop", "password");
        let sealed = keys.seal(&key, &Secret::new(b"tell nobody".to_vec()), &seven).unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"tell"));
        assert_eq!(opened(&keys, &key, &sealed).as_deref(), Some(&b"tell nobody"[..]));
        assert_eq!(opened(&keys, &place("shop", "other"), &sealed), None);
        assert_eq!(opened(&keys, &place("search", "password"), &sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&keys, &key, &flipped), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(opened(&keys, &key, &sealed[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_new_key_in_front_seals_and_the_old_one_still_opens() {
        let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
        let key = place("shop", "password");
        let value = Secret::new(b"value".to_vec());
        let sealed = old.seal(&key, &value, &seven).unwrap();
        assert!(opened(&both, &key, &sealed).is_some());
        assert!(matches!(new.open(&key, &sealed), Err(SealFault::UnknownKey)));
        let sealed = both.seal(&key, &value, &seven).unwrap();
        assert!(opened(&new, &key, &sealed).is_some() && opened(&old, &key, &sealed).is_none());
    }

    #[test]
    fn security_se_2_a_fingerprint_tells_values_apart_and_depends_on_the_key_and_the_name() {
        let key = place("shop", "password");
        let of = |keys: &SealingKeys, key: &Key, value: &[u8]| {
            keys.fingerprint(key, &Secret::new(value.to_vec()))
        };
        let one = of(&keys(&[1]), &key, b"a");
        assert_eq!(one.len(), 16);
        assert_eq!(one, of(&keys(&[1]), &key, b"a"));
        assert_ne!(one, of(&keys(&[1]), &key, b"b"));
        assert_ne!(one, of(&keys(&[2]), &key, b"a"));
        assert_ne!(one, of(&keys(&[1]), &place("shop", "other"), b"a"));
    }

    #[test]
    fn without_random_numbers_nothing_is_sealed() {
        let none = |_: &mut [u8]| Err(io::Error::other("none"));
        let sealed = keys(&[1]).seal(&place("a", "b"), &Secret::new(Vec::new()), &none);
        assert!(matches!(sealed, Err(SealFault::NoRandom(_))));
    }

    #[test]
    fn a_key_file_holds_keys_and_nothing_else() {
        let read = |text: &str| SealingKeys::read(&Secret::new(text.to_owned()));
        assert!(matches!(read(""), Err(KeyFileFault::Empty)));
        let good = hex(&[1; KEY_BYTES]);
        assert!(read(&good).is_ok());
        assert!(matches!(read(&format!("{good}\n")), Err(KeyFileFault::NoKey(2))));
        assert!(matches!(read(&good[1..]), Err(KeyFileFault::NoKey(1))));
        assert_eq!(format!("{:?}", keys(&[1, 2])), "SealingKeys(2)");
    }
}
