//! `{path}{type}/{name}`.

use super::assert_not_allowed;
use crate::common::server::Setup;
use crate::tree::{assert_nothing_left_over, file_of, files};
use crate::vocabulary::{Blob, Everywhere, Repo, TYPES, assert_ok, assert_refused, blob, noise};

fn path(kind: &str, blob: &Blob) -> String {
    format!("{kind}/{}", blob.name)
}

#[tokio::test]
async fn objects_of_every_type_are_stored_measured_read_and_deleted() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        for kind in TYPES {
            let object = blob(noise(7, 60_000));
            let path = path(kind, &object);

            let post = repo.post(&path, &object.bytes).await;
            assert_eq!((post.parts(), post.header("content-length")), ((200, ""), Some("0")));

            let head = repo.head(&path).await;
            assert_eq!((head.status, head.header("content-length")), (200, Some("60000")));
            let get = repo.get(&path).await;
            assert_eq!((get.status, get.header("content-length")), (200, Some("60000")));
            assert_eq!(get.header("content-type"), Some("application/octet-stream"));
            assert_eq!(get.header("accept-ranges"), Some("bytes"));
            assert!(get.body == object.bytes, "the bytes are the same");

            let delete = repo.delete(&path).await;
            assert_eq!((delete.parts(), delete.header("content-length")), ((200, ""), Some("0")));
            assert_eq!(repo.head(&path).await.status, 404);
            assert_refused(&repo.get(&path).await, 404);
        }
    }
}

#[tokio::test]
async fn an_object_of_no_bytes_is_one_too() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let empty = blob("");
        repo.store("data", &empty).await;
        assert_eq!(repo.head(&path("data", &empty)).await.header("content-length"), Some("0"));
        assert_eq!(repo.get(&path("data", &empty)).await.parts(), (200, ""));
        assert_eq!(repo.list("data").await[0].size, 0);
    }
}

#[tokio::test]
async fn an_object_lies_where_restics_local_backend_looks_for_it() {
    let server = Setup::default().start().await;
    let repo = Repo::at(server.http(), "/restic/a/b/");
    for kind in TYPES {
        let object = blob(format!("one of {kind}"));
        repo.store(kind, &object).await;
        let stored = std::fs::read(file_of(&server.data().join("restic/a/b"), kind, &object.name));
        assert_eq!(stored.expect("the file is there"), object.bytes);
    }
}

#[tokio::test]
async fn what_is_stored_may_come_again_and_is_not_written_again() {
    let server = Setup::default().start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    let object = blob(noise(3, 300_000));
    repo.store("data", &object).await;
    let file = file_of(&server.data().join("restic/a"), "data", &object.name);
    let written = std::fs::metadata(&file).expect("the file").modified().expect("a time");

    repo.store("data", &object).await;

    assert_eq!(std::fs::metadata(&file).expect("the file").modified().expect("a time"), written);
    assert_eq!(repo.list("data").await.len(), 1);
}

#[tokio::test]
async fn an_object_that_is_not_what_its_name_says_is_refused() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let object = blob("what the name says");
        for wrong in [&b"something else"[..], b"", b"what the name say"] {
            assert_refused(&repo.post(&path("data", &object), wrong).await, 400);
        }
        assert!(!repo.has("data", &object).await);
        assert_eq!(repo.list("data").await, []);
    }
}

#[tokio::test]
async fn another_content_never_takes_the_place_of_what_is_stored() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let object = blob("the first");
        repo.store("data", &object).await;
        assert_refused(&repo.post(&path("data", &object), b"another").await, 400);
        assert_eq!(repo.get(&path("data", &object)).await.text(), "the first");
    }
}

#[tokio::test]
async fn without_verification_the_first_content_stays() {
    let everywhere = Everywhere::with(Setup::default().config("[restic]\nverify_uploads = false")).await;
    for repo in everywhere.repos() {
        let path = format!("data/{}", "0".repeat(64));
        assert_ok(&repo.post(&path, b"the first").await);
        assert_ok(&repo.post(&path, b"the first").await);
        assert_refused(&repo.post(&path, b"another").await, 403);
        assert_eq!(repo.get(&path).await.text(), "the first");
    }
}

