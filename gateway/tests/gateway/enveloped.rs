//! Answers with the envelope of the APIs of artifacts.

use axum::Router;
use steward_gateway::ArtifactOptions;
use tonic::Code;

use crate::artifact::fake::Fake;
use crate::http::written;
use crate::restic::{refusal_with, send};

const TRACE: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const HEAD: &str =
    "content-type: application/json\nx-bkrepo-rid: 4bf92f3577b34da6a3ce929d0e0e4736\nx-bkrepo-time-zone: ";
const TAIL: &str = ",\n  \"traceId\" : \"4bf92f3577b34da6a3ce929d0e0e4736\"\n}";

/// The status, the code, the message and, on further lines, the data of an answer that has the headers of all.
pub(crate) async fn ask(router: &Router, method: &str, path: &str, body: &str) -> String {
    ask_with(router, method, path, &[], body).await
}

/// The same for a request with headers. Further headers of the answer come behind the status.
pub(crate) async fn ask_with(router: &Router, method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let response = send(router, method, path, &[&[TRACE], headers].concat(), body.to_owned()).await;
    let written = written(response).await;
    let (status, rest) = written.split_once('\n').unwrap();
    let (headers, body) = rest.split_once("\n\n").unwrap();
    let (further, own): (Vec<&str>, Vec<&str>) = headers
        .split('\n')
        .partition(|line| line.starts_with("allow") || line.starts_with("retry") || line.starts_with("www"));
    assert_eq!(own.join("\n"), format!("{HEAD}+00:00"), "{method} {path}");
    let body = body.strip_suffix(TAIL).unwrap_or_else(|| panic!("{method} {path}: {body}"));
    let (code, rest) = body.strip_prefix("{\n  \"code\" : ").unwrap().split_once(",\n  \"message\" : ").unwrap();
    let (message, data) = rest.split_once(",\n  \"data\" : ").unwrap();
    let further = further.iter().fold(String::new(), |further, line| format!("{further} ({line})"));
    format!("{status}{further} {code} {message}\n{data}")
}

/// A success.
pub(crate) fn ok(data: &str) -> String {
    format!("200 0 null\n{data}")
}

/// A success without data.
pub(crate) fn done() -> String {
    ok("null")
}

/// An error.
pub(crate) fn refused(status: u16, code: u32, message: &str) -> String {
    format!("{status} {code} \"{message}\"\nnull")
}

/// A parameter that is refused.
pub(crate) fn invalid(name: &str) -> String {
    refused(400, 250_105, &format!("Parameter [{name}] is invalid"))
}

/// A parameter that is not there.
pub(crate) fn missing(name: &str) -> String {
    refused(400, 250_103, &format!("Parameter [{name}] is missing"))
}

/// A body that is none.
pub(crate) fn unreadable() -> String {
    refused(400, 250_106, "Invalid request content")
}

/// Services that refuse all calls for a reason about `x`.
pub(crate) fn refusing(code: Code, reason: &str) -> Fake {
    Fake::default().refusing("*", refusal_with(code, reason, "in own words", &[("arg", "x")]))
}

/// Asks, and checks that no service was asked.
pub(crate) async fn expect_without_call(method: &str, path: &str, body: &str, expected: &str) {
    let fake = Fake::default();
    assert_eq!(ask(&fake.router(), method, path, body).await, expected, "{method} {path} {body}");
    assert!(fake.calls().is_empty(), "{method} {path} {body}: {:?}", fake.calls());
}

/// The services, with a zone that is not UTC.
pub(crate) fn in_shanghai(fake: &Fake) -> Router {
    let time_zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    fake.router_with(ArtifactOptions { time_zone, ..ArtifactOptions::default() })
}
