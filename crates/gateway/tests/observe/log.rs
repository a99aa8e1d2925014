//! The access log: what a line says, and that nothing about it ever touches a call.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tandem_config::document::Share;
use tandem_gateway::observe::AccessLog;
use tandem_testkit::client::{grpc, note, raw, rest};
use tandem_testkit::{Backend, Script, TestGateway, gateway};

use super::LONG;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

async fn logging(script: Vec<Script>, out: impl Write + Send + 'static) -> (Backend, TestGateway) {
    let backend = Backend::start(script);
    let log = AccessLog::start(Box::new(out), Share::ALL).unwrap();
    let setup = gateway(backend.address).upstream("eject: false").access_log(log);
    let rules = "retries: { codes: [UNAVAILABLE], attempts: 2 }";
    let gateway = setup.rules(rules).one_thread().start().await;
    (backend, gateway)
}

fn lost(gateway: &TestGateway, reason: &str) -> u64 {
    let text = gateway.view.metrics().text();
    let series = format!("tandem_access_log_lines_dropped_total{{reason=\"{reason}\"}} ");
    let found = text.lines().find_map(|line| line.strip_prefix(&series));
    found.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_says_what_an_operator_asks() {
    let kept = Kept::default();
    let unavailable = Script::trailers(&[("grpc-status", "14")]);
    let script = vec![Script::Echo, unavailable, Script::Echo];
    let (_backend, gateway) = logging(script, kept.clone()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let call = format!(
        "POST /v1/notes HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-request-id: one\r\n\
         traceparent: 00-{trace}-00f067aa0ba902b7-00\r\ncontent-type: application/json\r\n\
         content-length: 12\r\n\r\n{{\"text\":\"a\"}}"
    );
    raw(gateway.public, call.as_bytes()).await.unwrap();
    grpc(gateway.public, "Read", &[("x-request-id", "two")], &[&note("b")]).await;
    rest(gateway.public, "GET", "/v1/nothing/secret?number=7", "").await;
    gateway.gateway.stop().await;
    let text = kept.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for (line, says) in [
        (
            lines[0],
            &[
                "\"request_id\":\"one\"",
                &format!("\"trace\":\"{trace}\""),
                "\"listener\":\"public\"",
                "\"protocol\":\"rest\"",
                "\"call\":\"POST /v1/notes\"",
                "\"method\":\"test.v1.Notes/Get\"",
                "\"upstream\":\"it\"",
                "\"code\":\"OK\"",
                "\"refused\":\"\"",
                "\"http_status\":200",
                "\"attempts\":1",
                "\"received_bytes\":12",
                "\"sent_bytes\":12",
                "\"upstream_ms\":",
                "\"abandoned\":false",
            ][..],
        ),
        (
            lines[1],
            &[
                "\"request_id\":\"two\"",
                "\"protocol\":\"grpc\"",
                "\"call\":\"/test.v1.Notes/Read\"",
                "\"attempts\":2",
                "\"received_bytes\":8",
                "\"sent_bytes\":8",
                "\"code\":\"OK\"",
            ],
        ),
        (
            lines[2],
            &[
                "\"protocol\":\"\"",
                "\"call\":\"refused\"",
                "\"method\":\"\"",
                "\"upstream\":\"\"",
                "\"code\":\"NOT_FOUND\"",
                "\"refused\":\"not_found\"",
                "\"http_status\":404",
                "\"attempts\":0",
            ],
        ),
    ] {
        assert!(line.starts_with("{\"time\":") && line.ends_with('}'), "{line}");
        for field in says {
            assert!(line.contains(field), "{field} in {line}");
        }
    }
    // What stands in a path or a parameter may be anybody's secret (security W-7).
    assert!(!text.contains("secret") && !text.contains("number"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_lines_and_no_call() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (_backend, gateway) = logging(vec![Script::Echo], full).await;
    for _ in 0..20 {
        assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
    }
    gateway.until(|gateway| lost(gateway, "not_written") == 20).await;
    assert_eq!(lost(&gateway, "queue_full"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_costs_lines_and_no_call() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (_backend, gateway) = logging(vec![Script::Echo], writer).await;
    for _ in 0..20 {
        assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
    }
    gateway.until(|gateway| lost(gateway, "not_written") == 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_pipe_that_nobody_reads_holds_up_neither_calls_nor_new_connections_nor_the_end() {
    let (reader, writer) = std::io::pipe().unwrap();
    let (_backend, gateway) = logging(vec![Script::Echo], writer).await;
    // A pipe holds 64 KiB, a line some 400 bytes; more than the queue takes as well would be
    // a test of the queue.
    let calls = "GET /v1/notes/a HTTP/1.1\r\nhost: a\r\n\r\n".repeat(500);
    let last = "GET /v1/notes/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    raw(gateway.public, format!("{calls}{last}").as_bytes()).await.unwrap();
    // The writer waits now; whoever comes is served all the same.
    for _ in 0..5 {
        assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
    }
    tokio::time::timeout(LONG, gateway.gateway.stop()).await.expect("it ends in time");
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_writer_has_no_room_for_is_dropped_and_counted() {
    let (reader, writer) = std::io::pipe().unwrap();
    let (_backend, gateway) = logging(vec![Script::Echo], writer).await;
    let calls = "GET /v1/nothing HTTP/1.1\r\nhost: a\r\n\r\n".repeat(9_000);
    let last = "GET /v1/nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    raw(gateway.public, format!("{calls}{last}").as_bytes()).await.unwrap();
    gateway.until(|gateway| lost(gateway, "queue_full") > 0).await;
    assert_eq!(lost(&gateway, "not_written"), 0);
    drop(reader);
}

/// Fails in the middle of a line, once.
struct Tears {
    kept: Kept,
    after: usize,
}

impl Write for Tears {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.after == 0 {
            self.after = usize::MAX;
            return Err(std::io::Error::other("on purpose"));
        }
        let some = bytes.len().min(self.after);
        if self.after != usize::MAX {
            self.after -= some;
        }
        self.kept.write(&bytes[..some])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_was_cut_is_not_joined_with_the_next() {
    let kept = Kept::default();
    let tears = Tears { kept: kept.clone(), after: 100 };
    let (_backend, gateway) = logging(vec![Script::Echo], tears).await;
    rest(gateway.public, "GET", "/v1/notes/a", "").await;
    gateway.until(|gateway| lost(gateway, "not_written") == 1).await;
    rest(gateway.public, "GET", "/v1/notes/a", "").await;
    gateway.gateway.stop().await;
    let text = kept.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0].len(), 100);
    assert!(lines[1].starts_with("{\"time\":") && lines[1].ends_with('}'), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_share_is_no_line() {
    let kept = Kept::default();
    let backend = Backend::start(vec![Script::Echo]);
    let log = AccessLog::start(Box::new(kept.clone()), Share::NONE).unwrap();
    let gateway = gateway(backend.address).access_log(log).start().await;
    rest(gateway.public, "GET", "/v1/notes/a", "").await;
    gateway.gateway.stop().await;
    assert_eq!(kept.text(), "");
}
