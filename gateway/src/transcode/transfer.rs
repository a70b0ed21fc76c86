//! Who moves the bytes of a task, as the query says it: `worker_id`, and `lease_token` where the worker has one.

use super::number;
use super::path::TaskId;
use super::query::Query;
use super::refusal::Refusal;

/// A task, and what its worker proves its claim with.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) task_id: String,
    pub(super) lease_token: String,
    pub(super) worker_id: i32,
}

impl Claim {
    pub(super) fn of(id: &TaskId, query: &Query) -> Result<Self, Refusal> {
        Ok(Self {
            task_id: id.uuid()?,
            lease_token: query.first("lease_token").unwrap_or_default().to_owned(),
            worker_id: query.whole("worker_id").map(number::clamp).unwrap_or_default(),
        })
    }
}
