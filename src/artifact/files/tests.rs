//! Files, and the paths that are theirs.

use std::sync::Arc;

use steward_proto::store::v1::{BlobRecord, FolderRecord};

use super::super::file_delete::Deletion;
use super::super::sight::Sight;
use super::super::testing::{World, at};
use super::*;
use crate::auth::rights::Table as RightsTable;
use crate::auth::{Grants, Identity};
use crate::blob::Algorithm;
use crate::store::{Key, Table};

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn commit(world: &World, put: Put, content: &[u8]) -> Result<(FileRecord, bool), Error> {
    let digest = Digest::of(Algorithm::Sha256, content);
    world.artifacts.commit_file(put, digest, (String::new(), String::new()), "ann".to_owned()).await
}

#[tokio::test]
async fn a_file_is_put_read_and_deleted_with_all_that_belongs_to_it() {
    let world = World::with_repository().await;
    let put = Put { metadata: metadata(&[("k", "v")]), ..world.new_put("/dir/a.txt") };

    let (record, unchanged) = world.put_as(put, b"abc").await.expect("a file");

    assert!(!unchanged);
    assert_eq!((record.size, record.created_by.as_str()), (3, "ann"));
    assert_eq!(record.digest, format!("sha256:{}", record.sha256));
    assert_eq!(world.artifacts.get_file(&at("/dir/a.txt")).await.expect("it"), Found::File(Box::new(record.clone())));
    assert_eq!(world.artifacts.get_file(&at("/dir")).await.expect("its folder"), Found::Folder);
    assert_eq!(world.artifacts.get_file(&at("/")).await.expect("the root"), Found::Folder);
    assert_eq!(world.uses(&record.digest).await, 1);
    assert_eq!(world.delete("/dir/a.txt").await.expect("deleted"), 1);
    assert!(matches!(world.artifacts.get_file(&at("/dir/a.txt")).await, Err(Error::FileNotFound(_))));
    assert!(matches!(world.artifacts.get_file(&at("/dir")).await, Err(Error::FileNotFound(_))));
    assert!(matches!(world.delete("/dir/a.txt").await, Err(Error::FileNotFound(path)) if path == "/dir/a.txt"));
    assert_eq!(world.uses(&record.digest).await, 0);
    assert_eq!(world.count(&Key::table(Table::ArtifactFolder)).await, 1, "only the root has a record left");
    let changes = world.changes().await;
    let told: Vec<_> = changes.iter().map(|change| (change.digest.as_str(), change.before.as_str())).collect();
    assert_eq!(told, [(record.digest.as_str(), ""), ("", record.digest.as_str())]);
}

#[tokio::test]
async fn a_file_is_replaced_only_if_that_is_asked_for() {
    let world = World::with_repository().await;
    let old = world.put("/a.txt", b"old").await;
    let shared = world.put("/b.txt", b"old").await;
    let keep = Put { overwrite: false, ..world.new_put("/a.txt") };
    let refused = world.put_as(keep.clone(), b"new").await;
    assert!(matches!(refused, Err(Error::FileExists(path)) if path == "/a.txt"));
    assert!(matches!(world.artifacts.may_put(&keep).await, Err(Error::FileExists(_))));

    let new = world.put("/a.txt", b"new").await;

    assert_eq!(new.create_us, old.create_us);
    assert_eq!((world.uses(&old.digest).await, world.uses(&new.digest).await), (1, 1));
    assert_eq!(shared.digest, old.digest);
    let change = world.changes().await.pop().expect("a change");
    assert_eq!((change.digest, change.before), (new.digest.clone(), old.digest));
    let same = world.put("/a.txt", b"new").await;
    assert_eq!(world.uses(&same.digest).await, 1, "the same bytes are still needed");
}

#[tokio::test]
async fn a_file_is_replaced_or_deleted_only_if_it_has_the_bytes_that_were_meant() {
    let world = World::with_repository().await;
    let old = world.put("/a.txt", b"old").await;
    let other = Digest::of(Algorithm::Sha256, b"other").hex();
    let only_if =
        |path: &str, sha256: &str| Put { overwrite: false, only_if_sha256: sha256.to_owned(), ..world.new_put(path) };
    let refused = world.put_as(only_if("/a.txt", &other), b"new").await;
    assert!(matches!(refused, Err(Error::FileConflict(_))));
    let missing = world.put_as(only_if("/b.txt", &other), b"new").await;
    assert!(matches!(missing, Err(Error::FileConflict(_))));

    let (new, _) = world.put_as(only_if("/a.txt", &old.sha256), b"new").await.expect("replaced");

    let delete = |sha256: &str| Deletion { place: at("/a.txt"), folder: false, only_if_sha256: sha256.to_owned() };
    let refused = world.artifacts.delete_file(delete(&old.sha256)).await;
    assert!(matches!(refused, Err(Error::FileConflict(_))));
    assert_eq!(world.artifacts.delete_file(delete(&new.sha256)).await.expect("deleted"), 1);
}

