//! Units and rounding, in one place.
//!
//! Three significant digits for what was measured, two behind the point for ratios, thousands with
//! commas. A value that is not there is a dash, never a zero.

/// In the place of what is not there.
pub const NOTHING: &str = "—";

/// A ratio: `1.63`, `0.071`, `12.4`.
pub fn ratio(ratio: f64) -> String {
    match ratio.abs() {
        size if !size.is_finite() => NOTHING.to_owned(),
        size if size >= 9.995 => digits(ratio),
        size if size >= 0.0995 => format!("{ratio:.2}"),
        _ => digits(ratio),
    }
}

/// A length of time: `41 µs`, `4.10 ms`, `1.50 s`.
pub fn duration(seconds: f64) -> String {
    match seconds.abs() {
        size if !size.is_finite() => NOTHING.to_owned(),
        size if rounded(size) >= 1.0 => format!("{} s", digits(seconds)),
        size if rounded(size * 1e3) >= 1.0 => format!("{} ms", digits(seconds * 1e3)),
        _ => format!("{} µs", digits(seconds * 1e6)),
    }
}

/// Bytes: `38 MiB`, `1.25 GiB`.
pub fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while rounded(value.abs()) >= 1_024.0 && unit + 1 < units.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if value.is_finite() {
        format!("{} {}", digits(value), units[unit])
    } else {
        NOTHING.to_owned()
    }
}

/// Calls a second: `2,000/s`.
pub fn rate(rate: f64) -> String {
    if rate.is_finite() { format!("{}/s", digits(rate)) } else { NOTHING.to_owned() }
}

/// A whole number with commas.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A part of one as percent: `0.5 %`, `12 %`, `0.03 %`.
pub fn percent(part: f64) -> String {
    let percent = part * 100.0;
    match percent.abs() {
        size if !size.is_finite() => NOTHING.to_owned(),
        size if size >= 9.95 => format!("{percent:.0} %"),
        size if size >= 0.095 || size <= 0.0 => format!("{percent:.1} %"),
        size if size >= 0.0095 => format!("{percent:.2} %"),
        _ => format!("{percent:.4} %"),
    }
}

/// Money of the user's currency: three digits.
pub fn money(amount: f64) -> String {
    digits(amount)
}

/// How long something will take, for people: `12 min`, `40 s`, `2.5 h`.
pub fn about(seconds: f64) -> String {
    match seconds {
        seconds if !seconds.is_finite() => NOTHING.to_owned(),
        seconds if seconds < 90.0 => format!("{:.0} s", seconds.max(0.0)),
        seconds if seconds < 5_400.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// Three significant digits, thousands with commas, no zeros behind a whole number that was one.
pub fn digits(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let size = rounded(value.abs());
    if size <= 0.0 {
        return "0".to_owned();
    }
    if size >= 100.0 {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("{sign}{}", count(size as u64));
    }
    let place = size.log10().floor() as i32;
    let text = format!("{value:.*}", (2 - place).clamp(0, 12) as usize);
    // Whole small numbers stay whole: 41 µs, not 41.0 µs.
    match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        _ => text,
    }
}

/// To three significant digits; whole numbers from a thousand on stay as they are.
fn rounded(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 0.0;
    }
    if value >= 1_000.0 {
        return value.round();
    }
    let scale = 10_f64.powi(2 - value.log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (found, expected) in [
            (duration(41e-6), "41 µs"),
            (duration(0.0041), "4.10 ms"),
            (duration(0.000_999_6), "1 ms"),
            (duration(1.5), "1.50 s"),
            (duration(0.0), "0 µs"),
            (duration(f64::NAN), NOTHING),
            (bytes(38.0 * 1_048_576.0), "38 MiB"),
            (bytes(1_023.4), "1,023 B"),
            (bytes(1_024.0), "1 KiB"),
            (rate(2_000.0), "2,000/s"),
            (rate(57.14), "57.1/s"),
            (rate(1_234_567.0), "1,234,567/s"),
            (ratio(1.6341), "1.63"),
            (ratio(0.0712), "0.0712"),
            (ratio(12.41), "12.4"),
            (count(0), "0"),
            (count(1_234), "1,234"),
            (percent(0.005), "0.5 %"),
            (percent(0.12), "12 %"),
            (percent(0.0003), "0.03 %"),
            (percent(0.0), "0.0 %"),
            (money(0.000_481_3), "0.000481"),
            (about(728.0), "12 min"),
            (about(40.0), "40 s"),
            (about(9_000.0), "2.5 h"),
            (digits(-0.5), "-0.500"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
