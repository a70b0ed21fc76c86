//! `/tasks`, to the byte.

use steward_gateway::{ListShape, Options, PathStyle, TranscodeOptions};
use steward_proto::transcode::v1::claim_task_response::Result as Claimed;
use steward_proto::transcode::v1::*;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::fake::Fake;
use super::{RUNNING_ROW, TIME, UUID, answer, ask, error, refusal, running_task};

const PATH: &str = "/api/v1/tasks";
const CLAIM: &str = r#"{"worker_id":1,"worker_type":1,"support_vr":0,"dest_path":"!replace"}"#;

fn claiming(result: Claimed) -> Fake {
    Fake::default().answering(ClaimTaskResponse { result: Some(result) })
}

fn one(id: &str) -> String {
    format!("{PATH}/{id}")
}

#[tokio::test]
async fn claimed_task_is_answered_with_its_video() {
    let fake = claiming(Claimed::Task(running_task()));
    let data = r#"{"task_id":"550e4bf4-a999-41fd-af72-4c3424012b75","video_path":"hdd/lib/DEMO-001.mp4"}"#;
    let expected = answer(201, &format!(r#"{{"code":201,"data":{data},"message":"创建任务成功"}}"#));
    assert_eq!(ask(&fake.router(), "POST", PATH, CLAIM).await, expected);
    let without = r#"{"worker_id":"1","worker_type":"1","support_vr":false,"dest_path":null}"#;
    assert_eq!(ask(&fake.router(), "POST", PATH, without).await, expected);

    let request = ClaimTaskRequest {
        worker_id: 1,
        worker_type: WorkerType::Nvenc.into(),
        support_vr: Some(false),
        dest_path: Some("!replace".to_owned()),
        wait: None,
    };
    let expected = [request.clone(), ClaimTaskRequest { dest_path: None, ..request }];
    assert_eq!(fake.asked::<ClaimTaskRequest>(), expected);
}

#[tokio::test]
async fn paths_have_backslashes_on_request() {
    let fake = claiming(Claimed::Task(running_task()));
    let transcode = TranscodeOptions { path_style: PathStyle::Backslash, ..TranscodeOptions::default() };
    let router = fake.router_with(Options { transcode, ..Options::default() }, CancellationToken::new());
    let data = r#"{"task_id":"550e4bf4-a999-41fd-af72-4c3424012b75","video_path":"hdd\\lib\\DEMO-001.mp4"}"#;
    let expected = answer(201, &format!(r#"{{"code":201,"data":{data},"message":"创建任务成功"}}"#));
    assert_eq!(ask(&router, "POST", PATH, CLAIM).await, expected);
}

#[tokio::test]
async fn worker_that_is_to_go_gets_the_code_205_in_a_200() {
    for (action, word) in [(OfflineAction::Offline, "offline"), (OfflineAction::Shutdown, "shutdown")] {
        let fake = claiming(Claimed::Offline(WorkerGoes { action: action.into() }));
        let expected = format!(r#"{{"code":205,"data":{{"action":"{word}"}},"message":"worker should offline"}}"#);
        assert_eq!(ask(&fake.router(), "POST", PATH, CLAIM).await, answer(200, &expected));
    }
}

#[tokio::test]
async fn claim_that_gets_nothing_says_why() {
    let fake = claiming(Claimed::NoWork(NoWork::default()));
    assert_eq!(ask(&fake.router(), "POST", PATH, CLAIM).await, error(404, "没有待转码的视频"));
    for (code, reason, expected) in [
        (Code::NotFound, "WORKER_NOT_FOUND", error(404, "Worker不存在")),
        (Code::FailedPrecondition, "WORKER_OFFLINE", error(409, "Worker已离线")),
    ] {
        let fake = Fake::refusing(refusal(code, reason));
        assert_eq!(ask(&fake.router(), "POST", PATH, CLAIM).await, expected);
    }
    let fake = Fake::default().answering(ClaimTaskResponse { result: None });
    assert_eq!(ask(&fake.router(), "POST", PATH, CLAIM).await, error(500, "服务器内部错误"));
}

#[tokio::test]
async fn incomplete_claim_is_refused_before_a_wrong_one() {
    let fake = Fake::default();
    for (body, code, message) in [
        ("{}", 400, "参数不完整"),
        (r#"{"worker_id":0,"worker_type":0,"support_vr":0}"#, 400, "参数不完整"),
        (r#"{"worker_id":1,"worker_type":null,"support_vr":0}"#, 400, "参数不完整"),
        (r#"{"worker_id":1,"worker_type":9}"#, 400, "参数不完整"),
        (r#"{"worker_id":1,"worker_type":9,"support_vr":0}"#, 400, "参数类型错误"),
        (r#"{"worker_id":1,"worker_type":0,"support_vr":2}"#, 400, "参数类型错误"),
        (r#"{"worker_id":1,"worker_type":0,"support_vr":0,"dest_path":7}"#, 400, "参数类型错误"),
        (r#"{"worker_id":-1,"worker_type":0,"support_vr":0}"#, 404, "Worker不存在"),
        (r#"{"worker_id":"0","worker_type":0,"support_vr":0}"#, 404, "Worker不存在"),
    ] {
        assert_eq!(ask(&fake.router(), "POST", PATH, body).await, error(code, message), "{body}");
    }
    assert_eq!(fake.count(), 0);
}

fn listing() -> Fake {
    let ended = Task {
        dest_path: Some("!replace".to_owned()),
        status: TaskStatus::Cancelled.into(),
        error_message: "stopped".to_owned(),
        progress: 100.0,
        remaining_time: Some(0),
        end_time: Some(TIME),
        ..running_task()
    };
    Fake::default().answering(ListTasksResponse {
        tasks: vec![running_task(), ended],
        total_size: 42,
        ..ListTasksResponse::default()
    })
}

fn rows() -> String {
    let ended = RUNNING_ROW
        .replace(r#""dest_path":null"#, r#""dest_path":"!replace""#)
        .replace(r#""end_time":null"#, r#""end_time":"2026-11-21T03:09:15""#)
        .replace(r#""error_message":null"#, r#""error_message":"stopped""#)
        .replace(r#""progress":70.6"#, r#""progress":100.0"#)
        .replace(r#""remaining_time":null"#, r#""remaining_time":0"#)
        .replace(r#""status":1"#, r#""status":3"#);
    format!("[{RUNNING_ROW},{ended}]")
}

#[tokio::test]
async fn list_is_an_array_with_pagination_beside_it() {
    let pagination = r#"{"current_page":1,"has_next":true,"has_prev":false,"pages":3,"per_page":20,"total":42}"#;
    let expected = format!(r#"{{"code":200,"data":{},"message":"success","pagination":{pagination}}}"#, rows());
    assert_eq!(ask(&listing().router(), "GET", PATH, "").await, answer(200, &expected));
}

#[tokio::test]
async fn list_is_an_object_on_request() {
    let transcode = TranscodeOptions { list_shape: ListShape::Object, ..TranscodeOptions::default() };
    let router = listing().router_with(Options { transcode, ..Options::default() }, CancellationToken::new());
    let pagination = r#"{"current_page":3,"has_next":false,"has_prev":true,"pages":3,"per_page":20,"total":42}"#;
    let data = format!(r#"{{"pagination":{pagination},"tasks":{}}}"#, rows());
    let expected = format!(r#"{{"code":200,"data":{data},"message":"success"}}"#);
    assert_eq!(ask(&router, "GET", "/api/v1/tasks?page=3", "").await, answer(200, &expected));
}

#[tokio::test]
async fn page_past_the_end_is_empty() {
    let fake = Fake::default().answering(ListTasksResponse { total_size: 42, ..ListTasksResponse::default() });
    let pagination = r#"{"current_page":9,"has_next":false,"has_prev":true,"pages":3,"per_page":20,"total":42}"#;
    let expected = format!(r#"{{"code":200,"data":[],"message":"success","pagination":{pagination}}}"#);
    assert_eq!(ask(&fake.router(), "GET", "/api/v1/tasks?page=9", "").await, answer(200, &expected));
}

#[tokio::test]
async fn queries_are_read_as_the_original_reads_them() {
    let all = ListTasksRequest {
        page_size: 20,
        page: 1,
        sort_by: "start_time".to_owned(),
        order: SortOrder::Desc.into(),
        ..ListTasksRequest::default()
    };
    let only = |statuses: &[TaskStatus]| ListTasksRequest {
        statuses: statuses.iter().map(|status| i32::from(*status)).collect(),
        ..all.clone()
    };
    let sorted = |sort_by: &str| ListTasksRequest { sort_by: sort_by.to_owned(), ..all.clone() };
    let ascending = ListTasksRequest { order: SortOrder::Asc.into(), ..all.clone() };
    for (query, expected) in [
        ("", all.clone()),
        ("status[]=0&status[]=1", only(&[TaskStatus::Created, TaskStatus::Running])),
        ("status%5B%5D=0&status%5B%5D=1", only(&[TaskStatus::Created, TaskStatus::Running])),
        ("status[]=2&status[]=7&status[]=x", only(&[TaskStatus::Completed])),
        ("status[]=3", only(&[TaskStatus::Failed, TaskStatus::Cancelled])),
        ("status[]=undefined&status=1&status[0]=1", all.clone()),
        ("sort_by=status", sorted("status")),
        ("sort_by=progress", sorted("progress")),
        ("sort_by=worker_name", sorted("worker_name")),
        ("sort_by=elapsed_time", sorted("elapsed_time")),
        ("sort_by=video_path", sorted("video_path")),
        ("sort_by=metadata", all.clone()),
        ("order=desc", all.clone()),
        ("order=asc", ascending.clone()),
        ("order=DESC", ascending),
        ("page=2&per_page=50", ListTasksRequest { page: 2, page_size: 50, ..all.clone() }),
        ("page=-1&per_page=99999999999", ListTasksRequest { page_size: 1000, ..all.clone() }),
    ] {
        let fake = listing();
        ask(&fake.router(), "GET", &format!("{PATH}?{query}"), "").await;
        assert_eq!(fake.asked::<ListTasksRequest>(), [expected], "{query}");
    }
}

#[tokio::test]
async fn unknown_statuses_match_nothing() {
    let pagination = r#"{"current_page":1,"has_next":false,"has_prev":false,"pages":0,"per_page":20,"total":0}"#;
    let expected = format!(r#"{{"code":200,"data":[],"message":"success","pagination":{pagination}}}"#);
    for query in ["status[]=7", "status[]=-1&status[]=x"] {
        let answered = ask(&listing().router(), "GET", &format!("{PATH}?{query}"), "").await;
        assert_eq!(answered, answer(200, &expected), "{query}");
    }
}

#[tokio::test]
async fn one_task_is_found_by_its_uuid() {
    let task = Task { status: TaskStatus::Failed.into(), error_message: "no room".to_owned(), ..running_task() };
    let fake = Fake::default().answering(GetTaskResponse { task: Some(task) });
    let row = RUNNING_ROW
        .replace(r#""error_message":null"#, r#""error_message":"no room""#)
        .replace(r#""status":1"#, r#""status":3"#);
    let expected = answer(200, &format!(r#"{{"code":200,"data":{row},"message":"获取成功"}}"#));
    for id in [UUID.to_owned(), UUID.to_uppercase()] {
        assert_eq!(ask(&fake.router(), "GET", &one(&id), "").await, expected);
    }
    let expected = GetTaskRequest { task_id: UUID.to_owned() };
    assert_eq!(fake.asked::<GetTaskRequest>(), [expected.clone(), expected]);
}

#[tokio::test]
async fn task_that_is_not_there_is_told_everywhere() {
    let body = r#"{"worker_id":1,"progress":1,"status":1}"#;
    let fake = Fake::refusing(refusal(Code::NotFound, "TASK_NOT_FOUND"));
    for id in [UUID, "2", "x", "%E4", "550e4bf4a99941fdaf724c3424012b75"] {
        for (method, body) in [("GET", ""), ("PATCH", body)] {
            assert_eq!(ask(&fake.router(), method, &one(id), body).await, error(404, "任务不存在"), "{method} {id}");
        }
    }
}

#[tokio::test]
async fn tasks_are_counted_by_day() {
    let day = TaskDay { date: "2026-11-21".to_owned(), completed: 2, failed: 1, saved_bytes: 5_000_000_000 };
    let stats = GetTaskStatsResponse { days: vec![day], in_progress: 3, waiting_videos: 4 };
    let fake = Fake::default().answering(stats);
    let days = r#"[{"completed":2,"date":"2026-11-21","failed":1,"saved_bytes":5000000000}]"#;
    let data = format!(r#"{{"days":{days},"in_progress":3,"waiting_videos":4}}"#);
    let expected = answer(200, &format!(r#"{{"code":200,"data":{data},"message":"success"}}"#));
    for query in ["", "?days=x", "?days=1000&time_zone=Europe/Berlin"] {
        assert_eq!(ask(&fake.router(), "GET", &format!("{PATH}/stats{query}"), "").await, expected);
    }
    let asked = |days, time_zone: &str| GetTaskStatsRequest { days, time_zone: time_zone.to_owned() };
    assert_eq!(fake.asked::<GetTaskStatsRequest>(), [asked(0, ""), asked(0, ""), asked(366, "Europe/Berlin")]);
}
