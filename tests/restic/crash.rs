//! Backups go on when the server dies under them.

use crate::common::rest_server::RestServer;
use crate::common::wait::eventually;
use crate::fixture;
use crate::restic::{Files, Restic};
use crate::tree::{assert_nothing_left_over, files};
use crate::vocabulary::{Repo, TYPES, blob, noise};

const ROUNDS: u64 = 20;

// The original passes this only by luck: it refuses an upload with 403 when its answer to the first try was lost.
#[tokio::test]
async fn a_backup_goes_on_after_the_server_died_in_the_middle_of_it() {
    let Some(restic) = Restic::newest("crash::a_backup_goes_on") else { return };
    let mut server = RestServer::start().await;
    let repo = Repo::at(server.http(), "/");
    // Small packs: so that there is a middle.
    let restic = restic.at(&repo).option(["--pack-size", "4"]);
    fixture::make_at(&repo).await;
    let data = Files::new();
    let packs = server.path().join("data");
    let (mut backups, mut deaths) = (0, 0);
    while deaths < ROUNDS {
        assert!(backups < 2 * ROUNDS, "most backups are under way when the server dies");
        data.write("changing", &noise(5000 + backups, 9_000_000));
        let before = files(&packs).len();
        let mut backup = restic.start(&["backup", data.path().to_str().expect("UTF-8")]);
        // Now at the first pack, now at the second.
        let middle = before + usize::try_from(deaths % 2).expect("small");
        eventually("the backup is under way", async || (files(&packs).len() > middle).then_some(())).await;

        server.kill9().await;
        // One that was quicker than the test is no round.
        let is_under_way = backup.try_wait().expect("a child can be looked at").is_none();
        server.restart().await;

        restic.succeeds(backup).await;
        backups += 1;
        deaths += u64::from(is_under_way);
    }

    assert_eq!(restic.snapshots().await, usize::try_from(backups).expect("small"));
    restic.ok(&["check", "--read-data"]).await;
    restic.assert_restores(data.path()).await;
    server.restart().await;
    if !server.is_original() {
        assert_nothing_left_over(server.path());
        for kind in TYPES {
            let listed = repo.list(kind).await;
            assert!(listed.iter().all(|object| object.size > 0 && object.name.len() == 64), "{kind}: {listed:?}");
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_and_nothing_else_is() {
    let mut server = RestServer::start().await;
    let repo = Repo::at(server.http(), "/");
    repo.create().await;
    let mut acknowledged = Vec::new();
    for round in 0..10 {
        for number in 0..5 {
            let object = blob(noise(100 * round + number, 50_000));
            repo.store("data", &object).await;
            acknowledged.push(object.name);
        }
        let cut = blob(noise(100 * round + 99, 400_000));
        let mut connection = repo.port.connect().await;
        let head = format!("POST /data/{} HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n", cut.name);
        connection.send_bytes(head.as_bytes()).await.expect("the server reads");
        connection.send_bytes(&cut.bytes[..300_000]).await.expect("the server reads");

        server.restart().await;

        acknowledged.sort();
        let mut listed = repo.names("data").await;
        listed.sort();
        if !server.is_original() {
            assert_eq!(listed, acknowledged, "round {round}");
            assert_nothing_left_over(server.path());
        }
    }
}
