//! A repository from its first day to its last.

use std::fs;

use crate::common::rest_server::RestServer;
use crate::common::server::Setup;
use crate::fixture;
use crate::restic::{Files, Restic};
use crate::tree::{assert_nothing_left_over, files};
use crate::vocabulary::Repo;

/// What people do with a new repository.
async fn live(restic: &Restic) {
    let mut data = Files::new();
    for _ in 0..2 {
        restic.backup(data.path()).await;
        data.change();
    }
    restic.backup(data.path()).await;
    assert_eq!(restic.snapshots().await, 3);
    restic.ok(&["check", "--read-data"]).await;
    restic.assert_restores(data.path()).await;

    restic.ok(&["forget", "--keep-last", "1", "--prune"]).await;
    assert_eq!(restic.snapshots().await, 1);
    restic.ok(&["check", "--read-data"]).await;
    restic.assert_restores(data.path()).await;
    restic.ok(&["unlock", "--remove-all"]).await;
}

async fn add_key_and_use_it(restic: &Restic) {
    let password = restic.home().join("password");
    fs::write(&password, "another secret\n").expect("a file can be written");
    restic.ok(&["key", "add", "--new-password-file", password.to_str().expect("UTF-8")]).await;
    let other = restic.clone().env("RESTIC_PASSWORD", "another secret");
    assert_eq!(other.snapshots().await, 1);
    let wrong = restic.clone().env("RESTIC_PASSWORD", "guessed");
    assert!(wrong.fails(&["snapshots"]).await.contains("wrong password"));
}

/// Here restic makes its keys itself, which takes it seconds; elsewhere there is a key that costs nothing.
#[tokio::test]
async fn a_repository_lives_on_the_main_port() {
    for restic in Restic::all("real_restic::a_repository_lives_on_the_main_port") {
        let server = Setup::default().start().await;
        let root = restic.at(&Repo::at(server.http(), "/"));
        root.ok(&["init"]).await;
        live(&root).await;
        add_key_and_use_it(&root).await;
    }
}

#[tokio::test]
async fn a_repository_is_copied_from_port_to_port() {
    for restic in Restic::all("real_restic::a_repository_is_copied_from_port_to_port") {
        let server = Setup::default().restic_listen().start().await;
        let repo = Repo::at(server.restic(), "/alice/laptop/");
        fixture::make_at(&repo).await;
        let (from, to) = (restic.at(&repo), restic.at(&Repo::at(server.http(), "/restic/copies/of/it/")));
        let data = Files::new();
        from.backup(data.path()).await;

        to.ok(&["init", "--from-repo", from.repository(), "--copy-chunker-params"]).await;
        to.ok(&["copy", "--from-repo", from.repository()]).await;

        to.ok(&["check", "--read-data"]).await;
        to.assert_restores(data.path()).await;
        assert_nothing_left_over(&server.data().join("restic/copies/of/it"));
    }
}

#[tokio::test]
async fn a_repository_lives_on_the_port_of_repositories() {
    for restic in Restic::all("real_restic::a_repository_lives_on_the_port_of_repositories") {
        let server = Setup::default().restic_listen().start().await;
        let repo = Repo::at(server.restic(), "/alice/laptop/");
        fixture::make_at(&repo).await;
        live(&restic.at(&repo)).await;
        assert_nothing_left_over(&server.data().join("restic/alice/laptop"));
    }
}

#[tokio::test]
async fn a_repository_lives_where_rest_server_was() {
    for restic in Restic::all("real_restic::a_repository_lives_where_rest_server_was") {
        let server = RestServer::start().await;
        let repo = Repo::at(server.http(), "/alice/laptop/");
        fixture::make_at(&repo).await;
        live(&restic.at(&repo)).await;
        assert_nothing_left_over(&server.path().join("alice/laptop"));
        let locks = files(&server.path().join("alice/laptop/locks"));
        assert!(locks.is_empty(), "{locks:?}");
    }
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let Some(restic) = Restic::newest("real_restic::a_restart_loses_nothing") else { return };
    let mut server = RestServer::start().await;
    let repo = Repo::at(server.http(), "/");
    fixture::make_at(&repo).await;
    let restic = restic.at(&repo);
    let data = Files::new();
    restic.backup(data.path()).await;
    assert!(server.terminate().await.success());

    server.restart().await;

    restic.ok(&["check", "--read-data"]).await;
    restic.assert_restores(data.path()).await;
}
