//! Which rules a contract serves, and what is said of the others (protocols P-2, P-11 to P-15).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::Path;

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use tandem_contract::{BodyBinding, Contract, HttpMethod, RulePart, RuleText, TemplateSegment};

const TYPES: &str = r#"
syntax = "proto3"; package t;
import "google/api/annotations.proto"; import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto"; import "google/protobuf/field_mask.proto";
import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
enum E { A = 0; }
message In {
  string name = 1; string other = 2; Sub sub = 3; repeated string many = 4; map<string, string> map = 5;
  int64 number = 6; bool flag = 7; bytes raw = 8; double real = 9; E e = 10;
  google.protobuf.Timestamp at = 11; google.protobuf.Duration for = 12; google.protobuf.FieldMask mask = 13;
  google.protobuf.Int64Value wrapped = 14; google.protobuf.Struct struct = 15;
  oneof one { string left = 16; string right = 17; Sub inner = 18; }
}
message Sub { string name = 1; Sub sub = 2; oneof o { string a = 3; string b = 4; } }
message Out { Sub sub = 1; repeated Sub subs = 2; }
"#;

struct Text(String);

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// A contract whose service `t.S` has these methods.
fn contract(methods: &str) -> Contract {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text(format!("{TYPES} service S {{ {methods} }}")));
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    resolver.add(IncludeFileResolver::new(protos));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("test.proto").unwrap();
    Contract::from_descriptor_set(&compiler.encode_file_descriptor_set()).unwrap()
}

fn get(template: &str) -> RuleText {
    RuleText {
        http_method: HttpMethod::Get,
        template: template.into(),
        body: String::new(),
        response_body: String::new(),
    }
}

/// One method, and what may be said of it.
struct Method(Contract);

impl Method {
    fn new() -> Method {
        Method(contract("rpc M(In) returns (Out);"))
    }

    /// The rules that are served, with the columns and words of all that is wrong with the others.
    fn with(&self, rules: Vec<RuleText>) -> (Contract, Vec<(RulePart, usize, String)>) {
        let (id, _) = self.0.methods().next().unwrap();
        let (contract, faults) = self.0.with_rules([(id, rules)]);
        let faults = faults.into_iter().map(|one| {
            assert!(!one.fault.fix.is_empty(), "{one:?}");
            (one.fault.part, one.fault.column.unwrap(), one.fault.what)
        });
        let faults = faults.collect();
        (contract, faults)
    }

    /// `None` where the template is served; else columns, each with a part of what is said.
    #[track_caller]
    fn check(&self, template: &str, expected: &[(usize, &str)]) {
        let (contract, faults) = self.with(vec![get(template)]);
        let (_, method) = contract.methods().next().unwrap();
        assert_eq!(method.rules.len(), usize::from(expected.is_empty()), "{template}: {faults:?}");
        let columns: Vec<usize> = faults.iter().map(|(_, column, _)| *column).collect();
        let wanted: Vec<usize> = expected.iter().map(|(column, _)| *column).collect();
        assert_eq!(columns, wanted, "{template}: {faults:?}");
        for ((part, _, what), (_, words)) in faults.iter().zip(expected) {
            assert_eq!(*part, RulePart::Template, "{template}");
            assert!(what.contains(words), "{template}: {what}");
        }
    }
}

