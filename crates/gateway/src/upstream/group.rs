//! One upstream as one data thread knows it: its endpoints, and which of them a call gets.
//!
//! An endpoint is chosen by load among those that are reachable, well and not left out
//! (`balance`); where none is, among all that can be reached, because a call that may fail is
//! better than one that must. Of its connections the one with the fewest streams is taken.
//!
//! Not here: how connections are made (`pool`), what is sent (`send`).

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use rand::{Rng, RngExt as _};
use tandem_config::document::HealthCheck;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::balance::{self, Choice, Load};
use super::budget::Budget;
use super::connection::{Connection, NoStream, Place};
use super::eject::{self, Conduct, Tally};
use super::names::Known;
use super::{Upstream, UpstreamAddress};
use crate::observe::EndpointState;

/// Connections of one thread to one address, at most (performance PF-11).
const CONNECTIONS_MOST: usize = 4;

pub(super) struct Group {
    upstream: RefCell<Arc<Upstream>>,
    endpoints: RefCell<Vec<Rc<Endpoint>>>,
    /// Kept so that choosing allocates nothing.
    eligible: RefCell<Vec<usize>>,
    states: Cell<[u32; EndpointState::ALL.len()]>,
    thread: usize,
    pub(super) budget: RefCell<Budget>,
    pub(super) names: RefCell<Known>,
    /// A task that asks for names runs.
    pub(super) resolving: Cell<bool>,
    /// The names were asked for, whatever came of it; so it is where there are none.
    asked: Cell<bool>,
    /// The last reason for which there was no connection.
    failure: RefCell<Option<NoStream>>,
    pub(super) waiting: Cell<usize>,
    pub(super) changed: Notify,
    pub(super) used: Cell<Instant>,
}

/// One address.
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    connections: RefCell<Vec<Connection>>,
    connecting: Cell<bool>,
    backoff: Cell<Backoff>,
    /// The last connection that ended had not carried one answer.
    useless: Cell<bool>,
    load: Cell<Load>,
    conduct: RefCell<Conduct>,
    pub(super) healthy: Cell<bool>,
    /// A task that asks for its health runs.
    pub(super) checked: Cell<bool>,
    /// The name no longer leads here.
    pub(super) gone: Cell<bool>,
}

/// What came of asking for an endpoint.
pub(super) enum Picked {
    Ready(SendRequest<Bytes>, Lease),
    /// A connection is being made, or streams will be free.
    Wait,
    /// No endpoint can be reached.
    Nothing,
}

impl Group {
    pub(super) fn new(upstream: Arc<Upstream>, thread: usize, threads: usize) -> Group {
        let now = Instant::now();
        let group = Group {
            upstream: RefCell::new(upstream),
            endpoints: RefCell::default(),
            eligible: RefCell::default(),
            states: Cell::default(),
            thread,
            budget: RefCell::new(Budget::new(threads, now)),
            names: RefCell::default(),
            resolving: Cell::new(false),
            asked: Cell::new(false),
            failure: RefCell::new(None),
            waiting: Cell::new(0),
            changed: Notify::new(),
            used: Cell::new(now),
        };
        group.asked.set(!group.has_names());
        group.set_addresses(&[]);
        group
    }

    pub(super) fn upstream(&self) -> Arc<Upstream> {
        Arc::clone(&self.upstream.borrow())
    }

    /// Takes over what a later snapshot says. A call that goes on with an older one changes
    /// nothing.
    pub(super) fn update(&self, upstream: &Arc<Upstream>) {
        if self.upstream.borrow().made >= upstream.made {
            return;
        }
        let before = self.upstream.replace(Arc::clone(upstream));
        if before.addresses != upstream.addresses {
            self.names.replace(Known::default());
            let mut now = Vec::new();
            self.each_endpoint(|endpoint| now.push(endpoint.address));
            self.asked.set(!self.has_names());
            // What names led to stays until they have been asked for again.
            self.set_addresses(if self.has_names() { &now } else { &[] });
        }
        if upstream.health == HealthCheck::None {
            self.each_endpoint(|endpoint| endpoint.healthy.set(true));
        }
    }

    pub(super) fn has_names(&self) -> bool {
        self.upstream.borrow().addresses.iter().any(UpstreamAddress::is_name)
    }

    /// Brings the endpoints in line with what the names led to.
    pub(super) fn names_led_to(&self, resolved: &[SocketAddr]) {
        self.asked.set(true);
        self.set_addresses(resolved);
    }

