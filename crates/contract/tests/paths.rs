//! What a path means: one table a rule (protocols P), hostile paths (security N-1), and any rules
//! and paths against a naive reading.

#[path = "checks/path_template.rs"]
mod rules;

use std::collections::BTreeSet;

use proptest::prelude::*;
use tandem_contract::HttpMethod;
use tandem_contract::directory::Directory;
use tandem_contract::http_rule::path::{EncodedSlash, PathSwitches, TrailingSlash};

use self::rules::Meaning;

const STRICT: PathSwitches =
    PathSwitches { encoded_slash: EncodedSlash::Refuse, trailing_slash: TrailingSlash::NotFound };
const DECODE: PathSwitches = PathSwitches { encoded_slash: EncodedSlash::Decode, ..STRICT };
const REDIRECT: PathSwitches = PathSwitches { trailing_slash: TrailingSlash::Redirect, ..STRICT };

fn rule(text: &str) -> (HttpMethod, String) {
    let (http_method, template) = text.split_once(' ').expect("a method and a template");
    (HttpMethod::of_kind(http_method).expect("a method"), template.to_owned())
}

/// The directory of rules like `GET /v1/{f0}`; a rule is called by its number.
fn directory(rules: &[&str], switches: PathSwitches) -> Directory {
    let rules: Vec<_> = rules.iter().map(|text| rule(text)).collect();
    let (contract, faults) = rules::served(&rules);
    assert_eq!(faults, []);
    rules::directory(&contract, switches).expect("no rules are equal")
}

/// `0 a|b` for the rule 0 with two values; `400`, `404`, `308`; `405 GET HEAD OPTIONS`.
fn said(directory: &Directory, request: &str) -> String {
    let (http_method, path) = request.split_once(' ').expect("a method and a path");
    match rules::meant(directory, http_method, path) {
        Meaning::Found { rule, values } if values.is_empty() => rule.to_string(),
        Meaning::Found { rule, values } => format!("{rule} {}", values.join("|")),
        Meaning::WrongMethod(allow) => format!("405 {}", allow.join(" ")),
        Meaning::NotFound => "404".into(),
        Meaning::Redirect => "308".into(),
        Meaning::Malformed => "400".into(),
    }
}

#[track_caller]
fn check(rules: &[&str], switches: PathSwitches, table: &[(&str, &str)]) {
    let directory = directory(rules, switches);
    for (request, expected) in table {
        assert_eq!(said(&directory, request), *expected, "{request}");
    }
}

#[test]
fn protocols_p_1_a_star_is_one_segment_that_is_not_empty() {
    check(
        &["GET /v1/{f0}", "GET /v2/{f0=*}", "GET /v3/*/x", "GET /v4/{f0}/{f1}"],
        STRICT,
        &[
            ("GET /v1/a", "0 a"),
            ("GET /v1", "404"),
            ("GET /v1/", "404"),
            ("GET /v1/a/b", "404"),
            ("GET /v2/a", "1 a"),
            ("GET /v2", "404"),
            ("GET /v2/a/b", "404"),
            ("GET /v3/a/x", "2"),
            ("GET /v3/x", "404"),
            ("GET /v3//x", "400"),
            ("GET /v4/a/b", "3 a|b"),
            ("GET /v4/a", "404"),
        ],
    );
}

#[test]
fn protocols_p_2_two_stars_are_any_number_of_segments() {
    check(
        &["GET /v1/{f0=**}", "GET /v2/{f0}/**", "GET /v3/{f0=**}:go", "GET /v4/{f0=a/**}"],
        STRICT,
        &[
            ("GET /v1", "0 "),
            ("GET /v1/a", "0 a"),
            ("GET /v1/a/b/c", "0 a/b/c"),
            ("GET /v1/", "404"),
            ("GET /v1/a/", "404"),
            ("GET /v2", "404"),
            ("GET /v2/a", "1 a"),
            ("GET /v2/a/b/c", "1 a"),
            ("GET /v3:go", "2 "),
            ("GET /v3/a/b:go", "2 a/b"),
            ("GET /v3/:go", "404"),
            ("GET /v3/a/:go", "404"),
            ("GET /v4/a", "3 a"),
            ("GET /v4/a/b/c", "3 a/b/c"),
            ("GET /v4/b", "404"),
        ],
    );
    check(&["GET /**"], STRICT, &[("GET /", "0"), ("GET /a/b", "0"), ("GET //", "400")]);
    check(&["GET /"], STRICT, &[("GET /", "0"), ("GET /a", "404"), ("GET a", "400")]);
}

