//! Why a call was not carried, and the one encoder that says so (protocols E-2).
//!
//! Every refusal of the gateway is a [`Refusal`] with one [`Reason`]; the encoder alone knows the
//! caller's protocol. What the caller reads holds no address, file, namespace or upstream's name;
//! what the log reads does (E-12).
//!
//! Not here: statuses that an upstream gave (`status`, `rest`).

mod limit;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tandem_contract::fields;

pub use self::limit::Limit;
use crate::envelope::EnvelopeError;
use crate::status::{Code, Status, details_of};
use crate::{coding, compression};

/// The reasons, each with its row in the table of E-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No route or method.
    NotFound,
    WrongMethod,
    /// An OPTIONS request that no rule takes: 204 with `Allow` (P-9).
    Options,
    /// A slash too many at the path's end: 308 with `Location` (P-10).
    Redirect,
    MediaType,
    NotAcceptable,
    ContentCoding,
    /// It cannot be parsed or bound.
    Malformed,
    /// A flag says compressed, no encoding was named.
    UnnamedCompression,
    /// None or two messages where one is due.
    Cardinality,
    /// The method is there, this way to call it is not.
    Unimplemented,
    NoCredential,
    NotAllowed,
    /// The name belongs to another namespace's certificate.
    Misdirected,
    TooLarge,
    UriTooLong,
    HeadTooLarge,
    /// gRPC on HTTP/1.1 (D-2).
    HttpVersion,
    Quota,
    /// Overload, no endpoint, connection lost, schema missing.
    Unavailable,
    Deadline,
    /// A body too slow (security LI-5).
    TooSlow,
    UpstreamUnusable,
    UpstreamTooLarge,
    /// The upstream cancelled the call (E-10).
    UpstreamCancelled,
    /// A fault of ours.
    Bug,
}

struct Row {
    http: u16,
    code: Code,
    /// HTTP status and code name for Connect unary.
    connect: (u16, &'static str),
    /// gRPC callers see the HTTP status alone.
    bare: bool,
}

impl Reason {
    /// In the order of their numbers (`reason as usize`).
    pub const ALL: [Reason; 26] = [
        Reason::NotFound,
        Reason::WrongMethod,
        Reason::Options,
        Reason::Redirect,
        Reason::MediaType,
        Reason::NotAcceptable,
        Reason::ContentCoding,
        Reason::Malformed,
        Reason::UnnamedCompression,
        Reason::Cardinality,
        Reason::Unimplemented,
        Reason::NoCredential,
        Reason::NotAllowed,
        Reason::Misdirected,
        Reason::TooLarge,
        Reason::UriTooLong,
        Reason::HeadTooLarge,
        Reason::HttpVersion,
        Reason::Quota,
        Reason::Unavailable,
        Reason::Deadline,
        Reason::TooSlow,
        Reason::UpstreamUnusable,
        Reason::UpstreamTooLarge,
        Reason::UpstreamCancelled,
        Reason::Bug,
    ];

