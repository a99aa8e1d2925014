//! 100,000 random messages through every REST rule of two contracts, byte for byte.
//!
//! The other library's `DynamicMessage` encodes a message and writes it as JSON; our answer to the
//! same bytes is the same text, for each rule. Its fields stand in the order of their declaration
//! in JSON and of their numbers on the wire, which is one order in both contracts. Then a request
//! is made from that JSON as the rule wants it (path, query, body), and the request message that
//! we build is the message again.
//!
//! A failure names its contract, its rule and the seed of its message; `TANDEM_TORTURE_SEED` sets
//! the first seed.
//!
//! Not here: messages that a parser must take though no serializer writes them (`oracle.rs`).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::disallowed_methods, reason = "a contract is in a file")]

mod generated;

use std::path::Path;
use std::sync::Arc;

use buffa_descriptor::reflect::{DynamicMessage, ReflectMessage as _, ReflectMessageMut as _};
use buffa_descriptor::{DescriptorPool, FieldDescriptor, FieldKind, MessageIndex, SingularKind};
use generated::Choices;
use generated::message::{Manner, Messages, Taste, encode};
use generated::schema::WELL_KNOWN;
use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use serde_json::Value;
use tandem_contract::{BodyBinding, Contract, HttpMethod, HttpRule, MessageId, Method};
use tandem_transcode::{
    BindOptions, JsonOptions, Limits, Plans, RestAnswer, RestRequest, RulePlan, request_from_rest,
    response_to_rest,
};

/// Of both contracts together.
const MESSAGES: u64 = 100_000;

const TORTURE: &str = r#"
syntax = "proto3"; package t;
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "legacy.proto";
service Torture {
  rpc Whole(All) returns (All) { option (google.api.http) = {
    post: "/v1/whole" body: "*"
    additional_bindings { put: "/v1/whole/{texts_of.first}/{some_text}" body: "*" }
    additional_bindings { post: "/v1/sub" body: "sub" response_body: "sub" }
    additional_bindings { post: "/v1/subs" body: "subs" response_body: "subs" }
    additional_bindings { post: "/v1/map" body: "by_number" response_body: "by_number" }
    additional_bindings { post: "/v1/text" body: "some_text" response_body: "some_text" }
    additional_bindings { post: "/v1/long" body: "i64" response_body: "i64" }
    additional_bindings { post: "/v1/enum" body: "e" response_body: "e" }
    additional_bindings { post: "/v1/at" body: "at" response_body: "at" }
    additional_bindings { post: "/v1/mask" body: "mask" response_body: "mask" }
    additional_bindings { post: "/v1/value" body: "value" response_body: "value" }
    additional_bindings { post: "/v1/structure" body: "structure" response_body: "structure" }
    additional_bindings { post: "/v1/any" body: "any" response_body: "any" }
    additional_bindings { post: "/v1/wrapped" body: "wrapped" response_body: "wrapped" }
    additional_bindings { post: "/v1/legacy" body: "legacy" response_body: "legacy" }
  }; }
  rpc Deep(Nest) returns (Nest) { option (google.api.http) = { post: "/v1/deep" body: "*" }; }
}
message First { string first = 1; int32 second = 2; }
message All {
  double d = 1; float f = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6;
  sint32 s32 = 7; sint64 s64 = 8; fixed32 x32 = 9; fixed64 x64 = 10; sfixed32 y32 = 11;
  sfixed64 y64 = 12; bool b = 13; string some_text = 14; bytes raw = 15; E e = 16; All sub = 17;
  repeated int32 many = 18; repeated string texts = 19; repeated All subs = 20;
  map<string, int64> by_text = 21; map<int32, All> by_number = 22; map<bool, string> by_bool = 23;
  optional int32 maybe = 24;
  oneof one { string left = 25; int32 right = 26; All third = 27; bool fourth = 28; }
  google.protobuf.Timestamp at = 29; google.protobuf.Duration took = 30;
  google.protobuf.FieldMask mask = 31; google.protobuf.Struct structure = 32;
  google.protobuf.Value value = 33; google.protobuf.ListValue list = 34;
  google.protobuf.Any any = 35; google.protobuf.Int64Value wrapped = 36;
  google.protobuf.StringValue wrapped_text = 37; repeated E enums = 38;
  google.protobuf.NullValue nothing = 39; repeated double doubles = 40;
  google.protobuf.DoubleValue wrapped_double = 41; google.protobuf.FloatValue wrapped_float = 42;
  google.protobuf.UInt64Value wrapped_u64 = 43; google.protobuf.Int32Value wrapped_i32 = 44;
  google.protobuf.UInt32Value wrapped_u32 = 45; google.protobuf.BoolValue wrapped_bool = 46;
  google.protobuf.BytesValue wrapped_raw = 47; google.protobuf.Empty empty = 48;
  repeated google.protobuf.Any anys = 49; repeated google.protobuf.Timestamp times = 50;
  map<uint64, google.protobuf.Duration> by_u64 = 51; map<sint64, E> by_s64 = 52;
  map<fixed32, bytes> by_x32 = 53; map<sfixed64, double> by_y64 = 54;
  map<int64, google.protobuf.Struct> by_i64 = 55; map<uint32, float> by_u32 = 56;
  map<sint32, bool> by_s32 = 57; map<fixed64, uint64> by_x64 = 58;
  map<sfixed32, google.protobuf.BytesValue> by_y32 = 59;
  repeated bool flags = 60; repeated fixed32 fixed = 61; repeated sint64 zigzags = 62;
  repeated float floats = 63 [packed = false]; repeated bytes raws = 64;
  optional string maybe_text = 65; optional E maybe_enum = 66; optional bytes maybe_raw = 67;
  string renamed = 300 [json_name = "a name of its own"]; First texts_of = 301;
  legacy.Old legacy = 5000; int32 far = 536870911;
}
message Nest { Nest down = 1; repeated Nest list = 2; map<string, Nest> map = 3; string text = 4; }
enum E { ZERO = 0; ONE = 1; MINUS = -1; FAR = 2147483647; }
"#;

