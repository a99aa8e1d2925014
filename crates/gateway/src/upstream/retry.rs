//! Whether a call may be sent once more, and the request as it waits for that.
//!
//! A call that its upstream provably never began is begun again once, whatever its method
//! (security U-3). Any other call only if its document says so, its method has no side effects
//! or is idempotent, and the failure has one of the codes named. Both only before the first byte
//! of the answer, within the upstream's budget, and within the deadline, which all attempts
//! share. Who answers `grpc-retry-pushback-ms` is obeyed.
//!
//! Sources: gRPC proposal A6 (attempts, pushback, `grpc-previous-rpc-attempts`); security LI-26.
//!
//! Not here: the loop over attempts (`send`), the budget (`budget`).

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use tandem_config::document::{RetryPolicy, Share};
use tandem_contract::Idempotency;
use tandem_protocol::status::Code;

use crate::body::{Body, BodyError, Piece};
use crate::observe::RetryReason;

/// Bytes of a request that are kept until its answer begins (security LI-26).
const KEPT_BYTES_MOST: usize = 64 * 1024;
/// The wait before the third attempt is drawn from zero to this, and doubles from there; the
/// second goes out at once, to another endpoint.
const WAIT: Duration = Duration::from_millis(25);

pub(super) const PREVIOUS_ATTEMPTS: HeaderName =
    HeaderName::from_static("grpc-previous-rpc-attempts");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What a method's document allows, in the form in which it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryRules {
    /// A bit for each code.
    codes: u32,
    /// Attempts of one call, the first included.
    attempts: u8,
    /// Time for one attempt until its answer begins.
    pub(super) attempt: Option<Duration>,
    pub(super) budget: Share,
    /// Whether what never began is begun again.
    begins_again: bool,
}

impl RetryRules {
    /// Nothing is sent again but what never began.
    pub(crate) const NONE: RetryRules = RetryRules {
        codes: 0,
        attempts: 1,
        attempt: None,
        budget: RetryPolicy::BUDGET,
        begins_again: true,
    };

    /// Nothing at all is sent again (compare M-6).
    pub(crate) const NEVER: RetryRules = RetryRules { begins_again: false, ..RetryRules::NONE };

    /// The rules of a method of which the contract says `idempotency`.
    pub(crate) fn of(policy: Option<&RetryPolicy>, idempotency: Idempotency) -> RetryRules {
        let Some(RetryPolicy { codes, attempts, attempt, budget }) = policy else {
            return RetryRules::NONE;
        };
        match idempotency {
            Idempotency::Unknown => RetryRules { budget: *budget, ..RetryRules::NONE },
            Idempotency::NoSideEffects | Idempotency::Idempotent => RetryRules {
                codes: codes.iter().fold(0, |codes, code| codes | bit(*code)),
                attempts: *attempts,
                attempt: *attempt,
                budget: *budget,
                begins_again: true,
            },
        }
    }

    /// Whether any failure of this attempt could lead to another one.
    pub(super) fn may_follow(&self, sent: u8) -> bool {
        sent < self.attempts
    }
}

fn bit(code: Code) -> u32 {
    1 << code as u32
}

/// Why an attempt gave no answer that must be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    NeverBegan,
    TimedOut,
    Failed { code: Code, pushback: Pushback },
}

/// What the upstream says about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushback {
    Nothing,
    After(Duration),
    Never,
}

impl Pushback {
    /// What stands in trailers, or in a head that was all.
    pub(super) fn in_trailers(trailers: &HeaderMap) -> Pushback {
        let Some(value) = trailers.get(PUSHBACK) else { return Pushback::Nothing };
        // A6: negative or unreadable is "do not retry".
        let ms = value.to_str().ok().and_then(|text| text.parse().ok());
        ms.map_or(Pushback::Never, |ms: u32| Pushback::After(Duration::from_millis(ms.into())))
    }
}

/// Another attempt that the rules allow; the budget has not been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Further {
    pub(super) reason: RetryReason,
    /// Time to wait first.
    pub(super) wait: Duration,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// Attempts sent that count: all but those that never began.
    pub(super) sent: u8,
    /// Whether it was begun again after it had never begun.
    pub(super) begun_again: bool,
}

impl Progress {
    /// Judges an attempt that ended by `cause`. `random` is of 0 to 1.
    pub(super) fn further(
        &mut self,
        cause: Cause,
        rules: &RetryRules,
        random: f64,
    ) -> Option<Further> {
        match cause {
            Cause::NeverBegan if rules.begins_again && !self.begun_again => {
                self.begun_again = true;
                Some(Further { reason: RetryReason::NeverBegan, wait: Duration::ZERO })
            }
            // The second time it is a failure like any other.
            Cause::NeverBegan => {
                let cause = Cause::Failed { code: Code::Unavailable, pushback: Pushback::Nothing };
                self.further(cause, rules, random)
            }
            Cause::TimedOut => {
                self.sent += 1;
                let wait = self.wait(random);
                rules
                    .may_follow(self.sent)
                    .then_some(Further { reason: RetryReason::TimedOut, wait })
            }
            Cause::Failed { code, pushback } => {
                self.sent += 1;
                let named = rules.codes & bit(code) != 0 && rules.may_follow(self.sent);
                let wait = match pushback {
                    Pushback::Never => return None,
                    Pushback::After(wait) => wait,
                    Pushback::Nothing => self.wait(random),
                };
                named.then_some(Further { reason: RetryReason::Code, wait })
            }
        }
    }

