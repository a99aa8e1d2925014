//! A timer for an end that keeps moving away.
//!
//! Most ends are never reached: each byte that comes moves them. To move a timer of the loop costs
//! more than to read a byte, so this one is moved only where it would ring too late. Where it
//! rings too early it is set to what the end is by then.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Made at its first use.
// Boxed because a timer may not move.
#[derive(Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `end` has passed; an end that moves is asked for anew.
    pub(crate) fn poll(&mut self, end: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() > end {
            timer.as_mut().reset(end);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
    }

    /// Sees to it that the task has its turn `within` this time from now at the latest.
    pub(crate) fn look_again(&mut self, within: Duration, cx: &mut Context<'_>) {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + within)));
        while timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(Instant::now() + within);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_last_end_however_that_has_moved() {
        let began = Instant::now();
        let mut alarm = Alarm::default();
        let mut ends = [20, 10, 4].map(|seconds| began + SECOND * seconds).into_iter();
        let last = began + SECOND * 8;
        let mut looks = 0;
        poll_fn(|cx| {
            looks += 1;
            for end in ends.by_ref() {
                assert!(alarm.poll(end, cx).is_pending());
            }
            alarm.poll(last, cx)
        })
        .await;
        assert_eq!(began.elapsed().as_secs(), 8);
        assert_eq!(looks, 3, "at first, at the end that had moved away, at the last");
        // One that has rung rings for the next end as well.
        poll_fn(|cx| alarm.poll(began + SECOND * 9, cx)).await;
        assert_eq!(began.elapsed().as_secs(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn who_looks_again_is_woken_in_time() {
        let began = Instant::now();
        let mut alarm = Alarm::default();
        for turn in 1..=3 {
            let mut first = true;
            poll_fn(|cx| {
                alarm.look_again(SECOND, cx);
                if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            assert_eq!(began.elapsed().as_secs(), turn);
        }
    }
}