const LEGACY: &str = r#"
syntax = "proto2"; package legacy;
message Old {
  required int32 must = 1;
  optional string text = 2 [default = "unset"];
  repeated int32 unpacked = 3;
  repeated sint32 packed = 4 [packed = true];
  optional group Inner = 5 { optional int32 deep = 1; optional Old old = 2; }
  repeated group Each = 6 { optional string text = 1; }
  optional Closed closed = 7;
  repeated Closed closeds = 8;
  map<string, Old> olds = 9;
  extensions 100 to 200;
}
enum Closed { FIRST = 1; SECOND = 2; ALSO_SECOND = 2; THIRD = -3; option allow_alias = true; }
extend Old { optional string ext_text = 100; repeated int32 ext_many = 101; }
extend Old { optional Old ext_old = 102; }
"#;

struct Texts;

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "torture.proto" => File::from_source(name, TORTURE),
            "legacy.proto" => File::from_source(name, LEGACY),
            "catalogue.proto" => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("../../cases/catalogue/contract.proto");
                File::from_source(name, &std::fs::read_to_string(path).unwrap())
            }
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// A contract as both libraries know it.
struct Case {
    name: &'static str,
    plans: Plans,
    pool: Arc<DescriptorPool>,
    /// What its messages may hold in an `Any`.
    contents: Vec<MessageIndex>,
}

