//! Being there when a slot comes.
//!
//! The kernel wakes a sleeper some 50 µs late, the loop's own timers up to a millisecond; a virtual
//! machine's core that has gone idle may be given back milliseconds later, once in a hundred times.
//! So a generator that has a core to itself does not sleep at all while a block is sent: it turns
//! with the loop, and each turn looks at the sockets and at the time. Sleeping until 200 µs before
//! the slot was tried first (compare L-1); on an otherwise idle virtual machine it made one block
//! in three late that this does not.
//!
//! The time spent so is known ([`Clock::spun`]): it is no work, and a generator that is only
//! waiting does not count as busy. Turns that took too long are known as well ([`Clock::met_stall`]).
//!
//! Without a core of its own it sleeps by an absolute timer of the kernel, for it would take the
//! service's time.

use std::cell::{Cell, RefCell};
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

use super::stall::{Moment, Stalls};
use crate::environment::own_cpu;

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

    /// Whether it waits awake. Then whoever waits for something else is to wait with
    /// [`Clock::until`], moment by moment, or stalls go unseen.
    fn is_awake(&self) -> bool {
        false
    }

    /// A block begins: stalls before it are forgotten.
    fn begin(&self) {}

    /// The generator has come to look at its schedule.
    fn look(&self) {}

    /// Whether a call met a time in which the generator's thread did not run: before it was sent,
    /// or when it ended. Known once [`Clock::look`] was called after its end; never, where the
    /// clock does not wait awake.
    fn met_stall(&self, _intended: Duration, _sent: Duration, _ended: Duration) -> bool {
        false
    }
}

/// How a slot is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Where the generator has a core to itself.
    Awake,
    /// Where it would take the service's.
    Asleep,
}

/// The kernel's monotonic clock, to a few microseconds.
#[derive(Debug)]
pub struct Precise {
    timer: AsyncFd<Timer>,
    waiting: Waiting,
    spun: Cell<Duration>,
    shortest_turn: Cell<Duration>,
    stalls: RefCell<Stalls>,
}

#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Precise {
    /// # Errors
    /// When the kernel gives no timer.
    ///
    /// # Panics
    /// Outside a loop with I/O.
    pub fn new(waiting: Waiting) -> io::Result<Precise> {
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
            waiting,
            spun: Cell::new(Duration::ZERO),
            shortest_turn: Cell::new(Duration::MAX),
            stalls: RefCell::default(),
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

    fn moment(&self) -> Moment {
        Moment { now: self.now(), cpu: own_cpu::of_thread() }
    }

    /// One turn of the loop, and what of it was waiting.
    async fn turn(&self, before: Duration) {
        tokio::task::yield_now().await;
        let now = self.now();
        self.stalls.borrow_mut().look(Moment { now, cpu: own_cpu::of_thread() });
        let took = now.saturating_sub(before);
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
            match self.waiting {
                Waiting::Awake => self.turn(now).await,
                Waiting::Asleep => self.sleep(at).await,
            }
        }
    }

    fn spun(&self) -> Duration {
        self.spun.get()
    }

    fn is_awake(&self) -> bool {
        self.waiting == Waiting::Awake
    }

    fn begin(&self) {
        self.stalls.borrow_mut().begin(self.moment());
    }

    fn look(&self) {
        if self.is_awake() {
            self.stalls.borrow_mut().look(self.moment());
        }
    }

    fn met_stall(&self, intended: Duration, sent: Duration, ended: Duration) -> bool {
        self.stalls.borrow().met(intended, sent, ended)
    }
}
