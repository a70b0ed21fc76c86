//! The JSON of `--json`: field names as in the protocol, times in RFC 3339, enums as lowercase words.
//!
//! This type is the promise to scripts; the generated message may change without it.

use serde::Serialize;
use steward_proto::audit::v1 as pb;

use crate::cli::json::word;
use crate::cli::{duration, time};

#[derive(Debug, Serialize)]
pub(super) struct Entry {
    number: i64,
    time: Option<String>,
    kind: String,
    user: String,
    proof: String,
    address: String,
    method: String,
    area: String,
    right: String,
    resource: String,
    outcome: String,
    reason: String,
    request_id: String,
    duration: Option<String>,
    count: i64,
}

impl From<pb::AuditEntry> for Entry {
    fn from(entry: pb::AuditEntry) -> Self {
        let kind = word(entry.kind().as_str_name(), "ENTRY_KIND_");
        Entry {
            number: entry.number,
            time: time::json(entry.time),
            kind,
            user: entry.user,
            proof: entry.proof,
            address: entry.address,
            method: entry.method,
            area: entry.area,
            right: entry.right,
            resource: entry.resource,
            outcome: entry.outcome,
            reason: entry.reason,
            request_id: entry.request_id,
            duration: entry.duration.and_then(duration::json),
            count: entry.count,
        }
    }
}
