//! One address of an upstream as one data thread knows it, and a call's place on it.
//!
//! An endpoint holds its connections, what its calls were like, and how it fares; a [`Lease`]
//! gives its place back and says how the call went when it is dropped, however that comes about.
//!
//! Not here: which endpoint a call gets (`group`).

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::balance::{Choice, Load};
use super::connection::{Connection, Place};
use super::eject::Conduct;
use super::group::Group;
use crate::observe::EndpointState;

/// Connections of one thread to one address, at most (performance PF-11).
const CONNECTIONS_MOST: usize = 4;

/// One address.
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    connections: RefCell<Vec<Connection>>,
    pub(super) connecting: Cell<bool>,
    backoff: Cell<Backoff>,
    /// The last connection that ended had not carried one answer.
    useless: Cell<bool>,
    load: Cell<Load>,
    pub(super) conduct: RefCell<Conduct>,
    pub(super) healthy: Cell<bool>,
    /// A task that asks for its health runs.
    pub(super) checked: Cell<bool>,
    /// The name no longer leads here.
    pub(super) gone: Cell<bool>,
}

impl Endpoint {
    pub(super) fn new(address: SocketAddr, now: Instant) -> Endpoint {
        Endpoint {
            address,
            connections: RefCell::default(),
            connecting: Cell::new(false),
            backoff: Cell::default(),
            useless: Cell::new(false),
            load: Cell::new(Load::new(now)),
            conduct: RefCell::new(Conduct::new(now)),
            healthy: Cell::new(true),
            checked: Cell::new(false),
            gone: Cell::new(false),
        }
    }

    pub(super) fn state(&self, eject: bool, now: Instant) -> EndpointState {
        let connected = self.is_connected() || self.connecting.get();
        if !connected && self.backoff.get().holds(now) {
            EndpointState::Unreachable
        } else if !self.healthy.get() {
            EndpointState::Unhealthy
        } else if eject && self.conduct.borrow_mut().is_out(now) {
            EndpointState::Ejected
        } else {
            EndpointState::In
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        !self.connections.borrow().is_empty()
    }

    pub(super) fn choice(&self, now: Instant) -> Choice {
        Choice { load: self.load.get(), weight: self.conduct.borrow_mut().weight(now) }
    }

    /// Drops connections that take no more streams and starts the next one where one is due.
    pub(super) fn tend(
        self: &Rc<Self>,
        wanted: usize,
        now: Instant,
        connect: &mut impl FnMut(&Rc<Endpoint>),
    ) {
        self.prune(wanted, now);
        if self.connecting.get() || self.backoff.get().holds(now) {
            return;
        }
        let connections = self.connections.borrow();
        let fresh = connections.iter().filter(|connection| !connection.is_old()).count();
        let full = connections.iter().all(|connection| connection.room().is_none());
        drop(connections);
        let due = if full { fresh + 1 } else { wanted };
        if fresh < due.min(CONNECTIONS_MOST) {
            self.connecting.set(true);
            connect(self);
        }
    }

    /// Streams on what is dropped here finish: each holds its connection itself.
    ///
    /// Old ones go once there is a young one. Where calls are so seldom that each finds nothing but
    /// old ones, no more of these are kept idle than are wanted: each call begins another.
    fn prune(&self, wanted: usize, now: Instant) {
        let mut connections = self.connections.borrow_mut();
        let mut surplus = connections.len().saturating_sub(wanted);
        let replaced = connections.iter().any(|connection| !connection.is_old());
        let mut useless = false;
        connections.retain_mut(|connection| {
            let usable = connection.is_usable();
            useless |= !usable && !connection.was_of_use();
            // The oldest come first.
            let before_enough = surplus > 0;
            surplus = surplus.saturating_sub(1);
            let idle = connection.room() == Some(0);
            usable && !(connection.is_old() && (replaced || before_enough && idle))
        });
        if useless && connections.is_empty() {
            // It was accepted and ended before one answer. That happens to one connection; where
            // it happens to the next as well, there is no hurry for a third.
            if self.useless.replace(true) {
                self.failed(now);
            }
        }
    }

    /// The connection that [`Endpoint::tend`] asked for stands.
    pub(super) fn connected(&self, connection: Connection) {
        self.connecting.set(false);
        if !self.gone.get() {
            self.connections.borrow_mut().push(connection);
        }
    }

    /// The connection that [`Endpoint::tend`] asked for was not made.
    pub(super) fn not_connected(&self, now: Instant) {
        self.connecting.set(false);
        self.failed(now);
    }

    fn failed(&self, now: Instant) {
        let mut backoff = self.backoff.get();
        backoff.failed(rand::random(), now);
        self.backoff.set(backoff);
    }

    /// Whether it has to be left alone for a moment.
    pub(super) fn is_held_back(&self, now: Instant) -> bool {
        self.backoff.get().holds(now)
    }

    pub(super) fn let_go(&self) {
        self.connections.borrow_mut().clear();
    }

    pub(super) fn has_room(&self) -> bool {
        let mut connections = self.connections.borrow_mut();
        connections
            .iter_mut()
            .any(|connection| connection.room().is_some() && connection.is_usable())
    }

    /// The usable connection with the fewest calls that has a stream left, the young before the
    /// old.
    pub(super) fn take(&self) -> Option<(SendRequest<Bytes>, Place)> {
        let mut connections = self.connections.borrow_mut();
        let usable = connections.iter_mut().filter_map(|connection| {
            let calls = connection.room()?;
            connection.is_usable().then_some((connection.is_old(), calls, connection))
        });
        let (_, _, best) = usable.min_by_key(|(old, calls, _)| (*old, *calls))?;
        Some(best.take())
    }

    fn update_load(&self, update: impl FnOnce(&mut Load)) {
        let mut load = self.load.get();
        update(&mut load);
        self.load.set(load);
    }
}

/// An attempt's place on a connection; given back when the call, its answer included, is over.
///
/// It tells the endpoint how long the answer took and whether it was one.
pub(super) struct Lease {
    place: Option<Place>,
    group: Rc<Group>,
    endpoint: Rc<Endpoint>,
    index: usize,
    began: Instant,
    answered: Cell<bool>,
    judged: Cell<Option<bool>>,
}

impl Lease {
    pub(super) fn new(
        group: &Rc<Group>,
        (index, endpoint): (usize, &Rc<Endpoint>),
        place: Place,
        now: Instant,
    ) -> Lease {
        endpoint.update_load(Load::began);
        Lease {
            place: Some(place),
            group: Rc::clone(group),
            endpoint: Rc::clone(endpoint),
            index,
            began: now,
            answered: Cell::new(false),
            judged: Cell::new(None),
        }
    }

