//! Codes and statuses, and how they stand in headers and trailers.
//!
//! Sources: gRPC, "Status codes" and "gRPC over HTTP/2"; google/rpc/code.proto for HTTP numbers;
//! protocols E-1, E-4, E-8, E-9, E-10.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use tandem_contract::fields;

/// A gRPC status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// Code, name, HTTP status (protocols E-1).
const TABLE: [(Code, &str, u16); 17] = [
    (Code::Ok, "OK", 200),
    (Code::Cancelled, "CANCELLED", 499),
    (Code::Unknown, "UNKNOWN", 500),
    (Code::InvalidArgument, "INVALID_ARGUMENT", 400),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", 504),
    (Code::NotFound, "NOT_FOUND", 404),
    (Code::AlreadyExists, "ALREADY_EXISTS", 409),
    (Code::PermissionDenied, "PERMISSION_DENIED", 403),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED", 429),
    (Code::FailedPrecondition, "FAILED_PRECONDITION", 400),
    (Code::Aborted, "ABORTED", 409),
    (Code::OutOfRange, "OUT_OF_RANGE", 400),
    (Code::Unimplemented, "UNIMPLEMENTED", 501),
    (Code::Internal, "INTERNAL", 500),
    (Code::Unavailable, "UNAVAILABLE", 503),
    (Code::DataLoss, "DATA_LOSS", 500),
    (Code::Unauthenticated, "UNAUTHENTICATED", 401),
];

impl Code {
    /// The code with this number; above 16 it is UNKNOWN.
    pub fn from_number(number: u32) -> Code {
        TABLE.get(number as usize).map_or(Code::Unknown, |(code, _, _)| *code)
    }

    /// As the specification writes it.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The code with this name.
    pub fn from_name(name: &str) -> Option<Code> {
        TABLE.iter().find(|(_, found, _)| *found == name).map(|(code, _, _)| *code)
    }

    /// The HTTP status of a REST or Connect answer with this code.
    pub fn http_status(self) -> StatusCode {
        StatusCode::from_u16(TABLE[self as usize].2).expect("the table holds valid numbers")
    }

    /// Lower snake case, as Connect writes it; `canceled` has one l there.
    pub fn connect_name(self) -> String {
        if self == Code::Cancelled { "canceled".into() } else { self.name().to_ascii_lowercase() }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub code: Code,
    /// UTF-8; may be empty.
    pub message: String,
    /// A serialized `google.rpc.Status`; empty for none.
    pub details: Bytes,
}

impl Status {
    /// A status without details.
    pub fn new(code: Code, message: impl Into<String>) -> Status {
        Status { code, message: message.into(), details: Bytes::new() }
    }

    /// The `google.protobuf.Any`s in the details, as type URL and bytes. Details that cannot be
    /// read are none.
    pub fn details(&self) -> Vec<(String, Vec<u8>)> {
        fields::each(&self.details)
            .map_while(Result::ok)
            .filter(|field| field.number == 3)
            .map(|any| {
                let url = fields::first_text(any.bytes, 1).unwrap_or_default();
                let value = fields::each(any.bytes)
                    .map_while(Result::ok)
                    .find(|field| field.number == 2)
                    .map(|field| field.bytes.to_vec());
                (url, value.unwrap_or_default())
            })
            .collect()
    }

    /// Removes `google.rpc.DebugInfo`, which is for the service's own people (protocols E-6).
    pub fn without_debug_info(mut self) -> Status {
        let debug = self.details().iter().any(|(url, _)| is_debug_info(url));
        if debug {
            let kept: Vec<_> =
                self.details().into_iter().filter(|(url, _)| !is_debug_info(url)).collect();
            self.details = details_of(self.code, &self.message, &kept);
        }
        self
    }

    /// The status in trailers, or in the head of a trailers-only answer.
    pub fn put(&self, headers: &mut HeaderMap) {
        headers.insert("grpc-status", HeaderValue::from(self.code as u16));
        if !self.message.is_empty() {
            headers.insert("grpc-message", encode_message(&self.message));
        }
        if !self.details.is_empty() {
            let text = BASE64.encode(&self.details);
            // Base64 is always a header value.
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert("grpc-status-details-bin", value);
            }
        }
    }
}

fn is_debug_info(url: &str) -> bool {
    url.rsplit_once('/').map_or(url, |(_, name)| name) == "google.rpc.DebugInfo"
}

/// A serialized `google.rpc.Status`.
pub fn details_of(code: Code, message: &str, details: &[(String, Vec<u8>)]) -> Bytes {
    let mut out = Vec::new();
    if details.is_empty() {
        return Bytes::new();
    }
    fields::put_number(1, code as u64, &mut out);
    if !message.is_empty() {
        fields::put_bytes(2, message.as_bytes(), &mut out);
    }
    for (url, value) in details {
        let mut any = Vec::new();
        fields::put_bytes(1, url.as_bytes(), &mut any);
        fields::put_bytes(2, value, &mut any);
        fields::put_bytes(3, &any, &mut out);
    }
    out.into()
}

