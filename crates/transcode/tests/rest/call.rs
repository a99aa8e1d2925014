//! One REST call without a gateway: what is set matters, the rest is empty.

use std::sync::{Arc, OnceLock};

use buffa_descriptor::DescriptorPool;
use buffa_descriptor::reflect::DynamicMessage;
use serde_json::Value;
use tandem_contract::{Contract, HttpRule, Method};
use tandem_transcode::{
    BindOptions, Fault, Limits, Plans, RestRequest, RulePlan, next_request_from_rest,
    request_from_rest,
};

use crate::common::compiled;

/// The contract of these tests.
pub(crate) const SHOP: &str = r#"
syntax = "proto3"; package t;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Book {
  string name = 1; int64 pages = 2; repeated string tags = 3; Author author = 4;
  map<string, string> labels = 5; string first_line = 6; string odd = 7 [json_name = "OddName"];
  oneof form { string paper = 8; Ebook ebook = 9; } Book sequel = 10;
  Book another_book_that_has_a_long_name = 11;
}
message Ebook { string url = 1; int32 size = 2; }
message Author { string name = 1; optional int32 born = 2; google.protobuf.Timestamp at = 3; }
message Request {
  string id = 1; Book book = 2; int32 size = 3; repeated int32 many = 4; bool flag = 5;
  Color color = 6; bytes raw = 7; google.protobuf.Timestamp at = 8; google.protobuf.Duration took = 9;
  google.protobuf.FieldMask mask = 10; google.protobuf.StringValue word = 11;
  google.protobuf.Struct structure = 12; repeated Book books = 13; optional int32 opt = 14;
  double number = 15; int64 big = 16; google.protobuf.Value value = 17;
  oneof one { string left = 18; int32 right = 19; Book third = 20; google.api.HttpBody page = 21; }
  google.api.HttpBody upload = 22; google.protobuf.Int64Value count = 23;
  google.protobuf.ListValue list = 24; google.protobuf.Any any = 25; google.protobuf.NullValue nothing = 26;
  uint32 u32 = 27; float real = 28; sint32 s32 = 29; fixed64 x64 = 30; google.protobuf.Empty empty = 31;
  repeated google.protobuf.Timestamp times = 32; google.protobuf.BytesValue wrapped_bytes = 33;
  google.protobuf.BoolValue wrapped_flag = 34; repeated Color colors = 35; repeated string words = 36;
}
message Two { string id = 1; Book book = 2; google.protobuf.FieldMask a = 3; google.protobuf.FieldMask b = 4; }
enum Color { NONE = 0; RED = 1; MINUS = -1; }
service S {
  // One rule for each kind of variable: its path is its name.
  rpc Path(Request) returns (Request) { option (google.api.http) = { get: "/{id}"
    additional_bindings { get: "/size/{size}" } additional_bindings { get: "/flag/{flag}" }
    additional_bindings { get: "/color/{color}" } additional_bindings { get: "/raw/{raw}" }
    additional_bindings { get: "/at/{at}" } additional_bindings { get: "/took/{took}" }
    additional_bindings { get: "/mask/{mask}" } additional_bindings { get: "/word/{word}" }
    additional_bindings { get: "/opt/{opt}" } additional_bindings { get: "/number/{number}" }
    additional_bindings { get: "/big/{big}" } additional_bindings { get: "/count/{count}" }
    additional_bindings { get: "/u32/{u32}" } additional_bindings { get: "/real/{real}" }
    additional_bindings { get: "/s32/{s32}" } additional_bindings { get: "/x64/{x64}" }
    additional_bindings { get: "/born/{book.author.born}" } additional_bindings { get: "/pages/{book.pages}" }
    additional_bindings { get: "/left/{left}" } additional_bindings { get: "/seconds/{at.seconds}" }
    additional_bindings { get: "/url/{book.ebook.url}" } additional_bindings { get: "/third/{third.name}" }
  }; }
  // The same with a body that is the message.
  rpc Whole(Request) returns (Request) { option (google.api.http) = { post: "/{id}" body: "*"
    additional_bindings { post: "/none" body: "*" }
    additional_bindings { post: "/size/{size}" body: "*" } additional_bindings { post: "/flag/{flag}" body: "*" }
    additional_bindings { post: "/color/{color}" body: "*" } additional_bindings { post: "/raw/{raw}" body: "*" }
    additional_bindings { post: "/at/{at}" body: "*" } additional_bindings { post: "/took/{took}" body: "*" }
    additional_bindings { post: "/mask/{mask}" body: "*" } additional_bindings { post: "/word/{word}" body: "*" }
    additional_bindings { post: "/opt/{opt}" body: "*" } additional_bindings { post: "/number/{number}" body: "*" }
    additional_bindings { post: "/count/{count}" body: "*" } additional_bindings { post: "/s32/{s32}" body: "*" }
    additional_bindings { post: "/name/{book.name}" body: "*" } additional_bindings { post: "/born/{book.author.born}" body: "*" }
    additional_bindings { post: "/left/{left}" body: "*" } additional_bindings { post: "/seconds/{at.seconds}" body: "*" }
    additional_bindings { post: "/url/{book.ebook.url}" body: "*" } additional_bindings { post: "/third/{third.name}" body: "*" }
    additional_bindings { post: "/x64/{x64}" body: "*" } additional_bindings { post: "/wb/{wrapped_bytes}" body: "*" }
  }; }
  // The body is a field.
  rpc Field(Request) returns (Request) { option (google.api.http) = { post: "/book" body: "book"
    additional_bindings { post: "/size" body: "size" } additional_bindings { post: "/many" body: "many" }
    additional_bindings { post: "/color" body: "color" } additional_bindings { post: "/word" body: "word" }
    additional_bindings { post: "/structure" body: "structure" } additional_bindings { post: "/value" body: "value" }
    additional_bindings { post: "/upload" body: "upload" } additional_bindings { post: "/books" body: "books" }
    additional_bindings { post: "/at" body: "at" } additional_bindings { post: "/nothing" body: "nothing" }
    additional_bindings { post: "/third" body: "third" } additional_bindings { post: "/list" body: "list" }
    additional_bindings { post: "/any" body: "any" } additional_bindings { post: "/raw" body: "raw" }
    additional_bindings { post: "/opt" body: "opt" } additional_bindings { post: "/page" body: "page" }
    additional_bindings { post: "/empty" body: "empty" } additional_bindings { post: "/mask" body: "mask" }
    additional_bindings { post: "/colors" body: "colors" } additional_bindings { post: "/flag" body: "flag" }
  }; }
  rpc Labels(Book) returns (Book) { option (google.api.http) = { post: "/labels" body: "labels" }; }
  rpc Named(Request) returns (Request) { option (google.api.http) = { post: "/book/{book.name}" body: "book"
    additional_bindings { post: "/url/{book.ebook.url}" body: "book" } additional_bindings { post: "/size/{size}" body: "size" }
    additional_bindings { post: "/left/{left}" body: "third" } additional_bindings { post: "/left/{left}" body: "book" }
  }; }
  rpc Patch(Request) returns (Request) { option (google.api.http) = { patch: "/book" body: "book"
    additional_bindings { patch: "/book/{book.name}" body: "book" } additional_bindings { patch: "/mask/{mask}" body: "book" }
    additional_bindings { patch: "/whole" body: "*" } additional_bindings { patch: "/books" body: "books" }
    additional_bindings { patch: "/structure" body: "structure" } additional_bindings { put: "/book" body: "book" }
    additional_bindings { custom { kind: "*" path: "/any" } body: "book" }
  }; }
  rpc PatchTwo(Two) returns (Two) { option (google.api.http) = { patch: "/two" body: "book" }; }
  rpc Raw(google.api.HttpBody) returns (google.api.HttpBody) { option (google.api.http) = { post: "/raw" body: "*"
    additional_bindings { post: "/raw/{content_type}" body: "*" } }; }
  rpc Answer(Request) returns (Request) { option (google.api.http) = { get: "/whole"
    additional_bindings { get: "/book" response_body: "book" } additional_bindings { get: "/many" response_body: "many" }
    additional_bindings { get: "/size" response_body: "size" } additional_bindings { get: "/opt" response_body: "opt" }
    additional_bindings { get: "/word" response_body: "word" } additional_bindings { get: "/books" response_body: "books" }
    additional_bindings { get: "/color" response_body: "color" } additional_bindings { get: "/big" response_body: "big" }
    additional_bindings { get: "/labels" response_body: "book.labels" } additional_bindings { get: "/left" response_body: "left" }
    additional_bindings { get: "/upload" response_body: "upload" } additional_bindings { get: "/page" response_body: "page" }
    additional_bindings { get: "/id" response_body: "id" } additional_bindings { get: "/raw" response_body: "raw" }
    additional_bindings { get: "/author" response_body: "book.author" } additional_bindings { get: "/flag" response_body: "flag" }
  }; }
}
"#;

