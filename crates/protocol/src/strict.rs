//! One canonical request out of the head of either HTTP version (security, section 6).
//!
//! After this check nobody reads the raw target, host or header text again: what is decided later
//! is decided on what leaves here.
//!
//! Sources: RFC 9110, sections 4.2 and 7.2; RFC 9113, section 8.3; security F-10, LI-8, LI-9.
//!
//! Not here: the grammar of HTTP/1 on the wire (`http1`).

use http::{HeaderMap, Method, Uri, header};

use crate::refusal::{Instead, Limit, Reason, Refusal};

/// Bounds of a head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    pub uri_bytes: usize,
    /// Segments of a path.
    pub segments: usize,
    /// Parameters of a query.
    pub query_keys: usize,
    pub headers: usize,
    /// Names and values together.
    pub header_bytes: usize,
}

impl Default for HeadLimits {
    fn default() -> HeadLimits {
        HeadLimits {
            uri_bytes: 8 * 1024,
            segments: 64,
            query_keys: 100,
            headers: 100,
            header_bytes: 16 * 1024,
        }
    }
}

/// A request that says one thing only.
#[derive(Debug, PartialEq, Eq)]
pub struct Canonical<'a> {
    /// Lower case; may carry a port. Empty only on HTTP/1.0.
    pub authority: String,
    /// Begins with `/`; not decoded.
    pub path: &'a str,
    pub query: Option<&'a str>,
}

/// Checks a head.
///
/// # Errors
/// 405 for CONNECT and TRACE, 414, 431, and 400 for everything that could be read in two ways.
pub fn check<'a>(
    method: &Method,
    uri: &'a Uri,
    headers: &HeaderMap,
    limits: &HeadLimits,
) -> Result<Canonical<'a>, Refusal> {
    let malformed = |what: &str| Refusal::new(Reason::Malformed, what);
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        let mut refusal = Refusal::new(Reason::WrongMethod, "this HTTP method is never served");
        refusal.instead = Instead::Methods(vec!["GET".into(), "POST".into()]);
        return Err(refusal);
    }
    framing(headers).map_err(malformed)?;
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > limits.uri_bytes {
        let message = format!("the target has more than {} bytes", limits.uri_bytes);
        return Err(Refusal::new(Reason::UriTooLong, message).over(Limit::Uri));
    }
    if headers.len() > limits.headers {
        let message = format!("more than {} headers", limits.headers);
        return Err(Refusal::new(Reason::HeadTooLarge, message).over(Limit::Headers));
    }
    let header_bytes: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > limits.header_bytes {
        let message = format!("more than {} bytes of headers", limits.header_bytes);
        return Err(Refusal::new(Reason::HeadTooLarge, message).over(Limit::HeaderBytes));
    }
    let (path, query) = (uri.path(), uri.query());
    if !path.starts_with('/') {
        return Err(malformed("the target does not begin with a slash"));
    }
    if path.bytes().filter(|byte| *byte == b'/').count() > limits.segments {
        let message = format!("the path has more than {} segments", limits.segments);
        return Err(malformed(&message).over(Limit::Uri));
    }
    let keys = query.map_or(0, |query| query.split('&').filter(|pair| !pair.is_empty()).count());
    if keys > limits.query_keys {
        let message = format!("more than {} parameters", limits.query_keys);
        return Err(malformed(&message).over(Limit::Uri));
    }
    let authority = authority(uri, headers).map_err(malformed)?;
    Ok(Canonical { authority, path, query })
}

/// One way to say where the body ends (security H-1, H-3). The engine has its own rules; what it
/// lets pass and another program could read otherwise is refused here.
fn framing(headers: &HeaderMap) -> Result<(), &'static str> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if coding.as_bytes() != b"chunked" || codings.next().is_some() {
        return Err("a transfer coding other than one `chunked`");
    }
    if headers.contains_key(header::CONTENT_LENGTH) {
        return Err("both a length and a transfer coding");
    }
    Ok(())
}

