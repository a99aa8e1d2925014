//! Services of strangers, met as a new user meets them: servers in Go that others publish, and
//! googleapis' library behind a server that knows nothing of the gateway.
//!
//! `./x test` builds them and names their folder in `TANDEM_STRANGERS`; without it these tests say
//! loudly that they were skipped.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tandem_testkit::Authority;

use crate::place::{Place, Running, ask, free, over_tls, said, until};

fn strangers() -> Option<PathBuf> {
    let found = std::env::var_os("TANDEM_STRANGERS").map(PathBuf::from);
    if found.is_none() {
        println!("SKIPPED: TANDEM_STRANGERS names no services (./x test)");
    }
    found
}

/// A server that ends with the test.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The library, on any port; it says which.
fn library(folder: &std::path::Path, words: &[&str]) -> Server {
    let mut child = Command::new(folder.join("library"))
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
    Server { child, address }
}

/// A published example, which is told its port.
fn example(folder: &std::path::Path, name: &str, words: &[&str]) -> Server {
    let started = until(Duration::from_secs(20), || {
        let address = free();
        let mut child = Command::new(folder.join(name))
            .args(["-port", &address.port().to_string()])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let listens = until(Duration::from_secs(5), || {
            if child.try_wait().unwrap().is_some() {
                return Some(false); // somebody took its port meanwhile
            }
            std::net::TcpStream::connect(address).ok().map(|_connection| true)
        });
        let server = Server { child, address };
        (listens == Some(true)).then_some(server)
    });
    started.unwrap_or_else(|| panic!("{name} does not start"))
}

fn grpcurl(words: &[&str]) -> Option<String> {
    let program = std::env::var_os("TANDEM_GRPCURL")?;
    let answer = said(Command::new(program).args(words));
    assert_eq!(answer.exit, 0, "{answer:?}");
    Some(answer.out)
}

fn curl(words: &[&str]) -> String {
    let answer = said(Command::new("curl").args(["-sS", "--max-time", "10"]).args(words));
    assert_eq!(answer.exit, 0, "{answer:?}");
    answer.out
}

const PORTS: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

