//! How slowly a caller may send (security LI-5): 408, or DEADLINE_EXCEEDED.
//!
//! A pace is asked of a message under way, and of nothing else. A caller that sends half a
//! message and trickles the rest holds memory here and a stream at the upstream for nothing; one
//! that is silent *between* messages is what streams are for (a chat, a sensor), and the clock of
//! silence is its limit (LI-7, 300 s). So the account is opened by the first byte of a message
//! and closed by its last; a body that is one message as a whole has one from the beginning on.
//!
//! Only the time for which the caller is waited for counts: while the upstream takes nothing, or
//! while messages are carried, nobody is late. What came in one piece with the end of the message
//! before is credited whole.
//!
//! What would reopen this: a client that keeps messages open on purpose. NDJSON whose lines *begin*
//! with their line break is one: its last line is open until the next, and so under this clock.
//!
//! Not here: where messages begin and end (`protocol`).

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tandem_protocol::refusal::{Limit, Reason, Refusal};
use tokio::time::Instant;

use crate::alarm::Alarm;
use crate::limits::Limits;

/// The account of the message under way.
pub(super) struct Pace {
    bytes_per_second: u64,
    /// For so long nothing is asked.
    after: Duration,
    bytes: u64,
    waited: Duration,
    /// The caller is being waited for since then.
    since: Option<Instant>,
    alarm: Alarm,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Pace {
        Pace {
            bytes_per_second: limits.body_pace.max(1),
            after: limits.body_pace_after,
            bytes: 0,
            waited: Duration::ZERO,
            since: None,
            alarm: Alarm::default(),
        }
    }

    /// So many bytes came; `inside`: a message was under way before them.
    pub(super) fn came(&mut self, bytes: usize, inside: bool) {
        if !inside {
            return self.completed(bytes);
        }
        self.bytes += bytes as u64;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }

    /// The message is complete; `bytes` came with its last one, and may begin the next.
    pub(super) fn completed(&mut self, bytes: usize) {
        self.bytes = bytes as u64;
        self.waited = Duration::ZERO;
        self.since = None;
    }

    /// Nothing has come, and a message is under way: whether it comes too slowly.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        let since = *self.since.get_or_insert_with(Instant::now);
        // At this moment the bytes so far are no longer enough.
        let seconds = self.bytes / self.bytes_per_second + 1;
        let allowed = self.after.max(Duration::from_secs(seconds));
        let end = since + allowed.saturating_sub(self.waited);
        ready!(self.alarm.poll(end, cx));
        Poll::Ready(
            Refusal::new(Reason::TooSlow, "the body comes too slowly").over(Limit::BodyPace),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tandem_config::document::PlatformLimits;
    use tokio::time::{sleep, timeout};

    use super::*;

    const KIB: usize = 1024;

    fn pace() -> Pace {
        Pace::new(&Limits::of(&PlatformLimits::default(), 1 << 20))
    }

    /// Waits for the caller, at most for so many seconds; says when it was too late.
    async fn wait(pace: &mut Pace, seconds: u64) -> Option<u64> {
        let began = Instant::now();
        let late = timeout(Duration::from_secs(seconds), poll_fn(|cx| pace.poll_late(cx))).await;
        let refusal = late.ok()?;
        assert_eq!(refusal.reason, Reason::TooSlow);
        Some(began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn security_li_5_a_kibibyte_a_second_after_ten_seconds() {
        // Bytes that came at once, and when they are no longer enough.
        for (bytes, late) in
            [(0, 10), (1, 10), (10 * KIB - 1, 10), (10 * KIB, 11), (60 * KIB - 1, 60)]
        {
            let mut pace = pace();
            pace.came(bytes, false);
            assert_eq!(wait(&mut pace, 100).await, Some(late), "{bytes}");
        }
        // Who keeps the pace is never late: each wait ends a moment before.
        let mut pace = pace();
        pace.came(10 * KIB, false);
        for _ in 0..500 {
            assert_eq!(wait(&mut pace, 1).await, None);
            pace.came(KIB, true);
        }
        // One second more than that is one too many.
        assert_eq!(wait(&mut pace, 100).await, Some(11));
    }

    #[tokio::test(start_paused = true)]
    async fn security_li_5_only_the_time_for_which_the_caller_is_waited_for_counts() {
        let mut pace = pace();
        pace.came(100, false);
        assert_eq!(wait(&mut pace, 6).await, None);
        pace.came(100, true);
        // The upstream takes nothing for an hour.
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(wait(&mut pace, 100).await, Some(4));
    }

    #[tokio::test(start_paused = true)]
    async fn security_li_5_between_messages_nobody_is_late() {
        let mut pace = pace();
        for _ in 0..100 {
            // A message in two parts, nine seconds apart; then silence, where nobody asks.
            pace.came(10, false);
            assert_eq!(wait(&mut pace, 9).await, None);
            pace.came(10, true);
            pace.completed(10);
            sleep(Duration::from_secs(250)).await;
        }
        // What came behind the end of one counts for the next.
        pace.came(20 * KIB, false);
        assert_eq!(wait(&mut pace, 15).await, None);
        pace.came(30 * KIB, true);
        pace.completed(30 * KIB);
        assert_eq!(wait(&mut pace, 100).await, Some(31));
    }
}
