//! Streams as load: how each method is called, when a stream is cut, and what was read of them.
//!
//! A stream that ends is read to its end. One that does not (it follows what happens) is cut after
//! a number of messages or some time, on both sides alike; that is no failure, and of such a pair
//! only the shorter prefix is compared (compare J-9). The time of a call that was cut is that to
//! its last message, for the rest was waiting.
//!
//! Not here: reading (`tandem_gateway::upstream::direct`), what differences are (`answers`).

use std::time::Duration;

use tandem_config::document::units::parse_duration;
use tandem_contract::Method;

use super::ask::wrong;
use crate::failure::Failure;

/// When a stream of answers is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) messages: u64,
    pub(crate) time: Duration,
}

const MESSAGES: u64 = 10_000;
const MESSAGES_MOST: u64 = 1_000_000;
const TIME: Duration = Duration::from_secs(1);

impl Cut {
    /// `10000,1s`, or one of them; a call may take `limit`.
    ///
    /// # Errors
    /// Anything else.
    pub(crate) fn read(text: Option<&str>, limit: Duration) -> Result<Cut, Failure> {
        const RIGHT: &str = "write messages, a time below `--timeout`, or both: `--cut 100,500ms`";
        let mut cut = Cut { messages: MESSAGES, time: TIME.min(limit / 2) };
        for part in text.into_iter().flat_map(|text| text.split(',')) {
            let fault = || wrong("--cut", part, RIGHT);
            if let Ok(messages) = part.trim().parse::<u64>() {
                let good = (1..=MESSAGES_MOST).contains(&messages);
                cut.messages = good.then_some(messages).ok_or_else(fault)?;
            } else {
                let time = parse_duration(part.trim()).ok();
                let good = time.filter(|time| !time.is_zero() && *time < limit);
                cut.time = good.ok_or_else(fault)?;
            }
        }
        Ok(cut)
    }
}

/// A method as it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Callee {
    /// `/package.Service/Method`.
    pub(crate) path: Box<str>,
    pub(crate) manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// One message there, one back.
    Unary,
    /// Any number of messages there, one back.
    Sends,
    /// Any number of messages back.
    Reads(Cut),
}

impl Callee {
    pub(crate) fn of(method: &Method, cut: Cut) -> Callee {
        let manner = match (method.kind.many_requests(), method.kind.many_answers()) {
            (false, false) => Manner::Unary,
            (true, false) => Manner::Sends,
            (_, true) => Manner::Reads(cut),
        };
        Callee { path: method.path.clone(), manner }
    }

    pub(crate) fn unary(path: &str) -> Callee {
        Callee { path: path.into(), manner: Manner::Unary }
    }
}

/// What was read of the streams of one method on one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) calls: u64,
    pub(crate) messages: u64,
    pub(crate) cut_by_count: u64,
    pub(crate) cut_by_time: u64,
    /// Of those cut by time: no message had come.
    pub(crate) silent: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: Seen) {
        let Seen { calls, messages, cut_by_count, cut_by_time, silent } = other;
        self.calls += calls;
        self.messages += messages;
        self.cut_by_count += cut_by_count;
        self.cut_by_time += cut_by_time;
        self.silent += silent;
    }

    fn messages_a_call(self) -> f64 {
        self.messages as f64 / self.calls.max(1) as f64
    }
}

/// Adds by method.
pub(crate) fn add_all(all: &mut Vec<Seen>, more: &[Seen]) {
    all.resize(all.len().max(more.len()), Seen::default());
    for (own, other) in all.iter_mut().zip(more) {
        own.add(*other);
    }
}

/// How far the messages a call of the two sides may lie apart and still be the same work.
const WORK_APART_MOST: f64 = 0.01;

/// What a reader has to know of the streams of `method`: that they were cut, and whether both
/// sides did the same work for a call.
pub(crate) fn note(method: &str, sides: [(&str, Seen); 2], cut: Cut) -> Option<String> {
    let [(primary, one), (candidate, other)] = sides;
    let cuts = [one, other].map(|seen| seen.cut_by_count + seen.cut_by_time);
    let mut text = String::new();
    if cuts != [0, 0] {
        let by_time = one.cut_by_time + other.cut_by_time;
        let after = match (by_time, one.cut_by_count + other.cut_by_count) {
            (0, _) => format!("{} messages", cut.messages),
            (_, 0) => format!("{} ms", cut.time.as_millis()),
            _ => format!("{} messages or {} ms", cut.messages, cut.time.as_millis()),
        };
        text = format!(
            "streams of {method} were cut after {after}: {} of {} calls of {primary}, {} of {} of \
             {candidate}; their times are those of the last message",
            cuts[0], one.calls, cuts[1], other.calls
        );
        if one.silent + other.silent > 0 {
            text.push_str(&format!(
                "; {} and {} had none, and count as if they had taken all the time",
                one.silent, other.silent
            ));
        }
    }
    let [ones, others] = [one, other].map(Seen::messages_a_call);
    if (ones - others).abs() > WORK_APART_MOST * ones.max(others) {
        let lead = match text.is_empty() {
            true => format!("streams of {method}: "),
            false => "; ".to_owned(),
        };
        text.push_str(&format!(
            "{lead}the sides did not do the same work: {primary} sent {ones:.1} messages a call, \
             {candidate} {others:.1}"
        ));
        if one.cut_by_time + other.cut_by_time > 0 {
            text.push_str("; `--cut N` after a number of messages makes them alike");
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_after_messages_or_a_time_below_the_limit_of_a_call() {
        let limit = Duration::from_secs(10);
        let cut = |messages, ms| Some(Cut { messages, time: Duration::from_millis(ms) });
        for (text, expected) in [
            (None, cut(10_000, 1_000)),
            (Some("5"), cut(5, 1_000)),
            (Some("250ms"), cut(10_000, 250)),
            (Some("5,9s"), cut(5, 9_000)),
            (Some("0"), None),
            (Some("10s"), None),
            (Some("2000000"), None),
            (Some("soon"), None),
        ] {
            assert_eq!(Cut::read(text, limit).ok(), expected, "{text:?}");
        }
        // The usual time yields to a short limit of a call.
        assert_eq!(Cut::read(None, Duration::from_secs(1)).ok(), cut(10_000, 500));
    }

    #[test]
    fn compare_j_9_a_cut_is_said_with_whether_both_sides_did_the_same_work() {
        let cut = Cut { messages: 100, time: Duration::from_millis(500) };
        let said = |one, other| note("Follow", [("rust", one), ("go", other)], cut);
        let ended = Seen { calls: 10, messages: 30, ..Seen::default() };
        assert_eq!(said(ended, ended), None);
        let by_count = Seen { messages: 1_000, cut_by_count: 10, ..ended };
        let text = said(by_count, by_count).unwrap();
        assert!(text.contains("cut after 100 messages: 10 of 10 calls of rust"), "{text}");
        assert!(!text.contains("same work"), "{text}");
        let by_time = Seen { messages: 25, cut_by_time: 10, silent: 2, ..ended };
        let text = said(Seen { silent: 0, messages: 30, ..by_time }, by_time).unwrap();
        assert!(text.contains("cut after 500 ms") && text.contains("0 and 2 had none"), "{text}");
        assert!(text.contains("rust sent 3.0 messages a call, go 2.5"), "{text}");
        // Streams that end, with other messages: no cut, and still not the same work.
        let text = said(ended, Seen { messages: 40, ..ended }).unwrap();
        assert!(text.starts_with("streams of Follow: the sides did not"), "{text}");
    }
}