    /// As metrics and logs name it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::NotFound => "not_found",
            Reason::WrongMethod => "wrong_method",
            Reason::Options => "options",
            Reason::Redirect => "redirect",
            Reason::MediaType => "media_type",
            Reason::NotAcceptable => "not_acceptable",
            Reason::ContentCoding => "content_coding",
            Reason::Malformed => "malformed",
            Reason::UnnamedCompression => "unnamed_compression",
            Reason::Cardinality => "cardinality",
            Reason::Unimplemented => "unimplemented",
            Reason::NoCredential => "no_credential",
            Reason::NotAllowed => "not_allowed",
            Reason::Misdirected => "misdirected",
            Reason::TooLarge => "too_large",
            Reason::UriTooLong => "uri_too_long",
            Reason::HeadTooLarge => "head_too_large",
            Reason::HttpVersion => "http_version",
            Reason::Quota => "quota",
            Reason::Unavailable => "unavailable",
            Reason::Deadline => "deadline",
            Reason::TooSlow => "too_slow",
            Reason::UpstreamUnusable => "upstream_unusable",
            Reason::UpstreamTooLarge => "upstream_too_large",
            Reason::UpstreamCancelled => "upstream_cancelled",
            Reason::Bug => "bug",
        }
    }

    fn row(self) -> Row {
        use Code as C;
        let (http, code, connect, bare) = match self {
            Reason::NotFound => (404, C::NotFound, (404, "unimplemented"), false),
            Reason::WrongMethod => (405, C::Unimplemented, (405, "unknown"), true),
            Reason::Options => (204, C::Ok, (204, "unknown"), true),
            Reason::Redirect => (308, C::Ok, (308, "unknown"), true),
            Reason::MediaType => (415, C::InvalidArgument, (415, "unknown"), true),
            Reason::NotAcceptable => (406, C::InvalidArgument, (406, "unknown"), true),
            Reason::ContentCoding => (415, C::Unimplemented, (501, "unimplemented"), false),
            Reason::Malformed => (400, C::InvalidArgument, (400, "invalid_argument"), false),
            Reason::UnnamedCompression => (400, C::Internal, (500, "internal"), false),
            Reason::Cardinality => (501, C::Unimplemented, (501, "unimplemented"), false),
            Reason::Unimplemented => (501, C::Unimplemented, (501, "unimplemented"), false),
            Reason::NoCredential => (401, C::Unauthenticated, (401, "unauthenticated"), false),
            Reason::NotAllowed => (403, C::PermissionDenied, (403, "permission_denied"), false),
            Reason::Misdirected => (421, C::InvalidArgument, (421, "unknown"), true),
            Reason::TooLarge => (413, C::ResourceExhausted, (429, "resource_exhausted"), false),
            Reason::UriTooLong => (414, C::InvalidArgument, (414, "unknown"), true),
            Reason::HeadTooLarge => (431, C::InvalidArgument, (431, "unknown"), true),
            Reason::HttpVersion => (505, C::Unimplemented, (505, "unknown"), true),
            Reason::Quota => (429, C::ResourceExhausted, (429, "resource_exhausted"), false),
            Reason::Unavailable => (503, C::Unavailable, (503, "unavailable"), false),
            Reason::Deadline => (504, C::DeadlineExceeded, (504, "deadline_exceeded"), false),
            Reason::TooSlow => (408, C::DeadlineExceeded, (504, "deadline_exceeded"), false),
            Reason::UpstreamUnusable => (502, C::Internal, (500, "internal"), false),
            Reason::UpstreamTooLarge => {
                (502, C::ResourceExhausted, (429, "resource_exhausted"), false)
            }
            Reason::UpstreamCancelled => (499, C::Cancelled, (499, "canceled"), false),
            Reason::Bug => (500, C::Internal, (500, "internal"), false),
        };
        Row { http, code, connect, bare }
    }

    /// The code of REST and gRPC answers; for an unknown method gRPC says UNIMPLEMENTED.
    pub fn code(self, shape: Shape) -> Code {
        if self == Reason::NotFound && shape == Shape::Grpc {
            return Code::Unimplemented;
        }
        self.row().code
    }

    /// The HTTP status of a REST answer.
    pub fn http_status(self) -> StatusCode {
        StatusCode::from_u16(self.row().http).expect("the table holds valid numbers")
    }
}

/// In whose words a refusal is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    Rest,
    Grpc,
    /// An RPC path whose caller's protocol is not known (E-3).
    Connect,
}

/// One field that cannot be bound (B-7), or one quota that is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, which may be empty; the subject of a quota.
    pub field: String,
    pub description: String,
}

/// A call that is not carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// For the caller.
    pub message: String,
    /// For the log; may name what the caller must not learn.
    pub log: String,
    /// Of fields; of quotas with [`Reason::Quota`].
    pub violations: Vec<Violation>,
    /// How long to wait before trying again.
    pub retry_after: Option<Duration>,
    pub instead: Instead,
    /// The limit that was met, if it was one.
    pub limit: Option<Limit>,
}

/// What the caller may do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    Nothing,
    /// Use one of these HTTP methods: the header `Allow`.
    Methods(Vec<String>),
    /// Go there: the header `Location`.
    Location(Box<str>),
    /// Send one of these media types: the header `Accept`.
    Types(&'static str),
    /// Prove who you are in one of these ways: the header `WWW-Authenticate`.
    Credential(Box<str>),
}

