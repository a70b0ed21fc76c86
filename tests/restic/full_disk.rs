//! A disk that fills up.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use crate::common::program;
use crate::common::rest_server::RestServer;
use crate::common::temporary;
use crate::tree::{assert_nothing_left_over, files};
use crate::vocabulary::{Blob, Repo, assert_ok, blob, noise};

const DISK: &str = "24m";
const OBJECT: usize = 3_000_000;

/// A server whose repositories are on a small disk of their own. Only it sees the disk, which goes when it goes.
async fn start_on_a_small_disk(needed_by: &str) -> Option<(RestServer, PathBuf)> {
    let unshare = program::find("unshare", needed_by)?;
    let home = temporary::directory();
    let disk = home.path().join("disk");
    fs::create_dir(&disk).expect("a directory can be made");
    let mount = format!("mount -t tmpfs -o size={DISK} none '{}' && exec \"$@\"", disk.display());
    let isolate = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let wrapper: [OsString; 6] = [unshare.into(), isolate.into(), "sh".into(), "-c".into(), mount.into(), "sh".into()];
    let server = RestServer::open().under(wrapper).start_on(home, disk.join("repositories")).await;
    let seen = server.proc().root().join(disk.strip_prefix("/").expect("an absolute path"));
    Some((server, seen))
}

fn object(number: u64) -> Blob {
    blob(noise(number, OBJECT))
}

/// Stores objects until there is no room; returns those that were taken.
async fn fill(repo: &Repo) -> Vec<Blob> {
    let mut stored = Vec::new();
    for number in 0.. {
        let object = object(number);
        match repo.post(&format!("data/{}", object.name), &object.bytes).await.status {
            200 => stored.push(object),
            507 => return stored,
            status => panic!("neither stored nor full: {status}"),
        }
    }
    stored
}

async fn assert_has_exactly(repo: &Repo, stored: &[Blob]) {
    let mut expected: Vec<&str> = stored.iter().map(|blob| blob.name.as_str()).collect();
    expected.sort_unstable();
    let mut listed = repo.names("data").await;
    listed.sort();
    assert_eq!(listed, expected);
    for blob in stored {
        assert!(repo.get(&format!("data/{}", blob.name)).await.body == blob.bytes);
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_half_stored() {
    let Some((server, disk)) = start_on_a_small_disk("full_disk::a_full_disk_is_told").await else { return };
    let repo = Repo::at(server.http(), "/a/");
    repo.create().await;

    let stored = fill(&repo).await;

    assert!((4..=8).contains(&stored.len()), "{}", stored.len());
    assert_has_exactly(&repo, &stored).await;
    assert_nothing_left_over(&disk.join("repositories/a"));
    assert_eq!(files(&disk.join("repositories/a/data")).len(), stored.len());
    // Asked again, it says the same, and it leaks nothing.
    let before = server.proc().descriptors();
    for number in 50..60 {
        let object = object(number);
        assert_eq!(repo.post(&format!("data/{}", object.name), &object.bytes).await.status, 507);
    }
    crate::common::wait::eventually("descriptors are given back", async || {
        (server.proc().descriptors() <= before).then_some(())
    })
    .await;
    assert_has_exactly(&repo, &stored).await;
}

#[tokio::test]
async fn it_goes_on_when_there_is_room_again() {
    let Some((server, disk)) = start_on_a_small_disk("full_disk::it_goes_on").await else { return };
    let repo = Repo::at(server.http(), "/a/");
    repo.create().await;
    let ballast = disk.join("ballast");
    fs::write(&ballast, noise(1, 10_000_000)).expect("there is room");
    let mut stored = fill(&repo).await;

    fs::remove_file(&ballast).expect("it is there");

    for number in 100..103 {
        let object = object(number);
        repo.store("data", &object).await;
        stored.push(object);
    }
    assert_has_exactly(&repo, &stored).await;
}

#[tokio::test]
async fn what_is_deleted_on_a_full_disk_makes_room() {
    let Some((server, _)) = start_on_a_small_disk("full_disk::what_is_deleted").await else { return };
    let repo = Repo::at(server.http(), "/a/");
    repo.create().await;
    let mut stored = fill(&repo).await;
    let gone = stored.pop().expect("some fit");
    assert_ok(&repo.delete(&format!("data/{}", gone.name)).await);
    let new = object(100);
    repo.store("data", &new).await;
    stored.push(new);
    assert_has_exactly(&repo, &stored).await;
}
