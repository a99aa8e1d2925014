//! Asks for the addresses of an upstream's names, again and again while it is in use.
//!
//! The system's resolver says no time to live, so names are asked for every few seconds. What a
//! name last led to holds while it cannot be asked, but no longer than [`KEPT_MOST`] (security
//! U-2); an empty answer is a failure. Endpoints that a name no longer leads to get no new calls,
//! and those on them finish.
//!
//! Not here: whether an address may be connected (`net`, each time it is).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connection::NoStream;
use super::group::{Group, spread};
use super::pool::Pool;
use super::{ADDRESSES_MOST, Upstream, UpstreamAddress};

/// How long what a name led to is used while it cannot be asked (security U-2).
const KEPT_MOST: Duration = Duration::from_secs(10 * 60);
/// An upstream that no call asked for so long is no longer looked after; its next call begins
/// that again.
pub(super) const UNUSED: Duration = Duration::from_secs(60);

/// Between two questions while there is no address at all.
const NOWHERE: Duration = Duration::from_millis(500);

/// What names led to, and when.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<(String, u16), (Vec<SocketAddr>, Instant)>);

impl Known {
    /// The name led here.
    fn led_to(&mut self, host: &str, port: u16, addresses: Vec<SocketAddr>, now: Instant) {
        self.0.insert((host.to_owned(), port), (addresses, now));
    }

    /// All addresses that hold, those of forgotten names left out.
    fn addresses(&mut self, now: Instant) -> Vec<SocketAddr> {
        self.0.retain(|_, (_, at)| now.saturating_duration_since(*at) <= KEPT_MOST);
        self.0.values().flat_map(|(addresses, _)| addresses).copied().collect()
    }
}

/// Asks until the upstream is no longer in use.
pub(super) async fn keep_asking(pool: Pool, group: Rc<Group>) {
    loop {
        let upstream = group.upstream();
        ask(&pool, &group, &upstream).await;
        let every = pool.timing().resolve_every;
        let next = if group.is_empty() { every.min(NOWHERE) } else { every };
        sleep(spread(next)).await;
        if group.used.get().elapsed() > UNUSED.max(every) || !group.has_names() {
            group.resolving.set(false);
            return;
        }
    }
}

async fn ask(pool: &Pool, group: &Group, upstream: &Upstream) {
    let mut failure = None;
    for address in &upstream.addresses {
        let UpstreamAddress::Name { host, port } = address else { continue };
        match pool.names().resolve(host, *port, ADDRESSES_MOST).await {
            Ok(found) => {
                group.names.borrow_mut().led_to(host, *port, found, Instant::now());
            }
            Err(error) => {
                upstream.counters.resolve_failed(pool.thread());
                failure = Some(NoStream::unreachable(upstream, "resolve", &error));
            }
        }
    }
    if group.upstream().made != upstream.made {
        return; // another configuration came meanwhile, and is asked for next
    }
    let addresses = group.names.borrow_mut().addresses(Instant::now());
    group.names_led_to(&addresses);
    if let Some(failure) = failure {
        tracing::warn!(%failure, kept = addresses.len(), "a name gave no address");
        group.fail(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_u_2_the_last_good_answer_holds_ten_minutes() {
        let start = Instant::now();
        let address = |last| SocketAddr::from(([10, 0, 0, last], 1));
        let mut known = Known::default();
        known.led_to("a", 1, vec![address(1), address(2)], start);
        known.led_to("b", 1, vec![address(3)], start + Duration::from_secs(60));
        assert_eq!(known.addresses(start), [address(1), address(2), address(3)]);
        known.led_to("b", 1, vec![address(4)], start + Duration::from_secs(60));
        let last = start + KEPT_MOST;
        assert_eq!(known.addresses(last), [address(1), address(2), address(4)]);
        assert_eq!(known.addresses(last + Duration::from_nanos(1)), [address(4)]);
    }
}
