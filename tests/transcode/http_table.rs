//! The tables of the older HTTP API, row by row: the order of the checks, every message, and every key of an answer.

mod bodies;
mod claims;
mod commands;
mod logs;
mod routes;
mod tasks;
mod updates;
mod videos;
mod workers;

use crate::vocabulary::api::Api;

/// Requests with bodies that are all refused in the same way.
async fn all_say(api: &Api, method: &str, path: &str, bodies: &[&str], status: u16, message: &str) {
    for body in bodies {
        let reply = api.call(method, path, body).await;
        let expected = serde_json::json!({"code": status, "message": message});
        assert_eq!((reply.status, &reply.json), (status, &expected), "{method} {path} {body}");
    }
}

/// The keys of an object, in alphabetical order.
fn keys(json: &serde_json::Value) -> Vec<&str> {
    let mut keys: Vec<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// A time as the API writes it: UTC without a zone, to the second.
#[track_caller]
fn is_time(json: &serde_json::Value) {
    let text = json.as_str().unwrap_or_else(|| panic!("{json} is a time"));
    let shape: String = text.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00", "{text}");
}
