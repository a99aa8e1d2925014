//! How a value lies in a store: with its revision and a SHA-256 over key, revision and value
//! (security CF-4).
//!
//! A value that was altered, cut, or put under another key is not opened. The digest has no key:
//! it finds faults of disks and of hands, not a forger who computes it anew; what a forger wrote
//! is judged by whoever reads the value.
//!
//! Not here: sealing secrets (`crate::secret`).

use super::{Damage, Digest, Entry, Revision, VALUE_BYTES_MOST};

const DIGEST_BYTES: usize = 32;
const REVISION_BYTES: usize = 8;

/// The bytes to store.
pub(crate) fn close(key: &str, revision: Revision, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(DIGEST_BYTES + REVISION_BYTES + value.len());
    bytes.extend_from_slice(digest(key, revision, value).as_bytes());
    bytes.extend_from_slice(&revision.0.to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// The value of stored bytes.
pub(crate) fn open(key: &str, bytes: &[u8]) -> Result<Entry, Damage> {
    let damaged = |what: &'static str| Damage::Value { key: key.to_owned(), what };
    let Some((stored, rest)) = bytes.split_first_chunk::<DIGEST_BYTES>() else {
        return Err(damaged("is cut"));
    };
    let Some((revision, value)) = rest.split_first_chunk::<REVISION_BYTES>() else {
        return Err(damaged("is cut"));
    };
    if value.len() > VALUE_BYTES_MOST {
        return Err(damaged("is larger than any value may be"));
    }
    let revision = Revision(u64::from_be_bytes(*revision));
    if digest(key, revision, value) != Digest::from_bytes(*stored) {
        return Err(damaged("does not have the SHA-256 that stands beside it"));
    }
    Ok(Entry { revision, value: value.to_vec() })
}

fn digest(key: &str, revision: Revision, value: &[u8]) -> Digest {
    Digest::of_parts([key.as_bytes(), &revision.0.to_be_bytes(), value])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_cf_4_a_value_opens_under_its_key_and_any_other_bit_is_found() {
        let bytes = close("live/shop/-", Revision(7), b"12");
        let entry = open("live/shop/-", &bytes).unwrap();
        assert_eq!((entry.revision, entry.value.as_slice()), (Revision(7), &b"12"[..]));
        assert!(open("live/search/-", &bytes).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open("live/shop/-", &flipped).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(open("live/shop/-", &bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(open("live/shop/-", &[&bytes[..], b"x"].concat()).is_err());
    }

    #[test]
    fn security_s_5_a_value_of_the_largest_size_opens_and_one_byte_more_does_not() {
        let largest = vec![0; VALUE_BYTES_MOST];
        assert!(open("k", &close("k", Revision(1), &largest)).is_ok());
        assert!(open("k", &close("k", Revision(1), &[&largest[..], &[0]].concat())).is_err());
    }
}
