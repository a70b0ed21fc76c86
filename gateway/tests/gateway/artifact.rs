//! Images and files against a scripted artifact service.

#![expect(clippy::unnecessary_wraps, reason = "a message in a message is always an option, and a part may be an error")]

mod blobs;
mod failures;
pub(crate) mod fake;
mod file_failures;
mod files;
mod lists;
mod manifests;
mod uploads;

const SHA256: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The header of every answer of the registry.
const REGISTRY: &str = "docker-distribution-api-version: registry/2.0\n";

/// An answer of the registry; `headers` in alphabetical order, without the one that all have.
fn answer(status: u16, headers: &[&str], body: &str) -> String {
    let mut headers: Vec<String> = headers.iter().map(|header| format!("{header}\n")).collect();
    headers.push(REGISTRY.to_owned());
    headers.sort();
    format!("{status}\n{}\n{body}", headers.concat())
}

/// An error of the registry.
fn error(status: u16, code: &str, message: &str) -> String {
    error_with(status, code, message, &[])
}

fn error_with(status: u16, code: &str, message: &str, headers: &[&str]) -> String {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    let length = format!("content-length: {}", body.len());
    answer(status, &[&[length.as_str(), "content-type: application/json"], headers].concat(), &body)
}
