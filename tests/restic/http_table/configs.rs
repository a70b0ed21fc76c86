//! `{path}config`.

use crate::vocabulary::{Everywhere, assert_ok, assert_refused, noise};

use super::assert_not_allowed;

#[tokio::test]
async fn the_config_is_stored_read_and_measured() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        assert_eq!(repo.head("config").await.status, 404);
        assert_refused(&repo.get("config").await, 404);
        let bytes = noise(1, 155);

        assert_ok(&repo.post("config", &bytes).await);

        let head = repo.head("config").await;
        assert_eq!((head.status, head.header("content-length")), (200, Some("155")));
        let get = repo.get("config").await;
        assert_eq!((get.status, get.header("content-length")), (200, Some("155")));
        assert_eq!(get.header("content-type"), Some("application/octet-stream"));
        assert_eq!(get.body, bytes);
    }
}

#[tokio::test]
async fn a_range_of_the_config_is_ignored() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        assert_ok(&repo.post("config", b"the config").await);
        for range in ["bytes=0-", "bytes=2-3", "bytes=100-", "nonsense"] {
            let answer = repo.range("config", range).await;
            assert_eq!(answer.parts(), (200, "the config"), "{range}");
            assert_eq!(answer.header("content-range"), None, "{range}");
        }
    }
}

#[tokio::test]
async fn the_same_config_may_come_again_and_another_may_not() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        assert_ok(&repo.post("config", b"the config").await);
        assert_ok(&repo.post("config", b"the config").await);
        assert_refused(&repo.post("config", b"another one").await, 403);
        assert_refused(&repo.post("config", b"the").await, 403);
        assert_refused(&repo.post("config", b"").await, 403);
        assert_eq!(repo.get("config").await.text(), "the config");
    }
}

#[tokio::test]
async fn the_config_can_be_deleted_also_when_it_is_not_there() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        assert_ok(&repo.delete("config").await);
        assert_ok(&repo.post("config", b"the config").await);
        assert_ok(&repo.delete("config").await);
        assert_eq!(repo.head("config").await.status, 404);
        assert_ok(&repo.post("config", b"another one").await);
        assert_eq!(repo.get("config").await.text(), "another one");
    }
}

#[tokio::test]
async fn other_methods_of_the_config_are_refused() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        for method in ["PUT", "PATCH", "OPTIONS"] {
            assert_not_allowed(&repo.request(method, "config", &[], b"").await, &["DELETE", "GET", "HEAD", "POST"]);
        }
    }
}

#[tokio::test]
async fn there_is_nothing_below_the_config() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        assert_ok(&repo.post("config", b"the config").await);
        for below in ["config/", "config/foo", "config/config"] {
            let (get, post) = (repo.get(below).await, repo.post(below, b"foo").await);
            assert!(matches!(get.status, 400 | 404), "{below}: {}", get.status);
            assert!(matches!(post.status, 400 | 404), "{below}: {}", post.status);
        }
    }
}
