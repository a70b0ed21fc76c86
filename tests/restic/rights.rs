//! Who may do what.

use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::htpasswd;
use crate::vocabulary::{Blob, Repo, TYPES, assert_ok, assert_refused, blob};

const USERS: [(&str, &str); 5] = [("admin", "a"), ("modify", "m"), ("append", "p"), ("read", "r"), ("none", "n")];
const RIGHTS: &str = r#"
[restic.users]
modify = { access = "modify" }
append = { access = "append" }
read = { access = "read" }
none = { access = "none" }
"#;

async fn start(more: &str) -> Server {
    let home = temporary::directory();
    let file = htpasswd(home.path(), &USERS);
    let config = format!("[auth]\nhtpasswd = {file:?}\ntrusted_proxies = [\"127.0.0.1\"]\n[restic]\n{more}\n{RIGHTS}");
    Setup::default().config(&config).restic_listen().start_in(home).await
}

/// The repository, asked by one of the users.
fn by(repo: &Repo, user: &str) -> Repo {
    let (_, password) = USERS.iter().find(|(known, _)| *known == user).expect("a user");
    repo.by(user, password)
}

/// One object of each type, stored by somebody who may.
async fn fill(repo: &Repo) -> Vec<(&'static str, Blob)> {
    let admin = by(repo, "admin");
    admin.create().await;
    assert_ok(&admin.post("config", b"the config").await);
    let objects: Vec<_> = TYPES.iter().map(|kind| (*kind, blob(format!("one of {kind}")))).collect();
    for (kind, object) in &objects {
        admin.store(kind, object).await;
    }
    objects
}

#[tokio::test]
async fn without_a_name_nobody_gets_anywhere() {
    let server = start("").await;
    // Each time from somewhere else: who fails again and again waits for the answer.
    let mut addresses = (0..=255).map(|last| format!("192.0.2.{last}"));
    for repo in [Repo::at(server.http(), "/restic/a/"), Repo::at(server.restic(), "/b/"), Repo::at(server.http(), "/")]
    {
        let objects = fill(&repo).await;
        let path = format!("data/{}", objects[0].1.name);
        let strangers = [repo.clone(), repo.by("", ""), repo.by("admin", "guessed"), repo.by("nobody", "a")];
        for stranger in strangers {
            for (method, below) in [
                ("GET", "data/"),
                ("GET", "config"),
                ("GET", &path),
                ("POST", &path),
                ("DELETE", &path),
                ("POST", "?create=true"),
            ] {
                let address = addresses.next().expect("few requests");
                let answer = stranger.request(method, below, &[("X-Forwarded-For", &address)], b"").await;
                assert_refused(&answer, 401);
                let challenge = answer.header("www-authenticate").expect("a challenge");
                assert!(challenge.starts_with("Basic"), "{challenge}");
            }
            assert_eq!(stranger.head(&path).await.status, 401);
        }
    }
}

#[tokio::test]
async fn health_is_told_without_a_name() {
    let server = start("").await;
    assert_eq!(server.http().get("/healthz").await.status, 200);
    assert_eq!(server.http().get("/readyz").await.status, 200);
}

#[tokio::test]
async fn each_access_allows_what_it_says() {
    let server = start("").await;
    for (number, repo) in [Repo::at(server.http(), "/restic/a/"), Repo::at(server.restic(), "/b/")].iter().enumerate() {
        let objects = fill(repo).await;
        for (user, may_add, may_delete) in [("read", false, false), ("append", true, false), ("modify", true, true)] {
            let user_repo = by(repo, user);
            assert_ok(&user_repo.get("config").await);
            for (kind, object) in &objects {
                assert_ok(&user_repo.get(&format!("{kind}/")).await);
                assert_ok(&user_repo.get(&format!("{kind}/{}", object.name)).await);

                let new = blob(format!("{number} {kind} by {user}"));
                let path = format!("{kind}/{}", new.name);
                let is_lock = *kind == "locks";
                let stored = user_repo.post(&path, &new.bytes).await;
                assert_eq!(stored.status, if may_add || is_lock { 200 } else { 403 }, "{user} adds to {kind}");
                let deleted = user_repo.delete(&path).await;
                assert_eq!(deleted.status, if may_delete || is_lock { 200 } else { 403 }, "{user} deletes from {kind}");
                assert_eq!(
                    by(repo, "admin").has(kind, &new).await,
                    may_add && !may_delete && !is_lock,
                    "{user} {kind}"
                );
            }
            let config = user_repo.delete("config").await;
            assert_eq!(config.status, if may_delete { 200 } else { 403 }, "{user} deletes the config");
        }
    }
}

