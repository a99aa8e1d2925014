//! Both sides of every limit of the documents: the last value that passes, the first that does
//! not (security LI-33, LI-35).

use std::collections::BTreeMap;

use tandem_config::load::from_texts;
use tandem_config::{Problem, Tnd, check};

const PLATFORM: &str = "\
format: 1
listen: { public: { address: 127.0.0.1:8080 } }
namespaces: { shop: { may: { services: [a.B], upstreams: [\"10.0.0.0/8:*\"], public_methods: true } } }
";

const TEAM: &str = "\
namespace: shop
contract: { reflection: go }
defaults: { auth: { public: true } }
methods: { a.B/*: {} }
upstreams:
  go: { address: 10.0.0.1:1 }
";

fn problems(platform: &str, team: &str) -> Vec<Problem> {
    match from_texts(platform, &[("teams/shop.yaml", team)]) {
        Ok(loaded) => check(&loaded, &BTreeMap::new()),
        Err(problems) => problems,
    }
}

/// The codes that a team's file with these lines behind it gets.
fn team_codes(lines: &str) -> Vec<Tnd> {
    problems(PLATFORM, &format!("{TEAM}{lines}")).iter().map(|problem| problem.code).collect()
}

#[test]
fn security_li_35_every_limit_of_the_platform_has_two_sides() {
    let table = [
        ("connections", ["31", "32"], ["1000000", "1000001"]),
        ("connections_per_source", ["0", "1"], ["1000000", "1000001"]),
        ("head_read", ["99ms", "100ms"], ["300s", "301s"]),
        ("keep_alive", ["99ms", "100ms"], ["1h", "61m"]),
        ("body_pace", ["0KiB/s", "1KiB/s"], ["1024MiB/s", "1025MiB/s"]),
        ("body_pace_after", ["99ms", "100ms"], ["60s", "61s"]),
        ("stalled_write", ["99ms", "100ms"], ["600s", "601s"]),
        ("uri", ["0KiB", "1KiB"], ["64KiB", "65KiB"]),
        ("headers", ["7", "8"], ["1000", "1001"]),
        ("header_bytes", ["0KiB", "1KiB"], ["256KiB", "257KiB"]),
        ("message", ["0KiB", "1KiB"], ["256MiB", "257MiB"]),
        ("json_depth", ["0", "1"], ["100", "101"]),
        ("json_nodes", ["0", "1"], ["10000000", "10000001"]),
        ("streams", ["0", "1"], ["10000", "10001"]),
        ("stream_window", ["0KiB", "1KiB"], ["16MiB", "17MiB"]),
        ("connection_window", ["63KiB", "64KiB"], ["256MiB", "257MiB"]),
        ("resets", ["0", "1"], ["10000", "10001"]),
        ("requests_per_connection", ["0", "1"], ["1000000000", "1000000001"]),
        ("connection_age", ["99ms", "100ms"], ["24h", "1441m"]),
        ("unary", ["0ms", "1ms"], ["300s", "301s"]), // `unary_max` is 300 s
        ("unary_max", ["14s", "15s"], ["24h", "1441m"]), // `unary` is 15 s
        ("stream_idle", ["99ms", "100ms"], ["24h", "1441m"]),
    ];
    let codes = |key: &str, value: &str| -> Vec<Tnd> {
        let unary = if key == "unary_max" { ", unary: 15s" } else { "" };
        let platform = format!("{PLATFORM}limits: {{ {key}: {value}{unary} }}\n");
        problems(&platform, TEAM).iter().map(|problem| problem.code).collect()
    };
    for (key, [below, least], [most, above]) in table {
        assert_eq!(codes(key, below), [Tnd::OverLimit], "{key}: {below}");
        assert_eq!(codes(key, least), [], "{key}: {least}");
        assert_eq!(codes(key, most), [], "{key}: {most}");
        assert_eq!(codes(key, above), [Tnd::OverLimit], "{key}: {above}");
    }
}

#[test]
fn limits_that_nothing_enforces_yet_are_not_accepted() {
    for key in [
        "handshake: 5s",
        "ratio: 100",
        "json_out: 64MiB",
        "control_frames: 100/s",
        "buffers: 256MiB",
        "shared: redis://a",
    ] {
        let found = problems(&format!("{PLATFORM}limits: {{ {key} }}\n"), TEAM);
        let codes: Vec<_> = found.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [Tnd::NotBuiltIn], "{key}");
    }
}

#[test]
fn threads_go_from_1_to_1024() {
    let good =
        |threads: &str| problems(&format!("{PLATFORM}threads: {threads}\n"), TEAM).is_empty();
    assert!(!good("0") && good("1") && good("1024") && !good("1025"));
}

#[test]
fn an_upstream_has_1_to_256_addresses_and_1_to_4_connections() {
    let upstream = |addresses: usize, connections: usize| {
        let addresses: Vec<_> = (1..=addresses).map(|port| format!("10.0.0.1:{port}")).collect();
        let addresses = addresses.join(", ");
        team_codes(&format!("  b: {{ address: [{addresses}], connections: {connections} }}\n"))
    };
    // Two upstreams and no primary: one problem that is not about limits.
    assert_eq!(upstream(1, 1), [Tnd::MissingKey]);
    assert_eq!(upstream(256, 4), [Tnd::MissingKey]);
    assert_eq!(upstream(257, 1), [Tnd::OverLimit]);
    assert_eq!(upstream(0, 1), [Tnd::WrongType]);
    assert_eq!(upstream(1, 0), [Tnd::OverLimit]);
    assert_eq!(upstream(1, 5), [Tnd::OverLimit]);
}

#[test]
fn names_have_1_to_63_letters() {
    let upstream = |name: &str| team_codes(&format!("  {name}: {{ address: 10.0.0.1:2 }}\n"));
    assert_eq!(upstream(&"a".repeat(63)), [Tnd::MissingKey]); // as above: no primary
    assert_eq!(upstream(&"a".repeat(64)), [Tnd::WrongType]);
    assert_eq!(upstream("\"\""), [Tnd::WrongType]);
}

#[test]
fn a_team_goes_lower_than_the_platform_and_never_higher() {
    let rules = |rules: &str| {
        let team = TEAM.replace("{ auth:", &format!("{{ {rules}, auth:"));
        problems(PLATFORM, &team).iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(rules("limits: { message: 4MiB }"), []);
    assert_eq!(rules("limits: { message: 4097KiB }"), [Tnd::OverLimit]);
    assert_eq!(rules("deadline: { max: 300s }"), []);
    assert_eq!(rules("deadline: { max: 301s }"), [Tnd::OverLimit]);
    assert_eq!(rules("deadline: { default: 300s }"), []);
    assert_eq!(rules("deadline: { default: 301s }"), [Tnd::OverLimit]);
    assert_eq!(rules("deadline: { default: 2s, max: 2s }"), []);
    assert_eq!(rules("deadline: { default: 2001ms, max: 2s }"), [Tnd::OverLimit]);
}

#[test]
fn the_quota_of_a_document_counts_its_bytes() {
    let quota = PLATFORM.replace("may:", "quota: { document: 1KiB }, may:");
    let filled = |bytes: usize| format!("{TEAM}#{}", "x".repeat(bytes - TEAM.len() - 1));
    assert!(problems(&quota, &filled(1024)).is_empty());
    let found = problems(&quota, &filled(1025));
    assert_eq!(found[0].code, Tnd::OverLimit);
}

/// Whether the text is a tree: what is wrong with it then is found on the tree.
fn is_read(text: &str) -> bool {
    let found = problems(PLATFORM, text);
    assert!(!found.is_empty(), "the documents of these tests are not right");
    !found.iter().any(|problem| {
        problem.code == Tnd::OverLimit
            || problem.code == Tnd::NotYaml
            || problem.what.contains("merge keys")
    })
}

#[test]
fn security_li_33_a_file_has_at_most_a_mebibyte() {
    let filled = |bytes: usize| format!("x: 1\n#{}", "y".repeat(bytes - 6));
    assert!(is_read(&filled(1024 * 1024)));
    assert!(!is_read(&filled(1024 * 1024 + 1)));
}

#[test]
fn security_li_33_nesting_has_at_most_32_levels() {
    // The document itself is the first level.
    let flow = |lists: usize| format!("x: {}{}", "[".repeat(lists), "]".repeat(lists));
    assert!(is_read(&flow(31)));
    assert!(!is_read(&flow(32)));
    let block = |maps: usize| -> String {
        (0..maps).map(|level| format!("{}x:\n", " ".repeat(level))).collect()
    };
    assert!(is_read(&block(32)));
    assert!(!is_read(&block(33)));
}

#[test]
fn security_li_33_a_file_has_at_most_100_000_values() {
    // The group, the key and the list are values as well.
    let list = |items: usize| format!("x: [{}]", vec!["1"; items].join(","));
    assert!(is_read(&list(100_000 - 3)));
    assert!(!is_read(&list(100_000 - 2)));
}

#[test]
fn security_li_33_a_file_has_at_most_100_aliases() {
    let aliases = |number: usize| format!("x: [&a 1, {}]", vec!["*a"; number].join(","));
    assert!(is_read(&aliases(100)));
    assert!(!is_read(&aliases(101)));
}

#[test]
fn security_li_33_aliases_repeat_at_most_10_000_events() {
    // A list of 98 is 100 events: its two ends count.
    let repeated = |times: usize, items: usize| {
        let list = vec!["1"; items].join(",");
        format!("x: &a [{list}]\ny: [{}]", vec!["*a"; times].join(","))
    };
    assert!(is_read(&repeated(100, 98)));
    assert!(!is_read(&repeated(100, 99)));
}

#[test]
fn security_li_33_one_document_no_merge_keys_strict_booleans() {
    assert!(is_read("x: 1\n"));
    assert!(!is_read("x: 1\n---\nx: 1\n"));
    assert!(!is_read("x: &a { y: 1 }\nz: { <<: *a }\n"));
    let found = problems(PLATFORM, &TEAM.replace("public: true", "public: yes"));
    assert_eq!(found[0].code, Tnd::WrongType);
}

#[test]
fn json_is_read_wherever_yaml_is() {
    let team = r#"{"namespace": "shop", "contract": {"reflection": "go"},
        "defaults": {"auth": {"public": true}}, "methods": {"a.B/*": {}},
        "upstreams": {"go": {"address": ["10.0.0.1:1"]}}}"#;
    assert!(problems(PLATFORM, team).is_empty());
}
