//! What is young cannot be deleted: a thief of the password cannot empty a repository.

use crate::common::server::Setup;
use crate::common::wait::eventually;
use crate::vocabulary::{Everywhere, TYPES, assert_ok, assert_refused, blob};

#[tokio::test]
async fn what_is_young_stays() {
    let everywhere = Everywhere::with(Setup::default().config("[restic]\nmin_age = \"1h\"")).await;
    for repo in everywhere.repos() {
        assert_ok(&repo.post("config", b"the config").await);
        for kind in TYPES {
            let object = blob(format!("one of {kind}"));
            repo.store(kind, &object).await;
            let answer = repo.delete(&format!("{kind}/{}", object.name)).await;
            // An index can be made anew from the packs, and prune replaces young ones.
            if ["locks", "index"].contains(&kind) {
                assert_ok(&answer);
            } else {
                assert_refused(&answer, 403);
                assert!(repo.has(kind, &object).await, "{kind}");
            }
        }
        assert_refused(&repo.delete("config").await, 403);
        assert_ok(&repo.delete(&format!("data/{}", blob("never stored").name)).await);
    }
}

#[tokio::test]
async fn what_is_old_enough_goes() {
    let everywhere = Everywhere::with(Setup::default().config("[restic]\nmin_age = \"1s\"")).await;
    let object = blob("soon old");
    for repo in everywhere.repos() {
        repo.store("data", &object).await;
    }
    for repo in everywhere.repos() {
        let path = format!("data/{}", object.name);
        eventually("it is old enough", async || (repo.delete(&path).await.status == 200).then_some(())).await;
        assert!(!repo.has("data", &object).await);
    }
}

#[tokio::test]
async fn storing_the_same_again_does_not_make_it_older_or_younger_and_neither_does_a_restart() {
    let mut server = Setup::default().config("[restic]\nmin_age = \"1h\"").start().await;
    let repo = crate::vocabulary::Repo::at(server.http(), "/restic/a/");
    let object = blob("young");
    repo.store("data", &object).await;
    repo.store("data", &object).await;

    server.restart().await;

    assert_refused(&repo.delete(&format!("data/{}", object.name)).await, 403);
}
