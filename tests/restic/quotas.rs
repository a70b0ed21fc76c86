//! How much may be stored.

use futures::future::join_all;

use crate::common::rest_server::RestServer;
use crate::common::server::Setup;
use crate::common::temporary;
use crate::common::users::htpasswd;
use crate::native::Objects;
use crate::tree::{assert_nothing_left_over, files};
use crate::vocabulary::{Blob, Repo, assert_ok, assert_refused, blob, noise};

const QUOTA: usize = 1_000_000;

fn sized(seed: u64, length: usize) -> Blob {
    blob(noise(seed, length))
}

fn path(blob: &Blob) -> String {
    format!("data/{}", blob.name)
}

#[tokio::test]
async fn what_passes_the_quota_of_all_is_refused_until_there_is_room() {
    let server = RestServer::open().flags(["--max-size", "1000000"]).start().await;
    let (first, second) = (Repo::at(server.http(), "/a/"), Repo::at(server.http(), "/b/"));
    first.create().await;
    second.create().await;
    let (half, rest, more) = (sized(1, 600_000), sized(2, 400_000), sized(3, 400_001));
    first.store("data", &half).await;

    assert_eq!(second.post(&path(&more), &more.bytes).await.status, 507);
    if server.is_original() {
        // It does not get over a refusal: what it promised to the refused upload stays promised.
        return;
    }
    second.store("data", &rest).await;
    assert_eq!(first.post(&path(&blob("x")), b"x").await.status, 507);

    assert!(!second.has("data", &more).await);
    assert_ok(&first.delete(&path(&half)).await);
    second.store("data", &more).await;
}

#[tokio::test]
async fn a_refusal_is_told_in_json_and_leaves_nothing() {
    let server = Setup::default().config("[restic]\nmax_bytes = 1000000").start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    repo.create().await;
    let before = (files(&server.data().join("restic")), server.proc().descriptors());
    let large = sized(1, 5_000_000);

    let told = repo.post(&path(&large), &large.bytes).await;
    let untold = repo
        .port
        .connect()
        .await
        .request_in_chunks("POST", &format!("{}{}", repo.path, path(&large)), &[&large.bytes])
        .await;

    assert_refused(&told, 507);
    assert_refused(&untold, 507);
    assert_eq!(repo.list("data").await, []);
    assert_eq!(files(&server.data().join("restic")), before.0);
    assert_nothing_left_over(&server.data().join("restic/a"));
}

