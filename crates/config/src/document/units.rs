//! Values with a unit, and addresses: text to value, without a default for the unit.
//!
//! Nothing is guessed: `15` is no duration and `4MB` is no size (experience UX-24). Each fault
//! says what is allowed in words that fit behind the key's name.
//!
//! Not here: where in a file the text stood.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What is wrong with a text, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}: {right}")]
pub struct UnitFault {
    /// What is wrong, for example `this number has no unit`.
    pub wrong: String,
    /// The edit, for example ``write `15s` ``.
    pub right: String,
}

impl UnitFault {
    fn new(wrong: impl Into<String>, right: impl Into<String>) -> UnitFault {
        UnitFault { wrong: wrong.into(), right: right.into() }
    }
}

/// A part of a whole, in per mille (0 to 1000).
///
/// An integer, so that it compares equal after a trip through a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

impl Share {
    pub const NONE: Share = Share(0);
    pub const ALL: Share = Share(1000);

    /// `None` above 1000.
    pub const fn from_per_mille(per_mille: u16) -> Option<Share> {
        if per_mille <= 1000 { Some(Share(per_mille)) } else { None }
    }

    pub fn per_mille(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}%", self.0 / 10),
            tenth => write!(f, "{}.{tenth}%", self.0 / 10),
        }
    }
}

/// Where an upstream is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    Fixed(SocketAddr),
    /// A name, lower case, without a trailing dot; what it resolves to is checked when it is
    /// connected (security T-3).
    Dns {
        host: String,
        port: u16,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Fixed(address) => write!(f, "{address}"),
            Address::Dns { host, port } => write!(f, "dns:{host}:{port}"),
        }
    }
}

/// `250ms`, `15s`, `10m`, `24h`, `7d`: digits and one unit.
pub fn parse_duration(text: &str) -> Result<Duration, UnitFault> {
    let (number, unit) = split_unit(text);
    let example = "write a whole number and one of `ms`, `s`, `m`, `h`, `d`, for example `15s`";
    let number = whole(number, "duration", example)?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(missing_unit(text, &["ms", "s", "m", "h", "d"])),
        _ => return Err(unknown_unit(unit, example)),
    };
    let ms = number.checked_mul(ms).ok_or_else(|| too_large("duration", example))?;
    Ok(Duration::from_millis(ms))
}

/// `16KiB`, `4MiB`, in bytes: digits and one unit.
pub fn parse_size(text: &str) -> Result<u64, UnitFault> {
    let (number, unit) = split_unit(text);
    let example = "write a whole number and `KiB` or `MiB`, for example `4MiB`";
    let number = whole(number, "size", example)?;
    let bytes: u64 = match unit {
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        "" => return Err(missing_unit(text, &["KiB", "MiB"])),
        _ => return Err(unknown_unit(unit, example)),
    };
    number.checked_mul(bytes).ok_or_else(|| too_large("size", example))
}

/// `1KiB/s`, in bytes a second.
pub fn parse_pace(text: &str) -> Result<u64, UnitFault> {
    match text.strip_suffix("/s") {
        Some(size) => parse_size(size),
        None => Err(UnitFault::new(
            "this is no size a second",
            "write a size and `/s`, for example `1KiB/s`",
        )),
    }
}

/// `100/s`, as events a second.
pub fn parse_rate(text: &str) -> Result<u32, UnitFault> {
    let example = "write a whole number and `/s`, for example `100/s`";
    let Some(number) = text.strip_suffix("/s") else {
        return Err(match text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            true => missing_unit(text, &["/s"]),
            false => UnitFault::new("this is no rate", example),
        });
    };
    let number = whole(number, "rate", example)?;
    u32::try_from(number).map_err(|_| too_large("rate", example))
}

/// `5%`, `0.1%`, `100%`: steps of a tenth of a percent.
pub fn parse_share(text: &str) -> Result<Share, UnitFault> {
    let example = "write a share from `0%` to `100%` in steps of `0.1%`";
    let Some(number) = text.strip_suffix('%') else {
        return Err(match text.parse::<f64>() {
            Ok(_) => missing_unit(text, &["%"]),
            Err(_) => UnitFault::new("this is no share", example),
        });
    };
    let (percent, tenth) = match number.split_once('.') {
        Some((percent, tenth)) if tenth.len() == 1 => (percent, whole(tenth, "share", example)?),
        Some(_) => return Err(UnitFault::new("this is finer than a tenth of a percent", example)),
        None => (number, 0),
    };
    let per_mille = whole(percent, "share", example)?.saturating_mul(10).saturating_add(tenth);
    u16::try_from(per_mille)
        .ok()
        .and_then(Share::from_per_mille)
        .ok_or_else(|| UnitFault::new("this is more than the whole", example))
}

