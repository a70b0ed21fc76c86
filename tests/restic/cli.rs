//! `steward restic` against a real server, with repositories that real restics made.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::command::{objects, restic, restic_at};
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::htpasswd;
use crate::fixture;
use crate::restic::{Files, Restic};
use crate::tree::{assert_nothing_left_over, file_of};
use crate::vocabulary::{Repo, assert_ok, blob, noise};

/// A directory as rest-server had it: one repository in it.
async fn made_by(program: &Restic, directory: &Path) -> Files {
    fixture::make_in(directory);
    let data = Files::new();
    program.locally(directory).backup(data.path()).await;
    data
}

#[tokio::test]
async fn what_restics_made_is_imported_and_serves_them() {
    let programs = Restic::all("cli::what_restics_made_is_imported");
    let (server, old) = (Server::start().await, temporary::directory());
    let mut made = Vec::new();
    for (number, program) in programs.iter().enumerate() {
        let path = format!("user{number}/laptop");
        made.push((program, path.clone(), made_by(program, &old.path().join(path)).await));
    }
    let directory = old.path().to_str().expect("UTF-8");
    let count = |name| {
        let field = move |line: &serde_json::Value| line["imported"][name].as_i64().expect("a number");
        move |said: &_| objects(said).iter().map(field).sum::<i64>()
    };
    let (imported, present) = (count("imported_count"), count("present_count"));

    let dry = restic(&server, &["import", "--dry-run", "--json", directory]).await;
    assert_eq!((dry.code, restic(&server, &["list", "--json"]).await.out.as_str()), (Some(0), ""), "{dry:?}");
    let first = restic(&server, &["import", "--json", directory]).await;
    assert_eq!((first.code, imported(&first)), (Some(0), imported(&dry)), "{first:?}");
    let again = restic(&server, &["import", "--json", directory]).await;
    assert_eq!((again.code, imported(&again), present(&again)), (Some(0), 0, imported(&first)), "{again:?}");

    let listed: Vec<_> =
        objects(&restic(&server, &["list", "--json"]).await).iter().map(|r| r["path"].clone()).collect();
    assert_eq!(listed, made.iter().map(|(_, path, _)| json!(path)).collect::<Vec<_>>());
    let verified = restic(&server, &["verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    for (program, path, data) in &made {
        let served = program.at(&Repo::at(server.http(), &format!("/restic/{path}/")));
        served.ok(&["check", "--read-data"]).await;
        served.assert_restores(data.path()).await;
        served.backup(data.path()).await;
        assert_eq!(served.snapshots().await, 2);
        assert_nothing_left_over(&server.data().join("restic").join(path));
    }
}

#[tokio::test]
async fn another_repository_is_never_mixed_with_the_one_that_is_there() {
    let (server, old) = (Server::start().await, temporary::directory());
    fixture::make_in(&old.path().join("a"));
    let repo = Repo::at(server.http(), "/restic/a/");
    assert_ok(&repo.post("config", b"of another repository").await);
    let directory = old.path().to_str().expect("UTF-8");

    let refused = restic(&server, &["import", directory]).await;

    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("--as"), "{refused:?}");
    assert_eq!(repo.list("keys").await, []);
    let elsewhere = restic(&server, &["import", directory, "--as", "old"]).await;
    assert_eq!(elsewhere.code, Some(0), "{elsewhere:?}");
    assert_eq!(Repo::at(server.http(), "/restic/old/a/").list("keys").await.len(), 1);
}

#[tokio::test]
async fn an_object_that_is_damaged_is_not_imported_and_told() {
    let (server, old) = (Server::start().await, temporary::directory());
    let tree = old.path().join("a");
    fixture::make_in(&tree);
    let (good, bad) = (blob("good"), blob("bad"));
    fs::write(file_of(&tree, "data", &good.name), "good").expect("a file can be written");
    fs::write(file_of(&tree, "data", &bad.name), "damaged").expect("a file can be written");
    fs::write(tree.join("data/00/notes.txt"), "not restic's").expect("a file can be written");

    let said = restic(&server, &["import", old.path().to_str().expect("UTF-8")]).await;

    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains(&bad.name) && !said.out.contains(&good.name), "{said:?}");
    assert!(said.out.contains("notes.txt"), "{said:?}");
    let repo = Repo::at(server.http(), "/restic/a/");
    assert_eq!(repo.names("data").await, [good.name]);
    assert_eq!(restic(&server, &["verify", "a"]).await.code, Some(0));
}

#[tokio::test]
async fn a_directory_without_repositories_is_no_success() {
    let (server, empty) = (Server::start().await, temporary::directory());
    for directory in [empty.path().to_str().expect("UTF-8"), "/nowhere"] {
        let said = restic(&server, &["import", directory]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains(directory), "{said:?}");
    }
}

