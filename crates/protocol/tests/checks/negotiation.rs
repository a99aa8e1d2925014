//! Headers by which callers choose an answer: a line each of Accept, Accept-Encoding and
//! If-None-Match. What is chosen was named, and nothing makes the readers stumble.

use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_NONE_MATCH};
use tandem_protocol::conditional;
use tandem_protocol::encoding::{Accepted, Encoding};
use tandem_protocol::rest::accepts_json;
use tandem_protocol::stream::Framing;

pub(crate) fn check(data: &[u8]) {
    let mut headers = HeaderMap::new();
    let mut lines = data.split(|byte| *byte == b'\n');
    for name in [ACCEPT, ACCEPT_ENCODING, IF_NONE_MATCH] {
        for part in lines.next().unwrap_or_default().split(|byte| *byte == b'\r') {
            if let Ok(value) = HeaderValue::from_bytes(part) {
                headers.append(name.clone(), value);
            }
        }
    }
    let said = |name| -> String {
        let values = headers.get_all(name).iter();
        let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
        texts.collect::<Vec<_>>().join("\n")
    };

    let framing = Framing::accepted(&headers, Framing::Array);
    if accepts_json(&headers).is_ok() {
        framing.expect("who takes JSON takes it as an array");
    }

    let text = said(ACCEPT_ENCODING);
    match Accepted::by_caller(&headers) {
        Ok(accepted) => match accepted.encoding(None) {
            Some(Encoding::Zstd) => assert!(text.contains("zstd")),
            Some(Encoding::Gzip) => assert!(text.contains("gzip") || text.contains('*')),
            None => assert!(accepted.identity(), "one of both is taken"),
        },
        Err(_refusal) => assert!(text.contains("q="), "nothing is refused without a weight"),
    }

    let tag = HeaderValue::from_static("W/\"a\"");
    if conditional::is_known(&headers, &tag) {
        let text = said(IF_NONE_MATCH);
        assert!(text.contains("\"a\"") || text.contains('*'), "{text}");
    }
}
