//! Settings of services: who is told what and when, and what is known of it (hybrid SE-2, SE-3).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tandem_contract::fields;
use tandem_gateway::{
    Declared, DeclaredSettings, InstanceState, ServiceInstances, SettingsRefused, View,
};
use tandem_protocol::envelope::{self, EnvelopeReader};
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{End, GrpcAnswer, RestCall, Transfer, grpc, note, rest};
use tandem_testkit::{Documents, Setup, TestGateway, gateway};

const WATCH: &str = "/tandem.settings.v1.Settings/Watch";
const REPORT: &str = "/tandem.settings.v1.Settings/Report";
const NOTES: &str = "test.v1.Notes";

/// A gateway whose namespace `notes` gives its services the settings that a test says.
struct Desk {
    gateway: TestGateway,
    given: Arc<Mutex<Declared>>,
    /// The same of a namespace `twin`.
    given_twin: Arc<Mutex<Declared>>,
    setup: Setup,
    _backend: Backend,
}

impl Desk {
    /// With these values for `test.v1.Notes`, version 1.
    async fn with(message: &[u8]) -> Desk {
        let backend = Backend::start(vec![Script::Echo]);
        let given: Arc<Mutex<Declared>> = Arc::default();
        let given_twin: Arc<Mutex<Declared>> = Arc::default();
        let (read, read_twin) = (Arc::clone(&given), Arc::clone(&given_twin));
        let started = gateway(backend.address)
            .settings(Arc::new(move |namespace, _contract| match &*namespace.namespace {
                "notes" => read.lock().expect("nobody panics with it").clone(),
                _ => read_twin.lock().expect("nobody panics with it").clone(),
            }))
            .start()
            .await;
        let setup = gateway(backend.address);
        let desk = Desk { gateway: started, given, given_twin, setup, _backend: backend };
        desk.publish(1, message);
        desk
    }

    fn publish(&self, version: u64, message: &[u8]) {
        self.publish_for(version, [(NOTES, message)], false);
    }

    fn publish_for<'a>(
        &self,
        version: u64,
        values: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        require_all: bool,
    ) {
        self.reload_with(version, declared(values, require_all));
    }

    fn reload_with(&self, version: u64, declared: Declared) {
        *self.given.lock().expect("nobody panics with it") = declared;
        let documents = self.setup.documents();
        let versions = BTreeMap::from([("notes".to_owned(), version)]);
        let reloaded = self.gateway.view.reload(
            documents.limits,
            documents.namespaces,
            versions,
            &documents.contracts,
        );
        reloaded.expect("the documents fit together");
    }

    async fn watch(&self, request: Request<'_>) -> Watcher {
        let mut call = RestCall::open(
            self.gateway.internal,
            true,
            ("POST", WATCH),
            &[("content-type", "application/grpc"), ("te", "trailers")],
            true,
        )
        .await;
        call.send(&envelope::frame(&request.watch())).await;
        call.send(&[]).await;
        Watcher(call)
    }

    async fn report(&self, request: &[u8]) -> GrpcAnswer {
        grpc(self.gateway.internal, REPORT, &[], &[request]).await
    }

    fn known(&self) -> ServiceInstances {
        known(&self.gateway.view)
    }

    /// The states of the instances by their names.
    fn states(&self) -> Vec<(String, u64, String)> {
        let said = |state: &InstanceState| match state {
            InstanceState::Refused { reason } => format!("refused: {reason}"),
            other => other.name().to_owned(),
        };
        let instances = self.known().instances;
        instances
            .into_iter()
            .map(|one| (one.instance, one.values.version, said(&one.state)))
            .collect()
    }

    /// Waits until the states are these.
    async fn until_states(&self, wanted: &[(&str, u64, &str)]) {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(instance, version, state)| (instance.to_string(), *version, state.to_string()))
            .collect();
        let looked = tokio::time::timeout(Duration::from_secs(10), async {
            while self.states() != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        if looked.await.is_err() {
            assert_eq!(self.states(), wanted);
        }
    }

    fn metric(&self, line: &str) -> String {
        let text = self.gateway.view.metrics().text();
        let found = text.lines().find_map(|found| found.strip_prefix(line));
        found.unwrap_or_else(|| panic!("no {line} in\n{text}")).trim().to_owned()
    }
}

