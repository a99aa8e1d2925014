//! The page on the admin listener, out of the binary (security AD-4).
//!
//! What `./x` built into `web/dist` lies in the binary as gzip and in no other form: browsers take
//! it, and whoever does not gets it unpacked. Every answer carries the policy that forbids inline
//! scripts and styles and anything of another origin. The page holds no secret, so it needs no
//! token; everything that it shows it asks of the admin API, as whoever signed in. A binary built
//! without it says so.
//!
//! A build for release has the files in itself; a debug build reads them where they were built.
//!
//! Not here: who may speak to the listener at all (`admin::guard`), the API (`admin`).

use std::io::Read;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::read::GzDecoder;
use rust_embed::Embed;
use tandem_protocol::conditional;
use tandem_protocol::identity::hex;

/// The whole of what the page may load, run and be put into.
pub(crate) const POLICY: &str = "default-src 'self'; connect-src 'self'; frame-ancestors 'none'; \
                                 base-uri 'none'; form-action 'self'";

const NOT_BUILT: &str = "tandem was built without its page; the commands do the same, see \
                         `tandem --help`\n`./x build` builds it in, where Node is at hand\n";

/// Every file, as gzip, by its path.
#[derive(Embed)]
#[folder = "../../web/dist/gz"]
#[allow_missing = true]
struct Files;

/// Whether this binary has a page.
pub(crate) fn is_built() -> bool {
    Files::get("index.html").is_some()
}

/// The page, its files, and the page again for every other GET outside of `/api`: which screen a
/// path means is the page's own matter.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(index))
        .route("/mark.svg", get(async |headers: HeaderMap| file("mark.svg", &headers)))
        .route("/assets/{name}", get(asset))
        .fallback(screen)
}

async fn index(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{name}"), &headers)
}

async fn screen(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let of_api = uri.path() == "/api" || uri.path().starts_with("/api/");
    if of_api || !matches!(method, Method::GET | Method::HEAD) || !is_built() {
        return no_such_path();
    }
    file("index.html", &headers)
}

fn no_such_path() -> Response {
    (StatusCode::NOT_FOUND, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], "no such path\n")
        .into_response()
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    match Files::get(path) {
        Some(found) => answer(path, &found.data, found.metadata.sha256_hash(), headers),
        None if path == "index.html" => NOT_BUILT.into_response(),
        None => no_such_path(),
    }
}

