//! gRPC callers through sockets: each rule, calls that end before their time, upstreams that are
//! difficult as servers of HTTP/2, and the clients of strangers.
//!
//! Not here: what REST callers share with them (`calls`).

mod clients;
mod http2;
mod json;
mod kinds;
mod rules;

use std::io::Read as _;

use flate2::Compression;
use flate2::read::{GzEncoder, ZlibEncoder};
use tandem_testkit::Backend;
use tandem_testkit::backend::Reached;

/// The codings that pass.
const CODINGS: [&str; 3] = ["gzip", "deflate", "zstd"];

/// `data` in a coding.
fn coded(coding: &str, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "gzip" => GzEncoder::new(data, Compression::best()).read_to_end(&mut out),
        "deflate" => ZlibEncoder::new(data, Compression::best()).read_to_end(&mut out),
        "zstd" => return zstd::bulk::compress(data, 3).expect("it fits into memory"),
        other => panic!("no coding {other}"),
    }
    .expect("it fits into memory");
    out
}

/// A payload behind its head.
fn framed(compressed: bool, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("tests are smaller");
    [&[u8::from(compressed)], &length.to_be_bytes()[..], payload].concat()
}

/// The request that carried `x-case: case`. Those that were broken off arrive when they like, so
/// that their order means nothing.
fn reached(backend: &Backend, case: &str) -> Option<Reached> {
    let reached = backend.reached();
    reached.into_iter().find(|reached| reached.headers["x-case"] == *case)
}
