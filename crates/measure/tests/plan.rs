//! Calls that depend on answers (compare L-6).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod compiled;
mod driven;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use compiled::compiled;
use driven::{Driven, answered, ms, on_driven_loop};
use tandem_contract::Contract;
use tandem_measure::load::{
    Call, Clock, Ended, Flow, OfferPlan, Offered, Outcome, Plan, Recorder, Schedule, Sender, Step,
    Take, offer_plan,
};

fn contract() -> Arc<Contract> {
    compiled(
        r#"syntax = "proto3"; package test;
        message Book { string id = 1; int64 version = 2; sint32 shelf = 3; fixed32 weight = 4;
                       repeated string tags = 5; double price = 6; }
        message Created { Book book = 1; }
        message Get { string id = 1; Book seen = 2; string other = 3; int32 small = 4; }
        "#,
        "test.proto",
    )
}

/// Create a book, then get it by the id that it was given, then get it again.
fn steps(contract: &Contract, takes: &[(usize, &str, &str)]) -> Vec<Step> {
    let message = |name: &str| contract.message_named(&format!("test.{name}")).unwrap();
    let takes = takes.iter().map(|(step, from, to)| Take {
        step: *step,
        from: (*from).to_owned(),
        to: (*to).to_owned(),
    });
    let takes: Vec<Take> = takes.collect();
    let get = Step {
        method: 1,
        input: message("Get"),
        output: message("Created"),
        messages: Arc::new([Bytes::from_static(b"\x1a\x01o")]),
        takes,
        gap: ms(10),
    };
    let create = Step {
        method: 0,
        input: message("Book"),
        messages: Arc::new([Bytes::from_static(b"\x0a\x01a"), Bytes::from_static(b"\x0a\x01b")]),
        takes: Vec::new(),
        ..get.clone()
    };
    vec![create, get.clone(), get]
}

/// `Created { book: { id: "x7" version: 9 shelf: -1 weight: 1 price: 0.5 } }`
const CREATED: &[u8] = b"\x0a\x16\x0a\x02x7\x10\x09\x18\x01\x25\x01\0\0\0\x31\0\0\0\0\0\0\xe0\x3f";

fn plan(takes: &[(usize, &str, &str)]) -> Rc<Plan> {
    let contract = contract();
    Rc::new(Plan::new(&contract, steps(&contract, takes)).unwrap())
}

#[test]
fn compare_l_6_a_step_takes_its_fields_from_the_answers_before_it() {
    for (takes, expected) in [
        (&[(0, "book.id", "id")][..], &b"\x1a\x01o\x0a\x02x7"[..]),
        (&[(0, "book.version", "seen.version")], b"\x1a\x01o\x12\x02\x10\x09"),
        (&[(0, "book.shelf", "seen.shelf")], b"\x1a\x01o\x12\x02\x18\x01"),
        (&[(0, "book.weight", "seen.weight")], b"\x1a\x01o\x12\x05\x25\x01\0\0\0"),
        (&[(0, "book.price", "seen.price")], b"\x1a\x01o\x12\x09\x31\0\0\0\0\0\0\xe0\x3f"),
        (
            &[(0, "book", "seen")],
            b"\x1a\x01o\x12\x16\x0a\x02x7\x10\x09\x18\x01\x25\x01\0\0\0\x31\0\0\0\0\0\0\xe0\x3f",
        ),
    ] {
        let plan = plan(takes);
        let mut flow = Flow::begin(&plan, 1, ms(100));
        assert_eq!(flow.next().unwrap().call.messages[0], b"\x0a\x01b"[..], "the second template");
        flow.ended(ms(105), Some((Outcome::Answered(0), Bytes::from_static(CREATED))));
        assert_eq!(flow.next().unwrap().call.messages[0], expected, "{takes:?}");
    }
}

#[test]
fn a_field_that_the_answer_does_not_have_leaves_the_template_as_it_is() {
    let plan = plan(&[(0, "book.id", "other")]);
    let mut flow = Flow::begin(&plan, 0, ms(0));
    flow.ended(ms(5), Some((Outcome::Answered(0), Bytes::from_static(b"\x0a\0"))));
    assert_eq!(flow.next().unwrap().call.messages[0], b"\x1a\x01o"[..]);
}

#[test]
fn compare_l_6_a_step_is_intended_a_gap_after_the_one_before_whenever_that_was_answered() {
    let plan = plan(&[]);
    let mut flow = Flow::begin(&plan, 0, ms(100));
    let due = flow.next().unwrap();
    assert_eq!((due.place, due.intended, due.possible), (0, ms(100), ms(100)));
    flow.ended(ms(104), Some((Outcome::Answered(0), Bytes::new())));
    let due = flow.next().unwrap();
    assert_eq!((due.place, due.intended, due.possible), (1, ms(110), ms(110)));
    flow.ended(ms(150), Some((Outcome::Answered(0), Bytes::new())));
    let due = flow.next().unwrap();
    assert_eq!((due.place, due.intended, due.possible), (2, ms(120), ms(150)));
    flow.ended(ms(151), Some((Outcome::Answered(0), Bytes::new())));
    assert!(flow.next().is_none());
}

