//! Where a team's upstream cannot lead, whatever its document, its name or its answers say
//! (security T-3, RB-8).

use std::net::SocketAddr;
use std::time::Duration;

use tandem_config::load::from_texts;
use tandem_gateway::upstream::Timing;
use tandem_testkit::client::rest;
use tandem_testkit::{Backend, Script, TestGateway, gateway};

use super::names::Zone;
use super::{call, echo};

/// A gateway whose team was not granted this machine, asked after the upstream at `addresses`.
async fn without_loopback(addresses: &[String], zone: &Zone) -> TestGateway {
    let any = SocketAddr::from(([127, 0, 0, 1], 1));
    let setup = gateway(any).addresses(addresses).names(zone.names()).one_thread();
    let mut documents = setup.documents();
    let gateway = setup.start().await;
    for upstream in documents.namespaces[0].upstreams.values_mut() {
        upstream.loopback = false;
    }
    gateway
        .view
        .reload(documents.limits, documents.namespaces, Default::default(), &documents.contracts)
        .expect("they fit");
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn security_t_3_no_literal_and_no_name_leads_to_this_machine_without_the_grant() {
    let backend = echo();
    let port = backend.address.port();
    for (address, leads_to) in [
        (format!("127.0.0.1:{port}"), "127.0.0.1"),
        (format!("[::ffff:127.0.0.1]:{port}"), "127.0.0.1"),
        ("dns:notes.test:50051".to_owned(), "127.0.0.1"),
        ("dns:notes.test:50051".to_owned(), "::ffff:127.0.0.1"),
        ("dns:notes.test:50051".to_owned(), "0.0.0.0"),
        ("dns:notes.test:50051".to_owned(), "::"),
    ] {
        let zone = Zone::of(&[SocketAddr::new(leads_to.parse().unwrap(), port)]);
        let gateway = without_loopback(std::slice::from_ref(&address), &zone).await;
        assert_eq!(call(&gateway, "Get").await.status(), "14", "{address} {leads_to}");
        assert_eq!(gateway.upstream().attempts, 0, "{address} {leads_to}");
        assert!(gateway.upstream().connect_failures > 0, "{address} {leads_to}");
        let told = rest(gateway.public, "GET", "/v1/notes/a", "").await;
        assert_eq!(told.status, 503);
        assert!(!told.body.contains("granted") && !told.body.contains("127"), "{}", told.body);
    }
    assert_eq!((backend.calls(), backend.connections().opened), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn security_rb_8_no_name_and_no_address_leads_to_a_listener_of_the_gateways_own() {
    // What stands there is a backend here, so that a connection would be seen.
    let listener = echo();
    let port = listener.address.port();
    let any = SocketAddr::from(([127, 0, 0, 1], 1));
    for (own, leads_to, denied) in [
        (format!("127.0.0.1:{port}"), "127.0.0.1", true),
        (format!("127.0.0.1:{port}"), "::ffff:127.0.0.1", true),
        (format!("0.0.0.0:{port}"), "127.0.0.1", true),
        (format!("[::ffff:127.0.0.1]:{port}"), "127.0.0.1", true),
        ("127.0.0.1:1".to_owned(), "127.0.0.1", false),
        (format!("[::]:{port}"), "127.0.0.1", false),
        (format!("127.0.0.2:{port}"), "127.0.0.1", false),
    ] {
        let zone = Zone::of(&[SocketAddr::new(leads_to.parse().unwrap(), port)]);
        let setup = gateway(any).addresses(["dns:notes.test:50051"]).names(zone.names());
        let mut documents = setup.documents();
        let gateway = setup.start().await;
        for upstream in documents.namespaces[0].upstreams.values_mut() {
            upstream.own_listeners = [own.parse().unwrap()].into();
        }
        gateway
            .view
            .reload(
                documents.limits,
                documents.namespaces,
                Default::default(),
                &documents.contracts,
            )
            .unwrap();
        let before = listener.connections().opened;
        let expected = if denied { "14" } else { "0" };
        assert_eq!(call(&gateway, "Get").await.status(), expected, "{own} {leads_to}");
        assert_eq!(listener.connections().opened == before, denied, "{own} {leads_to}");
    }
}

#[test]
fn security_rb_8_a_document_knows_the_listeners_of_its_platform() {
    let platform = "\
format: 1
listen: { public: { address: 0.0.0.0:8443 }, admin: { address: 127.0.0.1:9000 }, metrics: { address: 127.0.0.1:0 } }
namespaces:
  notes: { may: { services: [a.B], loopback: true, upstreams: [\"0.0.0.0/0:*\"] } }
";
    for (address, refused) in [
        ("127.0.0.1:8443", true),
        ("127.0.0.2:8443", true),
        ("127.0.0.1:9000", true),
        ("127.0.0.2:9000", false),
        ("127.0.0.1:9001", false),
        ("10.0.0.1:8443", false), // ours or not is seen when it is connected
    ] {
        let team = format!(
            "namespace: notes\ncontract: {{ reflection: it }}\n\
             upstreams: {{ it: {{ address: {address} }} }}\nmethods: {{ a.B/*: {{}} }}\n"
        );
        let loaded = from_texts(platform, &[("notes.yaml", &team)]).unwrap();
        let own = loaded.namespaces[0].0.upstreams["it"].own_listeners.to_vec();
        assert_eq!(own.len(), 2, "the port that the system chooses is nobody's yet: {own:?}");
        let problems = tandem_config::check(&loaded, &Default::default());
        let found = problems.iter().any(|one| one.code == tandem_config::Tnd::AddressForbidden);
        assert_eq!(found, refused, "{address}: {problems:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_t_3_a_name_that_turns_after_it_was_good_is_judged_again() {
    let backend = echo();
    let zone = Zone::of(&[backend.address]);
    let any = SocketAddr::from(([127, 0, 0, 1], 1));
    let timing = Timing { resolve_every: Duration::from_millis(20), ..Timing::default() };
    let setup = gateway(any).addresses(["dns:notes.test:50051"]).names(zone.names());
    let gateway = setup.timing(timing).one_thread().start().await;
    assert_eq!(call(&gateway, "Get").await.status(), "0");
    for turned in
        ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "fd00:ec2::254", "224.0.0.1"]
    {
        let failures = gateway.upstream().connect_failures;
        zone.set(&[SocketAddr::new(turned.parse().unwrap(), 80)]);
        // Calls go on by the connection that is there until the name is asked again.
        let turning = async { while call(&gateway, "Get").await.status() == "0" {} };
        tokio::time::timeout(Duration::from_secs(10), turning).await.expect(turned);
        assert!(gateway.upstream().connect_failures > failures, "{turned}");
        let sent = gateway.upstream().attempts;
        assert_eq!(call(&gateway, "Get").await.status(), "14", "{turned}");
        assert_eq!(gateway.upstream().attempts, sent, "nothing was sent to {turned}");
        zone.set(&[backend.address]);
        super::until_well(&gateway, "Get").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_t_3_a_redirect_of_an_upstream_leads_nowhere() {
    let elsewhere = echo();
    let location: &'static str = format!("http://{}/", elsewhere.address).leak();
    for status in [301, 302, 307, 308] {
        let redirect = Script::Answer {
            http_status: status,
            head: vec![("location", location), ("content-type", "text/html")],
            messages: Vec::new(),
            trailers: None,
        };
        let backend = Backend::start(vec![redirect]);
        let gateway = gateway(backend.address).upstream("eject: false").start().await;
        let answer = rest(gateway.public, "GET", "/v1/notes/a", "").await;
        assert!(answer.status >= 500, "{status}: {}", answer.head);
        assert_ne!(call(&gateway, "Get").await.status(), "0", "{status}");
        assert_eq!(backend.calls(), 2, "{status}");
    }
    assert_eq!((elsewhere.calls(), elsewhere.connections().opened), (0, 0));
}

#[test]
fn security_t_3_odd_spellings_of_addresses_are_no_names() {
    let platform = "\
format: 1
listen: { public: { address: 127.0.0.1:0 } }
namespaces:
  notes: { may: { services: [a.B], upstreams: [\"0.0.0.0/0:*\", \"*.test:*\"] } }
";
    for (address, refused) in [
        ("127.0.0.1:80", true),
        ("\"[::ffff:127.0.0.1]:80\"", true),
        ("\"[::1]:80\"", true),
        ("0.0.0.0:80", true),
        ("169.254.169.254:80", true),
        ("2130706433:80", true),
        ("0x7f000001:80", true),
        ("127.1:80", true),
        ("0177.0.0.1:80", true),
        ("127.0.0.1.:80", true),
        ("a.0x7f:80", true),
        ("localhost:80", true),
        ("a.localhost:80", true),
        ("10.0.0.1:80", false),
        ("a.test:80", false),
    ] {
        for written in [address.to_owned(), address.replacen('"', "\"dns:", 1)] {
            let written = match written.starts_with('"') {
                true => written,
                false => format!("\"{written}\""),
            };
            let team = format!(
                "namespace: notes\ncontract: {{ reflection: it }}\n\
                 upstreams: {{ it: {{ address: {written} }} }}\nmethods: {{ a.B/*: {{}} }}\n"
            );
            let problems = match from_texts(platform, &[("notes.yaml", &team)]) {
                Ok(loaded) => tandem_config::check(&loaded, &Default::default()),
                Err(problems) => problems,
            };
            let found = problems.iter().any(|one| one.path.contains("upstreams"));
            assert_eq!(found, refused, "{written}: {problems:#?}");
        }
    }
}
