//! The bytes of a connection: however they are split, as much passes, and the same doubt ends it;
//! and what has passed as heads has no line that could be read in two ways.

use tandem_protocol::http1::{Doubt, Grammar};

const HEAD_BYTES_MOST: usize = 512;

pub(crate) fn check(data: &[u8]) {
    let whole = read(data, usize::MAX);
    for step in [1, 2, 5, 64] {
        assert_eq!(read(data, step), whole, "by {step}");
    }
    // The first head, where one has passed.
    let end = data.windows(4).position(|window| window == b"\r\n\r\n");
    if let Some(end) = end.filter(|end| whole.0 >= end + 4) {
        let head = &data[..end + 2];
        let feeds = head.iter().filter(|byte| **byte == b'\n').count();
        let breaks = head.windows(2).filter(|pair| *pair == b"\r\n").count();
        assert_eq!(feeds, breaks, "no bare line feed");
        assert!(!head.contains(&0));
        let text = String::from_utf8_lossy(head).to_ascii_lowercase();
        let count = |name: &str| text.matches(&format!("\r\n{name}:")).count();
        assert!(count("content-length") + count("transfer-encoding") <= 1, "{text}");
    }
}

fn read(data: &[u8], step: usize) -> (usize, Option<Doubt>) {
    let mut grammar = Grammar::new(HEAD_BYTES_MOST);
    let (mut passed, mut doubt, mut come) = (0, None, 0);
    while come < data.len() && doubt.is_none() {
        come = come.saturating_add(step).min(data.len());
        let judged = grammar.judge(&data[passed..come]);
        passed += judged.bytes;
        doubt = judged.doubt;
    }
    (passed, doubt)
}
