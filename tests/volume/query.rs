//! Words in which the tests speak the query-string API.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::common::http::Answer;
use crate::common::server::Server;

static UUID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").expect("an expression")
});
static TIME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""Time" : \d{16}"#).expect("an expression"));

/// Asks with a query such as `Action=ListFile&User=curve&Dir=/`; the version is put in front.
pub(crate) async fn ask(server: &Server, query: &str) -> Reply {
    let answer = server.http().get(&format!("/SnapshotCloneService?Version=1.5&{query}")).await;
    Reply::of(&answer)
}

/// Asks for what is expected to be done.
pub(crate) async fn ask_ok(server: &Server, query: &str) -> Reply {
    let reply = ask(server, query).await;
    assert_eq!(reply.code(), 0, "{query}: {}", reply.text);
    reply
}

/// What came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
    json: Value,
}

impl Reply {
    pub(crate) fn of(answer: &Answer) -> Self {
        let text = answer.text().to_owned();
        let json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text:?}"));
        Reply { status: answer.status, text, json }
    }

    pub(crate) fn code(&self) -> i32 {
        self["Code"].as_str().and_then(|code| code.parse().ok()).expect("a number in a string")
    }

    pub(crate) fn uuid(&self) -> String {
        self["UUID"].as_str().expect("a UUID").to_owned()
    }

    /// The body, with what is different each time made alike.
    pub(crate) fn masked(&self) -> String {
        let text = UUID.replace_all(&self.text, "<uuid>");
        TIME.replace_all(&text, "\"Time\" : <time>").into_owned()
    }

    /// The values of one key of the rows under another one.
    pub(crate) fn column(&self, rows: &str, key: &str) -> Vec<Value> {
        let rows = self[rows].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.iter().map(|row| row[key].clone()).collect()
    }
}

impl std::ops::Index<&str> for Reply {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        &self.json[key]
    }
}
