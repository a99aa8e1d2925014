//! A contract with every kind of field.

use std::sync::{Arc, LazyLock};

use tandem_contract::{Contract, MessageId};
use tandem_judge::diff::{Differ, Rules};
use tandem_transcode::Plans;

pub(crate) const PROTO: &str = r#"
syntax = "proto3"; package t;
import "google/protobuf/any.proto"; import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto"; import "google/protobuf/wrappers.proto";
message Page {
  repeated Order orders = 1; string node = 2; int64 took_ms = 3; repeated string tags = 4;
  map<string, Order> labels = 5; oneof by { string name = 6; int32 number = 7; Order whole = 8; }
  google.protobuf.Any detail = 9; google.protobuf.Struct extra = 10;
  google.protobuf.Timestamp at = 11; google.protobuf.Duration took = 12;
  google.protobuf.FieldMask mask = 13; optional int32 maybe = 14; Page next = 15;
  double score = 16; repeated Hit hits = 17; google.protobuf.StringValue wrapped = 18;
  string secret = 19 [debug_redact = true]; State state = 20; bytes signature = 21;
  repeated double numbers = 22; google.protobuf.Value any_value = 23; float small = 24;
  map<int32, string> names = 25;
}
message Order { string id = 1; double price = 2; int32 count = 3; repeated Line lines = 4; State state = 5; }
message Line { string sku = 1; int32 count = 2; }
message Hit { string id = 1; double score = 2; string title = 3; }
enum State { UNKNOWN = 0; OPEN = 1; CLOSED = 2; }
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

/// The plans of the contract.
pub(crate) fn plans() -> &'static Arc<Plans> {
    static PLANS: LazyLock<Arc<Plans>> = LazyLock::new(|| {
        let mut compiler = protox::Compiler::with_file_resolver(Text);
        compiler.include_imports(true);
        compiler.open_file("t.proto").expect("it compiles");
        let set = compiler.encode_file_descriptor_set();
        Arc::new(Plans::new(Arc::new(Contract::from_descriptor_set(&set).expect("a contract"))))
    });
    &PLANS
}

pub(crate) fn page() -> MessageId {
    plans().contract().message_named("t.Page").expect("it is there")
}

/// For answers of type `Page`.
pub(crate) fn differ(rules: Rules) -> Differ {
    Differ::new(Arc::clone(plans()), page(), rules).unwrap_or_else(|faults| panic!("{faults:?}"))
}