fn answer(path: &str, packed: &[u8], digest: [u8; 32], headers: &HeaderMap) -> Response {
    // Weak: the same page goes out in two codings.
    let tag = format!("W/\"{}\"", hex(&digest[..16]));
    let tag = HeaderValue::from_str(&tag).expect("hex digits in quotes are a header's value");
    let mut response = if conditional::is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if takes_gzip(headers) {
        let coding = (header::CONTENT_ENCODING, "gzip");
        ([coding], packed.to_vec()).into_response()
    } else {
        match unpacked(packed) {
            Ok(plain) => plain.into_response(),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    let fixed = HeaderValue::from_static;
    let own = response.headers_mut();
    own.insert(header::CONTENT_TYPE, fixed(media(path)));
    own.insert(header::ETAG, tag);
    own.insert(header::VARY, fixed("accept-encoding"));
    own.insert(header::CACHE_CONTROL, fixed(keeping(path)));
    own.insert(header::CONTENT_SECURITY_POLICY, fixed(POLICY));
    own.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    own.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    response
}

/// Bytes that we packed ourselves, so nothing bounds what they become.
fn unpacked(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Whether gzip is named, or `*` is, and not with a weight of zero (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let (mut named, mut any) = (None, None);
    for line in headers.get_all(header::ACCEPT_ENCODING) {
        for element in line.to_str().unwrap_or("").split(',') {
            let mut parts = element.split(';').map(str::trim);
            let coding = parts.next().unwrap_or("").to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1");
            let taken = weight.trim().parse().is_ok_and(|weight: f32| weight > 0.0);
            match &*coding {
                "gzip" | "x-gzip" => named = Some(taken),
                "*" => any = Some(taken),
                _ => {}
            }
        }
    }
    named.or(any).unwrap_or(false)
}

fn media(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, kind)| kind) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// A file below `assets` has the digest of its content in its name.
fn keeping(path: &str) -> &'static str {
    if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::header::{ACCEPT_ENCODING, IF_NONE_MATCH};
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn sent(path: &str, text: &str, headers: &HeaderMap) -> Response {
        answer(path, &packed(text), [7; 32], headers)
    }

    fn asked(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (accept, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip, deflate, br, zstd", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, *", false),
            ("*;q=0", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&asked(ACCEPT_ENCODING, accept)), takes, "{accept}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn security_ad_4_every_answer_carries_the_policy() {
        for headers in [
            HeaderMap::new(),
            asked(ACCEPT_ENCODING, "gzip"),
            asked(IF_NONE_MATCH, "W/\"07070707070707070707070707070707\""),
        ] {
            let response = sent("index.html", "<!doctype html>", &headers);
            assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
            assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(response.headers()[header::REFERRER_POLICY], "no-referrer");
            assert_eq!(response.headers()[header::VARY], "accept-encoding");
        }
    }

    #[tokio::test]
    async fn the_same_page_goes_out_packed_and_unpacked() {
        let text = "<!doctype html>";
        let plain = sent("index.html", text, &HeaderMap::new());
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        assert_eq!(plain.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(body(plain).await, text.as_bytes());
        let coded = sent("index.html", text, &asked(ACCEPT_ENCODING, "gzip"));
        assert_eq!(coded.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(body(coded).await, packed(text));
    }

    #[tokio::test]
    async fn who_has_the_page_is_sent_nothing_and_only_named_files_are_kept() {
        let known = asked(IF_NONE_MATCH, "W/\"07070707070707070707070707070707\"");
        let response = sent("index.html", "x", &known);
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
        assert!(body(response).await.is_empty());
        let other = asked(IF_NONE_MATCH, "W/\"08\"");
        assert_eq!(sent("index.html", "x", &other).status(), StatusCode::OK);
        let kept = sent("assets/index-1.js", "x", &HeaderMap::new());
        assert_eq!(kept.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    }

    #[tokio::test]
    async fn a_path_of_the_api_and_a_write_never_get_the_page() {
        for (method, path) in [
            (Method::GET, "/api/v1/nothing"),
            (Method::GET, "/api"),
            (Method::POST, "/t/shop"),
            (Method::DELETE, "/"),
        ] {
            let uri = Uri::from_static(path);
            let response = screen(method.clone(), uri, HeaderMap::new()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn screens_get_the_page_and_without_one_the_binary_says_so() {
        let at = |path| screen(Method::GET, Uri::from_static(path), HeaderMap::new());
        let front = index(HeaderMap::new()).await;
        assert_eq!(front.status(), StatusCode::OK);
        if is_built() {
            assert_eq!(front.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
            let text = String::from_utf8(body(front).await).unwrap();
            assert!(text.contains("<div id=\"page\">"), "{text}");
            assert_eq!(body(at("/t/shop/settings").await).await, text.as_bytes());
        } else {
            assert_eq!(body(front).await, NOT_BUILT.as_bytes());
            assert_eq!(at("/t/shop/settings").await.status(), StatusCode::NOT_FOUND);
        }
    }

    #[tokio::test]
    async fn a_path_out_of_the_folder_is_no_file() {
        for name in ["../index.html", "..%2f..%2fpack.mjs", "../../../pack.mjs", "nothing.js", ""] {
            let response = asset(Path(name.to_owned()), HeaderMap::new()).await;
            let of_page = name == "../index.html" && response.status() == StatusCode::OK;
            assert!(of_page || response.status() == StatusCode::NOT_FOUND, "{name}");
        }
    }
}
