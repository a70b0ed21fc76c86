//! What is counted. The counters are looked up once: a request is done in less time than that takes.

use metrics::{Counter, Gauge, counter, gauge};

use super::request::Command;

/// What is counted.
pub(super) struct Measures {
    pub(super) connections: Gauge,
    pub(super) sessions: Gauge,
    pub(super) refused_connections: Counter,
    pub(super) received_bytes: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) errors: Counter,
    reads: Counter,
    writes: Counter,
    flushes: Counter,
    trims: Counter,
    caches: Counter,
    zeroes: Counter,
    statuses: Counter,
    others: Counter,
}

impl Measures {
    pub(super) fn new() -> Self {
        describe();
        let requests = |command: &'static str| counter!("steward_nbd_requests_total", "command" => command);
        Measures {
            connections: gauge!("steward_nbd_connections"),
            sessions: gauge!("steward_nbd_sessions"),
            refused_connections: counter!("steward_nbd_refused_connections_total"),
            received_bytes: counter!("steward_nbd_received_bytes_total"),
            sent_bytes: counter!("steward_nbd_sent_bytes_total"),
            errors: counter!("steward_nbd_errors_total"),
            reads: requests("read"),
            writes: requests("write"),
            flushes: requests("flush"),
            trims: requests("trim"),
            caches: requests("cache"),
            zeroes: requests("write_zeroes"),
            statuses: requests("block_status"),
            others: requests("other"),
        }
    }

    /// A request came.
    pub(super) fn count(&self, command: Option<Command>) {
        let counter = match command {
            Some(Command::Read) => &self.reads,
            Some(Command::Write) => &self.writes,
            Some(Command::Flush) => &self.flushes,
            Some(Command::Trim) => &self.trims,
            Some(Command::Cache) => &self.caches,
            Some(Command::WriteZeroes) => &self.zeroes,
            Some(Command::BlockStatus) => &self.statuses,
            Some(Command::Disconnect) | None => &self.others,
        };
        counter.increment(1);
    }
}

fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_gauge!("steward_nbd_connections", "Open connections of NBD.");
    describe_gauge!("steward_nbd_sessions", "Connections of NBD that have a device open.");
    describe_counter!(
        "steward_nbd_refused_connections_total",
        "Connections that were closed because there were too many."
    );
    describe_counter!("steward_nbd_received_bytes_total", "Bytes that clients of NBD sent.");
    describe_counter!("steward_nbd_sent_bytes_total", "Bytes that clients of NBD were sent.");
    describe_counter!("steward_nbd_errors_total", "Requests of NBD that were refused or failed.");
    describe_counter!("steward_nbd_requests_total", "Requests of NBD, by command.");
}

/// Adds one to a gauge for as long as it lives.
pub(super) struct Counted(Gauge);

impl Counted {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
