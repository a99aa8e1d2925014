//! The only place that starts a task.
//!
//! [`Tasks`] starts work on the data thread that owns it: connections and the streams on them.
//! [`Side`] starts everything else, on a runtime of its own, so that no side work ever stops a
//! data thread. Both count what runs, so shutdown knows each task and can wait for the last one;
//! a simulation can put one loop behind both.
//!
//! Not here: what the tasks do, when they are told to end (`drain` signals reach them through
//! their owners).

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Starts tasks on one data thread; cloned freely there, never sent to another.
#[derive(Clone, Default)]
pub struct Tasks {
    running: Rc<Running>,
}

#[derive(Default)]
struct Running {
    count: Cell<usize>,
    emptied: Notify,
}

/// Counts a task until it ends, also by panic or by being dropped with its loop.
struct Counted(Rc<Running>);

impl Drop for Counted {
    fn drop(&mut self) {
        let left = self.0.count.get() - 1;
        self.0.count.set(left);
        if left == 0 {
            self.0.emptied.notify_waiters();
        }
    }
}

/// What a task on a data thread may have; an HTTP/2 call has most.
///
/// The allocator's last class before 8 KiB. That one belongs to the HTTP/2 library, which reads
/// into 8 KiB for as long as a connection lives: where it gets memory that a call has left, both
/// pages of it count as used, though a silent connection needs a part of one.
const TASK_BYTES_MOST: usize = 7 * 1024;

impl Tasks {
    /// Starts `future` on this thread's loop. It runs until it ends by itself; who needs to end
    /// it early hands it a signal.
    ///
    /// # Panics
    /// When called outside a data thread's loop, which is a bug of ours.
    pub fn start<F: Future<Output = ()> + 'static>(&self, future: F) {
        const { assert!(size_of::<F>() <= TASK_BYTES_MOST, "box what a task does not always need") };
        self.running.count.set(self.running.count.get() + 1);
        let counted = Counted(Rc::clone(&self.running));
        // Boxed at once, for what is given to the loop is moved four times on its way there and
        // once more at its end, and a call's future has kilobytes. Not captured as it is either:
        // a block that awaits what it has captured holds it twice.
        let future = Box::pin(future);
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        tokio::task::spawn_local(async move {
            let _counted = counted;
            future.await;
        });
    }

    /// How many tasks run now.
    pub fn running(&self) -> usize {
        self.running.count.get()
    }

    /// Waits until no task runs.
    pub async fn emptied(&self) {
        while self.running.count.get() > 0 {
            // Nothing else runs on this thread between the check and the registration.
            self.running.emptied.notified().await;
        }
    }
}

/// Starts work off the data path; cheap to clone, may be sent anywhere.
#[derive(Clone)]
pub struct Side {
    runtime: tokio::runtime::Handle,
    running: Arc<SideRunning>,
}

#[derive(Default)]
struct SideRunning {
    count: AtomicUsize,
    emptied: Notify,
}

struct SideCounted(Arc<SideRunning>);

impl Drop for SideCounted {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.emptied.notify_waiters();
        }
    }
}

impl Side {
    /// A handle that starts its tasks on `runtime`.
    pub fn new(runtime: tokio::runtime::Handle) -> Side {
        Side { runtime, running: Arc::default() }
    }

    /// Starts `future` on the side runtime.
    pub fn start(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::AbortHandle {
        self.running.count.fetch_add(1, Ordering::AcqRel);
        let counted = SideCounted(Arc::clone(&self.running));
        let future = Box::pin(future);
        self.runtime
            .spawn(async move {
                let _counted = counted;
                future.await;
            })
            .abort_handle()
    }

    /// How many side tasks run now.
    pub fn running(&self) -> usize {
        self.running.count.load(Ordering::Acquire)
    }

    /// Waits until no side task runs.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.running.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.running() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_data_thread<F: Future>(future: F) -> F::Output {
        tokio::runtime::LocalRuntime::new().unwrap().block_on(future)
    }

    #[test]
    fn tasks_are_counted_until_they_end() {
        on_a_data_thread(async {
            let tasks = Tasks::default();
            let (open, gate) = tokio::sync::oneshot::channel::<()>();
            tasks.start(async move {
                let _ = gate.await;
            });
            assert_eq!(tasks.running(), 1);
            open.send(()).unwrap();
            tasks.emptied().await;
            assert_eq!(tasks.running(), 0);
        });
    }

    #[test]
    fn a_task_that_panics_is_no_longer_counted() {
        on_a_data_thread(async {
            let tasks = Tasks::default();
            tasks.start(async { panic!("on purpose") });
            tasks.emptied().await;
            assert_eq!(tasks.running(), 0);
        });
    }

    #[tokio::test]
    async fn side_work_is_counted_until_it_ends() {
        let side = Side::new(tokio::runtime::Handle::current());
        let (open, gate) = tokio::sync::oneshot::channel::<()>();
        side.start(async move {
            let _ = gate.await;
        });
        assert_eq!(side.running(), 1);
        open.send(()).unwrap();
        side.emptied().await;
        assert_eq!(side.running(), 0);
    }
}
