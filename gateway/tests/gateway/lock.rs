//! `POST /lock`.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use steward_proto::lock::v1::{AcquireRequest, AcquireResponse, AcquireStatus, Grant, LockKey, LockMode, WaitPolicy};
use tokio::time::Instant;
use tonic::{Code, Status};
use tower::ServiceExt;

use crate::fake::{Fake, Script, refusal};
use crate::http::{json, plain, post};

const BODY: &str = r#"{"type":"pull","resource_id":"sha256:x","node_id":"A"}"#;

fn answering(acquire: Result<AcquireResponse, Status>) -> Fake {
    Fake::new(Script { acquire, ..Script::default() })
}

fn granted(grant: Grant) -> Fake {
    let status = AcquireStatus::Granted.into();
    answering(Ok(AcquireResponse { status, grant: Some(grant), ..AcquireResponse::default() }))
}

fn decided(status: AcquireStatus) -> Fake {
    answering(Ok(AcquireResponse { status: status.into(), ..AcquireResponse::default() }))
}

#[tokio::test]
async fn granted_lock_is_acquired_and_its_token_is_a_header() {
    let router = granted(Grant { fencing_token: 7, ..Grant::default() }).router();
    let expected = "200\ncontent-type: application/json\nx-lock-fencing-token: 7\n\n\
                    {\"acquired\":true,\"message\":\"成功获得锁\",\"skip\":false}\n";
    assert_eq!(post(&router, "/lock", BODY).await, expected);
    assert_eq!(post(&router, "/infer/lock", BODY).await, expected);
}

#[tokio::test]
async fn expiry_of_a_grant_is_a_header() {
    let expire_time = Some(prost_types::Timestamp { seconds: 1_795_230_780, nanos: 250_000_000 });
    let router = granted(Grant { fencing_token: 8, expire_time, ..Grant::default() }).router();
    assert_eq!(
        post(&router, "/lock", BODY).await,
        "200\ncontent-type: application/json\nx-lock-expires: 2026-11-21T03:13:00.25Z\nx-lock-fencing-token: 8\n\n\
         {\"acquired\":true,\"message\":\"成功获得锁\",\"skip\":false}\n"
    );
}

#[tokio::test]
async fn lock_held_by_another_is_queued_for() {
    let status = AcquireStatus::Queued.into();
    let router = answering(Ok(AcquireResponse { status, queue_position: 2, ..AcquireResponse::default() })).router();
    assert_eq!(
        post(&router, "/lock", BODY).await,
        "200\ncontent-type: application/json\nx-lock-queue-position: 2\n\n\
         {\"acquired\":false,\"message\":\"锁已被占用，已加入等待队列\",\"skip\":false}\n"
    );
}

