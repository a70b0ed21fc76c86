//! What tools of the original read of a server, to find out whether it is the one that serves.
//!
//! Quirk: a line of plain text: the name, ` : `, the value in quotes whatever is in it, and CR LF.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HOST};

/// Where this server was asked if the client did not say.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/vars/snapshotcloneserver_status", any(async || line("snapshotcloneserver_status", "active")))
        .route("/vars/curve_version", any(async || line("curve_version", env!("CARGO_PKG_VERSION"))))
        .route("/vars/snapshot_clone_server_config_server_address", any(address))
}

/// Answers the address that the client knows: where it listens, the gateway is not told.
async fn address(headers: HeaderMap) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_plain = |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte));
    let host = host.filter(is_plain).unwrap_or(DEFAULT_ADDRESS);
    let value = format!(r#"{{"conf_name":"server.address","conf_value":"{host}"}}"#);
    line("snapshot_clone_server_config_server_address", &value)
}

fn line(name: &str, value: &str) -> Response {
    ([(CONTENT_TYPE, "text/plain")], format!("{name} : \"{value}\"\r\n")).into_response()
}
