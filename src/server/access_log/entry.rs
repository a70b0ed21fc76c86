//! A line in the making.

use std::time::Instant;

use steward_gateway::CallerNote;

use super::{AccessLog, Line};
use crate::telemetry::REQUEST_ID;

/// The line of one request; dropping it writes it.
pub(in crate::server) struct Entry {
    log: AccessLog,
    line: Line,
    started: Instant,
    caller: CallerNote,
}

impl Entry {
    pub(super) fn new(log: AccessLog, line: Line) -> Self {
        Entry { log, line, started: Instant::now(), caller: CallerNote::default() }
    }

    /// Where it is noted who asks.
    pub(in crate::server) fn caller(&self) -> CallerNote {
        self.caller.clone()
    }

    /// Notes what is answered.
    pub(in crate::server) fn answered<B>(&mut self, response: &http::Response<B>) {
        self.line.status = response.status().as_u16();
        self.line.request_id = response.headers().get(REQUEST_ID).cloned();
    }

    /// Notes that so many bytes of the body are on their way.
    pub(in crate::server) fn sent(&mut self, bytes: usize) {
        self.line.bytes = self.line.bytes.saturating_add(bytes as u64);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.line.duration = self.started.elapsed();
        self.line.user = self.caller.user().map(str::to_owned);
        self.line.client = self.caller.address().or(self.line.client);
        self.log.write(&self.line);
    }
}
