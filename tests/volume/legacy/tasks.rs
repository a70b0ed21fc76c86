//! The older generation of actions, which thinks in tasks.

use crate::common::server::{Server, Setup};
use crate::common::wait::eventually;
use crate::query::{Reply, ask, ask_ok};
use crate::vocabulary::{MIB, noise};
use crate::wire::Nbd;

/// A server with `/a` of user `u` and its snapshot `s`, whose UUID is told.
async fn start(setup: Setup) -> (Server, String) {
    let server = setup.start().await;
    ask_ok(&server, "Action=CreateFile&User=u&File=/a&Size=1").await;
    let mut volume = Nbd::open(&server, "/a").await;
    volume.write(0, &noise(1, MIB)).await;
    volume.close().await;
    let snapshot = ask_ok(&server, "Action=CreateSnapshot&User=u&File=/a&Name=s").await.uuid();
    (server, snapshot)
}

async fn task(server: &Server, uuid: &str) -> Reply {
    ask_ok(server, &format!("Action=GetCloneTasks&User=u&UUID={uuid}")).await
}

/// Waits until a task is over and whole.
async fn assert_is_done(server: &Server, uuid: &str) {
    eventually("the task is over", async || {
        let shown = task(server, uuid).await;
        (shown.column("TaskInfos", "TaskStatus") == [0] && shown.column("TaskInfos", "Progress") == [100]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lazy_clone_is_a_task_that_ends_when_it_is_flattened() {
    let (server, snapshot) = start(Setup::default()).await;
    let clone = format!("Action=Clone&User=u&Source={snapshot}&Destination=/b&Lazy=true");
    let uuid = ask_ok(&server, &clone).await.uuid();

    let shown = task(&server, &uuid).await;
    let keys: Vec<&String> = shown["TaskInfos"][0].as_object().expect("a row").keys().collect();
    assert_eq!(
        keys,
        ["File", "FileType", "IsLazy", "NextStep", "Progress", "Src", "TaskStatus", "TaskType", "Time", "UUID", "User"],
    );
    let row = &shown["TaskInfos"][0];
    assert_eq!((&row["TaskStatus"], &row["FileType"], &row["IsLazy"]), (&7.into(), &1.into(), &true.into()));
    assert_eq!((&row["File"], &row["Src"]), (&"/b".into(), &snapshot.as_str().into()));
    assert_eq!(ask(&server, &format!("Action=CleanCloneTask&User=u&UUID={uuid}")).await.code(), -17);
    assert_eq!(ask(&server, &format!("Action=GetCloneTasks&User=v&UUID={uuid}")).await.code(), -7);

    ask_ok(&server, &format!("Action=Flatten&User=u&UUID={uuid}")).await;
    assert_is_done(&server, &uuid).await;
    ask_ok(&server, &format!("Action=CleanCloneTask&User=u&UUID={uuid}")).await;
    assert_eq!(ask(&server, &format!("Action=GetCloneTasks&User=u&UUID={uuid}")).await.code(), -8);
    let none = ask_ok(&server, "Action=GetCloneTasks&User=u").await;
    assert_eq!((&none["TotalCount"], none["TaskInfos"].is_null()), (&0.into(), true));
}

#[tokio::test]
async fn what_is_no_uuid_is_a_task_that_is_not_there() {
    let server = Server::start().await;
    for (query, code) in [
        ("Action=CleanCloneTask&User=u&UUID=abc", 0),
        ("Action=GetCloneTasks&User=u&UUID=abc", -8),
        ("Action=Flatten&User=u&UUID=abc", -8),
    ] {
        assert_eq!(ask(&server, query).await.code(), code, "{query}");
    }
}

#[tokio::test]
async fn a_clone_that_is_not_lazy_copies_everything() {
    let (server, snapshot) = start(Setup::default()).await;
    let clone = format!("Action=Clone&User=u&Source={snapshot}&Destination=/b&Lazy=false");
    let uuid = ask_ok(&server, &clone).await.uuid();

    assert_is_done(&server, &uuid).await;

    ask_ok(&server, "Action=DeleteSnapshot&User=u&File=/a&Name=s").await;
    let mut copy = Nbd::open(&server, "/b").await;
    assert!(copy.read(0, 1 << 20).await == noise(1, MIB));
}

#[tokio::test]
async fn who_needs_what_is_told() {
    let (server, snapshot) = start(Setup::default()).await;
    let status = async |source: &str| {
        let reply = ask_ok(&server, &format!("Action=GetCloneRefStatus&User=u&Source={source}")).await;
        (reply["RefStatus"].as_u64().expect("a number"), reply.column("CloneFileInfo", "File"))
    };
    assert_eq!(status(&snapshot).await, (0, vec![]));
    assert_eq!(status("/nowhere").await, (0, vec![]));
    ask_ok(&server, &format!("Action=Clone&User=u&Source={snapshot}&Destination=/b&Lazy=true")).await;
    assert_eq!(status(&snapshot).await, (2, vec!["/b".into()]));
    let images = "Action=Clone&User=u&Source=/a&Destination=/c&Lazy=true";
    ask_ok(&server, images).await;
    assert_eq!(status("/a").await.0, 2);
    assert_eq!(ask(&server, "Action=DeleteFile&User=u&File=/a").await.code(), -22);
}

#[tokio::test]
async fn a_volume_is_rolled_back_only_where_that_is_asked_for() {
    let (server, snapshot) = start(Setup::default()).await;
    let recover = format!("Action=Recover&User=u&Source={snapshot}&Destination=/a&Lazy=true");
    assert_eq!(ask(&server, &recover).await.code(), -21);
    assert_eq!(ask(&server, "Action=Recover&User=u&Destination=/a&Lazy=true").await.code(), -5);
    drop(server);

    let (server, snapshot) = start(Setup::default().config("[volumes]\nrollback = true")).await;
    let mut volume = Nbd::open(&server, "/a").await;
    volume.write(0, &noise(2, MIB)).await;
    volume.close().await;
    let recover = format!("Action=Recover&User=u&Source={snapshot}&Destination=/a&Lazy=true");
    let uuid = ask_ok(&server, &recover).await.uuid();
    assert_is_done(&server, &uuid).await;
    let mut volume = Nbd::open(&server, "/a").await;
    assert!(volume.read(0, 1 << 20).await == noise(1, MIB), "it is as it was");
}

#[tokio::test]
async fn a_snapshot_cannot_be_cancelled_because_it_is_done_at_once() {
    let (server, snapshot) = start(Setup::default()).await;
    for (query, code) in [
        (format!("User=u&File=/a&UUID={snapshot}"), -14),
        (format!("User=v&File=/a&UUID={snapshot}"), -7),
        (format!("User=u&File=/b&UUID={snapshot}"), -11),
        ("User=u&File=/a&UUID=de06df66-b9e4-44df-ba3d-ac94ddee0b28".to_owned(), -14),
    ] {
        assert_eq!(ask(&server, &format!("Action=CancelSnapshot&{query}")).await.code(), code, "{query}");
    }
}
