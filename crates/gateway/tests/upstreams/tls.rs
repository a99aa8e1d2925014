//! Upstreams over TLS: the server is verified, and so is the gateway where the server asks.

use tandem_testkit::client::rest;
use tandem_testkit::{Authority, Backend, TestGateway, TlsFront, gateway};

use super::{call, echo, failures, statuses};

const H2: &[&str] = &["h2"];

/// `tls` as a document has it, with the authority's certificate in it.
fn tls(authority: &Authority, more: &str) -> String {
    format!("tls: {{ ca: {:?}{more} }}", authority.pem())
}

async fn gateway_of(front: &TlsFront, tls: &str) -> TestGateway {
    gateway(front.address).upstream(tls).one_thread().start().await
}

/// The call fails, nothing reaches the backend, and the caller learns no address.
async fn is_refused(gateway: &TestGateway, backend: &Backend, case: &str) {
    assert_eq!(call(gateway, "Get").await.status(), "14", "{case}");
    let answer = rest(gateway.public, "GET", "/v1/notes/a", "").await;
    assert_eq!(answer.status, 503, "{case}");
    assert!(!answer.body.contains("127.0.0.1"), "{case}: {}", answer.body);
    assert_eq!(backend.calls(), 0, "{case}");
    assert!(gateway.upstream().connect_failures >= 1, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_tl_2_a_server_is_verified_by_root_and_name() {
    let (ours, strange) = (Authority::new(), Authority::new());
    for (names, alpn, trusted, more, good) in [
        (&["127.0.0.1"][..], H2, &ours, "", true),
        (&["127.0.0.1"], &["http/1.1", "h2"], &ours, "", true),
        (&["notes.test"], H2, &ours, ", name: notes.test", true),
        (&["*.notes.test"], H2, &ours, ", name: a.notes.test", true),
        (&["127.0.0.1"], H2, &strange, "", false), // signed by somebody else
        (&["127.0.0.2"], H2, &ours, "", false),    // of another address
        (&["notes.test"], H2, &ours, "", false),   // of a name that nobody asked for
        (&["127.0.0.1"], H2, &ours, ", name: notes.test", false),
        (&["127.0.0.1"], &[], &ours, "", false), // no word of HTTP/2
    ] {
        let case = format!("{names:?} {alpn:?} {more}");
        let backend = echo();
        let front = TlsFront::start(backend.address, &ours.signs(names), alpn, None);
        let gateway = gateway_of(&front, &tls(trusted, more)).await;
        if good {
            assert_eq!(failures(&statuses(&gateway, "Get", 5).await), 0, "{case}");
            assert_eq!(front.shaken(), 1, "{case}: one connection for all");
            assert_eq!(backend.calls(), 5, "{case}");
        } else {
            is_refused(&gateway, &backend, &case).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_who_the_gateway_is_gets_its_certificate() {
    let (servers, clients, strange) = (Authority::new(), Authority::new(), Authority::new());
    for (identity, good) in [
        (Some(clients.signs(&["gateway.test"])), true),
        (Some(strange.signs(&["gateway.test"])), false),
        (None, false),
    ] {
        let backend = echo();
        let server = servers.signs(&["127.0.0.1"]);
        let front = TlsFront::start(backend.address, &server, H2, Some(&clients));
        let mut setup = gateway(front.address).upstream(&tls(&servers, "")).one_thread();
        let case = format!("{:?}", identity.is_some());
        if let Some(identity) = identity {
            setup = setup.identity(identity);
        }
        let gateway = setup.start().await;
        let status = call(&gateway, "Get").await.status().to_owned();
        // TLS 1.3: a client learns that it is not wanted after the handshake.
        assert_eq!(status == "0", good, "{case}: {status}");
        assert_eq!(backend.calls() == 1, good, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_does_not_fit_and_a_server_in_clear_text_are_told() {
    let authority = Authority::new();
    let mut wrong = authority.signs(&["gateway.test"]);
    wrong.key = authority.signs(&["other.test"]).key;
    let backend = echo();
    let server = authority.signs(&["127.0.0.1"]);
    let front = TlsFront::start(backend.address, &server, H2, None);
    let setup = gateway(front.address).upstream(&tls(&authority, "")).identity(wrong);
    is_refused(&setup.one_thread().start().await, &backend, "not its key").await;
    let setup = gateway(backend.address).upstream(&tls(&authority, "")).one_thread();
    is_refused(&setup.start().await, &backend, "clear text").await;
}