/// The grammar is a library's: what it takes and refuses is held here, with the place that is
/// ours, so that another version of it shows.
#[test]
fn protocols_p_2_and_p_15_odd_templates_are_taken_or_refused_at_their_letter() {
    let method = Method::new();
    for template in [
        "/",
        "/v1",
        "/*",
        "/**",
        "/v1/*/**",
        "/:verb",
        "/v1:verb",
        "/v1/**:verb",
        "/v1/{name}",
        "/v1/{name=*}",
        "/v1/{name=**}",
        "/v1/{name=**}:verb",
        "/v1/{name=a/*/b/**}",
        "/v1/{name=a:b}",
        "/v1/{name}/{other}:verb",
        "/-._~!$&'()+,;=@",
        "/v1/caf%C3%A9",
        "/v1/a:caf%C3%A9",
        "/v1/%2A",
        "/v1/...",
    ] {
        method.check(template, &[]);
    }
    for (template, column, words) in [
        ("", 1, "begin with '/'"),
        ("v1", 1, "begin with '/'"),
        ("{name}", 1, "begin with '/'"),
        ("//", 2, "empty path segment"),
        ("/v1//a", 5, "empty path segment"),
        ("/v1/", 5, "empty path segment"),
        ("/v1/:verb", 5, "empty path segment"),
        ("/v1/{name=}", 11, "empty path segment"),
        ("/v1/{name=a//b}", 13, "empty path segment"),
        ("/v1/{name=a/}", 13, "empty path segment"),
        ("/v1/{name", 5, "unbalanced"),
        ("/v1/name}", 9, "unbalanced"),
        ("/v1/{name}}", 11, "unbalanced"),
        ("/v1/{name={other}}", 11, "nested"),
        ("/v1/{name=a/{other}}", 13, "nested"),
        ("/v1/{}", 6, "empty field path"),
        ("/v1/{=*}", 6, "empty field path"),
        ("/v1/{name}/{}", 13, "empty field path"),
        ("/v1/{1}", 6, "invalid identifier"),
        ("/v1/{name}/{sub.a-b}", 17, "invalid identifier"),
        ("/v1/{sub.}", 10, "invalid identifier"),
        ("/v1/{.name}", 6, "invalid identifier"),
        ("/v1/{ name}", 6, "invalid identifier"),
        ("/v1/a b", 6, "invalid character"),
        ("/v1/a*b", 6, "invalid character"),
        ("/v1/***", 5, "invalid character"),
        ("/v1/{name}b", 5, "invalid character"),
        ("/v1/a{name}", 6, "invalid character"),
        ("/v1/{name=a*}", 12, "invalid character"),
        ("/v1/{name=a/*b}", 13, "invalid character"),
        ("/v1/a?b", 6, "invalid character"),
        ("/v1/café", 8, "invalid character"),
        ("/v1/a%2", 6, "invalid character"),
        ("/v1/a%zz", 6, "invalid character"),
        ("/v1/**/a", 5, "final segment"),
        ("/v1/**/**", 5, "final segment"),
        ("/v1/{name=**}/a", 11, "final segment"),
        ("/v1/{name=**/a}", 11, "final segment"),
        ("/v1/{name=**}/{other}", 11, "final segment"),
        ("/v1/a:", 6, "is empty"),
        ("/v1/a:b:c", 8, "more than one"),
        ("/v1/a:b/c", 8, "not a valid"),
        ("/v1:a/b", 6, "not a valid"),
        ("/v1/a:*", 7, "not a valid"),
        ("/v1/a:{name}", 7, "not a valid"),
        // What no path matches: ours, not the grammar's.
        ("/v1/.", 5, "no path matches the literal"),
        ("/v1/%2e%2E/a", 5, "no path matches the literal"),
        ("/v1/a%2Fb", 5, "no path matches the literal"),
        ("/v1/a%5cb", 5, "no path matches the literal"),
        ("/v1/a%00", 5, "no path matches the literal"),
        ("/v1/%ff", 5, "no path matches the literal"),
        ("/v1/{name=a/..}", 13, "no path matches the literal"),
        ("/v1/a:%0a", 7, "no path matches the verb"),
        ("/v1/a:..", 7, "no path matches the verb"),
    ] {
        method.check(template, &[(column, words)]);
    }
}

