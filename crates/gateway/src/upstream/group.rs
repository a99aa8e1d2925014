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

use super::balance;
use super::budget::Budget;
use super::connection::NoStream;
use super::eject::{self, Tally};
use super::endpoint::{Endpoint, Lease};
use super::names::Known;
use super::{Upstream, UpstreamAddress};
use crate::observe::EndpointState;

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
        let index = eligible[chosen];
        let endpoint = &endpoints[index];
        endpoint.tend(wanted, now, &mut connect);
        if let Some((send, place)) = endpoint.take() {
            return Picked::Ready(send, Lease::new(self, (index, endpoint), place, now));
        }
        // The endpoint chosen is not ready; another one may be, and is taken meanwhile.
        let candidates = eligible.clone();
        eligible.retain(|at| endpoints[*at].has_room());
        if let Some(chosen) = balance::choose(eligible.len(), |n| choice(eligible[n]), now, random)
        {
            let index = eligible[chosen];
            let endpoint = &endpoints[index];
            if let Some((send, place)) = endpoint.take() {
                return Picked::Ready(send, Lease::new(self, (index, endpoint), place, now));
            }
        }
        // None is: two connections are on their way at once, for one may lead nowhere.
        for at in &candidates {
            let connecting = |at: &&usize| endpoints[**at].connecting.get();
            if candidates.iter().filter(connecting).count() >= 2 {
                break;
            }
            endpoints[*at].tend(wanted, now, &mut connect);
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
    pub(super) fn judge(&self, endpoint: &Endpoint, good: bool) {
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

/// A time that is up to a tenth shorter or longer, so that threads do not act in step.
pub(super) fn spread(time: Duration) -> Duration {
    time.mul_f64(rand::rng().random_range(0.9..1.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    fn fixed(last: u8) -> UpstreamAddress {
        UpstreamAddress::Fixed(resolved(last))
    }

    fn resolved(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 1))
    }

    fn upstream(made: u64, addresses: &[UpstreamAddress]) -> Arc<Upstream> {
        let plain = Upstream::plain(
            UpstreamAddress::Fixed(resolved(0)),
            http::uri::Authority::from_static("server"),
            Duration::from_secs(1),
        );
        Arc::new(Upstream { made, addresses: addresses.to_vec(), ..plain })
    }

    fn group(addresses: &[UpstreamAddress]) -> Rc<Group> {
        Rc::new(Group::new(upstream(1, addresses), 0, 1))
    }

    fn addresses(group: &Group) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        group.each_endpoint(|endpoint| addresses.push(endpoint.address));
        addresses
    }

    #[test]
    fn a_later_description_is_taken_over_and_an_earlier_one_is_not() {
        let group = group(&[fixed(1), fixed(2)]);
        let mut kept = Vec::new();
        group.each_endpoint(|endpoint| kept.push(Rc::clone(endpoint)));
        group.update(&upstream(3, &[fixed(2), fixed(3)]));
        assert_eq!(addresses(&group), [resolved(2), resolved(3)]);
        assert!(kept[0].gone.get(), "those who look after it learn of it");
        group.each_endpoint(|endpoint| assert!(!endpoint.gone.get()));
        // A call that goes on with an older snapshot.
        group.update(&upstream(2, &[fixed(1)]));
        assert_eq!(addresses(&group), [resolved(2), resolved(3)]);
    }

    #[test]
    fn security_u_2_at_most_256_endpoints_each_once() {
        let name = UpstreamAddress::Name { host: "many.test".into(), port: 1 };
        let group = group(&[fixed(1), name]);
        let many: Vec<SocketAddr> =
            (0..1000_u16).map(|n| SocketAddr::from(([10, 0, 1, 1], n))).collect();
        group.names_led_to(&many);
        assert_eq!(addresses(&group).len(), super::super::ADDRESSES_MOST);
        group.names_led_to(&[resolved(1), resolved(2), resolved(2)]);
        assert_eq!(addresses(&group), [resolved(1), resolved(2)]);
    }

    #[test]
    fn where_no_endpoint_can_be_reached_nobody_waits() {
        let group = group(&[fixed(1), fixed(2), fixed(3)]);
        let mut random = StdRng::seed_from_u64(4);
        let mut asked: Vec<Rc<Endpoint>> = Vec::new();
        let picked = group.pick(None, &mut random, |endpoint| asked.push(Rc::clone(endpoint)));
        assert!(matches!(picked, Picked::Wait));
        assert_eq!(asked.len(), 2, "two at once, not all");
        // Whoever is asked fails, until nobody is left to ask.
        let mut waits = 0;
        loop {
            let now = Instant::now();
            asked.drain(..).for_each(|endpoint| endpoint.not_connected(now));
            match group.pick(None, &mut random, |endpoint| asked.push(Rc::clone(endpoint))) {
                Picked::Wait => waits += 1,
                Picked::Nothing => break,
                Picked::Ready(..) => panic!("there is no connection"),
            }
        }
        assert_eq!(waits, 1, "the third endpoint was tried");
    }
}
