//! A deadline for every call: the caller's `grpc-timeout`, or the server's own for calls that neither stream nor wait.
//!
//! tonic's server enforces `grpc-timeout` by itself, but calls of the gateway do not pass through it.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tonic::body::Body;
use tower::{Layer, Service};

use super::methods;

/// Puts a deadline on calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeoutLayer {
    timeout: Duration,
}

impl TimeoutLayer {
    /// With `timeout` as the server's own.
    pub(super) fn new(timeout: Duration) -> Self {
        TimeoutLayer { timeout }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout { inner, timeout: self.timeout }
    }
}

/// A service with a deadline on its calls.
#[derive(Clone, Debug)]
pub(super) struct Timeout<S> {
    inner: S,
    timeout: Duration,
}

impl<S> Service<http::Request<Body>> for Timeout<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let asked = request.headers().get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?));
        let own = methods::find(request.uri().path()).filter(|method| !method.is_unbounded).map(|_| self.timeout);
        let deadline = [asked, own].into_iter().flatten().min();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let Some(deadline) = deadline else { return answer.await };
            match tokio::time::timeout(deadline, answer).await {
                Ok(result) => result,
                Err(_) => Ok(tonic::Status::deadline_exceeded("the deadline of the call has passed").into_http()),
            }
        })
    }
}

/// The header as the gRPC protocol has it: up to eight digits and a unit.
fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_hours(number)),
        "M" => Some(Duration::from_mins(number)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        assert_eq!(parse("100m"), Some(Duration::from_millis(100)));
        assert_eq!(parse("99999999H"), Some(Duration::from_hours(99_999_999)));
        for odd in ["", "S", "1", "-1S", "123456789S", "1x", "1é"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
