//! The bodies of requests: JSON objects, read leniently.
//!
//! Quirk: what counts as missing is sometimes `null`, and sometimes all that Python takes for false.
//! Quirk: half a surrogate pair, which Python writes for a file name that is no UTF-8, becomes U+FFFD.
//! Quirk: `NaN`, `Infinity` and `-Infinity`, which Python writes for numbers that JSON has not, are `null`.

use std::ops::RangeInclusive;

use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value};

use super::literal::replace_no_numbers;
use super::number;
use super::refusal::Refusal;
use crate::body::{ReadError, Unread};
use crate::go::json::replace_lone_surrogates;

const BODY_LIMIT: usize = 1024 * 1024;

const MALFORMED: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "请求体不是有效的JSON");
const TOO_LONG: Refusal = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "请求体过大，最多 1 MiB");
const TOO_LATE: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "请求体接收超时");
const NO_ROOM: Refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "服务暂时不可用，请稍后重试");

/// How many characters a name may have.
pub(super) const MAX_NAME_CHARS: usize = 255;
/// How many characters of a text are kept.
const MAX_TEXT_CHARS: usize = 1023;

/// The fields of a request.
#[derive(Debug, Default)]
pub(super) struct Object(Map<String, Value>);

/// Reads an object from a body of at most 1 MiB.
pub(super) async fn read(body: Unread) -> Result<Object, Refusal> {
    decode(&body.read(BODY_LIMIT).await?)
}

/// The same, where no body at all is as good as an empty object.
pub(super) async fn read_optional(body: Unread) -> Result<Object, Refusal> {
    let bytes = body.read(BODY_LIMIT).await?;
    if bytes.is_empty() { Ok(Object::default()) } else { decode(&bytes) }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLong => TOO_LONG,
            ReadError::Broken => MALFORMED,
            ReadError::TooLate => TOO_LATE,
            ReadError::NoRoom => NO_ROOM.with(RETRY_AFTER, HeaderValue::from_static("1")),
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Object, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| MALFORMED)?;
    serde_json::from_str(&replace_no_numbers(&replace_lone_surrogates(text))).map(Object).map_err(|_| MALFORMED)
}

impl Object {
    /// The value of a field, unless it is absent or null.
    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// Tells whether a field is what Python takes for true.
    pub(super) fn is_truthy(&self, field: &str) -> bool {
        match self.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(is_set)) => *is_set,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(values)) => !values.is_empty(),
            Some(Value::Object(fields)) => !fields.is_empty(),
        }
    }

    /// Fails unless a field is what Python takes for true.
    pub(super) fn require_truthy(&self, field: &'static str) -> Result<(), Refusal> {
        if self.is_truthy(field) { Ok(()) } else { Err(Refusal::incomplete(field)) }
    }

    /// Fails when a field is absent or null.
    pub(super) fn require(&self, field: &'static str) -> Result<(), Refusal> {
        if self.get(field).is_some() { Ok(()) } else { Err(Refusal::incomplete(field)) }
    }

    /// Fails when a field is there and null.
    pub(super) fn refuse_null(&self, field: &'static str) -> Result<(), Refusal> {
        if self.0.get(field).is_some_and(Value::is_null) { Err(Refusal::incomplete(field)) } else { Ok(()) }
    }

    /// Reads an integer of any size.
    pub(super) fn whole(&self, field: &'static str) -> Result<Option<i64>, Refusal> {
        self.read(field, number::whole)
    }

    /// Reads an integer within a range.
    pub(super) fn within(&self, field: &'static str, range: RangeInclusive<i32>) -> Result<Option<i32>, Refusal> {
        self.read(field, |value| number::within(number::whole(value)?, range))
    }

    /// Reads a number of seconds, as near to what was sent as can be.
    pub(super) fn seconds(&self, field: &'static str) -> Result<Option<i32>, Refusal> {
        Ok(self.whole(field)?.map(number::clamp))
    }

    /// Reads a finite number.
    pub(super) fn fraction(&self, field: &'static str) -> Result<Option<f64>, Refusal> {
        self.read(field, number::fraction)
    }

    /// Reads 0 or 1.
    pub(super) fn flag(&self, field: &'static str) -> Result<Option<bool>, Refusal> {
        Ok(self.within(field, 0..=1)?.map(|flag| flag == 1))
    }

    /// Reads a text.
    pub(super) fn text(&self, field: &'static str) -> Result<Option<String>, Refusal> {
        self.read(field, |value| value.as_str().map(str::to_owned))
    }

    /// Reads a text of which only the beginning is kept.
    pub(super) fn cut_text(&self, field: &'static str) -> Result<Option<String>, Refusal> {
        let text = self.text(field)?;
        Ok(text.map(|mut text| {
            if let Some((end, _)) = text.char_indices().nth(MAX_TEXT_CHARS) {
                text.truncate(end);
            }
            text
        }))
    }

    /// Reads a name.
    pub(super) fn name(&self, field: &'static str) -> Result<Option<String>, Refusal> {
        let is_short = |text: &&str| text.chars().nth(MAX_NAME_CHARS).is_none();
        self.read(field, |value| value.as_str().filter(is_short).map(str::to_owned))
    }

    fn read<T>(&self, field: &'static str, read: impl FnOnce(&Value) -> Option<T>) -> Result<Option<T>, Refusal> {
        let Some(value) = self.get(field) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| Refusal::wrong(field))
    }
}