/// Closed enums and groups.
pub(crate) const OLD: &str = r#"
syntax = "proto2"; package t;
import "google/api/annotations.proto";
enum Closed { FIRST = 1; SECOND = 2; }
message Old {
  optional Closed closed = 1; repeated Closed many = 2; required string id = 3;
  optional group Part = 4 { optional string text = 5; optional group Inner = 6 { optional int32 deep = 7; } }
  optional int32 small = 8 [default = 7]; optional bytes raw = 9;
}
service S {
  rpc Get(Old) returns (Old) { option (google.api.http) = { get: "/{id}"
    additional_bindings { post: "/text/{part.text}" body: "*" } additional_bindings { post: "/deep/{part.inner.deep}" body: "part" } }; }
}
"#;

/// A contract, and the same types in the library that reads what was bound.
pub(crate) struct Types {
    pub(crate) plans: Plans,
    pub(crate) pool: Arc<DescriptorPool>,
}

impl Types {
    fn new(text: &str) -> Types {
        let set = compiled(text);
        let contract = Contract::from_descriptor_set(&set).unwrap();
        assert!(contract.faults().is_empty(), "{:?}", contract.faults());
        Types {
            plans: Plans::new(Arc::new(contract)),
            pool: Arc::new(DescriptorPool::decode(&set).unwrap()),
        }
    }

