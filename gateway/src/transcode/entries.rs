//! `/logs`: what happened.
//!
//! Quirk: a page below 1 is refused here, other than in all the other lists.
//! Quirk: the level of a new entry may be a number or a boolean, but no text.
//! Quirk: a new entry names its task by the UUID, an entry in a list by the number.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use steward_proto::transcode::v1::{CreateLogRequest, ListLogsRequest, ListLogsResponse};

use super::body::Object;
use super::page::Paging;
use super::query::{Query, states};
use super::refusal::Refusal;
use super::row::{LogRow, NewLogRow};
use super::{Farm, TIMEOUT, answer, body, log_time, number, path};
use crate::body::Unread;
use crate::options::ListShape;
use crate::upstream::{Call, Caller};

const COLUMNS: [&str; 3] = ["id", "log_time", "log_level"];

const WRONG_PAGE: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "分页参数错误");
const WRONG_TIME: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "时间格式错误");
const MISSING: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "缺少必需参数");
const WRONG_LEVEL: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "无效的日志级别");

/// Handles `GET /logs`.
pub(super) async fn list(State(mut farm): State<Farm>, caller: Caller, query: Query) -> Result<Response, Refusal> {
    for field in ["page", "per_page"] {
        if query.whole(field).is_some_and(|number| number < 1) {
            return Err(WRONG_PAGE.about(field));
        }
    }
    let paging = Paging::of(&query);
    let level = |number| number::within(number, 0..=3).map(|number| number + 1).into_iter().collect();
    let mut numbers = query.wholes("log_level[]");
    // The original took nothing but digits.
    numbers.retain(|number| *number >= 0);
    let levels = states(&numbers, level);
    let can_match = levels.is_some();
    let message = ListLogsRequest {
        page_size: paging.per_page,
        page: paging.page,
        levels: levels.unwrap_or_default(),
        start_time: time(&query, "start_time")?,
        end_time: time(&query, "end_time")?.map(log_time::end_of_second),
        sort_by: query.first("sort_by").filter(|column| COLUMNS.contains(column)).unwrap_or("log_time").to_owned(),
        order: query.order().into(),
        ..ListLogsRequest::default()
    };
    let call = Call::new("ListLogs", caller, TIMEOUT);
    let mut listed = call.run(farm.logs.list_logs(call.request(message))).await?;
    if !can_match {
        // Asked all the same, because only the service knows who may ask.
        listed = ListLogsResponse::default();
    }
    let rows: Vec<_> = listed.logs.iter().map(LogRow::new).collect();
    let list = answer::List { name: "logs", rows: &rows, pagination: paging.within(listed.total_size) };
    Ok(answer::list(ListShape::Object, answer::SUCCESS, list))
}

fn time(query: &Query, field: &'static str) -> Result<Option<prost_types::Timestamp>, Refusal> {
    let Some(text) = query.first(field).filter(|text| !text.is_empty()) else { return Ok(None) };
    log_time::read(text).map(Some).ok_or_else(|| WRONG_TIME.about(field))
}

/// Handles `POST /logs`.
pub(super) async fn create(State(mut farm): State<Farm>, caller: Caller, body: Unread) -> Result<Response, Refusal> {
    let (message, task_id) = request(&body::read(body).await?)?;
    let call = Call::new("CreateLog", caller, TIMEOUT);
    let created = call.run(farm.logs.create_log(call.request(message))).await?;
    let entry = created.log.ok_or_else(|| Refusal::broken(&call, "no log entry"))?;
    Ok(answer::with(StatusCode::CREATED, "日志创建成功", NewLogRow::new(&entry, &task_id)))
}

/// Reads the entry, and the id of its task as it was sent.
fn request(object: &Object) -> Result<(CreateLogRequest, String), Refusal> {
    for field in ["task_id", "log_level"] {
        if object.get(field).is_none() {
            return Err(MISSING.about(field));
        }
    }
    if !object.is_truthy("log_message") {
        return Err(MISSING.about("log_message"));
    }
    let level = object.get("log_level").and_then(level).ok_or_else(|| WRONG_LEVEL.about("log_level"))?;
    let log_message = object.cut_text("log_message")?.unwrap_or_default();
    let task_id = object.text("task_id")?.unwrap_or_default();
    let message = CreateLogRequest { task_id: path::uuid(&task_id)?, log_level: level + 1, log_message };
    Ok((message, task_id))
}

fn level(value: &Value) -> Option<i32> {
    // A fraction is no level, while other fields would round it.
    let is_level = match value {
        Value::Bool(_) => true,
        Value::Number(number) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    };
    number::within(number::whole(value)?, 0..=3).filter(|_| is_level)
}
