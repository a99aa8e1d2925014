//! Whose turn it is where several want one core.

/// Of a generator with a core to itself, and of what it starts: whoever else runs on the core keeps
/// slots waiting.
const AHEAD: i32 = -10;

/// Lets the calling thread, and what it starts from now on, go ahead of others, where the system
/// allows it. Without the right to it blocks are void more often, which they say.
pub fn go_ahead() {
    set(AHEAD);
}

/// Takes that back for the calling thread, for work that is in nobody's way.
pub fn as_usual() {
    set(0);
}

fn set(nice: i32) {
    // Of the calling thread alone, on Linux.
    _ = rustix::process::setpriority_process(None, nice);
}
