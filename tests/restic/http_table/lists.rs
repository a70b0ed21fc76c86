//! `{path}{type}/`.

use std::collections::BTreeSet;

use super::assert_not_allowed;
use crate::common::server::Setup;
use crate::vocabulary::{Everywhere, Listed, Repo, TYPES, V1, V2, assert_refused, blob};

#[tokio::test]
async fn a_list_has_names_and_sizes() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        for kind in TYPES {
            let blobs = ["", "a", "bc"].map(|text| blob(format!("{kind}{text}")));
            for blob in &blobs {
                repo.store(kind, blob).await;
            }

            let listed = repo.list(kind).await;

            let as_listed =
                |blob: &crate::vocabulary::Blob| Listed { name: blob.name.clone(), size: blob.bytes.len() as u64 };
            let mut expected = blobs.each_ref().map(as_listed);
            expected.sort();
            assert_eq!(listed, expected, "in the order of the names");
        }
    }
}

#[tokio::test]
async fn an_empty_list_is_a_list_in_both_versions() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        for version in [V1, V2] {
            let answer = repo.request("GET", "snapshots/", &[("Accept", version)], b"").await;
            assert_eq!((answer.parts(), answer.header("content-type")), ((200, "[]"), Some(version)));
        }
    }
}

#[tokio::test]
async fn the_second_version_is_sent_unless_the_first_is_asked_for() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let one = blob("one");
        repo.store("data", &one).await;
        let expected = format!(r#"[{{"name":"{}","size":3}}]"#, one.name);
        for headers in [&[][..], &[("Accept", "*/*")], &[("Accept", V2)], &[("Accept", "application/json")]] {
            let answer = repo.request("GET", "data/", headers, b"").await;
            assert_eq!(answer.parts(), (200, expected.as_str()), "{headers:?}");
            assert_eq!(answer.header("content-type"), Some(V2), "{headers:?}");
        }

        let answer = repo.request("GET", "data/", &[("Accept", V1)], b"").await;

        assert_eq!(answer.parts(), (200, format!(r#"["{}"]"#, one.name).as_str()));
        assert_eq!(answer.header("content-type"), Some(V1));
    }
}

#[tokio::test]
async fn what_was_answered_is_in_the_next_list() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let mut expected = BTreeSet::new();
        for number in 0..50 {
            let object = blob(format!("object {number}"));
            repo.store("locks", &object).await;
            expected.insert(object.name.clone());
            assert!(repo.names("locks").await.iter().eq(&expected));
        }
        for name in expected.clone() {
            crate::vocabulary::assert_ok(&repo.delete(&format!("locks/{name}")).await);
            expected.remove(&name);
            assert!(repo.names("locks").await.iter().eq(&expected));
        }
    }
}

#[tokio::test]
async fn there_are_no_lists_of_a_repository_that_is_not_there() {
    let server = Setup::default().restic_listen().start().await;
    for repo in [Repo::at(server.http(), "/restic/no/body/"), Repo::at(server.restic(), "/no/body/")] {
        for kind in TYPES {
            assert_refused(&repo.get(&format!("{kind}/")).await, 404);
        }
    }
}

#[tokio::test]
async fn a_list_can_only_be_read() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        for method in ["HEAD", "POST", "PUT", "DELETE"] {
            assert_not_allowed(&repo.request(method, "data/", &[], b"").await, &["GET"]);
        }
    }
}

#[tokio::test]
async fn a_list_without_its_slash_is_none() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        for kind in TYPES {
            let answer = repo.get(kind).await;
            assert!(matches!(answer.status, 400 | 404), "{kind}: {}", answer.status);
        }
    }
}
