//! `PATCH /tasks/{id}`: what workers report on their tasks.

use steward_proto::transcode::v1::*;
use tonic::Code;

use super::fake::Fake;
use super::{UUID, answer, ask, error, refusal};

const UPDATED: &str = r#"{"code":200,"message":"更新成功"}"#;

fn report(id: &str) -> String {
    format!("/api/v1/tasks/{id}")
}

#[tokio::test]
async fn report_is_passed_on() {
    for (applied, cancel_requested) in [(true, false), (false, false), (true, true)] {
        let fake = Fake::default().answering(UpdateTaskResponse { applied, cancel_requested });
        let body = concat!(
            r#"{"worker_id":1,"progress":50.5,"status":3,"error_message":"boom","elapsed_time":10.7,"#,
            r#""remaining_time":1.1851338549072776}"#
        );
        let expected = answer(200, r#"{"code":200,"message":"更新成功"}"#);
        assert_eq!(ask(&fake.router(), "PATCH", &report(UUID), body).await, expected);
        let expected = UpdateTaskRequest {
            task_id: UUID.to_owned(),
            worker_id: 1,
            progress: 50.5,
            status: TaskStatus::Failed.into(),
            error_message: Some("boom".to_owned()),
            elapsed_time: Some(11),
            remaining_time: Some(1),
            lease_token: String::new(),
        };
        assert_eq!(fake.asked::<UpdateTaskRequest>(), [expected]);
    }
}

#[tokio::test]
async fn numbers_in_reports_are_brought_to_what_can_be() {
    let fake = Fake::default().answering(UpdateTaskResponse::default());
    for (progress, seconds) in [("150", "-5"), ("-5", "1e12"), ("\"70.6\"", "null"), ("true", "\"70\"")] {
        let body = format!(r#"{{"worker_id":"1","progress":{progress},"status":"2","remaining_time":{seconds}}}"#);
        assert!(ask(&fake.router(), "PATCH", &report(UUID), body).await.starts_with("200 "));
    }
    let asked: Vec<_> =
        fake.asked::<UpdateTaskRequest>().iter().map(|asked| (asked.progress, asked.remaining_time)).collect();
    assert_eq!(asked, [(100.0, Some(0)), (0.0, Some(i32::MAX)), (70.6, None), (1.0, Some(70))]);
}

#[tokio::test]
async fn error_is_cut_and_may_be_of_a_name_that_is_no_text() {
    let fake = Fake::default().answering(UpdateTaskResponse::default());
    let long = "视".repeat(2000);
    for error in [r"a\udce4b", &long] {
        let body = format!(r#"{{"worker_id":1,"progress":0,"status":3,"error_message":"{error}"}}"#);
        assert!(ask(&fake.router(), "PATCH", &report(UUID), body).await.starts_with("200 "));
    }
    let asked: Vec<_> = fake.asked::<UpdateTaskRequest>().into_iter().filter_map(|asked| asked.error_message).collect();
    assert_eq!(asked, ["a\u{fffd}b".to_owned(), "视".repeat(1023)]);
}

#[tokio::test(start_paused = true)]
async fn last_report_is_tried_again_while_the_service_is_busy() {
    for (status, attempts) in [(0, 1), (1, 1), (2, 5), (3, 5)] {
        let fake = Fake::refusing(refusal(Code::Unavailable, "BUSY")).answering(UpdateTaskResponse::default());
        let body = format!(r#"{{"worker_id":1,"progress":100,"status":{status}}}"#);
        let router = fake.router();
        let answered = ask(&router, "PATCH", &report(UUID), body.clone()).await;
        assert_eq!(answered, error(503, "服务暂时不可用，请稍后重试"));
        assert_eq!(fake.count(), attempts);
        if attempts > 1 {
            let recovery = async {
                while fake.count() == attempts {
                    tokio::task::yield_now().await;
                }
                fake.refuse(None);
            };
            let path = report(UUID);
            let (answered, ()) = tokio::join!(ask(&router, "PATCH", &path, body), recovery);
            assert_eq!(answered, answer(200, r#"{"code":200,"message":"更新成功"}"#));
            assert_eq!(fake.count(), attempts + 2);
        }
    }
    let fake = Fake::refusing(refusal(Code::FailedPrecondition, "NOT_TASK_OWNER"));
    let body = r#"{"worker_id":1,"progress":100,"status":2}"#;
    assert_eq!(ask(&fake.router(), "PATCH", &report(UUID), body).await, error(409, "任务不属于该Worker"));
    assert_eq!(fake.count(), 1);
}

#[tokio::test]
async fn wrong_report_is_refused() {
    let fake = Fake::default();
    for (body, message) in [
        ("{}", "参数不完整"),
        (r#"{"worker_id":0,"progress":0,"status":1}"#, "参数不完整"),
        (r#"{"worker_id":1,"progress":null,"status":1}"#, "参数不完整"),
        (r#"{"worker_id":1,"progress":0}"#, "参数不完整"),
        (r#"{"worker_id":1,"progress":"x","status":9}"#, "参数类型错误"),
        (r#"{"worker_id":"x","progress":0,"status":1}"#, "参数类型错误"),
        (r#"{"worker_id":1,"progress":0,"status":[]}"#, "参数类型错误"),
        (r#"{"worker_id":1,"progress":0,"status":9}"#, "无效的任务状态"),
        (r#"{"worker_id":1,"progress":0,"status":-1}"#, "无效的任务状态"),
        (r#"{"worker_id":1,"progress":0,"status":1,"error_message":{}}"#, "参数类型错误"),
        (r#"{"worker_id":1,"progress":0,"status":1,"elapsed_time":"x"}"#, "参数类型错误"),
    ] {
        for id in [UUID, "2"] {
            assert_eq!(ask(&fake.router(), "PATCH", &report(id), body).await, error(400, message), "{body}");
        }
    }
    assert_eq!(fake.count(), 0);
    let fake = Fake::refusing(refusal(Code::FailedPrecondition, "NOT_TASK_OWNER"));
    let body = r#"{"worker_id":1,"progress":0,"status":1}"#;
    assert_eq!(ask(&fake.router(), "PATCH", &report(UUID), body).await, error(409, "任务不属于该Worker"));
}

#[tokio::test]
async fn last_report_is_never_refused_for_what_makes_no_sense_in_it() {
    for nonsense in [r#""x""#, "[]", "{}", "null", "NaN", "Infinity", "-Infinity", r#""nan""#] {
        for (status, ending) in [("2", TaskStatus::Completed), (r#""3""#, TaskStatus::Failed)] {
            let fake = Fake::default().answering(UpdateTaskResponse::default());
            let body = format!(
                r#"{{"worker_id":1,"status":{status},"progress":{nonsense},"elapsed_time":{nonsense},
                "remaining_time":{nonsense},"error_message":[{nonsense}],"more":{nonsense}}}"#
            );
            assert_eq!(ask(&fake.router(), "PATCH", &report(UUID), body).await, answer(200, UPDATED), "{nonsense}");
            let asked = fake.asked::<UpdateTaskRequest>().remove(0);
            assert_eq!((asked.worker_id, asked.status), (1, ending.into()));
            assert_eq!((asked.error_message, asked.elapsed_time, asked.remaining_time), (None, None, None));
            match ending {
                TaskStatus::Completed => assert_eq!(asked.progress.to_bits(), 100.0_f64.to_bits()),
                _ => assert!(asked.progress.is_nan(), "the service is to keep what it has"),
            }
        }
    }
    let fake = Fake::default().answering(UpdateTaskResponse::default());
    for status in [2, 3] {
        let body = format!(r#"{{"worker_id":1,"status":{status}}}"#);
        assert_eq!(ask(&fake.router(), "PATCH", &report(UUID), body).await, answer(200, UPDATED));
    }
}

#[tokio::test]
async fn numbers_that_json_has_not_are_absent_in_a_report() {
    let fake = Fake::default().answering(UpdateTaskResponse::default());
    let body = r#"{"worker_id":1,"progress":7,"status":1,"elapsed_time":NaN,"remaining_time":-Infinity}"#;
    assert_eq!(ask(&fake.router(), "PATCH", &report(UUID), body).await, answer(200, UPDATED));
    let asked = fake.asked::<UpdateTaskRequest>().remove(0);
    assert_eq!((asked.elapsed_time, asked.remaining_time), (None, None));
    let body = r#"{"worker_id":1,"progress":NaN,"status":1}"#;
    assert_eq!(ask(&fake.router(), "PATCH", &report(UUID), body).await, error(400, "参数不完整"));
}

#[tokio::test]
async fn worker_that_cannot_be_owns_no_task() {
    let fake = Fake::refusing(refusal(Code::FailedPrecondition, "NOT_TASK_OWNER"));
    for id in ["-1", "-1e300", r#""0""#, r#""-7""#, "0.4", "4294967296"] {
        for status in [1, 2] {
            let body = format!(r#"{{"worker_id":{id},"progress":0,"status":{status}}}"#);
            let answered = ask(&fake.router(), "PATCH", &report(UUID), body).await;
            assert_eq!(answered, error(409, "任务不属于该Worker"), "{id}");
        }
    }
    // The services refuse what is below 1 as malformed.
    assert!(fake.asked::<UpdateTaskRequest>().iter().all(|asked| asked.worker_id == i32::MAX));
}