fn declared<'a, M: AsRef<[u8]>>(
    values: impl IntoIterator<Item = (&'a str, M)>,
    require_all: bool,
) -> Declared {
    let one = |message: M| {
        let message = Bytes::copy_from_slice(message.as_ref());
        Some(DeclaredSettings { message, require_all })
    };
    let values = values.into_iter();
    values.map(|(service, message)| (service.to_owned(), one(message))).collect()
}

fn known(view: &View) -> ServiceInstances {
    let all = view.settings();
    all.into_iter().find(|known| known.service == NOTES).expect("the service has settings")
}

#[derive(Clone, Copy)]
struct Request<'a> {
    service: &'a str,
    instance: &'a str,
    have: (u64, &'a [u8]),
}

impl Default for Request<'_> {
    fn default() -> Self {
        Request { service: NOTES, instance: "one", have: (0, &[]) }
    }
}

impl Request<'_> {
    fn watch(&self) -> Vec<u8> {
        let mut out = Vec::new();
        fields::put_bytes(1, self.service.as_bytes(), &mut out);
        fields::put_number(2, self.have.0, &mut out);
        fields::put_bytes(3, self.have.1, &mut out);
        fields::put_bytes(4, self.instance.as_bytes(), &mut out);
        out
    }

    /// `refused` is a reason; empty for values that were applied.
    fn report(&self, snapshot: &Snapshot, refused: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        fields::put_bytes(1, self.service.as_bytes(), &mut out);
        fields::put_bytes(2, self.instance.as_bytes(), &mut out);
        fields::put_number(3, snapshot.version, &mut out);
        fields::put_bytes(4, &snapshot.hash, &mut out);
        if refused.is_empty() {
            fields::put_bytes(5, &[], &mut out);
        } else {
            let mut reason = Vec::new();
            fields::put_bytes(1, refused, &mut reason);
            fields::put_bytes(6, &reason, &mut out);
        }
        out
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Snapshot {
    version: u64,
    message: Vec<u8>,
    hash: Vec<u8>,
}

fn snapshots(body: &[u8]) -> Vec<Snapshot> {
    let mut reader = EnvelopeReader::new(64 << 20);
    reader.push(Bytes::copy_from_slice(body));
    let mut found = Vec::new();
    while let Some(Ok(frame)) = reader.next() {
        let mut snapshot = Snapshot { version: 0, message: Vec::new(), hash: Vec::new() };
        for field in fields::each(&frame.payload).map(|field| field.expect("a message")) {
            match field.number {
                1 => snapshot.version = field.value,
                2 => snapshot.message = field.bytes.to_vec(),
                3 => snapshot.hash = field.bytes.to_vec(),
                other => panic!("an unknown field {other}"),
            }
        }
        found.push(snapshot);
    }
    found
}

/// The head of a `Watch` at this authority.
fn watching(authority: &str) -> http::Request<()> {
    let request = http::Request::post(format!("http://{authority}{WATCH}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    request.body(()).expect("a request")
}

struct Watcher(RestCall);

impl Watcher {
    /// Waits until `count` snapshots have come since the beginning, and gives them.
    async fn told(&mut self, count: usize) -> Vec<Snapshot> {
        snapshots(&self.0.until_body(|body| snapshots(body).len() >= count).await)
    }

    async fn ended(self) -> (Transfer, String) {
        let transfer = self.0.finish().await;
        let status = transfer.header("grpc-status").to_owned();
        (transfer, status)
    }
}

fn versions(snapshots: &[Snapshot]) -> Vec<u64> {
    snapshots.iter().map(|snapshot| snapshot.version).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_se_2_values_come_at_once_and_again_with_each_change() {
    let desk = Desk::with(b"first").await;
    let mut watcher = desk.watch(Request::default()).await;
    let told = watcher.told(1).await;
    assert_eq!((told[0].version, &*told[0].message), (1, &b"first"[..]));
    assert_eq!(told[0].hash, known(&desk.gateway.view).values.hash);
    desk.publish(2, b"second");
    let told = watcher.told(2).await;
    assert_eq!((told[1].version, &*told[1].message), (2, &b"second"[..]));
    // A version that leaves the values as they are is told too: it is what the instance runs by.
    desk.publish(3, b"second");
    let told = watcher.told(3).await;
    assert_eq!((told[2].version, &told[2].hash), (3, &told[1].hash));
    assert_ne!(told[0].hash, told[1].hash);
    // What is published again is no change: the next that comes is version 4.
    desk.publish(3, b"second");
    desk.publish(4, b"");
    let told = watcher.told(4).await;
    assert_eq!(versions(&told), [1, 2, 3, 4]);
    assert_eq!(told[3].message, b"");
    assert_eq!(
        desk.metric("tandem_settings_pushes_total{namespace=\"notes\",service=\"test.v1.Notes\"}"),
        "4"
    );
    assert_eq!(
        desk.metric("tandem_settings_watchers{namespace=\"notes\",service=\"test.v1.Notes\"}"),
        "1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_watcher_skips_what_came_in_between() {
    // Each is more than the windows of a stream and what the gateway holds for it.
    let large = |letter: u8| vec![letter; 400_000];
    let desk = Desk::with(&large(b'1')).await;
    let mut slow = desk.watch(Request::default()).await;
    desk.until_states(&[("one", 1, "pending")]).await;
    for version in 2..=6 {
        desk.publish(version, &large(b'0' + version as u8));
    }
    let told = slow.told(2).await;
    assert_eq!(versions(&told), [1, 6]);
    assert_eq!(told[1].message, large(b'6'));
    desk.publish(7, b"small");
    assert_eq!(versions(&slow.told(3).await), [1, 6, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_values_is_told_the_next_only() {
    let desk = Desk::with(b"first").await;
    let has = desk.watch(Request::default()).await.told(1).await.remove(0);
    let have = (has.version, &*has.hash);
    let mut again = desk.watch(Request { have, ..Request::default() }).await;
    // The same bytes in another version, the same version with other bytes, and no hash at all.
    let others = [(2, &*has.hash), (1, &[0; 32][..]), (1, &[][..]), (1, &[0; 31][..])];
    for (number, have) in others.into_iter().enumerate() {
        let instance = &*format!("other-{number}");
        let mut other = desk.watch(Request { have, instance, ..Request::default() }).await;
        assert_eq!(other.told(1).await, std::slice::from_ref(&has), "{have:?}");
    }
    desk.until_states(&[
        // What it has is what it applied.
        ("one", 1, "applied"),
        ("other-0", 1, "gone"),
        ("other-1", 1, "gone"),
        ("other-2", 1, "gone"),
        ("other-3", 1, "gone"),
    ])
    .await;
    desk.publish(2, b"second");
    assert_eq!(versions(&again.told(1).await), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_t_9_settings_are_told_on_the_internal_listener_alone() {
    let desk = Desk::with(b"first").await;
    let question = Request::default().watch();
    for (path, name) in [(WATCH, "Watch"), (REPORT, "Report")] {
        let answer = grpc(desk.gateway.public, path, &[], &[&question]).await;
        let unknown = path.replace(name, "Unknown");
        let other = grpc(desk.gateway.internal, &unknown, &[], &[&question]).await;
        // As any method that is not there.
        assert_eq!((answer.status(), answer.messages.len()), ("12", 0));
        assert_eq!(other.status(), "12");
        for address in [desk.gateway.public, desk.gateway.internal] {
            assert_eq!(rest(address, "POST", path, "{}").await.status, 404);
        }
    }
    assert_eq!(desk.states(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_settings_is_not_found() {
    let desk = Desk::with(b"first").await;
    for service in ["test.v1.Other", "test.v1.note", "test.v1.Notes/Get", "*"] {
        let request = Request { service, ..Request::default() };
        let (transfer, status) = desk.watch(request).await.ended().await;
        assert_eq!((&*status, transfer.end), ("5", End::Complete), "{service}");
        let snapshot = Snapshot { version: 1, message: Vec::new(), hash: vec![0; 32] };
        assert_eq!(desk.report(&request.report(&snapshot, b"")).await.status(), "5");
    }
    // One that had some and has none any longer ends its streams.
    let mut watcher = desk.watch(Request::default()).await;
    watcher.told(1).await;
    desk.publish_for(2, [("test.v1.Another", &b"x"[..])], false);
    assert_eq!(watcher.ended().await.1, "5");
    assert_eq!(desk.gateway.view.settings().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_the_contract_no_longer_allows_leave_those_before() {
    let desk = Desk::with(b"first").await;
    let mut watcher = desk.watch(Request::default()).await;
    watcher.told(1).await;
    desk.reload_with(
        2,
        Declared::from([(NOTES.to_owned(), None), ("test.v1.New".to_owned(), None)]),
    );
    assert_eq!(desk.known().values.version, 1);
    assert_eq!(desk.gateway.view.settings().len(), 1);
    desk.publish(3, b"third");
    assert_eq!(versions(&watcher.told(2).await), [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_se_1_values_are_those_of_the_document() {
    const CONTRACT: &str = r#"
        syntax = "proto3"; package test.v1;
        import "tandem/settings/v1/settings.proto";
        message Note { string text = 1; }
        message NotesSettings {
          option (tandem.settings.v1.settings) = { service: "test.v1.Notes" };
          string text = 1;
        }
        service Notes { rpc Get(Note) returns (Note); rpc Secret(Note) returns (Note); }
    "#;
    let backend = Backend::start(vec![Script::Echo]);
    let with = |text: &str| {
        let settings = format!("{NOTES}: {{ values: {{ text: {text} }}, require: all }}");
        gateway(backend.address).contract(CONTRACT).settings_of_team(&settings)
    };
    let started = with("first").start().await;
    let desk = Desk {
        gateway: started,
        given: Arc::default(),
        given_twin: Arc::default(),
        setup: with("second"),
        _backend: backend,
    };
    let mut watcher = desk.watch(Request::default()).await;
    assert_eq!(watcher.told(1).await[0].message, note("first"));
    assert!(desk.known().require_all);
    desk.reload_with(2, Declared::new());
    let told = watcher.told(2).await;
    assert_eq!((told[1].version, &told[1].message), (2, &note("second")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_instances_say_is_known_by_their_names() {
    let desk = Desk::with(b"first").await;
    let request = |instance: &'static str| Request { instance, ..Request::default() };
    let mut good = desk.watch(request("catalogue-go.1")).await;
    let mut bad = desk.watch(request("catalogue_rust:2")).await;
    let first = good.told(1).await.remove(0);
    bad.told(1).await;
    desk.until_states(&[("catalogue-go.1", 1, "pending"), ("catalogue_rust:2", 1, "pending")])
        .await;
    assert_eq!(desk.report(&request("catalogue-go.1").report(&first, b"")).await.status(), "0");
    let refused = request("catalogue_rust:2").report(&first, "zu groß".as_bytes());
    assert_eq!(desk.report(&refused).await.status(), "0");
    desk.until_states(&[
        ("catalogue-go.1", 1, "applied"),
        ("catalogue_rust:2", 1, "refused: zu groß"),
    ])
    .await;
    // Of a long reason the first 1,024 bytes are kept, and they are still text.
    let long = "é".repeat(1_000);
    desk.report(&request("catalogue_rust:2").report(&first, long.as_bytes())).await;
    desk.until_states(&[
        ("catalogue-go.1", 1, "applied"),
        ("catalogue_rust:2", 1, &format!("refused: {}", "é".repeat(512))),
    ])
    .await;
    let labels = |state: &str| {
        format!(
            "tandem_settings_instances{{namespace=\"notes\",service=\"test.v1.Notes\",state=\"{state}\"}}"
        )
    };
    assert_eq!(desk.metric(&labels("applied")), "1");
    assert_eq!(desk.metric(&labels("refused")), "1");
    drop(good);
    desk.until_states(&[
        ("catalogue-go.1", 1, "gone"),
        ("catalogue_rust:2", 1, &format!("refused: {}", "é".repeat(512))),
    ])
    .await;
    // The next version makes those pending that are told of it.
    desk.publish(2, b"second");
    bad.told(2).await;
    desk.until_states(&[("catalogue-go.1", 1, "gone"), ("catalogue_rust:2", 2, "pending")]).await;
    // An answer to the version before says nothing of this one.
    desk.report(&request("catalogue_rust:2").report(&first, b"")).await;
    assert_eq!(desk.states()[1].2, "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_an_event_where_all_must_agree() {
    let desk = Desk::with(b"first").await;
    let mut events = desk.gateway.view.settings_refused();
    let mut watcher = desk.watch(Request::default()).await;
    let first = watcher.told(1).await.remove(0);
    // Nobody waits for all: no event, as the next one shows.
    desk.report(&Request::default().report(&first, b"not this")).await;
    desk.publish_for(2, [(NOTES, &b"second"[..])], true);
    let second = watcher.told(2).await.remove(1);
    // What is no longer told is nothing to roll back.
    desk.report(&Request::default().report(&first, b"too late")).await;
    desk.report(&Request::default().report(&second, b"over 60")).await;
    let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
    assert_eq!(
        event.expect("an event in time").expect("an event"),
        SettingsRefused {
            namespace: "notes".into(),
            version: 2,
            service: NOTES.into(),
            instance: "one".into(),
            reason: "over 60".into(),
        }
    );
    assert!(events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_and_known_nowhere() {
    let desk = Desk::with(b"first").await;
    let named = |instance: &str| Request { instance, ..Request::default() }.watch();
    let snapshot = Snapshot { version: 1, message: Vec::new(), hash: vec![0; 32] };
    let reported = Request::default().report(&snapshot, b"");
    let mut no_outcome = reported.clone();
    no_outcome.truncate(reported.len() - 2);
    let short_hash = Snapshot { hash: vec![0; 31], ..snapshot.clone() };
    let cases: [(&str, Vec<u8>); 11] = [
        (WATCH, vec![0xff; 40]),
        (WATCH, Vec::new()),
        (WATCH, named("")),
        (WATCH, named(&"x".repeat(129))),
        (WATCH, named("with space")),
        (WATCH, named("nul\0")),
        (WATCH, [&named("one")[..], b"\x22\x02\xff\xfe"].concat()),
        (REPORT, vec![0x0a, 0x7f]),
        (REPORT, no_outcome),
        (REPORT, Request::default().report(&short_hash, b"")),
        (REPORT, Request::default().report(&snapshot, b"\xff\xfe")),
    ];
    for (path, question) in cases {
        let answer = grpc(desk.gateway.internal, path, &[], &[&question]).await;
        assert_eq!((answer.status(), answer.messages.len()), ("3", 0), "{path} {question:?}");
    }
    let two = named("one");
    for (path, questions, status) in [
        (WATCH, &[][..], "12"),
        (WATCH, &[&*two, &*two][..], "12"),
        (REPORT, &[][..], "12"),
        (REPORT, &[&*reported, &*reported][..], "12"),
    ] {
        let answer = grpc(desk.gateway.internal, path, &[], questions).await;
        assert_eq!(answer.status(), status, "{path}");
    }
    // A name of 128 is one.
    let longest = &*"x".repeat(128);
    let mut watcher = desk.watch(Request { instance: longest, ..Request::default() }).await;
    assert_eq!(versions(&watcher.told(1).await), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_streams_of_watchers_cleanly() {
    let desk = Desk::with(b"first").await;
    let mut watcher = desk.watch(Request::default()).await;
    watcher.told(1).await;
    let stopped = tokio::join!(desk.gateway.gateway.stop(), async {
        let (transfer, status) = watcher.ended().await;
        assert_eq!((&*status, transfer.end), ("14", End::Complete));
        assert_eq!(transfer.header("grpc-message"), "the gateway is stopping");
    });
    assert!(stopped.0.took < Duration::from_secs(5), "{:?}", stopped.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_two_namespaces_have_a_service_the_authority_says_whose_settings_are_meant() {
    let desk = Desk::with(b"first").await;
    let mut documents = desk.setup.documents();
    let mut twin = documents.namespaces[0].clone();
    twin.namespace = "twin".into();
    twin.hosts = vec!["twin.test".into()];
    documents.contracts.insert("twin".into(), Arc::clone(&documents.contracts["notes"]));
    documents.namespaces.push(twin);
    *desk.given.lock().expect("nobody panics with it") = declared([(NOTES, b"notes")], false);
    *desk.given_twin.lock().expect("nobody panics with it") = declared([(NOTES, b"twin")], false);
    let versions = BTreeMap::from([("notes".to_owned(), 7), ("twin".to_owned(), 8)]);
    let Documents { limits, namespaces, contracts, identity: _ } = documents;
    desk.gateway.view.reload(limits, namespaces, versions, &contracts).expect("they fit");
    for (authority, version, message) in
        [("any", 7, &b"notes"[..]), ("twin.test", 8, b"twin"), ("twin.test:8081", 8, b"twin")]
    {
        let (mut send, driven) = h2::client::handshake(
            tokio::net::TcpStream::connect(desk.gateway.internal).await.expect("room"),
        )
        .await
        .expect("HTTP/2");
        desk.gateway.side.start(async move {
            let _ = driven.await;
        });
        let (response, mut out) = send.send_request(watching(authority), false).expect("a stream");
        let question = Request { instance: "one", ..Request::default() }.watch();
        out.send_data(envelope::frame(&question), true).expect("it is sent");
        let mut body = response.await.expect("a head").into_body();
        let told = snapshots(&body.data().await.expect("values").expect("values")).remove(0);
        assert_eq!((told.version, &*told.message), (version, message), "{authority}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_se_3_a_thousand_watchers_are_all_told() {
    const CONNECTIONS: usize = 20;
    const EACH: usize = 50;
    let desk = Desk::with(b"first").await;
    let mut streams = Vec::new();
    for connection in 0..CONNECTIONS {
        let stream = tokio::net::TcpStream::connect(desk.gateway.internal).await.expect("room");
        let (send, driven) = h2::client::Builder::new()
            .initial_connection_window_size(1 << 24)
            .handshake(stream)
            .await
            .expect("HTTP/2");
        desk.gateway.side.start(async move {
            let _ = driven.await;
        });
        let mut send = send.ready().await.expect("a connection");
        for number in 0..EACH {
            send = send.ready().await.expect("a stream");
            let (response, mut out) = send.send_request(watching("any"), false).expect("a stream");
            let instance = &*format!("{connection}-{number}");
            let question = Request { instance, ..Request::default() }.watch();
            out.send_data(envelope::frame(&question), true).expect("it is sent");
            streams.push(response);
        }
    }
    let mut bodies = Vec::new();
    for response in streams {
        bodies.push(response.await.expect("a head").into_body());
    }
    let told = async |body: &mut h2::RecvStream| {
        let data = body.data().await.expect("values").expect("values");
        snapshots(&data).remove(0).version
    };
    for body in &mut bodies {
        assert_eq!(told(body).await, 1);
    }
    desk.publish(2, b"second");
    for body in &mut bodies {
        assert_eq!(told(body).await, 2);
    }
    let instances = desk.known().instances;
    assert_eq!(instances.len(), CONNECTIONS * EACH);
    assert!(instances.iter().all(|one| one.values.version == 2));
}
