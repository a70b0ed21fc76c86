//! What each request passes before the routes: it is told its peer and whom the peer's
//! certificate names, and it is noticed until its answer is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::IntoResponse as _;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use steward_gateway::Peer;
use tonic::Status;
use tower::Service;

use super::activity::{Activity, Request};
use super::tls::Shown;
use crate::error::{Category, Failure};
use crate::server::access_log::{AccessLog, Entry};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The routes as one connection sees them.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) peer: Peer,
    pub(super) shown: Option<Arc<Shown>>,
    pub(super) activity: Activity,
    pub(super) access_log: Option<AccessLog>,
}

impl<B> Service<http::Request<B>> for Requests
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Answer>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let noticed = self.activity.begin(request.version());
        let mut entry = self.access_log.as_ref().map(|log| log.begin(&request, self.peer.0));
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(self.activity.acquaintance());
        if let Some(user) = self.shown.as_ref().and_then(|shown| shown.user()) {
            request.extensions_mut().insert(user.clone());
        }
        if let Some(entry) = &entry {
            request.extensions_mut().insert(entry.caller());
        }
        let activity = self.activity.clone();
        let answering = if self.shown.as_ref().is_some_and(|shown| shown.is_refused()) {
            Err(refusal(request.headers()))
        } else {
            Ok(self.router.call(request.map(|body| Upload::new(body, activity))))
        };
        Box::pin(async move {
            let response = match answering {
                Ok(answering) => answering.await?,
                Err(refusal) => refusal,
            };
            if let Some(entry) = &mut entry {
                entry.answered(&response);
            }
            Ok(response.map(|body| Answer::new(body, entry, noticed)))
        })
    }
}

/// What is answered on a connection whose client does not notice that its certificate is not good any more.
fn refusal(headers: &HeaderMap) -> http::Response<Body> {
    metrics::counter!("steward_auth_failures_total").increment(1);
    let problem = "the certificate of this connection is not good any more";
    let is_call = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if is_call {
        return Status::from(Failure::new(Category::Unauthenticated, "UNAUTHENTICATED", problem)).into_http();
    }
    (StatusCode::UNAUTHORIZED, format!("{problem}\n")).into_response()
}

/// The body of a request; dropping it before its end is noticed.
struct Upload<B: HttpBody + Unpin> {
    body: B,
    has_ended: bool,
    activity: Activity,
    /// What is thrown away after the answer, so that the client gets to read that, is no quiet connection.
    _noticed: Option<Request>,
}

impl<B: HttpBody + Unpin> Upload<B> {
    fn new(body: B, activity: Activity) -> Self {
        let noticed = (!body.is_end_stream()).then(|| activity.begin_body());
        Upload { body, has_ended: false, activity, _noticed: noticed }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Upload<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.has_ended |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl<B: HttpBody + Unpin> Drop for Upload<B> {
    fn drop(&mut self) {
        // A body in chunks tells its end only when it is read.
        if !self.has_ended && !self.body.is_end_stream() {
            self.activity.abandon_body();
        }
    }
}

/// The body of an answer, whose bytes are counted; dropping it ends the request.
pub(super) struct Answer {
    body: Body,
    entry: Option<Entry>,
    noticed: Request,
}

impl Answer {
    fn new(body: Body, entry: Option<Entry>, mut noticed: Request) -> Self {
        // A client of HTTP/2 that gives no window never lets it be asked for the first bytes.
        noticed.hand_over(true);
        Answer { body, entry, noticed }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.noticed.hand_over(frame.is_ready());
        if let (Poll::Ready(Some(Ok(frame))), Some(entry)) = (&frame, &mut self.entry) {
            entry.sent(frame.data_ref().map_or(0, Bytes::len));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn nothing_is_served_over_a_certificate_that_is_not_good_any_more() {
        let (router, shown) = (Router::new().fallback(async || "served"), Some(Arc::new(Shown::refused())));
        let mut requests = Requests { router, peer: Peer(None), shown, activity: Activity::new(), access_log: None };
        for (kind, status, code) in [
            ("application/grpc+proto", StatusCode::OK, Some(Code::Unauthenticated)),
            ("text/plain", StatusCode::UNAUTHORIZED, None),
        ] {
            let request = http::Request::builder().header(CONTENT_TYPE, kind).body(Body::empty()).expect("a request");
            let Ok(answer) = requests.call(request).await;
            assert_eq!(answer.status(), status, "{kind}");
            assert_eq!(Status::from_header_map(answer.headers()).map(|status| status.code()), code, "{kind}");
        }
    }
}