#[test]
fn protocols_p_3_a_capture_is_the_matched_text() {
    check(
        &["GET /v1/{f0=shelves/*/books/*}", "GET /v1/{f1}/{f2=*}", "GET /v1/{f3=x/*}/{f4=y/**}"],
        STRICT,
        &[
            ("GET /v1/shelves/1/books/2", "0 shelves/1/books/2"),
            ("GET /v1/shelves/1", "1 shelves|1"),
            ("GET /v1/shelves/1/books", "404"),
            ("GET /v1/shelves/1/boxes/2", "404"),
            ("GET /v1/x/1/y", "2 x/1|y"),
            ("GET /v1/x/1/y/2/3", "2 x/1|y/2/3"),
            ("GET /v1/a%20b/c%2Bd", "1 a b|c+d"),
            ("GET /v1/%73helves/1/b%6Foks/2", "0 shelves/1/books/2"),
        ],
    );
}

#[test]
fn protocols_p_4_odd_paths_are_400_whether_they_mean_something_or_not() {
    let odd =
        ["//", "/v1//a", "/v1/./a", "/v1/%2e%2e", "/v1/%00", "/v1/%zz", "/v1/%", "/v1/%c0%af"];
    for rules in [&["GET /{f0=**}"][..], &["GET /other"]] {
        let table: Vec<_> = odd.iter().map(|path| (format!("GET {path}"), "400")).collect();
        let table: Vec<_> = table.iter().map(|(request, said)| (&**request, *said)).collect();
        check(rules, DECODE, &table);
    }
}

const SLASHES: [&str; 3] = ["GET /v1/{f0}", "GET /v2/{f0=**}", "GET /v3/{f0=a/*}/{f1}"];

#[test]
fn protocols_p_5_an_encoded_slash_is_400_unless_the_method_decodes_it() {
    check(
        &SLASHES,
        STRICT,
        &[
            ("GET /v1/a%2Fb", "400"),
            ("GET /v2/a%2fb", "400"),
            ("GET /nothing/a%2Fb", "400"),
            ("PUT /v1/a%2Fb", "400"),
            ("GET /v1/a%252Fb", "0 a%2Fb"),
        ],
    );
    check(
        &SLASHES,
        DECODE,
        &[
            ("GET /v1/a%2Fb", "0 a/b"),
            ("GET /v1/%2F", "0 /"),
            ("GET /v1/a%252Fb", "0 a%2Fb"),
            ("GET /v2/a%2Fb%20c/d", "1 a%2Fb c/d"),
            ("GET /v2/a%2fb", "1 a%2fb"),
            ("GET /v3/a/b%2Fc/d%2Fe", "2 a/b%2Fc|d/e"),
            // It is no slash, so it separates nothing.
            ("GET /v1%2Fa", "400"),
            ("GET /v3%2Fa/b/c", "400"),
            ("GET /nothing/a%2Fb", "400"),
            ("PUT /v1/a%2Fb", "405 GET HEAD OPTIONS"),
            ("GET /v1/..%2Fb", "400"),
            ("GET /v2/a%2F%2e%2e", "400"),
        ],
    );
}

#[test]
fn protocols_p_6_plus_and_semicolon_are_letters_and_literals_are_decoded() {
    check(
        &["GET /v1/caf%C3%A9/{f0}", "GET /v1/a+b;c/{f0}", "GET /v1/x:%C3%A9", "GET /V1/a"],
        DECODE,
        &[
            ("GET /v1/caf%c3%a9/a+b;c", "0 a+b;c"),
            ("GET /v1/café/%2B", "0 +"),
            ("GET /v1/Caf%C3%A9/a", "404"),
            ("GET /v1/a%2Bb%3Bc/%3D", "1 ="),
            ("GET /v1/a b;c/x", "404"),
            ("GET /v1/x:é", "2"),
            ("GET /v1/%78:%C3%A9", "2"),
            ("GET /v1/a", "404"),
            ("GET /V1/a", "3"),
            ("GET /%561/%61", "3"),
        ],
    );
    check(&SLASHES, STRICT, &[("GET /v1/a%5Cb", "400"), ("GET /v1/a\\b", "400")]);
    check(
        &SLASHES,
        DECODE,
        &[
            ("GET /v1/a%5Cb", "0 a\\b"),
            ("GET /v2/a%5cb/%5C", "1 a\\b/\\"),
            ("GET /v1/a\\b", "400"),
            ("GET /v1/..%5Cb", "400"),
        ],
    );
}