    fn wait(&self, random: f64) -> Duration {
        match self.sent {
            0 | 1 => Duration::ZERO,
            sent => (WAIT * (1 << (sent - 2).min(8))).mul_f64(random),
        }
    }
}

/// A request's bytes, held so that they can go out more than once.
pub(super) enum Request {
    Whole(Bytes),
    Stream(Rc<RefCell<Kept>>),
}

/// A request that is read while it goes out, and what was read of it so far.
pub(super) struct Kept {
    body: Body,
    /// Empty once they are no longer kept.
    pieces: Vec<Bytes>,
    bytes: usize,
    keeping: Keeping,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    All,
    /// More came than is kept, the answer has begun, or the request broke.
    Nothing,
}

impl Request {
    pub(super) fn streamed(body: Body) -> Request {
        if body.is_empty() {
            return Request::Whole(Bytes::new());
        }
        Request::Stream(Rc::new(RefCell::new(Kept {
            body,
            pieces: Vec::new(),
            bytes: 0,
            keeping: Keeping::All,
            ended: false,
        })))
    }

    /// Whether it can go out from its beginning.
    pub(super) fn is_at_hand(&self) -> bool {
        match self {
            Request::Whole(_) => true,
            Request::Stream(kept) => kept.borrow().keeping == Keeping::All,
        }
    }

    /// The answer has begun: nothing goes out again.
    pub(super) fn let_go(self) {
        if let Request::Stream(kept) = self {
            kept.borrow_mut().forget();
        }
    }
}

impl Kept {
    fn forget(&mut self) {
        self.keeping = Keeping::Nothing;
        self.pieces = Vec::new();
    }