#[test]
fn protocols_p_11_a_path_binds_what_one_text_can_say_and_each_field_once() {
    let method = Method::new();
    for field in [
        "name",
        "number",
        "flag",
        "raw",
        "real",
        "e",
        "at",
        "for",
        "mask",
        "wrapped",
        "sub.name",
        "sub.sub.sub.name",
        "left",
        "inner.name",
    ] {
        method.check(&format!("/v1/{{{field}}}"), &[]);
    }
    for (template, expected) in [
        ("/v1/{many}", &[(6, "a list")][..]),
        ("/v1/{map}", &[(6, "a map")]),
        ("/v1/{sub}", &[(6, "a message")]),
        ("/v1/{struct}", &[(6, "a message")]),
        ("/v1/{nothing}", &[(6, "`t.In` has no field `nothing`")]),
        ("/v1/{sub.nothing}", &[(10, "`t.Sub` has no field `nothing`")]),
        ("/v1/{name.x}", &[(11, "only a singular message")]),
        ("/v1/{many.x}", &[(11, "only a singular message")]),
        ("/v1/{name}/{name}", &[(13, "bound twice")]),
        ("/v1/{sub.name}/{other}/{sub.name=a/*}", &[(25, "bound twice")]),
        ("/v1/{at}/{at.seconds}", &[(11, "bound twice")]),
        ("/v1/{at.seconds}/{at}", &[(19, "bound twice")]),
        ("/v1/{left}/{right}", &[(13, "members of one oneof")]),
        ("/v1/{left}/{inner.name}", &[(13, "members of one oneof")]),
        ("/v1/{inner.name}/{inner.sub.name}", &[]),
        ("/v1/{sub.a}/{sub.b}", &[(14, "members of one oneof")]),
        ("/v1/{sub.a}/{sub.sub.b}", &[]),
        (
            "/v1/{many}/{name}/{nothing}/{sub.no}",
            &[(6, "list"), (20, "no field"), (34, "no field")],
        ),
    ] {
        method.check(template, expected);
    }
    let depth = |steps: usize| format!("/v1/{{{}name}}", "sub.".repeat(steps - 1));
    method.check(&depth(32), &[]);
    method.check(&depth(33), &[(6 + 32 * 4, "more than 32 parts")]);
}

#[test]
fn a_template_has_at_most_64_segments_and_8_kib() {
    let method = Method::new();
    let of = |segments: usize| format!("/{}", vec!["a"; segments].join("/"));
    method.check(&of(64), &[]);
    method.check(&of(65), &[(1, "more than 64 segments")]);
    let long = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    method.check(&long(8 * 1024), &[]);
    method.check(&long(8 * 1024 + 1), &[(8 * 1024 + 1, "more than 8192 bytes")]);
}

#[test]
fn protocols_p_9_a_custom_kind_is_a_method_of_http() {
    for (kind, expected) in [
        ("*", Ok(HttpMethod::Any)),
        ("HEAD", Ok(HttpMethod::Custom("HEAD".into()))),
        ("OPTIONS", Ok(HttpMethod::Custom("OPTIONS".into()))),
        ("get", Ok(HttpMethod::Custom("get".into()))),
        ("M-SEARCH", Ok(HttpMethod::Custom("M-SEARCH".into()))),
        // One method, one rule: these have keys of their own.
        ("GET", Ok(HttpMethod::Get)),
        ("PUT", Ok(HttpMethod::Put)),
        ("POST", Ok(HttpMethod::Post)),
        ("DELETE", Ok(HttpMethod::Delete)),
        ("PATCH", Ok(HttpMethod::Patch)),
        ("", Err(1)),
        ("CONNECT", Err(1)),
        ("TRACE", Err(1)),
        ("A B", Err(2)),
        ("Aé", Err(2)),
        ("A\r\nB", Err(2)),
        ("A/B", Err(2)),
        ("ABCDEFGHIJKLMNOPQRSTUVWX", Ok(HttpMethod::Custom("ABCDEFGHIJKLMNOPQRSTUVWX".into()))),
        ("ABCDEFGHIJKLMNOPQRSTUVWXY", Err(25)),
    ] {
        let found = HttpMethod::of_kind(kind).map_err(|fault| fault.column.unwrap());
        assert_eq!(found, expected, "{kind:?}");
    }
}

