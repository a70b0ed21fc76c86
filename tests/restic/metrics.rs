//! What operators see of repositories.

use std::time::{Duration, UNIX_EPOCH};

use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::htpasswd;
use crate::common::wait::eventually;
use crate::numbers::Numbers;
use crate::vocabulary::{Repo, assert_ok, blob, noise};

#[tokio::test]
async fn each_repository_has_its_numbers() {
    let mut server = Setup::default().config("[restic]\nundelete = \"1h\"").start().await;
    let repo = Repo::at(server.http(), "/restic/alice/laptop/");
    let empty = Repo::at(server.http(), "/restic/empty/");
    empty.create().await;
    let objects = [1, 2, 3].map(|seed| blob(noise(seed, 1000)));
    repo.store("data", &objects[0]).await;
    repo.store("data", &objects[1]).await;
    repo.store("snapshots", &objects[2]).await;
    assert_ok(&repo.delete(&format!("data/{}", objects[0].name)).await);
    assert_ok(&repo.get(&format!("data/{}", objects[1].name)).await);

    let numbers = Numbers::of(server.http()).await;
    assert_kept(&numbers);
    let of = |name: &str, kind| {
        let labels = [("user", ""), ("repo", "alice/laptop"), ("type", kind)];
        numbers.get(&format!("rest_server_blob_{name}"), &labels)
    };
    assert_eq!((of("write_total", "data"), of("write_bytes_total", "data")), (Some(2.0), Some(2000.0)));
    assert_eq!((of("write_total", "snapshots"), of("write_bytes_total", "snapshots")), (Some(1.0), Some(1000.0)));
    assert_eq!((of("read_total", "data"), of("delete_total", "data")), (Some(1.0), Some(1.0)));

    // Gauges are there again after a restart; counters begin at nothing.
    server.restart().await;
    let numbers = eventually("everything is counted", async || {
        let numbers = Numbers::of(server.http()).await;
        numbers
            .get("steward_restic_objects", &[("repo", "alice/laptop")])
            .is_some_and(|count| count > 0.0)
            .then_some(numbers)
    })
    .await;
    assert_kept(&numbers);
}

fn assert_kept(numbers: &Numbers) {
    let of = |name: &str, repo| numbers.get(&format!("steward_restic_{name}"), &[("repo", repo)]);
    assert_eq!((of("objects", "alice/laptop"), of("bytes", "alice/laptop")), (Some(2.0), Some(2000.0)));
    assert_eq!(of("deleted_bytes", "alice/laptop"), Some(1000.0));
    let snapshot = of("last_snapshot_timestamp_seconds", "alice/laptop").expect("a time");
    let time = UNIX_EPOCH + Duration::from_secs_f64(snapshot);
    assert!(time.elapsed().is_ok_and(|age| age < Duration::from_mins(5)), "{snapshot}");
    assert_eq!((of("objects", "empty"), of("bytes", "empty")), (Some(0.0), Some(0.0)));
    assert_eq!(of("last_snapshot_timestamp_seconds", "empty"), Some(0.0));
}

/// Everything that somebody can ask of a repository that is not there, without making it.
async fn poke(repo: &Repo) {
    let name = blob("an object").name;
    for method in ["GET", "HEAD", "DELETE", "PUT", "PROPFIND"] {
        for below in ["", "config", "data/", "bogus/", &format!("data/{name}"), "locks/x"] {
            repo.request(method, below, &[], b"").await;
        }
    }
    repo.post("?create=false", b"").await;
}

async fn assert_has_no_word_of_it(server: &Server) {
    let answer = server.http().get("/metrics").await;
    assert_ok(&answer);
    assert!(answer.text().contains("steward_http_requests_total"));
    let told: Vec<&str> = answer.text().lines().filter(|line| line.contains("evil")).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn names_that_anybody_makes_up_are_no_metrics() {
    let server = Setup::default().restic_listen().start().await;
    for path in ["/evil/", "/evil/1/2/3/", "/evil%22%0a1/", "/restic/evil/", "/../evil/", "//evil/"] {
        poke(&Repo::at(server.http(), path)).await;
        poke(&Repo::at(server.restic(), path)).await;
    }
    assert_has_no_word_of_it(&server).await;
}

#[tokio::test]
async fn neither_are_those_that_strangers_or_users_without_rights_make_up() {
    let home = temporary::directory();
    let file = htpasswd(home.path(), &[("bob", "b"), ("none", "n")]);
    let config = format!(
        "[server]\nopen_metrics = true\n[auth]\nhtpasswd = {file:?}\n[restic]\nprivate_repositories = true\nmax_object_bytes = 10\n\
         [restic.users.none]\naccess = \"none\""
    );
    let server = Setup::default().config(&config).restic_listen().start_in(home).await;
    for path in ["/evil/", "/evil/1/2/3/"] {
        let repo = Repo::at(server.restic(), path);
        poke(&repo.by("bob", "b")).await;
        poke(&repo.by("none", "n")).await;
        poke(&repo).await;
        assert_eq!(repo.by("bob", "b").post("?create=true", b"").await.status, 403);
        assert_eq!(repo.by("bob", "b").post(&format!("data/{}", blob("x").name), b"x").await.status, 403);
    }
    assert_eq!(Repo::at(server.restic(), "/").by("evil", "x").get("config").await.status, 401);
    assert_has_no_word_of_it(&server).await;
}
