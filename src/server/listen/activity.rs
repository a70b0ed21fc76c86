//! Whether a connection is quiet, and since when.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Limits;
use crate::auth::Acquaintance;

/// How long the words are with which a client of HTTP/2 begins.
const PREFACE_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// What a connection does. The clones are of one connection.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    /// When the connection began.
    start: Instant,
    /// Who is at the other end.
    acquaintance: Acquaintance,
    /// Requests that are not fully answered, and bodies of requests that are still read.
    requests: usize,
    /// Those of them whose client does not take what it was answered.
    unread: usize,
    /// When the last of these was handed something.
    unread_since: Instant,
    /// When the last of them ended, or the connection began.
    quiet_since: Instant,
    /// When the first byte after that came.
    first_byte: Option<Instant>,
    /// How many bytes came, as far as it matters.
    received_bytes: usize,
    has_served: bool,
    is_http2: bool,
    /// A request was answered before all of its body was read.
    has_unread_body: bool,
}

/// A request that is being answered, or whose body is read, until this is dropped.
pub(super) struct Request {
    activity: Activity,
    is_unread: bool,
}

impl Activity {
    pub(super) fn new() -> Self {
        Activity(Arc::new(Mutex::new(State::new(Instant::now()))))
    }

    /// Where it is noted who is at the other end.
    pub(super) fn acquaintance(&self) -> Acquaintance {
        self.0.lock().acquaintance.clone()
    }

    /// A request has come.
    pub(super) fn begin(&self, version: http::Version) -> Request {
        self.0.lock().begin(version);
        self.request()
    }

    /// The body of a request that has come is read, which may take longer than the answer.
    pub(super) fn begin_body(&self) -> Request {
        self.0.lock().requests += 1;
        self.request()
    }

    fn request(&self) -> Request {
        Request { activity: self.clone(), is_unread: false }
    }

    /// Bytes were read.
    pub(super) fn bytes_came(&self, count: usize) {
        self.0.lock().bytes_came(count, Instant::now());
    }

    /// Nobody reads what is left of the body of a request.
    pub(super) fn abandon_body(&self) {
        self.0.lock().has_unread_body = true;
    }

    /// The client of HTTP/1 may still be sending what nobody wants to read.
    pub(super) fn has_unread_body(&self) -> bool {
        let state = self.0.lock();
        state.has_unread_body && !state.is_http2
    }

    /// Returns when the connection has been quiet for too long.
    pub(super) async fn overdue(&self, limits: Limits) {
        loop {
            let now = Instant::now();
            // Hardly any state of things is overdue sooner than the timeout for heads after it began, so none is missed
            // for longer.
            let look_again = now + limits.head_timeout;
            let deadline = self.0.lock().deadline(limits).unwrap_or(look_again);
            if deadline <= now {
                return;
            }
            tokio::time::sleep_until(deadline.min(look_again)).await;
        }
    }

    /// Returns when, after a while, no request is being answered, or no client takes the answer.
    pub(super) async fn without_requests(&self, limits: Limits) {
        loop {
            tokio::time::sleep(limits.linger).await;
            let state = self.0.lock();
            if state.requests == 0 || state.deadline(limits).is_some_and(|deadline| deadline <= Instant::now()) {
                return;
            }
        }
    }
}

impl Request {
    /// There is something for the client, which has to be taken before more is asked for; or there is nothing yet.
    pub(super) fn hand_over(&mut self, is_something: bool) {
        self.activity.0.lock().hand_over(self.is_unread, is_something, Instant::now());
        self.is_unread = is_something;
    }
}

impl State {
    fn new(now: Instant) -> Self {
        State {
            start: now,
            acquaintance: Acquaintance::default(),
            requests: 0,
            unread: 0,
            unread_since: now,
            quiet_since: now,
            first_byte: None,
            received_bytes: 0,
            has_served: false,
            is_http2: false,
            has_unread_body: false,
        }
    }

    fn begin(&mut self, version: http::Version) {
        self.requests += 1;
        self.has_served = true;
        self.has_unread_body = false;
        self.is_http2 = version == http::Version::HTTP_2;
    }

    fn end(&mut self, now: Instant) {
        self.requests -= 1;
        if self.requests == 0 {
            self.quiet_since = now;
            self.first_byte = None;
        }
    }

    fn hand_over(&mut self, was_unread: bool, is_unread: bool, now: Instant) {
        self.unread = self.unread + usize::from(is_unread) - usize::from(was_unread);
        if is_unread {
            self.unread_since = now;
        }
    }

    fn bytes_came(&mut self, count: usize, now: Instant) {
        self.received_bytes = self.received_bytes.saturating_add(count);
        if self.requests == 0 && self.first_byte.is_none() {
            self.first_byte = Some(now);
        }
    }

