//! What goes wrong is told in clear words, and nothing hangs.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::backend::{
    Folder, Gateway, Shop, ask, folder, free, platform, product, raw, runs, until,
};

fn tandem(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn files(tandem_yaml: &str, team: &str) -> Folder {
    let folder = folder();
    std::fs::write(folder.0.join("tandem.yaml"), tandem_yaml).unwrap();
    std::fs::write(folder.0.join("teams/shop.yaml"), team).unwrap();
    folder
}

fn good_platform() -> String {
    let zero: SocketAddr = "127.0.0.1:0".parse().unwrap();
    platform(zero, zero, zero, "shop: tandem.cases.catalogue.v1.*")
}

fn team(address: SocketAddr) -> String {
    format!(
        "namespace: shop\ncontract: {{ reflection: go }}\nupstreams:\n  go: {{ address: \"{address}\" }}\n\
         defaults: {{ auth: {{ public: true }} }}\nmethods:\n  tandem.cases.catalogue.v1.Catalogue/*: {{}}\n"
    )
}

#[test]
fn check_names_every_fault_at_its_place_and_ends_with_1() {
    let broken = team(free()).replace("upstreams:", "upsteams:");
    let folder = files(&good_platform(), &broken);
    let path = folder.0.join("tandem.yaml");
    let (exit, _, err) = tandem(&["check", path.to_str().unwrap()]);
    assert_eq!(exit, 1);
    assert!(err.contains("error[TND0101]"), "{err}");
    assert!(err.contains("teams/shop.yaml:3:1"), "{err}");
    assert!(err.contains("upstreams"), "{err}");
}

#[test]
fn check_says_what_the_team_may_not_claim() {
    let folder = files(
        &good_platform(),
        &team(free()).replace("tandem.cases.catalogue.v1.Catalogue/*", "other.v1.Other/*"),
    );
    let path = folder.0.join("tandem.yaml");
    let (exit, _, err) = tandem(&["check", path.to_str().unwrap()]);
    assert_eq!(exit, 1, "{err}");
    assert!(err.contains("error[TND0110]"), "{err}");
    assert!(err.contains("may.services"), "{err}");
}

#[test]
fn check_refuses_what_is_known_and_not_built() {
    let text = team(free()) + "rollouts: {}\n";
    let folder = files(&good_platform(), &text);
    let path = folder.0.join("tandem.yaml");
    let (exit, out, _) = tandem(&["--json", "check", path.to_str().unwrap()]);
    assert_eq!(exit, 1);
    assert!(out.contains("\"code\":\"TND0004\""), "{out}");
}

#[test]
fn broken_yaml_does_not_start_a_gateway() {
    let folder = files(&good_platform(), "namespace: [shop\n");
    let path = folder.0.join("tandem.yaml");
    let data = folder.0.join("data");
    let (exit, _, err) =
        tandem(&["run", "--config", path.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    assert_eq!(exit, 1);
    assert!(err.contains("error[TND01") && err.contains("teams/shop.yaml"), "{err}");
}

#[test]
fn a_missing_file_and_wrong_words_are_told_apart() {
    let (exit, _, err) = tandem(&["check", "/nowhere/tandem.yaml"]);
    assert_eq!(exit, 1);
    assert!(err.contains("TND0105"), "{err}");
    let (exit, _, err) = tandem(&["run", "--confg", "x"]);
    assert_eq!(exit, 2);
    assert!(err.contains("--config"), "{err}");
    let (exit, _, _) = tandem(&["help", "TND9999"]);
    assert_eq!(exit, 2);
    let (exit, out, _) = tandem(&["help", "tnd0101"]);
    assert_eq!(exit, 0);
    assert!(out.starts_with("# TND0101"), "{out}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let zero: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let text = platform(address, zero, zero, "shop: tandem.cases.catalogue.v1.*");
    let folder = files(&text, &team(free()));
    let path = folder.0.join("tandem.yaml");
    let data = folder.0.join("data");
    let (exit, _, err) =
        tandem(&["run", "--config", path.to_str().unwrap(), "--data", data.to_str().unwrap()]);
    assert_eq!(exit, 1);
    assert!(err.contains("error[TND0001]") && err.contains(&address.to_string()), "{err}");
}

#[test]
fn a_descriptor_set_that_is_none_is_refused_with_its_place() {
    let text = team(free()).replace("{ reflection: go }", "{ descriptors: shop.binpb }");
    let folder = files(&good_platform(), &text);
    std::fs::write(folder.0.join("teams/shop.binpb"), b"\xff\xff no descriptors").unwrap();
    let path = folder.0.join("tandem.yaml");
    let (exit, _, err) = tandem(&["check", path.to_str().unwrap()]);
    assert_eq!(exit, 1);
    assert!(err.contains("error[TND0201]") && err.contains("teams/shop.yaml:2"), "{err}");
}

#[test]
fn a_dead_upstream_is_503_at_once_and_shows_in_status() {
    let folder = files(&good_platform(), &team(free()));
    let gateway = Gateway::start(&folder);
    let began = Instant::now();
    let answer = gateway.rest("GET", "/v1/products", "").unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    assert!(answer.body.contains("\"code\":14"), "{}", answer.body);
    // The caller learns no address; the platform does.
    assert!(!answer.body.contains("127.0.0.1"), "{}", answer.body);
    assert_eq!(ask(gateway.admin, "GET", "/readyz", "", "").unwrap().status, 503);
    let status = gateway.status();
    assert!(status["namespaces"][0]["problems"][0].as_str().unwrap().contains("connect"));
}

#[test]
fn an_upstream_that_dies_is_503_and_comes_back_by_itself() {
    if !runs() {
        return;
    }
    let mut shop = Shop::start("go");
    assert_eq!(shop.gateway.rest("GET", "/v1/products", "").unwrap().status, 200);
    shop.catalogue.kill();
    let answer = shop.gateway.rest("GET", "/v1/products", "").unwrap();
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("\"code\":14"), "{}", answer.body);
    shop.catalogue.start();
    // What could not be connected is left alone for two seconds at most.
    let back = until(Duration::from_secs(5), || {
        let answer = shop.gateway.rest("GET", "/v1/products", "")?;
        (answer.status == 200).then_some(())
    });
    assert!(back.is_some(), "it serves again");
}

#[test]
fn an_upstream_that_dies_in_the_middle_of_a_call_is_503() {
    if !runs() {
        return;
    }
    let mut shop = Shop::start("rust");
    let public = shop.gateway.public;
    let ask = |caller: &mut TcpStream, method: &str| {
        let request = format!("{method} /v1/products HTTP/1.1\r\nhost: {public}\r\n\r\n");
        caller.write_all(request.as_bytes()).unwrap();
    };
    // Both calls are of one connection, so that the second finds one to the upstream.
    let mut caller = TcpStream::connect(public).unwrap();
    caller.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    ask(&mut caller, "HEAD");
    read_head(&mut caller, "HTTP/1.1 200");
    let in_flight = |calls| {
        until(Duration::from_secs(5), || {
            (shop.gateway.in_flight("ListProducts") == calls).then_some(())
        })
    };
    in_flight(0).expect("the first call is over");
    let pid = shop.catalogue.pid().to_string();
    Command::new("kill").args(["-STOP", &pid]).status().unwrap();
    ask(&mut caller, "GET");
    in_flight(1).expect("the call is under way");
    shop.catalogue.kill();
    let head = read_head(&mut caller, "HTTP/1.1 503");
    let bytes = head.split_once("content-length: ").unwrap().1.lines().next().unwrap();
    let mut body = vec![0; bytes.parse().unwrap()];
    caller.read_exact(&mut body).unwrap();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("lost"), "{body}");
}

/// Reads the head of an answer, in lower case, and nothing behind it.
fn read_head(caller: &mut TcpStream, status: &str) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        caller.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with(status), "{head}");
    head.to_ascii_lowercase()
}