/// `HOST:PORT`, `[v6]:PORT` or `dns:HOST:PORT`.
pub fn parse_address(text: &str) -> Result<Address, UnitFault> {
    let example = "write `HOST:PORT`, `[v6]:PORT` or `dns:HOST:PORT`";
    if text.contains("://") {
        return Err(UnitFault::new("this is a URL, and an address has no scheme", example));
    }
    let (host, port) = host_and_port(text.strip_prefix("dns:").unwrap_or(text), example)?;
    let port = parse_port(port, example)?;
    match parse_host(host, example)? {
        Host::Address(address) => Ok(Address::Fixed(SocketAddr::new(address, port))),
        Host::Name(host) => Ok(Address::Dns { host, port }),
    }
}

/// `http://HOST:PORT` or `https://HOST:PORT`, the port being 4317 where none is written (that of
/// OTLP over gRPC); `true` for `https`.
pub fn parse_collector(text: &str) -> Result<(Address, bool), UnitFault> {
    let example = "write `http://HOST:4317` or `https://HOST:4317`";
    let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(UnitFault::new("this is no URL of a collector", example)),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@']) {
        return Err(UnitFault::new("OTLP over gRPC has no path, and no user", example));
    }
    let has_port =
        rest.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':')) || rest.contains("]:");
    let address = if has_port { rest.to_owned() } else { format!("{rest}:4317") };
    let (host, port) = host_and_port(&address, example)?;
    let port = parse_port(port, example)?;
    Ok(match parse_host(host, example)? {
        Host::Address(address) => (Address::Fixed(SocketAddr::new(address, port)), tls),
        Host::Name(host) => (Address::Dns { host, port }, tls),
    })
}

/// `ADDRESS:PORT` to listen on; port 0 is any free one.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, UnitFault> {
    text.parse().map_err(|_| {
        UnitFault::new(
            "this is no address to listen on",
            "write an IP address and a port, for example `127.0.0.1:8080` or `[::1]:8080`",
        )
    })
}

/// A DNS name in lower case without port: letters, digits, `-` and dots.
pub fn parse_host_name(text: &str) -> Result<String, UnitFault> {
    match parse_host(text, "write a name in lower case, for example `api.example.com`")? {
        Host::Name(name) => Ok(name),
        Host::Address(_) => Err(UnitFault::new(
            "this is an address, not a name",
            "write the name that callers use, for example `api.example.com`",
        )),
    }
}

/// `50051`, `50051-50059` or `*`, for grants.
pub fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, UnitFault> {
    let example = "write a port, a range such as `50051-50059`, or `*`";
    if text == "*" {
        return Ok(1..=u16::MAX);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_port(first, example)?, parse_port(last, example)?);
    if first > last {
        return Err(UnitFault::new("the range ends before it begins", example));
    }
    Ok(first..=last)
}

/// Splits `HOST:PORT`, where an IPv6 address stands in brackets, which it loses here.
pub(crate) fn host_and_port<'a>(
    text: &'a str,
    example: &str,
) -> Result<(&'a str, &'a str), UnitFault> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest
            .split_once("]:")
            .ok_or_else(|| UnitFault::new("a port is missing behind the brackets", example));
    }
    match text.rsplit_once(':') {
        None => Err(UnitFault::new("the port is missing", example)),
        Some((host, _)) if host.contains(':') => {
            Err(UnitFault::new("an IPv6 address stands in brackets", example))
        }
        Some(parts) => Ok(parts),
    }
}

pub(crate) enum Host {
    Address(IpAddr),
    Name(String),
}

/// A name that is nothing but digits and dots, or hexadecimal, is refused: libraries read such
/// names as addresses in more than one way (security T-3).
pub(crate) fn parse_host(text: &str, example: &str) -> Result<Host, UnitFault> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(Host::Address(address.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => UnitFault::new("names are written in lower case", example),
            false => UnitFault::new("this is no host", example),
        });
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(hexadecimal)
    {
        return Err(UnitFault::new("a name may not end in a number", example));
    }
    Ok(Host::Name(name.to_owned()))
}

fn parse_port(text: &str, example: &str) -> Result<u16, UnitFault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(UnitFault::new("the port is not a number from 1 to 65535", example)),
    }
}

/// The leading digits (with a point, so that `1.5s` keeps its unit) and what follows.
fn split_unit(text: &str) -> (&str, &str) {
    let end =
        text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    text.split_at(end)
}

fn whole(digits: &str, what: &str, example: &str) -> Result<u64, UnitFault> {
    if digits.is_empty() {
        return Err(UnitFault::new(format!("this is no {what}"), example));
    }
    if digits.contains('.') {
        return Err(UnitFault::new("only whole numbers are taken", example));
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UnitFault::new(format!("this is no {what}"), example));
    }
    digits.parse().map_err(|_| too_large(what, example))
}

fn missing_unit(text: &str, units: &[&str]) -> UnitFault {
    let choices: Vec<String> = units.iter().map(|unit| format!("`{text}{unit}`")).collect();
    let right = match &choices[..] {
        [only] => format!("write {only}"),
        [front @ .., last] => format!("write {} or {last}", front.join(", ")),
        [] => String::new(),
    };
    UnitFault::new("this number has no unit", right)
}

