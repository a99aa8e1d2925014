//! Calls of strangers' clients, and calls that cross two hops (HY-1, HY-2).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::backend::{Shop, ask, product, runs, until};

#[test]
fn curl_calls_through_the_gateway() {
    if !runs() {
        return;
    }
    for language in ["go", "rust"] {
        let shop = Shop::start(language);
        let url = format!("http://{}/v1/products", shop.gateway.public);
        let curl = |arguments: &[&str]| {
            let output =
                Command::new("curl").args(["-sS", "--max-time", "10"]).args(arguments).output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        let body = product("By curl");
        let created = curl(&[
            "-H",
            "content-type: application/json",
            "-d",
            &body,
            &format!("{url}?productId=c-1"),
        ]);
        assert!(created.contains("\"name\":\"products/c-1\""), "{language}: {created}");
        let got = curl(&[&format!("{url}/c-1")]);
        assert!(got.contains("\"priceText\":\"5.00 EUR\""), "{language}: {got}");
        // The same over HTTP/2 with prior knowledge.
        let got = curl(&["--http2-prior-knowledge", &format!("{url}/c-1")]);
        assert!(got.contains("\"priceText\":\"5.00 EUR\""), "{language}: {got}");
        let missing = curl(&["-w", "%{http_code}", &format!("{url}/none")]);
        assert!(missing.contains("UNKNOWN_PRODUCT") && missing.ends_with("404"), "{missing}");
    }
}

#[test]
fn grpcurl_calls_through_the_gateway_by_reflection() {
    let Some(grpcurl) = std::env::var_os("TANDEM_GRPCURL").filter(|_| runs()) else { return };
    for language in ["go", "rust"] {
        let shop = Shop::start(language);
        shop.gateway.rest("POST", "/v1/products?productId=g-1", &product("By grpcurl")).unwrap();
        let run = |arguments: &[&str]| {
            let address = shop.gateway.public.to_string();
            let (before, after) = arguments.split_at(arguments.len() - 1);
            let output = Command::new(&grpcurl)
                .arg("-plaintext")
                .args(before)
                .arg(address)
                .args(after)
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr)
        };
        assert_eq!(
            run(&["list"]),
            "tandem.cases.catalogue.v1.Catalogue\ntandem.cases.search.v1.Search\n",
            "{language}"
        );
        let service = "tandem.cases.catalogue.v1.Catalogue";
        let got = run(&["-d", "{\"name\":\"products/g-1\"}", &format!("{service}/GetProduct")]);
        assert!(got.contains("\"displayName\": \"By grpcurl\""), "{language}: {got}");
        let missing = run(&["-d", "{\"name\":\"products/no\"}", &format!("{service}/GetProduct")]);
        assert!(missing.contains("NotFound"), "{missing}");
        assert!(missing.contains("type.googleapis.com/google.rpc.ErrorInfo"), "{missing}");
        // An internal method does not exist outside (hybrid HY-1).
        let watch = run(&[&format!("{service}/WatchProducts")]);
        assert!(watch.contains("Unimplemented"), "{watch}");
        let health = run(&["grpc.health.v1.Health/Check"]);
        assert!(health.contains("SERVING") || health.contains("not expose"), "{health}");
    }
}

#[test]
fn python_calls_through_the_gateway_by_reflection() {
    let Some(python) = std::env::var_os("TANDEM_PYTHON").filter(|_| runs()) else { return };
    for language in ["go", "rust"] {
        let shop = Shop::start(language);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/client.py");
        let address = shop.gateway.public.to_string();
        let output =
            Command::new(&python).arg(script).arg(&address).arg(&address).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{language}: {said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "products/python");
    }
}

#[test]
fn hybrid_hy_2_trace_and_request_id_travel_through_both_hops() {
    if !runs() {
        return;
    }
    let shop = Shop::start("go");
    shop.gateway.rest("POST", "/v1/products?productId=t-1", &product("Traced")).unwrap();
    shop.agree(Duration::from_secs(5)).unwrap();
    let trace = "11112222333344445555666677778888";
    let headers =
        format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\nx-request-id: mine-1\r\n");
    let path = "/v1/search?query=traced&withProducts=true";
    let answer = ask(shop.gateway.public, "GET", path, &headers, "").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("x-request-id: mine-1"), "{}", answer.head);
    let spans = until(Duration::from_secs(5), || {
        let spans = shop.gateway.trace(trace);
        (spans.len() == 2).then_some(spans)
    })
    .expect("both hops are in the trace");
    assert_eq!(spans[0]["listener"], "public");
    assert_eq!(spans[0]["parent_id"], "00f067aa0ba902b7");
    assert_eq!(spans[1]["listener"], "internal");
    assert_eq!(spans[1]["parent_id"], spans[0]["span_id"]);
    assert_eq!(spans[1]["request_id"], "mine-1");
}

/// Stops a process and lets it go on again.
fn signal(pid: u32, name: &str) {
    Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
}