impl Refusal {
    /// A refusal whose sentence for the log is the caller's.
    pub fn new(reason: Reason, message: impl Into<String>) -> Refusal {
        let message = message.into();
        Refusal {
            reason,
            log: message.clone(),
            message,
            violations: Vec::new(),
            retry_after: None,
            instead: Instead::Nothing,
            limit: None,
        }
    }

    /// 415, with what is taken.
    pub fn media_type(types: &'static str, message: impl Into<String>) -> Refusal {
        let instead = Instead::Types(types);
        Refusal { instead, ..Refusal::new(Reason::MediaType, message) }
    }

    /// It was this limit that was met.
    pub fn over(mut self, limit: Limit) -> Refusal {
        self.limit = Some(limit);
        self
    }

    /// Another sentence for the log.
    pub fn logged(mut self, log: impl Into<String>) -> Refusal {
        self.log = log.into();
        self
    }

    /// The conversion failed: whose fault it is decides the reason.
    pub fn of_fault(fault: &tandem_transcode::Fault) -> Refusal {
        use tandem_transcode::{FaultKind, FaultLimit};
        let limit = fault.limit.map(|limit| match limit {
            FaultLimit::JsonDepth => Limit::JsonDepth,
            FaultLimit::JsonNodes => Limit::JsonNodes,
            FaultLimit::JsonOut => Limit::JsonOut,
            FaultLimit::WireDepth => Limit::WireDepth,
        });
        let refusal = match fault.kind {
            FaultKind::Caller => Refusal {
                violations: vec![Violation {
                    field: fault.field.clone(),
                    description: match fault.position {
                        Some(position) => format!("{} (at byte {position})", fault.reason),
                        None => fault.reason.clone(),
                    },
                }],
                ..Refusal::new(Reason::Malformed, fault.to_string())
            },
            FaultKind::Upstream => Refusal::new(
                Reason::UpstreamUnusable,
                "the answer of the service cannot be written as JSON",
            )
            .logged(fault.to_string()),
            FaultKind::TooLarge => Refusal::new(Reason::UpstreamTooLarge, fault.reason.clone()),
        };
        Refusal { limit, ..refusal }
    }

    /// What is wrong with a caller's messages.
    pub fn of_envelope(error: EnvelopeError) -> Refusal {
        let (reason, limit) = match error {
            EnvelopeError::TooLarge { .. } => (Reason::TooLarge, Some(Limit::Message)),
            EnvelopeError::Expands { .. } => (Reason::TooLarge, Some(Limit::Ratio)),
            EnvelopeError::Unnamed => (Reason::UnnamedCompression, None),
            EnvelopeError::Flag(_) | EnvelopeError::Unsound | EnvelopeError::Truncated => {
                (Reason::Malformed, None)
            }
        };
        Refusal { limit, ..Refusal::new(reason, error.to_string()) }
    }

    /// The status of the call, details included.
    pub fn status(&self, shape: Shape) -> Status {
        let code = self.reason.code(shape);
        let details = details_of(code, &self.message, &self.details());
        Status { code, message: self.message.clone(), details }
    }

    /// `google.rpc.BadRequest`, `QuotaFailure` and `RetryInfo`, where there is something to say.
    fn details(&self) -> Vec<(String, Vec<u8>)> {
        let mut details = Vec::new();
        if !self.violations.is_empty() {
            // Both messages are a list of what is wrong, each with two texts.
            let name = match self.reason {
                Reason::Quota => "type.googleapis.com/google.rpc.QuotaFailure",
                _ => "type.googleapis.com/google.rpc.BadRequest",
            };
            let mut message = Vec::new();
            for Violation { field, description } in &self.violations {
                let mut violation = Vec::new();
                fields::put_bytes(1, field.as_bytes(), &mut violation);
                fields::put_bytes(2, description.as_bytes(), &mut violation);
                fields::put_bytes(1, &violation, &mut message);
            }
            details.push((name.to_owned(), message));
        }
        if let Some(after) = self.retry_after {
            let mut duration = Vec::new();
            fields::put_number(1, after.as_secs(), &mut duration);
            fields::put_number(2, u64::from(after.subsec_nanos()), &mut duration);
            let mut retry_info = Vec::new();
            fields::put_bytes(1, &duration, &mut retry_info);
            details.push(("type.googleapis.com/google.rpc.RetryInfo".to_owned(), retry_info));
        }
        details
    }

