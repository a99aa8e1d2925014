//! Being there when a slot comes.
//!
//! The kernel wakes a sleeper some 50 µs late, the loop's own timers up to a millisecond. So the
//! clock sleeps by an absolute timer of the kernel until shortly before the moment, and then turns
//! with the loop: each turn looks at the sockets and at the time, so answers are read while the
//! slot is awaited.
//!
//! The time spent so is known ([`Clock::spun`]): it is no work, and a generator that is only
//! waiting does not count as busy.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{
    ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags,
};
use nix::time::ClockId;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long before a slot sleeping ends (compare L-1).
pub const SPIN: Duration = Duration::from_micros(200);

/// A turn that takes up to this many times the shortest one has found nothing to do.
const IDLE_TURN: u32 = 3;

/// What time it is, and how to wait for a moment.
pub trait Clock: 'static {
    /// Since an origin of the clock's own.
    fn now(&self) -> Duration;

    /// Waits until `at`, never less. Others on the loop run meanwhile.
    fn until(&self, at: Duration) -> impl Future<Output = ()>;

    /// How much of the CPU time until now was spent on waiting awake.
    fn spun(&self) -> Duration {
        Duration::ZERO
    }
}

/// The kernel's monotonic clock, to a few microseconds.
#[derive(Debug)]
pub struct Precise {
    timer: AsyncFd<Timer>,
    spin: Duration,
    spun: Cell<Duration>,
    shortest_turn: Cell<Duration>,
}

#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Precise {
    /// A clock that stays awake for `spin` before each moment: [`SPIN`] where the generator has a
    /// core to itself, zero where it would take the service's.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    ///
    /// # Panics
    /// Outside a loop with I/O.
    pub fn new(spin: Duration) -> io::Result<Precise> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = Timer(TimerFd::new(TimerClock::CLOCK_MONOTONIC, flags)?);
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that might lend a descriptor which is \
                      closed or another one later; this one owns its own and keeps it"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Precise {
            timer,
            spin,
            spun: Cell::new(Duration::ZERO),
            shortest_turn: Cell::new(Duration::MAX),
        })
    }

    async fn sleep(&self, until: Duration) {
        let moment = Expiration::OneShot(TimeSpec::from_duration(until));
        let set = self.timer.get_ref().0.set(moment, TimerSetTimeFlags::TFD_TIMER_ABSTIME);
        set.expect("a timer takes any moment after the clock's origin");
        loop {
            let mut ready = self.timer.readable().await.expect("the loop lives");
            match ready.try_io(|timer| timer.get_ref().0.wait().map_err(io::Error::from)) {
                Ok(_) => return,
                Err(_would_block) => {}
            }
        }
    }

    /// One turn of the loop, and what of it was waiting.
    async fn turn(&self, before: Duration) {
        tokio::task::yield_now().await;
        let took = self.now().saturating_sub(before);
        let shortest = self.shortest_turn.get().min(took);
        self.shortest_turn.set(shortest);
        if took <= shortest.saturating_mul(IDLE_TURN) {
            self.spun.set(self.spun.get() + took);
        }
    }
}

impl Clock for Precise {
    fn now(&self) -> Duration {
        ClockId::CLOCK_MONOTONIC.now().expect("every Linux has this clock").into()
    }

    async fn until(&self, at: Duration) {
        loop {
            let now = self.now();
            if now >= at {
                return;
            }
            match at - now {
                left if left > self.spin => self.sleep(at - self.spin).await,
                _ => self.turn(now).await,
            }
        }
    }

    fn spun(&self) -> Duration {
        self.spun.get()
    }
}
