//! What the process says of itself: how it was built and what its runtime counts.
//!
//! Polls and waits are those of the tasks that carry calls, from the head of the request to the
//! head of the answer. There is no collector, so nothing is said about one.

use std::time::Duration;

use tokio_metrics::{Instrumented, TaskMonitorCore};
use tonic::{Request, Response, Status};

use crate::runtime::runtime_server::Runtime;
use crate::runtime::{Build, SnapshotRequest, SnapshotResponse, Tokio, snapshot_response};

/// Longer than this is a pause to somebody who waits (a judge of pauses counts from here as well).
const LONG: Duration = Duration::from_millis(1);

static CALLS: TaskMonitorCore = TaskMonitorCore::builder()
    .with_slow_poll_threshold(LONG)
    .with_long_delay_threshold(LONG)
    .build();

/// Serves the figures.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// What the answer calls the process.
    pub program: &'static str,
    /// Threads that carry calls.
    pub workers: u16,
}

#[tonic::async_trait]
impl Runtime for Figures {
    async fn snapshot(
        &self,
        _: Request<SnapshotRequest>,
    ) -> Result<Response<SnapshotResponse>, Status> {
        let calls = CALLS.cumulative();
        let tokio = Tokio {
            polls: calls.total_poll_count,
            polled_s: calls.total_poll_duration.as_secs_f64(),
            polls_long: calls.total_slow_poll_count,
            polls_long_s: calls.total_slow_poll_duration.as_secs_f64(),
            polls_long_from_s: LONG.as_secs_f64(),
            waits: calls.total_scheduled_count,
            waited_s: calls.total_scheduled_duration.as_secs_f64(),
            waits_long: calls.total_long_delay_count,
            waits_long_s: calls.total_long_delay_duration.as_secs_f64(),
            waits_long_from_s: LONG.as_secs_f64(),
        };
        Ok(Response::new(SnapshotResponse {
            program: self.program.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            build: Some(Build {
                toolchain: env!("CASE_TOOLCHAIN").into(),
                flags: env!("CASE_FLAGS").into(),
                profile: env!("CASE_PROFILE").into(),
                revision: String::new(),
            }),
            parallelism: self.workers.into(),
            allocator: "system".into(),
            runtime: Some(snapshot_response::Runtime::Tokio(tokio)),
        }))
    }
}

/// Counts the polls of calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct FiguresLayer;

impl<S> tower_layer::Layer<S> for FiguresLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner }
    }
}

/// A service whose calls are counted.
#[derive(Debug, Clone)]
pub struct Counted<S> {
    inner: S,
}

impl<S, R> tower_service::Service<R> for Counted<S>
where
    S: tower_service::Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<S::Future, &'static TaskMonitorCore>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        CALLS.instrument(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_poll_that_keeps_its_worker_is_a_long_one() {
        let figures = Figures { program: "case-rust", workers: 3 };
        let read = async || {
            let answer = figures.snapshot(Request::new(SnapshotRequest {})).await;
            let answer = answer.expect("it answers").into_inner();
            assert_eq!((answer.program.as_str(), answer.parallelism), ("case-rust", 3));
            let build = answer.build.expect("it says how it was built");
            assert!(build.toolchain.starts_with("rustc 1."), "{build:?}");
            assert!(build.profile.starts_with("debug"), "{build:?}");
            match answer.runtime {
                Some(snapshot_response::Runtime::Tokio(tokio)) => tokio,
                other => panic!("{other:?}"),
            }
        };
        let before = read().await;
        CALLS.instrument(async { tokio::task::yield_now().await }).await;
        let short = read().await;
        assert_eq!((short.polls - before.polls, short.polls_long - before.polls_long), (2, 0));
        CALLS
            .instrument(async {
                let end = std::time::Instant::now() + 2 * LONG;
                while std::time::Instant::now() < end {
                    std::hint::spin_loop();
                }
            })
            .await;
        let long = read().await;
        assert_eq!(long.polls_long - short.polls_long, 1);
        assert!(long.polls_long_s - short.polls_long_s >= (2 * LONG).as_secs_f64());
    }
}
