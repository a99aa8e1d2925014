//! The mirror's own thread: takes copies from the queue and sends them, so many at a time.
//!
//! One thread with one loop at nice 10: whatever comparing costs, it costs the data threads
//! nothing but what the system gives to a thread that everybody else goes before (compare M-7).
//! Its connections are its own. When the gateway drains, what still waits is dropped and counted.
//!
//! Not here: what is copied (`tap`), how one copy is sent (`send`), whose turn it is (`order`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tandem_judge::pair::Abandoned;
use tandem_protocol::coding::Coding;
use tandem_protocol::compression;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::answer::{self, Read};
use super::memory;
use super::method::MethodMirror;
use super::order::{Lines, Place};
use super::send::{self, Sending};
use super::tap::Copied;
use crate::observe::Shard;
use crate::tasks::Tasks;
use crate::thread::Drain;
use crate::upstream::{Pool, Seat, Setting};

/// Copies that are under way at once, each side's counted (compare M-6).
const UNDER_WAY: usize = 64;
/// How often lines are looked at that wait for a number.
const LOOK: Duration = Duration::from_millis(20);
/// Below everybody else (compare M-7).
const NICE: i32 = 10;
/// The trailer by which a stateful service says its number (cases ST-2).
const SEQUENCE: &str = "tandem-sequence";

/// What is on its way to the mirror's thread.
pub(super) enum Told {
    Copy(Box<Copied>),
    /// The order of everything whose key begins so begins anew.
    Anew(Vec<u8>),
}

/// What the thread is started with.
pub(super) struct Start {
    pub(super) queue: UnboundedReceiver<Told>,
    pub(super) upstreams: Setting,
    pub(super) drain: Drain,
    pub(super) run: String,
    pub(super) ratio_max: usize,
    /// Whether memory is short: nothing is copied.
    pub(super) shed: Arc<AtomicBool>,
}

/// Runs the mirror's thread until the gateway drains.
pub(super) fn run(start: Start) {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the mirror's thread is not nice");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default());
    match runtime {
        Ok(runtime) => runtime.block_on(Mirroring::run(start)),
        Err(error) => tracing::error!(%error, "nothing is mirrored: there is no loop for it"),
    }
}

struct Mirroring {
    sending: Rc<Sending>,
    tasks: Tasks,
    lines: RefCell<Lines<Waiting>>,
    /// Copies under way: of all, and of each namespace.
    slots: Rc<Semaphore>,
    own_slots: RefCell<BTreeMap<usize, Rc<Semaphore>>>,
}

/// A copy whose place in the order is known.
struct Waiting {
    copied: Box<Copied>,
    primary: Read,
}

impl Mirroring {
    async fn run(start: Start) {
        let Start { mut queue, upstreams, mut drain, run, ratio_max, shed } = start;
        let (_reader, parts) = Shard::parts();
        let seat = Seat { thread: 0, threads: 1 };
        let connections = Tasks::default();
        let pool = Pool::new(connections, Rc::new(Shard::new(parts)), seat, upstreams);
        let mirroring = Rc::new(Mirroring {
            sending: Rc::new(Sending { pool, run, ratio_max }),
            tasks: Tasks::default(),
            lines: RefCell::default(),
            slots: Rc::new(Semaphore::new(UNDER_WAY)),
            own_slots: RefCell::default(),
        });
        match memory::Reader::new() {
            Some(reader) => {
                mirroring.tasks.start(async move { memory::watch(|| reader.read(), &shed).await });
            }
            None => tracing::info!("nothing says how much memory there is: it sheds no copies"),
        }
        loop {
            let waits = mirroring.lines.borrow().is_waiting();
            tokio::select! {
                told = queue.recv() => match told {
                    Some(Told::Copy(copied)) => mirroring.take_in(copied),
                    Some(Told::Anew(scope)) => {
                        let left = mirroring.lines.borrow_mut().forget(&scope);
                        left.iter().for_each(|one| dropped(one, Abandoned::OutOfOrder));
                    }
                    None => break,
                },
                () = tokio::time::sleep(LOOK), if waits => mirroring.look(),
                () = drain.begun() => break,
            }
        }
        queue.close();
        while let Ok(told) = queue.try_recv() {
            if let Told::Copy(copied) = told {
                copied.mirror.dropped(Abandoned::Stopped);
            }
        }
        for waiting in mirroring.lines.borrow_mut().forget(b"") {
            dropped(&waiting, Abandoned::Stopped);
        }
    }

