//! A line in the making.

use std::time::Instant;

use super::{AccessLog, Line};
use crate::auth::Identity;
use crate::telemetry::REQUEST_ID;

/// The line of one request; dropping it writes it.
pub(in crate::server) struct Entry {
    log: AccessLog,
    line: Line,
    started: Instant,
}

impl Entry {
    pub(super) fn new(log: AccessLog, line: Line) -> Self {
        Entry { log, line, started: Instant::now() }
    }

    /// Notes what is answered. Who asked is taken from the [`Identity`] in the extensions of the response, where there
    /// is one.
    pub(in crate::server) fn answered<B>(&mut self, response: &http::Response<B>) {
        self.line.status = response.status().as_u16();
        self.line.request_id = response.headers().get(REQUEST_ID).cloned();
        if let Some(identity) = response.extensions().get::<Identity>() {
            self.line.user.clone_from(&identity.user);
            self.line.client = identity.address.or(self.line.client);
        }
    }

    /// Notes that so many bytes of the body are on their way.
    pub(in crate::server) fn sent(&mut self, bytes: usize) {
        self.line.bytes = self.line.bytes.saturating_add(bytes as u64);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.line.duration = self.started.elapsed();
        self.log.write(&self.line);
    }
}
