//! The query-string API of block volumes against scripted services.

mod clones;
mod failures;
mod fake;
mod files;
mod hostile;
mod paging;
mod routes;
mod snapshots;
mod tasks;

use std::collections::HashMap;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request};
use http_body_util::BodyExt;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::ServiceExt;

const UUID: &str = "de06df66-b9e4-44df-ba3d-ac94ddee0b28";
/// 1696761378914477 microseconds.
const TIME: prost_types::Timestamp = prost_types::Timestamp { seconds: 1_696_761_378, nanos: 914_477_999 };

/// Sends a request with headers, written as `Name: value`.
async fn send(router: &Router, method: &str, uri: &str, headers: &[&str], body: impl Into<Body>) -> Response {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
}

/// The status and the body of the answer to an action, the id of the request written as `ID`.
async fn ask(router: &Router, query: &str) -> String {
    let response = send(router, "GET", &format!("/SnapshotCloneService?Version=1.5&Action={query}"), &[], "").await;
    assert_eq!(response.headers()["content-type"], "application/json", "{query}");
    read(response).await
}

/// The status and the body, the id of the request written as `ID`.
async fn read(response: Response) -> String {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (_, behind) = body.split_once("\"RequestId\" : \"").unwrap_or_else(|| panic!("no request id in {body}"));
    let (id, _) = behind.split_once('"').unwrap();
    assert_is_random_uuid(id);
    format!("{status} {}", body.replace(id, "ID"))
}

fn assert_is_random_uuid(id: &str) {
    let form: String = id.chars().map(|c| if matches!(c, '0'..='9' | 'a'..='f') { 'x' } else { c }).collect();
    assert_eq!(form, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "{id}");
    assert_eq!(&id[14..15], "4", "{id}");
}

/// A success without more, as [`ask`] reads it.
fn done() -> String {
    "200 {\n\t\"Code\" : \"0\",\n\t\"Message\" : \"Exec success.\",\n\t\"RequestId\" : \"ID\"\n}\n".to_owned()
}

/// A success with a UUID.
fn done_with(uuid: &str) -> String {
    done().replace("\"ID\"\n", &format!("\"ID\",\n\t\"UUID\" : \"{uuid}\"\n"))
}

/// A list of rows, each with its fields in order.
fn list(key: &str, rows: &[&[&str]], total: u64) -> String {
    let row = |fields: &&[&str]| format!("\t\t{{\n\t\t\t{}\n\t\t}}", fields.join(",\n\t\t\t"));
    let rows: Vec<String> = rows.iter().map(row).collect();
    let rows = if rows.is_empty() { "null".to_owned() } else { format!("\n\t[\n{}\n\t]", rows.join(",\n")) };
    let total = format!("\t\"TotalCount\" : {total}\n}}\n");
    let head = "200 {\n\t\"Code\" : \"0\",\n";
    let middle = "\t\"Message\" : \"Exec success.\",\n\t\"RequestId\" : \"ID\",\n";
    if key < "Message" {
        format!("{head}\t\"{key}\" : {rows},\n{middle}{total}")
    } else {
        format!("{head}{middle}\t\"{key}\" : {rows},\n{total}")
    }
}

/// An error, as [`ask`] reads it.
fn error(code: i8, message: &str) -> String {
    let status = if code == -5 { 400 } else { 500 };
    let message = message.replace('"', "\\\"");
    format!(
        "{status} {{\n\t\"Code\" : \"{code}\",\n\t\"Message\" : \"{message}\",\n\t\"RequestId\" : \"ID\",\n\t\"UUID\" : \"\"\n}}\n"
    )
}

fn malformed() -> String {
    error(-5, "BadRequest:\"Invalid request.\"")
}

fn not_found() -> String {
    error(-8, "File not exist.")
}

fn invalid() -> String {
    error(-24, "Invalid argument.")
}

/// The error of a code.
fn coded(code: i8) -> String {
    let message = match code {
        -1 => "Internal error.",
        -4 => "Service is stop",
        -5 => return malformed(),
        -7 => "Invalid user.",
        -8 => return not_found(),
        -9 => "File status invalid.",
        -11 => "FileName not match.",
        -13 => "Cannot create when has error.",
        -14 => "Cannot cancel finished.",
        -15 => "Invalid snapshot.",
        -16 => "Cannot delete when using.",
        -17 => "Cannot clean task unfinished.",
        -18 => "Snapshot count reach the limit.",
        -19 => "File exist.",
        -20 => "Task is full.",
        -21 => "not support.",
        -22 => "File is under snapshot",
        -23 => "File is occuiped",
        -24 => return invalid(),
        other => panic!("no such code: {other}"),
    };
    error(code, message)
}

/// An error as the real services give it.
fn refusal(reason: &str) -> Status {
    let code = match reason {
        "INVALID_ARGUMENT" | "INVALID_PATH" => Code::InvalidArgument,
        "INVALID_USER" => Code::PermissionDenied,
        "NOT_FOUND" => Code::NotFound,
        "ALREADY_EXISTS" => Code::AlreadyExists,
        "SNAPSHOT_LIMIT" | "TASK_LIMIT" | "QUOTA_EXCEEDED" | "DISK_FULL" => Code::ResourceExhausted,
        "BUSY" | "SHUTTING_DOWN" => Code::Unavailable,
        "DATA_DAMAGED" => Code::DataLoss,
        _ => Code::FailedPrecondition,
    };
    Status::with_error_details(code, "in own words", ErrorDetails::with_error_info(reason, "steward", HashMap::new()))
}