#[test]
fn a_call_that_fails_ends_its_flow() {
    let plan = plan(&[]);
    for ended in
        [None, Some((Outcome::Answered(5), Bytes::new())), Some((Outcome::Lost(14), Bytes::new()))]
    {
        let mut flow = Flow::begin(&plan, 0, ms(0));
        flow.ended(ms(1), ended);
        assert!(flow.next().is_none());
    }
}

#[test]
fn a_plan_that_cannot_be_is_refused_with_every_reason() {
    let contract = contract();
    for (take, expected) in [
        ((0, "book.nothing", "id"), "has no field `nothing`"),
        ((0, "book.version", "id"), "not of one type"),
        ((0, "book.tags", "other"), "not of one type"),
        ((2, "book.id", "id"), "has not been answered yet"),
    ] {
        let faults = Plan::new(&contract, steps(&contract, &[take])).unwrap_err();
        assert!(faults[0].contains(expected), "{take:?}: {faults:?}");
    }
    assert_eq!(Plan::new(&contract, Vec::new()).unwrap_err().len(), 1);
    let mut silent = steps(&contract, &[]);
    silent[1].messages = Arc::new([]);
    assert_eq!(Plan::new(&contract, silent).unwrap_err(), ["step 1 has no message to send"]);
}

/// Keeps what it is sent, and answers the n-th call after its time.
struct Answering {
    clock: Rc<Driven>,
    takes: Duration,
    fails: bool,
    seen: RefCell<Vec<(u64, usize, Duration)>>,
}

impl Sender for Answering {
    async fn send(&self, number: u64, call: &Call) -> Ended {
        let now = self.clock.now();
        self.seen.borrow_mut().push((number, call.method, now));
        self.clock.until(now + self.takes).await;
        answered(u8::from(self.fails && call.method == 1) * 5, CREATED)
    }
}

fn run(takes: Duration, fails: bool, in_flight_most: usize) -> (Offered, Rc<Answering>) {
    on_driven_loop(async |clock| {
        let seen = RefCell::default();
        let sender = Rc::new(Answering { clock: Rc::clone(&clock), takes, fails, seen });
        let recorder = Rc::new(RefCell::new(Recorder::new(2)));
        let offer = OfferPlan {
            schedule: Schedule::uniform(100.0, ms(100)),
            plan: plan(&[(0, "book.id", "id")]),
            first: 0,
            deadline: ms(1_000),
            in_flight_most,
        };
        (offer_plan(&sender, &clock, &recorder, &offer).await, sender)
    })
}

#[test]
fn compare_l_6_flows_run_beside_each_other_and_their_steps_on_time() {
    let (seen, sender) = run(ms(2), false, 100);
    // Nine flows of three calls; a step is sent when it is intended, for answers come before.
    assert_eq!((seen.scheduled, seen.unsent, seen.recorded.ok()), (27, 0, 27));
    let second: Vec<Duration> = {
        let sent = sender.seen.borrow();
        sent.iter().filter(|(number, ..)| number % 3 == 1).map(|(.., at)| *at).collect()
    };
    assert!(second.windows(2).all(|pair| pair[1] - pair[0] == ms(10)), "{second:?}");
    let latency = &seen.recorded.methods[1].ok.latency;
    assert!(latency.quantile(1.0).unwrap() < 4_000, "{latency:?}");
}

#[test]
fn compare_l_6_a_slow_answer_counts_against_the_calls_that_waited_for_it() {
    let (seen, _) = run(ms(50), false, 100);
    assert_eq!(seen.recorded.ok(), 27);
    let of_get = &seen.recorded.methods[1].ok;
    // The second step is intended after 10 ms, sent after 50 and ends after 100; the third is
    // intended after 20 and ends after 150.
    let latency = &of_get.latency;
    assert!((90_000..94_000).contains(&latency.quantile(0.5).unwrap()), "{latency:?}");
    assert!((130_000..134_000).contains(&latency.quantile(1.0).unwrap()), "{latency:?}");
    assert!(of_get.service.quantile(1.0).unwrap() < 54_000);
    // The generator was not late.
    assert!(of_get.lag.quantile(1.0).unwrap() < 2_000, "{:?}", of_get.lag);
}

#[test]
fn what_a_flow_does_not_send_is_scheduled_and_not_completed() {
    let (seen, _) = run(ms(2), true, 100);
    assert_eq!((seen.scheduled, seen.recorded.ok(), seen.recorded.failed()), (27, 9, 9));
    assert_eq!(seen.probe(1_000, None).completed, 18);
    // A flow takes 90 ms and one begins each 10 ms, so four at once are not enough.
    let (seen, _) = run(ms(30), false, 4);
    assert_eq!(seen.scheduled, 27);
    assert!(seen.unsent > 0 && seen.unsent.is_multiple_of(3), "{}", seen.unsent);
    assert_eq!(seen.recorded.ok() + seen.unsent, 27);
}
