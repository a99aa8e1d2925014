//! REST answers: heads, errors, what a caller accepts.
//!
//! Source: google/rpc/status.proto for errors; protocols A, E-1 to E-5.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, header};
use tandem_contract::Contract;
use tandem_transcode::{JsonOptions, Limits, Plans, json_from_wire};

use crate::accept;
use crate::refusal::{Reason, Refusal};
use crate::status::Status;
use crate::values::Layout;

/// `{"code","message","details"}`. Details of a type that the contract knows, or that belongs to
/// `google/rpc/error_details.proto`, are written out; others keep their bytes in base64 (E-5).
pub fn error_body(status: &Status, plans: Option<&Plans>) -> Bytes {
    let mut out = Vec::with_capacity(128 + status.message.len());
    out.extend_from_slice(b"{\"code\":");
    out.extend_from_slice((status.code as u8).to_string().as_bytes());
    out.extend_from_slice(b",\"message\":");
    put_string(&status.message, &mut out);
    out.extend_from_slice(b",\"details\":[");
    for (number, (url, value)) in status.details().into_iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        put_detail(&url, &value, plans, &mut out);
    }
    out.extend_from_slice(b"]}");
    out.into()
}

/// `{"code","message"}` with the code's name: what an RPC path answers (E-3).
pub fn connect_error_body(code: &str, message: &str) -> Bytes {
    let mut out = Vec::new();
    out.extend_from_slice(b"{\"code\":");
    put_string(code, &mut out);
    out.extend_from_slice(b",\"message\":");
    put_string(message, &mut out);
    out.push(b'}');
    out.into()
}

fn put_detail(url: &str, value: &[u8], plans: Option<&Plans>, out: &mut Vec<u8>) {
    let name = url.rsplit_once('/').map_or(url, |(_, name)| name);
    let known = plans.into_iter().chain([standard_details()]).find_map(|plans| {
        let id = plans.contract().message_named(name)?;
        json_from_wire(plans, id, value, &JsonOptions::default(), &Limits::default()).ok()
    });
    out.extend_from_slice(b"{\"@type\":");
    put_string(url, out);
    match known {
        // The members of `{…}` follow the type in the same object.
        Some(json) if json.first() == Some(&b'{') => {
            if json.len() > 2 {
                out.push(b',');
            }
            out.extend_from_slice(&json[1..]);
        }
        Some(json) => {
            out.extend_from_slice(b",\"value\":");
            out.extend_from_slice(&json);
            out.push(b'}');
        }
        None => {
            out.extend_from_slice(b",\"value\":\"");
            out.extend_from_slice(BASE64_STANDARD.encode(value).as_bytes());
            out.extend_from_slice(b"\"}");
        }
    }
}

/// `google/rpc/error_details.proto`, compiled; a test compiles it again and compares.
const STANDARD_DETAILS: &[u8] = include_bytes!("error_details.binpb");

fn standard_details() -> &'static Plans {
    static PLANS: OnceLock<Plans> = OnceLock::new();
    PLANS.get_or_init(|| {
        let contract = Contract::from_descriptor_set(STANDARD_DETAILS).expect("a test reads it");
        Plans::new(Arc::new(contract))
    })
}

fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for letter in text.chars() {
        match letter {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            letter if u32::from(letter) < 0x20 => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(letter)).as_bytes());
            }
            letter => {
                let mut buffer = [0; 4];
                out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
            }
        }
    }
    out.push(b'"');
}

/// Says whether a caller that sent these headers takes JSON.
///
/// # Errors
/// 406 when `Accept` names types and none of them is JSON.
pub fn accepts_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let ranges = || accept::elements(headers, &header::ACCEPT);
    if ranges().next().is_none() || accept::weight_of_media("application/json", ranges()) > 0 {
        return Ok(());
    }
    Err(Refusal::new(Reason::NotAcceptable, "this method answers application/json"))
}

