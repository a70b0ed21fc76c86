//! An adopted tree in which something is wrong: the server starts, and serves what is well.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::rest_server::RestServer;
use crate::common::server::Setup;
use crate::common::temporary;
use crate::fixture;
use crate::tree::file_of;
use crate::vocabulary::{Repo, assert_ok, blob};

/// A way to damage the repository in a directory.
type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 9] = [
    ("its settings make no sense", |tree| own(tree, "repository.toml", b"max_bytes = \"many\"")),
    ("its settings are no text", |tree| own(tree, "repository.toml", b"\xff\xfe\0")),
    ("its settings are a directory", |tree| {
        fs::create_dir_all(tree.join(".steward/repository.toml")).expect("a directory can be made");
    }),
    ("its index makes no sense", |tree| own(tree, "index", b"stwidx\0\x01\0\0")),
    ("its index is a directory", |tree| {
        fs::create_dir_all(tree.join(".steward/index")).expect("a directory can be made");
    }),
    ("the server's own directory is a file", |tree| {
        fs::write(tree.join(".steward"), "a file").expect("a file can be written");
    }),
    ("its data is a file", data_is_a_file),
    ("a directory of its data is a file", |tree| {
        fs::remove_dir(tree.join("data/ff")).expect("it was there");
        fs::write(tree.join("data/ff"), "a file").expect("a file can be written");
    }),
    ("its config is a directory", |tree| {
        fs::remove_file(tree.join("config")).expect("it was there");
        fs::create_dir(tree.join("config")).expect("a directory can be made");
    }),
];

fn data_is_a_file(tree: &Path) {
    fs::remove_dir_all(tree.join("data")).expect("it was there");
    fs::write(tree.join("data"), "a file").expect("a file can be written");
}

fn own(tree: &Path, name: &str, content: &[u8]) {
    fs::create_dir_all(tree.join(".steward")).expect("a directory can be made");
    fs::write(tree.join(".steward").join(name), content).expect("a file can be written");
}

/// A good repository whose name sorts before, and one whose name sorts behind the damaged one.
const GOOD: [&str; 2] = ["a", "z/deeper"];

/// A repository with an object in it.
fn make(tree: &Path) {
    fixture::make_in(tree);
    let object = blob("an object");
    fs::write(file_of(tree, "data", &object.name), &object.bytes).expect("a file can be written");
}

fn make_good(repositories: &Path) {
    for name in GOOD {
        make(&repositories.join(name));
    }
}

async fn assert_serves(repo: &Repo, whose: &str) {
    let object = blob("an object");
    assert_eq!(repo.get(&format!("data/{}", object.name)).await.text(), "an object", "{whose}");
    assert_eq!(repo.names("data").await, [object.name], "{whose}");
    assert_ok(&repo.get("config").await);
    let new = blob("a new object");
    repo.store("data", &new).await;
    assert_ok(&repo.delete(&format!("data/{}", new.name)).await);
}

#[tokio::test]
async fn one_repository_that_is_damaged_keeps_no_other_from_being_served() {
    for (what, damage) in DAMAGES {
        let home = temporary::directory();
        let path = home.path().join("repositories");
        make_good(&path);
        make(&path.join("m"));
        damage(&path.join("m"));

        let mut server = RestServer::open().start_on(home, path).await;

        for name in GOOD {
            assert_serves(&Repo::at(server.http(), &format!("/{name}/")), what).await;
        }
        assert!(server.terminate().await.success(), "{what}");
    }
}

/// Who takes it for empty takes its backups for lost. rest-server says 500.
#[tokio::test]
async fn a_repository_that_cannot_be_read_does_not_look_empty() {
    for (what, damage) in DAMAGES {
        let home = temporary::directory();
        let path = home.path().join("repositories");
        make(&path);
        damage(&path);
        let server = RestServer::open().start_on(home, path).await;
        let list = Repo::at(server.http(), "/").get("data/").await;
        let is_empty = list.status == 200 && list.text() == "[]";
        assert!(!is_empty && list.status != 404, "{what}: {} {}", list.status, list.text());
    }
}

#[tokio::test]
async fn damage_is_told_in_the_log_and_others_share_a_quota_all_the_same() {
    let home = temporary::directory();
    let path = home.path().join("repositories");
    make_good(&path);
    make(&path.join("m"));
    own(&path.join("m"), "repository.toml", b"max_bytes = \"many\"");

    let server = RestServer::open().flags(["--max-size", "1000000"]).start_on(home, path).await;

    for name in GOOD {
        assert_serves(&Repo::at(server.http(), &format!("/{name}/")), name).await;
    }
    if server.is_original() {
        // It has no settings that could be broken.
        return;
    }
    let log = server.log();
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains("repository m")), "{log}");
}

#[tokio::test]
async fn a_server_of_everything_starts_too() {
    let home = temporary::directory();
    let path = home.path().join("data/restic");
    make_good(&path);
    make(&path.join("m"));
    own(&path.join("m"), "repository.toml", b"max_bytes = \"many\"");

    let server = Setup::default().start_in(home).await;

    assert_eq!(server.http().get("/readyz").await.status, 200);
    for name in GOOD {
        assert_serves(&Repo::at(server.http(), &format!("/restic/{name}/")), name).await;
    }
}

#[tokio::test]
async fn links_that_lead_nowhere_or_back_do_no_harm() {
    let home = temporary::directory();
    let path = home.path().join("repositories");
    make_good(&path);
    symlink("/nowhere", path.join("dangling")).expect("a link can be made");
    // So many ways that a search which tries all of them does not end.
    for name in ["b", "c", "d", "e"] {
        symlink(".", path.join(name)).expect("a link can be made");
    }
    symlink("self", path.join("self")).expect("a link can be made");

    let server = RestServer::open().start_on(home, path).await;

    for name in GOOD {
        assert_serves(&Repo::at(server.http(), &format!("/{name}/")), name).await;
    }
    assert_eq!(Repo::at(server.http(), "/dangling/").get("data/").await.status, 404);
}
