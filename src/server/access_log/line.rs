//! What a line says: never a secret, and never a byte that a terminal or a parser would obey.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use serde_json::json;

use crate::clock::Timestamp;

/// What is said of a request whose client went away before it was answered.
const CLIENT_GONE: u16 = 499;

/// How much of anything a line has: lines wait in memory, and clients choose how long they are.
const MAX_FIELD_BYTES: usize = 1024;

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Line {
    time: Timestamp,
    pub(super) client: Option<IpAddr>,
    pub(super) user: Option<String>,
    method: Method,
    /// The path and the query, without the credentials that a URL may have before them.
    path: String,
    version: Version,
    referer: Option<HeaderValue>,
    agent: Option<HeaderValue>,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) duration: Duration,
    pub(super) request_id: Option<HeaderValue>,
}

impl Line {
    pub(super) fn of<B>(request: &http::Request<B>, client: Option<IpAddr>, time: Timestamp) -> Self {
        Line {
            time,
            client,
            user: None,
            method: request.method().clone(),
            path: cut(&without_secrets(request.uri().path_and_query().map_or("*", |path| path.as_str()))).to_owned(),
            version: request.version(),
            referer: header(request.headers(), &header::REFERER).and_then(|url| harmless(&url)),
            agent: header(request.headers(), &header::USER_AGENT),
            status: CLIENT_GONE,
            bytes: 0,
            duration: Duration::ZERO,
            request_id: None,
        }
    }

    /// Apache's combined form.
    pub(super) fn combined(&self) -> String {
        let mut text = String::with_capacity(256);
        match self.client {
            Some(client) => text.push_str(&client.to_string()),
            None => text.push('-'),
        }
        text.push_str(" - ");
        match self.user.as_deref() {
            None | Some("") => text.push('-'),
            Some(user) => escape(&mut text, user.as_bytes(), &[' ']),
        }
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.time.nanos())).unwrap_or_default();
        let _ = write!(text, " [{}] \"{} ", time.strftime("%d/%b/%Y:%H:%M:%S +0000"), self.method);
        escape(&mut text, self.path.as_bytes(), &[]);
        let _ = write!(text, " {:?}\" {} {}", self.version, self.status, self.bytes);
        for value in [&self.referer, &self.agent] {
            text.push_str(" \"");
            escape(&mut text, value.as_ref().map_or(b"-", HeaderValue::as_bytes), &[]);
            text.push('"');
        }
        text
    }

    /// One JSON object.
    pub(super) fn json(&self) -> String {
        let text = |value: &Option<HeaderValue>| {
            value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        json!({
            "time": self.time.to_string(),
            "client": self.client,
            "user": self.user,
            "method": self.method.as_str(),
            "path": self.path,
            "protocol": format!("{:?}", self.version),
            "status": self.status,
            "bytes": self.bytes,
            "seconds": self.duration.as_secs_f64(),
            "referer": text(&self.referer),
            "user_agent": text(&self.agent),
            "request_id": text(&self.request_id),
        })
        .to_string()
    }
}

/// A path and a query, without the values that prove something: a worker sends the token of its lease so.
fn without_secrets(target: &str) -> Cow<'_, str> {
    let Some((path, query)) = target.split_once('?') else { return Cow::Borrowed(target) };
    let blank = |parameter: &str| {
        let (name, value) = parameter.split_once('=')?;
        (!value.is_empty() && is_secret(name)).then(|| format!("{name}=***"))
    };
    if query.split('&').all(|parameter| blank(parameter).is_none()) {
        return Cow::Borrowed(target);
    }
    let query: Vec<Cow<'_, str>> =
        query.split('&').map(|parameter| blank(parameter).map_or(Cow::Borrowed(parameter), Cow::Owned)).collect();
    Cow::Owned(format!("{path}?{}", query.join("&")))
}

/// Whether the value of a parameter may prove something. No name of ours is escaped, so who knows what such a one is.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains('%') || ["token", "password", "secret"].iter().any(|word| name.contains(word))
}