/// How a caller wants its JSON written: `defaults`, `enums`, `names` and `int64` as parameters of
/// `application/json` in `Accept` stand before what the route says (J-17). What is unknown there
/// changes nothing.
pub fn json_asked(headers: &HeaderMap, of_route: JsonOptions) -> JsonOptions {
    let mut options = of_route;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or("").split(',') {
            let mut parts = range.split(';').map(str::trim);
            if !parts.next().unwrap_or("").eq_ignore_ascii_case("application/json") {
                continue;
            }
            for part in parts {
                match part.to_ascii_lowercase().replace('"', "").as_str() {
                    "defaults=emit" => options.emit_defaults = true,
                    "defaults=omit" => options.emit_defaults = false,
                    "enums=number" => options.enum_numbers = true,
                    "enums=name" => options.enum_numbers = false,
                    "names=proto" => options.proto_names = true,
                    "names=json" => options.proto_names = false,
                    "int64=number" => options.int64_numbers = true,
                    "int64=string" => options.int64_numbers = false,
                    _ => {}
                }
            }
        }
    }
    options
}

/// Says whether a body of this media type is JSON (I-5).
///
/// # Errors
/// 415 for another type.
pub fn body_is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    if given.is_some_and(is_json) {
        return Ok(());
    }
    Err(Refusal::media_type("application/json", "the body must be application/json"))
}

/// How the values of a body of many lie in it, by its media type (S-9); `may_be_list` where one
/// of them may itself be a list.
///
/// # Errors
/// 415 for another type.
pub fn body_of_values(headers: &HeaderMap, may_be_list: bool) -> Result<Layout, Refusal> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    match given {
        Some(media) if is_json(media) && may_be_list => Ok(Layout::Array),
        Some(media) if is_json(media) => Ok(Layout::ArrayOrSequence),
        Some(media) if LINES.iter().any(|name| is_in_utf8(media, name)) => Ok(Layout::Lines),
        _ => {
            let message = "the body must be application/json or application/x-ndjson";
            let types = "application/json, application/x-ndjson, application/jsonl, \
                         application/ndjson";
            Err(Refusal::media_type(types, message))
        }
    }
}

/// One value a line.
const LINES: [&str; 3] = ["application/x-ndjson", "application/jsonl", "application/ndjson"];

/// The media type of a body, parameters included: what a `google.api.HttpBody` is given (I-8).
///
/// # Errors
/// 415 for more than one, or one that is no text.
pub fn content_type(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(first) = given.next() else { return Ok(None) };
    match (first.to_str(), given.next()) {
        (Ok(media), None) => Ok(Some(media)),
        _ => Err(Refusal::media_type("*/*", "the media type of the body cannot be read")),
    }
}

fn is_json(media: &str) -> bool {
    is_in_utf8(media, "application/json")
}

