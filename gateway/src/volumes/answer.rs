//! Answers: what every one has, and what some have beside that.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use uuid::Uuid;

use super::code::Code;
use super::refusal::Refusal;
use super::styled::{self, Object, Value};
use crate::answer::CHALLENGE;
use crate::options::VolumeMessages;

/// Names the parameter that is wrong.
const ERROR_FIELD: HeaderName = HeaderName::from_static("x-error-field");

/// An answer that has not been written yet.
#[derive(Debug)]
pub(super) struct Answer {
    code: Code,
    fields: Object,
    wrong_field: Option<HeaderValue>,
    retry_after: Option<HeaderValue>,
    is_challenge: bool,
}

impl Answer {
    /// It was done.
    pub(super) fn done() -> Self {
        Self { code: Code::Done, fields: BTreeMap::new(), wrong_field: None, retry_after: None, is_challenge: false }
    }

    pub(super) fn with(mut self, key: &'static str, value: Value) -> Self {
        self.fields.insert(key, value);
        self
    }

    /// Writes it, with an id of its own.
    pub(super) fn into_response(self, messages: VolumeMessages) -> Response {
        let answer = self.with("RequestId", Value::Text(Uuid::new_v4().to_string()));
        let code = answer.code;
        let answer = answer.with("Code", code.number().into()).with("Message", code.message(messages).into());
        let status = if answer.retry_after.is_some() { StatusCode::TOO_MANY_REQUESTS } else { code.status() };
        let mut response = (status, styled::write(&answer.fields)).into_response();
        response.headers_mut().extend(answer.wrong_field.map(|field| (ERROR_FIELD, field)));
        response.headers_mut().extend(answer.retry_after.map(|seconds| (RETRY_AFTER, seconds)));
        if answer.is_challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        response
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let fields = Object::from([("UUID", Value::from(""))]);
        let Refusal { code, field: wrong_field, retry_after, is_unknown: is_challenge } = refusal;
        Self { code, fields, wrong_field, retry_after, is_challenge }
    }
}
