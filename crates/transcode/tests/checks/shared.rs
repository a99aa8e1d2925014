//! The contract of the checks of this crate, compiled once.

use std::sync::{Arc, OnceLock};

use tandem_contract::Contract;
use tandem_transcode::Plans;

const PROTO: &str = r#"
syntax = "proto3"; package t;
import "google/protobuf/any.proto"; import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto"; import "google/protobuf/field_mask.proto";
import "google/api/annotations.proto"; service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/v1/{s}" }; } }
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
            name if name.starts_with("google/api/") => protox::file::IncludeFileResolver::new(
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PROTO_FOLDER),
            )
            .open_file(name),
            _ => protox::file::GoogleFileResolver::new().open_file(name),
        }
    }
}

/// The descriptor set of the checks.
pub(crate) fn descriptor_set() -> &'static [u8] {
    static SET: OnceLock<Vec<u8>> = OnceLock::new();
    SET.get_or_init(|| {
        let mut compiler = protox::Compiler::with_file_resolver(Text);
        compiler.include_imports(true);
        compiler.open_file("t.proto").expect("it compiles");
        compiler.encode_file_descriptor_set()
    })
}

/// The plans of the contract of the checks.
pub(crate) fn plans() -> &'static Plans {
    static PLANS: OnceLock<Plans> = OnceLock::new();
    PLANS.get_or_init(|| {
        let contract = Contract::from_descriptor_set(descriptor_set()).expect("a contract");
        Plans::new(Arc::new(contract))
    })
}

/// The fuzz workspace and the crate lie at different depths.
const PROTO_FOLDER: &str =
    if env!("CARGO_PKG_NAME").len() == "tandem-fuzz".len() { "../proto" } else { "../../proto" };
