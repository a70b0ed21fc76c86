//! What operators may do, and the record of it.

use steward_proto::lock::v1::{
    AcquireStatus, AuditAction, AuditRecord, DeleteCompletionRequest, ForceReleaseRequest, ForceReleaseResponse,
    ListAuditRecordsRequest, LockEventKind, LockKey, Outcome,
};
use tonic::{Code, Status};

use crate::common::server::Server;
use crate::common::wait::within;
use crate::vocabulary::{AcquireWords as _, Locks, acquire, pull, refusal, release, wrong_fields};

async fn force_release(locks: &Locks, key: &LockKey, owner: &str) -> Result<ForceReleaseResponse, Status> {
    let request = ForceReleaseRequest {
        key: Some(key.clone()),
        owner: owner.to_owned(),
        reason: "node is dead".to_owned(),
        actor: "operator".to_owned(),
    };
    Ok(within("an answer", locks.client.clone().force_release(request)).await?.into_inner())
}

async fn delete_completion(locks: &Locks, key: &LockKey, reason: &str) -> Result<Option<String>, Status> {
    let request =
        DeleteCompletionRequest { key: Some(key.clone()), reason: reason.to_owned(), actor: "operator".to_owned() };
    let answer = within("an answer", locks.client.clone().delete_completion(request)).await?.into_inner();
    Ok(answer.completion.map(|completion| completion.owner))
}

async fn audit(locks: &Locks) -> Vec<AuditRecord> {
    let request = ListAuditRecordsRequest::default();
    let answer = within("an answer", locks.client.clone().list_audit_records(request)).await;
    answer.expect("the audit log can be read").into_inner().records
}

#[tokio::test]
async fn a_lock_can_be_taken_from_a_dead_node() {
    let mut server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:ghost");
    let mut watch = locks.watch_key(&key).await;
    let ghost = locks.hold(acquire(&key, "ghost")).await;
    locks.queue(acquire(&key, "B")).await;

    let answer = force_release(&locks, &key, "").await.expect("somebody holds it");

    assert_eq!((answer.released_count, answer.next_owner.as_str()), (1, "B"));
    let told = watch.next_of(LockEventKind::ForceReleased).await;
    assert_eq!((told.owner.as_str(), told.error.as_str()), ("ghost", "node is dead"));
    assert!(!locks.is_current(&key, ghost.fencing_token).await);
    let late = locks.release(release(&ghost, Outcome::Succeeded)).await;
    assert_eq!(refusal(late), (Code::FailedPrecondition, "NOT_HOLDER".to_owned()));

    server.restart().await;
    let record = audit(&locks).await.remove(0);
    assert_eq!(record.action(), AuditAction::ForceRelease);
    assert_eq!((record.actor.as_str(), record.reason.as_str()), ("operator", "node is dead"));
    assert_eq!((record.key, record.owners), (Some(key), vec!["ghost".to_owned()]));
    assert!(record.event_time.is_some() && !record.request_id.is_empty());
}

#[tokio::test]
async fn a_lock_can_be_taken_from_one_of_its_holders() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:shared");
    for owner in ["R1", "R2", "R3"] {
        locks.hold(acquire(&key, owner).shared()).await;
    }

    assert_eq!(force_release(&locks, &key, "R2").await.expect("it holds").released_count, 1);
    assert_eq!(locks.get(&key).await.holder_count, 2);
    assert_eq!(force_release(&locks, &key, "").await.expect("two hold").released_count, 2);
    assert_eq!(locks.get(&key).await.holder_count, 0);
}

#[tokio::test]
async fn there_is_nothing_to_take_where_nobody_holds() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:idle");
    let not_found = || (Code::NotFound, "NOT_FOUND".to_owned());
    assert_eq!(refusal(force_release(&locks, &key, "").await), not_found());
    locks.hold(acquire(&key, "A")).await;
    assert_eq!(refusal(force_release(&locks, &key, "B").await), not_found());
    assert_eq!(audit(&locks).await, [], "nothing was done");
}

#[tokio::test]
async fn a_success_can_be_forgotten_so_that_the_work_is_done_again() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:redo");
    let held = locks.hold(acquire(&key, "A")).await;
    locks.give_back(&held, Outcome::Succeeded).await;
    let skipped = locks.acquire(acquire(&key, "B")).await.expect("an answer");
    assert_eq!(skipped.status(), AcquireStatus::Skipped);

    let forgotten = delete_completion(&locks, &key, "layer was lost").await.expect("there is a record");

    assert_eq!(forgotten.as_deref(), Some("A"));
    locks.hold(acquire(&key, "B")).await;
    let again = delete_completion(&locks, &key, "layer was lost").await;
    assert_eq!(refusal(again), (Code::NotFound, "NOT_FOUND".to_owned()));
    let record = audit(&locks).await.remove(0);
    assert_eq!((record.action(), record.owners), (AuditAction::DeleteCompletion, vec!["A".to_owned()]));
}

#[tokio::test]
async fn the_audit_log_has_the_newest_act_first() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    for number in 0..5 {
        let key = pull(&format!("sha256:{number}"));
        locks.hold(acquire(&key, "A")).await;
        force_release(&locks, &key, "").await.expect("it is held");
    }
    let request = ListAuditRecordsRequest { page_size: 3, page_token: String::new() };
    let first = within("a page", locks.client.clone().list_audit_records(request)).await;
    let first = first.expect("a page").into_inner();
    let request = ListAuditRecordsRequest { page_size: 3, page_token: first.next_page_token };
    let second = within("a page", locks.client.clone().list_audit_records(request)).await;
    let second = second.expect("a page").into_inner();

    let records = first.records.into_iter().chain(second.records);
    let names: Vec<String> = records.map(|record| record.key.expect("a key").resource_id).collect();

    assert_eq!(names, ["sha256:4", "sha256:3", "sha256:2", "sha256:1", "sha256:0"]);
    assert_eq!((first.total_size, second.next_page_token.as_str()), (5, ""));
}

#[tokio::test]
async fn an_act_needs_a_reason() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:why");
    locks.hold(acquire(&key, "A")).await;
    let request = ForceReleaseRequest { key: Some(key.clone()), ..ForceReleaseRequest::default() };
    let answer = within("an answer", locks.client.clone().force_release(request)).await;
    assert_eq!(wrong_fields(answer), ["reason"]);
    assert_eq!(wrong_fields(delete_completion(&locks, &key, "").await), ["reason"]);
    assert_eq!(locks.get(&key).await.holder_count, 1);
}