    pub(crate) fn shop() -> &'static Types {
        static SHOP_TYPES: OnceLock<Types> = OnceLock::new();
        SHOP_TYPES.get_or_init(|| Types::new(SHOP))
    }

    pub(crate) fn old() -> &'static Types {
        static OLD_TYPES: OnceLock<Types> = OnceLock::new();
        OLD_TYPES.get_or_init(|| Types::new(OLD))
    }

    /// A rule by its method and its template.
    pub(crate) fn rule(&self, method: &str, template: &str) -> (&Method, &HttpRule) {
        let contract = self.plans.contract();
        let (_, method) = contract.methods().find(|(_, found)| &*found.name == method).unwrap();
        let rule = method.rules.iter().find(|rule| rule.template.text() == template);
        (method, rule.unwrap_or_else(|| panic!("no rule {template}")))
    }

    /// Bytes as JSON, by the other library.
    pub(crate) fn json(&self, message: &str, wire: &[u8]) -> Value {
        self.try_json(message, wire).expect("it can be said in JSON")
    }

    /// The same; `None` for masks that the wire can hold and JSON cannot.
    pub(crate) fn try_json(&self, message: &str, wire: &[u8]) -> Option<Value> {
        let index = self.pool.message_index(message).unwrap();
        let message = DynamicMessage::decode(Arc::clone(&self.pool), index, wire).unwrap();
        Some(serde_json::from_str(&message.to_json().ok()?).unwrap())
    }
}

/// A call that is about to be bound.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) types: &'static Types,
    pub(crate) method: &'a str,
    pub(crate) template: &'a str,
    pub(crate) values: &'a [&'a str],
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) content_type: Option<&'a str>,
    pub(crate) http_method: Option<&'a str>,
    pub(crate) options: BindOptions,
}

