//! Long lists.

use std::fs;
use std::path::Path;

use crate::common::http::head;
use crate::common::rest_server::RestServer;
use crate::common::temporary;
use crate::vocabulary::{Listed, Repo, V2, digest};

const MIB: u64 = 1024 * 1024;
const COUNT: u32 = 100_000;

/// Makes objects as restic does that has no server. Nobody looks at their bytes here.
fn make_objects(repository: &Path) {
    for fan_out in 0..=255 {
        fs::create_dir_all(repository.join(format!("data/{fan_out:02x}"))).expect("a directory can be made");
    }
    for kind in ["index", "keys", "locks", "snapshots"] {
        fs::create_dir_all(repository.join(kind)).expect("a directory can be made");
    }
    fs::write(repository.join("config"), "config").expect("a file can be written");
    for number in 0..COUNT {
        let name = digest(&number.to_le_bytes());
        fs::write(repository.join("data").join(&name[..2]).join(name), "ten bytes.").expect("a file can be written");
    }
}

#[tokio::test]
async fn a_hundred_thousand_objects_are_listed_in_order_and_in_little_memory() {
    let home = temporary::directory();
    let path = home.path().join("repositories");
    make_objects(&path);
    let server = RestServer::open().start_on(home, path).await;
    let repo = Repo::at(server.http(), "/");
    // The first list may take the tree in.
    assert_eq!(repo.list("data").await.len(), COUNT as usize);
    let idle = server.proc().resident_bytes();
    server.proc().forget_peak();

    let mut connection = repo.port.connect().await;
    connection.send_bytes(head("GET", "/data/", &[("Accept", V2)]).as_bytes()).await.expect("the server reads");
    let answer = connection.answer("GET").await;

    let listed: Vec<Listed> = serde_json::from_slice(&answer.body).expect("a list");
    assert_eq!(listed.len(), COUNT as usize);
    assert!(listed.iter().all(|object| object.size == 10));
    assert!(listed.is_sorted(), "in the order of the names");
    let growth = server.proc().peak_bytes().saturating_sub(idle);
    if !server.is_original() {
        assert!(growth < 16 * MIB, "{} KiB", growth / 1024);
    }
}

#[tokio::test]
async fn a_reader_that_reads_nothing_costs_little() {
    let home = temporary::directory();
    let path = home.path().join("repositories");
    make_objects(&path);
    let server = RestServer::open().start_on(home, path).await;
    let repo = Repo::at(server.http(), "/");
    assert_eq!(repo.list("data").await.len(), COUNT as usize);
    let idle = server.proc().resident_bytes();
    server.proc().forget_peak();

    let mut sleepers = Vec::new();
    for _ in 0..8 {
        sleepers.push(repo.port.subscribe_and_sleep("/data/").await);
    }
    assert_eq!(repo.list("data").await.len(), COUNT as usize, "others are served");

    let growth = server.proc().peak_bytes().saturating_sub(idle);
    if !server.is_original() {
        assert!(growth < 32 * MIB, "{} KiB", growth / 1024);
    }
}
