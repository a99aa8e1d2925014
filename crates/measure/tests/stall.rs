//! A service that stalls, seen by the whole of `load` on a clock that a test drives (compare L-8,
//! T-6).

mod driven;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use driven::{Driven, answered, ms, on_driven_loop};
use tandem_judge::stats::counts::Counts;
use tandem_judge::stats::draws::Draws;
use tandem_measure::load::{
    Call, Clock, Ended, IN_FLIGHT_MOST, Offer, Offered, Recorder, Schedule, Sender, offer,
};

/// Serves one call after the other, 0.5 ms each; every ten seconds nothing is served for 200 ms.
struct Stalling {
    clock: Rc<Driven>,
    free: Cell<Duration>,
    sent: Cell<u64>,
}

const SERVICE: Duration = Duration::from_micros(500);
const EVERY: Duration = Duration::from_secs(10);
const STALL: Duration = ms(200);

impl Sender for Stalling {
    async fn send(&self, _number: u64, _call: &Call) -> Ended {
        self.sent.set(self.sent.get() + 1);
        let mut begins = self.free.get().max(self.clock.now());
        // The stall is in the middle of each ten seconds.
        let stall = EVERY * (begins.as_secs() / EVERY.as_secs()) as u32 + EVERY / 2;
        if (stall..stall + STALL).contains(&begins) {
            begins = stall + STALL;
        }
        self.free.set(begins + SERVICE);
        self.clock.until(begins + SERVICE).await;
        answered(0, b"a")
    }
}

fn calls() -> Rc<[Call]> {
    Rc::new([Call { method: 0, messages: [Bytes::from_static(b"\x08\x01")].into() }])
}

fn offer_of(schedule: Schedule) -> Offer {
    let in_flight_most = IN_FLIGHT_MOST;
    Offer { schedule, calls: calls(), first: 0, deadline: ms(5_000), in_flight_most }
}

/// Runs a block on a driven loop.
fn run<S: Sender>(make: impl FnOnce(&Rc<Driven>) -> S, offered: &Offer) -> (Offered, Rc<S>) {
    on_driven_loop(async |clock| {
        let sender = Rc::new(make(&clock));
        let recorder = Rc::new(RefCell::new(Recorder::new(1)));
        (offer(&sender, &clock, &recorder, offered).await, sender)
    })
}

fn stalling(clock: &Rc<Driven>) -> Stalling {
    Stalling { clock: Rc::clone(clock), free: Cell::default(), sent: Cell::default() }
}

#[test]
fn compare_l_8_a_stall_of_200_ms_every_ten_seconds_is_in_the_99th_percentile() {
    const SEED: u64 = 8;
    let thirty_seconds = EVERY * 3;
    for schedule in [
        Schedule::uniform(500.0, thirty_seconds),
        Schedule::exponential(500.0, thirty_seconds, &mut Draws::new(SEED)),
    ] {
        let scheduled = schedule.len() as u64;
        let (seen, sender) = run(stalling, &offer_of(schedule));
        assert_eq!((seen.recorded.ok(), seen.unsent), (scheduled, 0));
        assert_eq!(sender.sent.get(), scheduled);
        // The reference says 114 ms; the loop's timers add up to one.
        let p99 = seen.recorded.quantile(0.99).unwrap();
        assert!((100_000..130_000).contains(&p99.value_us), "seed {SEED}: {p99:?}");
        assert!(!p99.at_least);
        let p50 = seen.recorded.quantile(0.5).unwrap();
        assert!(p50.value_us < 3_000, "seed {SEED}: {p50:?}");
        assert_eq!(seen.in_flight.len(), 50);
    }
}

/// Sends a call when the one before it was answered, and measures from there: what L-8 warns of.
struct OneAtATime {
    stalling: Stalling,
    turn: tokio::sync::Mutex<()>,
    measured_us: RefCell<Vec<u64>>,
}

impl Sender for OneAtATime {
    async fn send(&self, number: u64, call: &Call) -> Ended {
        let _turn = self.turn.lock().await;
        let sent = self.stalling.clock.now();
        let ended = self.stalling.send(number, call).await;
        let took = self.stalling.clock.now() - sent;
        self.measured_us.borrow_mut().push(took.as_micros() as u64);
        ended
    }
}

#[test]
fn compare_p_1_what_a_waiting_worker_hides_shows_from_the_intended_moment() {
    let make = |clock: &Rc<Driven>| OneAtATime {
        stalling: stalling(clock),
        turn: tokio::sync::Mutex::default(),
        measured_us: RefCell::default(),
    };
    let (seen, worker) = run(make, &offer_of(Schedule::uniform(500.0, EVERY * 3)));
    let from_its_own_sending = Counts::of(worker.measured_us.take()).quantile(0.99).unwrap();
    assert!(from_its_own_sending < 3_000, "{from_its_own_sending}");
    let from_the_intended_moment = seen.recorded.quantile(0.99).unwrap().value_us;
    assert!(from_the_intended_moment > 100_000, "{from_the_intended_moment}");
}

