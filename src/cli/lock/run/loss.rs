//! Notices at once that the lock may be lost, instead of at the next renewal.

use std::time::Duration;

use steward_proto::lock::v1 as pb;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::lock::v1::watch_response::Update;
use tokio::time::sleep;
use tonic::Status;

use crate::cli::connect::Channel;

/// How long to wait before a watch that broke is opened again. Until then the renewals alone tell of a loss.
const REOPEN_AFTER: Duration = Duration::from_secs(5);

/// Returns when the server says that this grant has ended. Whether it is so is for a renewal to find out.
pub(super) async fn sign(mut locks: LockServiceClient<Channel>, grant: pb::Grant) {
    loop {
        if let Ok(true) = has_ended(&mut locks, &grant).await {
            return;
        }
        sleep(REOPEN_AFTER).await;
    }
}

/// Watches the lock until it is seen without the grant; `false` when the watch ends before.
async fn has_ended(locks: &mut LockServiceClient<Channel>, grant: &pb::Grant) -> Result<bool, Status> {
    let request = pb::WatchRequest { key: grant.key.clone(), ..pb::WatchRequest::default() };
    let mut updates = locks.watch(request).await?.into_inner();
    while let Some(message) = updates.message().await? {
        if message.update.is_some_and(|update| tells_of_end(&update, grant.fencing_token)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn tells_of_end(update: &Update, token: i64) -> bool {
    match update {
        Update::Snapshot(lock) => {
            // Of very many holders the snapshot shows a part.
            let is_whole = usize::try_from(lock.holder_count).is_ok_and(|count| count == lock.holders.len());
            is_whole && lock.holders.iter().all(|holder| holder.fencing_token != token)
        }
        Update::Event(event) => {
            let is_end = match event.kind() {
                pb::LockEventKind::Released
                | pb::LockEventKind::Expired
                | pb::LockEventKind::ForceReleased
                | pb::LockEventKind::LeaseLost => true,
                pb::LockEventKind::Unspecified
                | pb::LockEventKind::Granted
                | pb::LockEventKind::Enqueued
                | pb::LockEventKind::Assigned
                | pb::LockEventKind::Claimed
                | pb::LockEventKind::Renewed
                | pb::LockEventKind::Completed
                | pb::LockEventKind::CompletionDropped
                | pb::LockEventKind::WaitCancelled => false,
            };
            is_end && event.grant.as_ref().is_some_and(|ended| ended.fencing_token == token)
        }
        Update::SnapshotEnd(_) | Update::Progress(_) => false,
    }
}
