//! Policies, quotas and usage.

use serde::Serialize;
use steward_proto::volume::v1 as pb;

use crate::cli::time;

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Policy {
    name: String,
    owner: String,
    schedule: String,
    time_zone: String,
    retention: Retention,
    paused: bool,
    next_time: Option<String>,
    last_time: Option<String>,
    last_error: String,
}

#[derive(Debug, Serialize)]
struct Retention {
    last: u32,
    hourly: u32,
    daily: u32,
    weekly: u32,
    monthly: u32,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Quota {
    user: String,
    max_bytes: u64,
    max_volumes: u64,
    max_snapshots: u64,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Usage {
    user: String,
    logical_bytes: u64,
    volumes: u64,
    snapshots: u64,
    used_bytes: u64,
    unique_bytes: u64,
    shared_bytes: u64,
    quota: Option<Quota>,
}

impl From<pb::SnapshotPolicy> for Policy {
    fn from(policy: pb::SnapshotPolicy) -> Self {
        Policy {
            name: policy.name,
            owner: policy.owner,
            schedule: policy.schedule,
            time_zone: policy.time_zone,
            retention: policy.retention.unwrap_or_default().into(),
            paused: policy.paused,
            next_time: time::json(policy.next_time),
            last_time: time::json(policy.last_time),
            last_error: policy.last_error,
        }
    }
}

impl From<pb::Retention> for Retention {
    fn from(retention: pb::Retention) -> Self {
        let pb::Retention { last, hourly, daily, weekly, monthly } = retention;
        Retention { last, hourly, daily, weekly, monthly }
    }
}

impl From<pb::Quota> for Quota {
    fn from(quota: pb::Quota) -> Self {
        let pb::Quota { user, max_bytes, max_volumes, max_snapshots } = quota;
        Quota { user, max_bytes, max_volumes, max_snapshots }
    }
}

impl From<pb::Usage> for Usage {
    fn from(usage: pb::Usage) -> Self {
        Usage {
            user: usage.user,
            logical_bytes: usage.logical_bytes,
            volumes: usage.volumes,
            snapshots: usage.snapshots,
            used_bytes: usage.used_bytes,
            unique_bytes: usage.unique_bytes,
            shared_bytes: usage.shared_bytes,
            quota: usage.quota.map(Quota::from),
        }
    }
}
