//! What of an answer may be kept, how long, and which failures are worse than an old answer.
//!
//! The service may shorten what its team's document says, never lengthen it. Metadata says so in
//! the words of HTTP, in the head or in the trailers.
//!
//! Sources: RFC 9111, sections 3, 4.2 and 5.2.2; RFC 5861, section 4; security C-3.
//!
//! Not here: who keeps it (`store`), who asks (`cache`).

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};
use tandem_protocol::refusal::{Refusal, Shape};
use tandem_protocol::status::Code;

/// Headers by which callers say who they are (security C-1). What any other header says reaches no
/// service through the cache, so no answer can depend on it.
const CREDENTIALS: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-tandem-principal"),
];

/// Whether a caller says who it is.
pub(crate) fn has_credential(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let text = name.as_str();
        CREDENTIALS.contains(name)
            // A twin that frameworks cannot tell apart (security N-3).
            || text.contains('_') && CREDENTIALS.iter().any(|one| *one.as_str() == text.replace('_', "-"))
    })
}

/// How long an answer with this metadata is good, `ttl` at most; `None` where it is this one
/// caller's alone. `per_principal` is whether it is kept for one principal only.
pub(super) fn lifetime(
    metadata: [&HeaderMap; 2],
    ttl: Duration,
    per_principal: bool,
) -> Option<Duration> {
    let mut max_age = None;
    let mut shared_max_age = None;
    for metadata in metadata {
        let everything = |value: &http::HeaderValue| {
            value.as_bytes().split(|byte| *byte == b',').any(|name| name.trim_ascii() == b"*")
        };
        if metadata.contains_key(header::SET_COOKIE)
            || metadata.get_all(header::VARY).iter().any(everything)
            || metadata.get("x-http-code").is_some_and(|code| code != "200")
        {
            return None;
        }
        for value in metadata.get_all(header::CACHE_CONTROL) {
            // What cannot be read cannot be obeyed.
            let text = value.to_str().ok()?;
            for directive in text.split(',') {
                let (name, argument) = match directive.split_once('=') {
                    Some((name, argument)) => (name.trim(), Some(argument.trim())),
                    None => (directive.trim(), None),
                };
                let seconds = |argument: Option<&str>| {
                    let digits = argument.unwrap_or_default().trim_matches('"');
                    // Unreadable is stale already (section 4.2.1).
                    Duration::from_secs(digits.parse().unwrap_or(0))
                };
                match name.to_ascii_lowercase().as_str() {
                    // With or without names of fields: to keep a part of it is not built.
                    "no-store" | "no-cache" => return None,
                    "private" if !per_principal => return None,
                    "max-age" => max_age = shortest(max_age, seconds(argument)),
                    "s-maxage" => shared_max_age = shortest(shared_max_age, seconds(argument)),
                    _ => {}
                }
            }
        }
    }
    let said = shared_max_age.or(max_age).map(|most| most.saturating_sub(age(metadata)));
    match said {
        Some(most) if most.is_zero() => None,
        Some(most) => Some(most.min(ttl)),
        None => Some(ttl),
    }
}

fn shortest(before: Option<Duration>, other: Duration) -> Option<Duration> {
    Some(before.map_or(other, |before| before.min(other)))
}

/// How old the answer was when it came, as the service says: it may have been kept before.
pub(super) fn age(metadata: [&HeaderMap; 2]) -> Duration {
    let said = metadata[0].get(header::AGE).and_then(|value| value.to_str().ok());
    Duration::from_secs(said.and_then(|text| text.parse::<u32>().ok()).unwrap_or(0).into())
}

/// Whether an old answer is better: what over HTTP is 500, 502, 503 or 504 (RFC 5861, section 4).
pub(super) fn is_error(code: Code) -> bool {
    is_error_status(code.http_status().as_u16())
}

/// The same of what the gateway says itself.
pub(super) fn is_refusal_for_error(refusal: &Refusal) -> bool {
    is_error_status(refusal.render(Shape::Rest).status.as_u16())
}