#[tokio::test]
async fn bytes_that_are_there_are_given_a_path_and_the_same_again_is_no_change() {
    let world = World::with_repository().await;
    let put = Put { overwrite: false, metadata: metadata(&[("k", "v")]), ..world.new_put("/a.txt") };
    assert!(matches!(commit(&world, put.clone(), b"abc").await, Err(Error::BlobNotFound(_))));
    world.keep(b"abc").await;

    let (record, unchanged) = commit(&world, put.clone(), b"abc").await.expect("a file");

    assert!(!unchanged);
    assert_eq!(record.size, 3, "as the blob says");
    assert_eq!(commit(&world, put.clone(), b"abc").await.expect("the same"), (record.clone(), true));
    assert_eq!(world.changes().await.len(), 1);
    let digest = Digest::of(Algorithm::Sha256, b"abc");
    let computed = world.artifacts.commit_file(put.clone(), digest, (String::new(), String::new()), String::new());
    assert_eq!(computed.await.expect("the same"), (record, true), "its checksums are known");
    let other = Put { metadata: metadata(&[]), ..put };
    assert!(matches!(commit(&world, other, b"abc").await, Err(Error::FileExists(_))));
}

#[tokio::test]
async fn a_file_is_committed_with_checksums_that_its_bytes_have() {
    let world = World::with_repository().await;
    let kept = world.keep(b"123456789").await;
    let commit = |path: &str, md5: &str, crc: &str| {
        let checksums = (md5.to_owned(), crc.to_owned());
        world.artifacts.commit_file(world.new_put(path), kept.digest.clone(), checksums, String::new())
    };
    let (md5, crc) = ("25f9e794323b453885f5181f1b624d0b", "11051210869376104954");

    let (computed, _) = commit("/a", "", "").await.expect("a file");

    assert_eq!((computed.md5.as_str(), computed.crc64ecma.as_str()), (md5, crc));
    commit("/b", md5, crc).await.expect("the same were told");
    for (md5, crc) in [("0".repeat(32), crc.to_owned()), (md5.to_owned(), "1".to_owned())] {
        assert!(matches!(commit("/c", &md5, &crc).await, Err(Error::DigestMismatch { .. })), "{md5} {crc}");
    }
}

#[tokio::test]
async fn a_blob_that_a_sweep_has_doomed_is_saved_by_a_file() {
    let world = World::with_repository().await;
    let kept = world.keep(b"abc").await;
    let key = &keys::blob(&kept.digest);
    let doom = world.artifacts.decide("a blob", |mut tx| async move {
        let record = tx.get::<BlobRecord>(key).await?.unwrap_or_default();
        tx.put(key.clone(), &BlobRecord { doomed_us: 5, ..record });
        Ok::<_, Error>(tx.answer(()))
    });
    doom.await.expect("doomed");

    commit(&world, world.new_put("/a.txt"), b"abc").await.expect("a file");

    assert_eq!(world.record::<BlobRecord>(key).await.map(|record| record.doomed_us), Some(0));
}

#[tokio::test]
async fn a_path_is_a_file_or_a_folder() {
    let world = World::with_repository().await;
    world.put("/a/b/c.txt", b"c").await;
    for folder in ["/a", "/a/b"] {
        let refused = world.try_put(folder, b"x").await;
        assert!(matches!(refused, Err(Error::FileConflict(_))), "{folder}");
    }
    for below in ["/a/b/c.txt/d", "/a/b/c.txt/d/e/f"] {
        let refused = world.try_put(below, b"x").await;
        assert!(matches!(refused, Err(Error::FileConflict(_))), "{below}");
    }
    world.put("/a/b.txt", b"x").await;
    world.put("/a/b-1", b"x").await;
    let as_file = Deletion { place: at("/a/b"), folder: false, only_if_sha256: String::new() };
    assert!(matches!(world.artifacts.delete_file(as_file).await, Err(Error::FileConflict(_))));
    assert_eq!(world.delete("/a/b").await.expect("deleted"), 1);
    world.put("/a/b", b"x").await;
    assert_eq!(world.delete("/").await.expect("deleted"), 3);
    world.put("/a", b"x").await;
}

