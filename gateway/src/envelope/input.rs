//! What comes with a request: its query, and its body as JSON.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::code::Code;
use super::refusal::Refusal;
use super::{Asked, LocalTimes};
use crate::body::{ReadError, Unread};

/// How long a body may be, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The parts of a path, read; what cannot be text is nothing.
#[derive(Clone, Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: AsRef<LocalTimes> + Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Ok(asked) = Asked::from_request_parts(parts, state).await;
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        let nowhere = || Refusal::new(&Code::URL_NOT_FOUND, parts.uri.path());
        read.map(|read| Path(read.0)).map_err(|_| asked.done(state.as_ref(), Err(nowhere())))
    }
}

/// The parameters of a query. Of several of a name the first one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(HashMap<String, String>);

impl Query {
    /// One that has to be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, Refusal> {
        self.0.get(name).cloned().ok_or_else(|| Refusal::new(&Code::PARAMETER_MISSING, name))
    }

    /// One that may be there; empty: it is not.
    pub(crate) fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// A number that may be there.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.0.get(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Refusal::new(&Code::PARAMETER_INVALID, name)),
        }
    }

    /// Whether something is said to be so.
    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        match self.0.get(name).map(String::as_str) {
            Some("true" | "1" | "yes" | "on") => true,
            Some("false" | "0" | "no" | "off") => false,
            _ => default,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let mut query = HashMap::new();
        for (name, value) in pairs.map(|pairs| pairs.0).unwrap_or_default() {
            query.entry(name).or_insert(value);
        }
        Ok(Query(query))
    }
}

/// The body of a request: whole, or why it is refused.
#[derive(Debug)]
pub(crate) struct Body(Result<bytes::Bytes, Refusal>);

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let body = Unread::from_request(request, state).await?;
        Ok(Body(body.read(MAX_BODY_BYTES).await.map_err(Refusal::from)))
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLong | ReadError::Broken => Refusal::plain(&Code::REQUEST_CONTENT_INVALID),
            ReadError::TooLate => {
                Refusal::plain(&Code::REQUEST_CONTENT_INVALID).with_status(StatusCode::REQUEST_TIMEOUT)
            }
            ReadError::NoRoom => {
                let refusal = Refusal::plain(&Code::SYSTEM_ERROR).with_status(StatusCode::SERVICE_UNAVAILABLE);
                refusal.with(RETRY_AFTER, HeaderValue::from_static("1"))
            }
        }
    }
}

/// Reads a body as JSON.
pub(crate) fn read_json<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let body = body.0?;
    serde_json::from_slice(&body).map_err(|_| Refusal::plain(&Code::REQUEST_CONTENT_INVALID))
}

/// Reads a field that may be missing, but not null.
pub(crate) fn never_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Reads a field whose null is the default of its kind, as that of a primitive is.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(|value| Some(value.unwrap_or_default()))
}