    fn take_in(self: &Rc<Self>, copied: Box<Copied>) {
        let ratio_max = self.sending.ratio_max;
        let kind = copied.mirror.kind;
        let Ok(primary) = Read::of(&copied.primary, &copied.headers, kind, ratio_max) else {
            return copied.mirror.dropped(Abandoned::BodyTooLarge);
        };
        if !copied.mirror.has_order() {
            let (mirroring, waiting) = (Rc::clone(self), Waiting { copied, primary });
            // Boxed: two trials at once are larger than the task of a call may be.
            self.tasks.start(async move { Box::pin(mirroring.send(waiting)).await });
            return;
        }
        let Some((key, place)) = placed(&copied, &primary, ratio_max) else {
            return copied.mirror.dropped(Abandoned::OutOfOrder);
        };
        let now = Instant::now();
        let waiting = Waiting { copied, primary };
        let left = self.lines.borrow_mut().place(&key, place, waiting, now);
        left.iter().for_each(|one| dropped(one, Abandoned::OutOfOrder));
        self.go_on(&key);
    }

    /// Sends what is next in a line.
    fn go_on(self: &Rc<Self>, key: &[u8]) {
        let next = self.lines.borrow_mut().take(key, Instant::now());
        let Some(waiting) = next else { return };
        let (mirroring, key) = (Rc::clone(self), key.to_vec());
        self.tasks.start(async move {
            Box::pin(mirroring.send(waiting)).await;
            mirroring.lines.borrow_mut().done(&key);
            mirroring.go_on(&key);
        });
    }

    /// Looks after the lines that wait.
    fn look(self: &Rc<Self>) {
        let now = Instant::now();
        let stuck = self.lines.borrow().stuck(now);
        for key in stuck {
            let left = self.lines.borrow_mut().expire(&key, now);
            if let Some(first) = left.first() {
                let method = &first.copied.mirror.method;
                tracing::warn!(
                    %method, copies = left.len(),
                    "a write is missing: nothing of its key is mirrored until the evidence begins anew"
                );
            }
            left.iter().for_each(|one| dropped(one, Abandoned::OutOfOrder));
            self.go_on(&key);
        }
    }

    async fn send(&self, waiting: Waiting) {
        let Waiting { copied, primary } = waiting;
        let mirror = &copied.mirror;
        let sides = 1 + u32::from(mirror.twin.is_some());
        // A namespace whose candidate hangs waits for itself, and for nobody else's places.
        let most = mirror.room.part_of(UNDER_WAY).max(2);
        let own = {
            let mut all = self.own_slots.borrow_mut();
            let key = Arc::as_ptr(&mirror.room) as usize;
            Rc::clone(all.entry(key).or_insert_with(|| Rc::new(Semaphore::new(most))))
        };
        let unsent = Unsent(mirror);
        let Ok(_own) = own.acquire_many(sides).await else { return };
        let Ok(_all) = self.slots.acquire_many(sides).await else { return };
        std::mem::forget(unsent);
        send::pair(Rc::clone(&self.sending), *copied, primary).await;
    }
}

/// A copy that waits for its turn; dropped with the thread, it was stopped.
struct Unsent<'a>(&'a Arc<MethodMirror>);

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        self.0.dropped(Abandoned::Stopped);
    }
}

fn dropped(waiting: &Waiting, reason: Abandoned) {
    waiting.copied.mirror.dropped(reason);
}

/// The key of a copy of a stateful service, and its place in the order. `None` where the service
/// said no number, or the request is no message.
fn placed(copied: &Copied, primary: &Read, ratio_max: usize) -> Option<(Vec<u8>, Place)> {
    let number = std::str::from_utf8(primary.trailer(SEQUENCE)?).ok()?.parse().ok()?;
    let mirror = &copied.mirror;
    let place = match mirror.leave.writes() && primary.code == 0 {
        true => Place::Write(number),
        // A write that was refused says what it saw, as a read does.
        false => Place::After(number),
    };
    let mut key = mirror.scope.clone();
    if !mirror.orders_by_service() {
        let coding: Option<Coding> = compression::of_request(&copied.headers).ok()?;
        let messages = answer::messages(copied.request.clone(), coding, ratio_max).ok()?.ok()?;
        mirror.order.as_ref()?.key(messages.first()?, &mut key).ok()?;
    }
    Some((key, place))
}
