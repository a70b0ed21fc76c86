//! The envelope of answers, as Jackson would print it, in the language that the client reads.

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use uuid::Uuid;

/// What an answer can be found by in logs.
#[derive(Clone, Debug)]
pub(super) struct Trace(String);

impl Trace {
    /// The id of the request, where it has one of the form.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let id = headers.get("x-request-id").and_then(|id| Uuid::parse_str(id.to_str().ok()?).ok());
        Self(id.unwrap_or_else(Uuid::new_v4).simple().to_string())
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("hexadecimal digits are visible ASCII")
    }
}

/// What messages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    /// The one that the client likes best; English when it says nothing of it.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let listed = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut best = ("", 0.0_f32);
        for item in listed.split(',') {
            let (tag, quality) = item.split_once(';').unwrap_or((item, ""));
            let quality = quality.trim().strip_prefix("q=").and_then(|quality| quality.parse().ok()).unwrap_or(1.0);
            if quality > best.1 {
                best = (tag.trim(), quality);
            }
        }
        let language = best.0.split(['-', '_']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("zh") { Self::Chinese } else { Self::English }
    }
}

/// An answer with its envelope.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a, T> {
    code: u32,
    message: Option<String>,
    data: Option<&'a T>,
    trace_id: &'a str,
}

impl<'a, T: Serialize> Envelope<'a, T> {
    pub(super) fn success(data: &'a T, trace: &'a Trace) -> Self {
        Self { code: 0, message: None, data: Some(data), trace_id: &trace.0 }
    }

    fn written(&self) -> String {
        let mut written = Vec::new();
        self.serialize(&mut Serializer::with_formatter(&mut written, Jackson::default()))
            .expect("texts and numbers are always JSON");
        String::from_utf8(written).expect("JSON is UTF-8")
    }
}

impl Envelope<'_, ()> {
    /// An error.
    pub(super) fn refusal(status: StatusCode, code: u32, message: String, trace: &Trace) -> Response {
        let envelope = Envelope::<()> { code, message: Some(message), data: None, trace_id: &trace.0 };
        (status, envelope).into_response()
    }
}

impl<T: Serialize> IntoResponse for Envelope<'_, T> {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.written()).into_response()
    }
}

/// Jackson's indented output: a space before each colon, and a space in what is empty.
#[derive(Debug, Default)]
struct Jackson {
    depth: usize,
    has_entries: bool,
}

impl Jackson {
    fn line<W: std::io::Write + ?Sized>(&self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for Jackson {
    fn begin_array_value<W: std::io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b" " } else { b", " })
    }

    fn end_array<W: std::io::Write + ?Sized>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b" ]")
    }

    fn begin_object<W: std::io::Write + ?Sized>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.depth += 1;
        self.has_entries = false;
        writer.write_all(b"{")
    }

    fn end_object<W: std::io::Write + ?Sized>(&mut self, writer: &mut W) -> std::io::Result<()> {
        self.depth -= 1;
        if self.has_entries {
            self.line(writer)?;
        } else {
            writer.write_all(b" ")?;
        }
        self.has_entries = true;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: std::io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.line(writer)
    }

    fn begin_object_value<W: std::io::Write + ?Sized>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b" : ")
    }

    fn end_object_value<W: std::io::Write + ?Sized>(&mut self, _: &mut W) -> std::io::Result<()> {
        self.has_entries = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn answers_are_printed_as_jackson_prints_them() {
        let trace = Trace("0123".to_owned());
        let data = BTreeMap::from([("a", BTreeMap::new()), ("b", BTreeMap::from([("c", vec![1, 2]), ("d", vec![])]))]);
        let expected = concat!(
            "{\n  \"code\" : 0,\n  \"message\" : null,\n  \"data\" : {\n    \"a\" : { },\n    \"b\" : {\n",
            "      \"c\" : [ 1, 2 ],\n      \"d\" : [ ]\n    }\n  },\n  \"traceId\" : \"0123\"\n}",
        );
        assert_eq!(Envelope::success(&data, &trace).written(), expected);
    }

    #[test]
    fn language_is_the_one_that_is_liked_best() {
        for (header, expected) in [
            ("", Language::English),
            ("en-US,en;q=0.9", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en;q=0.5, zh_CN;q=0.6", Language::Chinese),
            ("fr", Language::English),
            ("zh;q=0", Language::English),
            ("zh;q=NaN", Language::English),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(header))]);
            assert_eq!(Language::of(&headers), expected, "{header}");
        }
    }
}
