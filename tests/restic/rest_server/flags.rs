//! What it can be told.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::common::process::STEWARD;
use crate::common::rest_server::{RestServer, RestSetup};
use crate::common::temporary;
use crate::common::users::htpasswd;
use crate::tree::file_of;
use crate::vocabulary::{Repo, assert_ok, blob};

/// What a server that is expected to give up writes to standard error.
async fn refused(setup: RestSetup) -> String {
    let output = setup.refused().await;
    assert!(!output.status.success(), "it was not expected to serve");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[tokio::test]
async fn without_users_it_asks_for_a_word() {
    let said = refused(RestSetup::default()).await;
    for word in [".htpasswd", "--no-auth"] {
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[tokio::test]
async fn a_file_of_users_that_is_not_there_is_named() {
    let said = refused(RestSetup::default().flags(["--htpasswd-file", "/nowhere/users"])).await;
    assert!(said.contains("/nowhere/users"), "{said}");
}

#[tokio::test]
async fn what_is_no_flag_is_refused() {
    for (flags, named) in [
        (&["repositories"][..], "repositories"),
        (&["--no-auth", "--bogus"], "--bogus"),
        (&["--no-auth", "--append-only", "false"], "false"),
        (&["--no-auth", "--tls-min-ver", "1.1"], "1.1"),
    ] {
        let said = refused(RestSetup::default().flags(flags.iter().copied())).await;
        assert!(said.contains(named), "{flags:?}: {said}");
    }
}

#[tokio::test]
async fn tls_without_a_certificate_is_refused_and_the_file_is_named() {
    let said = refused(RestServer::open().flags(["--tls"])).await;
    assert!(said.contains("public_key"), "{said}");
}

#[tokio::test]
async fn a_port_that_somebody_has_is_named() {
    let first = RestServer::start().await;
    let taken = first.said().to_owned();
    let said = refused(RestServer::open().listen(&taken)).await;
    assert!(said.contains(&taken), "{said}");
}

#[tokio::test]
async fn users_are_looked_for_beside_the_repositories() {
    let home = temporary::directory();
    let path = home.path().join("repositories");
    fs::create_dir(&path).expect("a directory can be made");
    fs::rename(htpasswd(home.path(), &[("alice", "wonder")]), path.join(".htpasswd")).expect("a file can be moved");

    let server = RestSetup::default().start_on(home, path).await;

    let repo = Repo::at(server.http(), "/a/");
    assert_eq!(repo.post("?create=true", b"").await.status, 401);
    repo.by("alice", "wonder").create().await;
    let file = repo.by("alice", "wonder").get("../.htpasswd").await;
    // The original says 307, and where to go instead.
    assert!(matches!(file.status, 400 | 404) || server.is_original(), "{}", file.status);
    assert!(!String::from_utf8_lossy(&file.body).contains("$2y$"));
}

#[tokio::test]
async fn a_link_of_the_name_rest_server_is_one() {
    let home = temporary::directory();
    let link = home.path().join("rest-server");
    symlink(STEWARD, &link).expect("a link can be made");
    let path = home.path().join("repositories");

    let server = RestServer::open().program(link).start_on(home, path).await;

    Repo::at(server.http(), "/a/").create().await;
    assert!(server.path().join("a/data/00").is_dir());
}

#[tokio::test]
async fn what_is_uploaded_is_not_compared_with_its_name_when_that_is_not_wanted() {
    let server = RestServer::open().flags(["--no-verify-upload"]).start().await;
    let repo = Repo::at(server.http(), "/");
    let path = format!("data/{}", blob("something else").name);
    assert_ok(&repo.post(&path, b"something").await);
    assert_eq!(repo.get(&path).await.text(), "something");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn the_group_gets_at_files_only_where_it_is_said() {
    for (flag, directory_mode, file_mode) in
        [("--group-accessible-repos=false", 0o700, 0o600), ("--group-accessible-repos", 0o770, 0o660)]
    {
        let umask = ["sh", "-c", "umask 002 && exec \"$@\"", "sh"];
        let server = RestServer::open().under(umask).flags([flag]).start().await;
        let repo = Repo::at(server.http(), "/a/");
        let object = blob("an object");
        repo.create().await;
        repo.store("data", &object).await;
        repo.store("keys", &object).await;
        assert_ok(&repo.post("config", b"the config").await);

        let tree = server.path().join("a");
        for directory in ["", "data", "data/00", "keys", "locks"] {
            assert_eq!(mode(&tree.join(directory)), directory_mode, "{flag}: {directory}");
        }
        for file in [file_of(&tree, "data", &object.name), file_of(&tree, "keys", &object.name), tree.join("config")] {
            // A file may be protected from being written.
            assert_eq!(mode(&file) | 0o200 | (file_mode & 0o020), file_mode, "{flag}: {}", file.display());
        }
    }
}
