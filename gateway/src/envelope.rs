//! The envelope in which the APIs of artifacts answer: `{"code":…,"message":…,"data":…,"traceId":…}`.
//!
//! Quirk: it is printed as Jackson's pretty printer does, with every null.
//! Quirk: texts are English or Chinese, by `Accept-Language`; a code whose Chinese text is missing has the English one.
//! Quirk: what is not found is 400 for tasks and clusters, and 404 for projects, repositories and what is in them.

mod code;
mod input;
mod language;
mod node;
mod paging;
mod pretty;
mod refusal;
mod times;
mod trace;

use std::convert::Infallible;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::Serialize;

pub(crate) use self::code::Code;
pub(crate) use self::input::{Body, Path, Query, never_null, null_as_default, read_json};
use self::language::Language;
pub(crate) use self::node::Node;
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
                response.headers_mut().extend(refusal.headers().clone());
                response
            }
        }
    }

    /// The answer to a request that has no more to tell than that it is done, or its refusal.
    pub(crate) fn done(&self, times: &LocalTimes, result: Result<(), Refusal>) -> Response {
        self.answer(times, result.map(|()| None::<()>))
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
        self.sign(response.headers_mut(), times);
        response
    }

    /// Adds what every answer says in its headers.
    pub(crate) fn sign(&self, headers: &mut HeaderMap, times: &LocalTimes) {
        add_header(headers, "x-bkrepo-rid", &self.trace);
        add_header(headers, "x-bkrepo-time-zone", &times.offset());
    }
}

/// The same routes, with an answer for all that is below `base` and is none of them, and for other methods.
pub(crate) fn closed<S>(routes: Router<S>, base: &str, times: &LocalTimes) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let nowhere = times.clone();
    let no_route =
        async move |asked: Asked, uri: Uri| asked.done(&nowhere, Err(Refusal::new(&Code::URL_NOT_FOUND, uri.path())));
    let times = times.clone();
    let no_method = async move |asked: Asked, method: Method| {
        let reason = format!("Request method '{method}' not supported");
        asked.done(&times, Err(Refusal::new(&Code::VERB_NOT_ALLOWED, reason)))
    };
    let routes = ["", "/", "/{*path}"].iter().fold(routes, |routes, rest| {
        let no_route = no_route.clone();
        routes.route(&format!("{base}{rest}"), any(no_route))
    });
    routes.method_not_allowed_fallback(no_method)
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(Asked { caller, language: Language::of(&parts.headers), trace: trace::of(&parts.headers) })
    }
}
