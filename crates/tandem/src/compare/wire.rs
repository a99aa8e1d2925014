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
use tandem_gateway::upstream::direct::{Direct, DirectError, UnaryAnswer};
use tandem_judge::pair::{Answer, Loss, Reply};
use tandem_measure::load::{Call, Ended, Outcome, Sender};
use tandem_protocol::status::Code;

/// One side's connections.
pub(crate) struct Wire {
    upstream: Upstream,
    tasks: Tasks,
    connections: RefCell<Vec<Connection>>,
    next: Cell<usize>,
    /// `/package.Service/Method` of each method under load.
    paths: Rc<[Box<str>]>,
    limit: Duration,
    keeping: Cell<Keeping>,
    kept: RefCell<BTreeMap<u64, KeptReply>>,
    kept_bytes: Cell<usize>,
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
/// The largest answer that is compared.
const ANSWER_BYTES_MOST: usize = 4 << 20;
/// UNAVAILABLE: what a caller would see of a connection that is lost.
const LOST: u8 = Code::Unavailable as u8;

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
    /// `None` where the status is not OK.
    message: Option<Bytes>,
}

impl KeptReply {
    fn of(answer: Result<UnaryAnswer, DirectError>) -> KeptReply {
        match answer {
            Ok(answer) if answer.message.len() > ANSWER_BYTES_MOST => {
                KeptReply::Lost(Loss::TooLarge)
            }
            Ok(answer) => KeptReply::Answered(KeptAnswer {
                code: answer.status.code as u32,
                details: answer.status.details,
                trailers: answer
                    .trailers
                    .iter()
                    .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
                    .collect(),
                message: (answer.status.code == Code::Ok).then_some(answer.message),
            }),
            Err(error) => KeptReply::Lost(loss(&error)),
        }
    }

    /// As it is judged; `with` gets it, for it borrows.
    pub(crate) fn judged<T>(&self, with: impl FnOnce(Reply<'_>) -> T) -> T {
        match self {
            KeptReply::Lost(loss) => with(Reply::Lost(*loss)),
            KeptReply::Answered(KeptAnswer { code, details, trailers, message }) => {
                let trailers: Vec<(&str, &[u8])> =
                    trailers.iter().map(|(name, value)| (&**name, &**value)).collect();
                let messages: Vec<&[u8]> = message.iter().map(|message| &**message).collect();
                with(Reply::Answered(Answer {
                    code: *code,
                    details,
                    trailers: &trailers,
                    messages: &messages,
                    cut: false,
                }))
            }
        }
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
        paths: &Rc<[Box<str>]>,
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
            paths: Rc::clone(paths),
            limit,
            keeping: Cell::default(),
            kept: RefCell::default(),
            kept_bytes: Cell::default(),
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
    }

    /// What was kept, by number of the call.
    pub(crate) fn take(&self) -> BTreeMap<u64, KeptReply> {
        self.kept_bytes.set(0);
        self.kept.take()
    }

    /// One call, by itself.
    pub(crate) async fn one(&self, call: &Call) -> KeptReply {
        KeptReply::of(self.unary(call).await)
    }

    async fn unary(&self, call: &Call) -> Result<UnaryAnswer, DirectError> {
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
        let path = &self.paths[call.method];
        let message = call.messages.first().map_or(&[][..], |message| message);
        let answer = direct.unary(path, &HeaderMap::new(), message, self.limit).await;
        if answer.as_ref().is_err_and(|error| loss(error) != Loss::TimedOut) {
            broken.set(true);
        }
        answer
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
        let answer = self.unary(call).await;
        let ended = match &answer {
            Ok(answer) => Ended {
                outcome: Outcome::Answered(answer.status.code as u8),
                answer_bytes: answer.message.len() as u64,
                answer: answer.message.clone(),
            },
            Err(_lost) => {
                Ended { outcome: Outcome::Lost(LOST), answer_bytes: 0, answer: Bytes::new() }
            }
        };
        if keep {
            self.kept_bytes.set(self.kept_bytes.get() + ended.answer.len());
            self.kept.borrow_mut().insert(number, KeptReply::of(answer));
        }
        ended
    }
}