#[test]
fn wrong_requests_are_refused_in_the_callers_own_protocol() {
    if !runs() {
        return;
    }
    let shop = Shop::start("go");
    let gateway = &shop.gateway;
    let status = |method: &str, path: &str, body: &str| {
        let answer = gateway.rest(method, path, body).unwrap();
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        assert!(answer.head.contains("x-request-id: "), "{}", answer.head);
        (answer.status, answer.json()["code"].as_u64().unwrap())
    };
    let create = "/v1/products?productId=a";
    for (method, path, body, expected) in [
        ("GET", "/nothing", "", (404, 5)),
        ("PUT", "/v1/products", "", (405, 12)),
        ("GET", "/v1/products/", "", (404, 5)),
        ("GET", "/v1//products", "", (400, 3)),
        ("GET", "/v1/products/%2e%2e", "", (400, 3)),
        ("GET", "/v1/products/a%2Fb", "", (400, 3)),
        ("POST", create, "{", (400, 3)),
        ("POST", create, "{\"nonsense\":1}", (400, 3)),
        ("POST", create, "{\"stock\":\"x\"}", (400, 3)),
        ("POST", create, "{\"stock\":1,\"stock\":2}", (400, 3)),
        ("POST", create, "[]", (400, 3)),
        ("GET", "/v1/products?pageSize=x", "", (400, 3)),
        ("GET", "/v1/products?nonsense=1", "", (400, 3)),
        ("GET", "/v1/products?pageSize=1&page_size=2", "", (400, 3)),
        ("GET", "/v1/products", "{}", (400, 3)),
    ] {
        assert_eq!(status(method, path, body), expected, "{method} {path} {body}");
    }
    let named = gateway.rest("POST", create, "{\"price\":{\"units\":\"x\"}}").unwrap();
    assert!(
        named.body.contains("\"field\":\"product.price.units\"")
            || named.body.contains("price.units"),
        "{}",
        named.body
    );
    let too_large = format!("{{\"description\":\"{}\"}}", "x".repeat(5 << 20));
    let head = format!(
        "POST {create} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        gateway.public,
        too_large.len()
    );
    let answer = raw(gateway.public, head.as_bytes()).unwrap();
    assert_eq!(answer.status, 413, "{}", answer.body);
    let typed = format!(
        "POST {create} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: text/plain\r\n\
         content-length: 2\r\n\r\n{{}}",
        gateway.public
    );
    assert_eq!(raw(gateway.public, typed.as_bytes()).unwrap().status, 415);
    let rpc = "/tandem.cases.catalogue.v1.Catalogue/GetProduct";
    let connect = gateway.rest("POST", rpc, "{}").unwrap();
    assert_eq!(connect.status, 415, "{}", connect.body);
    assert_eq!(connect.json()["code"], "unknown");
    let accept = ask(gateway.public, "GET", "/v1/products", "accept: text/html\r\n", "").unwrap();
    assert_eq!(accept.status, 406);
    assert_eq!(gateway.rest("POST", create, &product("At last")).unwrap().status, 200);
}

