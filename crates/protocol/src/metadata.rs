//! Headers that may pass, in both directions (protocols, section 10).
//!
//! A header of a caller becomes metadata of the call unless it belongs to the connection, to the
//! framing, or to the gateway itself. Names that differ from such a one only by `_` for `-` are
//! taken for it: services behind frameworks cannot tell them apart.
//!
//! Sources: RFC 9110, section 7.6.1; gRPC over HTTP/2, "Custom-Metadata"; security N-3, N-4, A-8.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::CallerProtocol;
use crate::refusal::{Limit, Reason, Refusal};
use crate::status::BASE64;

/// Bytes of one `-bin` value, decoded (security LI-17).
const BINARY_BYTES_MOST: usize = 8 * 1024;

/// Metadata of a call: names in lower case, values of printable ASCII.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    headers: HeaderMap,
    marked: bool,
}

impl Metadata {
    /// For what is agreed on hop by hop.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The headers that carry it.
    pub fn into_headers(self) -> HeaderMap {
        self.headers
    }

    /// Whether the call is a copy that another gateway has made: it is never copied again, and
    /// nothing is kept of it (compare M-5).
    pub fn is_marked(&self) -> bool {
        self.marked
    }
}

/// Where a call comes from.
#[derive(Debug, Clone, Copy)]
pub struct Hop {
    /// By the internal listener: a principal that a service passes on is kept (M-8).
    pub internal: bool,
    /// From a network whose copies are carried: the mark of one is kept (compare M-5).
    pub mirrored: bool,
    pub peer: IpAddr,
}

/// The mark of a copy: `<run>/<candidate|twin>` (compare M-4).
pub const MIRROR: HeaderName = HeaderName::from_static("x-tandem-mirror");

/// The header by which services are told who calls (M-8).
pub const PRINCIPAL: HeaderName = HeaderName::from_static("x-tandem-principal");

/// Bytes of a principal. Longer ones are nobody's.
pub const PRINCIPAL_BYTES_MOST: usize = 512;

/// The principal as the header says it: URL-safe base64 (M-8).
pub fn principal_header(principal: &str) -> HeaderValue {
    HeaderValue::try_from(URL_SAFE_NO_PAD.encode(principal))
        .expect("letters of base64 are letters of a header")
}

/// Whom a service passes on. `None` where it passes nobody on, or may not.
///
/// # Errors
/// 400 for a header that stands twice or names nobody.
pub fn principal_passed_on(headers: &HeaderMap, hop: Hop) -> Result<Option<String>, Refusal> {
    if !hop.internal {
        return Ok(None);
    }
    let mut values = headers.get_all(PRINCIPAL).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let read = || {
        // Padded or not, as other binary values (M-3).
        let text = value.to_str().ok()?.trim_end_matches('=');
        let name = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let good =
            (1..=PRINCIPAL_BYTES_MOST).contains(&name.len()) && !name.contains(char::is_control);
        good.then_some(name)
    };
    match (read(), values.next()) {
        (Some(name), None) => Ok(Some(name)),
        _ => Err(Refusal::new(Reason::Malformed, "the header x-tandem-principal names nobody")),
    }
}

/// What a name means on the way to the upstream.
#[derive(Debug, PartialEq, Eq)]
enum Inbound {
    Pass,
    Drop,
    /// Marks a copy; strangers must not (compare M-5).
    Mirror,
}

fn inbound(name: &str, protocol: CallerProtocol) -> Inbound {
    let twin;
    let name = if name.contains('_') {
        twin = name.replace('_', "-");
        // A twin of a name that passes is an ordinary name of its own.
        twin.as_str()
    } else {
        name
    };
    match name {
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "upgrade"
        | "http2-settings" => Inbound::Drop,
        "content-length"
        | "content-type"
        | "content-encoding"
        | "content-range"
        | "content-language"
        | "content-location"
        | "content-md5"
        | "content-disposition" => Inbound::Drop,
        "host" | "accept-encoding" | "expect" => Inbound::Drop,
        "x-request-id" | "traceparent" | "tracestate" => Inbound::Drop,
        "forwarded" => Inbound::Drop,
        "x-tandem-mirror" => Inbound::Mirror,
        "grpc-encoding" | "grpc-accept-encoding" | "grpc-trace-bin" | "grpc-tags-bin" => {
            if protocol == CallerProtocol::Grpc { Inbound::Pass } else { Inbound::Drop }
        }
        name if name.starts_with("x-tandem-")
            || name.starts_with("x-forwarded-")
            || name.starts_with("grpc-")
            || name.starts_with("connect-") =>
        {
            Inbound::Drop
        }
        _ => Inbound::Pass,
    }
}

