//! Changes, told as they happen.

use steward_proto::restic::v1::watch_response::Kind;
use steward_proto::restic::v1::{ObjectKey, ObjectType, UndeleteObjectsRequest, WatchRequest, WatchResponse};
use tonic::Code;

use crate::common::server::Setup;
use crate::common::temporary;
use crate::common::users::{by, htpasswd};
use crate::common::wait::within;
use crate::native::{Objects, key, refusal};
use crate::vocabulary::{Repo, assert_ok, blob};

fn of(repository: &str) -> WatchRequest {
    WatchRequest { repository: repository.to_owned(), ..WatchRequest::default() }
}

fn told(change: &WatchResponse) -> (Kind, ObjectKey) {
    (change.kind(), change.object.as_ref().and_then(|object| object.key.clone()).unwrap_or_default())
}

#[tokio::test]
async fn what_is_there_comes_first_and_then_every_change() {
    let server = Setup::default().start().await;
    let (repo, objects) = (Repo::at(server.http(), "/restic/a/"), Objects::of(&server));
    let [old, new] = ["old", "new"].map(blob);
    repo.store("data", &old).await;
    let mut watch = objects.watch(of("a")).await;

    let first = watch.next().await;
    assert_eq!(told(&first), (Kind::Stored, key("a", ObjectType::Data, &old.name)));
    assert_eq!(first.object.expect("an object").size, 3);
    assert_eq!(watch.next().await.kind(), Kind::Synced);

    repo.store("snapshots", &new).await;
    assert_ok(&repo.delete(&format!("data/{}", old.name)).await);
    assert_ok(&repo.post("config", b"the config").await);

    let changes = [watch.next().await, watch.next().await, watch.next().await];
    assert_eq!(told(&changes[0]), (Kind::Stored, key("a", ObjectType::Snapshot, &new.name)));
    assert_eq!(told(&changes[1]), (Kind::Deleted, key("a", ObjectType::Data, &old.name)));
    assert_eq!(told(&changes[2]), (Kind::Stored, key("a", ObjectType::Config, "")));
    assert!(changes.is_sorted_by(|one, next| one.revision < next.revision), "{changes:?}");
}

#[tokio::test]
async fn a_watch_of_one_type_in_one_repository_hears_of_nothing_else() {
    let server = Setup::default().start().await;
    let (repo, other) = (Repo::at(server.http(), "/restic/a/"), Repo::at(server.http(), "/restic/b/"));
    repo.create().await;
    let request = WatchRequest { r#type: ObjectType::Snapshot.into(), ..of("a") };
    let mut watch = Objects::of(&server).watch(request).await;
    assert_eq!(watch.next().await.kind(), Kind::Synced);

    repo.store("data", &blob("not watched")).await;
    other.store("snapshots", &blob("elsewhere")).await;
    repo.store("snapshots", &blob("watched")).await;

    assert_eq!(told(&watch.next().await), (Kind::Stored, key("a", ObjectType::Snapshot, &blob("watched").name)));
}

#[tokio::test]
async fn a_watch_goes_on_where_another_one_ended() {
    let server = Setup::default().start().await;
    let (repo, objects) = (Repo::at(server.http(), "/restic/a/"), Objects::of(&server));
    repo.create().await;
    let mut watch = objects.watch(of("a")).await;
    assert_eq!(watch.next().await.kind(), Kind::Synced);
    let names = ["one", "two", "three"].map(blob);
    repo.store("data", &names[0]).await;
    let seen = watch.next().await.revision;
    drop(watch);
    repo.store("data", &names[1]).await;
    repo.store("data", &names[2]).await;

    let mut watch = objects.watch(WatchRequest { from_revision: seen, ..of("a") }).await;

    for name in &names[1..] {
        assert_eq!(told(&watch.next().await), (Kind::Stored, key("a", ObjectType::Data, &name.name)));
    }
}

#[tokio::test]
async fn what_is_restored_is_told() {
    let server = Setup::default().config("[restic]\nundelete = \"1h\"").start().await;
    let (repo, objects) = (Repo::at(server.http(), "/restic/a/"), Objects::of(&server));
    let object = blob("back");
    repo.store("data", &object).await;
    assert_ok(&repo.delete(&format!("data/{}", object.name)).await);
    let mut watch = objects.watch(of("a")).await;
    assert_eq!(watch.next().await.kind(), Kind::Synced);

    objects.undelete(UndeleteObjectsRequest { repository: "a".to_owned(), ..Default::default() }).await;

    assert_eq!(told(&watch.next().await), (Kind::Stored, key("a", ObjectType::Data, &object.name)));
}

#[tokio::test]
async fn what_another_life_of_the_server_told_is_no_longer_remembered() {
    let mut server = Setup::default().start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    repo.create().await;
    let mut watch = Objects::of(&server).watch(of("a")).await;
    assert_eq!(watch.next().await.kind(), Kind::Synced);
    repo.store("data", &blob("seen")).await;
    let seen = watch.next().await.revision;
    repo.store("data", &blob("missed")).await;

    server.restart().await;

    let request = WatchRequest { from_revision: seen, ..of("a") };
    let mut client = Objects::of(&server).client;
    let opened = within("an answer", client.watch(request)).await;
    // The stream may open before it is found out.
    let result = match opened {
        Err(status) => Err(status),
        Ok(stream) => within("an answer", stream.into_inner().message()).await,
    };
    assert_eq!(refusal(result), (Code::OutOfRange, "REVISION_COMPACTED".to_owned()));
}

#[tokio::test]
async fn so_many_may_watch_and_no_more() {
    let server = Setup::default().config("[restic]\nmax_watchers = 2").start().await;
    Repo::at(server.http(), "/restic/a/").create().await;
    let objects = Objects::of(&server);
    let mut watches = [objects.watch(of("a")).await, objects.watch(of("a")).await];
    for watch in &mut watches {
        assert_eq!(watch.next().await.kind(), Kind::Synced);
    }
    let third = within("an answer", objects.client.clone().watch(of("a"))).await;
    assert_eq!(refusal(third), (Code::ResourceExhausted, "TOO_MANY_WATCHERS".to_owned()));
}

#[tokio::test]
async fn one_user_may_watch_a_quarter_of_that_and_others_as_well() {
    let home = temporary::directory();
    let file = htpasswd(home.path(), &[("alice", "alice"), ("bob", "bob")]);
    let config = format!("[auth]\nhtpasswd = {file:?}\n[restic]\nmax_watchers = 8");
    let server = Setup::default().config(&config).start_in(home).await;
    Repo::at(server.http(), "/restic/a/").by("alice", "alice").create().await;
    let objects = Objects::of(&server);
    let watch = async |user: &str| within("an answer", objects.client.clone().watch(by(user, of("a")))).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(watch("alice").await.expect("a watch"));
    }

    let third = watch("alice").await;

    assert_eq!(refusal(third), (Code::ResourceExhausted, "TOO_MANY_WATCHERS".to_owned()));
    watch("bob").await.expect("a watch of another user");
}