#[test]
fn protocols_p_13_additional_bindings_stand_beside_each_other() {
    let contract = contract(
        r#"rpc M(In) returns (Out) { option (google.api.http) = {
             patch: "/v1/{name}" body: "sub" response_body: "sub"
             additional_bindings { put: "/v2/{other=a/*}" body: "*" }
             additional_bindings { custom { kind: "PURGE" path: "/v3" } response_body: "subs" }
             additional_bindings { get: "/v4" additional_bindings { get: "/v5" } }
           }; }
           rpc Deep(In) returns (Out);"#,
    );
    let (_, method) = contract.methods().next().unwrap();
    let rules: Vec<String> = method
        .rules
        .iter()
        .map(|rule| {
            let variables: Vec<&str> = rule.variables.iter().map(|one| &*one.path.text).collect();
            let answer = rule.response_body.as_ref().map_or("", |path| &path.text);
            let template = rule.template.text();
            let body = rule.body.text();
            format!("{} {template} {variables:?} {body:?} {answer:?}", rule.http_method)
        })
        .collect();
    assert_eq!(
        rules,
        [
            r#"PATCH /v1/{name} ["name"] "sub" "sub""#,
            r#"PUT /v2/{other=a/*} ["other"] "*" """#,
            r#"PURGE /v3 [] "" "subs""#,
            r#"GET /v4 [] "" """#,
        ]
    );
    assert!(matches!(&method.rules[0].body, BodyBinding::Field(path) if &*path.text == "sub"));
    assert_eq!(method.rules[1].body, BodyBinding::Whole);
    assert_eq!(method.rules[2].body, BodyBinding::None);
    let segments: Vec<_> =
        method.rules[1].variables[0].segments(&method.rules[1].template).collect();
    assert_eq!(segments, [TemplateSegment::Literal("a"), TemplateSegment::One]);
    let faults: Vec<_> = contract.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        ["test.proto: t.S/M: additional_bindings inside additional_bindings; put all bindings \
          beside each other, one level deep"]
    );
}

#[test]
fn protocols_p_13_a_method_has_at_most_100_additional_bindings() {
    let faults = |number: usize| {
        let more: String =
            (0..number).map(|n| format!("additional_bindings {{ get: \"/v1/{n}\" }}\n")).collect();
        let contract = contract(&format!(
            "rpc M(In) returns (Out) {{ option (google.api.http) = {{ get: \"/v1\" {more} }}; }}"
        ));
        let rules = contract.methods().next().unwrap().1.rules.len();
        (rules, contract.faults().len())
    };
    assert_eq!(faults(100), (101, 0));
    assert_eq!(faults(101), (101, 1));
}

#[test]
fn protocols_p_15_all_faults_come_at_once_and_the_rest_stays() {
    let contract = contract(
        r#"rpc Bad(In) returns (Out) { option (google.api.http) = {
             get: "/v1/{many}/{no}" body: "sub.name" response_body: "nothing"
             additional_bindings { get: "/v1/fine/{name}" }
             additional_bindings { get: "/v1/{" body: "no" }
             additional_bindings { custom { kind: "A B" path: "/v1" } }
           }; }
           rpc Good(In) returns (Out) { option (google.api.http) = { get: "/v1/good/{name}" }; }
           rpc Plain(In) returns (Out);"#,
    );
    let said: Vec<String> = contract
        .faults()
        .iter()
        .map(|fault| {
            assert_eq!((&*fault.file, &*fault.symbol), ("test.proto", "t.S/Bad"));
            assert!(!fault.fix.is_empty());
            format!("{} {}", fault.column.unwrap(), fault.what)
        })
        .collect();
    assert_eq!(
        said,
        [
            // What cannot be read as a rule at all is said first.
            "2 custom kind `A B` is no HTTP method",
            "6 template `/v1/{many}/{no}`: `many` is a list, which a path cannot say",
            "13 template `/v1/{many}/{no}`: `t.In` has no field `no`",
            "4 body `sub.name` is not a field of the request itself",
            "1 response_body: `t.Out` has no field `nothing`",
            "5 template `/v1/{`: template contains unbalanced '{' or '}'",
            "1 body: `t.In` has no field `no`",
        ]
    );
    let served: Vec<(&str, usize)> =
        contract.methods().map(|(_, method)| (&*method.name, method.rules.len())).collect();
    assert_eq!(served, [("Bad", 1), ("Good", 1), ("Plain", 0)]);
}