    /// Brings the endpoints in line with the fixed addresses and those that names led to. Calls
    /// on an endpoint that goes finish: they hold their connection themselves.
    fn set_addresses(&self, resolved: &[SocketAddr]) {
        let upstream = self.upstream();
        let fixed = upstream.addresses.iter().filter_map(|address| match address {
            UpstreamAddress::Fixed(address) => Some(*address),
            UpstreamAddress::Name { .. } => None,
        });
        let mut wanted: Vec<SocketAddr> = Vec::new();
        for address in fixed.chain(resolved.iter().copied()) {
            if wanted.len() < super::ADDRESSES_MOST && !wanted.contains(&address) {
                wanted.push(address);
            }
        }
        let now = Instant::now();
        let mut endpoints = self.endpoints.borrow_mut();
        endpoints.retain(|endpoint| {
            let stays = wanted.contains(&endpoint.address);
            if !stays {
                endpoint.gone.set(true);
                endpoint.let_go();
            }
            stays
        });
        for address in wanted {
            if !endpoints.iter().any(|endpoint| endpoint.address == address) {
                endpoints.push(Rc::new(Endpoint::new(address, now)));
            }
        }
        drop(endpoints);
        self.changed.notify_waiters();
    }

    pub(super) fn each_endpoint(&self, mut each: impl FnMut(&Rc<Endpoint>)) {
        for endpoint in self.endpoints.borrow().iter() {
            each(endpoint);
        }
    }

    /// Whether it is not known yet where the names lead.
    pub(super) fn is_unasked(&self) -> bool {
        !self.asked.get()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.endpoints.borrow().is_empty()
    }

    pub(super) fn fail(&self, failure: NoStream) {
        self.failure.replace(Some(failure));
    }

    pub(super) fn failure(&self) -> NoStream {
        self.failure.borrow().clone().unwrap_or_else(|| NoStream::Unreachable {
            name: Arc::clone(&self.upstream.borrow().name),
            step: "connect",
            what: "no endpoint can be reached".into(),
        })
    }

    /// A connection for a call, not to `avoid` where there is a choice. `connect` starts one to
    /// the endpoint that it is given, and does not wait for it.
    pub(super) fn pick(
        self: &Rc<Self>,
        avoid: Option<SocketAddr>,
        random: &mut impl Rng,
        mut connect: impl FnMut(&Rc<Endpoint>),
    ) -> Picked {
        // Connections that are found to be dead leave an endpoint in another state than the one
        // it was chosen in; the second time there are none.
        for _ in 0..2 {
            let picked = self.pick_once(avoid, random, &mut connect);
            let hope =
                |endpoint: &Rc<Endpoint>| endpoint.connecting.get() || endpoint.is_connected();
            if !matches!(picked, Picked::Wait) || self.endpoints.borrow().iter().any(hope) {
                return picked;
            }
        }
        Picked::Nothing
    }

    fn pick_once(
        self: &Rc<Self>,
        avoid: Option<SocketAddr>,
        random: &mut impl Rng,
        mut connect: impl FnMut(&Rc<Endpoint>),
    ) -> Picked {
        let now = Instant::now();
        let endpoints = self.endpoints.borrow();
        let mut eligible = self.eligible.borrow_mut();
        self.fill_eligible(&endpoints, &mut eligible, now);
        if let Some(avoid) = avoid
            && eligible.len() > 1
        {
            eligible.retain(|at| endpoints[*at].address != avoid);
        }
        let wanted = usize::from(self.upstream.borrow().connections);
        let choice = |at: usize| endpoints[at].choice(now);
        let Some(chosen) = balance::choose(eligible.len(), |n| choice(eligible[n]), now, random)
        else {
            let connecting = endpoints.iter().any(|endpoint| endpoint.connecting.get());
            return if connecting { Picked::Wait } else { Picked::Nothing };
        };
        let endpoint = &endpoints[eligible[chosen]];
        endpoint.tend(wanted, now, &mut connect);
        if let Some((send, place)) = endpoint.take() {
            return Picked::Ready(send, Lease::new(self, endpoint, place, now));
        }
        // The endpoint chosen is not ready; another one may be, and is taken meanwhile.
        let candidates = eligible.clone();
        eligible.retain(|at| endpoints[*at].has_room());
        if let Some(chosen) = balance::choose(eligible.len(), |n| choice(eligible[n]), now, random)
        {
            let endpoint = &endpoints[eligible[chosen]];
            if let Some((send, place)) = endpoint.take() {
                return Picked::Ready(send, Lease::new(self, endpoint, place, now));
            }
        }
        // None is: two connections are on their way at once, for one may lead nowhere.
        let mut connecting = 0;
        for at in candidates {
            endpoints[at].tend(wanted, now, &mut connect);
            connecting += usize::from(endpoints[at].connecting.get());
            if connecting == 2 {
                break;
            }
        }
        Picked::Wait
    }