    /// The refusal as an answer in the caller's protocol.
    pub fn render(&self, shape: Shape) -> Rendered {
        let row = self.reason.row();
        let mut headers = HeaderMap::new();
        self.put_headers(shape, &mut headers);
        let code = self.reason.code(shape);
        let http = |number| StatusCode::from_u16(number).expect("the table holds valid numbers");
        if matches!(self.reason, Reason::Options | Reason::Redirect) {
            return Rendered { status: http(row.http), headers, body: Bytes::new(), code };
        }
        match shape {
            Shape::Grpc if row.bare => {
                Rendered { status: http(row.http), headers, body: Bytes::new(), code }
            }
            Shape::Grpc => {
                headers.insert(header::CONTENT_TYPE, GRPC);
                self.status(shape).put(&mut headers);
                Rendered { status: StatusCode::OK, headers, body: Bytes::new(), code }
            }
            Shape::Rest => {
                headers.insert(header::CONTENT_TYPE, JSON);
                let body = crate::rest::error_body(&self.status(shape), None);
                Rendered { status: http(row.http), headers, body, code }
            }
            Shape::Connect => {
                let (status, name) = row.connect;
                if matches!(self.reason, Reason::UriTooLong | Reason::HeadTooLarge) {
                    return Rendered { status: http(status), headers, body: Bytes::new(), code };
                }
                headers.insert(header::CONTENT_TYPE, JSON);
                let body = crate::rest::connect_error_body(name, &self.message);
                Rendered { status: http(status), headers, body, code }
            }
        }
    }

