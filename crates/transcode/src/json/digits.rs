//! Digits: runs of them as numbers, and the grammar of a number.

use super::text::ONES;

/// The digits at the front, as a number that is right up to 19 of them, and how many there are.
#[inline]
pub(super) fn leading_digits(bytes: &[u8]) -> (u64, usize) {
    let mut value = 0_u64;
    let mut digits = 0;
    while let Some(chunk) = bytes.get(digits..).and_then(<[u8]>::first_chunk::<8>)
        && let Some(eight) = eight_digits(u64::from_le_bytes(*chunk))
    {
        value = value.wrapping_mul(100_000_000).wrapping_add(eight);
        digits += 8;
    }
    if let Some(chunk) = bytes.get(digits..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let count = digits_in_front(word);
        if count == 0 {
            return (value, digits);
        }
        // Moved to the end, the digits have zeros before them.
        let rest = join(word << (64 - 8 * count));
        return (value.wrapping_mul(POWERS[count]).wrapping_add(rest), digits + count);
    }
    while let Some(digit) = bytes.get(digits).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        digits += 1;
    }
    (value, digits)
}

const HALVES: u64 = 0xf0f0_f0f0_f0f0_f0f0;

/// How many of the eight bytes, from the first on, are digits. A byte that carries spoils only
/// those behind it.
#[inline]
fn digits_in_front(word: u64) -> usize {
    let high = (word & HALVES) ^ (ONES * 0x30);
    let carried = (word.wrapping_add(ONES * 6) & HALVES) ^ (ONES * 0x30);
    ((high | carried).trailing_zeros() / 8) as usize
}

/// The number of eight bytes whose low halves are digits.
#[inline]
fn join(word: u64) -> u64 {
    let digits = word & (ONES * 0x0f);
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff
}

/// The number of eight digits, where all of them are: neighbours are joined to pairs, pairs to
/// fours, fours to eight (Lemire 2022, "Parsing eight digits").
#[inline]
fn eight_digits(word: u64) -> Option<u64> {
    (digits_in_front(word) == 8).then(|| join(word))
}

/// Powers of ten that a number of fifteen digits may be divided by.
pub(super) const POWERS: [u64; 16] = {
    let mut powers = [1; 16];
    let mut at = 1;
    while at < 16 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Length of the number at the start of `bytes`, in the grammar of RFC 8259, section 6.
#[inline]
pub(crate) fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += match bytes.get(at)? {
        b'0' => 1,
        b'1'..=b'9' => digits(at),
        _ => return None,
    };
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_eight_at_a_time_and_one_by_one_alike() {
        for length in 0..=19 {
            for stranger in ["", "/", ":", "x", "\u{ff}", " ", "."] {
                let digits = &"1234567890987654321"[..length];
                let text = format!("{digits}{stranger}123456789");
                let expected = if stranger.is_empty() { &*text } else { digits };
                if expected.len() <= 19 {
                    let value = expected.parse().unwrap_or(0);
                    assert_eq!(leading_digits(text.as_bytes()), (value, expected.len()), "{text}");
                }
            }
        }
    }
}
