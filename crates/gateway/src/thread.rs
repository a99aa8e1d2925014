//! A data thread: pinned, with a loop, upstream connections, buffers and counters of its own.
//!
//! Threads share nothing but the snapshot behind its pointer and the counters that are written
//! down as shared (performance PF-1). An acceptor reaches a thread through its door only.
//!
//! Not here: what is done with a connection (`listen`).

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tandem_protocol::encoder::Encoders;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::date::DateOfNow;
use crate::limits::Limits;
use crate::listen::{self, Accepted};
use crate::net;
use crate::observe::{AccessLog, Exporter, Shard, ShardReader};
use crate::own::board::Board;
use crate::policy::Judges;
use crate::policy::auth::Tokens;
use crate::snapshot::Snapshot;
use crate::tasks::Tasks;
use crate::upstream::{Pool, Seat, Setting};

/// What all rooms of one data thread share. Lives and dies on that thread.
pub(crate) struct Thread {
    /// Counted from 0.
    pub(crate) index: usize,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) settings: Arc<Board>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) tasks: Tasks,
    pub(crate) upstreams: Pool,
    pub(crate) observe: Rc<Shard>,
    pub(crate) judges: Arc<Judges>,
    /// Of callers that were let in.
    pub(crate) tokens: RefCell<Tokens>,
    pub(crate) encoders: Rc<Encoders>,
    pub(crate) date: DateOfNow,
    drain: Drain,
    // Atomic because acceptors read it to find the least busy thread; only this thread writes.
    open_streams: Arc<AtomicUsize>,
}

impl Thread {
    /// Counts a stream as open until the value is dropped.
    pub(crate) fn stream_opened(&self) -> OpenStream {
        self.open_streams.fetch_add(1, Ordering::Relaxed);
        OpenStream(Arc::clone(&self.open_streams))
    }

    pub(crate) fn drain(&self) -> Drain {
        self.drain.clone()
    }

    pub(crate) fn draining(&self) -> bool {
        self.drain.has_begun()
    }
}

pub(crate) struct OpenStream(Arc<AtomicUsize>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells everybody that no new call is taken and that open ones end within the drain's time.
#[derive(Clone)]
pub(crate) struct Drain(watch::Receiver<bool>);

impl Drain {
    pub(crate) fn new() -> (watch::Sender<bool>, Drain) {
        let (begin, drain) = watch::channel(false);
        (begin, Drain(drain))
    }

    /// Returns once the drain has begun.
    pub(crate) async fn begun(&mut self) {
        // An error means that the gateway itself is gone, which is a drain as well.
        let _ = self.0.wait_for(|begun| *begun).await;
    }

    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }
}

/// The doors of all data threads, as an acceptor sees them.
#[derive(Clone)]
pub(crate) struct Doors(Arc<[Door]>);

struct Door {
    hand: UnboundedSender<Accepted>,
    open_streams: Arc<AtomicUsize>,
    // Connections given to this thread so far: breaks ties, so that idle threads take turns.
    given: AtomicUsize,
}

impl Doors {
    /// Gives the connection to the thread with the fewest open streams.
    ///
    /// The way to a thread is unbounded, but what stands in it is bounded by the places that
    /// each connection holds (LI-1).
    pub(crate) fn hand_over(&self, accepted: Accepted) {
        let door = self
            .0
            .iter()
            .min_by_key(|door| {
                let open = door.open_streams.load(Ordering::Relaxed);
                (open, door.given.load(Ordering::Relaxed))
            })
            .expect("there is at least one data thread");
        door.given.fetch_add(1, Ordering::Relaxed);
        // A thread that has ended takes nothing: the connection is closed by its drop.
        let _ = door.hand.send(accepted);
    }
}

/// The running data threads.
pub(crate) struct Threads {
    pub(crate) doors: Doors,
    pub(crate) counters: Vec<ShardReader>,
    handles: Vec<JoinHandle<()>>,
}

/// What each data thread is built from.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) settings: Arc<Board>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) drain: Drain,
    /// How long open calls may go on after the drain began.
    pub(crate) grace: Duration,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) exporter: Option<Exporter>,
    pub(crate) upstreams: Setting,
    pub(crate) judges: Arc<Judges>,
}