#[tokio::test]
async fn completed_work_is_skipped() {
    let answer = post(&decided(AcquireStatus::Skipped).router(), "/lock", BODY).await;
    assert_eq!(answer, json(200, r#"{"acquired":false,"message":"操作已完成，跳过操作","skip":true}"#));
}

#[tokio::test]
async fn request_becomes_an_enqueueing_exclusive_acquire() {
    let fake = decided(AcquireStatus::Skipped);
    let router = fake.router();
    post(&router, "/lock", BODY).await;
    post(&router, "/lock", r#"{"type":" ","resource_id":"锁","node_id":"A","ttl_seconds":1.5,"success":[]}"#).await;

    let expected = AcquireRequest {
        key: Some(LockKey { r#type: "pull".to_owned(), resource_id: "sha256:x".to_owned() }),
        owner: "A".to_owned(),
        mode: LockMode::Exclusive.into(),
        policy: WaitPolicy::Enqueue.into(),
        ..AcquireRequest::default()
    };
    let with_ttl = AcquireRequest {
        key: Some(LockKey { r#type: " ".to_owned(), resource_id: "锁".to_owned() }),
        ttl: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
        ..expected.clone()
    };
    assert_eq!(fake.asked(|asked| asked.acquire.clone()), [expected, with_ttl]);
}

#[tokio::test]
async fn request_id_is_passed_on() {
    let fake = decided(AcquireStatus::Skipped);
    let router = fake.router();
    let request = Request::post("/lock").header("x-request-id", "r-1").body(Body::from(BODY)).unwrap();
    router.clone().oneshot(request).await.unwrap();
    post(&router, "/lock", BODY).await;
    assert_eq!(fake.asked(|asked| asked.request_ids.clone()), [Some("r-1".to_owned()), None]);
}

#[tokio::test]
async fn refusal_with_a_reason_is_json_with_the_reason_in_words() {
    for (code, reason, message) in [
        (Code::ResourceExhausted, "QUEUE_FULL", "获取锁失败：等待队列已满"),
        (
            Code::InvalidArgument,
            "INVALID_ARGUMENT",
            "获取锁失败：type、resource_id 和 node_id 最长 1024 字节，ttl_seconds 最短 0.01 秒",
        ),
        (Code::FailedPrecondition, "MODE_MISMATCH", "获取锁失败：锁正以其他模式使用"),
        (Code::FailedPrecondition, "CAPACITY_MISMATCH", "获取锁失败：锁的容量与当前使用者不一致"),
        (Code::FailedPrecondition, "REQUEST_ENDED", "获取锁失败：该请求获得的锁已结束"),
        (Code::NotFound, "LEASE_EXPIRED", "获取锁失败：租约已过期"),
        (Code::PermissionDenied, "PERMISSION_DENIED", "获取锁失败：没有权限"),
    ] {
        let body = format!(r#"{{"acquired":false,"error":"{message}","message":"{message}","skip":false}}"#);
        let router = answering(Err(refusal(code, reason))).router();
        assert_eq!(post(&router, "/lock", BODY).await, json(403, &body), "{reason}");
    }
}

#[tokio::test]
async fn failures_of_the_server_are_plain_and_tell_nothing() {
    for (status, expected) in [
        (refusal(Code::Unavailable, "BUSY"), plain(503, "服务暂时不可用，请稍后重试")),
        (refusal(Code::Unavailable, "SHUTTING_DOWN"), plain(503, "服务暂时不可用，请稍后重试")),
        (Status::unavailable("secret"), plain(503, "服务暂时不可用，请稍后重试")),
        (Status::cancelled("Timeout expired"), plain(504, "请求超时")),
        (Status::deadline_exceeded("secret"), plain(504, "请求超时")),
        (Status::cancelled("secret"), plain(500, "内部错误")),
        (Status::internal("secret"), plain(500, "内部错误")),
        (Status::invalid_argument("without a reason"), plain(500, "内部错误")),
        (refusal(Code::FailedPrecondition, "NOT_HOLDER"), plain(500, "内部错误")),
        (refusal(Code::FailedPrecondition, "NEVER_HEARD_OF"), plain(500, "内部错误")),
    ] {
        let router = answering(Err(status.clone())).router();
        assert_eq!(post(&router, "/lock", BODY).await, expected, "{status:?}");
    }
}

#[tokio::test]
async fn answers_that_break_the_contract_are_internal_errors() {
    for status in [
        AcquireStatus::Unspecified,
        AcquireStatus::Contended,
        AcquireStatus::TimedOut,
        // Without a grant.
        AcquireStatus::Granted,
    ] {
        assert_eq!(post(&decided(status).router(), "/lock", BODY).await, plain(500, "内部错误"), "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_acquire_is_answered_within_a_second() {
    let router = Fake::new(Script { delay: Duration::from_mins(1), ..Script::default() }).router();
    let start = Instant::now();
    assert_eq!(post(&router, "/lock", BODY).await, plain(504, "请求超时"));
    assert!(start.elapsed() < Duration::from_secs(1));
}
