//! Restics with users, and where nothing may be deleted.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::common::rest_server::{RestServer, RestSetup};
use crate::common::server::Setup;
use crate::common::temporary;
use crate::common::users::htpasswd;
use crate::fixture;
use crate::restic::{Files, Restic};
use crate::tree::files;
use crate::vocabulary::Repo;

const USERS: [(&str, &str); 2] = [("alice", "wonder:land"), ("bob", "builder")];

/// Passwords with a colon cannot stand in a URL as they are.
fn escaped(password: &str) -> String {
    password.replace(':', "%3A")
}

/// A restic that says who asks, in the way that it has.
fn by(restic: &Restic, repo: &Repo, (user, password): (&str, &str)) -> Restic {
    let restic = restic.at(repo);
    if restic.is_newest() { restic.by(user, password) } else { restic.by(user, &escaped(password)) }
}

async fn start_with_users(flags: &[&str]) -> RestServer {
    let home = temporary::directory();
    let file = htpasswd(home.path(), &USERS);
    let path = home.path().join("repositories");
    let setup = RestSetup::default().flags(["--htpasswd-file", &file]);
    setup.flags(flags.iter().copied()).start_on(home, path).await
}

/// What is stored, apart from locks and the server's own.
fn stored(server: &RestServer) -> BTreeSet<PathBuf> {
    let is_kept = |file: &PathBuf| !file.iter().any(|part| part == "locks" || part == ".steward");
    files(server.path()).into_iter().filter(is_kept).collect()
}

#[tokio::test]
async fn users_back_up_and_others_do_not() {
    for restic in Restic::all("real_restic::users_back_up_and_others_do_not") {
        let server = start_with_users(&[]).await;
        let repo = Repo::at(server.http(), "/shared/");
        let (alice, bob) = (by(&restic, &repo, USERS[0]), by(&restic, &repo, USERS[1]));
        let data = Files::new();
        fixture::make_at(&repo.by(USERS[0].0, USERS[0].1)).await;
        bob.backup(data.path()).await;
        alice.ok(&["check", "--read-data"]).await;
        alice.assert_restores(data.path()).await;

        by(&restic, &repo, ("alice", "guessed")).complains(&["snapshots"], "401").await;
        by(&restic, &repo, ("nobody", "builder")).complains(&["snapshots"], "401").await;
        restic.at(&repo).complains(&["snapshots"], "401").await;
    }
}

#[tokio::test]
async fn private_repositories_are_private() {
    for restic in Restic::all("real_restic::private_repositories_are_private") {
        let server = start_with_users(&["--private-repos"]).await;
        let data = Files::new();
        for path in ["/alice/", "/alice/laptop/"] {
            let repo = Repo::at(server.http(), path);
            let alice = by(&restic, &repo, USERS[0]);
            fixture::make_at(&repo.by(USERS[0].0, USERS[0].1)).await;
            alice.backup(data.path()).await;
            alice.ok(&["check"]).await;
        }
        let before = stored(&server);
        // The original says 401.
        let refusal = if server.is_original() { "401" } else { "403" };

        for path in ["/alice/", "/alice/laptop/", "/alicf/", "/"] {
            let bob = by(&restic, &Repo::at(server.http(), path), USERS[1]);
            bob.complains(&["snapshots"], refusal).await;
        }

        assert_eq!(stored(&server), before);
    }
}

#[tokio::test]
async fn where_nothing_may_be_deleted_backups_work_and_nothing_is_deleted() {
    for restic in Restic::all("real_restic::where_nothing_may_be_deleted") {
        let server = RestServer::open().flags(["--append-only"]).start().await;
        let repo = Repo::at(server.http(), "/");
        fixture::make_at(&repo).await;
        let restic = restic.at(&repo);
        let mut data = Files::new();
        restic.backup(data.path()).await;
        data.change();
        restic.backup(data.path()).await;
        assert_eq!(files(&server.path().join("locks")), BTreeSet::new(), "locks are given back");
        let before = stored(&server);

        restic.complains(&["forget", "--keep-last", "1", "--prune"], "403").await;

        assert_eq!(stored(&server), before);
        assert_eq!(restic.snapshots().await, 2);
        restic.ok(&["check", "--read-data"]).await;
        restic.assert_restores(data.path()).await;
    }
}

#[tokio::test]
async fn one_server_has_hosts_that_it_trusts_and_hosts_that_only_add() {
    for restic in Restic::all("real_restic::one_server_has_hosts_that_it_trusts") {
        let home = temporary::directory();
        let file = htpasswd(home.path(), &USERS);
        let config = format!("[auth]\nhtpasswd = {file:?}\n[restic.users.bob]\naccess = \"append\"");
        let server = Setup::default().config(&config).restic_listen().start().await;
        let repo = Repo::at(server.restic(), "/shared/");
        let (trusted, untrusted) = (by(&restic, &repo, USERS[0]), by(&restic, &repo, USERS[1]));
        let data = Files::new();
        fixture::make_at(&repo.by(USERS[1].0, USERS[1].1)).await;
        untrusted.backup(data.path()).await;
        untrusted.backup(data.path()).await;

        untrusted.complains(&["forget", "--keep-last", "1"], "403").await;

        assert_eq!(trusted.snapshots().await, 2);
        trusted.ok(&["forget", "--keep-last", "1", "--prune"]).await;
        assert_eq!(trusted.snapshots().await, 1);
        untrusted.ok(&["check", "--read-data"]).await;
        untrusted.assert_restores(data.path()).await;
    }
}
