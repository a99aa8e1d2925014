//! Pauses found by probing from outside (compare A-12).

mod driven;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use driven::{Driven, answered, ms, on_driven_loop};
use tandem_measure::hiccup::{self, Hiccups};
use tandem_measure::load::{Call, Clock, Ended, Sender};

/// Answers at once, but stands still for some time now and then; every eleventh probe fails if it
/// is said so.
struct Pausing {
    clock: Rc<Driven>,
    /// From when on, for how long.
    pauses: Vec<(Duration, Duration)>,
    fails: bool,
    sent: Cell<u64>,
}

impl Sender for Pausing {
    async fn send(&self, number: u64, _call: &Call) -> Ended {
        self.sent.set(self.sent.get() + 1);
        let now = self.clock.now();
        let pause =
            self.pauses.iter().find(|(from, length)| (*from..*from + *length).contains(&now));
        if let Some((from, length)) = pause {
            self.clock.until(*from + *length).await;
        }
        answered(u8::from(self.fails && number.is_multiple_of(11)) * 14, b"")
    }
}

fn probed(rate: f64, pauses: Vec<(Duration, Duration)>, fails: bool) -> (Hiccups, u64) {
    on_driven_loop(async |clock| {
        let sent = Cell::default();
        let sender = Rc::new(Pausing { clock: Rc::clone(&clock), pauses, fails, sent });
        let call = Call { method: 0, messages: Arc::new([]) };
        let during = (rate, ms(2_000));
        let found = hiccup::probe(&sender, &clock, &call, during, ms(1_000)).await;
        (found, sender.sent.get())
    })
}

#[test]
fn compare_a_12_a_pause_is_found_with_its_length_by_probes_that_do_not_wait() {
    let pauses = vec![(ms(500), ms(20)), (ms(1_200), ms(5))];
    let (found, sent) = probed(1_000.0, pauses, false);
    assert_eq!((found.latencies_us.len(), sent), (1_999, 1_999));
    let pauses = found.pauses().unwrap();
    assert_eq!(pauses.count, 2, "{pauses:?}");
    assert!((19_000..=21_000).contains(&pauses.longest_us), "{pauses:?}");
    assert!((pauses.per_minute - 60.0).abs() < 1e-9, "{pauses:?}");
    // A probe at a time would have met each of the pauses once.
    assert!(pauses.share > 20.0 / 2_000.0, "{pauses:?}");
    assert_eq!((found.failed, found.set_aside), (0, 0));
}

#[test]
fn compare_a_12_a_side_without_pauses_has_none() {
    let pauses = probed(1_000.0, Vec::new(), false).0.pauses().unwrap();
    assert_eq!((pauses.count, pauses.longest_us), (0, 0), "{pauses:?}");
}

#[test]
fn a_probe_is_sent_at_most_a_thousand_times_a_second() {
    assert_eq!(probed(50_000.0, Vec::new(), false).1, 1_999);
    assert_eq!(probed(0.0, Vec::new(), false).0.pauses(), None);
}

#[test]
fn a_probe_that_fails_or_is_never_answered_counts_as_long_as_its_deadline() {
    let (found, _) = probed(100.0, vec![(ms(900), Duration::from_secs(60))], true);
    let unanswered = found.latencies_us.iter().filter(|took| **took == 1_000_000).count() as u64;
    assert_eq!(found.failed, unanswered);
    assert!(found.failed > 100, "{}", found.failed);
}