/// Builds the metadata that goes upstream. Request id, trace context, deadline and principal are
/// set by whoever knows them.
///
/// # Errors
/// 400 for a value that is no printable ASCII, a `-bin` value that is no base64 or too large, and
/// for a stranger's mirror mark.
pub fn to_upstream(
    headers: &HeaderMap,
    protocol: CallerProtocol,
    hop: Hop,
) -> Result<Metadata, Refusal> {
    let mut metadata = HeaderMap::with_capacity(headers.len() + 8);
    let mut marked = false;
    let named = named_by_connection(headers);
    for (name, value) in headers {
        match inbound(name.as_str(), protocol) {
            Inbound::Drop => continue,
            Inbound::Mirror if hop.mirrored => marked = true,
            Inbound::Mirror => {
                return Err(Refusal::new(
                    Reason::Malformed,
                    "x-tandem-mirror may not be set from here",
                ));
            }
            Inbound::Pass => {}
        }
        if named.iter().any(|other| other.eq_ignore_ascii_case(name.as_str())) {
            continue;
        }
        if name.as_str().ends_with("-bin") {
            for part in value.as_bytes().split(|byte| *byte == b',') {
                metadata.append(name.clone(), canonical_binary(name, part)?);
            }
            continue;
        }
        if !printable(value) {
            return Err(Refusal::new(
                Reason::Malformed,
                format!("the header {name} has characters that are no printable ASCII"),
            ));
        }
        metadata.append(name.clone(), value.clone());
    }
    if let Ok(peer) = HeaderValue::from_str(&hop.peer.to_string()) {
        metadata.insert(HeaderName::from_static("x-forwarded-for"), peer);
    }
    Ok(Metadata { headers: metadata, marked })
}

fn named_by_connection(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect()
}

fn printable(value: &HeaderValue) -> bool {
    value.as_bytes().iter().all(|byte| (0x20..=0x7e).contains(byte))
}

/// Unpadded, and never encoded twice (M-3).
fn canonical_binary(name: &HeaderName, part: &[u8]) -> Result<HeaderValue, Refusal> {
    let malformed =
        |what: &str| Refusal::new(Reason::Malformed, format!("the header {name} {what}"));
    let decoded = BASE64.decode(part.trim_ascii()).map_err(|_error| malformed("is no base64"))?;
    if decoded.len() > BINARY_BYTES_MOST {
        return Err(malformed("has more than 8 KiB").over(Limit::Binary));
    }
    HeaderValue::from_str(&BASE64.encode(decoded)).map_err(|_error| malformed("is no base64"))
}

/// Whether a header of an upstream belongs to the hop or to the framing.
fn of_the_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "content-type"
            | "content-encoding"
    )
}