#[test]
fn hybrid_hy_2_a_caller_that_leaves_cancels_the_whole_chain() {
    if !runs() {
        return;
    }
    let shop = Shop::start("rust");
    shop.gateway.rest("POST", "/v1/products?productId=x-1", &product("Cancelled")).unwrap();
    shop.agree(Duration::from_secs(5)).unwrap();
    // The end of the chain does not answer.
    signal(shop.catalogue.pid(), "STOP");
    let mut caller = TcpStream::connect(shop.gateway.public).unwrap();
    let request = format!(
        "GET /v1/search?query=cancelled&withProducts=true HTTP/1.1\r\nhost: {}\r\n\r\n",
        shop.gateway.public
    );
    caller.write_all(request.as_bytes()).unwrap();
    let chain =
        || (shop.gateway.in_flight("Search/Search"), shop.gateway.in_flight("BatchGetProducts"));
    let stands = until(Duration::from_secs(5), || (chain() == (1, 1)).then_some(()));
    assert!(stands.is_some(), "the chain stands: {:?}", chain());
    drop(caller);
    let began = Instant::now();
    let gone = until(Duration::from_secs(3), || (chain() == (0, 0)).then(|| began.elapsed()));
    signal(shop.catalogue.pid(), "CONT");
    // 100 ms is the rule; the rest is for looking at it on a busy machine.
    let took = gone.expect("the chain is cancelled");
    assert!(took < Duration::from_millis(500), "cancelled after {took:?}");
}

#[test]
fn hybrid_hy_2_the_deadline_of_the_first_hop_ends_the_second() {
    if !runs() {
        return;
    }
    let shop = Shop::start("rust");
    shop.gateway.rest("POST", "/v1/products?productId=d-1", &product("Slow")).unwrap();
    shop.agree(Duration::from_secs(5)).unwrap();
    signal(shop.catalogue.pid(), "STOP");
    let began = Instant::now();
    // The route's deadline is five seconds.
    let answer = shop.gateway.rest("GET", "/v1/search?query=slow&withProducts=true", "");
    signal(shop.catalogue.pid(), "CONT");
    let answer = answer.expect("an answer comes");
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert!(began.elapsed() < Duration::from_secs(8));
    let ended = until(Duration::from_secs(2), || {
        (shop.gateway.in_flight("BatchGetProducts") == 0).then_some(())
    });
    assert!(ended.is_some(), "the second hop ended as well");
}

#[test]
fn hybrid_hy_1_internal_methods_are_found_on_the_internal_listener_only() {
    if !runs() {
        return;
    }
    let shop = Shop::start("go");
    let outside = shop.gateway.rest("GET", "/v1/products:watch", "").unwrap();
    assert_eq!(outside.status, 404, "{}", outside.body);
    // Inside it is followed as events, and a change comes when it happens.
    let mut follower = TcpStream::connect(shop.gateway.internal).unwrap();
    follower.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let host = shop.gateway.internal;
    let request = format!(
        "GET /v1/products:watch HTTP/1.1\r\nhost: {host}\r\naccept: text/event-stream\r\n\r\n"
    );
    follower.write_all(request.as_bytes()).unwrap();
    let head = read_until(&mut follower, "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    let created = ask(shop.gateway.public, "POST", "/v1/products?productId=w", "", &product("W"));
    assert_eq!(created.unwrap().status, 200);
    let event = read_until(&mut follower, "products/w");
    assert!(event.contains("data: {\"sequence\":"), "{event}");
}

/// What comes, until it holds `found`.
fn read_until(stream: &mut TcpStream, found: &str) -> String {
    let mut text = String::new();
    while !text.contains(found) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {text}"));
        text.push(char::from(byte[0]));
    }
    text
}

#[test]
fn security_o_2_a_drain_finishes_calls_under_way_and_ends_with_0() {
    if !runs() {
        return;
    }
    let mut shop = Shop::start("rust");
    signal(shop.catalogue.pid(), "STOP");
    let mut caller = TcpStream::connect(shop.gateway.public).unwrap();
    let host = shop.gateway.public;
    caller
        .write_all(format!("GET /v1/products HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())
        .unwrap();
    until(Duration::from_secs(5), || (shop.gateway.in_flight("ListProducts") == 1).then_some(()))
        .expect("the call is under way");
    let pid = shop.catalogue.pid();
    let goes_on = std::thread::spawn(move || {
        // The catalogue answers once the gateway has stopped listening.
        until(Duration::from_secs(10), || TcpStream::connect(host).is_err().then_some(()));
        signal(pid, "CONT");
    });
    let ended = shop.gateway.terminate();
    goes_on.join().unwrap();
    let mut answer = String::new();
    caller.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(ended.success(), "{ended}");
}

#[test]
fn protocols_x_3_the_rust_and_the_go_catalogue_keep_one_contract_and_so_does_the_text() {
    if !runs() {
        return;
    }
    let shops = [Shop::start("rust"), Shop::start("go")];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = root.join("cases/catalogue/contract.proto").display().to_string();
    let [rust, go] = shops.each_ref().map(|shop| shop.catalogue.address.to_string());
    for (old, new) in [(&rust, &go), (&go, &rust), (&go, &text), (&text, &rust)] {
        let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["contract", "diff", old, new])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("0 breaking"), "{said}");
    }
}