fn is_error_status(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

/// Whether everybody who asks this would be told the same: then it is told to all who wait. Any
/// other failure may have been bad luck, and is tried once more.
pub(super) fn is_about_the_question(code: Code) -> bool {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tandem_protocol::refusal::Reason;

    use super::*;

    fn metadata(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn security_c_1_a_credential_is_found_however_it_is_spelt() {
        for (name, found) in [
            ("authorization", true),
            ("cookie", true),
            ("x-api-key", true),
            ("x_api_key", true),
            ("x-tandem-principal", true),
            ("x-tandem_principal", true),
            ("proxy-authorization", true),
            ("x-api-keys", false),
            ("accept", false),
        ] {
            assert_eq!(has_credential(&metadata(&[(name, "")])), found, "{name}");
        }
        assert!(!has_credential(&HeaderMap::new()));
    }

    #[test]
    fn security_c_3_what_is_one_callers_alone_is_not_kept() {
        let ten = Duration::from_secs(10);
        let all = Some(10);
        for (pairs, shared, own) in [
            (&[][..], all, all),
            (&[("cache-control", "no-store")], None, None),
            (&[("cache-control", "public, No-Store")], None, None),
            (&[("cache-control", "no-cache=\"x\"")], None, None),
            (&[("cache-control", "private")], None, all),
            (&[("cache-control", "public"), ("cache-control", "private")], None, all),
            (&[("cache-control", "\u{e9}")], None, None),
            (&[("cache-control", "max-age=3")], Some(3), Some(3)),
            (&[("cache-control", "max-age=\"3\"")], Some(3), Some(3)),
            (&[("cache-control", "max-age=30")], all, all),
            (&[("cache-control", "max-age=3, max-age=2")], Some(2), Some(2)),
            (&[("cache-control", "max-age=0")], None, None),
            (&[("cache-control", "max-age=never")], None, None),
            (&[("cache-control", "max-age")], None, None),
            (&[("cache-control", "max-age=1, s-maxage=4")], Some(4), Some(4)),
            (&[("cache-control", "max-age=9"), ("age", "3")], Some(6), Some(6)),
            (&[("cache-control", "max-age=9"), ("age", "9")], None, None),
            (&[("cache-control", "max-age=9"), ("age", "-1")], Some(9), Some(9)),
            (&[("age", "99")], all, all),
            (&[("set-cookie", "a=b")], None, None),
            (&[("vary", "*")], None, None),
            (&[("vary", "accept, *")], None, None),
            (&[("vary", "accept-language")], all, all),
            (&[("x-http-code", "206")], None, None),
            (&[("x-http-code", "200")], all, all),
        ] {
            let said = metadata(pairs);
            for both in [[&said, &HeaderMap::new()], [&HeaderMap::new(), &said]] {
                // Only a head says how old it is.
                if both[0].is_empty() && pairs.iter().any(|(name, _)| *name == "age") {
                    continue;
                }
                let seconds = |per| lifetime(both, ten, per).map(|time| time.as_secs());
                assert_eq!((seconds(false), seconds(true)), (shared, own), "{pairs:?}");
            }
        }
    }

    #[test]
    fn an_old_answer_is_better_than_four_statuses_and_no_others() {
        for number in 0..17 {
            let code = Code::from_number(number);
            let expected = matches!(
                code,
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            );
            assert_eq!(is_error(code), expected, "{code:?}");
            assert!(!(expected && is_about_the_question(code)), "{code:?}");
        }
        for (reason, expected) in [
            (Reason::Unavailable, true),
            (Reason::Deadline, true),
            (Reason::UpstreamUnusable, true),
            (Reason::UpstreamTooLarge, true),
            (Reason::Bug, true),
            (Reason::Quota, false),
            (Reason::NotAllowed, false),
            (Reason::Malformed, false),
        ] {
            assert_eq!(is_refusal_for_error(&Refusal::new(reason, "")), expected, "{reason:?}");
        }
    }
}
