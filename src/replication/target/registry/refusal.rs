//! What an answer of a registry means that is not the one that was hoped for.

use bytes::Bytes;
use http::StatusCode;

use super::super::TargetError;
use super::super::http::Response;

/// How much of an answer is read.
const MAX_BYTES: usize = 64 * 1024;
/// How much of it is told.
const MAX_CHARACTERS: usize = 300;

/// A refusal: its status, the first code of the registry, and what it says.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) error: TargetError,
}

/// Reads a refusal. `what` is what was asked for; `hide` takes secrets out of what the registry says.
pub(super) async fn read(what: &str, response: Response, hide: impl Fn(&str) -> String) -> Refusal {
    let status = response.status;
    let after = response.retry_after();
    let body = response.beginning(MAX_BYTES).await.map(|(body, _)| body).unwrap_or_default();
    let (code, said) = said(&body, &hide);
    let problem = if said.is_empty() { format!("{what}: {status}") } else { format!("{what}: {status}: {said}") };
    let error = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => TargetError::Denied(problem),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => TargetError::Busy { problem, after },
        StatusCode::REQUEST_TIMEOUT => TargetError::Unreachable(problem),
        status if status.is_server_error() && after.is_some() => TargetError::Busy { problem, after },
        status if status.is_server_error() => TargetError::Unreachable(problem),
        _ => TargetError::Refused(problem),
    };
    Refusal { status, code, error }
}

/// Only the error of a refusal.
pub(super) async fn error(what: &str, response: Response, hide: impl Fn(&str) -> String) -> TargetError {
    read(what, response, hide).await.error
}

/// The first code of the errors in a body, and what it says for people.
fn said(body: &Bytes, hide: &dyn Fn(&str) -> String) -> (String, String) {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        // Pages of proxies in between say little; their first words are enough.
        return (String::new(), shortened(&hide(&String::from_utf8_lossy(body))));
    };
    let errors = json.get("errors").and_then(|errors| errors.as_array()).map(Vec::as_slice).unwrap_or_default();
    let text = |error: &serde_json::Value, name: &str| {
        error.get(name).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    };
    let code = errors.first().map(|error| text(error, "code")).unwrap_or_default();
    let one = |error: &serde_json::Value| {
        let detail = error.get("detail").filter(|detail| !detail.is_null()).map(ToString::to_string);
        let parts = [Some(text(error, "code")), Some(text(error, "message")), detail];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join(" ")
    };
    let said: Vec<String> = errors.iter().take(3).map(one).collect();
    // Before it is cut: a part of a secret is one too.
    (shortened(&hide(&code)), shortened(&hide(&said.join("; "))))
}

fn shortened(text: &str) -> String {
    let printable = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    printable.take(MAX_CHARACTERS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_what_the_registry_says() {
        let body =
            r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match","detail":{"a":1}}]}"#;
        let (code, said) = said(&Bytes::from(body), &str::to_owned);
        assert_eq!(code, "DIGEST_INVALID");
        assert_eq!(said, r#"DIGEST_INVALID provided digest did not match {"a":1}"#);
    }

    #[test]
    fn what_is_told_is_short_and_printable() {
        let (_, said) = said(&Bytes::from(format!("<html>\n\u{1b}[2J{}", "x".repeat(100_000))), &str::to_owned);
        assert_eq!(said.chars().count(), MAX_CHARACTERS);
        assert!(!said.contains(char::is_control));
    }
}
