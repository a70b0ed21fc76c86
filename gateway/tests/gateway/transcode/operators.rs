//! What an operator does about tasks, below `/api/v2`.

use steward_proto::transcode::v1::*;
use tonic::Code;

use super::fake::Fake;
use super::{RUNNING_ROW, UUID, answer, ask, error, refusal, running_task};

fn path(action: &str) -> String {
    format!("/api/v2/tasks/{UUID}/{action}")
}

#[tokio::test]
async fn cancelled_task_is_answered_as_it_is_now() {
    let task = Task { status: TaskStatus::Cancelled.into(), ..running_task() };
    let fake = Fake::default().answering(CancelTaskResponse { task: Some(task) });
    let row = RUNNING_ROW.replace(r#""status":1"#, r#""status":3"#);
    let expected = answer(200, &format!(r#"{{"code":200,"data":{row},"message":"任务已取消"}}"#));
    for body in ["", "{}", r#"{"reason":"wrong preset","requeue":true}"#] {
        assert_eq!(ask(&fake.router(), "POST", &path("cancel"), body).await, expected, "{body}");
    }
    let bare = CancelTaskRequest { task_id: UUID.to_owned(), ..CancelTaskRequest::default() };
    let full = CancelTaskRequest { reason: "wrong preset".to_owned(), requeue: true, ..bare.clone() };
    assert_eq!(fake.asked::<CancelTaskRequest>(), [bare.clone(), bare, full]);
}

#[tokio::test]
async fn retried_video_is_named() {
    let fake = Fake::default().answering(RetryTaskResponse { video_id: 5 });
    let expected = answer(200, r#"{"code":200,"data":{"video_id":5},"message":"视频已重新排队"}"#);
    for body in ["", r#"{"priority":-7}"#] {
        assert_eq!(ask(&fake.router(), "POST", &path("retry"), body).await, expected, "{body}");
    }
    let priorities: Vec<_> = fake.asked::<RetryTaskRequest>().iter().map(|asked| asked.priority).collect();
    assert_eq!(priorities, [None, Some(-7)]);
}

#[tokio::test]
async fn what_cannot_be_done_is_a_conflict() {
    for (code, reason, expected) in [
        (Code::FailedPrecondition, "TASK_ENDED", error(409, "任务已结束")),
        (Code::FailedPrecondition, "TASK_IN_PROGRESS", error(409, "视频正在转码")),
        (Code::NotFound, "TASK_NOT_FOUND", error(404, "任务不存在")),
    ] {
        let router = Fake::refusing(refusal(code, reason)).router();
        for action in ["cancel", "retry"] {
            assert_eq!(ask(&router, "POST", &path(action), "").await, expected);
        }
    }
    let router = Fake::default().router();
    assert_eq!(ask(&router, "POST", "/api/v2/tasks/2/cancel", "").await, error(404, "任务不存在"));
    assert_eq!(ask(&router, "POST", &path("cancel"), r#"{"requeue":"x"}"#).await, error(400, "参数类型错误"));
    assert_eq!(ask(&router, "POST", &path("retry"), r#"{"priority":1001}"#).await, error(400, "参数类型错误"));
    assert_eq!(ask(&router, "POST", &path("retry"), "[]").await, error(400, "请求体不是有效的JSON"));
}