#[test]
fn protocols_p_7_a_verb_is_one_only_where_a_rule_has_it() {
    check(
        &[
            "GET /v1/{f0=p/*}",
            "POST /v1/{f0=p/*}:go",
            "GET /v1/all:list",
            "GET /v1/{f0=deep/**}:history",
            "GET /:ping",
        ],
        STRICT,
        &[
            ("POST /v1/p/a:go", "1 p/a"),
            ("GET /v1/p/a:other", "0 p/a:other"),
            ("GET /v1/p/a%3Ago", "0 p/a:go"),
            ("POST /v1/p/a:b:go", "1 p/a:b"),
            ("GET /v1/p/a:", "0 p/a:"),
            ("GET /v1/p/:go", "0 p/:go"),
            ("POST /v1/p/a:%67o", "1 p/a"),
            // The verb is known, so it is no part of a value, whatever the method.
            ("GET /v1/p/a:go", "405 OPTIONS POST"),
            ("GET /v1/p:go/a", "404"),
            ("GET /v1/all:list", "2"),
            ("GET /v1/all:other", "404"),
            ("GET /v1/all", "404"),
            ("GET /v1/deep/a/b:history", "3 deep/a/b"),
            ("GET /v1/deep:history", "3 deep"),
            ("GET /v1/deep/a/b", "404"),
            ("GET /:ping", "4"),
            ("GET /:pong", "404"),
            ("GET /", "404"),
        ],
    );
}

#[test]
fn protocols_p_8_the_more_exact_rule_wins_in_any_order() {
    let mut all = [
        "GET /v1/{f0}",
        "GET /v1/exact",
        "GET /v1/{f0=**}",
        "GET /v1/exact/{f0}",
        "GET /v1/*/b/*",
        "GET /v1/a/*/c",
        "GET /v1/{f0=**}:go",
        "GET /v1/exact:go",
    ];
    for _ in 0..all.len() {
        all.rotate_left(1);
        let directory = directory(&all, STRICT);
        for (request, template) in [
            ("GET /v1/exact", "GET /v1/exact"),
            ("GET /v1/other", "GET /v1/{f0}"),
            ("GET /v1/other/deeper", "GET /v1/{f0=**}"),
            ("GET /v1", "GET /v1/{f0=**}"),
            ("GET /v1/exact/one", "GET /v1/exact/{f0}"),
            ("GET /v1/exact/one/two", "GET /v1/{f0=**}"),
            // Where a preferred branch leads nowhere the walk comes back.
            ("GET /v1/a/b/c", "GET /v1/a/*/c"),
            ("GET /v1/a/b/d", "GET /v1/*/b/*"),
            ("GET /v1/a/x/d", "GET /v1/{f0=**}"),
            ("GET /v1/exact:go", "GET /v1/exact:go"),
            ("GET /v1/other:go", "GET /v1/{f0=**}:go"),
            ("GET /v1/other:no", "GET /v1/{f0}"),
        ] {
            let found = said(&directory, request);
            let number = found.split(' ').next().and_then(|number| number.parse::<usize>().ok());
            assert_eq!(number.map(|number| all[number]), Some(template), "{request} {all:?}");
        }
    }
}

#[test]
fn protocols_p_8_equal_rules_are_refused_naming_both() {
    for (one, other, equal) in [
        ("GET /v1/{f0}", "GET /v1/{f1}", true),
        ("GET /v1/{f0}", "GET /v1/*", true),
        ("GET /v1/{f0=a/*}", "GET /v1/a/{f1}", true),
        ("GET /v1/a", "GET /v1/%61", true),
        ("GET /v1/{f0=**}:go", "GET /v1/**:%67o", true),
        ("PURGE /v1/a", "PURGE /v1/a", true),
        ("* /v1/a", "* /v1/a", true),
        ("GET /v1/a", "POST /v1/a", false),
        ("GET /v1/a", "* /v1/a", false),
        ("GET /v1/a", "HEAD /v1/a", false),
        ("GET /v1/{f0}", "GET /v1/a", false),
        ("GET /v1/{f0}", "GET /v1/{f0=**}", false),
        ("GET /v1/{f0}", "GET /v1/{f0}:go", false),
        ("GET /v1/%2A", "GET /v1/*", false),
    ] {
        let (contract, _) = rules::served(&[rule(one), rule(other)]);
        match rules::directory(&contract, STRICT) {
            Ok(_) => assert!(!equal, "{one} and {other}"),
            Err(faults) => {
                assert!(equal, "{one} and {other}: {faults:?}");
                assert_eq!(faults.len(), 1);
                assert_eq!((&*faults[0].first.1, &*faults[0].second.1), ("t.S/M0", "t.S/M1"));
                assert_eq!(faults[0].what, other);
            }
        }
    }
}

