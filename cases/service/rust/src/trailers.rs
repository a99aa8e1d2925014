//! The trailers of every unary answer: `tandem-sequence`, `tandem-handler-ns`.
//!
//! A handler puts a [`Sequence`] into the extensions of its answer; this layer writes it into the
//! trailers, which tonic lets nobody else reach. Errors carry it in their metadata.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::HeaderValue;
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

/// The commit that an answer stands for.
#[derive(Debug, Clone, Copy)]
pub struct Sequence(pub i64);

/// An answer that carries its sequence.
pub fn answer<T>(message: T, sequence: i64) -> tonic::Response<T> {
    let mut response = tonic::Response::new(message);
    response.extensions_mut().insert(Sequence(sequence));
    response
}

/// An error that carries the last sequence that was seen.
pub fn refused(mut status: Status, sequence: i64) -> Status {
    status.metadata_mut().insert("tandem-sequence", sequence.into());
    status
}

/// Puts the trailers on.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrailersLayer;

impl<S> tower_layer::Layer<S> for TrailersLayer {
    type Service = Trailers<S>;

    fn layer(&self, inner: S) -> Trailers<S> {
        Trailers { inner }
    }
}

/// A service whose unary answers carry the trailers.
#[derive(Debug, Clone)]
pub struct Trailers<S> {
    inner: S,
}

impl<S> tower_service::Service<http::Request<Body>> for Trailers<S>
where
    S: tower_service::Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future =
        Pin<Box<dyn Future<Output = Result<http::Response<Body>, S::Error>> + Send + 'static>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let began = Instant::now();
        let answered = self.inner.call(request);
        Box::pin(async move {
            let mut response = answered.await?;
            let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            match response.extensions_mut().remove::<Sequence>() {
                Some(Sequence(sequence)) => Ok(response.map(|inner| {
                    Body::new(WithTrailers {
                        inner,
                        sequence: HeaderValue::from(sequence),
                        took: HeaderValue::from(took),
                    })
                })),
                None => Ok(response),
            }
        })
    }
}

struct WithTrailers {
    inner: Body,
    sequence: HeaderValue,
    took: HeaderValue,
}

impl http_body::Body for WithTrailers {
    type Data = <Body as http_body::Body>::Data;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    trailers.insert("tandem-sequence", this.sequence.clone());
                    trailers.insert("tandem-handler-ns", this.took.clone());
                }
                frame
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
