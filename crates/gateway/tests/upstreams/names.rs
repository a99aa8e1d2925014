//! Names that lead elsewhere, nowhere, and where nobody may go.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_gateway::net::Names;
use tandem_gateway::upstream::Timing;
use tandem_testkit::client::{GrpcCall, note};
use tandem_testkit::{Backend, Script, TestGateway, gateway};

use super::{call, echo, failures, statuses};

/// A resolver that answers what a test says last.
#[derive(Clone)]
pub(crate) struct Zone(Arc<Mutex<Vec<SocketAddr>>>);

impl Zone {
    pub(crate) fn of(addresses: &[SocketAddr]) -> Zone {
        Zone(Arc::new(Mutex::new(addresses.to_vec())))
    }

    /// An empty list is a name that nobody knows.
    pub(crate) fn set(&self, addresses: &[SocketAddr]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addresses.to_vec();
    }

    pub(crate) fn names(&self) -> Names {
        let zone = self.clone();
        Names::answered_by(move |host, _port| {
            assert_eq!(host, "notes.test");
            let addresses = zone.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match addresses.is_empty() {
                true => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
                false => Ok(addresses),
            }
        })
    }
}

async fn gateway_of(zone: &Zone) -> TestGateway {
    let any = SocketAddr::from(([127, 0, 0, 1], 1));
    let timing = Timing { resolve_every: Duration::from_millis(30), ..Timing::default() };
    let setup = gateway(any).addresses(["dns:notes.test:50051"]);
    setup.names(zone.names()).timing(timing).one_thread().start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_2_calls_follow_a_name_and_those_under_way_finish() {
    let (old, new) = (Backend::start(vec![Script::Held]), echo());
    let zone = Zone::of(&[old.address]);
    let gateway = gateway_of(&zone).await;
    let mut held = GrpcCall::open(gateway.public, "Get", &[]).await;
    held.message(&note("x"));
    held.send.send_data(bytes::Bytes::new(), true).unwrap();
    gateway.until(|_| old.calls() == 1).await;
    zone.set(&[new.address]);
    let moved = async {
        let mut others = Vec::new();
        while new.calls() == 0 {
            let mut call = GrpcCall::open(gateway.public, "Get", &[]).await;
            call.message(&note("x"));
            call.send.send_data(bytes::Bytes::new(), true).unwrap();
            let calls = 2 + others.len();
            gateway.until(|_| old.calls() + new.calls() == calls).await;
            others.push(call);
        }
        others
    };
    let others = tokio::time::timeout(Duration::from_secs(10), moved).await.expect("calls move");
    let before = old.calls();
    assert_eq!(failures(&statuses(&gateway, "Get", 20).await), 0);
    assert_eq!(old.calls(), before, "no new call goes to the host that was removed");
    old.release();
    assert_eq!(held.read().await.status(), "0");
    for call in others {
        assert_eq!(call.read().await.status(), "0");
    }
    gateway.until(|gateway| gateway.upstream().connections_open == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_2_a_name_that_is_lost_keeps_its_last_addresses() {
    let backend = echo();
    let zone = Zone::of(&[backend.address]);
    let gateway = gateway_of(&zone).await;
    assert_eq!(call(&gateway, "Get").await.status(), "0");
    zone.set(&[]);
    gateway.until(|gateway| gateway.upstream().resolve_failures >= 2).await;
    assert_eq!(failures(&statuses(&gateway, "Get", 10).await), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_2_a_name_that_nobody_knows_is_told_until_somebody_does() {
    let backend = echo();
    let zone = Zone::of(&[]);
    let gateway = gateway_of(&zone).await;
    assert_eq!(call(&gateway, "Get").await.status(), "14");
    zone.set(&[backend.address]);
    super::until_well(&gateway, "Get").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_t_3_a_name_does_not_lead_to_the_machines_own_metadata() {
    let zone = Zone::of(&[SocketAddr::from(([169, 254, 169, 254], 80))]);
    let gateway = gateway_of(&zone).await;
    assert_eq!(call(&gateway, "Get").await.status(), "14");
    assert_eq!(gateway.upstream().connect_failures, 1);
    assert_eq!(gateway.upstream().attempts, 0);
}
