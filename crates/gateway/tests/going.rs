//! How a caller's connection is told to go (protocols G-7; security LI-4, LI-22, O-2).

use std::time::Duration;

use bytes::Bytes;
use tandem_protocol::envelope;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::note;
use tandem_testkit::tapped::{GoAway, Tap, Tapped};
use tandem_testkit::{TestGateway, gateway};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The highest id that there is: nothing is refused yet.
const HIGHEST: u32 = (1 << 31) - 1;
const PATIENCE: Duration = Duration::from_secs(20);

/// A caller that keeps its connection.
struct Caller {
    send: h2::client::SendRequest<Bytes>,
    tap: Tap,
    /// Ends with the connection.
    closed: tokio::task::JoinHandle<()>,
}

impl Caller {
    async fn connect(gateway: &TestGateway) -> Caller {
        let (io, tap) = Tapped::connect(gateway.public).await;
        let (send, connection) = h2::client::handshake(io).await.expect("HTTP/2");
        #[expect(clippy::disallowed_methods, reason = "a caller is no part of the gateway")]
        let closed = tokio::spawn(async move {
            let _ = connection.await;
        });
        Caller { send, tap, closed }
    }

    /// Begins a call; what it gives waits for the status.
    async fn call(&mut self) -> impl Future<Output = String> + use<> {
        let mut send = self.send.clone().ready().await.expect("a stream");
        let request = http::Request::post("http://any/test.v1.Notes/Get")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        let (response, mut stream) = send.send_request(request, false).expect("a stream");
        stream.send_data(envelope::frame(&note("x")), true).expect("a message");
        async move {
            let mut body = response.await.expect("an answer").into_body();
            while let Some(data) = body.data().await {
                let _ = body.flow_control().release_capacity(data.expect("data").len());
            }
            let trailers = body.trailers().await.expect("an end").expect("trailers");
            trailers["grpc-status"].to_str().expect("text").to_owned()
        }
    }

    /// The connection was told and is closed. Without a call this caller's library does not wait
    /// to be told twice.
    async fn goes_idle(self) {
        timeout(PATIENCE, self.closed).await.expect("closed in time").expect("it ended");
        let first = GoAway { last_stream: HIGHEST, code: 0 };
        assert_eq!(self.tap.go_aways().first(), Some(&first));
    }

    /// The connection was told twice, and is closed; `last` is the last stream that was taken.
    async fn told_to_go(self, last: u32) {
        timeout(PATIENCE, self.closed).await.expect("closed in time").expect("it ended");
        let told = [HIGHEST, last].map(|last_stream| GoAway { last_stream, code: 0 });
        assert_eq!(self.tap.go_aways(), told);
    }
}