/// The one authority that target and `Host` agree on.
fn authority(uri: &Uri, headers: &HeaderMap) -> Result<String, &'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match hosts.next() {
        Some(host) => {
            let host = host.to_str().map_err(|_error| "the host is no text")?;
            Some(host.to_ascii_lowercase())
        }
        None => None,
    };
    if hosts.next().is_some() {
        return Err("two hosts");
    }
    let target = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
    let authority = match (target, host) {
        (Some(target), Some(host)) if target != host => {
            return Err("the target and Host name different hosts");
        }
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err("no host"),
    };
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:[]%!$&'()*+;=".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(lawful) {
        return Err("the host is malformed");
    }
    // A name that ends with its root's dot is the same name.
    Ok(match authority.strip_suffix('.') {
        Some(without) => without.to_owned(),
        None => authority.replace(".:", ":"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(uri: &str, hosts: &[&str]) -> Result<String, Reason> {
        let uri: Uri = uri.parse().unwrap();
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        check(&Method::GET, &uri, &headers, &HeadLimits::default())
            .map(|canonical| canonical.authority)
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn security_f_10_a_request_names_one_host_once() {
        for (uri, hosts, expected) in [
            ("/v1", &["a.example"][..], Ok("a.example")),
            ("/v1", &["A.Example:8080"], Ok("a.example:8080")),
            ("/v1", &["a.example."], Ok("a.example")),
            ("/v1", &["a.example.:80"], Ok("a.example:80")),
            ("/v1", &["[::1]:80"], Ok("[::1]:80")),
            ("http://a.example/v1", &[], Ok("a.example")),
            ("http://a.example/v1", &["A.EXAMPLE"], Ok("a.example")),
            ("http://a.example/v1", &["b.example"], Err(Reason::Malformed)),
            ("http://a.example/v1", &["a.example:80"], Err(Reason::Malformed)),
            ("http://user@a.example/v1", &[], Err(Reason::Malformed)),
            ("/v1", &[], Err(Reason::Malformed)),
            ("/v1", &["a", "a"], Err(Reason::Malformed)),
            ("/v1", &["a,b"], Err(Reason::Malformed)),
            ("/v1", &["a/b@c"], Err(Reason::Malformed)),
            ("/v1", &["user@a"], Err(Reason::Malformed)),
            ("/v1", &[""], Err(Reason::Malformed)),
            ("*", &["a"], Err(Reason::Malformed)),
        ] {
            assert_eq!(of(uri, hosts), expected.map(str::to_owned), "{uri} {hosts:?}");
        }
    }

    #[test]
    fn security_h_1_and_h_3_one_way_to_frame_a_body() {
        let judge = |pairs: &[(header::HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            framing(&headers).is_ok()
        };
        let (coding, length) = (header::TRANSFER_ENCODING, header::CONTENT_LENGTH);
        assert!(judge(&[(coding.clone(), "chunked")]));
        assert!(judge(&[(length.clone(), "1")]));
        for bad in ["Chunked", "gzip, chunked", ",chunked", "identity", ""] {
            assert!(!judge(&[(coding.clone(), bad)]), "{bad}");
        }
        assert!(!judge(&[(coding.clone(), "chunked"), (coding.clone(), "chunked")]));
        assert!(!judge(&[(length, "1"), (coding, "chunked")]));
    }

    #[test]
    fn security_h_2_connect_and_trace_are_never_served() {
        for method in [Method::CONNECT, Method::TRACE] {
            let uri: Uri = "/".parse().unwrap();
            let refusal = check(&method, &uri, &HeaderMap::new(), &HeadLimits::default());
            assert_eq!(refusal.unwrap_err().reason, Reason::WrongMethod);
        }
    }

    #[test]
    fn security_li_8_the_last_target_that_passes_and_the_first_that_does_not() {
        let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        assert!(of(&path(8 * 1024), &["h"]).is_ok());
        assert_eq!(of(&path(8 * 1024 + 1), &["h"]), Err(Reason::UriTooLong));
        assert!(of(&"/a".repeat(64), &["h"]).is_ok());
        assert_eq!(of(&"/a".repeat(65), &["h"]), Err(Reason::Malformed));
        assert!(of(&format!("/?{}", vec!["k=v"; 100].join("&")), &["h"]).is_ok());
        assert_eq!(
            of(&format!("/?{}", vec!["k=v"; 101].join("&")), &["h"]),
            Err(Reason::Malformed)
        );
    }

    #[test]
    fn security_li_9_the_last_head_that_passes_and_the_first_that_does_not() {
        let uri: Uri = "http://h/".parse().unwrap();
        let judge = |headers: &HeaderMap| {
            check(&Method::GET, &uri, headers, &HeadLimits::default())
                .map(drop)
                .map_err(|refusal| refusal.reason)
        };
        let mut headers = HeaderMap::new();
        for _ in 0..100 {
            headers.append("x-a", HeaderValue::from_static("v"));
        }
        assert_eq!(judge(&headers), Ok(()));
        headers.append("x-a", HeaderValue::from_static("v"));
        assert_eq!(judge(&headers), Err(Reason::HeadTooLarge));
        let mut headers = HeaderMap::new();
        let value = |bytes| HeaderValue::from_str(&"v".repeat(bytes)).unwrap();
        headers.insert("x-a", value(16 * 1024 - 3));
        assert_eq!(judge(&headers), Ok(()));
        headers.insert("x-a", value(16 * 1024 - 2));
        assert_eq!(judge(&headers), Err(Reason::HeadTooLarge));
    }
}
