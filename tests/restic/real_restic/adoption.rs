//! A tree that restic or rest-server made, and restics that work in it beside the server.

use std::path::Path;

use crate::common::rest_server::RestServer;
use crate::common::server::Setup;
use crate::common::temporary;
use crate::fixture;
use crate::restic::{Files, Restic};
use crate::vocabulary::Repo;

/// Makes a repository with two snapshots without any server.
async fn made_locally(restic: &Restic, directory: &Path, data: &mut Files) {
    let local = restic.locally(directory);
    fixture::make_in(directory);
    local.backup(data.path()).await;
    data.change();
    local.backup(data.path()).await;
}

#[tokio::test]
async fn a_tree_that_restic_made_is_served_as_it_is() {
    for restic in Restic::all("real_restic::a_tree_that_restic_made_is_served_as_it_is") {
        let home = temporary::directory();
        let path = home.path().join("tree");
        let mut data = Files::new();
        made_locally(&restic, &path, &mut data).await;

        let mut server = RestServer::open().start_on(home, path).await;
        let served = restic.at(&Repo::at(server.http(), "/"));
        assert_eq!(served.snapshots().await, 2);
        served.ok(&["check", "--read-data"]).await;
        data.change();
        served.backup(data.path()).await;
        served.ok(&["forget", "--keep-last", "1", "--prune"]).await;
        served.assert_restores(data.path()).await;

        assert!(server.terminate().await.success());
        let local = restic.locally(server.path());
        local.ok(&["check", "--read-data"]).await;
        local.assert_restores(data.path()).await;
    }
}

#[tokio::test]
async fn a_server_of_everything_serves_a_tree_that_restic_made() {
    let Some(restic) = Restic::newest("real_restic::a_server_of_everything_serves_a_tree") else { return };
    let tree = temporary::directory();
    let mut data = Files::new();
    made_locally(&restic, &tree.path().join("alice/laptop"), &mut data).await;

    let config = format!("[restic]\npath = '{}'", tree.path().display());
    let server = Setup::default().config(&config).restic_listen().start().await;

    for repo in [Repo::at(server.http(), "/restic/alice/laptop/"), Repo::at(server.restic(), "/alice/laptop/")] {
        let served = restic.at(&repo);
        assert_eq!(served.snapshots().await, 2);
        served.ok(&["check", "--read-data"]).await;
    }
}

#[tokio::test]
async fn a_restic_may_prune_behind_the_back_of_the_server() {
    let Some(restic) = Restic::newest("real_restic::a_restic_may_prune_behind_the_back") else { return };
    let server = RestServer::start().await;
    let (served, local) = (restic.at(&Repo::at(server.http(), "/")), restic.locally(server.path()));
    let mut data = Files::new();
    fixture::make_in(server.path());
    for _ in 0..2 {
        served.backup(data.path()).await;
        data.change();
    }
    served.backup(data.path()).await;
    assert_eq!(served.snapshots().await, 3);

    local.ok(&["forget", "--keep-last", "1", "--prune"]).await;

    assert_eq!(served.snapshots().await, 1);
    served.ok(&["check", "--read-data"]).await;
    served.assert_restores(data.path()).await;
    data.change();
    local.backup(data.path()).await;
    assert_eq!(served.snapshots().await, 2);
    served.assert_restores(data.path()).await;
}

#[tokio::test]
async fn what_changed_while_the_server_was_away_is_noticed() {
    let Some(restic) = Restic::newest("real_restic::what_changed_while_the_server_was_away") else { return };
    let mut server = RestServer::start().await;
    let (served, local) = (restic.at(&Repo::at(server.http(), "/")), restic.locally(server.path()));
    let mut data = Files::new();
    fixture::make_in(server.path());
    served.backup(data.path()).await;
    data.change();
    assert!(server.terminate().await.success());

    local.backup(data.path()).await;
    local.ok(&["forget", "--keep-last", "1", "--prune"]).await;

    server.restart().await;
    assert_eq!(served.snapshots().await, 1);
    served.ok(&["check", "--read-data"]).await;
    served.assert_restores(data.path()).await;
}
