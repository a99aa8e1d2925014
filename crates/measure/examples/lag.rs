//! How well the pacer keeps its schedule on this machine: `lag [RATE] [SECONDS] [CORE]`.
//!
//! Calls go to a server of a few lines on loopback, so that reading answers and keeping slots
//! compete as they do in a comparison. On an idle machine the 99th percentile of the lag stays
//! below 100 µs at 2,000/s, which is what a block needs to count. Not a test: the figure is the
//! machine's.

#![expect(clippy::print_stdout, reason = "this is what an example is for")]
#![expect(clippy::disallowed_methods, reason = "the process is over when it has printed")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem_judge::cost::void;
use tandem_judge::stats::draws::Draws;
use tandem_measure::load::{
    Call, Ended, IN_FLIGHT_MOST, Offer, Outcome, Precise, Recorder, Schedule, Sender, Waiting,
    offer, on_own_thread,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Connections that carry one call at a time.
struct Connections {
    address: SocketAddr,
    free: RefCell<Vec<TcpStream>>,
}

impl Connections {
    async fn echo(&self) -> std::io::Result<()> {
        let free = self.free.borrow_mut().pop();
        let mut stream = match free {
            Some(stream) => stream,
            None => TcpStream::connect(self.address).await?,
        };
        stream.set_nodelay(true)?;
        stream.write_all(&[7; 64]).await?;
        stream.read_exact(&mut [0; 64]).await?;
        self.free.borrow_mut().push(stream);
        Ok(())
    }
}

impl Sender for Connections {
    async fn send(&self, _number: u64, _call: &Call) -> Ended {
        let outcome = match self.echo().await {
            Ok(()) => Outcome::Answered(0),
            Err(_error) => Outcome::Lost(14),
        };
        Ended { outcome, answer_bytes: 64, answer: Bytes::new(), quiet: Duration::ZERO }
    }
}

async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::task::spawn_local(async move {
            let mut message = [0; 64];
            while stream.read_exact(&mut message).await.is_ok() {
                if stream.write_all(&message).await.is_err() {
                    return;
                }
            }
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut given = std::env::args().skip(1).map(|word| word.parse::<f64>());
    let rate = given.next().transpose()?.unwrap_or(2_000.0);
    let seconds = given.next().transpose()?.unwrap_or(5.0);
    let core = given.next().transpose()?.map(|core| core as usize);

    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    on_own_thread(&[], move || async { serve(TcpListener::from_std(listener)?).await })?;

    let cores: Vec<usize> = core.into_iter().collect();
    let load = on_own_thread(&cores, move || async move {
        let clock = Rc::new(Precise::new(Waiting::Awake)?);
        let sender = Rc::new(Connections { address, free: RefCell::default() });
        let recorder = Rc::new(RefCell::new(Recorder::new(1)));
        let calls = Rc::new([Call { method: 0, messages: Arc::new([]) }]);
        let mut draws = Draws::new(7);
        for block in 1..=3 {
            let length = Duration::from_secs_f64(seconds);
            let offered = Offer {
                schedule: Schedule::exponential(rate, length, &mut draws),
                calls: Rc::clone(&calls) as Rc<[Call]>,
                first: 0,
                deadline: Duration::from_secs(5),
                in_flight_most: IN_FLIGHT_MOST,
            };
            let seen = offer(&sender, &clock, &recorder, &offered).await;
            let of = &seen.recorded.methods[0].ok;
            let us = |part| {
                let all = [&of.lag, &of.service, &of.latency];
                all.map(|counts| counts.quantile(part).unwrap_or(0))
            };
            println!(
                "block {block}: {} calls, {} failed, {} set aside, busy {:.2}, steal {:.3} {:.3}",
                seen.scheduled,
                seen.recorded.failed() + seen.unsent,
                seen.recorded.set_aside(),
                seen.generator_busy,
                seen.steal[0],
                seen.steal[1],
            );
            for part in [0.5, 0.99, 0.999, 1.0] {
                let [lag, service, latency] = us(part);
                println!(
                    "  p{:<5} lag {lag} µs  service {service} µs  latency {latency} µs",
                    part * 100.0
                );
            }
            println!("  void: {:?}", void(&seen.readings()));
        }
        std::io::Result::Ok(())
    })?;
    load.join().map_err(|_| "the generator panicked")???;
    Ok(())
}
