//! The corpora of the fuzz targets, replayed.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::disallowed_methods, reason = "the corpus is in files")]

#[path = "checks/body_coding.rs"]
mod body_coding;
#[path = "checks/grpc_frame.rs"]
mod grpc_frame;
#[path = "checks/h1_request.rs"]
mod h1_request;
#[path = "checks/json_values.rs"]
mod json_values;
#[path = "checks/jwt.rs"]
mod jwt;
#[path = "checks/metadata.rs"]
mod metadata;
#[path = "checks/negotiation.rs"]
mod negotiation;

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
fn the_corpus_of_body_coding_passes() {
    replay("body_coding", body_coding::check);
}

#[test]
fn the_corpus_of_grpc_frame_passes() {
    replay("grpc_frame", grpc_frame::check);
}

#[test]
fn the_corpus_of_h1_request_passes() {
    replay("h1_request", h1_request::check);
}

#[test]
fn the_corpus_of_json_values_passes() {
    replay("json_values", json_values::check);
}

#[test]
fn the_corpus_of_jwt_passes() {
    replay("jwt", jwt::check);
}

#[test]
fn the_corpus_of_metadata_passes() {
    replay("metadata", metadata::check);
}

#[test]
fn the_corpus_of_negotiation_passes() {
    replay("negotiation", negotiation::check);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4_000))]

    /// Bodies of the letters that matter, more of them than a corpus holds.
    #[test]
    fn protocols_s_9_any_split_of_any_body_gives_the_same_values(
        head in proptest::collection::vec(proptest::prelude::any::<u8>(), 2),
        letters in proptest::collection::vec(0..12_usize, 0..90),
    ) {
        let mut input = head;
        input.extend(letters.into_iter().map(|letter| b"[]{},:\"\\1 \na"[letter]));
        json_values::check(&input);
    }

    /// Headers of the pieces that matter.
    #[test]
    fn protocols_a_5_and_a_6_any_header_is_read_to_its_end(
        pieces in proptest::collection::vec(0..24_usize, 0..40),
    ) {
        const PIECES: [&str; 24] = [
            "gzip", "zstd", "identity", "*", "br", ",", ";", "q=", "0", "1", ".", "5", "\"", "\\",
            "a", "W/", " ", "\n", "\r", "application/json", "*/*", "text/", "=", "é",
        ];
        let input: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        negotiation::check(input.as_bytes());
    }

    /// Heads and chunks of the pieces that matter, in any order.
    #[test]
    fn protocols_h_1_any_split_of_any_connection_is_judged_alike(
        pieces in proptest::collection::vec(0..PIECES.len(), 0..40),
    ) {
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| PIECES[*piece]).copied().collect();
        h1_request::check(&bytes);
    }
}

const PIECES: [&[u8]; 16] = [
    b"GET / HTTP/1.1\r\n",
    b"POST /a HTTP/1.0\r\n",
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"x: y\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"hello",
    b"2\r\n",
    b"0\r\n",
    b"5;a=b\r\n",
    b" ",
    b"\0",
    b":",
];
