//! The generator's own thread and loop.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use crate::environment::{pin, priority};

/// Tasks that run before the pacer is asked again. The library's 61 would let a burst of answers
/// keep a due slot waiting for a millisecond.
const TASKS_A_TURN: u32 = 4;

/// Runs `work` to its end on a new thread with a loop of its own, pinned to `cores` unless there
/// are none in it, and then ahead of others on them where that is allowed. Joining it gives the
/// result, or why the loop could not be had.
///
/// All of a comparison can be `work`: whoever sends, reads and waits between blocks does it here.
/// Readings while a block runs belong elsewhere, for they would keep slots waiting.
///
/// # Errors
/// When the thread cannot be started.
pub fn on_own_thread<T, F, W>(cores: &[usize], work: F) -> io::Result<JoinHandle<io::Result<T>>>
where
    T: Send + 'static,
    F: FnOnce() -> W + Send + 'static,
    W: Future<Output = T>,
{
    let cores = cores.to_vec();
    std::thread::Builder::new().name("load".into()).spawn(move || {
        if !cores.is_empty() {
            pin::this_thread(&cores)?;
            priority::go_ahead();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .event_interval(TASKS_A_TURN)
            .build_local(tokio::runtime::LocalOptions::default())?;
        Ok(runtime.block_on(work()))
    })
}