#[test]
fn security_ad_1_to_3_the_admin_listener_answers_only_its_own() {
    let folder = files(&good_platform(), &team(free()));
    let gateway = Gateway::start(&folder);
    let token = std::fs::read_to_string(folder.0.join("data/admin.token")).unwrap();
    let bearer = format!("authorization: Bearer {}\r\n", token.trim());
    let status =
        |headers: &str| ask(gateway.admin, "GET", "/api/v1/status", headers, "").unwrap().status;
    assert_eq!(status(&bearer), 200);
    assert_eq!(status(""), 401);
    assert_eq!(status("authorization: Bearer tnd_0_0\r\n"), 401);
    assert_eq!(status(&format!("{bearer}origin: http://evil.example\r\n")), 403);
    assert_eq!(status(&format!("{bearer}sec-fetch-site: cross-site\r\n")), 403);
    assert_eq!(ask(gateway.admin, "GET", "/healthz", "", "").unwrap().body, "ok");
    let rebound =
        format!("GET /healthz HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n{bearer}\r\n");
    assert_eq!(raw(gateway.admin, rebound.as_bytes()).unwrap().status, 421);
    let metrics = ask(gateway.admin, "GET", "/metrics", &bearer, "").unwrap();
    assert!(metrics.body.contains("tandem_connections_open"), "{}", metrics.body);
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);
    // Ten failures in a minute are the most; even the right token waits then. Who brings nothing
    // at all tries nothing.
    for _ in 1..10 {
        assert_eq!(status(""), 401);
        let _ = status("authorization: Bearer tnd_0_0\r\n");
    }
    assert_eq!(status(&bearer), 429);
}