#[test]
fn protocols_p_9_a_known_path_tells_its_methods() {
    check(
        &[
            "GET /v1/a",
            "POST /v1/a",
            "DELETE /v1/{f0}",
            "PURGE /v1/{f0}",
            "HEAD /v2/a",
            "GET /v2/a",
            "* /v3/a",
            "GET /v3/a",
            "OPTIONS /v4/a",
            "PUT /v4/a",
        ],
        STRICT,
        &[
            ("PUT /v1/a", "405 DELETE GET HEAD OPTIONS POST PURGE"),
            ("PUT /v1/b", "405 DELETE OPTIONS PURGE"),
            ("OPTIONS /v1/b", "405 DELETE OPTIONS PURGE"),
            ("PUT /v1", "404"),
            // A more exact rule of another method does not hide one that would serve.
            ("DELETE /v1/a", "2 a"),
            ("PURGE /v1/a", "3 a"),
            ("purge /v1/a", "405 DELETE GET HEAD OPTIONS POST PURGE"),
            ("HEAD /v1/a", "0"),
            ("HEAD /v1/b", "405 DELETE OPTIONS PURGE"),
            ("HEAD /v2/a", "4"),
            ("GET /v2/a", "5"),
            ("GET /v3/a", "7"),
            ("HEAD /v3/a", "7"),
            ("POST /v3/a", "6"),
            ("ANYTHING /v3/a", "6"),
            ("OPTIONS /v3/a", "6"),
            ("OPTIONS /v4/a", "8"),
            ("GET /v4/a", "405 OPTIONS PUT"),
        ],
    );
}

#[test]
fn protocols_p_10_a_trailing_slash_is_never_a_silent_match() {
    let rules = ["GET /v1/{f0=**}", "GET /v1/a", "GET /", "POST /v1/b:go"];
    for (request, strict, redirect) in [
        ("GET /v1/a/", "404", "308"),
        ("GET /v1/", "404", "308"),
        ("GET /v1/x/y/", "404", "308"),
        ("GET /", "2", "2"),
        ("GET //", "400", "400"),
        ("GET /v1//", "400", "400"),
        ("GET /v2/", "404", "404"),
        ("PUT /v1/a/", "404", "404"),
        ("OPTIONS /v1/a/", "404", "404"),
        ("HEAD /v1/a/", "404", "308"),
        ("POST /v1/b:go/", "404", "308"),
        ("GET /v1/a%2Fb/", "400", "400"),
    ] {
        assert_eq!(said(&directory(&rules, STRICT), request), strict, "{request}");
        assert_eq!(said(&directory(&rules, REDIRECT), request), redirect, "{request}");
    }
}

/// What a piece of a path is in a segment.
struct Piece {
    raw: &'static str,
    /// As data; `None` is refused wherever it stands.
    text: Option<&'static str>,
    /// As part of several segments that are captured; where it differs.
    many: &'static str,
    /// It holds an encoded slash or backslash.
    held: bool,
    /// It may be a whole segment.
    alone: bool,
}

const BAD: Piece = Piece { raw: "", text: None, many: "", held: false, alone: true };

