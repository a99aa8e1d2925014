//! Deadlines as callers and upstreams write them.
//!
//! Source: gRPC over HTTP/2, "Timeout"; protocols G-1 and M-7, security N-8.
//!
//! Not here: the clock (`tandem-gateway`).

use std::time::Duration;

/// Parses `grpc-timeout` into the time left for the whole call.
///
/// `None` for anything but one to eight digits and a unit letter; the caller answers that with
/// INVALID_ARGUMENT.
pub fn parse_grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Writes the time left, rounded down to milliseconds, in at most eight digits.
pub fn format_grpc_timeout(left: Duration) -> String {
    let millis = left.as_millis();
    if millis < 100_000_000 {
        return format!("{millis}m");
    }
    let seconds = left.as_secs();
    if seconds < 100_000_000 {
        return format!("{seconds}S");
    }
    format!("{}H", (seconds / 3600).min(99_999_999))
}

/// The time for a call: the smaller of what its caller asks and what its route allows.
pub fn clamp(
    caller: Option<Duration>,
    default: Option<Duration>,
    max: Option<Duration>,
) -> Option<Duration> {
    match (caller, max) {
        (Some(caller), Some(max)) => Some(caller.min(max)),
        (Some(caller), None) => Some(caller),
        (None, _) => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_g_1_a_timeout_is_one_to_eight_digits_and_a_unit() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0m", Some(Duration::ZERO)),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("123456789m", None), // nine digits
            ("m", None),
            ("", None),
            ("1", None),
            ("-1m", None),
            ("+1m", None),
            ("1 m", None),
            ("1ms", None),
            ("1s", None),
            ("１m", None), // a digit, but none of ASCII
        ] {
            assert_eq!(parse_grpc_timeout(text), expected, "{text}");
        }
    }

    #[test]
    fn protocols_m_7_what_is_left_is_written_rounded_down() {
        for (left, text) in [
            (Duration::from_micros(1_999), "1m"),
            (Duration::from_micros(999), "0m"),
            (Duration::from_millis(99_999_999), "99999999m"),
            (Duration::from_millis(100_000_000), "100000S"),
            (Duration::from_secs(u64::MAX), "99999999H"),
        ] {
            assert_eq!(format_grpc_timeout(left), text);
        }
    }

    #[test]
    fn security_n_8_the_route_caps_what_a_caller_may_ask() {
        let s = Duration::from_secs;
        assert_eq!(clamp(Some(s(9)), Some(s(1)), Some(s(5))), Some(s(5)));
        assert_eq!(clamp(Some(s(2)), Some(s(1)), Some(s(5))), Some(s(2)));
        assert_eq!(clamp(None, Some(s(1)), Some(s(5))), Some(s(1)));
        assert_eq!(clamp(None, None, None), None);
        assert_eq!(clamp(Some(s(9)), None, None), Some(s(9)));
    }
}
