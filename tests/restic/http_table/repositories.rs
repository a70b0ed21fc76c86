//! `{path}`: a repository itself.

use super::assert_not_allowed;
use crate::common::server::Setup;
use crate::tree::files;
use crate::vocabulary::{Everywhere, Repo, TYPES, assert_ok, assert_refused, blob};

#[tokio::test]
async fn a_repository_is_created_and_can_be_created_again() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let headers = [("Content-Type", "binary/octet-stream")];
        let again = repo.request("POST", "?create=true", &headers, b"").await;
        assert_ok(&again);
        assert_eq!((again.header("content-length"), again.text()), (Some("0"), ""));
    }
}

#[tokio::test]
async fn creating_has_to_be_asked_for_in_so_many_words() {
    let server = Setup::default().restic_listen().start().await;
    for repo in [Repo::at(server.http(), "/restic/new/"), Repo::at(server.restic(), "/new/")] {
        for query in ["", "?create=false", "?create=1", "?create=", "?create", "?creates=true"] {
            assert_refused(&repo.post(query, b"").await, 400);
        }
        assert_eq!(repo.get("data/").await.status, 404, "it was not created");
    }
}

#[tokio::test]
async fn a_new_repository_is_empty_and_has_the_directories_of_restics_own_layout() {
    let server = Setup::default().restic_listen().start().await;
    let repo = Repo::at(server.restic(), "/new/");

    repo.create().await;

    for kind in TYPES {
        assert_eq!(repo.list(kind).await, []);
        assert!(server.data().join("restic/new").join(kind).is_dir(), "{kind}");
    }
    assert!((0..=255).all(|byte| server.data().join(format!("restic/new/data/{byte:02x}")).is_dir()));
    assert_eq!(repo.head("config").await.status, 404);
}

#[tokio::test]
async fn an_upload_makes_the_repository_that_it_is_for() {
    let server = Setup::default().restic_listen().start().await;
    for repo in [Repo::at(server.http(), "/restic/by/upload/"), Repo::at(server.restic(), "/by/another/")] {
        let key = blob("a key");
        repo.store("keys", &key).await;
        assert_eq!(repo.names("keys").await, [key.name]);
    }
}

#[tokio::test]
async fn nobody_deletes_a_repository() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let kept = blob("kept");
        repo.store("data", &kept).await;
        assert_refused(&repo.delete("").await, 501);
        assert!(repo.has("data", &kept).await);
    }
}

#[tokio::test]
async fn a_repository_itself_cannot_be_read() {
    let everywhere = Everywhere::start().await;
    // The main port has more to show at its root than a repository.
    for repo in everywhere.repos().skip(1) {
        for method in ["GET", "HEAD", "PUT"] {
            assert_not_allowed(&repo.request(method, "", &[], b"").await, &["POST"]);
        }
    }
}

#[tokio::test]
async fn both_ports_show_the_same_repositories() {
    let server = Setup::default().restic_listen().start().await;
    for (main, alone) in [("/", "/"), ("/restic/a/", "/a/"), ("/restic/a/b/c/d/", "/a/b/c/d/")] {
        let (main, alone) = (Repo::at(server.http(), main), Repo::at(server.restic(), alone));
        let (first, second) = (blob("through the main port"), blob("through the other"));
        main.create().await;
        alone.create().await;
        main.store("data", &first).await;
        alone.store("data", &second).await;
        assert!(main.has("data", &second).await && alone.has("data", &first).await);
        assert_eq!(main.list("data").await, alone.list("data").await);
    }
}

#[tokio::test]
async fn repositories_share_nothing_even_when_one_lies_in_the_other() {
    let server = Setup::default().restic_listen().start().await;
    let repos = ["/", "/a/", "/a/b/", "/b/"].map(|path| Repo::at(server.restic(), path));
    for repo in &repos {
        repo.create().await;
        repo.store("data", &blob(repo.path.as_str())).await;
    }
    for repo in &repos {
        assert_eq!(repo.names("data").await, [blob(repo.path.as_str()).name]);
    }
    assert_eq!(
        files(&server.data().join("restic")).iter().filter(|file| file.iter().any(|part| part == "data")).count(),
        4
    );
}

#[tokio::test]
async fn names_of_repositories_may_have_letters_of_any_language() {
    let server = Setup::default().restic_listen().start().await;
    let repo = Repo::at(server.restic(), "/b%C3%BCro/mein%20laptop/");
    repo.create().await;
    repo.store("data", &blob("data")).await;
    assert!(server.data().join("restic/büro/mein laptop/data").is_dir());
    assert_eq!(repo.names("data").await, [blob("data").name]);
}