#[tokio::test]
async fn a_folder_that_nothing_is_in_any_more_makes_room_for_a_file() {
    let world = World::with_repository().await;
    let id = world.id().await;
    // As a server leaves it that stops between two steps.
    let leave = world.artifacts.decide("folders", |mut tx| async move {
        tx.enter_folder(id, "/a/b/c").await?;
        tx.put(keys::folder(id, "/a/b"), &FolderRecord { doomed: true });
        Ok::<_, Error>(tx.answer(()))
    });
    leave.await.expect("folders");

    world.put("/a", b"x").await;

    assert_eq!(world.count(&Key::table(Table::ArtifactFolder)).await, 1);
}

#[tokio::test]
async fn the_deepest_path_can_be_put() {
    let world = World::with_repository().await;
    let path = "/a".repeat(64);
    world.put(&path, b"x").await;
    world.delete(&path).await.expect("deleted");
    assert_eq!(world.count(&Key::table(Table::ArtifactFolder)).await, 1);
    let long = format!("/{}/{}", "b".repeat(200), "c".repeat(198));
    let many: Vec<(String, String)> = (0..64).map(|n| (format!("{n:0>16}"), "v".repeat(16))).collect();
    let put = Put { metadata: many.into_iter().collect(), expire_us: u64::MAX / 2, ..world.new_put(&long) };
    world.put_as(put, b"x").await.expect("as long as can be");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_file_and_a_folder_of_one_path_one_wins() {
    for round in 0..100 {
        let world = World::with_repository().await;
        if round % 2 == 1 {
            world.put("/a/old", b"x").await;
        }
        let artifacts = world.artifacts.clone();
        let kept = world.keep(b"x").await;
        let put = |path: &str| {
            let (artifacts, put, kept) = (artifacts.clone(), world.new_put(path), kept.clone());
            tokio::spawn(async move { artifacts.put_file(put, kept, Same::Replace, String::new()).await })
        };
        let delete = Deletion { place: at("/a/old"), folder: false, only_if_sha256: String::new() };
        let remover = artifacts.clone();
        let removed = tokio::spawn(async move { remover.delete_file(delete).await });
        let (file, inner, deep) = (put("/a"), put("/a/b"), put("/a/c/d"));
        let results = [file, inner, deep];
        let mut done = Vec::new();
        for result in results {
            done.push(result.await.expect("no panic").is_ok());
        }
        let _ = removed.await.expect("no panic");
        let is_file = matches!(artifacts.get_file(&at("/a")).await, Ok(Found::File(_)));
        let inner = artifacts.get_file(&at("/a/b")).await.is_ok();
        let deep = artifacts.get_file(&at("/a/c/d")).await.is_ok();
        assert_eq!(done, [is_file, inner, deep], "what was answered is so");
        assert!(is_file != (inner || deep), "never both, and not neither: {done:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_that_come_and_go_in_one_folder_are_not_in_each_others_way() {
    let world = World::with_repository().await;
    let kept = world.keep(b"x").await;
    let tasks = (0..200).map(|number| {
        let (artifacts, kept) = (world.artifacts.clone(), kept.clone());
        let put = world.new_put(&format!("/dir/sub/{number}"));
        tokio::spawn(async move {
            let place = put.place.clone();
            artifacts.put_file(put, kept, Same::Replace, String::new()).await?;
            if number % 2 == 0 {
                let gone = Deletion { place, folder: false, only_if_sha256: String::new() };
                artifacts.delete_file(gone).await?;
            }
            Ok::<_, Error>(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic").expect("no conflict");
    }
    assert_eq!(world.uses(&kept.digest.to_string()).await, 100);
    assert_eq!(world.delete("/dir").await.expect("deleted"), 100);
    assert_eq!(world.uses(&kept.digest.to_string()).await, 0);
    assert_eq!(world.count(&Key::table(Table::ArtifactFolder)).await, 1);
}

#[tokio::test]
async fn metadata_is_written_and_taken_away_without_the_bytes() {
    let world = World::with_repository().await;
    let put = Put { metadata: metadata(&[("a", "1"), ("b", "2")]), ..world.new_put("/a.txt") };
    let (old, _) = world.put_as(put, b"x").await.expect("a file");
    let write = |written: &[(&str, &str)], deleted: &[&str]| {
        let deleted = deleted.iter().map(|key| (*key).to_owned()).collect();
        world.artifacts.update_file_metadata(at("/a.txt"), metadata(written), deleted, "bob".to_owned())
    };

    let new = write(&[("b", "3"), ("c", "4")], &["a"]).await.expect("written");

    assert_eq!(new.metadata, metadata(&[("b", "3"), ("c", "4")]));
    assert_eq!((new.modified_by.as_str(), &new.digest), ("bob", &old.digest));
    let change = world.changes().await.pop().expect("a change");
    assert_eq!((&change.digest, &change.before), (&new.digest, &new.digest), "the bytes are the same");
    assert_eq!(write(&[("b", "3")], &["a"]).await.expect("nothing to do"), new);
    assert_eq!(world.changes().await.len(), 2);
    let missing = world.artifacts.update_file_metadata(at("/b.txt"), Metadata::new(), Vec::new(), String::new());
    assert!(matches!(missing.await, Err(Error::FileNotFound(_))));
}

#[tokio::test]
async fn many_files_are_asked_for_at_once() {
    let world = World::with_repository().await;
    world.put("/a", b"a").await;
    world.put("/d/b", b"b").await;
    let paths = ["/d/b", "/d", "/none", "/a"].map(|path| FilePath::folder(path).expect("a path")).to_vec();
    let found = world.artifacts.stat_files("p1", "r1", paths).await.expect("files");
    let found: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(found, ["/d/b", "/a"]);
    let missing = world.artifacts.stat_files("p1", "r2", Vec::new()).await;
    assert!(matches!(missing, Err(Error::RepositoryNotFound(_))));
}

#[tokio::test]
async fn a_repository_of_images_holds_no_files() {
    let world = World::new().await;
    world.project("p1").await;
    let new = super::super::repositories::NewRepository {
        holds: steward_proto::artifact::v1::RepositoryType::Docker,
        ..world.new_repository("p1", "r1")
    };
    world.artifacts.create_repository(&new, "").await.expect("a repository");
    let refused = world.try_put("/a", b"x").await;
    assert!(matches!(refused, Err(Error::WrongRepositoryType { wanted: "files", .. })));
}

#[tokio::test]
async fn files_are_still_there_after_a_restart() {
    let mut world = World::with_repository().await;
    let record = world.put("/a.txt", b"x").await;
    world.restart().await;
    assert_eq!(world.artifacts.get_file(&at("/a.txt")).await.expect("it"), Found::File(Box::new(record)));
    world.put("/b.txt", b"x").await;
    assert_eq!(world.changes().await.len(), 2);
}

#[tokio::test]
async fn bytes_are_known_to_who_may_see_a_file_of_them_or_has_brought_them() {
    let world = World::with_repository().await;
    let hers = world.put("/alice/x", b"hers").await;
    let digest: Digest = hers.digest.parse().expect("a digest");
    let place = at("/bob/y");
    let is_known = async |user: &str, table: &str| {
        let caller = Identity { user: Some(user.to_owned()), ..Identity::default() };
        let sight = Sight::of(Grants::new(caller, Arc::new(RightsTable::parse(table).expect("a table"))));
        let view = sight.on("p1", "r1");
        match world.artifacts.check_known(&place, &digest, (user, &view)).await {
            Ok(()) => true,
            Err(Error::BlobNotFound(_)) => false,
            Err(error) => panic!("{error}"),
        }
    };
    let bob = "bob artifact p1/r1/bob read,write";
    assert!(!is_known("bob", bob).await);
    assert!(is_known("alice", "alice artifact p1/r1/alice read").await);
    assert!(is_known("carol", "carol artifact p1/r1 read").await);
    assert!(!is_known("bob", "bob artifact p1/r1 write").await, "who may write need not see");

    let repository = world.id().await;
    world.artifacts.uploads.note_brought(repository, "alice", &digest);
    assert!(!is_known("bob", bob).await, "it was not him");
    world.artifacts.uploads.note_brought(repository, "bob", &digest);
    assert!(is_known("bob", bob).await);
}
