//! Whatever headers a caller sends, none that leaves has CR, LF, NUL or a byte above 0x7E.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue};
use tandem_protocol::CallerProtocol;
use tandem_protocol::metadata::{Hop, to_upstream};

/// Lines of `name:value`.
pub(crate) fn check(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]))
        else {
            continue;
        };
        headers.append(name, value);
    }
    let hop = Hop { internal: false, mirrored: false, peer: IpAddr::V4(Ipv4Addr::LOCALHOST) };
    for protocol in [CallerProtocol::Rest, CallerProtocol::Grpc] {
        let Ok(metadata) = to_upstream(&headers, protocol, hop) else { continue };
        for (name, value) in &metadata.into_headers() {
            assert!(value.as_bytes().iter().all(|byte| (0x20..=0x7e).contains(byte)), "{name}");
            assert!(!name.as_str().starts_with("x-tandem-"), "{name}");
        }
    }
}
