//! CPU time of this process and of this thread.

use std::time::Duration;

use nix::time::ClockId;

/// Of the process, all its threads, those that have ended included.
pub fn of_process() -> Duration {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Of the calling thread.
pub fn of_thread() -> Duration {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: ClockId) -> Duration {
    clock.now().expect("every Linux has this clock").into()
}