/// A call of the shop without anything in it.
pub(crate) fn call<'a>(method: &'a str, template: &'a str) -> Call<'a> {
    Call {
        types: Types::shop(),
        method,
        template,
        values: &[],
        query: "",
        body: b"",
        content_type: None,
        http_method: None,
        options: BindOptions::default(),
    }
}

impl<'a> Call<'a> {
    pub(crate) fn path(self, values: &'a [&'a str]) -> Call<'a> {
        Call { values, ..self }
    }

    pub(crate) fn query(self, query: &'a str) -> Call<'a> {
        Call { query, ..self }
    }

    pub(crate) fn body(self, body: &'a str) -> Call<'a> {
        Call { body: body.as_bytes(), ..self }
    }

    pub(crate) fn with(mut self, choose: impl FnOnce(&mut BindOptions)) -> Call<'a> {
        choose(&mut self.options);
        self
    }

    pub(crate) fn wire(&self) -> Result<Vec<u8>, Fault> {
        self.bound_by(request_from_rest)
    }

    fn bound_by(&self, bind: Bind) -> Result<Vec<u8>, Fault> {
        let (method, rule) = self.types.rule(self.method, self.template);
        let plan = RulePlan::new(self.types.plans.contract(), rule, method.input, method.output);
        let values: Vec<String> = self.values.iter().map(|value| (*value).to_owned()).collect();
        assert_eq!(values.len(), rule.variables.len(), "{}", self.template);
        let request = RestRequest {
            rule: &plan,
            values: &values,
            query: (!self.query.is_empty()).then_some(self.query),
            body: self.body,
            content_type: self.content_type,
            http_method: self.http_method.unwrap_or(rule.http_method.name()),
        };
        // What stood in the buffer before stays.
        let mut out = b"before".to_vec();
        let (plans, limits) = (&self.types.plans, Limits::default());
        let bound = bind(plans, request, &self.options, &limits, &mut out);
        let wire = out.strip_prefix(b"before").unwrap().to_vec();
        assert!(bound.is_ok() || wire.is_empty(), "a fault leaves nothing behind");
        bound.map(|()| wire)
    }

    /// As a later message of a stream.
    pub(crate) fn later(&self) -> Result<Value, Fault> {
        let (method, _) = self.types.rule(self.method, self.template);
        let input = &self.types.plans.contract().message(method.input).full_name;
        let wire = self.bound_by(next_request_from_rest)?;
        Ok(self.types.json(input, &wire))
    }

    /// The message that the upstream would read.
    pub(crate) fn json(&self) -> Result<Value, Fault> {
        let (method, _) = self.types.rule(self.method, self.template);
        let input = &self.types.plans.contract().message(method.input).full_name;
        self.wire().map(|wire| self.types.json(input, &wire))
    }

    #[track_caller]
    pub(crate) fn becomes(&self, expected: Value) {
        assert_eq!(self.json(), Ok(expected), "{}", self.text());
    }

    /// A fault of the caller at `field`, whose reason holds `reason`.
    #[track_caller]
    pub(crate) fn refused(&self, field: &str, reason: &str) {
        let fault = match self.json() {
            Ok(json) => panic!("{} became {json}", self.text()),
            Err(fault) => fault,
        };
        assert_eq!(fault.field, field, "{}: {fault}", self.text());
        assert!(fault.reason.contains(reason), "{}: {fault}", self.text());
        assert_eq!(fault.kind, tandem_transcode::FaultKind::Caller, "{}", self.text());
    }

    fn text(&self) -> String {
        let body = String::from_utf8_lossy(self.body);
        format!("{} {} {:?} ?{} {body}", self.method, self.template, self.values, self.query)
    }
}

/// A binding under test.
type Bind = fn(&Plans, RestRequest<'_>, &BindOptions, &Limits, &mut Vec<u8>) -> Result<(), Fault>;