#[test]
fn protocols_x_2_of_an_option_that_stands_twice_the_last_counts_and_broken_ones_are_named() {
    use tandem_contract::fields::put_bytes;
    let set = |options: &[u8]| {
        let mut message = Vec::new();
        put_bytes(1, b"In", &mut message);
        let mut method = Vec::new();
        put_bytes(1, b"M", &mut method);
        put_bytes(2, b".In", &mut method);
        put_bytes(3, b".In", &mut method);
        put_bytes(4, options, &mut method);
        let mut service = Vec::new();
        put_bytes(1, b"S", &mut service);
        put_bytes(2, &method, &mut service);
        let mut file = Vec::new();
        put_bytes(1, b"a.proto", &mut file);
        put_bytes(4, &message, &mut file);
        put_bytes(6, &service, &mut file);
        Contract::from_file_descriptors(&[file]).unwrap()
    };
    let rule = |template: &[u8]| {
        let mut rule = Vec::new();
        put_bytes(2, template, &mut rule);
        rule
    };
    let mut options = Vec::new();
    put_bytes(72_295_728, &rule(b"/first"), &mut options);
    put_bytes(72_295_728, &rule(b"/last"), &mut options);
    let contract = set(&options);
    let rules = &contract.methods().next().unwrap().1.rules;
    assert_eq!(rules.iter().map(|rule| rule.template.text()).collect::<Vec<_>>(), ["/last"]);
    for broken in [&b"\x12\x09/v1"[..], &rule(b"/\xff"), b"\x0b"] {
        let mut options = Vec::new();
        put_bytes(72_295_728, broken, &mut options);
        let contract = set(&options);
        assert_eq!(contract.faults().len(), 1, "{broken:?}");
        assert_eq!(contract.faults()[0].symbol, "S/M");
        assert!(contract.methods().next().unwrap().1.rules.is_empty());
    }
}

#[test]
fn protocols_p_14_configured_rules_replace_the_annotations_of_their_method_alone() {
    let annotated = contract(
        r#"rpc A(In) returns (Out) { option (google.api.http) = { get: "/v1/a/{no}" additional_bindings { get: "/v1/a" } }; }
           rpc B(In) returns (Out) { option (google.api.http) = { get: "/v1/b/{no}" additional_bindings { get: "/v1/b" } }; }"#,
    );
    let ids: Vec<_> = annotated.methods().map(|(id, _)| id).collect();
    let (configured, faults) = annotated.with_rules([
        (ids[0], vec![get("/v2/{no}")]),
        // Of two lists for one method the last one counts, its faults as well.
        (ids[0], vec![get("/v2/{name}"), get("/v3/{no}/{map}")]),
    ]);
    let rules = |contract: &Contract| -> Vec<String> {
        let rules = contract.methods().flat_map(|(_, method)| &method.rules);
        rules.map(|rule| rule.template.text().to_owned()).collect()
    };
    assert_eq!(rules(&configured), ["/v2/{name}", "/v1/b"]);
    assert_eq!(rules(&annotated), ["/v1/a", "/v1/b"], "the other contract is as before");
    let places: Vec<_> =
        faults.iter().map(|one| (one.method, one.rule, one.fault.column)).collect();
    assert_eq!(places, [(ids[0], 1, Some(6)), (ids[0], 1, Some(11))]);
    let left: Vec<&str> = configured.faults().iter().map(|fault| &*fault.symbol).collect();
    assert_eq!(left, ["t.S/B"], "the annotation that was replaced has no faults any more");
    assert_eq!(configured.digest(), annotated.digest());
    assert_ne!(configured.service_digest("t.S"), annotated.service_digest("t.S"));
    let (closed, _) = annotated.with_rules([(ids[0], vec![]), (ids[1], vec![])]);
    assert_eq!(rules(&closed), [""; 0]);
}