async fn started(limits: &str) -> (Backend, TestGateway) {
    let backend = Backend::start(vec![Script::Held]);
    let gateway = gateway(backend.address).limits(limits).start().await;
    (backend, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_7_security_li_22_the_last_call_of_a_connection_finishes() {
    let (backend, gateway) = started("requests_per_connection: 2").await;
    let mut caller = Caller::connect(&gateway).await;
    let first = caller.call().await;
    gateway.until(|_| backend.calls() == 1).await;
    assert_eq!(caller.tap.go_aways(), [], "one more may come");
    let second = caller.call().await;
    gateway.until(|_| backend.calls() == 2 && caller.tap.go_aways().len() == 2).await;
    backend.release();
    assert_eq!([first.await, second.await], ["0", "0"]);
    caller.told_to_go(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_7_an_old_connection_finishes_its_calls_and_goes() {
    let (backend, gateway) = started("connection_age: 500ms").await;
    let mut caller = Caller::connect(&gateway).await;
    let call = caller.call().await;
    gateway.until(|_| backend.calls() == 1 && caller.tap.go_aways().len() == 2).await;
    backend.release();
    assert_eq!(call.await, "0");
    caller.told_to_go(1).await;
    // One without a call goes as well, and so does one that never had any.
    let mut caller = Caller::connect(&gateway).await;
    assert_eq!(caller.call().await.await, "0");
    caller.goes_idle().await;
    Caller::connect(&gateway).await.goes_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_7_security_li_4_a_silent_connection_is_told_to_go() {
    let (backend, gateway) = started("keep_alive: 500ms").await;
    backend.release();
    let mut caller = Caller::connect(&gateway).await;
    assert_eq!(caller.call().await.await, "0");
    caller.goes_idle().await;
}

/// It was told to go when no call was open at the moment of the first look, however many there had
/// been before.
#[tokio::test(flavor = "multi_thread")]
async fn security_li_4_a_connection_that_is_used_now_and_then_is_not_silent() {
    let (backend, gateway) = started("keep_alive: 2s").await;
    backend.release();
    let mut used = Caller::connect(&gateway).await;
    let mut silent = Caller::connect(&gateway).await;
    assert_eq!(silent.call().await.await, "0");
    let mut told = std::pin::pin!(silent.goes_idle());
    loop {
        assert_eq!(used.call().await.await, "0");
        // Between two calls none is open for most of the time.
        if timeout(Duration::from_millis(50), told.as_mut()).await.is_ok() {
            break;
        }
    }
    assert_eq!(used.call().await.await, "0");
    assert!(used.tap.go_aways().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_7_security_o_2_the_drain_tells_every_connection() {
    let (backend, gateway) = started("").await;
    let mut busy = Caller::connect(&gateway).await;
    let call = busy.call().await;
    let idle = Caller::connect(&gateway).await;
    // Its settings have come, so it is being served.
    gateway.until(|gateway| gateway.view.metrics().text().contains("connections_open 2")).await;
    gateway.until(|_| backend.calls() == 1).await;
    let ending = async {
        gateway_told(&busy.tap).await;
        backend.release();
        assert_eq!(call.await, "0");
        busy.told_to_go(1).await;
        idle.goes_idle().await;
    };
    let (stopped, ()) = tokio::join!(gateway.gateway.stop(), ending);
    assert!(stopped.took < Duration::from_secs(8), "{stopped:?}");
}

async fn gateway_told(tap: &Tap) {
    let told = async {
        while tap.go_aways().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, told).await.expect("told in time");
}

/// A request on a connection that stays, and how its answer says that it does not.
async fn answer(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut read = Vec::new();
    while !read.windows(4).any(|four| four == b"\r\n\r\n") || !read.ends_with(b"}") {
        let bytes = timeout(PATIENCE, stream.read_buf(&mut read)).await.expect("in time");
        assert!(bytes.expect("an answer") > 0, "{}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).expect("text").to_ascii_lowercase()
}

async fn is_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("closed in time");
    assert_eq!((read.expect("an end"), rest.len()), (0, 0));
}

const GET: &str = "GET /v1/notes/a HTTP/1.1\r\nhost: any\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn security_li_22_the_last_answer_of_an_http_1_connection_says_close() {
    let (backend, gateway) = started("requests_per_connection: 2").await;
    backend.release();
    let mut stream = TcpStream::connect(gateway.public).await.expect("a connection");
    let first = answer(&mut stream, GET).await;
    assert!(first.starts_with("http/1.1 200") && !first.contains("connection: close"), "{first}");
    let second = answer(&mut stream, GET).await;
    assert!(second.contains("connection: close"), "{second}");
    is_closed(&mut stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_7_an_old_http_1_connection_finishes_its_call_and_closes() {
    let (backend, gateway) = started("connection_age: 500ms").await;
    let mut idle = TcpStream::connect(gateway.public).await.expect("a connection");
    idle.write_all(GET.as_bytes()).await.expect("a request");
    let mut busy = TcpStream::connect(gateway.public).await.expect("a connection");
    busy.write_all(GET.as_bytes()).await.expect("a request");
    gateway.until(|_| backend.calls() == 2).await;
    // Two younger ones go, one after the other: whatever ages were drawn, these are past theirs.
    let mut calls = Vec::new();
    for _ in 0..2 {
        let mut younger = Caller::connect(&gateway).await;
        let call = younger.call().await;
        gateway.until(|_| younger.tap.go_aways().len() == 2).await;
        calls.push((younger, call));
    }
    backend.release();
    for (_open, call) in calls {
        assert_eq!(call.await, "0");
    }
    for stream in [&mut idle, &mut busy] {
        let answer = answer(stream, "").await;
        assert!(answer.contains("connection: close"), "{answer}");
        is_closed(stream).await;
    }
    // And one that is between two calls closes without a word.
    let mut stream = TcpStream::connect(gateway.public).await.expect("a connection");
    let first = answer(&mut stream, GET).await;
    assert!(first.starts_with("http/1.1 200"), "{first}");
    is_closed(&mut stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_o_2_an_http_1_connection_is_told_of_the_drain() {
    let (backend, gateway) = started("").await;
    let mut stream = TcpStream::connect(gateway.public).await.expect("a connection");
    stream.write_all(GET.as_bytes()).await.expect("a request");
    gateway.until(|_| backend.calls() == 1).await;
    let ending = async {
        // Nobody listens any more: the drain has begun.
        while TcpStream::connect(gateway.public).await.is_ok() {
            tokio::task::yield_now().await;
        }
        backend.release();
        let answer = answer(&mut stream, "").await;
        assert!(answer.contains("connection: close"), "{answer}");
        is_closed(&mut stream).await;
    };
    let (stopped, ()) = tokio::join!(gateway.gateway.stop(), ending);
    assert!(stopped.took < Duration::from_secs(8), "{stopped:?}");
}