    /// The endpoints that may be chosen: those that are in, else all that can be reached.
    fn fill_eligible(&self, endpoints: &[Rc<Endpoint>], eligible: &mut Vec<usize>, now: Instant) {
        let eject = self.upstream.borrow().eject;
        let mut states = [0; EndpointState::ALL.len()];
        eligible.clear();
        for (at, endpoint) in endpoints.iter().enumerate() {
            let state = endpoint.state(eject, now);
            states[state as usize] += 1;
            if state == EndpointState::In {
                eligible.push(at);
            }
        }
        if self.states.replace(states) != states {
            self.upstream.borrow().counters.endpoints_are(self.thread, states);
        }
        if eligible.is_empty() {
            let reachable = endpoints
                .iter()
                .enumerate()
                .filter(|(_, endpoint)| endpoint.state(eject, now) != EndpointState::Unreachable);
            eligible.extend(reachable.map(|(at, _)| at));
        }
    }

    /// An attempt at `endpoint` ended well or badly.
    fn judge(&self, endpoint: &Endpoint, good: bool) {
        let upstream = self.upstream.borrow();
        if !upstream.eject {
            return;
        }
        let now = Instant::now();
        if good {
            return endpoint.conduct.borrow_mut().succeeded(now);
        }
        let endpoints = self.endpoints.borrow();
        let siblings = endpoints.iter().filter(|other| !std::ptr::eq(&***other, endpoint));
        let (mut out, mut others) = (0, Tally::default());
        for sibling in siblings {
            let mut conduct = sibling.conduct.borrow_mut();
            out += usize::from(conduct.is_out(now));
            others = others + conduct.tally();
        }
        let mut conduct = endpoint.conduct.borrow_mut();
        if conduct.failed(others, now) && eject::may_go(out, endpoints.len()) {
            let time = conduct.eject(rand::random(), now);
            upstream.counters.ejected(self.thread);
            let (name, address) = (&upstream.name, endpoint.address);
            tracing::warn!(upstream = %name, %address, ?time, "left out: its calls fail");
        }
    }
}

impl Endpoint {
    fn new(address: SocketAddr, now: Instant) -> Endpoint {
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

    fn state(&self, eject: bool, now: Instant) -> EndpointState {
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

    fn is_connected(&self) -> bool {
        !self.connections.borrow().is_empty()
    }

    fn choice(&self, now: Instant) -> Choice {
        Choice { load: self.load.get(), weight: self.conduct.borrow_mut().weight(now) }
    }

    /// Drops connections that take no more streams and starts the next one where one is due.
    pub(super) fn tend(
        self: &Rc<Self>,
        wanted: usize,
        now: Instant,
        connect: &mut impl FnMut(&Rc<Endpoint>),
    ) {
        self.prune(now);
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
    fn prune(&self, now: Instant) {
        let mut connections = self.connections.borrow_mut();
        let replaced = connections.iter().any(|connection| !connection.is_old());
        let mut useless = false;
        connections.retain_mut(|connection| {
            let usable = connection.is_usable();
            useless |= !usable && !connection.was_of_use();
            usable && !(connection.is_old() && replaced)
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

    fn has_room(&self) -> bool {
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
}

/// An attempt's place on a connection; given back when the call, its answer included, is over.
///
/// It tells the endpoint how long the answer took and whether it was one.
pub(super) struct Lease {
    place: Option<Place>,
    group: Rc<Group>,
    endpoint: Rc<Endpoint>,
    began: Instant,
    answered: Cell<bool>,
    judged: Cell<bool>,
}

impl Lease {
    fn new(group: &Rc<Group>, endpoint: &Rc<Endpoint>, place: Place, now: Instant) -> Lease {
        endpoint.update_load(Load::began);
        Lease {
            place: Some(place),
            group: Rc::clone(group),
            endpoint: Rc::clone(endpoint),
            began: now,
            answered: Cell::new(false),
            judged: Cell::new(false),
        }
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

    /// The head of the answer is there.
    pub(super) fn answered(&self) {
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
    }

    pub(super) fn heard(&self, now: Instant) {
        if let Some(place) = &self.place {
            place.heard(now);
        }
    }

    /// The attempt was good or bad for the endpoint; only the first word counts.
    pub(super) fn judged(&self, good: bool) {
        if !self.judged.replace(true) {
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

impl Endpoint {
    fn update_load(&self, update: impl FnOnce(&mut Load)) {
        let mut load = self.load.get();
        update(&mut load);
        self.load.set(load);
    }
}

/// A time that is up to a tenth shorter or longer, so that threads do not act in step.
pub(super) fn spread(time: Duration) -> Duration {
    time.mul_f64(rand::rng().random_range(0.9..1.1))
}