fn pieces() -> Vec<Piece> {
    let bad = [
        "%00",
        "%01",
        "%09",
        "%0a",
        "%0d",
        "%0D%0A",
        "%1b",
        "%1F",
        "%7f",
        "%7F",
        "\u{1}",
        "\u{7f}",
        "\t",
        "%",
        "%2",
        "%zz",
        "%g0",
        "%0g",
        "%%",
        "%%32",
        "%u002e",
        "%+1",
        "% 2",
        "%-1",
        "%c0%af",
        "%c0%ae%c0%ae",
        "%e0%80%af",
        "%f0%80%80%af",
        "%ff",
        "%fe",
        "%80",
        "%bf",
        "%ed%a0%80",
        "%f8%88%80%80%80",
        "%c3",
        "%e2%82",
        "%f4%90%80%80",
        "%c1%9c",
        "\\",
        "..\\",
        "\\..",
        "x%2F..%2Fy",
        "%2f.%2f",
        "x%5c..%5cy",
        "%2F%2e%2E%2F",
        "%2F%00",
        "%5C%ff",
    ];
    let dots = [
        (".", "."),
        ("..", ".."),
        ("%2e", "."),
        ("%2E", "."),
        ("%2e%2e", ".."),
        (".%2e", ".."),
        ("%2E.", ".."),
    ];
    let held = [
        ("%2F", "/", "%2F"),
        ("%2f", "/", "%2f"),
        ("%2F%2f", "//", "%2F%2f"),
        ("x%2Fy", "x/y", "x%2Fy"),
        ("%5C", "\\", "\\"),
        ("%5c%5C", "\\\\", "\\\\"),
        ("%2f%5c%20", "/\\ ", "%2f\\ "),
        ("%2F...%2F", "/.../", "%2F...%2F"),
    ];
    let data = [
        ("...", "..."),
        ("%2e%2e%2e", "..."),
        ("..;", "..;"),
        ("..%3b", "..;"),
        ("%25", "%"),
        ("%252e%252e", "%2e%2e"),
        ("%252F", "%2F"),
        ("%255c", "%5c"),
        ("%2500", "%00"),
        ("+", "+"),
        (";", ";"),
        (";x=1", ";x=1"),
        ("%3A", ":"),
        ("%3a%3A", "::"),
        ("%20", " "),
        ("~", "~"),
        ("%7E", "~"),
        ("@", "@"),
        ("!$&'()*,=", "!$&'()*,="),
        ("%3F", "?"),
        ("%23", "#"),
        ("%22", "\""),
        ("%3Cx%3E", "<x>"),
        ("*", "*"),
        ("**", "**"),
        ("%2A%2A", "**"),
        ("{f0}", "{f0}"),
        ("%7Bf0%7D", "{f0}"),
        ("é", "é"),
        ("%C3%A9", "é"),
        ("%c3%A9", "é"),
        ("%F0%9F%92%A9", "\u{1f4a9}"),
        ("%E2%80%AE", "\u{202e}"),
        ("%C2%85", "\u{85}"),
        ("%EF%BC%8F", "\u{ff0f}"),
        ("%E2%88%95", "\u{2215}"),
        ("%EF%BC%8E%EF%BC%8E", "\u{ff0e}\u{ff0e}"),
        ("%EF%BB%BF", "\u{feff}"),
    ];
    bad.into_iter()
        .map(|raw| Piece { raw, ..BAD })
        .chain(dots.into_iter().map(|(raw, text)| Piece {
            raw,
            text: Some(text),
            many: text,
            alone: false,
            ..BAD
        }))
        .chain(held.into_iter().map(|(raw, text, many)| Piece {
            raw,
            text: Some(text),
            many,
            held: true,
            ..BAD
        }))
        .chain(data.into_iter().map(|(raw, text)| Piece {
            raw,
            text: Some(text),
            many: text,
            ..BAD
        }))
        .collect()
}