/// Unpadded out, either way in (gRPC over HTTP/2, "Binary-Header").
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the status out of `trailers`, the last headers of an answer.
///
/// `None` when they hold none. Two of them, or one that is no number, is UNKNOWN (E-9).
pub fn from_trailers(trailers: &HeaderMap) -> Option<Status> {
    let mut given = trailers.get_all("grpc-status").iter();
    let first = given.next()?;
    if given.next().is_some() {
        return Some(Status::new(Code::Unknown, "the upstream sent two statuses"));
    }
    let digits = first.as_bytes();
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|text| text.parse().unwrap_or(u32::MAX));
    let Some(number) = number else {
        return Some(Status::new(Code::Unknown, "the upstream sent a status that is no number"));
    };
    let message = trailers.get("grpc-message").map(|value| decode_message(value.as_bytes()));
    let details = trailers
        .get("grpc-status-details-bin")
        .and_then(|value| BASE64.decode(value.as_bytes()).ok());
    Some(Status {
        code: Code::from_number(number),
        message: message.unwrap_or_default(),
        details: details.unwrap_or_default().into(),
    })
}

/// The status of an answer whose HTTP status is not 200 and that brought no usable gRPC status
/// (E-9; gRPC, "HTTP to gRPC Status Code Mapping").
pub fn from_http(status: StatusCode) -> Status {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("the upstream answered with HTTP status {}", status.as_u16()))
}

/// The code of a stream that the upstream reset (E-10; gRPC over HTTP/2, "Errors").
pub fn from_reset(code: u32) -> Code {
    match code {
        0x7 => Code::Unavailable,       // REFUSED_STREAM
        0x8 => Code::Cancelled,         // CANCEL
        0xb => Code::ResourceExhausted, // ENHANCE_YOUR_CALM
        0xc => Code::PermissionDenied,  // INADEQUATE_SECURITY
        _ => Code::Internal,
    }
}

/// Percent-encodes everything but printable ASCII, and `%` itself (E-8).
pub fn encode_message(message: &str) -> HeaderValue {
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        if (0x20..=0x7e).contains(&byte) && byte != b'%' {
            text.push(byte as char);
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    HeaderValue::from_str(&text).expect("only printable ASCII is left")
}

/// Undoes [`encode_message`]; escapes that are none stay as they are.
pub fn decode_message(raw: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let digit = |at: usize| raw.get(at).and_then(|digit| (*digit as char).to_digit(16));
        match (raw[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_e_1_each_code_has_its_number_and_its_http_status() {
        for (number, (code, name, _)) in TABLE.iter().enumerate() {
            assert_eq!(*code as usize, number);
            assert_eq!(Code::from_number(number as u32), *code);
            assert_eq!(Code::from_name(name), Some(*code));
        }
        assert_eq!(Code::from_number(17), Code::Unknown);
        assert_eq!(Code::Cancelled.http_status().as_u16(), 499);
        assert_eq!(Code::Cancelled.connect_name(), "canceled");
    }

    fn trailers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn protocols_e_9_a_status_that_cannot_be_read_is_never_ok() {
        assert_eq!(from_trailers(&HeaderMap::new()), None);
        for pairs in [
            &[("grpc-status", "0"), ("grpc-status", "0")][..],
            &[("grpc-status", "")],
            &[("grpc-status", "+0")],
            &[("grpc-status", "ok")],
            &[("grpc-status", "99999999999999999999")],
        ] {
            assert_eq!(from_trailers(&trailers(pairs)).unwrap().code, Code::Unknown, "{pairs:?}");
        }
        let status =
            from_trailers(&trailers(&[("grpc-status", "5"), ("grpc-message", "no%20such%0A")]));
        assert_eq!(status, Some(Status::new(Code::NotFound, "no such\n")));
        assert_eq!(from_http(StatusCode::NOT_FOUND).code, Code::Unimplemented);
        assert_eq!(from_http(StatusCode::BAD_GATEWAY).code, Code::Unavailable);
        assert_eq!(from_http(StatusCode::IM_A_TEAPOT).code, Code::Unknown);
    }

    #[test]
    fn protocols_e_10_resets_have_codes() {
        for (reset, code) in [
            (0x7, Code::Unavailable),
            (0x8, Code::Cancelled),
            (0xb, Code::ResourceExhausted),
            (0xc, Code::PermissionDenied),
            (0x2, Code::Internal),
        ] {
            assert_eq!(from_reset(reset), code);
        }
    }

    #[test]
    fn protocols_e_8_messages_survive_and_never_break_a_line() {
        for message in ["plain", "50 % é 😀", "a\r\nb\0c", ""] {
            let value = encode_message(message);
            assert!(value.as_bytes().iter().all(|byte| (0x20..=0x7e).contains(byte)));
            assert_eq!(decode_message(value.as_bytes()), message);
        }
        assert_eq!(decode_message(b"100%"), "100%");
        assert_eq!(decode_message(b"%zz%4"), "%zz%4");
    }

    #[test]
    fn protocols_e_6_debug_info_is_taken_out_and_the_rest_stays() {
        let info = ("type.googleapis.com/google.rpc.ErrorInfo".to_owned(), b"\x0a\x01X".to_vec());
        let debug = ("type.googleapis.com/google.rpc.DebugInfo".to_owned(), b"\x0a\x01S".to_vec());
        let details = details_of(Code::NotFound, "gone", &[debug, info.clone()]);
        let status = Status { code: Code::NotFound, message: "gone".into(), details };
        assert_eq!(status.without_debug_info().details(), [info]);
    }
}
