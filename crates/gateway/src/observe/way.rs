//! The way of one call through the rooms, and how long it was in each.
//!
//! The record looks at the clock when a call passes from one room to the next; a room's time is
//! what lies between two looks. Nobody knows beforehand which call somebody will ask about, so
//! every call keeps its moments. What that costs: eight looks at the clock for a unary call, three
//! more than its length and its upstream's time take anyway, at some 80 ns each on a busy virtual
//! machine with two cores; eight bytes a moment in the record; and no allocation, for one attempt
//! stands in the record itself. Only a call that is sent again allocates, for the attempts behind
//! its first.
//!
//! There is no room `route` here: finding the implementation is one look into a table today.
//!
//! Not here: who shows it (the admin API, `server-timing`, `otlp`).

use std::num::NonZeroU64;
use std::time::Duration;

use tandem_protocol::status::Code;
use tokio::time::Instant;

use crate::cache::CacheUse;

/// The room of calls whose method keeps answers.
pub(super) const CACHE: &str = "cache";

/// A moment of a call: nanoseconds since its head was in, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(NonZeroU64);

impl Moment {
    /// This long after the beginning of the call.
    pub fn after(since: Duration) -> Moment {
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Moment(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN))
    }

    /// How long after the beginning of the call it is.
    pub fn since_begin(self) -> Duration {
        Duration::from_nanos(self.0.get())
    }
}

/// The moments of one call; `None` where it did not come so far.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// From the head's first byte to its last, before the call began. `None` where nobody can
    /// tell: HTTP/2, and a head that came in one piece with something before it.
    pub head_took: Option<Duration>,
    /// The gateway itself answered it.
    pub own: bool,
    /// Its method was known.
    pub detected: Option<Moment>,
    /// How it was answered, where its method keeps answers.
    pub cache: Option<CacheUse>,
    /// It might go on.
    pub admitted: Option<Moment>,
    /// Its request was ready for the upstream.
    pub asked: Option<Moment>,
    /// The attempt that most calls have.
    pub attempt: Option<Attempt>,
    /// Those behind it.
    pub further: Vec<Attempt>,
    /// Nothing more was wanted of the upstream: the last byte of its answer was taken, or the call
    /// was given up. `None` for a stream that ended with the call itself.
    pub over: Option<Moment>,
    /// The head of the answer was ready for the caller.
    pub answered: Option<Moment>,
}

/// One sending of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Which endpoint: its place in the list of its upstream as the data thread sees it, from 0.
    /// Fixed addresses come as they are written, then those that names lead to.
    pub endpoint: u16,
    /// Its head went out.
    pub sent: Moment,
    /// The head of an answer came, or the attempt failed.
    pub ended: Option<Moment>,
    pub outcome: Outcome,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing, as long as the call lived.
    Open,
    /// The answer that the call got.
    Answered,
    /// A failure with this code.
    Failed(Code),
    /// The time of one attempt had passed.
    TimedOut,
    /// The upstream never began it.
    NeverBegan,
}

impl Outcome {
    /// As traces show it; `None` where there is nothing to say.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Outcome::Open => Some("no answer"),
            Outcome::Answered => None,
            Outcome::Failed(code) => Some(code.name()),
            Outcome::TimedOut => Some("timed out"),
            Outcome::NeverBegan => Some("never began"),
        }
    }
}

/// A stretch of a call's time, spent in one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub name: &'static str,
    /// Nanoseconds since the call began; reading its head came before that.
    pub from_nanos: i64,
    pub took: Duration,
    /// Of a room that is an attempt.
    pub attempt: Option<Attempt>,
    pub rooms: Vec<Room>,
}

impl Room {
    fn between(name: &'static str, from: Duration, to: Duration) -> Room {
        Room {
            name,
            from_nanos: i64::try_from(from.as_nanos()).unwrap_or(i64::MAX),
            took: to.saturating_sub(from),
            attempt: None,
            rooms: Vec::new(),
        }
    }
}

