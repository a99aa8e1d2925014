//! How a kept answer shows: in the log, in traces, to callers who may ask.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tandem_config::document::Share;
use tandem_gateway::CacheUse;
use tandem_gateway::observe::AccessLog;
use tandem_testkit::backend::{Backend, Script};

use super::{header, kept, read};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_a_trace_and_a_caller_who_may_ask_are_told_how_a_call_was_answered() {
    let backend = Backend::start(vec![Script::Echo]);
    let lines = Lines::default();
    let log = AccessLog::start(Box::new(lines.clone()), Share::ALL).expect("a thread");
    let setup = kept(&backend, "ttl: 1h }, auth: { public: true, debug: true").access_log(log);
    let gateway = setup.one_thread().start().await;
    let asks =
        |id: &str| [format!("x-request-id: {id}"), "x-tandem-debug: timing, served-by".to_owned()];
    for (id, made, told, served_by) in
        [("one", CacheUse::Miss, "miss", "it"), ("two", CacheUse::Hit, "hit", "")]
    {
        let lines = asks(id);
        let answer = read(&gateway, "a", &[&lines[0], &lines[1]]).await;
        let timing = header(&answer, "server-timing");
        assert!(timing.contains(&format!(";desc=\"{told}\"")), "{timing}");
        assert!(timing.contains("cache;dur="), "{timing}");
        assert_eq!(header(&answer, "x-tandem-served-by"), served_by);
        gateway.until(|gateway| gateway.view.request(id).len() == 1).await;
        let span = gateway.view.request(id).remove(0);
        assert_eq!(span.way.cache, Some(made));
        assert_eq!(span.upstream.as_deref().unwrap_or(""), served_by);
        let rooms = span.way.rooms(span.took);
        let names: Vec<&str> = rooms.iter().map(|room| room.name).collect();
        assert_eq!(
            names,
            ["listen", "detect", "policy", "decode", "cache", "encode", "write"],
            "{id}"
        );
        let inner: Vec<&str> = rooms[4].rooms.iter().map(|room| room.name).collect();
        let fetched = ["wait", "attempt", "answer"];
        assert_eq!(inner, fetched[..if served_by.is_empty() { 0 } else { 3 }]);
    }
    // A credential goes by the cache, and that is said too.
    read(&gateway, "a", &["cookie: a=b"]).await;
    gateway.gateway.stop().await;
    let text = String::from_utf8(lines.0.lock().expect("nobody panics with it").clone());
    let text = text.expect("text");
    let said: Vec<&str> = text
        .lines()
        .map(|line| line.split("\"cache\":\"").nth(1).and_then(|rest| rest.split('"').next()))
        .map(|word| word.expect("every line says it"))
        .collect();
    assert_eq!(said, ["miss", "hit", "passed"]);
    let attempts: Vec<bool> = text.lines().map(|line| line.contains("\"attempts\":1")).collect();
    assert_eq!(attempts, [true, false, true]);
}