    fn deadline(&self, limits: Limits) -> Option<Instant> {
        if self.requests > 0 && !self.is_kept(limits) {
            // One that is waited for, or that is read, keeps the others.
            return (self.unread == self.requests).then(|| self.unread_since + limits.unread_timeout);
        }
        let Some(idle_timeout) = limits.idle_timeout else { return self.deadline_of_channel(limits) };
        if !self.has_served {
            return Some(self.quiet_since + limits.head_timeout);
        }
        match self.first_byte {
            // Between requests, HTTP/2 has bytes that are no head.
            Some(first_byte) if !self.is_http2 => Some(first_byte + limits.head_timeout),
            Some(_) | None => Some(self.quiet_since + idle_timeout),
        }
    }

    /// From its first words on, a client of HTTP/2 is asked by pings whether it is there. That is enough of those who were
    /// let in; others would keep places that are for them.
    fn deadline_of_channel(&self, limits: Limits) -> Option<Instant> {
        if self.received_bytes < PREFACE_BYTES {
            return Some(self.start + limits.head_timeout);
        }
        (!self.is_kept(limits)).then(|| self.start + limits.stranger_timeout)
    }

    fn is_kept(&self, limits: Limits) -> bool {
        limits.idle_timeout.is_none() && self.acquaintance.is_admitted()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.activity.0.lock();
        let now = Instant::now();
        state.hand_over(self.is_unread, false, now);
        state.end(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Version;

    use super::*;
    use crate::config::Port;

    /// A connection, the time, and the seconds until it is overdue.
    struct Story {
        state: State,
        start: Instant,
        now: Instant,
    }

    impl Story {
        fn wait(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn serve(&mut self, version: Version) {
            self.state.begin(version);
            self.state.end(self.now);
        }

        /// At which second it is overdue.
        fn deadline(&self) -> Option<u64> {
            self.deadline_with(Limits::new(1))
        }

        fn deadline_with(&self, limits: Limits) -> Option<u64> {
            self.state.deadline(limits).map(|deadline| (deadline - self.start).as_secs())
        }
    }

    fn story() -> Story {
        let start = Instant::now();
        Story { state: State::new(start), start, now: start }
    }

    #[test]
    fn heads_have_less_time_than_idle_connections() {
        let mut story = story();
        assert_eq!(story.deadline(), Some(30), "nothing comes");
        story.wait(20);
        story.state.bytes_came(1, story.now);
        assert_eq!(story.deadline(), Some(30), "the first head does not end");
        story.serve(Version::HTTP_11);
        assert_eq!(story.deadline(), Some(20 + 120), "no other request comes");
        story.wait(100);
        story.state.bytes_came(1, story.now);
        story.wait(10);
        story.state.bytes_came(1, story.now);
        assert_eq!(story.deadline(), Some(120 + 30), "the next head does not end");
    }

    #[test]
    fn frames_of_http2_are_no_head() {
        let mut story = story();
        story.serve(Version::HTTP_2);
        story.wait(60);
        story.state.bytes_came(1, story.now);
        assert_eq!(story.deadline(), Some(120));
    }

    #[test]
    fn channels_of_grpc_are_kept_once_somebody_was_let_in() {
        let mut story = story();
        let limits = Limits::new(1).of(Port::Grpc);
        story.state.bytes_came(PREFACE_BYTES - 1, story.now);
        assert_eq!(story.deadline_with(limits), Some(30), "the first words do not end");
        story.state.bytes_came(1, story.now);
        assert_eq!(story.deadline_with(limits), Some(60), "nobody says who it is");
        story.wait(50);
        story.serve(Version::HTTP_2);
        assert_eq!(story.deadline_with(limits), Some(60), "a call that is refused, or that all may make");
        story.state.begin(Version::HTTP_2);
        assert_eq!(story.deadline_with(limits), None, "one that is being answered");
        story.state.hand_over(false, true, story.now);
        assert_eq!(story.deadline_with(limits), Some(50 + 300), "the answer is not taken");
        story.state.acquaintance.admit();
        assert_eq!(story.deadline_with(limits), None, "a stream that is not read for a while");
        story.state.end(story.now);
        story.wait(1000);
        assert_eq!(story.deadline_with(limits), None);
    }

    #[test]
    fn a_client_that_takes_no_answer_is_overdue() {
        let mut story = story();
        story.state.begin(Version::HTTP_2);
        story.state.begin(Version::HTTP_2);
        story.wait(10);
        story.state.hand_over(false, true, story.now);
        assert_eq!(story.deadline(), None, "the other is waited for");
        story.wait(10);
        story.state.hand_over(false, true, story.now);
        assert_eq!(story.deadline(), Some(20 + 300));
        story.state.hand_over(true, true, story.now + Duration::from_secs(5));
        assert_eq!(story.deadline(), Some(25 + 300), "one is read");
        story.state.hand_over(true, false, story.now);
        assert_eq!(story.deadline(), None, "all of it is read");
    }

    #[test]
    fn a_connection_with_a_request_that_is_waited_for_is_never_overdue() {
        let mut story = story();
        story.state.begin(Version::HTTP_2);
        story.state.begin(Version::HTTP_2);
        story.state.end(story.now);
        assert_eq!(story.deadline(), None);
        story.wait(1000);
        story.state.end(story.now);
        assert_eq!(story.deadline(), Some(1000 + 120));
    }
}
