//! Any coded body ends within its bounds, in bytes or in a refusal; in pieces it gives the same.

use bytes::Bytes;
use tandem_protocol::coding::{Bounds, Coding, Pieces, decode};
use tandem_protocol::refusal::Reason;

/// The first byte says which coding; fails when more comes out than may, or when the same bytes
/// under a bound of one byte less are taken too.
pub(crate) fn check(data: &[u8]) {
    let Some((coding, body)) = data.split_first() else { return };
    let coding = [Coding::Gzip, Coding::Deflate, Coding::Zstd][usize::from(*coding) % 3];
    let bounds = Bounds { bytes_max: 1 << 20, ratio_max: 100 };
    // Of no bytes there is no body to decode.
    let pieces = if body.is_empty() { None } else { in_pieces(coding, body, bounds.ratio_max) };
    match decode(coding, body, bounds) {
        Ok(out) => {
            // In pieces the ratio is judged of what has come so far, so less may be taken.
            assert!(pieces.is_none_or(|pieces| pieces == out));
            assert!(out.len() <= bounds.bytes_max);
            assert!(out.len() <= (64 << 10).max(bounds.ratio_max * body.len()));
            if let Some(less) = out.len().checked_sub(1) {
                let refusal = decode(coding, body, Bounds { bytes_max: less, ..bounds });
                assert_eq!(refusal.map_err(|refusal| refusal.reason), Err(Reason::TooLarge));
            }
        }
        Err(refusal) => {
            assert!(matches!(refusal.reason, Reason::Malformed | Reason::TooLarge), "{refusal:?}");
        }
    }
}

/// What comes out in pieces; `None` for a refusal.
fn in_pieces(coding: Coding, body: &[u8], ratio_max: usize) -> Option<Vec<u8>> {
    let mut pieces = Pieces::new(coding, ratio_max).ok()?;
    let mut out = Vec::new();
    for part in body.chunks(7) {
        pieces.push(Bytes::copy_from_slice(part));
        while let Some(piece) = pieces.next() {
            out.extend_from_slice(piece.ok()?);
            assert!(out.len() <= (64 << 10).max(ratio_max * body.len()));
        }
    }
    pieces.end().ok()?;
    Some(out)
}
