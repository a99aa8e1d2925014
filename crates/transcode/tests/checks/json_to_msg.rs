//! What is taken as JSON can be written as JSON again, and then stays as it is.

use std::sync::OnceLock;

use tandem_contract::Contract;

const PROTO: &str = r#"
syntax = "proto3"; package t;
import "google/protobuf/any.proto"; import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto"; import "google/protobuf/field_mask.proto";
message M { int32 i = 1; string s = 2; bytes b = 3; M m = 4; repeated M ms = 5; repeated double ds = 6;
  map<string, M> map = 7; oneof o { int64 l = 8; E e = 9; } google.protobuf.Any any = 10;
  google.protobuf.Struct st = 11; google.protobuf.Timestamp at = 12; google.protobuf.FieldMask fm = 13; }
enum E { A = 0; B = 1; }
"#;

struct Text;

impl protox::file::FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        match name {
            "t.proto" => protox::file::File::from_source(name, PROTO),
            _ => protox::file::GoogleFileResolver::new().open_file(name),
        }
    }
}

fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let mut compiler = protox::Compiler::with_file_resolver(Text);
        compiler.include_imports(true);
        compiler.open_file("t.proto").expect("it compiles");
        Contract::from_descriptor_set(&compiler.encode_file_descriptor_set()).expect("a contract")
    })
}

/// Fails when a message that was taken cannot be written, or changes on the way.
pub(crate) fn check(data: &[u8]) {
    use tandem_transcode::{JsonOptions, Limits, json_from_wire, wire_from_json};
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let id = contract().message_named("t.M").expect("it is there");
    let Ok(wire) = wire_from_json(contract(), id, data, &options, &limits) else { return };
    let json = json_from_wire(contract(), id, &wire, &options, &limits).expect("it was taken");
    let again = wire_from_json(contract(), id, &json, &options, &limits).expect("it was written");
    let json_again =
        json_from_wire(contract(), id, &again, &options, &limits).expect("it was taken");
    assert_eq!(json, json_again);
}
