//! Load on a real clock, over real sockets, from a thread of its own.
//!
//! What is asserted holds on any machine, however busy: nothing comes too early, everything is
//! counted, and a stall is at least as long as it was. How late slots are is no matter of tests
//! (`examples/lag.rs`).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem_judge::stats::draws::Draws;
use tandem_measure::load::{
    Call, Clock, Ended, IN_FLIGHT_MOST, Offer, Offered, Outcome, Precise, Recorder, Schedule,
    Sender, Waiting, offer, on_own_thread,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

const fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

#[test]
fn a_moment_is_never_met_too_early_whether_awake_or_asleep() {
    let met = on_own_thread(&[], || async {
        let mut met = Vec::new();
        for waiting in [Waiting::Asleep, Waiting::Awake] {
            let clock = Precise::new(waiting).unwrap();
            for after in [0, 1, 50, 199, 201, 700, 3_000] {
                let at = clock.now() + Duration::from_micros(after);
                clock.until(at).await;
                met.push(clock.now() >= at);
            }
            clock.until(Duration::ZERO).await; // long past
            assert!(
                waiting == Waiting::Awake || clock.spun().is_zero(),
                "only waiting awake is spinning"
            );
        }
        met
    });
    assert_eq!(met.unwrap().join().unwrap().unwrap(), [true; 14]);
}

#[test]
fn a_thread_that_cannot_be_pinned_says_so() {
    let ended = on_own_thread(&[100_000], || async {}).unwrap().join().unwrap();
    assert!(ended.is_err());
}

/// Echoes eight bytes at a time and stands still as a whole from 100 ms to 200 ms after the first.
async fn serve(listener: TcpListener, mut end: oneshot::Receiver<()>) -> std::io::Result<()> {
    let mut connections = JoinSet::new();
    let (first, mut is_first) = mpsc::channel::<Instant>(1);
    let mut began = None;
    let stall = Rc::new(RefCell::new(None::<Instant>));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (mut stream, _) = accepted?;
                let (first, stall) = (first.clone(), Rc::clone(&stall));
                connections.spawn_local(async move {
                    let mut message = [0; 8];
                    while stream.read_exact(&mut message).await.is_ok() {
                        let _ = first.try_send(Instant::now());
                        let began = *stall.borrow();
                        if let Some(began) = began
                            && (began..began + ms(100)).contains(&Instant::now())
                        {
                            sleep_until(began + ms(100)).await;
                        }
                        if stream.write_all(&message).await.is_err() {
                            return;
                        }
                    }
                });
            }
            Some(at) = is_first.recv(), if began.is_none() => {
                began = Some(at);
                *stall.borrow_mut() = Some(at + ms(100));
            }
            _ = &mut end => return Ok(()),
        }
    }
}

/// A connection for each call under way.
struct Connections {
    address: SocketAddr,
    free: RefCell<Vec<TcpStream>>,
}

impl Connections {
    async fn echo(&self, number: u64) -> std::io::Result<bool> {
        let free = self.free.borrow_mut().pop();
        let mut stream = match free {
            Some(stream) => stream,
            None => TcpStream::connect(self.address).await?,
        };
        stream.set_nodelay(true)?;
        stream.write_all(&number.to_be_bytes()).await?;
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).await?;
        self.free.borrow_mut().push(stream);
        Ok(answer == number.to_be_bytes())
    }
}

impl Sender for Connections {
    async fn send(&self, number: u64, _call: &Call) -> Ended {
        let outcome = match self.echo(number).await {
            Ok(true) => Outcome::Answered(0),
            Ok(false) => Outcome::Answered(15),
            Err(_error) => Outcome::Lost(14),
        };
        Ended { outcome, answer_bytes: 8, answer: Bytes::new(), quiet: Duration::ZERO }
    }
}

fn offered(waiting: Waiting) -> Offered {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (end, is_end) = oneshot::channel();
    let server =
        on_own_thread(
            &[],
            move || async move { serve(TcpListener::from_std(listener)?, is_end).await },
        );
    let load = on_own_thread(&[], move || async move {
        let clock = Rc::new(Precise::new(waiting).unwrap());
        let sender = Rc::new(Connections { address, free: RefCell::default() });
        let recorder = Rc::new(RefCell::new(Recorder::new(1)));
        let offered = Offer {
            schedule: Schedule::exponential(500.0, ms(400), &mut Draws::new(9)),
            calls: Rc::new([Call { method: 0, messages: Arc::new([]) }]),
            first: 0,
            deadline: Duration::from_secs(60),
            in_flight_most: IN_FLIGHT_MOST,
        };
        offer(&sender, &clock, &recorder, &offered).await
    });
    let seen = load.unwrap().join().unwrap().unwrap();
    end.send(()).unwrap();
    server.unwrap().join().unwrap().unwrap().unwrap();
    seen
}

#[test]
fn compare_l_8_a_stall_of_a_real_server_is_in_the_99th_percentile() {
    for waiting in [Waiting::Awake, Waiting::Asleep] {
        let seen = offered(waiting);
        assert!(seen.scheduled > 150, "{}", seen.scheduled);
        assert_eq!((seen.recorded.ok(), seen.unsent), (seen.scheduled, 0));
        // Some fifty calls fall into it; two of them at its start make the percentile.
        let p99 = seen.recorded.quantile(0.99).unwrap();
        assert!(p99.value_us > 80_000, "{p99:?}");
        assert!(seen.took >= ms(400) && seen.length == ms(400));
        assert_eq!(seen.in_flight.len(), 50);
        assert_eq!(seen.recorded.methods[0].answer_bytes, seen.scheduled * 8);
    }
}
