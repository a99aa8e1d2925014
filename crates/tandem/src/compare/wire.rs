//! Calls on their way to one side: some connections, used in turn, answers kept where they are to
//! be compared.
//!
//! Not here: when calls are sent (`tandem_measure::load`), what answers mean (`answers`).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tandem_gateway::tasks::Side as Tasks;
use tandem_gateway::upstream::Upstream;
use tandem_gateway::upstream::direct::{
    Direct, DirectError, Reading, StreamAnswer, StreamEnd, UnaryAnswer,
};
use tandem_judge::pair::{Answer, Loss, Reply};
use tandem_measure::load::{Call, Ended, Outcome, Sender};
use tandem_protocol::status::{Code, Status};

use super::streams::{Callee, Cut, Manner, Seen};

/// One side's connections.
pub(crate) struct Wire {
    upstream: Upstream,
    tasks: Tasks,
    connections: RefCell<Vec<Connection>>,
    next: Cell<usize>,
    /// The methods under load.
    callees: Rc<[Callee]>,
    limit: Duration,
    keeping: Cell<Keeping>,
    kept: RefCell<BTreeMap<u64, KeptReply>>,
    kept_bytes: Cell<usize>,
    /// Of streams, by method.
    streams: RefCell<Vec<Seen>>,
}

struct Connection {
    direct: Rc<Direct>,
    broken: Rc<Cell<bool>>,
}

/// Which answers are kept: every `stride`th, none with 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Keeping {
    pub(crate) stride: u64,
}

/// Bytes of answers that a block keeps; what comes later is not compared.
const KEPT_BYTES_MOST: usize = 16 << 20;
/// The largest answer that is compared, of a stream all messages together.
const ANSWER_BYTES_MOST: u64 = 4 << 20;
/// The largest stream that is read where it is only counted.
const COUNTED_BYTES_MOST: u64 = 1 << 30;
/// UNAVAILABLE: what a caller would see of a connection that is lost.
const LOST: u8 = Code::Unavailable as u8;
/// RESOURCE_EXHAUSTED: what a caller with a limit would see of too much.
const TOO_LARGE: u8 = Code::ResourceExhausted as u8;

/// An answer as it is compared, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeptReply {
    Answered(KeptAnswer),
    Lost(Loss),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptAnswer {
    code: u32,
    details: Bytes,
    trailers: Vec<(String, Vec<u8>)>,
    /// Of a unary answer that is not OK none.
    messages: Vec<Bytes>,
    /// It did not end by itself.
    cut: bool,
}

/// What came of one call, whatever its kind.
struct Came {
    status: Status,
    trailers: HeaderMap,
    messages: Vec<Bytes>,
    count: u64,
    bytes: u64,
    cut: Option<CutBy>,
    too_large: bool,
    /// From the last message to the cut.
    quiet: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CutBy {
    Count,
    Time,
}

impl Came {
    fn of_unary(answer: UnaryAnswer) -> Came {
        let UnaryAnswer { http_status: _, head: _, trailers, status, message } = answer;
        Came {
            bytes: message.len() as u64,
            messages: if status.code == Code::Ok { vec![message] } else { Vec::new() },
            count: 1,
            status,
            trailers,
            cut: None,
            too_large: false,
            quiet: Duration::ZERO,
        }
    }

    fn of_stream(answer: StreamAnswer) -> Came {
        let StreamAnswer { messages, count, bytes, quiet, end } = answer;
        let none = || (HeaderMap::new(), Status::new(Code::Ok, ""));
        let ((trailers, status), cut, too_large) = match end {
            StreamEnd::Ended { trailers, status } => ((trailers, status), None, false),
            StreamEnd::CutByCount => (none(), Some(CutBy::Count), false),
            StreamEnd::CutByTime => (none(), Some(CutBy::Time), false),
            StreamEnd::TooLarge => (none(), None, true),
        };
        Came { status, trailers, messages, count, bytes, cut, too_large, quiet }
    }
}

impl KeptReply {
    fn of(answer: Result<Came, DirectError>) -> KeptReply {
        match answer {
            Ok(came) if came.too_large || came.bytes > ANSWER_BYTES_MOST => {
                KeptReply::Lost(Loss::TooLarge)
            }
            Ok(came) => KeptReply::Answered(KeptAnswer {
                code: came.status.code as u32,
                details: came.status.details,
                trailers: came
                    .trailers
                    .iter()
                    .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
                    .collect(),
                messages: came.messages,
                cut: came.cut.is_some(),
            }),
            Err(error) => KeptReply::Lost(loss(&error)),
        }
    }

