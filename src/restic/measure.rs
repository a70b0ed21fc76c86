//! What operators can see of repositories. The counters have the names and labels of rest-server, so that its
//! dashboards go on.

use metrics::{Gauge, counter, gauge};

use super::ledger::Account;
use super::name::{ObjectName, RepositoryPath};
use crate::clock::Timestamp;

/// The gauges of one repository.
#[derive(Debug)]
pub(super) struct Gauges {
    objects: Gauge,
    bytes: Gauge,
    deleted: Gauge,
    last_snapshot: Gauge,
}

impl Gauges {
    pub(super) fn new(path: &RepositoryPath) -> Self {
        let repo = path.to_string();
        Gauges {
            objects: gauge!("steward_restic_objects", "repo" => repo.clone()),
            bytes: gauge!("steward_restic_bytes", "repo" => repo.clone()),
            deleted: gauge!("steward_restic_deleted_bytes", "repo" => repo.clone()),
            last_snapshot: gauge!("steward_restic_last_snapshot_timestamp_seconds", "repo" => repo),
        }
    }

    /// Of a repository that is gone.
    pub(super) fn clear(&self) {
        self.show(&Account::default(), None);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; so many bytes are exact enough")]
    pub(super) fn show(&self, account: &Account, last_snapshot: Option<Timestamp>) {
        self.objects.set(account.objects as f64);
        self.bytes.set(account.bytes as f64);
        self.deleted.set(account.deleted as f64);
        self.last_snapshot.set(last_snapshot.map_or(0.0, |time| time.nanos() as f64 / 1e9));
    }
}

/// What is done to the bytes of an object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Write,
    Read,
    Delete,
}

impl Action {
    /// The counters of how often, and of how many bytes.
    fn counters(self) -> (&'static str, &'static str) {
        match self {
            Action::Write => ("rest_server_blob_write_total", "rest_server_blob_write_bytes_total"),
            Action::Read => ("rest_server_blob_read_total", "rest_server_blob_read_bytes_total"),
            Action::Delete => ("rest_server_blob_delete_total", "rest_server_blob_delete_bytes_total"),
        }
    }
}

/// Counts one.
pub(super) fn count(action: Action, user: Option<&str>, path: &RepositoryPath, object: ObjectName, bytes: u64) {
    let labels = [
        ("user", user.unwrap_or_default().to_owned()),
        // As rest-server has it: the root repository has no name.
        ("repo", path.as_str().to_owned()),
        ("type", object.object_type().directory().to_owned()),
    ];
    let (times, sum) = action.counters();
    counter!(times, &labels).increment(1);
    counter!(sum, &labels).increment(bytes);
}

/// Counts a request that was refused. Only for repositories that there are: others are named by whoever asks.
pub(super) fn refused(path: &RepositoryPath, reason: &'static str) {
    counter!("steward_restic_refusals_total", "repo" => path.to_string(), "reason" => reason).increment(1);
}
