//! A loop whose clock a test drives.
//!
//! The clock is the loop's own, paused: it jumps to the next moment at which anything happens, so
//! half a minute of load is over in a moment and comes out the same each time, to the millisecond
//! that the loop's timers have.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tandem_measure::load::{Clock, Ended, Outcome};
use tokio::time::Instant;

/// The loop's paused clock.
pub(crate) struct Driven(Instant);

impl Clock for Driven {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn until(&self, at: Duration) {
        tokio::time::sleep_until(self.0 + at).await;
    }
}

pub(crate) const fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// An answer with this status.
pub(crate) fn answered(code: u8, answer: &[u8]) -> Ended {
    let answer = Bytes::copy_from_slice(answer);
    Ended {
        outcome: Outcome::Answered(code),
        answer_bytes: answer.len() as u64,
        answer,
        quiet: Duration::ZERO,
    }
}

/// Runs `work` on a local loop without sockets.
pub(crate) fn on_driven_loop<T>(work: impl AsyncFnOnce(Rc<Driven>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(tokio::runtime::LocalOptions::default())
        .expect("a loop without sockets needs nothing");
    runtime.block_on(async { work(Rc::new(Driven(Instant::now()))).await })
}
