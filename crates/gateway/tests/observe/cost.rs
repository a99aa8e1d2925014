//! What the processes of an upstream use, read while it is called.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use tandem_gateway::UpstreamCost;
use tandem_testkit::client::{grpc, note};
use tandem_testkit::{Backend, Script, Setup, TestGateway, gateway};

use super::openmetrics::parse;

fn echo() -> Backend {
    Backend::start(vec![Script::Echo])
}

/// What is known once everything was read `more` times from now on, the first of which may have
/// begun before.
async fn read(gateway: &TestGateway, more: u64) -> Vec<UpstreamCost> {
    let mut readings = gateway.view.costs_read();
    let wanted = *readings.borrow() + more;
    readings.wait_for(|count| *count >= wanted).await.unwrap();
    gateway.view.costs()
}

fn reload(gateway: &TestGateway, setup: &Setup) {
    let documents = setup.documents();
    let (limits, namespaces) = (documents.limits, documents.namespaces);
    gateway.view.reload(limits, namespaces, BTreeMap::new(), &documents.contracts).unwrap();
}

/// Another process, until it is dropped.
struct Other(Child);

impl Other {
    fn start() -> Other {
        Other(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_uses_is_read_beside_the_calls_that_were_sent_to_it() {
    let backend = echo();
    // The upstream of this test lives in its process.
    let own = format!("pid:{}", std::process::id());
    let gateway = gateway(backend.address).upstream(&format!("cost: \"{own}\"")).start().await;
    let before = read(&gateway, 1).await;
    assert_eq!(before[0].total.calls, 0);
    for _ in 0..20 {
        grpc(gateway.public, "Get", &[], &[&note("a")]).await;
    }
    let after = read(&gateway, 2).await;
    let [cost] = &after[..] else { panic!("{after:?}") };
    assert_eq!((&*cost.namespace, &*cost.upstream, &*cost.target), ("notes", "it", &*own));
    assert_eq!((&*cost.source, &*cost.memory_source), ("process clock", "RssAnon"));
    assert_eq!((cost.total.calls, cost.window.calls), (20, 20));
    assert!(cost.total.cpu_s.unwrap() > 0.0 && cost.total.seconds > 0.0, "{cost:?}");
    assert!(cost.memory_bytes.unwrap() > 1 << 20, "{cost:?}");
    assert!(cost.memory_peak_bytes >= cost.memory_bytes, "{cost:?}");
    assert_eq!((cost.restarts, cost.missing), (0, 0));

    let text = gateway.view.metrics().text();
    let families = parse(&text).unwrap();
    for name in ["tandem_upstream_cpu_seconds", "tandem_upstream_memory_bytes"] {
        let sample = &families[name].samples[0];
        assert!(sample.value > 0.0, "{text}");
        assert_eq!(sample.labels["upstream"], "it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ended_is_missing_and_other_targets_begin_anew() {
    let backend = echo();
    let other = Other::start();
    let with = |cost: &str| gateway(backend.address).upstream(cost);
    let first = format!("cost: \"pid:{}\"", other.0.id());
    let gateway = with(&first).start().await;
    let before = read(&gateway, 1).await.remove(0);
    assert_eq!((before.processes, before.missing), (1, 0));
    drop(other);
    let ended = read(&gateway, 2).await.remove(0);
    assert_eq!((ended.processes, ended.missing, ended.restarts), (0, 1, 0));
    assert_eq!(ended.memory_bytes, None);

    reload(&gateway, &with(&format!("cost: \"pid:{}\"", std::process::id())));
    let anew = read(&gateway, 2).await.remove(0);
    assert_eq!((anew.processes, anew.missing), (1, 0));
    assert!(anew.since > before.since);
    reload(&gateway, &with("eject: true"));
    gateway.until(|gateway| gateway.view.costs().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_nobody_looks_at_has_no_figures() {
    let backend = echo();
    let gateway = gateway(backend.address).start().await;
    grpc(gateway.public, "Get", &[], &[&note("a")]).await;
    assert_eq!(gateway.view.costs(), []);
    let families = parse(&gateway.view.metrics().text()).unwrap();
    assert!(families["tandem_upstream_cpu_seconds"].samples.is_empty());
}
