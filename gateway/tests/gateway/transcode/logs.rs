//! `/logs`, to the byte.

use steward_proto::transcode::v1::*;
use tonic::Code;

use super::fake::Fake;
use super::{TIME, UUID, answer, ask, error, refusal};

const PATH: &str = "/api/v1/logs";

fn entry(id: i32, task_number: i32) -> LogEntry {
    LogEntry {
        id,
        task_number,
        log_time: Some(TIME),
        log_level: LogLevel::Error.into(),
        log_message: "boom".to_owned(),
        ..LogEntry::default()
    }
}

fn listing() -> Fake {
    let logs = vec![entry(1, 2), entry(2, 0)];
    Fake::default().answering(ListLogsResponse { logs, total_size: 2, ..ListLogsResponse::default() })
}

#[tokio::test]
async fn list_names_tasks_by_their_numbers() {
    let rows = concat!(
        r#"[{"id":1,"log_level":3,"log_message":"boom","log_time":"2026-11-21T03:09:15","task_id":2},"#,
        r#"{"id":2,"log_level":3,"log_message":"boom","log_time":"2026-11-21T03:09:15","task_id":null}]"#
    );
    let pagination = r#"{"current_page":1,"has_next":false,"has_prev":false,"pages":1,"per_page":20,"total":2}"#;
    let data = format!(r#"{{"logs":{rows},"pagination":{pagination}}}"#);
    let expected = format!(r#"{{"code":200,"data":{data},"message":"success"}}"#);
    assert_eq!(ask(&listing().router(), "GET", PATH, "").await, answer(200, &expected));
}

#[tokio::test]
async fn filters_are_read_as_the_original_reads_them() {
    let all = ListLogsRequest {
        page_size: 20,
        page: 1,
        sort_by: "log_time".to_owned(),
        order: SortOrder::Desc.into(),
        ..ListLogsRequest::default()
    };
    let only = |levels: &[LogLevel]| ListLogsRequest {
        levels: levels.iter().map(|level| i32::from(*level)).collect(),
        ..all.clone()
    };
    let from =
        |seconds| ListLogsRequest { start_time: Some(prost_types::Timestamp { seconds, nanos: 0 }), ..all.clone() };
    for (query, expected) in [
        ("", all.clone()),
        ("log_level[]=0&log_level[]=3", only(&[LogLevel::Debug, LogLevel::Error])),
        ("log_level[]=-1&log_level[]=error", all.clone()),
        ("log_level[]=-1&log_level[]=1", only(&[LogLevel::Info])),
        ("start_time=2026-11-21", from(1_795_219_200)),
        ("start_time=2026-11-21T00:00", from(1_795_219_200)),
        ("start_time=2026-11-21T00:00:00", from(1_795_219_200)),
        ("start_time=2026-11-21T00:00:00Z", from(1_795_219_200)),
        ("start_time=2026-11-21T08:00:00%2B08:00", from(1_795_219_200)),
        ("start_time=2026-11-21T08:00:00+08:00", from(1_795_219_200)),
        (
            "start_time=&end_time=2026-11-21T03:09:15",
            ListLogsRequest {
                // All that is shown as this second is inside.
                end_time: Some(prost_types::Timestamp { seconds: 1_795_230_555, nanos: 999_999_999 }),
                ..all.clone()
            },
        ),
        (
            "sort_by=id&order=asc",
            ListLogsRequest { sort_by: "id".to_owned(), order: SortOrder::Asc.into(), ..all.clone() },
        ),
        ("sort_by=log_level", ListLogsRequest { sort_by: "log_level".to_owned(), ..all.clone() }),
        ("sort_by=log_message", all.clone()),
        ("page=3&per_page=7", ListLogsRequest { page: 3, page_size: 7, ..all.clone() }),
        ("page=x&per_page=x", all.clone()),
    ] {
        let fake = listing();
        ask(&fake.router(), "GET", &format!("{PATH}?{query}"), "").await;
        assert_eq!(fake.asked::<ListLogsRequest>(), [expected], "{query}");
    }
}

#[tokio::test]
async fn wrong_pages_and_times_are_refused() {
    let fake = Fake::default();
    for (query, message) in [
        ("page=0", "分页参数错误"),
        ("page=-1", "分页参数错误"),
        ("per_page=0", "分页参数错误"),
        ("page=0&start_time=yesterday", "分页参数错误"),
        ("start_time=yesterday", "时间格式错误"),
        ("end_time=2026-02-30", "时间格式错误"),
    ] {
        assert_eq!(ask(&fake.router(), "GET", &format!("{PATH}?{query}"), "").await, error(400, message), "{query}");
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn unknown_levels_match_nothing() {
    let pagination = r#"{"current_page":1,"has_next":false,"has_prev":false,"pages":0,"per_page":20,"total":0}"#;
    let data = format!(r#"{{"logs":[],"pagination":{pagination}}}"#);
    let expected = answer(200, &format!(r#"{{"code":200,"data":{data},"message":"success"}}"#));
    for query in ["log_level[]=9", "log_level[]=9&log_level[]=-1"] {
        assert_eq!(ask(&listing().router(), "GET", &format!("{PATH}?{query}"), "").await, expected, "{query}");
    }
}

fn creating() -> Fake {
    let log_level = LogLevel::Info.into();
    Fake::default().answering(CreateLogResponse { log: Some(LogEntry { log_level, ..entry(2, 7) }) })
}

#[tokio::test]
async fn new_entry_names_its_task_as_it_was_sent() {
    for (level, id) in [("1", UUID.to_owned()), ("1.0", UUID.to_uppercase()), ("true", UUID.to_owned())] {
        let fake = creating();
        let body = format!(r#"{{"task_id":"{id}","log_level":{level},"log_message":"FFmpeg command: …"}}"#);
        let data = format!(
            r#"{{"id":2,"log_level":1,"log_message":"boom","log_time":"2026-11-21T03:09:15","task_id":"{id}"}}"#
        );
        let expected = answer(201, &format!(r#"{{"code":201,"data":{data},"message":"日志创建成功"}}"#));
        assert_eq!(ask(&fake.router(), "POST", PATH, body).await, expected);
        let expected = CreateLogRequest {
            task_id: UUID.to_owned(),
            log_level: LogLevel::Info.into(),
            log_message: "FFmpeg command: …".to_owned(),
        };
        assert_eq!(fake.asked::<CreateLogRequest>(), [expected]);
    }
}

#[tokio::test]
async fn long_message_is_cut() {
    for length in [1023, 1024, 100_000] {
        let fake = creating();
        let body = format!(r#"{{"task_id":"{UUID}","log_level":0,"log_message":"{}"}}"#, "视".repeat(length));
        assert!(ask(&fake.router(), "POST", PATH, body).await.starts_with("201 "));
        assert_eq!(fake.asked::<CreateLogRequest>()[0].log_message, "视".repeat(1023));
    }
}

#[tokio::test]
async fn wrong_entry_is_refused_in_order() {
    let fake = Fake::refusing(refusal(Code::NotFound, "TASK_NOT_FOUND"));
    for (body, code, message) in [
        ("{}".to_owned(), 400, "缺少必需参数"),
        (r#"{"task_id":null,"log_level":9,"log_message":"x"}"#.to_owned(), 400, "缺少必需参数"),
        (r#"{"task_id":"x","log_message":"x"}"#.to_owned(), 400, "缺少必需参数"),
        (r#"{"task_id":"x","log_level":9,"log_message":""}"#.to_owned(), 400, "缺少必需参数"),
        (r#"{"task_id":"x","log_level":9,"log_message":"x"}"#.to_owned(), 400, "无效的日志级别"),
        (r#"{"task_id":"x","log_level":-1,"log_message":"x"}"#.to_owned(), 400, "无效的日志级别"),
        (r#"{"task_id":"x","log_level":1.5,"log_message":"x"}"#.to_owned(), 400, "无效的日志级别"),
        (r#"{"task_id":"x","log_level":"1","log_message":"x"}"#.to_owned(), 400, "无效的日志级别"),
        (r#"{"task_id":"x","log_level":1,"log_message":5}"#.to_owned(), 400, "参数类型错误"),
        (r#"{"task_id":5,"log_level":1,"log_message":"x"}"#.to_owned(), 400, "参数类型错误"),
        (r#"{"task_id":"x","log_level":1,"log_message":"x"}"#.to_owned(), 404, "任务不存在"),
        (format!(r#"{{"task_id":"{UUID}","log_level":1,"log_message":"x"}}"#), 404, "任务不存在"),
    ] {
        assert_eq!(ask(&fake.router(), "POST", PATH, body.clone()).await, error(code, message), "{body}");
    }
    assert_eq!(fake.count(), 1);
}