#[test]
fn security_n_1_each_hostile_path_is_400_or_the_exact_method_and_values() {
    let rules =
        ["GET /v1/{f0}", "GET /v1/all/{f0=x/**}", "POST /v1/{f0}:go", "GET /v1/{f0}/{f1=*/z}"];
    /// What stands around a piece, whether it is a whole segment then, and what is meant by it as
    /// data; `<>` is the text in one segment, `<many>` that among several.
    const AROUND: [(&str, &str, &str, bool, &str); 10] = [
        ("GET", "/v1/", "", true, "0 <>"),
        ("GET", "/v1/a", "z", false, "0 a<>z"),
        ("GET", "/v1/all/x/", "", true, "1 x/<many>"),
        ("GET", "/v1/all/x/a", "z/y", false, "1 x/a<many>z/y"),
        ("GET", "/v1/", "/y/z", true, "3 <>|y/z"),
        ("GET", "/v1/y/", "/z", true, "3 y|<many>/z"),
        ("POST", "/v1/a", "z:go", false, "2 a<>z"),
        ("GET", "/v1/", "/", true, "404"),
        ("GET", "/v1/a", "z:go", false, "405 OPTIONS POST"),
        ("GET", "/v2/", "/x", true, "404 unknown"),
    ];
    let (strict, decode) = (directory(&rules, STRICT), directory(&rules, DECODE));
    let mut paths = BTreeSet::new();
    for Piece { raw, text, many, held, alone } in pieces() {
        for (http_method, before, behind, whole, meant) in AROUND {
            let request = format!("{http_method} {before}{raw}{behind}");
            let expected = match text {
                Some(text) if alone || !whole => meant.replace("<>", text).replace("<many>", many),
                _ => "400".to_owned(),
            };
            // A path that means nothing has no method to allow it.
            let (expected, unknown) = match expected.strip_suffix(" unknown") {
                Some(expected) => (expected.to_owned(), true),
                None => (expected, false),
            };
            let refused = "400".to_owned();
            let of_strict = if held { &refused } else { &expected };
            let of_decode = if held && unknown { &refused } else { &expected };
            assert_eq!(&said(&strict, &request), of_strict, "{request:?}");
            assert_eq!(&said(&decode, &request), of_decode, "decode: {request:?}");
            paths.insert(request);
        }
    }
    assert!(paths.len() >= 300, "only {} paths", paths.len());
}

/// A template of a tiny alphabet; each variable is a field of its own.
fn template() -> impl Strategy<Value = String> {
    let middle = prop::sample::select(vec!["a", "b", "%61", "*", "{}", "{=a/*}", "{=b}", "{=*/b}"]);
    let end = prop::sample::select(vec!["", "", "/**", "/{=**}", "/{=a/**}"]);
    let verb = prop::sample::select(vec!["", "", ":v", ":w", ":%76"]);
    (prop::collection::vec(middle, 0..4), end, verb).prop_map(|(middle, end, verb)| {
        let mut text: String = middle.iter().map(|segment| format!("/{segment}")).collect();
        text.push_str(end);
        if text.is_empty() {
            text.push('/');
        }
        text.push_str(verb);
        let mut parts = text.split('{');
        let mut named = parts.next().unwrap_or_default().to_owned();
        for (number, part) in parts.enumerate() {
            named.push_str(&format!("{{f{number}{part}"));
        }
        named
    })
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec![
        "a", "b", "c", "%61", "a:v", "b:w", "a:u", ":v", "a:", "a%3Av", "a:b:v", "b%2Fa", "%2f",
        "a%5C", "..", "%2e", "",
    ]);
    // Mostly plain segments, so that most paths mean something.
    let segment = prop_oneof![4 => prop::sample::select(vec!["a", "b"]), 1 => segment];
    let end = prop::sample::select(vec!["", "", "", ":v", ":w", "/"]);
    (prop::collection::vec(segment, 0..5), end)
        .prop_map(|(segments, end)| format!("/{}{end}", segments.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn protocols_p_8_the_directory_agrees_with_a_naive_reading_in_any_order(
        rules in prop::collection::vec(
            (prop::sample::select(vec!["GET", "GET", "POST", "HEAD", "*"]), template()),
            1..8,
        ).prop_shuffle(),
        requests in prop::collection::vec(
            (prop::sample::select(vec!["GET", "POST", "HEAD", "OPTIONS"]), path()),
            1..24,
        ),
    ) {
        let rules: Vec<_> = rules
            .into_iter()
            .map(|(method, text)| (HttpMethod::of_kind(method).expect("a method"), text))
            .collect();
        let requests: Vec<_> =
            requests.into_iter().map(|(method, path)| (method.to_owned(), path)).collect();
        rules::agree(&rules, &requests);
    }

    #[test]
    fn protocols_p_15_no_text_of_a_rule_stops_the_process(
        lines in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec![
                "/", "{", "}", "*", "**", ":", "=", ".", "%", "%2", "%61", "%2F", "%ff", "f0", "sub.f",
                "a", "é", "\\", " ", "{f0}", "{f1=a/*}",
            ]), 0..10),
            1..8,
        ),
    ) {
        let mut text = String::new();
        for line in lines {
            let line = line.concat();
            text.push_str(&format!("GET {line}\nGET /{line}\n> GET /{line}\n"));
        }
        rules::check(text.as_bytes());
    }
}
