//! Contracts compiled from .proto text: what is read, who may see it (protocols D, J, X).
//!
//! Not here: rules (`templates.rs`), what paths mean (`paths.rs`).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use tandem_contract::directory::{Audience, Directory, DirectoryMethod, NamespaceEntry, RestMatch};
use tandem_contract::{
    BodyBinding, Cardinality, Contract, Idempotency, Kind, MethodKind, Presence, WellKnown,
};

struct Text(String);

impl FileResolver for Text {
    #[expect(clippy::disallowed_methods, reason = "a test reads the contract of a case")]
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == "test.proto" {
            return File::from_source(name, &self.0);
        }
        let case = name.strip_prefix("tandem/cases/").and_then(|rest| rest.split('/').next());
        let path = match case {
            Some(case) => root().join("cases").join(case).join("contract.proto"),
            None => return Err(protox::Error::file_not_found(name)),
        };
        let source = std::fs::read_to_string(path).map_err(protox::Error::new)?;
        File::from_source(name, &source)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn compiled(text: &str, file: &str) -> Vec<u8> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text(text.to_owned()));
    resolver.add(IncludeFileResolver::new(root().join("proto")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file(file).unwrap();
    compiler.encode_file_descriptor_set()
}

fn contract(text: &str) -> Contract {
    Contract::from_descriptor_set(&compiled(text, "test.proto")).unwrap()
}

fn catalogue() -> Contract {
    let file = "tandem/cases/catalogue/v1/contract.proto";
    Contract::from_descriptor_set(&compiled("", file)).unwrap()
}

/// A service with one GET rule for each template.
fn templates(templates: &[&str]) -> Contract {
    let methods: String = templates
        .iter()
        .enumerate()
        .map(|(number, template)| {
            format!(
                "rpc M{number}(In) returns (In) {{ option (google.api.http) = {{ get: \"{template}\" }}; }}\n"
            )
        })
        .collect();
    contract(&format!(
        "syntax = \"proto3\"; package t; import \"google/api/annotations.proto\";\n\
         message In {{ string name = 1; string other = 2; Sub sub = 3; repeated string many = 4; map<string, string> map = 5; }}\n\
         message Sub {{ string name = 1; int64 number = 2; }}\n\
         service S {{ {methods} }}"
    ))
}

fn directory(contract: Contract, hosts: &[&str], internal: &[&str]) -> Directory {
    Directory::build(vec![entry("a", contract, hosts, internal)]).unwrap()
}

fn entry(name: &str, contract: Contract, hosts: &[&str], internal: &[&str]) -> NamespaceEntry {
    let contract = Arc::new(contract);
    let methods = contract
        .methods()
        .map(|(id, method)| DirectoryMethod {
            contract: Arc::clone(&contract),
            method: id,
            internal: internal.contains(&&*method.name),
            paths: Default::default(),
        })
        .collect();
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    NamespaceEntry { name: name.into(), hosts, methods, rpc_paths: true }
}

const OUTSIDE: Audience<'_> = Audience { internal: false, authority: "any", listener_hosts: &[] };

#[test]
fn the_catalogue_is_read_whole() {
    let contract = catalogue();
    assert_eq!(contract.faults(), []);
    let service = &contract.services()[0];
    assert_eq!(&*service.full_name, "tandem.cases.catalogue.v1.Catalogue");
    let method = |name: &str| {
        let ids = service.methods.iter();
        ids.map(|id| contract.method(*id)).find(|method| &*method.name == name).unwrap()
    };
    let create = method("CreateProduct");
    assert_eq!(create.idempotency, Idempotency::Idempotent);
    assert!(matches!(&create.rules[0].body, BodyBinding::Field(path) if &*path.text == "product"));
    assert_eq!(method("GetProduct").idempotency, Idempotency::NoSideEffects);
    assert_eq!(method("WatchProducts").kind, MethodKind::ServerStream);
    let product =
        contract.message(contract.message_named("tandem.cases.catalogue.v1.Product").unwrap());
    let field = |name: &str| product.field_named(name).unwrap().1;
    assert_eq!(field("labels").cardinality, Cardinality::Map);
    assert_eq!(field("displayName").number, field("display_name").number);
    assert_eq!(field("stock").kind, Kind::Int64);
    let Kind::Message(time) = field("create_time").kind else { panic!("a message") };
    assert_eq!(contract.message(time).well_known, WellKnown::Timestamp);
}

#[test]
fn protocols_d_7_two_claims_of_one_template_name_both() {
    let two = |hosts: [&[&str]; 2]| {
        Directory::build(vec![
            entry("a", templates(&["/v1/{name}"]), hosts[0], &[]),
            entry("b", templates(&["/v1/{other}"]), hosts[1], &[]),
        ])
    };
    let faults = two([&[], &[]]).unwrap_err();
    assert_eq!(faults.len(), 2, "the RPC path and the template: {faults:?}");
    assert!(faults.iter().all(|fault| fault.first.0 == "a" && fault.second.0 == "b"));
    assert!(two([&["x.example"], &["x.example"]]).is_err());
    let directory = two([&["x.example"], &[]]).unwrap();
    let name = |authority: &str, internal: bool| {
        let audience = Audience { internal, authority, listener_hosts: &[] };
        directory
            .find_rpc(audience, "/t.S/M0")
            .map(|index| directory.method(index).namespace_name.to_string())
    };
    assert_eq!(name("x.example:80", false).as_deref(), Some("a"));
    assert_eq!(name("other", false).as_deref(), Some("b"));
    // Inside, the authority decides; without it the namespace that claims no host.
    assert_eq!(name("x.example", true).as_deref(), Some("a"));
    assert_eq!(name("127.0.0.1:8081", true).as_deref(), Some("b"));
}

#[test]
fn protocols_d_5_internal_methods_are_unknown_outside() {
    let directory = directory(catalogue(), &[], &["WatchProducts"]);
    let watch = "/tandem.cases.catalogue.v1.Catalogue/WatchProducts";
    let inside = Audience { internal: true, ..OUTSIDE };
    assert!(directory.find_rpc(OUTSIDE, watch).is_none());
    assert!(directory.find_rpc(inside, watch).is_some());
    assert_eq!(directory.find_rest(OUTSIDE, "GET", "/v1/products:watch"), RestMatch::NotFound);
}

#[test]
fn protocols_x_3_the_service_digest_ignores_files_and_sees_changes() {
    let text = |file_package: &str, extra: &str| {
        format!(
            "syntax = \"proto3\"; package t; {file_package}\n\
             message In {{ string a = 1; {extra} }} service S {{ rpc M(In) returns (In); }}"
        )
    };
    let digest = |text: &str| contract(text).service_digest("t.S").unwrap();
    let plain = digest(&text("", ""));
    assert_eq!(plain, digest(&text("option java_package = \"x\";", "")));
    assert_ne!(plain, digest(&text("", "int32 b = 2;")));
    assert_ne!(plain, digest(&text("", "").replace("string a", "bytes a")));
    assert_eq!(contract(&text("", "")).service_digest("t.T"), None);
}

#[test]
fn protocols_j_13_proto2_has_its_presence_groups_and_closed_enums() {
    let contract = contract(
        "syntax = \"proto2\"; package t; message M { required int32 a = 1; optional int32 b = 2; \
         repeated int32 c = 3; optional group G = 4 { optional int32 d = 5; } \
         optional E e = 6; extensions 100 to 200; enum E { ONE = 1; } } \
         extend M { optional string more = 100; }",
    );
    let message = contract.message(contract.message_named("t.M").unwrap());
    let field = |name: &str| message.field_named(name).unwrap().1;
    assert_eq!(field("a").presence, Presence::Required);
    assert_eq!(field("b").presence, Presence::Explicit);
    assert!(!field("c").packed);
    assert!(matches!(message.field_numbered(4).unwrap().1.kind, Kind::Group(_)));
    let Kind::Enum(id) = field("e").kind else { panic!("an enum") };
    assert!(contract.enumeration(id).closed);
    assert_eq!(contract.enumeration(id).default(), 1);
    assert_eq!(field("[t.more]").number, 100);
}

#[test]
fn a_set_that_cannot_be_used_says_why_and_what_to_do() {
    for bytes in [&b""[..], b"\xff\xff\xff", b"\x0a\x05ab"] {
        let faults = Contract::from_descriptor_set(bytes).unwrap_err();
        assert!(faults.to_string().contains("include_imports"), "{faults}");
    }
}

#[test]
fn a_missing_import_leaves_out_what_needs_it_and_serves_the_rest() {
    let set = compiled(
        "syntax = \"proto3\"; package t; import \"google/protobuf/timestamp.proto\";\n\
         message In { string a = 1; google.protobuf.Timestamp at = 2; }\n\
         service S { rpc M(In) returns (In); rpc T(In) returns (google.protobuf.Timestamp); }",
        "test.proto",
    );
    let files: Vec<Vec<u8>> = tandem_contract::fields::each(&set)
        .map(|field| field.unwrap().bytes.to_vec())
        .filter(|file| tandem_contract::fields::first_text(file, 1).unwrap() == "test.proto")
        .collect();
    let contract = Contract::from_file_descriptors(&files).unwrap();
    assert_eq!(contract.faults().len(), 2, "{:?}", contract.faults());
    let names: Vec<&str> = contract.methods().map(|(_, method)| &*method.name).collect();
    assert_eq!(names, ["M"]);
}

#[test]
fn what_a_field_is_for_is_kept_where_the_contract_says_it() {
    let contract = contract(
        r#"syntax = "proto3";
        import "google/api/field_behavior.proto";
        message Book {
            string name = 1 [(google.api.field_behavior) = REQUIRED];
            string etag = 2 [(google.api.field_behavior) = OUTPUT_ONLY];
            string shelf = 3 [(google.api.field_behavior) = IMMUTABLE,
                              (google.api.field_behavior) = REQUIRED];
            string note = 4;
        }"#,
    );
    let book = contract.message(contract.message_named("Book").unwrap());
    let kept: Vec<(bool, bool)> = book
        .fields
        .iter()
        .map(|field| (field.behavior.required, field.behavior.output_only))
        .collect();
    assert_eq!(kept, [(true, false), (false, true), (true, false), (false, false)]);
}
