//! Other documents and other contracts while calls go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tandem_gateway::tasks::Side;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{grpc, note, rest};
use tandem_testkit::{Setup, TestGateway, gateway};

/// Serves what `setup` describes from now on.
fn reload(gateway: &TestGateway, setup: &Setup) -> Result<(), String> {
    let documents = setup.documents();
    gateway.view.reload(
        documents.limits,
        documents.namespaces,
        BTreeMap::new(),
        &documents.contracts,
    )
}

/// Callers who call until they are told to stop.
struct Callers {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    failed: Arc<Mutex<Vec<String>>>,
    side: Side,
}

impl Callers {
    fn start(gateway: &TestGateway) -> Callers {
        let side = Side::new(tokio::runtime::Handle::current());
        let callers =
            Callers { stop: Arc::default(), calls: Arc::default(), failed: Arc::default(), side };
        let public = gateway.public;
        for by_rest in [true, false] {
            let (stop, calls) = (Arc::clone(&callers.stop), Arc::clone(&callers.calls));
            let failed = Arc::clone(&callers.failed);
            callers.side.start(async move {
                while !stop.load(Ordering::Relaxed) {
                    let wrong = if by_rest {
                        let answer = rest(public, "GET", "/v1/notes/a", "").await;
                        (answer.status != 200).then_some(answer.head)
                    } else {
                        let answer = grpc(public, "Get", &[], &[&note("a")]).await;
                        (answer.status() != "0").then(|| format!("grpc-status {}", answer.status()))
                    };
                    failed.lock().expect("nobody panics with it").extend(wrong);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        callers
    }

    /// Waits until the callers have been answered `more` times since now.
    async fn answered(&self, more: u64) {
        let wanted = self.calls.load(Ordering::Relaxed) + more;
        while self.calls.load(Ordering::Relaxed) < wanted {
            tokio::task::yield_now().await;
        }
    }

    /// The calls that failed.
    async fn failed(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.side.emptied().await;
        let failed = self.failed.lock().expect("nobody panics with it");
        failed.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_o_3_a_thousand_reloads_under_load_fail_no_call() {
    let backend = Backend::start(vec![Script::Echo]);
    let plain = gateway(backend.address);
    let gateway = plain.start().await;
    let plain = tandem_testkit::gateway(backend.address);
    let other = tandem_testkit::gateway(backend.address)
        .rules("deadline: { default: 5s }, json: { int64: number }")
        .method("Get", "http: [{ get: \"/v1/notes/{text}\" }, { put: \"/v9/notes\" }]");
    let callers = Callers::start(&gateway);
    callers.answered(10).await;
    let documents = [plain.documents(), other.documents()];
    for number in 0..1_000 {
        let one = &documents[number % 2];
        gateway
            .view
            .reload(one.limits.clone(), one.namespaces.clone(), BTreeMap::new(), &one.contracts)
            .expect("the documents fit together");
        if number % 20 == 0 {
            callers.answered(4).await;
        }
    }
    assert_eq!(callers.failed().await, [""; 0]);
    // The last documents serve.
    assert_eq!(rest(gateway.public, "PUT", "/v9/notes", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_x_6_fifty_contracts_swap_under_load_and_fail_no_call() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let callers = Callers::start(&gateway);
    let contract = |field: &str| {
        format!(
            "syntax = \"proto3\"; package test.v1; import \"google/api/annotations.proto\";
             message Note {{ string text = 1; int64 number = 2; {field} }}
             service Notes {{
               rpc Get(Note) returns (Note) {{ option (google.api.http) = {{ get: \"/v1/notes/{{text}}\" }}; }}
               rpc Secret(Note) returns (Note);
             }}"
        )
    };
    for number in 0..50 {
        let field = format!("string field_{number} = {};", 10 + number);
        let setup = tandem_testkit::gateway(backend.address).contract(&contract(&field));
        reload(&gateway, &setup).expect("the contract fits");
        callers.answered(4).await;
        let target = format!("/v1/notes/a?field_{number}=x");
        let answer = rest(gateway.public, "GET", &target, "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        // The field of the contract before is gone with it.
        if number > 0 {
            let target = format!("/v1/notes/a?field_{}=x", number - 1);
            assert_eq!(rest(gateway.public, "GET", &target, "").await.status, 400);
        }
    }
    assert_eq!(callers.failed().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_do_not_fit_together_leave_the_old_ones_serving() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let mut documents = tandem_testkit::gateway(backend.address).documents();
    let mut twin = documents.namespaces[0].clone();
    twin.namespace = "other".into();
    let contract = Arc::clone(&documents.contracts["notes"]);
    documents.contracts.insert("other".into(), contract);
    documents.namespaces.push(twin);
    let why = gateway
        .view
        .reload(documents.limits, documents.namespaces, BTreeMap::new(), &documents.contracts)
        .expect_err("two namespaces claim one method");
    assert!(why.contains("claimed twice"), "{why}");
    assert_eq!(gateway.view.namespaces().len(), 1);
    assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_go_on_over_a_reload() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
    reload(&gateway, &tandem_testkit::gateway(backend.address)).expect("the documents fit");
    assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
    gateway.until(|gateway| gateway.figures("/Get").calls() == 2).await;
}