    /// As it is judged, of a pair of which only a prefix is known or of a whole one; `with` gets
    /// it, for it borrows.
    pub(crate) fn judged<T>(&self, cut: bool, with: impl FnOnce(Reply<'_>) -> T) -> T {
        match self {
            KeptReply::Lost(loss) => with(Reply::Lost(*loss)),
            KeptReply::Answered(KeptAnswer { code, details, trailers, messages, cut: _ }) => {
                let trailers: Vec<(&str, &[u8])> =
                    trailers.iter().map(|(name, value)| (&**name, &**value)).collect();
                let messages: Vec<&[u8]> = messages.iter().map(|message| &**message).collect();
                with(Reply::Answered(Answer {
                    code: *code,
                    details,
                    trailers: &trailers,
                    messages: &messages,
                    cut,
                }))
            }
        }
    }

    /// Whether of this and `other` only the shorter prefix can be compared. Not where one ended
    /// and the other, which was cut, had sent more by then: whatever came next, they differ.
    pub(crate) fn is_cut_beside(&self, other: &KeptReply) -> bool {
        let (KeptReply::Answered(one), KeptReply::Answered(other)) = (self, other) else {
            return false;
        };
        let went_on = |cut: &KeptAnswer, ended: &KeptAnswer| {
            cut.cut && !ended.cut && cut.messages.len() > ended.messages.len()
        };
        (one.cut || other.cut) && !went_on(one, other) && !went_on(other, one)
    }

    /// Whether nothing had come of it when it was cut, although `other` says that there was
    /// something to come.
    pub(crate) fn is_late_beside(&self, other: &KeptReply) -> bool {
        let (KeptReply::Answered(one), KeptReply::Answered(other)) = (self, other) else {
            return false;
        };
        let has_spoken = !other.messages.is_empty() || !other.cut;
        one.cut && one.messages.is_empty() && has_spoken
    }

    /// Whether the service said anything but OK, or nothing.
    pub(crate) fn is_failed(&self) -> bool {
        !matches!(self, KeptReply::Answered(KeptAnswer { code: 0, .. }))
    }
}

fn loss(error: &DirectError) -> Loss {
    match (error.step, error.what.as_str()) {
        ("call", "no answer in time") => Loss::TimedOut,
        ("call", _) => Loss::Reset,
        _ => Loss::Unreachable,
    }
}

impl Wire {
    /// `count` connections to `upstream`.
    ///
    /// # Errors
    /// As [`Direct::to`].
    pub(crate) async fn connect(
        upstream: &Upstream,
        count: u16,
        callees: &Rc<[Callee]>,
        limit: Duration,
        tasks: &Tasks,
    ) -> Result<Wire, DirectError> {
        let mut connections = Vec::new();
        for _ in 0..count.max(1) {
            connections.push(Connection::to(upstream, tasks).await?);
        }
        Ok(Wire {
            upstream: upstream.clone(),
            tasks: tasks.clone(),
            connections: RefCell::new(connections),
            next: Cell::new(0),
            callees: Rc::clone(callees),
            limit,
            keeping: Cell::default(),
            kept: RefCell::default(),
            kept_bytes: Cell::default(),
            streams: RefCell::new(vec![Seen::default(); callees.len()]),
        })
    }

    /// Makes those connections anew that broke, or that the side has closed meanwhile: what is idle
    /// for a while often is, and no call of a block is to be lost to that.
    ///
    /// # Errors
    /// As [`Direct::to`].
    pub(crate) async fn mend(&self) -> Result<(), DirectError> {
        let broken: Vec<usize> = {
            let all = self.connections.borrow();
            let is_gone =
                |place: &usize| all[*place].broken.get() || !all[*place].direct.is_usable();
            (0..all.len()).filter(is_gone).collect()
        };
        for place in broken {
            let anew = Connection::to(&self.upstream, &self.tasks).await?;
            self.connections.borrow_mut()[place] = anew;
        }
        Ok(())
    }

    /// From now on keeps answers so, and forgets those it has.
    pub(crate) fn keep(&self, keeping: Keeping) {
        self.keeping.set(keeping);
        self.kept.borrow_mut().clear();
        self.kept_bytes.set(0);
        self.take_streams();
    }

    /// What was read of streams since the last time, by method.
    pub(crate) fn take_streams(&self) -> Vec<Seen> {
        let mut streams = self.streams.borrow_mut();
        let none = vec![Seen::default(); streams.len()];
        std::mem::replace(&mut *streams, none)
    }

    /// What was kept, by number of the call.
    pub(crate) fn take(&self) -> BTreeMap<u64, KeptReply> {
        self.kept_bytes.set(0);
        self.kept.take()
    }

    /// One call, by itself.
    pub(crate) async fn one(&self, call: &Call) -> KeptReply {
        KeptReply::of(self.call(call, true).await)
    }