/// Headers of an upstream's head that the caller sees (M-5).
pub fn head_to_caller(head: &HeaderMap, protocol: CallerProtocol) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(head.len() + 4);
    for (name, value) in head {
        let text = name.as_str();
        // What the gateway alone says, an upstream does not say in its place (security N-4).
        let ours = text.starts_with("x-tandem-");
        let passes = match protocol {
            _ if ours => false,
            CallerProtocol::Grpc => {
                !of_the_hop(text)
                    && (!text.starts_with("grpc-")
                        || matches!(text, "grpc-encoding" | "grpc-accept-encoding"))
            }
            CallerProtocol::Rest => {
                !of_the_hop(text)
                    && !text.starts_with("grpc-")
                    && !text.starts_with("content-")
                    && text != "x-http-code"
            }
        };
        if passes && printable(value) {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

/// Trailing metadata as the caller sees it: a gRPC caller as trailers, a REST caller as headers
/// `trailer-<name>`. The status is not among them.
pub fn trailers_to_caller(trailers: &HeaderMap, protocol: CallerProtocol, out: &mut HeaderMap) {
    for (name, value) in trailers {
        let text = name.as_str();
        let ours = text.starts_with("grpc-") || text.starts_with("x-tandem-");
        if of_the_hop(text) || ours || !printable(value) {
            continue;
        }
        match protocol {
            CallerProtocol::Grpc => {
                out.append(name.clone(), value.clone());
            }
            CallerProtocol::Rest => {
                if let Ok(name) = HeaderName::try_from(format!("trailer-{text}")) {
                    out.append(name, value.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OUTSIDE: Hop =
        Hop { internal: false, mirrored: false, peer: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST) };

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        headers
    }

    fn passed(pairs: &[(&str, &str)], protocol: CallerProtocol, hop: Hop) -> Vec<String> {
        let metadata = to_upstream(&headers(pairs), protocol, hop).unwrap().into_headers();
        let mut names: Vec<String> = metadata.keys().map(ToString::to_string).collect();
        names.retain(|name| name != "x-forwarded-for");
        names.sort();
        names
    }

    #[test]
    fn protocols_m_1_names_of_the_hop_and_of_the_gateway_do_not_pass() {
        let sent = [
            ("connection", "x-mine, close"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("content-length", "3"),
            ("host", "a"),
            ("accept-encoding", "gzip"),
            ("x-tandem-principal", "cm9vdA"),
            ("x_tandem_principal", "cm9vdA"),
            ("x-tandem-anything", "1"),
            ("x-forwarded-for", "1.2.3.4"),
            ("grpc-timeout", "1S"),
            ("grpc-encoding", "gzip"),
            ("connect-timeout-ms", "1"),
            ("x-request-id", "mine"),
            ("x_request_id", "mine"),
            ("authorization", "Bearer x"),
            ("x-real-ip", "1"),
        ];
        assert_eq!(passed(&sent, CallerProtocol::Rest, OUTSIDE), ["authorization", "x-real-ip"]);
        assert_eq!(
            passed(&sent, CallerProtocol::Grpc, OUTSIDE),
            ["authorization", "grpc-encoding", "x-real-ip"]
        );
    }

    #[test]
    fn protocols_m_8_only_services_pass_a_principal_on() {
        let inside = Hop { internal: true, ..OUTSIDE };
        let of = |pairs: &[(&str, &str)], hop| principal_passed_on(&headers(pairs), hop).ok();
        let root = [("x-tandem-principal", "cm9vdA")];
        assert_eq!(of(&root, OUTSIDE), Some(None));
        assert_eq!(of(&root, inside), Some(Some("root".into())));
        assert_eq!(of(&[("x-tandem-principal", "cm9vdA==")], inside), Some(Some("root".into())));
        assert_eq!(of(&[("x_tandem_principal", "cm9vdA")], inside), Some(None));
        assert_eq!(principal_header("root"), "cm9vdA");
        let twice = [root[0], root[0]];
        for refused in [&twice[..], &[("x-tandem-principal", "%")], &[("x-tandem-principal", "")]] {
            assert_eq!(of(refused, inside), None, "{refused:?}");
        }
        // The gateway sets it itself: what came never passes as it came.
        assert_eq!(passed(&root, CallerProtocol::Grpc, inside), [""; 0]);
    }

    #[test]
    fn protocols_m_2_the_address_of_the_caller_replaces_what_it_says_of_itself() {
        let sent = headers(&[("x-forwarded-for", "6.6.6.6")]);
        let metadata = to_upstream(&sent, CallerProtocol::Rest, OUTSIDE).unwrap().into_headers();
        assert_eq!(metadata["x-forwarded-for"], "127.0.0.1");
    }

    #[test]
    fn protocols_m_3_binary_values_are_unpadded_once_and_bounded() {
        let sent = headers(&[("a-bin", "AQ==, AgM"), ("a-bin", "")]);
        let metadata = to_upstream(&sent, CallerProtocol::Grpc, OUTSIDE).unwrap().into_headers();
        let values: Vec<_> = metadata.get_all("a-bin").iter().collect();
        assert_eq!(values, ["AQ", "AgM", ""]);
        for bad in ["%%%", "A", &BASE64.encode(vec![0; BINARY_BYTES_MOST + 1])] {
            let refusal = to_upstream(&headers(&[("a-bin", bad)]), CallerProtocol::Grpc, OUTSIDE);
            assert_eq!(refusal.unwrap_err().reason, Reason::Malformed);
        }
        let most = BASE64.encode(vec![0; BINARY_BYTES_MOST]);
        assert!(to_upstream(&headers(&[("a-bin", &most)]), CallerProtocol::Grpc, OUTSIDE).is_ok());
    }

    #[test]
    fn security_m_2_a_strangers_mirror_mark_is_refused() {
        for name in ["x-tandem-mirror", "x_tandem_mirror"] {
            let refusal =
                to_upstream(&headers(&[(name, "run/candidate")]), CallerProtocol::Rest, OUTSIDE);
            assert_eq!(refusal.unwrap_err().reason, Reason::Malformed, "{name}");
        }
    }

    #[test]
    fn protocols_m_5_trailing_metadata_goes_where_the_caller_can_read_it() {
        let trailers = headers(&[("grpc-status", "0"), ("tandem-sequence", "7")]);
        let mut rest = HeaderMap::new();
        trailers_to_caller(&trailers, CallerProtocol::Rest, &mut rest);
        assert_eq!(rest, headers(&[("trailer-tandem-sequence", "7")]));
        let mut grpc = HeaderMap::new();
        trailers_to_caller(&trailers, CallerProtocol::Grpc, &mut grpc);
        assert_eq!(grpc, headers(&[("tandem-sequence", "7")]));
        let head =
            headers(&[("content-type", "application/grpc"), ("grpc-encoding", "gzip"), ("a", "b")]);
        assert_eq!(head_to_caller(&head, CallerProtocol::Rest), headers(&[("a", "b")]));
    }

    proptest! {
        #[test]
        fn protocols_m_4_no_odd_byte_ever_leaves(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let mut sent = HeaderMap::new();
            sent.insert("x-any", value.clone());
            sent.insert("x-any-bin", value);
            if let Ok(metadata) = to_upstream(&sent, CallerProtocol::Rest, OUTSIDE) {
                for value in metadata.into_headers().values() {
                    prop_assert!(value.as_bytes().iter().all(|byte| (0x20..=0x7e).contains(byte)));
                }
            }
        }
    }
}
