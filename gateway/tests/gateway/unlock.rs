//! `POST /unlock`.

use std::time::Duration;

use steward_gateway::{AbsentSuccess, Options};
use steward_proto::lock::v1::release_request::Holder;
use steward_proto::lock::v1::{LockKey, Outcome, ReleaseRequest, ReleaseResponse};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::fake::{Fake, Script, refusal};
use crate::http::{json, plain, post};

const BODY: &str = r#"{"type":"pull","resource_id":"sha256:x","node_id":"A","success":true}"#;

fn answering(release: Result<ReleaseResponse, Status>) -> Fake {
    Fake::new(Script { release, ..Script::default() })
}

#[tokio::test]
async fn released_lock_is_told() {
    let router = answering(Ok(ReleaseResponse::default())).router();
    let expected = json(200, r#"{"message":"成功释放锁","released":true}"#);
    assert_eq!(post(&router, "/unlock", BODY).await, expected);
    assert_eq!(post(&router, "/infer/unlock", BODY).await, expected);
}

#[tokio::test]
async fn refused_release_is_json_with_one_text() {
    let expected = json(403, r#"{"message":"释放锁失败：锁不存在或不是锁的持有者","released":false}"#);
    for (code, reason) in [
        (Code::FailedPrecondition, "NOT_HOLDER"),
        (Code::FailedPrecondition, "OUTCOME_NEEDS_EXCLUSIVE"),
        (Code::InvalidArgument, "INVALID_ARGUMENT"),
    ] {
        let router = answering(Err(refusal(code, reason))).router();
        assert_eq!(post(&router, "/unlock", BODY).await, expected, "{reason}");
    }
}

#[tokio::test]
async fn who_has_no_right_is_told_so_in_the_same_form() {
    let router = answering(Err(refusal(Code::PermissionDenied, "PERMISSION_DENIED"))).router();
    assert_eq!(
        post(&router, "/unlock", BODY).await,
        json(403, r#"{"message":"释放锁失败：没有权限","released":false}"#)
    );
}

#[tokio::test]
async fn failures_of_the_server_are_plain() {
    for (status, expected) in [
        (refusal(Code::Unavailable, "BUSY"), plain(503, "服务暂时不可用，请稍后重试")),
        (Status::cancelled("Timeout expired"), plain(504, "请求超时")),
        (refusal(Code::ResourceExhausted, "QUEUE_FULL"), plain(500, "内部错误")),
        (Status::failed_precondition("without a reason"), plain(500, "内部错误")),
    ] {
        let router = answering(Err(status.clone())).router();
        assert_eq!(post(&router, "/unlock", BODY).await, expected, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn release_that_takes_for_ever_times_out() {
    let router = Fake::new(Script { delay: Duration::from_mins(1), ..Script::default() }).router();
    assert_eq!(post(&router, "/unlock", BODY).await, plain(504, "请求超时"));
}

#[tokio::test]
async fn release_names_the_owner_and_the_outcome() {
    let fake = answering(Ok(ReleaseResponse::default()));
    let body = r#"{"type":"pull","resource_id":"sha256:x","node_id":"A","success":false,"error":"下载失败"}"#;
    post(&fake.router(), "/unlock", body).await;
    let expected = ReleaseRequest {
        key: Some(LockKey { r#type: "pull".to_owned(), resource_id: "sha256:x".to_owned() }),
        holder: Some(Holder::Owner("A".to_owned())),
        outcome: Outcome::Failed.into(),
        error: "下载失败".to_owned(),
        ..ReleaseRequest::default()
    };
    assert_eq!(fake.asked(|asked| asked.release.clone()), [expected]);
}

#[tokio::test]
async fn absent_success_means_what_the_options_and_the_path_say() {
    use AbsentSuccess::{Failure, Infer};
    use Outcome::{Failed, Succeeded};
    for (absent_success, path, fields, expected) in [
        (Failure, "/unlock", "", Failed),
        (Failure, "/unlock", r#","success":null"#, Failed),
        (Failure, "/unlock", r#","error":"""#, Failed),
        (Failure, "/unlock", r#","success":true"#, Succeeded),
        (Failure, "/unlock", r#","success":true,"error":"x""#, Succeeded),
        (Failure, "/infer/unlock", "", Succeeded),
        (Failure, "/infer/unlock", r#","error":"""#, Succeeded),
        (Failure, "/infer/unlock", r#","success":null,"error":null"#, Succeeded),
        (Failure, "/infer/unlock", r#","error":"x""#, Failed),
        (Failure, "/infer/unlock", r#","success":false"#, Failed),
        (Failure, "/infer/unlock", r#","success":true,"error":"x""#, Succeeded),
        (Infer, "/unlock", "", Succeeded),
        (Infer, "/unlock", r#","error":"x""#, Failed),
        (Infer, "/unlock", r#","success":false"#, Failed),
        (Infer, "/infer/unlock", "", Succeeded),
    ] {
        let fake = answering(Ok(ReleaseResponse::default()));
        let router = fake.router_with(Options { absent_success, ..Options::default() }, CancellationToken::new());
        post(&router, path, format!(r#"{{"type":"t","resource_id":"r","node_id":"A"{fields}}}"#)).await;
        let outcome = fake.asked(|asked| asked.release[0].outcome());
        assert_eq!(outcome, expected, "{absent_success:?} {path} {fields}");
    }
}