    fn put_headers(&self, shape: Shape, headers: &mut HeaderMap) {
        let told = match &self.instead {
            Instead::Nothing => None,
            Instead::Methods(methods) => Some((header::ALLOW, methods.join(", "))),
            Instead::Location(target) => Some((header::LOCATION, target.to_string())),
            Instead::Types(types) => Some((header::ACCEPT, (*types).to_owned())),
            Instead::Credential(ways) => Some((header::WWW_AUTHENTICATE, ways.to_string())),
        };
        if let Some((name, text)) = told
            && let Ok(value) = HeaderValue::from_str(&text)
        {
            headers.insert(name, value);
        }
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.reason {
            Reason::ContentCoding => {
                let (name, accepted) = match shape {
                    Shape::Rest | Shape::Connect => (header::ACCEPT_ENCODING, coding::ACCEPTED),
                    Shape::Grpc => (compression::ACCEPT_ENCODING, compression::ACCEPTED),
                };
                headers.insert(name, HeaderValue::from_static(accepted));
            }
            Reason::NoCredential if !headers.contains_key(header::WWW_AUTHENTICATE) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
    }
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A refusal as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub status: StatusCode,
    /// For gRPC with the status in them: trailers-only.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// For the record of the call.
    pub code: Code,
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (Reason, u16, u32, Option<u32>, u16, &'static str);

    const ALL: [Row; 24] = [
        // reason, REST status, REST code, gRPC code (None: bare status), Connect
        (Reason::NotFound, 404, 5, Some(12), 404, "unimplemented"),
        (Reason::WrongMethod, 405, 12, None, 405, "unknown"),
        (Reason::MediaType, 415, 3, None, 415, "unknown"),
        (Reason::NotAcceptable, 406, 3, None, 406, "unknown"),
        (Reason::ContentCoding, 415, 12, Some(12), 501, "unimplemented"),
        (Reason::Malformed, 400, 3, Some(3), 400, "invalid_argument"),
        (Reason::UnnamedCompression, 400, 13, Some(13), 500, "internal"),
        (Reason::Cardinality, 501, 12, Some(12), 501, "unimplemented"),
        (Reason::Unimplemented, 501, 12, Some(12), 501, "unimplemented"),
        (Reason::NoCredential, 401, 16, Some(16), 401, "unauthenticated"),
        (Reason::NotAllowed, 403, 7, Some(7), 403, "permission_denied"),
        (Reason::Misdirected, 421, 3, None, 421, "unknown"),
        (Reason::TooLarge, 413, 8, Some(8), 429, "resource_exhausted"),
        (Reason::UriTooLong, 414, 3, None, 414, "unknown"),
        (Reason::HeadTooLarge, 431, 3, None, 431, "unknown"),
        (Reason::HttpVersion, 505, 12, None, 505, "unknown"),
        (Reason::Quota, 429, 8, Some(8), 429, "resource_exhausted"),
        (Reason::Unavailable, 503, 14, Some(14), 503, "unavailable"),
        (Reason::Deadline, 504, 4, Some(4), 504, "deadline_exceeded"),
        (Reason::TooSlow, 408, 4, Some(4), 504, "deadline_exceeded"),
        (Reason::UpstreamUnusable, 502, 13, Some(13), 500, "internal"),
        (Reason::UpstreamTooLarge, 502, 8, Some(8), 429, "resource_exhausted"),
        (Reason::UpstreamCancelled, 499, 1, Some(1), 499, "canceled"),
        (Reason::Bug, 500, 13, Some(13), 500, "internal"),
    ];

    #[test]
    fn protocols_e_2_each_reason_is_said_in_the_callers_own_protocol() {
        for (reason, rest, code, grpc, connect, connect_name) in ALL {
            let refusal = Refusal::new(reason, "because");
            let answer = refusal.render(Shape::Rest);
            assert_eq!(answer.status.as_u16(), rest, "{reason:?}");
            let body = String::from_utf8(answer.body.to_vec()).unwrap();
            assert!(
                body.starts_with(&format!("{{\"code\":{code},\"message\":\"because\"")),
                "{body}"
            );

            let answer = refusal.render(Shape::Grpc);
            match grpc {
                Some(code) => {
                    assert_eq!(answer.status.as_u16(), 200, "{reason:?}");
                    assert_eq!(answer.headers["grpc-status"], code.to_string(), "{reason:?}");
                    assert_eq!(answer.headers["content-type"], "application/grpc");
                }
                None => {
                    assert_eq!(answer.status.as_u16(), rest, "{reason:?}");
                    assert!(!answer.headers.contains_key("grpc-status"), "{reason:?}");
                }
            }
            assert!(answer.body.is_empty());

            let answer = refusal.render(Shape::Connect);
            assert_eq!(answer.status.as_u16(), connect, "{reason:?}");
            if matches!(reason, Reason::UriTooLong | Reason::HeadTooLarge) {
                assert!(answer.body.is_empty(), "{reason:?}: bare");
                continue;
            }
            let body = format!("{{\"code\":\"{connect_name}\",\"message\":\"because\"}}");
            assert_eq!(answer.body, body.as_bytes(), "{reason:?}");
        }
    }

    #[test]
    fn protocols_e_2_and_i_6_the_headers_say_what_would_be_taken() {
        use Shape::{Connect, Grpc, Rest};
        let methods = Instead::Methods(vec!["GET".into(), "HEAD".into()]);
        let second = Some(Duration::from_secs(1));
        let plain = |reason| Refusal::new(reason, "because");
        for (refusal, shapes, name, value) in [
            (
                Refusal { instead: methods, ..plain(Reason::WrongMethod) },
                &[Rest, Grpc, Connect][..],
                "allow",
                "GET, HEAD",
            ),
            (
                Refusal::media_type("application/json", "because"),
                &[Rest, Grpc, Connect],
                "accept",
                "application/json",
            ),
            (
                plain(Reason::ContentCoding),
                &[Rest, Connect],
                "accept-encoding",
                "gzip, deflate, zstd",
            ),
            (plain(Reason::ContentCoding), &[Grpc], "grpc-accept-encoding", compression::ACCEPTED),
            (plain(Reason::NoCredential), &[Rest, Grpc, Connect], "www-authenticate", "Bearer"),
            (
                Refusal { retry_after: second, ..plain(Reason::Unavailable) },
                &[Rest, Grpc, Connect],
                "retry-after",
                "1",
            ),
        ] {
            for shape in shapes {
                let answer = refusal.render(*shape);
                assert_eq!(answer.headers[name], value, "{:?} {shape:?}", refusal.reason);
            }
        }
        // Nothing else goes beside them.
        for shape in [Rest, Connect] {
            let answer = plain(Reason::NotFound).render(shape);
            assert_eq!(answer.headers.len(), 1, "{:?}", answer.headers);
            assert_eq!(answer.headers["content-type"], "application/json");
        }
    }

    #[test]
    fn numbers_and_names_of_reasons_and_limits_belong_together() {
        let mut names = std::collections::BTreeSet::new();
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{reason:?}");
            assert!(names.insert(reason.name()), "{reason:?}");
        }
        names.clear();
        for (number, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, number, "{limit:?}");
            assert!(names.insert(limit.name()), "{limit:?}");
        }
    }