#[tokio::test]
async fn who_has_no_access_sees_nothing_and_changes_nothing() {
    let server = start("").await;
    let repo = Repo::at(server.restic(), "/a/");
    let objects = fill(&repo).await;
    let outsider = by(&repo, "none");
    for (kind, object) in &objects {
        let path = format!("{kind}/{}", object.name);
        assert_refused(&outsider.get(&format!("{kind}/")).await, 403);
        assert_refused(&outsider.get(&path).await, 403);
        assert_refused(&outsider.post(&path, &object.bytes).await, 403);
        assert_refused(&outsider.delete(&path).await, 403);
        assert_eq!(outsider.head(&path).await.status, 403);
        assert!(by(&repo, "admin").has(kind, object).await);
    }
    assert_refused(&outsider.get("config").await, 403);
    assert_refused(&outsider.post("?create=true", b"").await, 403);
    // It is not told either what there is and what there is not.
    let nowhere = by(&Repo::at(server.restic(), "/nowhere/"), "none");
    assert_refused(&nowhere.get("data/").await, 403);
    assert_refused(&nowhere.get("config").await, 403);
}

#[tokio::test]
async fn private_repositories_begin_with_the_name_of_their_user() {
    let server = start("private_repositories = true").await;
    for path in ["/modify/", "/modify/laptop/", "/modify/a/b/c/"] {
        let own = by(&Repo::at(server.restic(), path), "modify");
        own.create().await;
        own.store("data", &blob("mine")).await;
    }
    let main = by(&Repo::at(server.http(), "/restic/modify/"), "modify");
    assert!(main.has("data", &blob("mine")).await);

    for path in ["/modify/", "/modify/laptop/", "/", "/appendix/", "/APPEND/", "/x/append/"] {
        let others = by(&Repo::at(server.restic(), path), "append");
        assert_refused(&others.get("data/").await, 403);
        assert_refused(&others.post("?create=true", b"").await, 403);
        assert_refused(&others.post(&format!("data/{}", blob("yours").name), b"yours").await, 403);
    }
    for path in ["/append/../modify/", "/append/%2e%2e/modify/", "/append//../modify/", "/append%2f..%2fmodify/"] {
        let escaping = by(&Repo::at(server.restic(), path), "append");
        let answer = escaping.get("data/").await;
        assert!(matches!(answer.status, 400 | 403 | 404), "{path}: {}", answer.status);
    }
}

#[tokio::test]
async fn where_nobody_deletes_not_even_the_mightiest_does() {
    let server = start("append_only = true").await;
    let repo = Repo::at(server.restic(), "/a/");
    let objects = fill(&repo).await;
    let admin = by(&repo, "admin");
    for (kind, object) in &objects {
        let answer = admin.delete(&format!("{kind}/{}", object.name)).await;
        if *kind == "locks" { assert_ok(&answer) } else { assert_refused(&answer, 403) }
    }
    assert_refused(&admin.delete("config").await, 403);
    // A lost answer does not fail a backup.
    admin.store("data", &objects[0].1).await;
}

#[tokio::test]
async fn a_large_upload_that_is_refused_is_told_so_and_not_cut_off() {
    let server = start("").await;
    let repo = Repo::at(server.restic(), "/a/");
    fill(&repo).await;
    let object = blob(crate::vocabulary::noise(5, 8_000_000));
    let answer = by(&repo, "read").post(&format!("data/{}", object.name), &object.bytes).await;
    assert_refused(&answer, 403);
    let answer = repo.post(&format!("data/{}", object.name), &object.bytes).await;
    assert_refused(&answer, 401);
}

#[tokio::test]
async fn who_may_only_read_takes_locks_and_creates_no_repository() {
    let home = temporary::directory();
    let file = htpasswd(home.path(), &USERS);
    let table = "admin * * admin\nappend restic * read,append\nread restic * read\n";
    let config = format!("[auth]\nhtpasswd = {file:?}\nrights = {table:?}\n");
    let server = Setup::default().config(&config).restic_listen().start_in(home).await;
    let repo = Repo::at(server.restic(), "/a/");
    let lock = blob("a lock");
    let path = format!("locks/{}", lock.name);
    let root = server.data().join("restic");

    assert_refused(&by(&repo, "read").post(&path, &lock.bytes).await, 404);
    assert!(!root.join("a").exists(), "nothing was made");
    assert_refused(&by(&repo, "none").post(&path, &lock.bytes).await, 403);

    // Whoever may add makes it, with the lock or without.
    by(&repo, "append").store("locks", &lock).await;
    assert!(root.join("a/data/00").exists());
    let other = blob("another lock");
    by(&repo, "read").store("locks", &other).await;
    assert!(by(&repo, "append").has("locks", &other).await);
}
