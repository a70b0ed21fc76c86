//! One request to a server and its answer. Who asks, redirects and repetitions are for those above.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderName, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::TargetError;
use super::connect::{ConnectError, Connector};
use super::content::{Content, Counter, while_it_moves};
use super::url::Url;

/// How long a connection stays open that nobody uses.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);
/// How much an answer may have in its head, in bytes.
const MAX_HEAD_BYTES: u32 = 64 * 1024;
/// How this server is called in requests.
const AGENT: &str = concat!("steward/", env!("CARGO_PKG_VERSION"));

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Sends requests. Clones share the connections.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<Connector, Content>,
    patience: Duration,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
    /// How many times longer than usual the server may be silent: it may have much to do.
    pub(super) patience: u32,
}

impl Request {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Request { method, url, headers: HeaderMap::new(), content: Content::default(), patience: 1 }
    }

    #[must_use]
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    #[must_use]
    pub(super) fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    #[must_use]
    pub(super) fn patience(mut self, times: u32) -> Self {
        self.patience = times;
        self
    }
}

/// An answer. Its body is still to come.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Who answered, after all redirects.
    pub(super) url: Url,
    body: UnsyncBoxBody<Bytes, BoxError>,
    patience: Duration,
}

impl Http {
    pub(super) fn new(connector: Connector, patience: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(patience)
            .http2_max_header_list_size(MAX_HEAD_BYTES)
            .build(connector);
        Http { client, patience }
    }

    /// Sends a request and returns the head of the answer, whatever its status.
    pub(super) async fn send(&self, request: Request) -> Result<Response, TargetError> {
        let Request { method, url, headers, content, patience } = request;
        let patience = self.patience * patience;
        let counter = content.counter();
        let is_with_content = matches!(method, Method::PUT | Method::POST | Method::PATCH);
        let uri: Uri = url.whole().parse().map_err(|_| TargetError::Refused(format!("{url} is not a URL")))?;
        let mut request = http::Request::new(content);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let length = request.body().len();
        let all = request.headers_mut();
        *all = headers;
        all.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if is_with_content {
            all.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let origin = url.origin();
        let answer = while_it_moves(&counter, patience, &origin, self.client.request(request)).await?;
        let (head, body) = answer.map_err(|error| failed(&origin, &error))?.into_parts();
        let body = body.map_err(BoxError::from).boxed_unsync();
        Ok(Response { status: head.status, headers: head.headers, url, body, patience })
    }
}

fn failed(origin: &str, error: &(dyn std::error::Error + 'static)) -> TargetError {
    match ConnectError::behind(error) {
        Some(error) => error.into(),
        None => TargetError::Unreachable(format!("{origin} broke off: {}", innermost(error))),
    }
}

/// What an error is about in the end.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl Response {
    /// A header as text.
    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// When the server wants to be asked again, if it says so. A date is read by the clock of the server.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let value = self.header(RETRY_AFTER)?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let read = |text: &str| jiff::fmt::rfc2822::parse(text).ok();
        let then = read(value)?;
        let now = read(self.header(http::header::DATE)?)?;
        Some(Duration::from_secs(
            u64::try_from(then.timestamp().as_second() - now.timestamp().as_second()).unwrap_or(0),
        ))
    }

    /// Reads its body, of at most `limit` bytes.
    pub(super) async fn bytes(self, limit: usize) -> Result<Bytes, TargetError> {
        let origin = self.url.origin();
        let (read, is_whole) = self.beginning(limit).await?;
        if is_whole {
            return Ok(read);
        }
        Err(TargetError::Refused(format!("{origin} answered more than {limit} bytes")))
    }

    /// Reads its body, or the beginning of it; and whether that is all.
    pub(super) async fn beginning(self, limit: usize) -> Result<(Bytes, bool), TargetError> {
        let origin = self.url.origin();
        let mut body = self.body;
        let mut read = BytesMut::new();
        let still = Counter::default();
        while let Some(frame) = while_it_moves(&still, self.patience, &origin, body.frame()).await? {
            let frame = frame.map_err(|error| failed(&origin, &*error))?;
            let Ok(data) = frame.into_data() else { continue };
            let room = limit - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                return Ok((read.freeze(), false));
            }
        }
        Ok((read.freeze(), true))
    }

    /// Reads the rest of a short body, so that the connection can be used again.
    pub(super) async fn finish(self) {
        // A connection that broke off is seen by whoever uses it next.
        let _ = self.beginning(16 * 1024).await;
    }
}
