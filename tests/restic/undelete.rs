//! What is deleted can be restored for a while.

use steward_proto::restic::v1::{ObjectType, UndeleteObjectsRequest};

use crate::common::server::{Server, Setup};
use crate::common::wait::eventually;
use crate::fixture;
use crate::native::Objects;
use crate::restic::{Files, Restic};
use crate::tree::{file_of, files};
use crate::vocabulary::{Blob, Repo, assert_ok, assert_refused, blob};

async fn start(window: &str) -> (Server, Repo, Objects) {
    let server = Setup::default().config(&format!("[restic]\nundelete = {window:?}")).start().await;
    let (repo, objects) = (Repo::at(server.http(), "/restic/a/"), Objects::of(&server));
    repo.create().await;
    (server, repo, objects)
}

async fn delete(repo: &Repo, kind: &str, blob: &Blob) {
    assert_ok(&repo.delete(&format!("{kind}/{}", blob.name)).await);
}

fn everything() -> UndeleteObjectsRequest {
    UndeleteObjectsRequest { repository: "a".to_owned(), ..UndeleteObjectsRequest::default() }
}

#[tokio::test]
async fn a_deleted_object_is_hidden_and_comes_back() {
    let (server, repo, objects) = start("1h").await;
    let object = blob("worth keeping");
    repo.store("data", &object).await;

    delete(&repo, "data", &object).await;

    assert!(!repo.has("data", &object).await);
    assert_eq!(repo.list("data").await, []);
    assert_refused(&repo.get(&format!("data/{}", object.name)).await, 404);
    assert!(!file_of(&server.data().join("restic/a"), "data", &object.name).exists(), "restic does not see it either");
    let deleted = objects.deleted("a").await;
    let key = deleted[0].object.as_ref().expect("an object").key.as_ref().expect("a key");
    assert_eq!((deleted.len(), key.name.as_str(), key.r#type()), (1, object.name.as_str(), ObjectType::Data));

    let restored = objects.undelete(everything()).await;

    assert_eq!((restored.restored_count, restored.restored_bytes), (1, 13));
    assert_eq!(repo.get(&format!("data/{}", object.name)).await.text(), "worth keeping");
    assert_eq!(repo.names("data").await, [object.name]);
    assert_eq!(objects.deleted("a").await, []);
}

#[tokio::test]
async fn what_was_deleted_survives_a_crash() {
    let (mut server, repo, objects) = start("1h").await;
    let object = blob("worth keeping");
    repo.store("snapshots", &object).await;
    delete(&repo, "snapshots", &object).await;

    server.restart().await;

    assert_eq!(repo.list("snapshots").await, []);
    assert_eq!(objects.deleted("a").await.len(), 1);
    assert_eq!(objects.undelete(everything()).await.restored_count, 1);
    assert!(repo.has("snapshots", &object).await);
}

#[tokio::test]
async fn only_what_is_named_is_restored() {
    let (_server, repo, objects) = start("1h").await;
    let [first, second, snapshot] = ["first", "second", "snapshot"].map(blob);
    for (kind, blob) in [("data", &first), ("data", &second), ("snapshots", &snapshot)] {
        repo.store(kind, blob).await;
        delete(&repo, kind, blob).await;
    }

    let only_one = UndeleteObjectsRequest { r#type: ObjectType::Data.into(), name: first.name.clone(), ..everything() };
    assert_eq!(objects.undelete(only_one).await.restored_count, 1);
    assert_eq!((repo.names("data").await, repo.names("snapshots").await), (vec![first.name.clone()], vec![]));

    let only_snapshots = UndeleteObjectsRequest { r#type: ObjectType::Snapshot.into(), ..everything() };
    assert_eq!(objects.undelete(only_snapshots).await.restored_count, 1);
    assert_eq!(repo.names("snapshots").await, [snapshot.name]);
    assert!(!repo.has("data", &second).await);
}

#[tokio::test]
async fn what_is_there_again_stays_as_it_is() {
    let (_server, repo, objects) = start("1h").await;
    assert_ok(&repo.post("config", b"the old one").await);
    assert_ok(&repo.delete("config").await);
    assert_ok(&repo.post("config", b"the new one").await);
    let object = blob("stored twice");
    repo.store("data", &object).await;
    delete(&repo, "data", &object).await;
    repo.store("data", &object).await;

    assert_eq!(objects.undelete(everything()).await.restored_count, 0);

    assert_eq!(repo.get("config").await.text(), "the new one");
    assert_eq!(repo.list("data").await.len(), 1);
}

#[tokio::test]
async fn locks_are_gone_at_once() {
    let (_server, repo, objects) = start("1h").await;
    let lock = blob("a lock");
    repo.store("locks", &lock).await;
    delete(&repo, "locks", &lock).await;
    assert_eq!(objects.deleted("a").await, []);
}

#[tokio::test]
async fn after_the_window_nothing_is_left() {
    let (server, repo, objects) = start("1s").await;
    let object = blob("not worth keeping");
    repo.store("data", &object).await;
    delete(&repo, "data", &object).await;
    let kept = server.data().join("restic/a/.steward/deleted");

    eventually("it is swept", async || files(&kept).is_empty().then_some(())).await;

    assert_eq!(objects.deleted("a").await, []);
    assert_eq!(objects.undelete(everything()).await.restored_count, 0);
    assert_eq!(objects.repository("a").await.deleted_bytes, 0);
}

#[tokio::test]
async fn a_pruned_backup_is_brought_back() {
    let Some(restic) = Restic::newest("undelete::a_pruned_backup_is_brought_back") else { return };
    let (_server, repo, objects) = start("1h").await;
    fixture::make_at(&repo).await;
    let restic = restic.at(&repo);
    let mut data = Files::new();
    restic.backup(data.path()).await;
    data.change();
    restic.backup(data.path()).await;
    restic.ok(&["forget", "--keep-last", "1", "--prune"]).await;
    assert_eq!(restic.snapshots().await, 1);

    objects.undelete(everything()).await;

    assert_eq!(restic.snapshots().await, 2);
    restic.ok(&["check", "--read-data"]).await;
    restic.assert_restores(data.path()).await;
}