#[tokio::test]
async fn a_refused_upload_leaves_nothing_on_the_disk() {
    let server = Setup::default().start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    repo.create().await;
    let before = files(&server.data().join("restic"));
    let object = blob("expected");

    assert_refused(&repo.post(&path("data", &object), &noise(9, 3_000_000)).await, 400);

    assert_eq!(files(&server.data().join("restic")), before);
    assert_nothing_left_over(&server.data().join("restic/a"));
}

#[tokio::test]
async fn deleting_what_is_not_there_is_no_error() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        for kind in TYPES {
            let object = blob("never stored");
            assert_ok(&repo.delete(&path(kind, &object)).await);
            repo.store(kind, &object).await;
            assert_ok(&repo.delete(&path(kind, &object)).await);
            assert_ok(&repo.delete(&path(kind, &object)).await);
        }
    }
}

#[tokio::test]
async fn a_deleted_object_can_be_stored_again() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let object = blob("back again");
        for _ in 0..3 {
            repo.store("data", &object).await;
            assert_eq!(repo.get(&path("data", &object)).await.text(), "back again");
            assert_ok(&repo.delete(&path("data", &object)).await);
            assert!(!repo.has("data", &object).await);
        }
    }
}

#[tokio::test]
async fn types_and_names_that_there_are_not_are_refused() {
    let everywhere = Everywhere::start().await;
    let good = blob("good").name;
    let bad = [
        format!("packs/{good}"),
        format!("Data/{good}"),
        format!("data/{}", good.to_uppercase()),
        format!("data/{}", &good[1..]),
        format!("data/{good}0"),
        format!("data/{good}/"),
        format!("data/{}g", &good[1..]),
        format!("data/{}/{good}", &good[..2]),
        "data/foobar".to_owned(),
    ];
    for repo in everywhere.repos() {
        for path in &bad {
            for method in ["GET", "HEAD", "POST", "DELETE"] {
                let answer = repo.request(method, path, &[], b"").await;
                assert_eq!(answer.status, 400, "{method} {}{path}", repo.path);
            }
        }
    }
}

#[tokio::test]
async fn other_methods_of_an_object_are_refused() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let object = blob("an object");
        for method in ["PUT", "PATCH", "OPTIONS"] {
            let answer = repo.request(method, &path("data", &object), &[], b"").await;
            assert_not_allowed(&answer, &["DELETE", "GET", "HEAD", "POST"]);
        }
    }
}

#[tokio::test]
async fn without_authentication_credentials_are_ignored_also_empty_ones() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let object = blob("for anybody");
        repo.by("", "").store("data", &object).await;
        assert!(repo.by("", "").has("data", &object).await);
        assert!(repo.by("somebody", "guessing").has("data", &object).await);
        let nonsense = repo.request("GET", "data/", &[("Authorization", "Bearer ???")], b"").await;
        assert_ok(&nonsense);
    }
}

/// Whoever may only read may take locks: they must not fill the disk with them.
#[tokio::test]
async fn a_lock_is_small() {
    let server = Setup::default().start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    repo.store("locks", &blob(noise(1, 65_536))).await;
    let large = blob(noise(2, 65_537));
    assert_refused(&repo.post(&path("locks", &large), &large.bytes).await, 413);
    assert_eq!(repo.list("locks").await.len(), 1);
    repo.store("data", &large).await;
}

#[tokio::test]
async fn an_object_may_not_pass_the_limit() {
    let everywhere = Everywhere::with(Setup::default().config("[restic]\nmax_object_bytes = 1000")).await;
    for repo in everywhere.repos() {
        let (largest, too_large) = (blob(noise(1, 1000)), blob(noise(1, 1001)));
        repo.store("data", &largest).await;
        assert_refused(&repo.post(&path("data", &too_large), &too_large.bytes).await, 413);
        assert_eq!(repo.names("data").await, [largest.name]);
    }
}
