//! The body of a request as it comes in, and what becomes of it when nobody wants it.
//!
//! A client that writes all of its request before it reads would never see an answer sent before that: closed with
//! unread bytes in it, the connection is reset. So a body that is refused is read to its end all the same.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::Version;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::request::Parts;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::options::Options;

/// Over so much waiting for the client, a body has to bring so many bytes at least: fewer are an upload that is meant
/// never to end.
const PACE_TIME: Duration = Duration::from_mins(5);
/// The least bytes of that time.
const PACE_BYTES: u64 = 64 * 1024;
/// How long a body that nobody wants is read at most.
const LINGER_TIME: Duration = Duration::from_mins(10);

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The client went away, or its framing is broken.
    Broken,
    /// Nothing, or next to nothing, came for too long.
    Idle,
}

/// A body that is being read.
pub(crate) struct Incoming {
    body: Body,
    /// The client sends it only when it is asked to: when it is first read.
    is_held_back: bool,
    is_over: bool,
    /// A reset that says "no error" is told as the end of the body, so an end is one only if the stream has ended.
    is_stream: bool,
    /// How long the client was waited for, and what it brought, since the last look.
    waited: Duration,
    came: u64,
    idle_timeout: Duration,
    linger_limit: u64,
}

impl Incoming {
    pub(crate) fn new(body: Body, head: &Parts, options: &Options) -> Self {
        Self::bounded(body, head, options.body_idle_timeout, options.max_upload_bytes)
    }

    /// One that may bring nothing for a time, and of which only so many bytes are thrown away.
    pub(crate) fn bounded(body: Body, head: &Parts, idle_timeout: Duration, linger_limit: u64) -> Self {
        let is_held_back =
            head.headers.get(EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self {
            is_over: body.is_end_stream(),
            body,
            is_held_back,
            is_stream: head.version == Version::HTTP_2,
            waited: Duration::ZERO,
            came: 0,
            idle_timeout,
            linger_limit,
        }
    }

    /// Tells whether the client waits to be asked for the body.
    pub(crate) fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// How many bytes are still to come, where the client has said so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Answers the next bytes, which are some, or `None` at the end. Not to be asked again after an error.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Interruption> {
        self.is_held_back = false;
        loop {
            let asked = Instant::now();
            let frame = match timeout(self.idle_timeout, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) if self.is_stream && !self.body.is_end_stream() => {
                    return Err(self.interrupted(Interruption::Broken));
                }
                Ok(None) => {
                    self.is_over = true;
                    return Ok(None);
                }
                Ok(Some(Err(_))) => return Err(self.interrupted(Interruption::Broken)),
                Err(_) => return Err(self.interrupted(Interruption::Idle)),
            };
            let bytes = frame.into_data().unwrap_or_default();
            if self.is_too_slow(asked.elapsed(), bytes.len() as u64) {
                return Err(self.interrupted(Interruption::Idle));
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    /// Counts what came after a wait. The time in which nobody asked is not the client's.
    fn is_too_slow(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.came += bytes;
        if self.waited < PACE_TIME {
            return false;
        }
        let is_too_slow = self.came < PACE_BYTES;
        (self.waited, self.came) = (Duration::ZERO, 0);
        is_too_slow
    }

    /// Reads to the end, or up to a limit, and throws away what comes.
    pub(crate) async fn drain(&mut self) -> Result<(), Interruption> {
        let mut length = 0;
        while let Some(bytes) = self.next().await? {
            length += bytes.len() as u64;
            if length > self.linger_limit {
                break;
            }
        }
        Ok(())
    }

    /// Tells whether the connection can serve another request, once what is left of the body has been thrown away.
    pub(crate) fn is_left_open(&self) -> bool {
        // What is held back may come all the same, and would be taken for the next request.
        self.is_over || !self.is_held_back && self.body.size_hint().lower() <= self.linger_limit
    }

    /// Goes on reading beside the answer, so that the client gets to read that.
    pub(crate) fn linger(mut self, shutdown: CancellationToken) {
        if self.is_over || self.is_held_back {
            return;
        }
        // It holds nothing that anybody would miss, so nobody waits for it.
        tokio::spawn(async move { shutdown.run_until_cancelled(timeout(LINGER_TIME, self.drain())).await });
    }

    /// Reads away what is left of the body beside an answer, and says so in its headers when the connection has to be
    /// closed for that.
    pub(crate) fn see_off(self, response: &mut Response, version: Version, shutdown: CancellationToken) {
        let headers = response.headers_mut();
        if !self.is_left_open() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if version > Version::HTTP_11 {
            // There a stream is closed, never the connection that others share.
            headers.remove(CONNECTION);
        }
        self.linger(shutdown);
    }

    /// Reads no more of it.
    pub(crate) fn give_up(&mut self) {
        self.is_over = true;
    }

    fn interrupted(&mut self, interruption: Interruption) -> Interruption {
        self.give_up();
        interruption
    }
}
