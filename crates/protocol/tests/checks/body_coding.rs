//! Any coded body ends within its bounds, in bytes or in a refusal.

use tandem_protocol::coding::{Bounds, Coding, decode};
use tandem_protocol::refusal::Reason;

/// The first byte says which coding; fails when more comes out than may, or when the same bytes
/// under a bound of one byte less are taken too.
pub(crate) fn check(data: &[u8]) {
    let Some((coding, body)) = data.split_first() else { return };
    let coding = [Coding::Gzip, Coding::Deflate, Coding::Zstd][usize::from(*coding) % 3];
    let bounds = Bounds { bytes_max: 1 << 20, ratio_max: 100 };
    match decode(coding, body, bounds) {
        Ok(out) => {
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