impl Threads {
    /// Starts `count` data threads, each pinned to a core of its own as far as there are cores.
    ///
    /// # Errors
    /// When a loop or a thread cannot be made.
    pub(crate) fn start(count: usize, common: &Common) -> io::Result<Threads> {
        let cores = net::allowed_cores();
        let mut doors = Vec::with_capacity(count);
        let mut counters = Vec::with_capacity(count);
        let mut handles = Vec::with_capacity(count);
        for index in 0..count {
            let (hand, taken) = unbounded_channel();
            let open_streams = Arc::new(AtomicUsize::new(0));
            let (reader, parts) = Shard::parts();
            let core = (count <= cores.len()).then(|| cores[index]);
            let common = common.clone();
            let open = Arc::clone(&open_streams);
            let runtime_made = std::sync::mpsc::sync_channel(1);
            let (said, heard) = runtime_made;
            let handle =
                std::thread::Builder::new().name(format!("data-{index}")).spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build_local(tokio::runtime::LocalOptions::default());
                    let runtime = match runtime {
                        Ok(runtime) => {
                            let _ = said.send(Ok(()));
                            runtime
                        }
                        Err(error) => {
                            let _ = said.send(Err(error));
                            return;
                        }
                    };
                    if let Some(core) = core
                        && let Err(error) = net::pin_to(core)
                    {
                        tracing::debug!(%error, core, "a data thread is not pinned");
                    }
                    let seat = Seat { thread: index, threads: count };
                    runtime.block_on(run(seat, common, open, Rc::new(Shard::new(parts)), taken));
                })?;
            heard.recv().map_err(|_gone| io::Error::other("a data thread ended at once"))??;
            doors.push(Door { hand, open_streams, given: AtomicUsize::new(0) });
            counters.push(reader);
            handles.push(handle);
        }
        Ok(Threads { doors: Doors(doors.into()), counters, handles })
    }

    /// Waits until each thread has ended; blocks, so it belongs on a thread that may.
    pub(crate) fn join(self) {
        // Threads end when the drain is over and no acceptor holds a door.
        drop(self.doors);
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!("a data thread panicked");
            }
        }
    }
}

async fn run(
    seat: Seat,
    common: Common,
    open_streams: Arc<AtomicUsize>,
    observe: Rc<Shard>,
    mut taken: UnboundedReceiver<Accepted>,
) {
    let Common {
        snapshot,
        settings,
        limits,
        drain,
        grace,
        access_log,
        exporter,
        upstreams,
        judges,
    } = common;
    if let Some(log) = access_log {
        observe.set_access_log(log);
    }
    if let Some(exporter) = exporter {
        observe.set_exporter(exporter);
    }
    let tasks = Tasks::default();
    // Connections to upstreams are counted apart: the drain waits for calls, not for them.
    let upstreams = Pool::new(Tasks::default(), Rc::clone(&observe), seat, upstreams);
    let thread = Rc::new(Thread {
        index: seat.thread,
        snapshot,
        settings,
        limits,
        tasks: tasks.clone(),
        upstreams,
        observe,
        judges,
        tokens: RefCell::default(),
        encoders: Rc::default(),
        date: DateOfNow::default(),
        drain: drain.clone(),
        open_streams,
    });
    let mut begun = drain.clone();
    loop {
        tokio::select! {
            accepted = taken.recv() => {
                let Some(accepted) = accepted else { break };
                tasks.start(listen::serve(Rc::clone(&thread), accepted));
            }
            () = begun.begun() => break,
        }
    }
    // What the acceptor handed over in the last moment is served, and told to go at once.
    while let Ok(accepted) = taken.try_recv() {
        tasks.start(listen::serve(Rc::clone(&thread), accepted));
    }
    thread.upstreams.close_idle();
    if tokio::time::timeout(grace, tasks.emptied()).await.is_err() {
        tracing::warn!(left = tasks.running(), "calls were cut at the end of the drain");
    }
}