#[tokio::test]
async fn a_quota_is_set_shown_and_taken_back() {
    let server = Server::start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    repo.create().await;
    let large = blob(noise(1, 2000));
    let path = format!("data/{}", large.name);

    let set = restic(&server, &["quota", "a", "1KiB", "--json"]).await;
    assert_eq!((set.code, &objects(&set)[0]["max_bytes"]), (Some(0), &json!(1024)), "{set:?}");
    assert_eq!(repo.post(&path, &large.bytes).await.status, 507);
    let taken_back = restic(&server, &["quota", "a", "none"]).await;
    assert_eq!(taken_back.code, Some(0), "{taken_back:?}");
    assert_ok(&repo.post(&path, &large.bytes).await);

    for (args, code) in [
        (["quota", "nowhere", "1KiB"], 1),
        (["quota", "a", "0"], 2),
        (["quota", "a", "much"], 2),
        (["quota", "a/../b", "1KiB"], 1),
    ] {
        let said = restic(&server, &args).await;
        assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
        assert!(!said.err.is_empty() && said.out.is_empty(), "{said:?}");
    }
}

#[tokio::test]
async fn a_forgotten_backup_is_brought_back() {
    let Some(program) = Restic::newest("cli::a_forgotten_backup_is_brought_back") else { return };
    let server = Setup::default().config("[restic]\nundelete = \"1h\"").start().await;
    let repo = Repo::at(server.http(), "/restic/a/");
    fixture::make_at(&repo).await;
    let (served, data) = (program.at(&repo), Files::new());
    served.backup(data.path()).await;
    served.ok(&["forget", "latest", "--prune"]).await;
    assert_eq!(served.snapshots().await, 0);

    assert_eq!(restic(&server, &["undelete", "a"]).await.code, Some(2), "it has to be said what");
    let nothing = restic(&server, &["undelete", "a", "--type", "key", "--json"]).await;
    assert_eq!((nothing.code, &objects(&nothing)[0]["restored_count"]), (Some(0), &json!(0)), "{nothing:?}");
    let deleted = objects(&restic(&server, &["deleted", "a", "--json"]).await).len();
    let restored = restic(&server, &["undelete", "a", "--all", "--json"]).await;
    assert_eq!((restored.code, &objects(&restored)[0]["restored_count"]), (Some(0), &json!(deleted)), "{restored:?}");

    served.assert_restores(data.path()).await;
    served.ok(&["check", "--read-data"]).await;
    assert_eq!(restic(&server, &["verify", "a"]).await.code, Some(0));
    assert_eq!(restic(&server, &["undelete", "nowhere", "--all"]).await.code, Some(1));
}

#[tokio::test]
async fn what_cannot_be_verified_is_no_success_and_no_finding() {
    let server = Server::start().await;
    assert_eq!(restic(&server, &["verify", "nowhere"]).await.code, Some(3));
    let away = restic_at("http://127.0.0.1:1", &["verify"], &[]).await;
    assert_eq!(away.code, Some(3), "{away:?}");
    assert_eq!(restic_at("http://127.0.0.1:1", &["list"], &[]).await.code, Some(1));
    assert_eq!(restic(&server, &["verify", "--bogus"]).await.code, Some(2));
}

#[tokio::test]
async fn a_user_says_who_asks_and_the_password_is_never_shown() {
    let home = temporary::directory();
    let file = htpasswd(home.path(), &[("alice", "correct-horse"), ("bob", "battery-staple")]);
    let config = format!("[auth]\nhtpasswd = {file:?}\n[restic]\nprivate_repositories = true");
    let server = Setup::default().config(&config).start_in(home).await;
    let password = server.home().join("password");
    fs::write(&password, "correct-horse\n").expect("a file can be written");
    for (user, secret) in [("alice", "correct-horse"), ("bob", "battery-staple")] {
        Repo::at(server.http(), &format!("/restic/{user}/")).by(user, secret).create().await;
    }
    let (url, password) = (server.grpc_url(), password.to_str().expect("UTF-8"));

    let listed = restic_at(&url, &["list", "--json", "--user", "alice", "--password-file", password], &[]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let paths: Vec<_> = objects(&listed).iter().map(|repository| repository["path"].clone()).collect();
    assert_eq!(paths, [json!("alice")], "nobody sees what others have");
    let bob = [("STEWARD_USER", "bob"), ("STEWARD_PASSWORD", "battery-staple")];
    assert_eq!(restic_at(&url, &["verify", "alice"], &bob).await.code, Some(3));
    assert_eq!(restic_at(&url, &["verify", "bob"], &bob).await.code, Some(0));

    for (args, env) in [
        (&["list"][..], &[][..]),
        (&["list", "--user", "alice"], &[]),
        (&["list", "--user", "alice"], &[("STEWARD_PASSWORD", "battery-staple")]),
    ] {
        let refused = restic_at(&url, args, env).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(!refused.err.contains("battery-staple") && !server.log().contains("battery-staple"), "{refused:?}");
    }
}
