//! The corpora of the fuzz targets, replayed.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::disallowed_methods, reason = "the corpus is in files")]

#[path = "checks/any_json.rs"]
mod any_json;
#[path = "checks/msg_to_json.rs"]
mod msg_to_json;
#[path = "checks/shared.rs"]
mod shared;
#[path = "checks/json_to_msg.rs"]
mod json_to_msg;
#[path = "checks/query_bind.rs"]
mod query_bind;
#[path = "checks/wire_decode.rs"]
mod wire_decode;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder.join(target)).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 5, "the corpus of {target} is there");
}

#[test]
fn the_corpus_of_any_json_passes() {
    replay("any_json", any_json::check);
}

#[test]
fn the_corpus_of_msg_to_json_passes() {
    replay("msg_to_json", msg_to_json::check);
}

#[test]
fn the_corpus_of_json_to_msg_passes() {
    replay("json_to_msg", json_to_msg::check);
}

#[test]
fn the_corpus_of_query_bind_passes() {
    replay("query_bind", query_bind::check);
}

#[test]
fn the_corpus_of_wire_decode_passes() {
    replay("wire_decode", wire_decode::check);
}