    async fn call(&self, call: &Call, keeps: bool) -> Result<Came, DirectError> {
        let place = self.next.get();
        self.next.set(place.wrapping_add(1));
        let (direct, broken) = {
            let all = self.connections.borrow();
            // One that its side is closing gets no call, while there is another.
            let turns = (0..all.len()).map(|turn| &all[(place + turn) % all.len()]);
            let usable = turns.clone().find(|it| it.direct.is_usable());
            let connection = usable.unwrap_or(&all[place % all.len()]);
            (Rc::clone(&connection.direct), Rc::clone(&connection.broken))
        };
        let Callee { path, manner } = &self.callees[call.method];
        let answer = match manner {
            Manner::Unary => {
                let message = call.messages.first().map_or(&[][..], |message| message);
                let answer = direct.unary(path, &HeaderMap::new(), message, self.limit).await;
                answer.map(Came::of_unary)
            }
            Manner::Sends | Manner::Reads(_) => {
                let reading = reading(*manner, keeps);
                let (headers, messages) = (HeaderMap::new(), &call.messages);
                let answer = direct.stream(path, &headers, messages, &reading, self.limit).await;
                answer.map(Came::of_stream)
            }
        };
        if answer.as_ref().is_err_and(|error| loss(error) != Loss::TimedOut) {
            broken.set(true);
        }
        answer
    }
}

/// One answer of a method that sends many, or as many as are wanted of one that answers many.
fn reading(manner: Manner, keeps: bool) -> Reading {
    // What is kept is compared; what is only counted takes no room.
    let bytes_most = if keeps { ANSWER_BYTES_MOST } else { COUNTED_BYTES_MOST };
    match manner {
        Manner::Unary | Manner::Sends => {
            Reading { messages_most: 2, time_most: None, bytes_most, keeps }
        }
        Manner::Reads(Cut { messages, time }) => {
            Reading { messages_most: messages, time_most: Some(time), bytes_most, keeps }
        }
    }
}

impl Connection {
    async fn to(upstream: &Upstream, tasks: &Tasks) -> Result<Connection, DirectError> {
        let direct = Rc::new(Direct::to(upstream, tasks).await?);
        Ok(Connection { direct, broken: Rc::default() })
    }
}

impl Sender for Wire {
    async fn send(&self, number: u64, call: &Call) -> Ended {
        let Keeping { stride } = self.keeping.get();
        let keep =
            stride > 0 && number.is_multiple_of(stride) && self.kept_bytes.get() < KEPT_BYTES_MOST;
        if keep {
            // Until it is answered it is lost: the deadline drops this future.
            self.kept.borrow_mut().insert(number, KeptReply::Lost(Loss::TimedOut));
        }
        let answer = self.call(call, keep).await;
        let ended = match &answer {
            Ok(came) => {
                self.see(call.method, came);
                Ended {
                    outcome: match came.too_large {
                        true => Outcome::Lost(TOO_LARGE),
                        false => Outcome::Answered(came.status.code as u8),
                    },
                    answer_bytes: came.bytes,
                    answer: Bytes::new(),
                    quiet: came.quiet,
                }
            }
            Err(_lost) => Ended {
                outcome: Outcome::Lost(LOST),
                answer_bytes: 0,
                answer: Bytes::new(),
                quiet: Duration::ZERO,
            },
        };
        if keep {
            let bytes = usize::try_from(ended.answer_bytes).unwrap_or(KEPT_BYTES_MOST);
            self.kept_bytes.set(self.kept_bytes.get().saturating_add(bytes));
            self.kept.borrow_mut().insert(number, KeptReply::of(answer));
        }
        ended
    }
}

impl Wire {
    fn see(&self, method: usize, came: &Came) {
        if self.callees[method].manner == Manner::Unary {
            return;
        }
        let by_time = came.cut == Some(CutBy::Time);
        self.streams.borrow_mut()[method].add(Seen {
            calls: 1,
            messages: came.count,
            cut_by_count: u64::from(came.cut == Some(CutBy::Count)),
            cut_by_time: u64::from(by_time),
            silent: u64::from(by_time && came.count == 0),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(messages: usize, cut: bool) -> KeptReply {
        KeptReply::Answered(KeptAnswer {
            code: 0,
            details: Bytes::new(),
            trailers: Vec::new(),
            messages: vec![Bytes::from_static(b"m"); messages],
            cut,
        })
    }

    #[test]
    fn compare_j_9_a_pair_is_cut_unless_the_one_that_was_cut_had_sent_more_than_the_other_has() {
        for (one, other, expected) in [
            ((3, false), (3, false), false),
            ((3, false), (2, false), false),
            ((3, true), (2, true), true),
            ((3, true), (3, false), true),
            ((2, true), (3, false), true),
            // It ended after two; the other one had three.
            ((3, true), (2, false), false),
        ] {
            let (one, other) = (reply(one.0, one.1), reply(other.0, other.1));
            assert_eq!(one.is_cut_beside(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.is_cut_beside(&one), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn compare_n_6_a_stream_without_a_message_is_late_where_the_other_side_has_one() {
        for (one, other, expected) in [
            ((0, true), (1, true), true),
            ((0, true), (0, false), true),
            ((0, true), (0, true), false),
            ((1, true), (5, true), false),
            ((0, false), (5, true), false),
        ] {
            let (one, other) = (reply(one.0, one.1), reply(other.0, other.1));
            assert_eq!(one.is_late_beside(&other), expected, "{one:?} {other:?}");
        }
    }
}
