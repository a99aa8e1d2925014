//! What is kept is given to whoever asks the same, and to nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_gateway::CacheUse;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{grpc, note, rest};

use super::{counted, header, kept, read, saying};

#[tokio::test(flavor = "multi_thread")]
async fn json_and_protobuf_callers_of_one_question_share_one_answer() {
    let answer = saying(&[("x-one", "1")], &[("x-two", "2")], note("kept"));
    let backend = Backend::start(vec![answer, Script::Hang]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    let first = read(&gateway, "a", &[]).await;
    assert_eq!((first.status, &*first.body), (200, "{\"text\":\"kept\"}"));
    assert_eq!(header(&first, "age"), "");
    for _ in 0..2 {
        let again = read(&gateway, "a", &[]).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!((header(&again, "x-one"), header(&again, "trailer-x-two")), ("1", "2"));
        assert_eq!(header(&again, "age"), "0");
        let plain = grpc(gateway.public, "Read", &[], &[&note("a")]).await;
        assert_eq!((plain.status(), &*plain.messages), ("0", &[note("kept").into()][..]));
        assert_eq!(plain.trailers.expect("trailers")["x-two"], "2");
        let json = [("content-type", "application/grpc+json")];
        let json = grpc(gateway.public, "Read", &json, &[b"{\"text\":\"a\"}"]).await;
        assert_eq!((json.status(), &*json.messages), ("0", &["{\"text\":\"kept\"}".into()][..]));
    }
    assert_eq!(backend.calls(), 1);
    gateway.until(|gateway| counted(gateway, CacheUse::Hit) == 6).await;
    assert_eq!(counted(&gateway, CacheUse::Miss), 1);
    // The upstream answered once, for the one who asked it.
    assert_eq!(gateway.upstream().attempts, 1);
    let text = gateway.view.metrics().text();
    for line in [
        "tandem_cache_calls_total{namespace=\"notes\",method=\"test.v1.Notes/Read\",answered=\"hit\"} 6",
        "tandem_cache_calls_total{namespace=\"notes\",method=\"test.v1.Notes/Read\",answered=\"miss\"} 1",
        "tandem_cache_entries{namespace=\"notes\"} 1",
        "tandem_cache_bytes_max{namespace=\"notes\"} 67108864",
        "tandem_cache_stored_total{namespace=\"notes\"} 1",
        "tandem_cache_evicted_total{namespace=\"notes\"} 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_is_written_for_each_caller() {
    let backend = Backend::start(vec![Script::message(note(&"x".repeat(4_000))), Script::Hang]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    let first = read(&gateway, "a", &[]).await;
    let tag = header(&first, "etag").to_owned();
    assert!(tag.starts_with("w/"), "{tag}");
    let coded = read(&gateway, "a", &["accept-encoding: gzip"]).await;
    assert_eq!((coded.status, header(&coded, "content-encoding")), (200, "gzip"));
    let tag = tag.replacen("w/", "W/", 1);
    // The text of tags is told apart by case, and `head` is in lower case.
    let answer = tandem_testkit::client::RestCall::open(
        gateway.public,
        true,
        ("GET", "/v1/read/a"),
        &[],
        false,
    );
    let exact = answer.await.finish().await.header("etag").to_owned();
    assert_eq!(exact.to_lowercase(), tag.to_lowercase());
    let known = read(&gateway, "a", &[&format!("if-none-match: {exact}")]).await;
    assert_eq!((known.status, &*known.body), (304, ""));
    assert_eq!(header(&known, "age"), "0");
    let head = "HEAD /v1/read/a HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n";
    let head = tandem_testkit::client::raw(gateway.public, head.as_bytes()).await.unwrap();
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(backend.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_c_2_the_service_is_told_the_key_and_nothing_else() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = kept(&backend, "ttl: 1h, fields: [text]").start().await;
    let lines = [
        "x-language: fr",
        "x-forwarded-host: evil",
        "x-request-id: evil",
        "tracestate: evil=1",
        "user-agent: evil",
        "x-http-code: 204",
    ];
    let poisoned = read(&gateway, "a?number=7", &lines).await;
    assert_eq!(poisoned.body, "{\"text\":\"a\"}");
    assert_eq!(header(&poisoned, "x-request-id"), "evil", "the caller's own");
    let reached = &backend.reached()[0];
    assert_eq!(reached.messages, [note("a")]);
    let names: Vec<&str> = reached.headers.keys().map(|name| name.as_str()).collect();
    for name in &names {
        let ours = ["content-type", "te", "x-request-id", "traceparent", "grpc-timeout"];
        assert!(ours.contains(name), "{names:?}");
    }
    assert_ne!(reached.headers["x-request-id"], "evil");
    // By gRPC the same, with a field that nobody knows.
    let unknown = [note("a"), b"\xc2\x3e\x01x".to_vec()].concat();
    let answer = grpc(gateway.public, "Read", &[("x-language", "fr")], &[&unknown]).await;
    assert_eq!(&*answer.messages, &[note("a")]);
    assert_eq!(backend.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_c_1_a_call_with_a_credential_leaves_and_finds_nothing() {
    for per in ["", ", per: principal"] {
        let backend = Backend::start(vec![Script::Echo]);
        let gateway = kept(&backend, &format!("ttl: 1h{per}")).start().await;
        let mut calls = 0;
        for line in ["authorization: Bearer a", "cookie: a=b", "x-api-key: k", "x_api_key: k"] {
            // Before anything is kept, and after.
            for _ in 0..2 {
                assert_eq!(read(&gateway, "a", &[line]).await.status, 200);
                calls += 1;
                assert_eq!(backend.calls(), calls, "{line}");
            }
            // What it says reaches the service as ever.
            let name = line.split(':').next().unwrap();
            assert!(backend.reached().last().unwrap().headers.contains_key(name), "{line}");
            let token = [("authorization", "Bearer a")];
            assert_eq!(grpc(gateway.public, "Read", &token, &[&note("a")]).await.status(), "0");
            calls += 1;
            assert_eq!(backend.calls(), calls, "{line}");
            if calls == 3 {
                read(&gateway, "a", &[]).await;
                calls += 1;
            }
        }
        read(&gateway, "a", &[]).await;
        assert_eq!(backend.calls(), calls);
        gateway.until(|gateway| counted(gateway, CacheUse::Passed) == 12).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_c_3_what_must_not_be_kept_is_not() {
    let ok = || note("a");
    for script in [
        saying(&[("cache-control", "no-store")], &[], ok()),
        saying(&[], &[("cache-control", "no-store")], ok()),
        saying(&[("cache-control", "private")], &[], ok()),
        saying(&[("vary", "*")], &[], ok()),
        saying(&[("set-cookie", "a=b")], &[], ok()),
        saying(&[("x-http-code", "206")], &[], ok()),
        saying(&[("cache-control", "max-age=0")], &[], ok()),
        Script::trailers(&[("grpc-status", "5")]),
        Script::trailers(&[("grpc-status", "14")]),
        Script::ResetAfter { messages: vec![ok()], code: 2 },
        Script::Reset(2),
        Script::Garbage(b"no message".to_vec()),
        saying(&[], &[], vec![b'x'; 2_000]),
    ] {
        let backend = Backend::start(vec![script.clone(), script.clone(), Script::Echo]);
        let setup = kept(&backend, "ttl: 1h, entry: 1KiB").upstream("eject: false");
        let gateway = setup.one_thread().start().await;
        let answers = [read(&gateway, "a", &[]).await, read(&gateway, "a", &[]).await];
        assert_eq!(backend.calls(), 2, "{script:?}");
        assert_eq!(answers[0].status, answers[1].status, "{script:?}");
        assert_eq!(answers[0].body, answers[1].body, "{script:?}");
        assert_eq!(header(&answers[1], "age"), "", "{script:?}");
        read(&gateway, "a", &[]).await;
        assert_eq!(backend.calls(), 3, "{script:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_methods_that_say_so_are_kept() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = kept(&backend, "ttl: 1h").rules("cache: { ttl: 1h }").start().await;
    for _ in 0..2 {
        // May have side effects.
        assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
        assert_eq!(grpc(gateway.public, "Replace", &[], &[&note("a")]).await.status(), "0");
        // A stream.
        assert_eq!(grpc(gateway.public, "Follow", &[], &[&note("a")]).await.status(), "0");
    }
    assert_eq!(backend.calls(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_c_1_no_answer_crosses_a_host_a_namespace_or_a_question() {
    let backends = [Backend::start(vec![Script::Echo]), Backend::start(vec![Script::Echo])];
    let mut documents = kept(&backends[0], "ttl: 1h").documents();
    let second = kept(&backends[1], "ttl: 1h").documents();
    let mut other = second.namespaces[0].clone();
    other.namespace = "other".into();
    other.hosts = vec!["b.test".into()];
    documents.namespaces[0].hosts = vec!["a.test".into()];
    documents.namespaces.push(other);
    documents.contracts.insert("other".into(), Arc::clone(&second.contracts["notes"]));
    let gateway = kept(&backends[0], "ttl: 1h").start().await;
    gateway
        .view
        .reload(documents.limits, documents.namespaces, Default::default(), &documents.contracts)
        .unwrap();
    let mut asked: BTreeMap<(usize, &str, &str), String> = BTreeMap::new();
    for round in 0..2 {
        for (host, space) in [("a.test", 0), ("b.test", 1), ("A.TEST", 0), ("b.test:80", 1)] {
            for (text, query) in [("a", ""), ("b", ""), ("a", "?number=1"), ("b", "?number=1")] {
                let request = format!(
                    "GET /v1/read/{text}{query} HTTP/1.1\r\nhost: {host}\r\n\
                     connection: close\r\n\r\n"
                );
                let answer = tandem_testkit::client::raw(gateway.public, request.as_bytes());
                let body = answer.await.unwrap().body;
                assert!(body.contains(&format!("\"text\":\"{text}\"")), "{body}");
                let question = (space, text, query);
                let before = asked.entry(question).or_insert_with(|| body.clone());
                assert_eq!(*before, body, "{question:?}");
                let calls: usize = backends.iter().map(Backend::calls).sum();
                assert_eq!(calls, asked.len(), "round {round}: {question:?}");
            }
        }
    }
    assert_eq!(backends.each_ref().map(Backend::calls), [4, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_swaps_the_rules_and_keeps_what_they_leave_as_it_was() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    let reload = |rules: &str| {
        let documents = kept(&backend, rules).documents();
        gateway
            .view
            .reload(
                documents.limits,
                documents.namespaces,
                Default::default(),
                &documents.contracts,
            )
            .unwrap();
    };
    read(&gateway, "a", &[]).await;
    for (rules, calls) in [
        ("ttl: 1h", 1),
        ("ttl: 2h, stale_if_error: 1s", 1),
        ("ttl: 1h, fields: [text]", 2),
        ("ttl: 1h", 3),
        ("ttl: 1h, per: principal", 4),
    ] {
        reload(rules);
        read(&gateway, "a", &[]).await;
        assert_eq!(backend.calls(), calls, "{rules}");
    }
    let none = tandem_testkit::gateway(backend.address).documents();
    gateway.view.reload(none.limits, none.namespaces, Default::default(), &none.contracts).unwrap();
    assert_eq!(gateway.view.cache()[0].entries, 0, "nothing is kept that nobody may keep");
    read(&gateway, "a", &[]).await;
    assert_eq!(backend.calls(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_makes_the_next_caller_ask() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    for text in ["a", "b", "a", "b"] {
        read(&gateway, text, &[]).await;
    }
    assert_eq!((backend.calls(), gateway.view.cache()[0].entries), (2, 2));
    assert_eq!(gateway.view.purge("notes", Some("test.v1.Notes/Get")), None);
    assert_eq!(gateway.view.purge("notes", Some("test.v1.Notes/Read")).unwrap().entries, 2);
    let figures = &gateway.view.cache()[0];
    assert_eq!((figures.entries, figures.bytes), (0, 0));
    read(&gateway, "a", &[]).await;
    assert_eq!(backend.calls(), 3);
    assert_eq!(gateway.view.purge("notes", None).unwrap().entries, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_c_5_a_scan_stays_within_the_quota_and_leaves_what_is_asked_for() {
    let backend = Backend::start(vec![Script::Echo]);
    let quota = 64 * 1024;
    let setup = kept(&backend, "ttl: 1h, entry: 1KiB").quota("cache: 64KiB");
    let gateway = setup.start().await;
    for _ in 0..2 {
        read(&gateway, "asked", &[]).await;
    }
    for number in 0..400 {
        read(&gateway, &format!("{number}-{}", "x".repeat(200)), &[]).await;
        let figures = &gateway.view.cache()[0];
        assert!(figures.bytes <= quota && figures.bytes_max == quota, "{figures:?}");
    }
    let figures = &gateway.view.cache()[0];
    assert_eq!(figures.stored, 401);
    assert_eq!(figures.evicted, 401 - figures.entries as u64);
    assert!(figures.entries > 20 && figures.evicted > 200, "{figures:?}");
    let calls = backend.calls();
    read(&gateway, "asked", &[]).await;
    assert_eq!(backend.calls(), calls, "it is still there");
}
