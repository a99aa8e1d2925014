//! What calls: gRPC over HTTP/2 and REST over HTTP/1.1.
//!
//! A call counts only when all of it is right: its status at both levels, the number of its
//! messages and their bytes. The first that is not ends the measurement.

pub(crate) mod http1;
pub(crate) mod http2;

use std::cell::Cell;
use std::rc::Rc;

/// Calls that are left to be made in a round, shared by those who make them.
#[derive(Clone)]
struct Left(Rc<Cell<u32>>);

impl Left {
    fn new(calls: u32) -> Left {
        Left(Rc::new(Cell::new(calls)))
    }

    /// Whether the taker makes one more.
    fn take(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}