#[test]
fn experience_ux_40_two_services_of_a_stranger_in_two_commands_and_a_minute() {
    let Some(folder) = strangers() else { return };
    let (greeter, shelves) =
        (example(&folder, "greeter", &[]), library(&folder, &["-theme", "History"]));
    let place = Place::new();
    let began = Instant::now();

    let from = [
        format!("greeter=localhost:{}", greeter.address.port()),
        format!("library={}", shelves.address),
    ];
    let words = ["init", "--from", &from[0], "--from", &from[1]];
    let written = place.tandem(&[&words[..], &PORTS].concat());
    assert_eq!(written.exit, 0, "{written:?}");
    let running = Running::start(&place, &[]);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(written.err.contains("by gRPC only: UnaryEcho and 4 more"), "{written:?}");

    let public = running.public.to_string();
    let url = format!("http://{public}/v1/shelves");
    assert_eq!(curl(&[&url]), r#"{"shelves":[{"name":"shelves/1","theme":"History"}]}"#);
    let made = curl(&[&url, "-H", "content-type: application/json", "-d", r#"{"theme":"Music"}"#]);
    assert_eq!(made, r#"{"name":"shelves/2","theme":"Music"}"#);
    assert!(curl(&[&format!("{url}/9")]).contains("no shelf"), "the service's own error");
    if let Some(hello) =
        grpcurl(&["-plaintext", "-d", r#"{"name":"you"}"#, &public, "helloworld.Greeter/SayHello"])
    {
        assert!(hello.contains("Hello you"), "{hello}");
        let echoed = grpcurl(&[
            "-plaintext",
            "-d",
            r#"{"message":"again"}"#,
            &public,
            "grpc.examples.echo.Echo/UnaryEcho",
        ]);
        assert!(echoed.unwrap().contains("again"));
        assert!(grpcurl(&["-plaintext", &public, "list"]).unwrap().contains("LibraryService"));
    }

    // A path for a method that has none: one mark taken off, one reload.
    let team = place.read("teams/echo.yaml");
    place.write("teams/echo.yaml", &team.replace("  # helloworld.", "  helloworld."));
    let reloaded = place.tandem(&["reload", "--admin", &running.admin.to_string()]);
    assert_eq!(reloaded.exit, 0, "{reloaded:?}");
    let hello = curl(&[
        &format!("http://{public}/greeter/say-hello"),
        "-H",
        "content-type: application/json",
        "-d",
        r#"{"name":"REST"}"#,
    ]);
    assert_eq!(hello, r#"{"message":"Hello REST"}"#);
}

#[test]
fn the_lines_that_run_prints_for_a_strangers_contract_work_as_they_stand() {
    let Some(folder) = strangers() else { return };
    let shelves = library(&folder, &["-theme", "History", "-reflection", "v1alpha"]);
    let place = Place::new();
    let upstream = format!("go={}", shelves.address);
    let running = Running::start(&place, &[&["--upstream", &upstream][..], &PORTS].concat());
    let log = running.log();
    assert!(log.contains("reflection v1alpha"), "{log}");
    let line = |program: &str| {
        let found = log.lines().map(str::trim).find(|line| line.starts_with(program));
        found.unwrap_or_else(|| panic!("no {program}:\n{log}")).to_owned()
    };
    let answer = said(Command::new("sh").args(["-c", &line("curl ")]));
    assert!(answer.exit == 0 && answer.out.contains("History"), "{answer:?}");
    if let Some(program) = std::env::var_os("TANDEM_GRPCURL") {
        let line = line("grpcurl ").replacen("grpcurl", &program.to_string_lossy(), 1);
        let answer = said(Command::new("sh").args(["-c", &line]));
        assert!(answer.exit == 0 && answer.out.contains("History"), "{answer:?}");
    }
}

#[test]
fn a_strangers_service_over_tls_with_a_private_authority() {
    let Some(folder) = strangers() else { return };
    // As grpc-go's own examples are secured: their certificate, their authority.
    let (cert, key) = (folder.join("server_cert.pem"), folder.join("server_key.pem"));
    let secured = library(
        &folder,
        &["-theme", "Secrets", "-cert", cert.to_str().unwrap(), "-key", key.to_str().unwrap()],
    );
    let place = Place::new();
    let from = format!("go={}", secured.address);
    let refused = place.tandem(&["init", "--from", &from]);
    assert!(refused.exit == 1 && refused.err.contains("TND0303"), "{refused:?}");
    let ca = folder.join("ca_cert.pem").display().to_string();
    let words = ["init", "--from", &from, "--ca", &ca, "--tls-name", "x.test.example.com"];
    let written = place.tandem(&[&words[..], &PORTS].concat());
    assert_eq!(written.exit, 0, "{written:?}");
    assert!(written.err.contains("TLS, reflection v1 "), "{written:?}");
    let running = Running::start(&place, &[]);
    let (status, body) = ask(running.public, "GET /v1/shelves/1 HTTP/1.1", "").unwrap();
    assert_eq!((status, &*body), (200, r#"{"name":"shelves/1","theme":"Secrets"}"#));
}

#[test]
fn a_strangers_service_without_reflection_by_its_proto_file() {
    let Some(folder) = strangers() else { return };
    let guide = example(&folder, "route_guide", &[]);
    let place = Place::new();
    let from = format!("go={}", guide.address);
    let told = place.tandem(&["init", "--from", &from]);
    assert!(told.exit == 1 && told.err.contains("TND0205"), "{told:?}");
    assert!(told.err.contains("reflection.Register(server)"), "{told:?}");

    let proto = folder.join("route_guide.proto").display().to_string();
    let words = ["init", "--from", &from, "--contract", &proto];
    // It is written in an edition, which `buf` or `protoc` of the user's PATH compiles.
    let Some(buf) = std::env::var_os("TANDEM_BUF").map(PathBuf::from) else {
        println!("SKIPPED: no compiler of editions is here (TANDEM_BUF is unset)");
        return;
    };
    let mut command = place.command(&[&words[..], &PORTS].concat());
    let written = said(command.env("PATH", buf.parent().unwrap()));
    assert_eq!(written.exit, 0, "{written:?}");
    let team = place.read("teams/routeguide.yaml");
    place.write("teams/routeguide.yaml", &team.replace("  # routeguide.", "  routeguide."));
    let running = Running::start(&place, &[]);
    let point = r#"{"latitude":409146138,"longitude":-746188906}"#;
    let url = format!("http://{}/route-guide", running.public);
    let asked = ["-H", "content-type: application/json", "-d"];
    let feature = curl(&[&[&*format!("{url}/get-feature")][..], &asked, &[point]].concat());
    assert!(feature.contains("Berkshire Valley Management Area Trail"), "{feature}");
    let rectangle = r#"{"lo":{"latitude":400000000,"longitude":-750000000},"hi":{"latitude":420000000,"longitude":-730000000}}"#;
    let all = curl(&[&[&*format!("{url}/list-features")][..], &asked, &[rectangle]].concat());
    assert!(all.starts_with('[') && all.ends_with(']') && all.contains("Berkshire"), "{all}");
    let summary = curl(
        &[&[&*format!("{url}/record-route")][..], &asked, &[&format!("[{point},{point}]")]]
            .concat(),
    );
    assert!(summary.contains("\"pointCount\":2"), "{summary}");
}

#[test]
fn two_servers_of_one_stranger_are_compared() {
    let Some(folder) = strangers() else { return };
    let (one, two) =
        (library(&folder, &["-theme", "History"]), library(&folder, &["-theme", "Music"]));
    let authority = Authority::new();
    let front = over_tls(two.address, &authority, &["127.0.0.1"]);
    let place = Place::with(&[("ca.pem", &authority.pem())]);
    let both = [format!("one={}", one.address), format!("two={}", front.address)];
    let words = ["call", "ListShelves", "--to", "both", "--ca", "ca.pem"];
    let named = ["--upstream", &both[0], "--upstream", &both[1]];
    let said = place.tandem(&[&words[..], &named].concat());
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.out.contains("shelves[0].theme   one \"History\"   two \"Music\""), "{said:?}");
}
