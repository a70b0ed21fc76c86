//! The envelope of every answer.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::page::Pagination;
use crate::options::ListShape;

/// What most readings say.
pub(super) const FOUND: &str = "获取成功";
/// What the others say.
pub(super) const SUCCESS: &str = "success";

/// The envelope, in the order of its keys.
#[derive(serde::Serialize)]
struct Envelope<'a, T> {
    code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
}

/// Answers that something is done, and nothing more.
pub(super) fn done(status: StatusCode, message: &str) -> Response {
    write(status, &Envelope::<()> { code: status.as_u16(), data: None, message, pagination: None })
}

/// Answers `data`, whose keys have to be in alphabetical order.
pub(super) fn with(status: StatusCode, message: &str, data: impl Serialize) -> Response {
    write(status, &Envelope { code: status.as_u16(), data: Some(data), message, pagination: None })
}

/// Tells a worker what to do instead of what it asked for: a status of 205 could have no body.
pub(super) fn command(data: impl Serialize) -> Response {
    let code = StatusCode::RESET_CONTENT.as_u16();
    write(StatusCode::OK, &Envelope { code, data: Some(data), message: "worker should offline", pagination: None })
}

/// Answers rows that are called `name` where they are in an object.
pub(super) fn list(shape: ListShape, message: &str, list: List<'_, impl Serialize>) -> Response {
    let code = StatusCode::OK;
    match shape {
        ListShape::Object => with(code, message, list),
        ListShape::Array => {
            let List { rows, pagination, .. } = list;
            let pagination = Some(pagination);
            write(code, &Envelope { code: code.as_u16(), data: Some(rows), message, pagination })
        }
    }
}

/// One page of rows.
pub(super) struct List<'a, T> {
    pub(super) name: &'static str,
    pub(super) rows: &'a [T],
    pub(super) pagination: Pagination,
}

impl<T: Serialize> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const PAGINATION: &str = "pagination";
        let mut map = serializer.serialize_map(Some(2))?;
        if self.name < PAGINATION {
            map.serialize_entry(self.name, self.rows)?;
            map.serialize_entry(PAGINATION, &self.pagination)?;
        } else {
            map.serialize_entry(PAGINATION, &self.pagination)?;
            map.serialize_entry(self.name, self.rows)?;
        }
        map.end()
    }
}

fn write(status: StatusCode, envelope: &impl Serialize) -> Response {
    let mut line = serde_json::to_string(envelope).expect("structs of plain values always serialize");
    line.push('\n');
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, headers, Body::from(line)).into_response()
}