fn unknown_unit(unit: &str, example: &str) -> UnitFault {
    let unit: String = unit.chars().take(16).collect();
    UnitFault::new(format!("`{unit}` is no unit here"), example)
}

fn too_large(what: &str, example: &str) -> UnitFault {
    UnitFault::new(format!("this {what} is too large to count"), example)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experience_ux_24_durations_are_written_with_their_unit() {
        let check = |text: &str, ms: Option<u64>| {
            assert_eq!(parse_duration(text).ok(), ms.map(Duration::from_millis), "{text}");
        };
        check("0ms", Some(0));
        check("250ms", Some(250));
        check("15s", Some(15_000));
        check("10m", Some(600_000));
        check("24h", Some(86_400_000));
        check("7d", Some(604_800_000));
        check("18446744073709551615ms", Some(u64::MAX));
        check("18446744073709551616ms", None); // one more than the clock can hold
        check("213503982335d", None);
        for text in ["15", "", "s", "-1s", "+1s", "1.5s", "15 s", " 15s", "15S", "1m30s", "١s"] {
            check(text, None);
        }
    }

    #[test]
    fn experience_ux_24_sizes_are_written_with_their_unit() {
        let check =
            |text: &str, bytes: Option<u64>| assert_eq!(parse_size(text).ok(), bytes, "{text}");
        check("1KiB", Some(1024));
        check("4MiB", Some(4 * 1024 * 1024));
        check("18014398509481983KiB", Some(u64::MAX - 1023));
        check("18014398509481984KiB", None);
        for text in ["4", "4MB", "4mib", "4 MiB", "0.5MiB", "MiB", "4GiB"] {
            check(text, None);
        }
    }

    #[test]
    fn experience_ux_24_shares_go_in_steps_of_a_tenth_of_a_percent() {
        let check = |text: &str, share: Option<u16>| {
            assert_eq!(parse_share(text).ok().map(Share::per_mille), share, "{text}");
        };
        check("0%", Some(0));
        check("0.1%", Some(1));
        check("5%", Some(50));
        check("99.9%", Some(999));
        check("100%", Some(1000));
        check("100.1%", None); // the first that is more than the whole
        for text in ["5", "0.05", "0.01%", "-5%", "5 %", "%", ".5%", "5.%", "1e1%"] {
            check(text, None);
        }
    }

    #[test]
    fn experience_ux_24_rates_name_the_second() {
        assert_eq!(parse_rate("100/s").ok(), Some(100));
        assert_eq!(parse_rate("4294967295/s").ok(), Some(u32::MAX));
        for text in ["4294967296/s", "100", "100/m", "/s", "-1/s"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
        assert_eq!(parse_pace("1KiB/s").ok(), Some(1024));
        assert!(parse_pace("1KiB").is_err());
    }

    #[test]
    fn a_number_without_a_unit_is_answered_with_the_choices() {
        let fault = parse_duration("2").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "this number has no unit: write `2ms`, `2s`, `2m`, `2h` or `2d`"
        );
    }

    #[test]
    fn addresses_have_three_forms() {
        let check = |text: &str, shown: Option<&str>| {
            let address = parse_address(text).ok().map(|address| address.to_string());
            assert_eq!(address.as_deref(), shown, "{text}");
        };
        check("127.0.0.1:50051", Some("127.0.0.1:50051"));
        check("[::1]:50051", Some("[::1]:50051"));
        check("dns:catalogue-go.shop.svc:50051", Some("dns:catalogue-go.shop.svc:50051"));
        check("catalogue-go:50051", Some("dns:catalogue-go:50051"));
        check("catalogue-go.:50051", Some("dns:catalogue-go:50051"));
        check("dns:10.0.0.1:50051", Some("10.0.0.1:50051"));
        check("a:1", Some("dns:a:1"));
        check("a:65535", Some("dns:a:65535"));
        for text in [
            "a:0",
            "a:65536",
            "a:",
            "a",
            ":1",
            "::1:50051",
            "[::1]",
            "[::1]50051",
            "http://a:1",
            "a:+1",
            "A:1",
            "a..b:1",
            "-a:1",
            "a b:1",
            "dns:",
            "",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn security_t_3_numbers_that_some_libraries_read_as_addresses_are_no_names() {
        for text in ["2130706433:80", "0x7f000001:80", "127.1:80", "0177.0.0.1:80", "1.2.3.4.5:80"]
        {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ports_of_a_grant_are_one_a_range_or_all() {
        assert_eq!(parse_ports("50051").ok(), Some(50051..=50051));
        assert_eq!(parse_ports("1-65535").ok(), Some(1..=65535));
        assert_eq!(parse_ports("*").ok(), Some(1..=65535));
        for text in ["0", "65536", "2-1", "1-", "-1", ""] {
            assert!(parse_ports(text).is_err(), "{text}");
        }
    }
}