impl Way {
    /// The attempts in their order.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempt.iter().chain(&self.further)
    }

    /// From the request's being ready to the head of the answer that the call got.
    pub fn upstream_took(&self) -> Option<Duration> {
        let answered = self.attempts().find(|attempt| attempt.outcome == Outcome::Answered)?;
        let asked = self.asked?.since_begin();
        Some(answered.ended?.since_begin().saturating_sub(asked))
    }

    /// The rooms in the order in which the call was in them; it took `took` in all. A call that
    /// is under way is taken to be in its last room until then.
    pub fn rooms(&self, took: Duration) -> Vec<Room> {
        let mut rooms = Vec::with_capacity(7);
        if let Some(head) = self.head_took {
            let from_nanos = i64::try_from(head.as_nanos()).map_or(i64::MIN, |nanos| -nanos);
            rooms.push(Room {
                from_nanos,
                took: head,
                ..Room::between("listen", Duration::ZERO, Duration::ZERO)
            });
        }
        let at = |moment: Option<Moment>| moment.map(|moment| moment.since_begin().min(took));
        let answered = at(self.answered);
        let mut from = Duration::ZERO;
        if let (true, Some(detected)) = (self.own, at(self.detected)) {
            rooms.push(Room::between("detect", from, detected));
            rooms.push(Room::between("own", detected, took));
            return rooms;
        }
        for (name, left) in
            [("detect", self.detected), ("policy", self.admitted), ("decode", self.asked)]
        {
            let Some(to) = at(left) else {
                // Refused, answered by the gateway itself, or given up by its caller.
                let to = answered.unwrap_or(took);
                rooms.push(Room::between(name, from, to));
                rooms.push(Room::between("write", to, took));
                return rooms;
            };
            rooms.push(Room::between(name, from, to));
            from = to;
        }
        let over = at(self.over).unwrap_or(took);
        let name = match self.cache {
            // What passes the cache by is with its upstream as any other call.
            None | Some(CacheUse::Passed) => "upstream",
            Some(_) => CACHE,
        };
        // Who was answered from what is kept, or by another's call, asked nobody.
        let asked_nobody = name == CACHE && self.attempt.is_none();
        rooms.push(Room {
            rooms: if asked_nobody { Vec::new() } else { self.upstream(from, over) },
            ..Room::between(name, from, over)
        });
        from = over;
        if let Some(answered) = answered.filter(|answered| *answered > from) {
            rooms.push(Room::between("encode", from, answered));
            from = answered;
        }
        rooms.push(Room::between("write", from, took));
        rooms
    }

    fn upstream(&self, asked: Duration, over: Duration) -> Vec<Room> {
        let mut rooms = Vec::with_capacity(3 + self.further.len());
        let at = |moment: Moment| moment.since_begin().min(over);
        rooms.push(Room::between("wait", asked, self.attempt.map_or(over, |first| at(first.sent))));
        for attempt in self.attempts() {
            let to = attempt.ended.map_or(over, at);
            let room = Room::between("attempt", at(attempt.sent), to);
            rooms.push(Room { attempt: Some(*attempt), ..room });
        }
        let answer = self.attempts().find(|attempt| attempt.outcome == Outcome::Answered);
        if let Some(head) = answer.and_then(|attempt| attempt.ended) {
            rooms.push(Room::between("answer", at(head), over));
        }
        rooms
    }
}

/// A way that is being gone: the moments and the clock that they are read from.
pub(crate) struct Journey {
    began: Instant,
    way: Way,
}

impl Journey {
    /// Of a call whose head was in at `began`, and had begun to come at `head_began`.
    pub(crate) fn new(began: Instant, head_began: Option<Instant>) -> Journey {
        let head_took = head_began.map(|head| began.saturating_duration_since(head));
        Journey { began, way: Way { head_took, ..Way::default() } }
    }

    fn at(&self, now: Instant) -> Moment {
        Moment::after(now.saturating_duration_since(self.began))
    }

    fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn detected(&mut self) {
        self.way.detected = Some(self.now());
    }

    pub(super) fn is_own(&mut self) {
        self.way.own = true;
        self.detected();
    }

    pub(super) fn admitted(&mut self) {
        self.way.admitted = Some(self.now());
    }

    pub(super) fn cache_used(&mut self, made: CacheUse) {
        self.way.cache = Some(made);
    }

    /// What was asked of an upstream on behalf of this call, by a journey that began with it.
    pub(super) fn fetched(&mut self, fetched: Way) {
        let Way { attempt, further, .. } = fetched;
        (self.way.attempt, self.way.further) = (attempt, further);
    }

    pub(crate) fn asked(&mut self) {
        self.way.asked = Some(self.now());
    }

    pub(super) fn answered(&mut self, over: bool) {
        let now = self.now();
        self.way.answered = Some(now);
        if over {
            self.way.over.get_or_insert(now);
        }
    }

    pub(crate) fn over(&mut self) {
        let now = self.now();
        self.way.over.get_or_insert(now);
    }

    /// An attempt goes out to this endpoint.
    pub(crate) fn sent(&mut self, endpoint: usize) {
        let attempt = Attempt {
            endpoint: u16::try_from(endpoint).unwrap_or(u16::MAX),
            sent: self.now(),
            ended: None,
            outcome: Outcome::Open,
        };
        match self.way.attempt {
            None => self.way.attempt = Some(attempt),
            Some(_) => self.way.further.push(attempt),
        }
    }

    /// The head of an answer to the last attempt came at `now`.
    pub(crate) fn head_came(&mut self, now: Instant) {
        let now = self.at(now);
        if let Some(attempt) = self.last() {
            attempt.ended = Some(now);
        }
    }

    /// The last attempt came to this.
    pub(crate) fn came_to(&mut self, outcome: Outcome) {
        let now = match outcome {
            Outcome::Answered => None,
            _ => Some(self.now()),
        };
        // What was said of an attempt stands: a further one may have found no endpoint.
        if let Some(attempt) = self.last().filter(|last| last.outcome == Outcome::Open) {
            attempt.outcome = outcome;
            if now.is_some() {
                attempt.ended = now;
            }
        }
    }