    /// The piece at `next`, which moves on; `None` at the end.
    pub(super) fn poll_piece(
        &mut self,
        next: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Some(piece) = self.pieces.get(*next) {
            *next += 1;
            return Poll::Ready(Some(Ok(piece.clone())));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.body.poll_piece(cx)) {
            Some(Ok(Piece::Data(data))) => {
                if self.keeping == Keeping::All {
                    self.bytes += data.len();
                    if self.bytes <= KEPT_BYTES_MOST {
                        self.pieces.push(data.clone());
                        *next += 1;
                    } else {
                        self.forget();
                    }
                }
                Some(Ok(data))
            }
            // Request trailers are dropped (protocols M-6); they end the request.
            Some(Ok(Piece::Trailers(_))) | None => {
                self.ended = true;
                None
            }
            Some(Err(error)) => {
                self.forget();
                self.ended = true;
                Some(Err(error))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn rules(codes: &[Code], attempts: u8) -> RetryRules {
        let policy = RetryPolicy {
            codes: codes.iter().copied().collect(),
            attempts,
            attempt: None,
            budget: RetryPolicy::BUDGET,
        };
        RetryRules::of(Some(&policy), Idempotency::Idempotent)
    }

    fn failed(code: Code) -> Cause {
        Cause::Failed { code, pushback: Pushback::Nothing }
    }

    /// The reasons for which a call goes on that ends by each of `causes` in turn.
    fn reasons(rules: &RetryRules, causes: &[Cause]) -> Vec<Option<RetryReason>> {
        let mut progress = Progress::default();
        let reason = |cause: &Cause| progress.further(*cause, rules, 0.5).map(|one| one.reason);
        causes.iter().map(reason).collect()
    }

    #[test]
    fn security_u_3_only_methods_that_may_be_repeated_are() {
        let policy = RetryPolicy {
            codes: [Code::Unavailable].into(),
            attempts: 2,
            attempt: None,
            budget: RetryPolicy::BUDGET,
        };
        for (policy, idempotency, again) in [
            (None, Idempotency::NoSideEffects, false),
            (Some(&policy), Idempotency::Unknown, false),
            (Some(&policy), Idempotency::NoSideEffects, true),
            (Some(&policy), Idempotency::Idempotent, true),
        ] {
            let rules = RetryRules::of(policy, idempotency);
            let further = Progress::default().further(failed(Code::Unavailable), &rules, 0.5);
            assert_eq!(further.is_some(), again, "{policy:?} {idempotency:?}");
        }
    }

    #[test]
    fn security_u_3_what_never_began_is_begun_again_once_for_any_method() {
        use RetryReason::{Code as Named, NeverBegan};
        let never = Cause::NeverBegan;
        assert_eq!(reasons(&RetryRules::NONE, &[never, never]), [Some(NeverBegan), None]);
        assert_eq!(reasons(&RetryRules::NEVER, &[never, never]), [None, None]);
        let two = rules(&[Code::Unavailable], 2);
        assert_eq!(reasons(&two, &[never, never, never]), [Some(NeverBegan), Some(Named), None]);
        // It was no attempt: both that the document allows are left.
        let unavailable = failed(Code::Unavailable);
        assert_eq!(
            reasons(&two, &[never, unavailable, unavailable]),
            [Some(NeverBegan), Some(Named), None]
        );
    }

    #[test]
    fn security_li_26_attempts_and_codes_are_those_of_the_document() {
        use RetryReason::{Code as Named, TimedOut};
        let two = rules(&[Code::Unavailable, Code::Aborted], 2);
        let unavailable = failed(Code::Unavailable);
        assert_eq!(reasons(&two, &[unavailable, unavailable]), [Some(Named), None]);
        assert_eq!(reasons(&two, &[failed(Code::Aborted)]), [Some(Named)]);
        for code in [Code::Unknown, Code::Internal, Code::DeadlineExceeded, Code::Ok] {
            assert_eq!(reasons(&two, &[failed(code)]), [None], "{code:?}");
        }
        assert_eq!(reasons(&two, &[Cause::TimedOut, unavailable]), [Some(TimedOut), None]);
        let five = rules(&[Code::Unavailable], 5);
        assert_eq!(reasons(&five, &[unavailable; 5]).iter().flatten().count(), 4);
    }

    #[test]
    fn pushback_is_obeyed() {
        let rules = rules(&[Code::Unavailable], 3);
        for (said, wait) in [
            (None, Some(0)),
            (Some("0"), Some(0)),
            (Some("1500"), Some(1500)),
            (Some("-1"), None),
            (Some("soon"), None),
            (Some(""), None),
            (Some("99999999999"), None),
        ] {
            let mut trailers = HeaderMap::new();
            if let Some(said) = said {
                trailers.insert(PUSHBACK, HeaderValue::from_static(said));
            }
            let pushback = Pushback::in_trailers(&trailers);
            let cause = Cause::Failed { code: Code::Unavailable, pushback };
            let further = Progress::default().further(cause, &rules, 0.5);
            let waits = further.map(|further| further.wait.as_millis());
            assert_eq!(waits, wait, "{said:?}");
        }
    }

    #[test]
    fn waits_begin_with_the_third_attempt_and_are_spread() {
        for (sent, random, ms) in
            [(1, 1.0, 0), (2, 1.0, 25), (2, 0.0, 0), (3, 1.0, 50), (4, 0.5, 50)]
        {
            let progress = Progress { sent, begun_again: false };
            assert_eq!(progress.wait(random).as_millis(), ms, "{sent} {random}");
        }
    }

    /// Reads the request from its beginning; `None` where it broke.
    fn read(request: &Request) -> Option<Vec<u8>> {
        let Request::Stream(kept) = request else { panic!("it is a stream") };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let (mut next, mut all) = (0, Vec::new());
        while let Poll::Ready(Some(piece)) = kept.borrow_mut().poll_piece(&mut next, &mut cx) {
            all.extend_from_slice(&piece.ok()?);
        }
        Some(all)
    }

    fn pieces(mut pieces: Vec<Result<Bytes, BodyError>>) -> Request {
        pieces.reverse();
        Request::streamed(Body::stream(move |_cx: &mut Context<'_>| {
            Poll::Ready(pieces.pop().map(|piece| piece.map(Piece::Data)))
        }))
    }

    #[test]
    fn security_li_26_64_kib_are_kept_and_not_one_byte_more() {
        let piece = |bytes| Ok(Bytes::from(vec![7_u8; bytes]));
        let fits = pieces(vec![piece(KEPT_BYTES_MOST - 1), piece(1)]);
        for _ in 0..3 {
            assert_eq!(read(&fits).map(|all| all.len()), Some(KEPT_BYTES_MOST));
            assert!(fits.is_at_hand());
        }
        let over = pieces(vec![piece(KEPT_BYTES_MOST), piece(1), piece(5)]);
        assert!(over.is_at_hand());
        assert_eq!(
            read(&over).map(|all| all.len()),
            Some(KEPT_BYTES_MOST + 6),
            "it goes out whole"
        );
        assert!(!over.is_at_hand(), "and not again");
    }

    #[test]
    fn a_request_goes_on_where_the_first_attempt_left_it() {
        let request = pieces(vec![Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"cd"))]);
        let Request::Stream(kept) = &request else { panic!("it is a stream") };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let first = kept.borrow_mut().poll_piece(&mut 0, &mut cx);
        assert!(matches!(first, Poll::Ready(Some(Ok(piece))) if piece == "ab"));
        assert_eq!(read(&request).as_deref(), Some(&b"abcd"[..]));
    }

    #[test]
    fn a_request_that_broke_is_not_sent_again() {
        let broken = BodyError::Aborted("on purpose");
        let request = pieces(vec![Ok(Bytes::from_static(b"ab")), Err(broken)]);
        assert_eq!(read(&request), None);
        assert!(!request.is_at_hand());
    }
}