impl Case {
    fn new(name: &'static str, contents: &[&str]) -> Case {
        let mut resolver = ChainFileResolver::new();
        resolver.add(Texts);
        resolver.add(IncludeFileResolver::new(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto"),
        ));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true);
        compiler.open_file(name).unwrap();
        let set = compiler.encode_file_descriptor_set();
        let contract = Contract::from_descriptor_set(&set).unwrap();
        assert_eq!(contract.faults(), []);
        let pool = Arc::new(DescriptorPool::decode(&set).unwrap());
        let contents = contents.iter().map(|name| pool.message_index(name).unwrap()).collect();
        Case { name, plans: Plans::new(Arc::new(contract)), pool, contents }
    }

    /// `count` messages, each through one method's rules.
    fn run(&self, count: u64) {
        let first: u64 = std::env::var("TANDEM_TORTURE_SEED")
            .map_or(20_261_125, |seed| seed.parse().expect("a seed is a number"));
        // What a contract imports may have services without rules.
        let methods = self.plans.contract().methods().map(|(_, method)| method);
        let methods: Vec<&Method> = methods.filter(|method| !method.rules.is_empty()).collect();
        for seed in first..first + count {
            let method = methods[(seed % methods.len() as u64) as usize];
            let mut choices = Choices::Seeded(seed);
            let taste = Taste {
                manner: Manner::Tidy,
                depth: choices.pick(&[0, 1, 1, 2, 2, 3]),
                one_in: choices.pick(&[2, 4, 8, 8, 16]),
                short_floats: true,
            };
            let messages = Messages { pool: &self.pool, taste, contents: self.contents.clone() };
            let output = self.pool.message_index(&self.name_of(method.output)).unwrap();
            let message = self.oracle(output, &encode(&messages.message(output, &mut choices)));
            let wire = message.encode_to_vec();
            let json = message.to_json().unwrap();
            for rule in &method.rules {
                self.answer(method, rule, &message, &wire, &json, &self.place(rule, seed));
            }
            let input = self.pool.message_index(&self.name_of(method.input)).unwrap();
            let message = self.oracle(input, &encode(&messages.message(input, &mut choices)));
            let rule = &method.rules[choices.up_to(method.rules.len() - 1)];
            self.request(method, rule, &message, &self.place(rule, seed));
        }
    }

    fn place(&self, rule: &HttpRule, seed: u64) -> String {
        let (method, template) = (rule.http_method.name(), rule.template.text());
        format!("{} {method} {template} seed {seed}", self.name)
    }

    fn name_of(&self, id: MessageId) -> String {
        self.plans.contract().message(id).full_name.to_string()
    }

    fn oracle(&self, index: MessageIndex, wire: &[u8]) -> DynamicMessage {
        DynamicMessage::decode(Arc::clone(&self.pool), index, wire).unwrap()
    }

    fn answer(
        &self,
        method: &Method,
        rule: &HttpRule,
        message: &DynamicMessage,
        wire: &[u8],
        json: &str,
        place: &str,
    ) {
        let expected = match &rule.response_body {
            None => json.to_owned(),
            Some(path) => self.field_json(message, &path.text),
        };
        let (options, limits) = (JsonOptions::default(), Limits::default());
        let plan = self.rule(method, rule);
        let ours = response_to_rest(&self.plans, &plan, wire, &options, &limits).unwrap();
        let RestAnswer::Json(ours) = ours else { panic!("no JSON: {place}") };
        let ours = String::from_utf8(ours).unwrap();
        assert_eq!(ours, expected, "{place}");
    }

    /// One field as the other library writes it: protocols A-2 when it is not set.
    fn field_json(&self, message: &DynamicMessage, name: &str) -> String {
        let descriptor = self.pool.message(message.message_index());
        let field = descriptor.field_by_name(name).unwrap();
        if !message.has(field) {
            return unset(field).to_owned();
        }
        // A message of that field alone, without the braces and the key.
        let mut alone = DynamicMessage::new(Arc::clone(&self.pool), message.message_index());
        let value = message.field_by_number(field.number()).unwrap().clone();
        alone.set(field, value);
        let text = alone.to_json().unwrap();
        let key = format!("{{{}:", Value::from(field.json_name()));
        text.strip_prefix(&key).and_then(|text| text.strip_suffix('}')).unwrap().to_owned()
    }

    fn request(&self, method: &Method, rule: &HttpRule, message: &DynamicMessage, place: &str) {
        let index = message.message_index();
        let descriptor = self.pool.message(index);
        let mut object: Value = serde_json::from_str(&message.to_json().unwrap()).unwrap();
        // A PATCH without a mask gets one of the keys in its body (protocols I-7), tested elsewhere.
        if rule.http_method == HttpMethod::Patch {
            for field in descriptor.fields().iter().filter(|field| self.is_mask(field)) {
                if object[field.json_name()].as_str().is_none_or(str::is_empty) {
                    object[field.json_name()] = "name".into();
                }
            }
        }
        // A path has no empty values.
        let mut values = Vec::new();
        for variable in &rule.variables {
            let mut inner = &mut object;
            let mut at = index;
            for name in variable.path.text.split('.') {
                let field = self.pool.message(at).field_by_name(name).unwrap();
                if let FieldKind::Singular(SingularKind::Message(next)) = field.kind() {
                    at = next;
                }
                inner = &mut inner[field.json_name()];
            }
            if inner.as_str().is_none_or(str::is_empty) {
                *inner = "products/a-product".into();
            }
            values.push(inner.as_str().unwrap().to_owned());
        }
        let mut query = Vec::new();
        let mut body = Vec::new();
        match &rule.body {
            BodyBinding::Whole => body = object.to_string().into_bytes(),
            BodyBinding::None => query = self.query(descriptor.fields(), &mut object, rule, None),
            BodyBinding::Field(path) => {
                let field = descriptor.field_by_name(&path.text).unwrap();
                // The empty body would be the empty message.
                if object.get(field.json_name()).is_none() {
                    return;
                }
                body = object[field.json_name()].to_string().into_bytes();
                query = self.query(descriptor.fields(), &mut object, rule, Some(field.number()));
            }
        }
        // What the rule cannot carry is gone from `object` now.
        let expected = object.to_string();
        let expected = DynamicMessage::from_json(Arc::clone(&self.pool), index, &expected).unwrap();
        let query = query.join("&");
        let plan = self.rule(method, rule);
        let request = RestRequest {
            rule: &plan,
            values: &values,
            query: Some(&query).filter(|query| !query.is_empty()).map(String::as_str),
            body: &body,
            content_type: None,
            http_method: rule.http_method.name(),
        };
        let (options, limits) = (BindOptions::default(), Limits::default());
        let mut wire = Vec::new();
        request_from_rest(&self.plans, request, &options, &limits, &mut wire).unwrap_or_else(
            |fault| panic!("{place}: {fault}: {} {query}", String::from_utf8_lossy(&body)),
        );
        let ours = self.oracle(index, &wire).to_json().unwrap();
        assert_eq!(ours, expected.to_json().unwrap(), "{place}");
    }

    fn rule(&self, method: &Method, rule: &HttpRule) -> RulePlan {
        RulePlan::new(self.plans.contract(), rule, method.input, method.output)
    }

    fn is_mask(&self, field: &FieldDescriptor) -> bool {
        matches!(field.kind(), FieldKind::Singular(SingularKind::Message(index))
            if self.pool.message(index).full_name() == "google.protobuf.FieldMask")
    }

    /// The fields that neither path nor body carries, as a query; those that no query can carry
    /// are taken out of `object`.
    fn query(
        &self,
        fields: &[FieldDescriptor],
        object: &mut Value,
        rule: &HttpRule,
        body: Option<u32>,
    ) -> Vec<String> {
        let mut query = Vec::new();
        for field in fields {
            let in_path = rule
                .variables
                .iter()
                .any(|variable| variable.path.text.split('.').next() == Some(field.name()));
            if in_path || body == Some(field.number()) {
                continue;
            }
            let Some(value) = object.get(field.json_name()).cloned() else { continue };
            let mask = self.is_mask(field) && value != "";
            let scalar = |kind| !matches!(kind, SingularKind::Message(_));
            let texts: Vec<String> = match (field.kind(), &value) {
                (FieldKind::Singular(kind), value) if scalar(kind) || mask => vec![text_of(value)],
                (FieldKind::List(kind), Value::Array(list)) if scalar(kind) => {
                    list.iter().map(text_of).collect()
                }
                _ => {
                    object.as_object_mut().unwrap().remove(field.json_name());
                    continue;
                }
            };
            query.extend(
                texts
                    .iter()
                    .map(|text| format!("{}={}", percent(field.json_name()), percent(text))),
            );
        }
        query
    }
}

