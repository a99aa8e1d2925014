//! Contracts that services tell and change: which serves, which waits, what is said about it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tandem_gateway::KeepContracts;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::rest;
use tandem_testkit::{Setup, TestGateway, gateway};

const FIRST: &str = "string text = 1; int64 number = 2;";
/// Breaks nobody who knows the first.
const COMPATIBLE: &str = "string text = 1; int64 number = 2; string colour = 7;";
/// Takes a field away.
const BREAKING: &str = "string text = 1; string colour = 7;";

fn contract(fields: &str) -> String {
    format!(
        "syntax = \"proto3\"; package test.v1; import \"google/api/annotations.proto\";
         message Note {{ {fields} }}
         service Notes {{
           rpc Get(Note) returns (Note) {{ option (google.api.http) = {{ get: \"/v1/notes/{{text}}\" }}; }}
           rpc Secret(Note) returns (Note);
         }}"
    )
}

/// A service that tells its contract by reflection: another gateway.
struct Service {
    backend: Backend,
    gateway: TestGateway,
}

impl Service {
    async fn promising(fields: &str) -> Service {
        let backend = Backend::start(vec![Script::Echo]);
        let setup = gateway(backend.address).contract(&contract(fields)).offering();
        Service { gateway: setup.start().await, backend }
    }

    fn address(&self) -> SocketAddr {
        self.gateway.public
    }

    /// Tells another contract from now on.
    fn promises(&self, fields: &str) {
        let setup = gateway(self.backend.address).contract(&contract(fields)).offering();
        let documents = setup.documents();
        self.gateway
            .view
            .reload(documents.limits, documents.namespaces, BTreeMap::new(), &documents.contracts)
            .expect("the contract fits");
    }

    fn digest(&self) -> String {
        digest(&self.gateway).expect("it has a contract")
    }
}

fn digest(gateway: &TestGateway) -> Option<String> {
    gateway.view.namespaces()[0].digest.clone()
}

fn told(gateway: &TestGateway) -> String {
    gateway.view.namespaces()[0].problems.join("\n")
}

/// Reads the documents again, of which none brings a contract.
fn reload(gateway: &TestGateway, setup: &Setup) {
    let documents = setup.documents();
    gateway
        .view
        .reload(documents.limits, documents.namespaces, BTreeMap::new(), &BTreeMap::new())
        .expect("the documents fit");
}

/// A gateway that asks `service` for its contract, and has it.
async fn following(service: &Service, keys: &str) -> (TestGateway, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let gateway = asking(service, keys).kept_by(memory.clone()).start().await;
    gateway.until(|gateway| gateway.view.ready()).await;
    (gateway, memory)
}

fn asking(service: &Service, keys: &str) -> Setup {
    match keys {
        "" => gateway(service.address()),
        keys => gateway(service.address()).following(keys),
    }
}

async fn status(gateway: &TestGateway, query: &str) -> u16 {
    rest(gateway.public, "GET", &format!("/v1/notes/a?{query}"), "").await.status
}

/// Keeps in memory, as the data folder does on disk.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl KeepContracts for Memory {
    fn kept(&self, namespace: &str) -> Option<Vec<u8>> {
        self.0.lock().expect("nobody panics with it").get(namespace).cloned()
    }

    fn keep(&self, namespace: &str, set: &[u8]) {
        self.0.lock().expect("nobody panics with it").insert(namespace.into(), set.to_vec());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_x_6_the_last_good_contract_serves_until_the_service_can_be_asked() {
    let backend = Backend::start(vec![Script::Echo]);
    let service = gateway(backend.address).offering().start().await;
    let memory = Arc::new(Memory::default());
    let known = |gateway: &TestGateway| gateway.view.ready();

    // Read by reflection, and kept.
    let first = tandem_testkit::gateway(service.public).kept_by(memory.clone()).start().await;
    first.until(known).await;
    first.until(|_| memory.kept("notes").is_some()).await;

    // After a start with the service gone the paths are known: 503, not 404.
    let gone = "127.0.0.1:1".parse().expect("an address");
    let second = tandem_testkit::gateway(gone).kept_by(memory.clone()).start().await;
    second.until(known).await;
    assert_eq!(rest(second.public, "GET", "/v1/notes/a", "").await.status, 503);
    assert_eq!(rest(second.public, "GET", "/v1/other", "").await.status, 404);
    second.until(|gateway| !gateway.view.namespaces()[0].problems.is_empty()).await;
    let status = &second.view.namespaces()[0];
    assert_eq!(status.contract.as_deref(), Some("last good, kept"));
    assert!(status.problems[0].contains("does not tell its contract"), "{:?}", status.problems);

    // What is kept and cannot be read is as good as nothing.
    memory.keep("notes", b"no descriptor set");
    let third = tandem_testkit::gateway(gone).kept_by(memory).start().await;
    third.until(|gateway| gateway.view.namespaces()[0].problems.concat().contains("connect")).await;
    assert!(!third.view.ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_x_4_a_compatible_contract_takes_over_and_a_breaking_one_waits() {
    let service = Service::promising(FIRST).await;
    let (gateway, _memory) = following(&service, "").await;
    assert_eq!(status(&gateway, "number=1").await, 200);

    service.promises(COMPATIBLE);
    reload(&gateway, &asking(&service, ""));
    gateway.until(|gateway| digest(gateway) == Some(service.digest())).await;
    assert_eq!(status(&gateway, "colour=red").await, 200);

    service.promises(BREAKING);
    reload(&gateway, &asking(&service, ""));
    gateway.until(|gateway| told(gateway).contains("breaks callers")).await;
    assert!(told(&gateway).contains("test.v1.Note.number"), "{}", told(&gateway));
    assert_eq!(status(&gateway, "number=1").await, 200);

    // The service takes it back, and the word about it goes.
    service.promises(COMPATIBLE);
    reload(&gateway, &asking(&service, ""));
    gateway.until(|gateway| told(gateway).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_x_4_a_person_takes_a_contract_that_breaks_by_its_digest() {
    let service = Service::promising(FIRST).await;
    let (gateway, _memory) = following(&service, "").await;
    service.promises(BREAKING);
    reload(&gateway, &asking(&service, ""));
    // What waits is named by what has to be written.
    let line = format!("digest: \"{}\"", service.digest());
    gateway.until(|gateway| told(gateway).contains(&line)).await;
    reload(&gateway, &asking(&service, &line));
    gateway.until(|gateway| digest(gateway) == Some(service.digest())).await;
    assert_eq!(told(&gateway), "");
    assert_eq!(status(&gateway, "number=1").await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_x_4_manual_takes_nothing_by_itself_not_even_over_a_restart() {
    let service = Service::promising(FIRST).await;
    let manual = "follow: manual";
    let (gateway, memory) = following(&service, manual).await;
    let first = digest(&gateway);
    service.promises(COMPATIBLE);
    reload(&gateway, &asking(&service, manual));
    gateway.until(|gateway| told(gateway).contains("waits to be taken")).await;
    assert_eq!((digest(&gateway), status(&gateway, "colour=red").await), (first.clone(), 400));

    // Another process, with what the first one kept.
    let second = asking(&service, manual).kept_by(memory).start().await;
    second.until(|gateway| told(gateway).contains("waits to be taken")).await;
    assert_eq!((digest(&second), status(&second, "number=1").await), (first, 200));

    let agreed = format!("follow: manual, digest: \"{}\"", service.digest());
    reload(&second, &asking(&service, &agreed));
    second.until(|gateway| digest(gateway) == Some(service.digest())).await;
    assert_eq!((told(&second), status(&second, "colour=red").await), (String::new(), 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_x_4_pinned_serves_the_recorded_contract_and_no_other() {
    let service = Service::promising(FIRST).await;
    let pinned = format!("follow: pinned, digest: \"{}\"", service.digest());
    let (gateway, memory) = following(&service, &pinned).await;
    let first = digest(&gateway);
    service.promises(COMPATIBLE);
    reload(&gateway, &asking(&service, &pinned));
    gateway.until(|gateway| told(gateway).contains("another one is pinned")).await;
    assert_eq!((digest(&gateway), status(&gateway, "number=1").await), (first.clone(), 200));

    // A start with the right one kept serves it.
    let second = asking(&service, &pinned).kept_by(memory).start().await;
    second.until(|gateway| told(gateway).contains("another one is pinned")).await;
    assert_eq!(digest(&second), first);

    // A start with nothing at hand but another one serves nothing, and says why.
    let third = asking(&service, &pinned).kept_by(Arc::new(Memory::default())).start().await;
    third.until(|gateway| told(gateway).contains("another one is pinned")).await;
    assert!(!third.view.ready());
    assert_eq!(status(&third, "number=1").await, 503);
    service.promises(FIRST);
    third.until(|gateway| gateway.view.ready()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_x_4_a_contract_is_read_again_when_its_service_is_back() {
    let service = Service::promising(FIRST).await;
    let (gateway, _memory) = following(&service, "").await;
    service.promises(COMPATIBLE);
    assert_ne!(digest(&gateway), Some(service.digest()), "nobody has told it");
    // A first connection of a data thread: as after a restart of the service. Nobody reloads.
    assert_eq!(status(&gateway, "number=1").await, 200);
    gateway.until(|gateway| digest(gateway) == Some(service.digest())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_x_7_an_upstream_that_keeps_another_contract_is_marked() {
    let (service, other) = tokio::join!(Service::promising(FIRST), Service::promising(COMPATIBLE));
    let setup = || gateway(service.address()).second(other.address());
    let memory = Arc::new(Memory::default());
    let gateway = setup().kept_by(memory).start().await;
    gateway.until(|gateway| told(gateway).contains("differs at upstream `second`")).await;
    assert!(told(&gateway).contains("`test.v1.Notes`"), "{}", told(&gateway));
    // The one that the document names serves.
    assert_eq!(digest(&gateway), Some(service.digest()));
    assert_eq!(status(&gateway, "colour=red").await, 400);
    // Alike again, and the mark goes.
    other.promises(FIRST);
    reload(&gateway, &setup());
    gateway.until(|gateway| told(gateway).is_empty()).await;
}