fn is_in_utf8(media: &str, name: &str) -> bool {
    let (media, parameters) = media.split_once(';').unwrap_or((media, ""));
    if !media.trim().eq_ignore_ascii_case(name) {
        return false;
    }
    let charset = parameters.trim().to_ascii_lowercase().replace('"', "");
    charset.is_empty() || charset == "charset=utf-8"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Code, details_of};
    use http::HeaderValue;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn the_compiled_error_details_are_those_of_the_proto_file() {
        let proto = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
        let mut compiler = protox::Compiler::new([&proto]).unwrap();
        compiler.include_imports(true);
        compiler.open_file("google/rpc/error_details.proto").unwrap();
        let compiled = compiler.encode_file_descriptor_set();
        if std::env::var_os("TANDEM_REWRITE_GOLDEN").is_some() {
            let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            std::fs::write(place.join("src/error_details.binpb"), &compiled).unwrap();
        }
        assert!(compiled == STANDARD_DETAILS, "run once with TANDEM_REWRITE_GOLDEN=1");
    }

    #[test]
    fn protocols_e_5_known_details_are_written_out_and_unknown_ones_keep_their_bytes() {
        let info = b"\x0a\x05ETAGX\x12\x10catalogue.tandem".to_vec();
        let details = [
            ("type.googleapis.com/google.rpc.ErrorInfo".to_owned(), info),
            ("example.com/some.Unknown".to_owned(), vec![8, 1]),
        ];
        let status = Status {
            code: Code::Aborted,
            message: "a \"b\"\n".into(),
            details: details_of(Code::Aborted, "", &details),
        };
        assert_eq!(
            String::from_utf8(error_body(&status, None).to_vec()).unwrap(),
            "{\"code\":10,\"message\":\"a \\\"b\\\"\\u000a\",\"details\":[\
             {\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\
             \"reason\":\"ETAGX\",\"domain\":\"catalogue.tandem\"},\
             {\"@type\":\"example.com/some.Unknown\",\"value\":\"CAE=\"}]}"
        );
    }

    #[test]
    fn protocols_a_5_an_accept_without_json_is_406() {
        assert!(accepts_json(&HeaderMap::new()).is_ok());
        for (accept, fine) in [
            ("*/*", true),
            ("text/html, application/json;q=0.1", true),
            ("application/*", true),
            ("APPLICATION/JSON", true),
            ("text/html", false),
            ("application/json;q=0", false),
            ("application/json;q=0.000", false),
            ("text/html;level=\"1,2\", application/json;charset=utf-8;q=0.5", true),
            ("application/xml;q=0.9, application/problem+json", false),
            // The range that says most counts: this caller takes anything but JSON.
            ("*/*, application/json;q=0", false),
            ("application/*;q=0, application/json", true),
            ("", true),
            (" , ", true),
        ] {
            assert_eq!(accepts_json(&with(header::ACCEPT, accept)).is_ok(), fine, "{accept}");
        }
    }

    #[test]
    fn protocols_i_5_and_i_9_a_body_is_json_in_utf_8_or_415() {
        for (media, fine) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("application/json;charset=\"UTF-8\"", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("application/jsonx", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data; boundary=x", false),
            ("application/octet-stream", false),
        ] {
            let headers = with(header::CONTENT_TYPE, media);
            assert_eq!(body_is_json(&headers).is_ok(), fine, "{media}");
        }
        assert_eq!(body_is_json(&HeaderMap::new()).unwrap_err().reason, Reason::MediaType);
    }

    #[test]
    fn protocols_s_9_the_media_type_says_how_values_lie() {
        for (media, alone, lists) in [
            ("application/json", Some(Layout::ArrayOrSequence), Some(Layout::Array)),
            ("Application/JSON; charset=utf-8", Some(Layout::ArrayOrSequence), Some(Layout::Array)),
            ("application/x-ndjson", Some(Layout::Lines), Some(Layout::Lines)),
            ("application/jsonl", Some(Layout::Lines), Some(Layout::Lines)),
            ("application/ndjson;charset=UTF-8", Some(Layout::Lines), Some(Layout::Lines)),
            ("application/ndjson;charset=latin1", None, None),
            ("text/event-stream", None, None),
        ] {
            let headers = with(header::CONTENT_TYPE, media);
            assert_eq!(body_of_values(&headers, false).ok(), alone, "{media}");
            assert_eq!(body_of_values(&headers, true).ok(), lists, "{media}");
        }
        let refusal = body_of_values(&HeaderMap::new(), false).unwrap_err();
        assert_eq!(refusal.reason, Reason::MediaType);
    }

    #[test]
    fn protocols_i_8_a_raw_body_keeps_its_media_type_with_its_parameters() {
        assert_eq!(content_type(&HeaderMap::new()).unwrap(), None);
        let mut headers = with(header::CONTENT_TYPE, "text/csv; header=present");
        assert_eq!(content_type(&headers).unwrap(), Some("text/csv; header=present"));
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert_eq!(content_type(&headers).unwrap_err().reason, Reason::MediaType);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_bytes(b"t/\xff").unwrap());
        assert_eq!(content_type(&headers).unwrap_err().reason, Reason::MediaType);
    }
}