    #[test]
    fn protocols_p_9_and_p_10_what_is_no_error_has_no_body() {
        let allow = vec!["GET".to_owned(), "HEAD".to_owned(), "OPTIONS".to_owned()];
        let allow = Instead::Methods(allow);
        let location = Instead::Location("/v1/a?b=c".into());
        for (refusal, status, header, value) in [
            (
                Refusal { instead: allow, ..Refusal::new(Reason::Options, "") },
                204,
                header::ALLOW,
                "GET, HEAD, OPTIONS",
            ),
            (
                Refusal { instead: location, ..Refusal::new(Reason::Redirect, "") },
                308,
                header::LOCATION,
                "/v1/a?b=c",
            ),
        ] {
            let answer = refusal.render(Shape::Rest);
            assert_eq!(answer.status.as_u16(), status);
            assert_eq!(answer.headers[header], value);
            assert_eq!((answer.headers.len(), answer.body.len()), (1, 0));
            assert_eq!(answer.code, Code::Ok);
        }
    }

    #[test]
    fn protocols_e_7_the_wait_is_rounded_up_to_seconds() {
        let mut refusal = Refusal::new(Reason::Unavailable, "busy");
        refusal.retry_after = Some(Duration::from_millis(1_001));
        let answer = refusal.render(Shape::Rest);
        assert_eq!(answer.headers["retry-after"], "2");
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(body.contains("google.rpc.RetryInfo"), "{body}");
        assert!(body.contains("\"retryDelay\":\"1.001s\""), "{body}");
    }

    #[test]
    fn protocols_e_2_a_quota_says_which_and_a_credential_which_ways() {
        let quota = Violation { field: "principal".into(), description: "20 a second".into() };
        let refusal =
            Refusal { violations: vec![quota], ..Refusal::new(Reason::Quota, "too many") };
        let body = String::from_utf8(refusal.render(Shape::Rest).body.to_vec()).unwrap();
        let quota = r#"google.rpc.QuotaFailure","violations":[{"subject":"principal","description":"20 a second"}]"#;
        assert!(body.contains(quota), "{body}");

        let challenge =
            |refusal: Refusal| refusal.render(Shape::Grpc).headers["www-authenticate"].clone();
        assert_eq!(challenge(Refusal::new(Reason::NoCredential, "")), "Bearer");
        let ways = "Bearer error=\"invalid_token\", ApiKey";
        let instead = Instead::Credential(ways.into());
        assert_eq!(challenge(Refusal { instead, ..Refusal::new(Reason::NoCredential, "") }), ways);
    }

    #[test]
    fn protocols_b_7_the_violation_names_the_field() {
        let fault = tandem_transcode::Fault {
            field: "product.price".into(),
            reason: "a number was expected".into(),
            position: Some(7),
            kind: tandem_transcode::FaultKind::Caller,
            limit: None,
        };
        let answer = Refusal::of_fault(&fault).render(Shape::Rest);
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(body.contains("\"fieldViolations\":[{\"field\":\"product.price\""), "{body}");
    }
}