/// Never answers.
struct Silent;

impl Sender for Silent {
    async fn send(&self, _number: u64, _call: &Call) -> Ended {
        std::future::pending().await
    }
}

#[test]
fn compare_l_3_what_cannot_be_sent_is_counted_and_timeouts_are_kept_at_the_deadline() {
    let schedule = Schedule::uniform(1_000.0, ms(100));
    let offered = Offer { deadline: ms(50), in_flight_most: 10, ..offer_of(schedule) };
    let (seen, _) = run(|_| Silent, &offered);
    assert_eq!(seen.scheduled, 99);
    // Ten at once, and ten more when the deadline had freed their places.
    assert_eq!((seen.recorded.timed_out(), seen.unsent), (20, 79));
    let median = seen.recorded.quantile(0.5).unwrap();
    assert!(median.at_least && (50_000..52_000).contains(&median.value_us), "{median:?}");
    assert!(seen.took >= ms(100), "{:?}", seen.took);
    let completed = seen.probe(1_000, None);
    assert_eq!((completed.offered_calls, completed.completed), (99, 0));
}

/// Waits, and says that part of it was no part of the call.
struct Quiet(Rc<Driven>);

impl Sender for Quiet {
    async fn send(&self, _number: u64, _call: &Call) -> Ended {
        self.0.until(self.0.now() + ms(50)).await;
        Ended { quiet: ms(45), ..answered(0, b"") }
    }
}

#[test]
fn compare_j_9_what_comes_after_the_last_message_of_a_cut_stream_is_no_part_of_its_time() {
    let offered = offer_of(Schedule::uniform(100.0, ms(100)));
    let (seen, _) = run(|clock| Quiet(Rc::clone(clock)), &offered);
    let median = seen.recorded.quantile(0.5).unwrap();
    assert!((5_000..7_000).contains(&median.value_us), "{median:?}");
    // The block still ends with the last call.
    assert!(seen.took >= ms(130), "{:?}", seen.took);
}

#[test]
fn compare_i_3_two_blocks_at_once_keep_their_own_times() {
    let offered = offer_of(Schedule::uniform(100.0, ms(200)));
    let (fast, slow) = on_driven_loop(async |clock| {
        let recorders = [(); 2].map(|()| Rc::new(RefCell::new(Recorder::new(1))));
        let (fast, slow) = (Rc::new(stalling(&clock)), Rc::new(Quiet(Rc::clone(&clock))));
        tokio::join!(
            offer(&fast, &clock, &recorders[0], &offered),
            offer(&slow, &clock, &recorders[1], &offered)
        )
    });
    for (seen, most) in [(&fast, 2_000), (&slow, 7_000)] {
        assert_eq!((seen.scheduled, seen.recorded.ok()), (19, 19));
        let median = seen.recorded.quantile(0.5).unwrap();
        assert!(median.value_us < most, "{median:?}");
    }
    assert!(slow.recorded.quantile(0.5).unwrap().value_us >= 5_000);
}

/// Answers at once, and keeps which calls it was given.
#[derive(Default)]
struct Keeping(RefCell<Vec<(u64, Bytes)>>);

impl Sender for Keeping {
    async fn send(&self, number: u64, call: &Call) -> Ended {
        self.0.borrow_mut().push((number, call.messages[0].clone()));
        answered(u8::from(number.is_multiple_of(2)) * 3, b"")
    }
}

#[test]
fn compare_l_7_both_sides_are_sent_the_same_bytes_in_the_same_order() {
    let messages: Rc<[Call]> = (0..7_u8)
        .map(|byte| Call { method: 0, messages: [Bytes::copy_from_slice(&[8, byte])].into() })
        .collect();
    let schedule = Schedule::exponential(500.0, ms(40), &mut Draws::new(3));
    let count = schedule.len() as u64;
    let offered = Offer { calls: messages, first: 5, ..offer_of(schedule) };
    let (seen, primary) = run(|_| Keeping::default(), &offered);
    let (_, candidate) = run(|_| Keeping::default(), &offered);
    assert_eq!(primary.0, candidate.0);
    let sent = primary.0.borrow();
    assert_eq!(sent.len() as u64, count);
    for (slot, (number, message)) in sent.iter().enumerate() {
        let expected = 5 + slot as u64;
        assert_eq!((*number, message[1]), (expected, (expected % 7) as u8));
    }
    assert_eq!(seen.recorded.ok() + seen.recorded.failed(), count);
    assert_eq!(seen.recorded.methods[0].codes[3], seen.recorded.failed());
}

#[test]
fn a_sender_that_panics_ends_the_block() {
    struct Bad;
    impl Sender for Bad {
        async fn send(&self, _number: u64, _call: &Call) -> Ended {
            panic!("a fault of the sender's");
        }
    }
    let ended = std::panic::catch_unwind(|| {
        run(|_| Bad, &offer_of(Schedule::uniform(100.0, ms(50))));
    });
    assert!(ended.is_err());
}