    /// Its endpoint's place in the list of its upstream.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.endpoint.address
    }

    /// The connection turned out to be unusable: nobody is given it again.
    pub(super) fn condemn(&self) {
        if let Some(place) = &self.place {
            place.condemn();
        }
        // Nothing was asked of the endpoint, so nothing is held against it.
        self.answered.set(true);
    }

    /// The head of the answer is there, since the moment that is given back.
    pub(super) fn answered(&self) -> Instant {
        let now = Instant::now();
        self.heard(now);
        self.answered.set(true);
        let took = now.saturating_duration_since(self.began);
        self.endpoint.update_load(|load| load.answered(took, now));
        // What ended without an answer before no longer counts.
        self.endpoint.useless.set(false);
        let mut backoff = self.endpoint.backoff.get();
        backoff.succeeded();
        self.endpoint.backoff.set(backoff);
        now
    }

    pub(super) fn heard(&self, now: Instant) {
        if let Some(place) = &self.place {
            place.heard(now);
        }
    }

    /// The attempt was good or bad for the endpoint. The first word counts, and a bad one after
    /// a good one: a stream that broke off.
    pub(super) fn judged(&self, good: bool) {
        let before = self.judged.get();
        if before.is_none() || (before == Some(true) && !good) {
            self.judged.set(Some(good));
            self.group.judge(&self.endpoint, good);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.place = None;
        let now = Instant::now();
        let waited = now.saturating_duration_since(self.began);
        let answered = self.answered.get();
        self.endpoint.update_load(|load| {
            load.ended();
            if !answered {
                load.unanswered(waited, now);
            }
        });
        if self.group.waiting.get() > 0 {
            self.group.changed.notify_one();
        }
    }
}
