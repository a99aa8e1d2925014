//! Timestamp and Duration between text and their two numbers.
//!
//! Source: google/protobuf/timestamp.proto and duration.proto, "JSON Mapping"; RFC 3339. Days of
//! the calendar: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013),
//! `days_from_civil` and `civil_from_days`.

use crate::fault::{Fault, echo};

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const SECONDS_MIN: i64 = -62_135_596_800;
const SECONDS_MAX: i64 = 253_402_300_799;
/// The longest Duration, either way: 10,000 years.
const DURATION_SECONDS_MOST: i64 = 315_576_000_000;

/// Seconds since 1970 and nanoseconds, 0 to 999,999,999.
pub(crate) fn timestamp_of(text: &str) -> Result<(i64, i32), Fault> {
    parse_timestamp(text)
        .ok_or_else(|| Fault::caller(format!("{} is no RFC 3339 time", echo(text))))
}

fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.len() < 20 {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = bytes.get(from..to)?;
        part.iter().all(u8::is_ascii_digit).then(|| text[from..to].parse().ok()).flatten()
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| bytes[*at] != *mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    // A leap second has no place in a Timestamp.
    if year < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let rest = &text[19..];
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            (&rest[..digits], &rest[digits..])
        }
        None => ("", rest),
    };
    if rest.starts_with('.') && fraction.is_empty() {
        return None;
    }
    let nanos = nanos_of(fraction)?;
    let offset = match zone.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()) =>
        {
            let hours = i64::from((h1 - b'0') * 10 + (h2 - b'0'));
            let minutes = i64::from((m1 - b'0') * 10 + (m2 - b'0'));
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    (SECONDS_MIN..=SECONDS_MAX).contains(&seconds).then_some((seconds, nanos))
}

/// Appends the text of a Timestamp; `false` when it is out of range.
pub(crate) fn put_timestamp(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return false;
    }
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let mut text = *b"0000-00-00T00:00:00";
    for (from, to, value) in [
        (0, 4, year),
        (5, 7, month),
        (8, 10, day),
        (11, 13, second / 3600),
        (14, 16, second / 60 % 60),
        (17, 19, second % 60),
    ] {
        put_digits(&mut text[from..to], value as u32);
    }
    out.extend_from_slice(&text);
    put_fraction(nanos as u32, out);
    out.push(b'Z');
    true
}

/// Fills `digits` with the lowest digits of `value`.
fn put_digits(digits: &mut [u8], mut value: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Seconds and nanoseconds of one sign.
pub(crate) fn duration_of(text: &str) -> Result<(i64, i32), Fault> {
    parse_duration(text)
        .ok_or_else(|| Fault::caller(format!("{} is no duration such as `1.5s`", echo(text))))
}

fn parse_duration(text: &str) -> Option<(i64, i32)> {
    let number = text.strip_suffix('s')?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos = nanos_of(fraction)?;
    if seconds > DURATION_SECONDS_MOST {
        return None;
    }
    Some(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// Appends the text of a Duration; `false` when it is out of range or its signs differ.
pub(crate) fn put_duration(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    let in_range = seconds.unsigned_abs() <= DURATION_SECONDS_MOST as u64
        && nanos.unsigned_abs() < 1_000_000_000
        && (seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0));
    if !in_range {
        return false;
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(seconds.unsigned_abs()).as_bytes());
    put_fraction(nanos.unsigned_abs(), out);
    out.push(b's');
    true
}

/// Digits behind the point, at most nine, as nanoseconds.
fn nanos_of(fraction: &str) -> Option<i32> {
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(
        fraction
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(9)
            .fold(0, |nanos, digit| nanos * 10 + i32::from(digit - b'0')),
    )
}

/// 0, 3, 6 or 9 digits behind a point.
fn put_fraction(nanos: u32, out: &mut Vec<u8>) {
    if nanos == 0 {
        return;
    }
    let mut text = *b".000000000";
    put_digits(&mut text[1..], nanos);
    let length = match nanos {
        nanos if nanos % 1_000_000 == 0 => 4,
        nanos if nanos % 1_000 == 0 => 7,
        _ => 10,
    };
    out.extend_from_slice(&text[..length]);
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(
        put: fn(i64, i32, &mut Vec<u8>) -> bool,
        seconds: i64,
        nanos: i32,
    ) -> Option<String> {
        let mut out = Vec::new();
        put(seconds, nanos, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn protocols_j_6_times_keep_their_range_and_their_digits() {
        for (text, value) in [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("0001-01-01T00:00:00Z", Some((SECONDS_MIN, 0))),
            ("9999-12-31T23:59:59.999999999Z", Some((SECONDS_MAX, 999_999_999))),
            ("2000-02-29T12:00:00+01:30", Some((951_820_200, 0))),
            ("1969-12-31T23:59:59.5Z", Some((-1, 500_000_000))),
            ("1900-02-29T00:00:00Z", None),
            ("2001-04-31T00:00:00Z", None),
            ("0000-12-31T23:59:59Z", None),
            ("0001-01-01T00:00:00+00:01", None),
            ("1970-01-01t00:00:00Z", None),
            ("1970-01-01T00:00:00z", None),
            ("1970-01-01T00:00:00", None),
            ("1970-01-01T00:00:00.Z", None),
            ("1970-01-01T00:00:00.1234567890Z", None),
            ("1970-01-01T24:00:00Z", None),
            ("1970-01-01T00:00:60Z", None),
        ] {
            assert_eq!(parse_timestamp(text), value, "{text}");
        }
        for (seconds, nanos, text) in [
            (0, 0, Some("1970-01-01T00:00:00Z")),
            (-1, 500_000_000, Some("1969-12-31T23:59:59.500Z")),
            (951_820_200, 1_000, Some("2000-02-29T10:30:00.000001Z")),
            (SECONDS_MAX, 1, Some("9999-12-31T23:59:59.000000001Z")),
            (SECONDS_MAX + 1, 0, None),
            (SECONDS_MIN - 1, 0, None),
            (0, -1, None),
        ] {
            assert_eq!(text_of(put_timestamp, seconds, nanos).as_deref(), text);
        }
    }

    #[test]
    fn protocols_j_7_durations_have_one_sign() {
        for (text, value) in [
            ("1s", Some((1, 0))),
            ("-0.5s", Some((0, -500_000_000))),
            ("315576000000s", Some((315_576_000_000, 0))),
            // The bound is on the seconds alone, as the conformance suite reads it.
            ("-315576000000.999999999s", Some((-315_576_000_000, -999_999_999))),
            ("315576000001s", None),
            ("1", None),
            ("s", None),
            (".5s", None),
            ("1.s", None),
            ("+1s", None),
            ("1.0000000001s", None),
        ] {
            assert_eq!(parse_duration(text), value, "{text}");
        }
        assert_eq!(text_of(put_duration, 0, -500_000_000).as_deref(), Some("-0.500s"));
        assert_eq!(text_of(put_duration, 1, -1), None);
        assert_eq!(text_of(put_duration, i64::MIN, 0), None);
    }

    #[test]
    fn days_are_counted_there_and_back() {
        for days in (-719_162..2_932_896).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
