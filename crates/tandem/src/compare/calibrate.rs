//! What the generator can do alone: load on a server that answers at once (compare P-4).
//!
//! Not here: whether a block of the run counts (`tandem_judge::cost`); each is looked at by itself.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http::uri::Authority;
use tandem_config::Tnd;
use tandem_gateway::listen::null;
use tandem_gateway::tasks::Side as Tasks;
use tandem_gateway::upstream::{Upstream, UpstreamAddress};
use tandem_judge::cost::void;
use tandem_judge::report;
use tandem_measure::environment::pin;
use tandem_measure::load::offer;
use tokio::sync::oneshot;

use super::Layout;
use super::blocks::{Generator, Order};
use super::side::Settings;
use super::streams::Callee;
use super::wire::Wire;
use crate::failure::{Exit, Failure};

/// Length of one probe.
const PROBE: Duration = Duration::from_millis(300);
/// Time after which no other rate is tried.
const WHOLE: Duration = Duration::from_secs(4);
/// Rates that are tried: each twice the one before.
const PROBES: u32 = 7;
/// A probe that is late may have met somebody else's work.
const TRIES: u32 = 2;

/// The highest rate that is sent in time to nobody, from `rate` on.
pub(crate) async fn calibrate(
    settings: &Settings,
    layout: &Layout,
    generator: &Generator,
    rate: f64,
) -> Result<report::Generator, Failure> {
    let server = Server::start(&layout.services)?;
    let authority: Authority =
        server.address.to_string().parse().expect("an address is an authority");
    let upstream =
        Upstream::plain(UpstreamAddress::Fixed(server.address), authority, settings.timeout);
    let methods = generator.calls.iter().map(|call| call.method).max().unwrap_or(0) + 1;
    let callees: Rc<[Callee]> = (0..methods).map(|_| Callee::unary("/tandem.Null/Call")).collect();
    let Settings { connections, timeout, tasks, .. } = settings;
    let wire = Wire::connect(&upstream, *connections, &callees, *timeout, tasks).await;
    let wire = Rc::new(wire.map_err(|error| {
        Failure::new(Exit::Failed, "the generator does not reach a server of its own")
            .coded(Tnd::Unreachable)
            .because(error.to_string())
    })?);
    let mut found = report::Generator::default();
    let mut at = rate.max(1_000.0);
    // First whether what was asked for can be sent at all.
    let mut rates = vec![rate];
    for _ in 0..PROBES {
        rates.push(at);
        at *= 2.0;
    }
    let until = Instant::now() + WHOLE;
    for rate in rates {
        if Instant::now() > until {
            break;
        }
        let mut in_time = false;
        for attempt in 0..TRIES {
            let (seed, first) = (u64::from(attempt), 0);
            let order = Order { rate, length: PROBE, seed, first, keep: 0 };
            let offered =
                offer(&wire, generator.clock(), generator.recorder(), &generator.offer(&order))
                    .await;
            let readings = offered.readings();
            found.lag_p99_s.get_or_insert(readings.lag_p99_us as f64 / 1e6);
            in_time = void(&readings).is_none();
            if in_time {
                break;
            }
        }
        if !in_time {
            break;
        }
        found.rate_most = Some(rate);
    }
    Ok(found)
}

/// The server, on a thread of its own where the services are.
struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(cores: &[usize]) -> Result<Server, Failure> {
        let failed = |why: String| {
            Failure::new(Exit::Failed, "a server for the generator cannot be started").because(why)
        };
        let cores = cores.to_vec();
        let (say, heard) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("null".into()).spawn(move || {
            if !cores.is_empty() {
                // Elsewhere it is as good, only not as quiet.
                let _ = pin::this_thread(&cores);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Err(error) => _ = say.send(Err(error)),
                Ok(runtime) => runtime.block_on(async {
                    let _ = say.send(null::start(&Tasks::new(runtime.handle().clone())));
                    // Until it is dropped.
                    let _ = stopped.await;
                }),
            }
        });
        let thread = thread.map_err(|error| failed(error.to_string()))?;
        match heard.recv() {
            Ok(Ok(address)) => Ok(Server { address, stop: Some(stop), thread: Some(thread) }),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("its thread ended".to_owned())),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