/// The URL of a page, if there are no credentials in it.
fn harmless(url: &HeaderValue) -> Option<HeaderValue> {
    let text = std::str::from_utf8(url.as_bytes()).ok().filter(|text| !text.contains('@'))?;
    HeaderValue::try_from(without_secrets(text).as_ref()).ok()
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let value = headers.get(name).filter(|value| !value.is_empty())?;
    match value.as_bytes().get(..MAX_FIELD_BYTES) {
        Some(beginning) => HeaderValue::from_bytes(beginning).ok(),
        None => Some(value.clone()),
    }
}

/// The beginning, up to the end of a character.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_FIELD_BYTES)]
}

/// Appends text that may come from anybody; `also` is escaped besides what has to be.
fn escape(text: &mut String, bytes: &[u8], also: &[char]) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '"' || character == '\\' {
                text.extend(['\\', character]);
            } else if character.is_control() || also.contains(&character) {
                let _ = write!(text, "\\x{:02x}", u32::from(character));
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let request = http::Request::builder()
            .method("GET")
            .uri("http://alice:secret@host/a/data/?x=1")
            .header("referer", "https://alice:secret@host/")
            .header("user-agent", HeaderValue::from_bytes(b"go\"http\xff\tx\\").expect("a value"))
            .header("authorization", "Basic secret")
            .body(())
            .expect("a request");
        let mut line = Line::of(&request, Some(IpAddr::from([192, 0, 2, 7])), Timestamp::from_nanos(1_000_000_000));
        line.user = Some("al ice\n".to_owned());
        (line.status, line.bytes, line.duration) = (200, 12, Duration::from_millis(1500));
        line.request_id = Some(HeaderValue::from_static("id-1"));
        line
    }

    #[test]
    fn a_combined_line_is_one_line_without_secrets() {
        assert_eq!(
            line().combined(),
            r#"192.0.2.7 - al\x20ice\x0a [01/Jan/1970:00:00:01 +0000] "GET /a/data/?x=1 HTTP/1.1" 200 12 "-" "go\"http\xff\x09x\\""#
        );
    }

    #[test]
    fn what_a_query_proves_is_blanked() {
        for (target, expected) in [
            ("/a", "/a"),
            ("/a?", "/a?"),
            ("/a?x=1&&y", "/a?x=1&&y"),
            ("/a?lease_token=abc", "/a?lease_token=***"),
            ("/a?x=1&lease_token=a=b&y=2", "/a?x=1&lease_token=***&y=2"),
            ("/a?lease%5Ftoken=abc&Access_Token=d&password=e", "/a?lease%5Ftoken=***&Access_Token=***&password=***"),
            ("/a?token=&token", "/a?token=&token"),
        ] {
            assert_eq!(without_secrets(target), expected);
        }
        let request = http::Request::get("/a?lease_token=abc").header("referer", "https://host/?lease_token=abc");
        let line = Line::of(&request.body(()).expect("a request"), None, Timestamp::from_nanos(0)).combined();
        assert!(!line.contains("abc") && line.contains("https://host/?lease_token=***"), "{line}");
    }

    #[test]
    fn a_line_is_not_as_long_as_a_client_likes() {
        let long = "x".repeat(60_000);
        let request = http::Request::get(format!("/{long}")).header("user-agent", &long).header("referer", &long);
        let line = Line::of(&request.body(()).expect("a request"), None, Timestamp::from_nanos(0));
        assert!(line.combined().len() < 4 * MAX_FIELD_BYTES && line.json().len() < 4 * MAX_FIELD_BYTES);
    }

    #[test]
    fn a_json_line_says_the_same_and_more() {
        let line = line().json();
        assert!(!line.contains("secret") && !line.contains('\n'), "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["time"], "1970-01-01T00:00:01Z");
        assert_eq!((&line["user"], &line["path"]), (&json!("al ice\n"), &json!("/a/data/?x=1")));
        assert_eq!((&line["seconds"], &line["request_id"]), (&json!(1.5), &json!("id-1")));
        assert_eq!(line["referer"], serde_json::Value::Null);
    }
}