#[tokio::test]
async fn the_config_counts_too() {
    let server = Setup::default().config("[restic]\nmax_bytes = 1000").start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    assert_ok(&repo.post("config", &noise(1, 900)).await);
    assert_refused(&repo.post(&path(&sized(2, 101)), &noise(2, 101)).await, 507);
    repo.store("data", &sized(2, 100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_do_not_pass_the_quota_together() {
    let server = Setup::default().config("[restic]\nmax_bytes = 1000000").start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    repo.create().await;
    let uploads = (0..12).map(|seed| {
        let (repo, object) = (repo.clone(), sized(seed, 300_000));
        tokio::spawn(async move { repo.post(&path(&object), &object.bytes).await.status })
    });

    let statuses: Vec<u16> = join_all(uploads).await.into_iter().map(|status| status.expect("an answer")).collect();

    assert!(statuses.iter().all(|status| matches!(status, 200 | 507)), "{statuses:?}");
    let stored = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(repo.list("data").await.len(), stored);
    assert!((1..=QUOTA / 300_000).contains(&stored), "{statuses:?}");
    // What was promised to uploads that were refused is free again.
    let room = QUOTA - stored * 300_000;
    repo.store("data", &sized(100, room)).await;
    assert_refused(&repo.post(&path(&blob("x")), b"x").await, 507);
}

#[tokio::test]
async fn what_comes_again_needs_no_room() {
    let server = Setup::default().config("[restic]\nmax_bytes = 1000").start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    let object = sized(1, 1000);
    repo.store("data", &object).await;
    repo.store("data", &object).await;
}

#[tokio::test]
async fn a_repository_may_have_a_quota_of_its_own() {
    let server = Setup::default().start().await;
    let objects = Objects::of(&server);
    let (limited, free) = (Repo::at(server.http(), "/restic/limited/"), Repo::at(server.http(), "/restic/free/"));
    limited.create().await;
    objects.limit("limited", 1000).await;

    limited.store("data", &sized(1, 900)).await;

    assert_refused(&limited.post(&path(&sized(2, 101)), &noise(2, 101)).await, 507);
    free.store("data", &sized(2, 10_000)).await;
    let told = objects.repository("limited").await;
    assert_eq!((told.object_count, told.object_bytes, told.max_bytes), (1, 900, 1000));
    objects.limit("limited", 0).await;
    limited.store("data", &sized(2, 10_000)).await;
}

#[tokio::test]
async fn a_user_may_have_a_quota_over_all_that_the_user_created() {
    let home = temporary::directory();
    let file = htpasswd(home.path(), &[("alice", "a"), ("bob", "b")]);
    let config = format!("[auth]\nhtpasswd = {file:?}\n[restic.users.alice]\nmax_bytes = 1000");
    let server = Setup::default().config(&config).start_in(home).await;
    let (first, second) = (Repo::at(server.http(), "/restic/first/"), Repo::at(server.http(), "/restic/second/"));
    first.by("alice", "a").create().await;
    second.by("alice", "a").create().await;
    first.by("alice", "a").store("data", &sized(1, 600)).await;

    assert_refused(&second.by("alice", "a").post(&path(&sized(2, 401)), &noise(2, 401)).await, 507);
    // It counts to whom the repository belongs, whoever fills it.
    assert_refused(&second.by("bob", "b").post(&path(&sized(2, 401)), &noise(2, 401)).await, 507);
    Repo::at(server.http(), "/restic/third/").by("bob", "b").store("data", &sized(2, 401)).await;
    second.by("alice", "a").store("data", &sized(3, 400)).await;
}

#[tokio::test]
async fn quotas_are_right_after_crashes() {
    let mut server = Setup::default().config("[restic]\nmax_bytes = 1000000").start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    for round in 0..5 {
        repo.store("data", &sized(round, 100_000)).await;
        let doomed = sized(100 + round, 100_000);
        repo.store("data", &doomed).await;
        assert_ok(&repo.delete(&path(&doomed)).await);
        // An upload that the crash cuts off.
        let mut connection = repo.port.connect().await;
        let cut = sized(200 + round, 90_000);
        let head = format!("POST {}{} HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n", repo.path, path(&cut));
        connection.send_bytes(head.as_bytes()).await.expect("it is taken");
        connection.send_bytes(&cut.bytes[..50_000]).await.expect("it is taken");
        server.restart().await;
    }
    let objects = Objects::of(&server);
    assert_eq!(objects.repository("a").await.object_bytes, 500_000);
    assert_refused(&repo.post(&path(&sized(50, 500_001)), &noise(50, 500_001)).await, 507);
    repo.store("data", &sized(51, 500_000)).await;
}

#[tokio::test]
async fn what_waits_to_be_swept_counts() {
    let server = Setup::default().config("[restic]\nmax_bytes = 1000\nundelete = \"1h\"").start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    repo.store("data", &sized(1, 600)).await;
    assert_ok(&repo.delete(&path(&sized(1, 600))).await);
    assert_refused(&repo.post(&path(&sized(2, 600)), &noise(2, 600)).await, 507);
    assert_eq!(Objects::of(&server).repository("a").await.deleted_bytes, 600);
}

#[tokio::test]
async fn a_thousand_locks_are_all_that_a_repository_takes() {
    let server = Setup::default().start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    repo.create().await;
    let locks: Vec<Blob> = (0..1000).map(|number| blob(format!("lock {number}"))).collect();
    for lock in &locks {
        std::fs::write(server.data().join("restic/a/locks").join(&lock.name), &lock.bytes).expect("it is written");
    }
    assert_eq!(repo.list("locks").await.len(), 1000);

    let more = blob("one more");
    assert_refused(&repo.post(&format!("locks/{}", more.name), &more.bytes).await, 507);

    assert_ok(&repo.delete(&format!("locks/{}", locks[0].name)).await);
    repo.store("locks", &more).await;
}
