//! Why a path is noise, guessed from the texts that were seen there (compare N-8).
//!
//! A guess is shown beside the path and becomes a rule by somebody's act. What the guess rests on
//! is the form of the values alone; whether the twin really differs there is the ledger's to say,
//! and a path that never differed is no noise, however random it looks.

/// What a path seems to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    Uuid,
    Ulid,
    /// Hexadecimal digits, always as many.
    Hex,
    /// Seconds or milliseconds since 1970, within a day of now.
    Time,
    /// `host:port`.
    Address,
    /// The id of the request, sent back.
    RequestId,
    /// Whole numbers that only grow.
    Counter,
    /// JSON-like text whose letters are the same in another order.
    MapOrder,
}

impl Why {
    /// As a report prints it.
    pub fn text(self) -> &'static str {
        match self {
            Why::Uuid => "UUID",
            Why::Ulid => "ULID",
            Why::Hex => "hex of fixed length",
            Why::Time => "time of now",
            Why::Address => "host and port",
            Why::RequestId => "echo of the request id",
            Why::Counter => "counter",
            Why::MapOrder => "text of a map, in any order",
        }
    }
}

/// Pairs of values below which nothing is guessed.
const PAIRS_LEAST: usize = 3;
const DAY_S: u64 = 86_400;

/// What all pairs of values (primary's, twin's) of a path have in common, if anything. Times are
/// seconds since 1970; `request_ids` are the ids of the calls, in their order.
pub fn why(pairs: &[(&str, &str)], now_s: u64, request_ids: &[&str]) -> Option<Why> {
    if pairs.len() < PAIRS_LEAST {
        return None;
    }
    let all = |is: &dyn Fn(&str) -> bool| pairs.iter().all(|(one, other)| is(one) && is(other));
    let echoes = request_ids.len() == pairs.len()
        && pairs
            .iter()
            .zip(request_ids)
            .all(|((one, other), id)| !id.is_empty() && (one.contains(id) || other.contains(id)));
    let length = pairs[0].0.len();
    let hex = |text: &str| {
        length >= 8 && text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if echoes {
        Some(Why::RequestId)
    } else if all(&is_uuid) {
        Some(Why::Uuid)
    } else if all(&is_ulid) {
        Some(Why::Ulid)
    } else if all(&|text| is_time(text, now_s)) {
        Some(Why::Time)
    } else if all(&hex) && !all(&digits) {
        Some(Why::Hex)
    } else if all(&is_address) {
        Some(Why::Address)
    } else if grows(pairs) {
        Some(Why::Counter)
    } else if pairs.iter().all(|(one, other)| is_reordered(one, other)) {
        Some(Why::MapOrder)
    } else {
        None
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Crockford's base 32, 26 letters, the first from 0 to 7 (ULID specification, "Overflow Errors").
fn is_ulid(text: &str) -> bool {
    text.len() == 26
        && matches!(text.as_bytes()[0], b'0'..=b'7')
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() && !b"ILOU".contains(&byte.to_ascii_uppercase())
        })
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn is_time(text: &str, now_s: u64) -> bool {
    let Ok(number) = text.parse::<u64>() else { return false };
    [number, number / 1_000].iter().any(|seconds| seconds.abs_diff(now_s) <= DAY_S)
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte);
    !host.is_empty()
        && host.bytes().all(named)
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok()
}

fn grows(pairs: &[(&str, &str)]) -> bool {
    let side = |side: fn(&(&str, &str)) -> Option<u64>| -> bool {
        let Some(numbers) = pairs.iter().map(side).collect::<Option<Vec<u64>>>() else {
            return false;
        };
        numbers.windows(2).all(|pair| pair[0] < pair[1])
    };
    side(|pair| pair.0.parse().ok()) && side(|pair| pair.1.parse().ok())
}

/// The same bytes in another order, of a text that looks like a map.
fn is_reordered(one: &str, other: &str) -> bool {
    let sorted = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    one != other
        && one.len() == other.len()
        && one.contains([':', '='])
        && one.contains([',', ';', '&', ' '])
        && sorted(one) == sorted(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_n_8_noise_is_explained_by_its_form() {
        let now = 1_800_000_000;
        for (pairs, expected) in [
            (
                &[
                    (
                        "0190163d-8694-739b-aea5-966c26f8ad91",
                        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
                    ),
                    (
                        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
                        "0190163d-8694-739b-aea5-966c26f8ad91",
                    ),
                    (
                        "F81D4FAE-7dec-11d0-a765-00a0c91e6bf6",
                        "0190163d-8694-739b-aea5-966c26f8ad91",
                    ),
                ][..],
                Some(Why::Uuid),
            ),
            (&[("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"); 3], Some(Why::Ulid)),
            (
                &[
                    ("1800000001", "1800000002000"),
                    ("1800086400", "1799913600"),
                    ("1800000000", "1800000000"),
                ],
                Some(Why::Time),
            ),
            (&[("1800086401", "1800000000"), ("1800000000", "1"), ("3", "4")], None),
            (
                &[("deadbeef", "cafebabe"), ("0123abcd", "ffffffff"), ("12345678", "00000000")],
                Some(Why::Hex),
            ),
            (
                &[("deadbeef", "cafebabe"), ("0123abcd", "ffffffff"), ("123456789", "00000000")],
                None,
            ),
            (
                &[("10.0.0.1:8080", "db-2.example:5432"), ("[::1]:1", "h:65535"), ("a:1", "b:2")],
                Some(Why::Address),
            ),
            (&[("a:1", "b:2"), ("a:1", "b:65536"), ("a:1", "b:2")], None),
            (&[("1", "4"), ("2", "5"), ("9", "6")], Some(Why::Counter)),
            (&[("1", "4"), ("2", "5"), ("2", "6")], None),
            (
                &[("a=1,b=2", "b=2,a=1"), ("c=1,d=2", "d=2,c=1"), ("x=1,y=2", "y=2,x=1")],
                Some(Why::MapOrder),
            ),
            (&[("a=1,b=2", "b=2,a=1"), ("c=1,d=2", "d=2,c=1")], None),
            (&[("dog", "god"), ("dog", "god"), ("dog", "god")], None),
        ] {
            assert_eq!(why(pairs, now, &[]), expected, "{pairs:?}");
        }
        let pairs = [("id-7a", "id-7b"), ("id-8", "x"), ("id-9", "y")];
        assert_eq!(why(&pairs, now, &["7a", "8", "9"]), Some(Why::RequestId));
        assert_eq!(why(&pairs, now, &["7a", "8", "10"]), None);
    }
}
