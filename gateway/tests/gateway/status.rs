//! `/lock/status`, by query string and by body.

use std::time::Duration;

use axum::Router;
use steward_proto::lock::v1::{Completion, GetRequest, GetResponse, Grant, Lock, LockKey};
use tonic::{Code, Status};

use crate::fake::{Fake, Script, refusal};
use crate::http::{get, json, plain, post};

const NOTHING: &str = r#"{"acquired":false,"completed":false,"success":false}"#;

fn answering(get: Result<GetResponse, Status>) -> Fake {
    Fake::new(Script { get, ..Script::default() })
}

fn reading(lock: Lock) -> Router {
    answering(Ok(GetResponse { lock: Some(lock) })).router()
}

fn held_by(owner: &str) -> Lock {
    let grant = Grant { owner: owner.to_owned(), ..Grant::default() };
    Lock { holders: vec![grant], holder_count: 1, ..Lock::default() }
}

#[tokio::test]
async fn acquired_is_about_the_node_or_about_anybody() {
    for (lock, node_id, is_acquired) in [
        (held_by("A"), "A", true),
        (held_by("A"), "B", false),
        (held_by("A"), "", true),
        (Lock::default(), "", false),
        (Lock::default(), "A", false),
    ] {
        let expected = json(200, &format!(r#"{{"acquired":{is_acquired},"completed":false,"success":false}}"#));
        let router = reading(lock);
        let query = format!("/lock/status?type=t&resource_id=r&node_id={node_id}");
        assert_eq!(get(&router, &query).await, expected, "{node_id}");
        let body = format!(r#"{{"type":"t","resource_id":"r","node_id":"{node_id}"}}"#);
        assert_eq!(post(&router, "/lock/status", body).await, expected, "{node_id}");
    }
}

#[tokio::test]
async fn completion_is_completed_and_success() {
    let router = reading(Lock { completion: Some(Completion::default()), ..Lock::default() });
    let expected = json(200, r#"{"acquired":false,"completed":true,"success":true}"#);
    assert_eq!(get(&router, "/lock/status?type=t&resource_id=r").await, expected);
    assert_eq!(get(&router, "/infer/lock/status?type=t&resource_id=r").await, expected);
}

#[tokio::test]
async fn nothing_is_true_of_a_lock_that_cannot_be() {
    for answer in [Ok(GetResponse { lock: None }), Err(refusal(Code::InvalidArgument, "INVALID_ARGUMENT"))] {
        let router = answering(answer).router();
        assert_eq!(get(&router, "/lock/status?type=t&resource_id=r").await, json(200, NOTHING));
    }
}

#[tokio::test]
async fn reading_as_a_node_claims_for_it() {
    let fake = answering(Ok(GetResponse::default()));
    let router = fake.router();
    get(&router, "/lock/status?type=p&type=q&resource_id=sha256%3Aa%2Bb+c&node_id=A").await;
    post(&router, "/lock/status?type=q", r#"{"type":"p","resource_id":"r"}"#).await;

    let key = |resource_id: &str| Some(LockKey { r#type: "p".to_owned(), resource_id: resource_id.to_owned() });
    let expected = [
        GetRequest { key: key("sha256:a+b c"), claim_as: "A".to_owned() },
        GetRequest { key: key("r"), claim_as: String::new() },
    ];
    assert_eq!(fake.asked(|asked| asked.get.clone()), expected);
}

#[tokio::test]
async fn missing_parameters_are_told() {
    let router = answering(Ok(GetResponse::default())).router();
    let expected = plain(400, "缺少必要参数");
    for query in ["", "?", "?type=t", "?resource_id=r", "?type=&resource_id=r", "?type=&type=t&resource_id=r"] {
        assert_eq!(get(&router, &format!("/lock/status{query}")).await, expected, "{query}");
    }
    for body in ["{}", "null", r#"{"type":"t"}"#, r#"{"resource_id":"r","node_id":"A"}"#] {
        assert_eq!(post(&router, "/lock/status?type=t&resource_id=r", body).await, expected, "{body}");
    }
}

#[tokio::test]
async fn failures_of_the_server_are_plain() {
    for (status, expected) in [
        (Status::unavailable("secret"), plain(503, "服务暂时不可用，请稍后重试")),
        (Status::deadline_exceeded("secret"), plain(504, "请求超时")),
        (Status::not_found("secret"), plain(500, "内部错误")),
    ] {
        let router = answering(Err(status.clone())).router();
        assert_eq!(get(&router, "/lock/status?type=t&resource_id=r").await, expected, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn read_that_takes_for_ever_times_out() {
    let router = Fake::new(Script { delay: Duration::from_mins(1), ..Script::default() }).router();
    assert_eq!(get(&router, "/lock/status?type=t&resource_id=r").await, plain(504, "请求超时"));
}