/// What stands for a field that is not set.
fn unset(field: &FieldDescriptor) -> &'static str {
    use buffa_descriptor::ScalarType;
    match field.kind() {
        FieldKind::List(_) => "[]",
        FieldKind::Map { .. } => "{}",
        FieldKind::Singular(SingularKind::Message(_)) => "null",
        FieldKind::Singular(SingularKind::Enum(_)) => "\"ZERO\"",
        FieldKind::Singular(SingularKind::Scalar(ScalarType::String)) => "\"\"",
        FieldKind::Singular(SingularKind::Scalar(ScalarType::Int64)) => "\"0\"",
        FieldKind::Singular(kind) => unreachable!("no rule answers with {kind:?}"),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "0".to_owned(),
        other => other.to_string(),
    }
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn the_catalogues_calls_are_the_oracles_to_the_byte() {
    Case::new("catalogue.proto", &[]).run(MESSAGES / 2);
}

#[test]
fn the_torture_contracts_calls_are_the_oracles_to_the_byte() {
    // An Any of Empty is written by us with a `value`, as Go does, and by the oracle without.
    let well_known: Vec<String> = WELL_KNOWN
        .iter()
        .filter(|name| **name != "Empty")
        .map(|name| format!("google.protobuf.{name}"))
        .collect();
    let mut contents = vec!["t.All", "t.First", "t.Nest"];
    contents.extend(well_known.iter().map(String::as_str));
    Case::new("torture.proto", &contents).run(MESSAGES / 2);
}
