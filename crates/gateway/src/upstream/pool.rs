//! Connections of one data thread to the upstreams.
//!
//! Each thread has its own (performance PF-1). An address begins with the connections that its
//! configuration names and grows when their streams run out; then calls wait, at most
//! [`WAITING_MOST`] of them (security LI-25). Connecting is a task of its own: a caller that
//! leaves does not cancel it for the others who wait.
//!
//! Not here: which endpoint a call gets (`group`), what is sent (`send`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::connection::{self, NoStream};
use super::endpoint::{Endpoint, Lease};
use super::group::{Group, Picked, spread};
use super::{HealthCheck, Setting, Timing, Upstream, health, names};
use crate::net::Names;
use crate::observe::Shard;
use crate::tasks::Tasks;

/// Calls of one thread that wait for a stream of one upstream, at most.
const WAITING_MOST: usize = 1024;
/// An upstream that no call asked for so long is let go with its connections.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// All upstream connections of this thread.
#[derive(Clone)]
pub(crate) struct Pool(Rc<Inner>);

struct Inner {
    tasks: Tasks,
    observe: Rc<Shard>,
    seat: Seat,
    setting: Setting,
    random: RefCell<SmallRng>,
    groups: RefCell<BTreeMap<Arc<str>, Rc<Group>>>,
}

/// Which data thread of how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    /// Counted from 0.
    pub(crate) thread: usize,
    pub(crate) threads: usize,
}

impl Pool {
    pub(crate) fn new(tasks: Tasks, observe: Rc<Shard>, seat: Seat, setting: Setting) -> Pool {
        let random = RefCell::new(rand::make_rng());
        Pool(Rc::new(Inner { tasks, observe, seat, setting, random, groups: RefCell::default() }))
    }

    pub(super) fn timing(&self) -> &Timing {
        &self.0.setting.timing
    }

    pub(super) fn names(&self) -> &Names {
        &self.0.setting.names
    }

    pub(super) fn thread(&self) -> usize {
        self.0.seat.thread
    }

    /// Lets go of every connection; those with calls on them end with their last call.
    pub(crate) fn close_idle(&self) {
        for group in self.0.groups.borrow().values() {
            group.each_endpoint(|endpoint| endpoint.let_go());
        }
    }

    /// A handle on which one request can be sent at once, not to `avoid` where there is a choice.
    ///
    /// Waits for a connection or a free stream; the caller bounds the wait by its deadline.
    pub(super) async fn stream(
        &self,
        group: &Rc<Group>,
        avoid: Option<SocketAddr>,
    ) -> Result<(SendRequest<Bytes>, Lease), NoStream> {
        loop {
            let picked = {
                let mut random = self.0.random.borrow_mut();
                group.pick(avoid, &mut *random, |endpoint| self.connect(group, endpoint))
            };
            match picked {
                Picked::Ready(send, lease) => return Ok((send, lease)),
                Picked::Nothing if !group.is_unasked() => return Err(group.failure()),
                Picked::Nothing | Picked::Wait => {}
            }
            if group.waiting.get() >= WAITING_MOST {
                return Err(NoStream::TooManyWait(Arc::clone(&group.upstream().name)));
            }
            let _waits = Waits::on(group);
            group.changed.notified().await;
        }
    }

    /// The group of an upstream, looked after from now on.
    pub(super) fn group(&self, upstream: &Arc<Upstream>) -> Rc<Group> {
        let known = self.0.groups.borrow().get(&upstream.key).map(Rc::clone);
        let group = known.unwrap_or_else(|| self.new_group(upstream));
        group.update(upstream);
        group.used.set(Instant::now());
        if group.has_names() && !group.resolving.replace(true) {
            self.0.tasks.start(names::keep_asking(self.clone(), Rc::clone(&group)));
        }
        if upstream.health == HealthCheck::Grpc {
            group.each_endpoint(|endpoint| {
                if !endpoint.checked.replace(true) {
                    let (group, endpoint) = (Rc::clone(&group), Rc::clone(endpoint));
                    self.0.tasks.start(health::keep_asking(self.clone(), group, endpoint));
                }
            });
        }
        group
    }

    fn new_group(&self, upstream: &Arc<Upstream>) -> Rc<Group> {
        let Seat { thread, threads } = self.0.seat;
        let group = Rc::new(Group::new(Arc::clone(upstream), thread, threads));
        let mut groups = self.0.groups.borrow_mut();
        // A configuration that changed may have left some behind.
        groups.retain(|_, group| group.used.get().elapsed() < FORGOTTEN);
        groups.insert(Arc::clone(&upstream.key), Rc::clone(&group));
        group
    }

    /// Starts a connection to `endpoint` where one is due.
    pub(super) fn tend(&self, group: &Rc<Group>, endpoint: &Rc<Endpoint>) {
        let wanted = usize::from(group.upstream().connections);
        endpoint.tend(wanted, Instant::now(), &mut |endpoint| self.connect(group, endpoint));
    }

    fn connect(&self, group: &Rc<Group>, endpoint: &Rc<Endpoint>) {
        let (pool, group, endpoint) = (self.clone(), Rc::clone(group), Rc::clone(endpoint));
        self.0.tasks.start(async move {
            let upstream = group.upstream();
            let opened = connection::open(&upstream, endpoint.address).await;
            match opened {
                Ok((connection, driver)) => {
                    endpoint.connected(connection);
                    pool.drive(&group, driver);
                }
                Err(failure) => {
                    tracing::warn!(%failure, "no connection");
                    endpoint.not_connected(Instant::now());
                    pool.0.observe.count_connect_failure();
                    upstream.counters.connect_failed(pool.thread());
                    group.fail(failure);
                }
            }
            group.changed.notify_waiters();
        });
    }

    fn drive(&self, group: &Rc<Group>, driver: connection::Driver) {
        let (pool, group) = (self.clone(), Rc::clone(group));
        self.0.tasks.start(async move {
            let upstream = group.upstream();
            let standing = pool.0.observe.upstream_connection_opened();
            upstream.counters.connection_opened(pool.thread());
            let timing = pool.timing();
            driver.run(&upstream.name, timing, spread(timing.age)).await;
            upstream.counters.connection_closed(pool.thread());
            drop(standing);
            group.changed.notify_waiters();
        });
    }

    pub(super) fn random(&self) -> f64 {
        use rand::RngExt as _;
        self.0.random.borrow_mut().random_range(0.0..1.0)
    }
}

struct Waits<'a>(&'a Group);

impl<'a> Waits<'a> {
    fn on(group: &'a Group) -> Waits<'a> {
        group.waiting.set(group.waiting.get() + 1);
        Waits(group)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}
