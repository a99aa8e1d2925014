//! Request head → protocol and method, or a refusal that can be rendered without knowing either.
//!
//! REST and gRPC are told apart by the media type and the path alone (protocols D-2 to D-5).
//! gRPC-Web, Connect and WebSocket are not served yet; where they would be meant, the answer is
//! 415 in the words of Connect, which is what their clients read (E-3).
//!
//! Not here: which implementation answers (`route` in the gateway).

use tandem_contract::directory::{Audience, Directory, MethodIndex, RestMatch};

use crate::CallerProtocol;
use crate::refusal::{Instead, Reason, Refusal, Shape, Violation};

/// What detection looks at. `strict` has passed it.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub http_method: &'a str,
    /// Raw, without the query.
    pub path: &'a str,
    /// Raw, without the `?`.
    pub query: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub http2: bool,
}

/// A call that is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Detected {
    pub protocol: CallerProtocol,
    pub method: MethodIndex,
    pub codec: Codec,
    /// For REST.
    pub binding: Option<Binding>,
}

/// How the messages of a call are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Proto,
    Json,
}

/// The rule that a REST request means, and what its path says.
#[derive(Debug, PartialEq, Eq)]
pub struct Binding {
    /// Index into the method's rules.
    pub rule: usize,
    /// In the order of the rule's variables.
    pub values: Vec<String>,
}

/// A refusal and in whose words to say it.
#[derive(Debug, PartialEq, Eq)]
pub struct Undetected {
    pub refusal: Refusal,
    pub shape: Shape,
}

/// Finds protocol and method.
///
/// # Errors
/// No such method, a wrong HTTP method, a media type that is not served, a malformed path, gRPC
/// on HTTP/1.1.
pub fn detect(
    directory: &Directory,
    head: &Head<'_>,
    audience: Audience<'_>,
) -> Result<Detected, Box<Undetected>> {
    let refused = |shape, refusal| Err(Box::new(Undetected { refusal, shape }));
    let media = head.content_type.unwrap_or("");
    if media.starts_with("application/grpc") {
        let shape = Shape::Grpc;
        let codec = match media {
            "application/grpc" | "application/grpc+proto" => Codec::Proto,
            "application/grpc+json" => Codec::Json,
            _ => {
                let message = "this media type is not served here";
                return refused(shape, Refusal::media_type(GRPC_TYPES, message));
            }
        };
        if !head.http2 {
            let message = "gRPC needs HTTP/2";
            return refused(shape, Refusal::new(Reason::HttpVersion, message));
        }
        if head.http_method != "POST" {
            return refused(shape, wrong_method(vec!["POST".into()]));
        }
        return match directory.find_rpc(audience, head.path) {
            Some(method) => {
                Ok(Detected { protocol: CallerProtocol::Grpc, method, codec, binding: None })
            }
            None => refused(shape, Refusal::new(Reason::NotFound, "unknown method")),
        };
    }
    if directory.find_rpc(audience, head.path).is_some() {
        // The path of a method, and neither gRPC nor (yet) Connect.
        if head.http_method != "POST" {
            return refused(Shape::Connect, wrong_method(vec!["POST".into()]));
        }
        let message = "this media type is not served here; use application/grpc";
        return refused(Shape::Connect, Refusal::media_type(GRPC_TYPES, message));
    }
    let shape = if is_rpc_path(head.path) { Shape::Connect } else { Shape::Rest };
    let refused = |refusal| refused(shape, refusal);
    match directory.find_rest(audience, head.http_method, head.path) {
        RestMatch::Found { method, rule, values } => Ok(Detected {
            protocol: CallerProtocol::Rest,
            method,
            codec: Codec::Json,
            binding: Some(Binding { rule, values }),
        }),
        RestMatch::WrongMethod { allow } if head.http_method == "OPTIONS" => {
            let instead = Instead::Methods(allow);
            refused(Refusal { instead, ..Refusal::new(Reason::Options, "") })
        }
        RestMatch::WrongMethod { allow } => refused(wrong_method(allow)),
        RestMatch::NotFound => refused(Refusal::new(Reason::NotFound, "no such path")),
        RestMatch::Redirect => refused(Refusal {
            instead: Instead::Location(without_slash(head).into()),
            ..Refusal::new(Reason::Redirect, "")
        }),
        RestMatch::Malformed(fault) => refused(Refusal {
            violations: vec![Violation { field: String::new(), description: fault.to_string() }],
            ..Refusal::new(Reason::Malformed, fault.to_string())
        }),
    }
}

/// What is served on RPC paths.
const GRPC_TYPES: &str = "application/grpc, application/grpc+proto, application/grpc+json";

/// Whether a path has the form `/package.Service/Method`, served or not: who calls it reads
/// errors as Connect writes them (E-3). A package is part of it, so that `/books/list` is not one.
pub fn is_rpc_path(path: &str) -> bool {
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/'))
    else {
        return false;
    };
    let is_name = |name: &str| {
        name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    service.contains('.') && service.split('.').all(is_name) && is_name(method)
}

/// The same target without the slash at the path's end. It begins with one slash, so it stays at
/// the host that was asked.
fn without_slash(head: &Head<'_>) -> String {
    let path = head.path.strip_suffix('/').unwrap_or(head.path);
    match head.query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

fn wrong_method(allow: Vec<String>) -> Refusal {
    let message = "the path is known, this HTTP method is not";
    let instead = Instead::Methods(allow);
    Refusal { instead, ..Refusal::new(Reason::WrongMethod, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_e_3_the_form_of_a_path_says_who_reads_its_errors() {
        for (path, rpc) in [
            ("/test.v1.Notes/Get", true),
            ("/_a.B_2/_c", true),
            ("/test.v1.Notes/Get/", false),
            ("/test.v1.Notes/", false),
            ("/test.v1.Notes", false),
            ("/Notes/Get", false),
            ("/books/list", false),
            ("/v1.2/books", false),
            ("/a..b/C", false),
            ("/.b/C", false),
            ("/a.b./C", false),
            ("/a.b/C:verb", false),
            ("/a.b/%43", false),
            ("/a.b-c/D", false),
            ("//a.b/C", false),
            ("/", false),
            ("", false),
        ] {
            assert_eq!(is_rpc_path(path), rpc, "{path}");
        }
    }
}
