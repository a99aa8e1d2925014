//! What must hold of any bytes that are given as a file of records.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use tandem_contract::{Contract, Method};
use tandem_measure::records::{Bounds, Cleaner, Log, Whole, Writer, read};

const BOUNDS: Bounds = Bounds { calls: 1_000, message_bytes: 1 << 20, plain_bytes: 4 << 20 };

const CONTRACT: &str = r#"
syntax = "proto3"; package records.v1;
import "google/protobuf/any.proto";
message Account {
  string name = 1;
  string password = 2 [debug_redact = true];
  repeated Account below = 3;
  map<string, Account> named = 4;
  google.protobuf.Any extra = 5;
  fixed64 pin = 6 [debug_redact = true];
  repeated int32 codes = 7;
  Key key = 8 [debug_redact = true];
  map<string, string> tokens = 9 [debug_redact = true];
  oneof way { Key of = 10; bool none = 11; }
  optional bool known = 12 [debug_redact = true];
}
message Key { bytes raw = 1; }
service Accounts {
  rpc Open(Account) returns (Key);
  rpc Load(stream Account) returns (Key);
}
"#;

pub(crate) static ACCOUNTS: LazyLock<Arc<Contract>> = LazyLock::new(|| {
    let mut compiler = protox::Compiler::with_file_resolver(Text);
    compiler.include_imports(true).open_file(FILE).expect("it compiles");
    let set = compiler.encode_file_descriptor_set();
    Arc::new(Contract::from_descriptor_set(&set).expect("it serves"))
});

const FILE: &str = "accounts.proto";

struct Text;

impl protox::file::FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        match name {
            FILE => protox::file::File::from_source(name, CONTRACT),
            _ => protox::file::GoogleFileResolver::new().open_file(name),
        }
    }
}

pub(crate) fn method(name: &str) -> Method {
    let mut all = ACCOUNTS.methods().map(|(_, method)| method.clone());
    all.find(|method| method.full_name() == name).expect("a method of the contract")
}

/// Never panics and stays within its bounds; what can be read can be written and read again, and
/// what is written has no more to redact.
pub(crate) fn check(data: &[u8]) {
    let Ok(log) = read(data, &BOUNDS, |_| true) else { return };
    let bytes: usize = log.calls.iter().flat_map(|call| &call.messages).map(Bytes::len).sum();
    assert!(log.calls.len() <= BOUNDS.calls && bytes as u64 <= BOUNDS.message_bytes);
    assert!(log.calls.iter().all(|call| (call.method as usize) < log.methods.len()));
    let cleaner = Cleaner::new(Arc::clone(&ACCOUNTS));
    let input = method("records.v1.Accounts/Open").input;
    let mut writer = Writer::new(BOUNDS.plain_bytes);
    let mut kept = Vec::new();
    for call in &log.calls {
        let cleaned = call.messages.iter().map(|message| cleaner.clean(input, message));
        let Ok(messages) = cleaned.collect::<Result<Vec<_>, _>>() else { continue };
        for (cleaned, message) in messages.iter().zip(&call.messages) {
            assert_eq!(cleaned.is_redacted(), cleaned.bytes() != message);
            let again = cleaner.clean(input, cleaned.bytes()).expect("it is a message still");
            assert_eq!(again.bytes(), cleaned.bytes(), "what was redacted stays as it is");
        }
        let name = &log.methods[call.method as usize];
        writer.add(name, call.at, &messages, call.status).expect("memory");
        kept.push((name.clone(), call.at, messages, call.status));
    }
    let written = writer.finish().expect("memory");
    assert_eq!(written.calls as usize, kept.len());
    let again: Log = read(&written.bytes, &BOUNDS, |_| true).expect("what was written is read");
    assert_eq!(again.calls.len(), kept.len());
    for (call, (name, at, messages, status)) in again.calls.iter().zip(kept) {
        assert_eq!(again.methods[call.method as usize], name);
        assert_eq!((call.at, call.status, call.whole), (at, status, Whole::Yes));
        assert!(call.messages.iter().eq(messages.iter().map(|message| message.bytes())));
    }
}
