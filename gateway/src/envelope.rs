//! The envelope in which the APIs of artifacts answer: `{"code":…,"message":…,"data":…,"traceId":…}`.
//!
//! Quirk: it is printed as Jackson's pretty printer does, with every null.
//! Quirk: texts are English or Chinese, by `Accept-Language`; a code whose Chinese text is missing has the English one.
//! Quirk: what is not found is 400 for tasks and clusters, and 404 for projects, repositories and what is in them.

mod code;
mod input;
mod language;
mod paging;
mod pretty;
mod refusal;
mod times;
mod trace;

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::Serialize;

pub(crate) use self::code::Code;
pub(crate) use self::input::{Body, Query, never_null, null_as_default, read_json};
pub(crate) use self::language::Language;
pub(crate) use self::paging::{Answered, Paging, all};
pub(crate) use self::refusal::Refusal;
pub(crate) use self::times::{LocalTimes, parse_local};
use crate::answer::add_header;
use crate::upstream::Caller;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    code: u32,
    message: Option<String>,
    data: Option<T>,
    trace_id: &'a str,
}

/// Who asks, and how they want to be answered.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) caller: Caller,
    language: Language,
    trace: String,
}

impl Asked {
    /// The answer to a request, or its refusal.
    pub(crate) fn answer<T: Serialize>(&self, times: &LocalTimes, result: Result<T, Refusal>) -> Response {
        match result {
            Ok(data) => self.write(times, StatusCode::OK, 0, None, Some(data)),
            Err(refusal) => {
                let message = refusal.message(self.language);
                let (status, code) = (refusal.status(), refusal.code());
                let mut response = self.write::<()>(times, status, code, Some(message), None);
                if let Some((name, value)) = refusal.header() {
                    add_header(response.headers_mut(), name, value);
                }
                response
            }
        }
    }

    fn write<T: Serialize>(
        &self,
        times: &LocalTimes,
        status: StatusCode,
        code: u32,
        message: Option<String>,
        data: Option<T>,
    ) -> Response {
        let body = pretty::print(&Envelope { code, message, data, trace_id: &self.trace });
        let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
        add_header(response.headers_mut(), "x-bkrepo-rid", &self.trace);
        add_header(response.headers_mut(), "x-bkrepo-time-zone", &times.offset());
        response
    }
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(Asked { caller, language: Language::of(&parts.headers), trace: trace::of(&parts.headers) })
    }
}