    fn last(&mut self) -> Option<&mut Attempt> {
        self.way.further.last_mut().or(self.way.attempt.as_mut())
    }

    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    pub(crate) fn take(&mut self) -> Way {
        std::mem::take(&mut self.way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Option<Moment> {
        Some(Moment::after(Duration::from_micros(micros)))
    }

    fn attempt(endpoint: u16, sent: u64, ended: u64, outcome: Outcome) -> Attempt {
        Attempt { endpoint, sent: at(sent).unwrap(), ended: at(ended), outcome }
    }

    fn shown(rooms: &[Room]) -> String {
        let one = |room: &Room| {
            let inner = if room.rooms.is_empty() {
                String::new()
            } else {
                format!("({})", shown(&room.rooms))
            };
            format!("{} {}+{}{inner}", room.name, room.from_nanos / 1000, room.took.as_micros())
        };
        rooms.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn whole() -> Way {
        Way {
            head_took: Some(Duration::from_micros(5)),
            own: false,
            cache: None,
            detected: at(1),
            admitted: at(3),
            asked: at(10),
            attempt: Some(attempt(0, 12, 40, Outcome::Answered)),
            further: Vec::new(),
            over: at(50),
            answered: at(60),
        }
    }

    #[test]
    fn rooms_lie_end_to_end_from_the_beginning_to_the_last_byte() {
        let took = Duration::from_micros(70);
        assert_eq!(
            shown(&whole().rooms(took)),
            "listen -5+5 detect 0+1 policy 1+2 decode 3+7 upstream 10+40(wait 10+2 attempt 12+28 \
             answer 40+10) encode 50+10 write 60+10"
        );
        assert_eq!(whole().upstream_took(), Some(Duration::from_micros(30)));
    }

    #[test]
    fn a_stream_is_with_its_upstream_until_its_last_byte() {
        let way = Way { over: at(90), answered: at(45), ..whole() };
        assert_eq!(
            shown(&way.rooms(Duration::from_micros(91))),
            "listen -5+5 detect 0+1 policy 1+2 decode 3+7 upstream 10+80(wait 10+2 attempt 12+28 \
             answer 40+50) write 90+1"
        );
    }

    #[test]
    fn a_call_that_is_refused_ends_in_the_room_that_refused_it() {
        let way = Way { admitted: None, asked: None, answered: at(4), ..Way::default() };
        let way = Way { detected: at(1), ..way };
        let took = Duration::from_micros(6);
        assert_eq!(shown(&way.rooms(took)), "detect 0+1 policy 1+3 write 4+2");
        let way = Way { detected: at(1), admitted: at(3), ..Way::default() };
        assert_eq!(shown(&way.rooms(took)), "detect 0+1 policy 1+2 decode 3+3 write 6+0");
    }

    #[test]
    fn every_attempt_has_its_own_time_and_the_wait_between_them_belongs_to_none() {
        let failed = attempt(0, 12, 20, Outcome::Failed(Code::Unavailable));
        let good = attempt(1, 25, 40, Outcome::Answered);
        let way = Way { attempt: Some(failed), further: vec![good], ..whole() };
        let rooms = way.rooms(Duration::from_micros(70));
        let upstream = rooms.iter().find(|room| room.name == "upstream").unwrap();
        assert_eq!(shown(&upstream.rooms), "wait 10+2 attempt 12+8 attempt 25+15 answer 40+10");
        assert_eq!(upstream.rooms[1].attempt, Some(failed));
    }

    #[test]
    fn a_call_that_no_endpoint_takes_waits_until_it_is_given_up() {
        let way = Way { attempt: None, over: at(30), answered: at(30), ..whole() };
        let rooms = way.rooms(Duration::from_micros(31));
        let upstream = rooms.iter().find(|room| room.name == "upstream").unwrap();
        assert_eq!(shown(&upstream.rooms), "wait 10+20");
    }

    #[test]
    fn a_call_that_is_answered_by_what_is_kept_asks_nobody() {
        let way = Way { cache: Some(CacheUse::Hit), attempt: None, over: at(12), ..whole() };
        let took = Duration::from_micros(70);
        assert_eq!(
            shown(&way.rooms(took)),
            "listen -5+5 detect 0+1 policy 1+2 decode 3+7 cache 10+2 encode 12+48 write 60+10"
        );
        let fetched = Way { cache: Some(CacheUse::Miss), ..whole() };
        assert!(shown(&fetched.rooms(took)).contains("cache 10+40(wait 10+2 attempt 12+28"));
        let passed = Way { cache: Some(CacheUse::Passed), ..whole() };
        assert_eq!(shown(&passed.rooms(took)), shown(&whole().rooms(took)));
    }

    #[test]
    fn a_moment_takes_eight_bytes_and_is_never_zero() {
        assert_eq!(size_of::<Option<Moment>>(), 8);
        assert_eq!(Moment::after(Duration::ZERO).since_begin(), Duration::from_nanos(1));
    }
}
