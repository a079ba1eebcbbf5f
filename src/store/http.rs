//! The HTTP client of a cloud store: every request and every read of a body has a limit, and what
//! fails is counted.
//!
//! The store's client repeats failed requests by itself and says nothing of it. Here each answer
//! is seen, so that a report can name them and a person learns what a silent run waits for. Which
//! failures are repeated, and how often, is `open`'s.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpResponse, HttpResponseBody, HttpService, ReqwestConnector,
};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::health::{Asked, Health};

/// How long one request may take without its bytes, unless the client's `timeout` says otherwise.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Bytes a second that a connection must carry: that much more time a request's bytes give it.
pub(super) const SLOWEST_RATE: u64 = 64 << 10;

/// Makes clients whose requests are limited and counted.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Arc<Health>);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let limit = options.get_config_value(&ClientConfigKey::Timeout);
        let limit = limit.and_then(|text| humantime::parse_duration(&text).ok());
        // One limit for large and small requests alike would be wrong for one of them.
        let unlimited = options.clone().with_timeout_disabled();
        let inner = ReqwestConnector::default().connect(&unlimited)?;
        Ok(HttpClient::new(Service {
            inner,
            limit: limit.unwrap_or(REQUEST_LIMIT),
            health: Arc::clone(&self.0),
        }))
    }
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    limit: Duration,
    health: Arc<Health>,
}

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let of = match request.method().is_safe() {
            true => Asked::Read,
            false => Asked::Write,
        };
        let allowed = self.limit + time_for(request.body().content_length() as u64);
        let answer = timeout(allowed, self.inner.execute(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(timed_out("the store did not answer in time")));
        match answer {
            Ok(response) => {
                self.health.answered(of, response.status().as_u16());
                let (parts, body) = response.into_parts();
                let body = HttpResponseBody::new(Limited {
                    inner: body,
                    of,
                    health: Arc::clone(&self.health),
                    limit: self.limit,
                    received: 0,
                    waited: Duration::ZERO,
                    waiting: None,
                });
                Ok(HttpResponse::from_parts(parts, body))
            }
            Err(error) => {
                self.health.broke(of, error.kind());
                Err(error)
            }
        }
    }
}

/// A response's body. Only the time in which somebody waits for its bytes counts: a reader may be
/// as slow as it likes.
struct Limited {
    inner: HttpResponseBody,
    of: Asked,
    health: Arc<Health>,
    limit: Duration,
    received: u64,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Body for Limited {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            if let Some((since, _)) = self.waiting.take() {
                self.waited += since.elapsed();
            }
            match &frame {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    self.received += bytes as u64;
                }
                Some(Err(error)) => self.health.broke(self.of, error.kind()),
                None => {}
            }
            return Poll::Ready(frame);
        }
        let allowed = self.limit + time_for(self.received);
        let left = allowed.saturating_sub(self.waited);
        let (_, alarm) = self
            .waiting
            .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        match alarm.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let error = timed_out("the store's answer did not come to its end in time");
                self.health.broke(self.of, error.kind());
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn time_for(bytes: u64) -> Duration {
    Duration::from_secs(bytes / SLOWEST_RATE)
}

fn timed_out(what: &'static str) -> HttpError {
    let cause = std::io::Error::new(std::io::ErrorKind::TimedOut, what);
    HttpError::new(HttpErrorKind::Timeout, cause)
}
