//! Tokens: a client that is asked who it is gets one for what it is about to do, by its name and password or by neither.
//!
//! Quirk: clients send `scope` once for each thing, or once with spaces between; some ask by `POST` with a form.

use axum::response::Response;
use http::header::{CACHE_CONTROL, HOST, HeaderValue};
use http::uri::Authority;
use http::{Method, StatusCode};
use serde::Serialize;
use steward_proto::auth::v1::registry_token_service_client::RegistryTokenServiceClient;
use steward_proto::auth::v1::{IssueRegistryTokenRequest, RegistryScope};

use super::path::{self, Target};
use super::refusal::Refusal;
use super::{Asked, json};
use crate::body::{ReadError, Unread};
use crate::go::query;

/// The path under which tokens are given.
pub(super) const PATH: &str = "/v2/auth";
/// How long a form may be, in bytes.
const MAX_FORM_BYTES: usize = 16 * 1024;

#[derive(Serialize)]
struct Answer {
    token: String,
    access_token: String,
    expires_in: i64,
    issued_at: String,
}

/// Answers a token.
pub(super) async fn issue(mut asked: Asked, body: Unread) -> Result<Response, Refusal> {
    let parameters = match asked.parts.method {
        Method::GET => asked.query().to_owned(),
        Method::POST => {
            let form = form(body).await?;
            if query::first(&form, "grant_type") != "password" {
                let problem = "only the grant_type password is known";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", problem));
            }
            let (user, password) = (query::first(&form, "username"), query::first(&form, "password"));
            asked.caller = asked.caller.with_password(&user, &password);
            form
        }
        _ => return Err(Refusal::method("GET, POST")),
    };
    let call = asked.call("IssueRegistryToken");
    let request = call.request(IssueRegistryTokenRequest { scopes: scopes(&parameters) });
    let mut client = RegistryTokenServiceClient::new(asked.registry.channel.clone());
    let issued = call.run(client.issue_registry_token(request)).await?;
    let (Some(from), Some(until)) = (issued.issue_time, issued.expire_time) else {
        return Err(Refusal::broken(&call, "a token without its times"));
    };
    let issued_at = jiff::Timestamp::from_second(from.seconds).map(|time| time.to_string()).unwrap_or_default();
    let expires_in = until.seconds.saturating_sub(from.seconds);
    let token = Answer { token: issued.token.clone(), access_token: issued.token, expires_in, issued_at };
    let mut response = json("application/json", &token);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn form(body: Unread) -> Result<String, Refusal> {
    let refusal = |status, message| Refusal::new(status, "UNSUPPORTED", message);
    let form = body.read(MAX_FORM_BYTES).await.map_err(|error| match error {
        ReadError::TooLong => refusal(StatusCode::PAYLOAD_TOO_LARGE, "the form is too long"),
        ReadError::Broken => refusal(StatusCode::BAD_REQUEST, "the body broke off"),
        ReadError::TooLate => refusal(StatusCode::REQUEST_TIMEOUT, "the form did not come in time"),
        ReadError::NoRoom => Refusal::no_room(),
    })?;
    String::from_utf8(form.to_vec()).map_err(|_| refusal(StatusCode::BAD_REQUEST, "the form is no text"))
}

/// What a client asks for. What makes no sense is nothing.
fn scopes(parameters: &str) -> Vec<RegistryScope> {
    let all: Vec<String> = query::all(parameters, "scope").collect();
    all.iter().flat_map(|scopes| scopes.split_ascii_whitespace()).filter_map(scope).collect()
}

fn scope(text: &str) -> Option<RegistryScope> {
    let (kind, rest) = text.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    // Some clients say in brackets of which class the image is.
    let kind = kind.split('(').next().unwrap_or_default();
    let actions = actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned).collect();
    Some(RegistryScope { r#type: kind.to_owned(), name: name.to_owned(), actions })
}

/// How a client gets a token for what it was refused; nothing when it has not said under which name it knows this server.
pub(super) fn challenge(asked: &Asked, target: &Target) -> Option<HeaderValue> {
    let authority = asked.parts.uri.authority().map(Authority::as_str);
    let host: Authority = authority.or_else(|| asked.header(HOST))?.parse().ok()?;
    // What is in front of an at sign is not the host.
    if host.as_str().contains('@') {
        return None;
    }
    let is_proxied = asked.header("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let scheme = if is_proxied || asked.registry.options.artifacts.is_secure { "https" } else { "http" };
    let scope = wanted(target, &asked.parts.method).map(|scope| format!(",scope=\"{scope}\"")).unwrap_or_default();
    HeaderValue::try_from(format!("Bearer realm=\"{scheme}://{host}{PATH}\",service=\"steward\"{scope}")).ok()
}

/// What a token has to be for.
fn wanted(target: &Target, method: &Method) -> Option<String> {
    let name = match target {
        Target::Base => return None,
        Target::Catalog => return Some("registry:catalog:*".to_owned()),
        Target::Tags(name)
        | Target::Manifest(name, _)
        | Target::Blob(name, _)
        | Target::Uploads(name)
        | Target::Referrers(name, _) => name,
        Target::Upload(upload) => &upload.image,
    };
    let actions = match *method {
        Method::GET | Method::HEAD => "pull",
        Method::DELETE => "pull,delete",
        _ => "pull,push",
    };
    let name = path::written(name);
    // A name that cannot be quoted is none.
    (!name.contains(['"', '\\'])).then(|| format!("repository:{name}:{actions}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_clients_write_them() {
        let shown = |query: &str| -> Vec<String> {
            let scopes = scopes(query).into_iter();
            scopes.map(|scope| format!("{} {} {}", scope.r#type, scope.name, scope.actions.join("+"))).collect()
        };
        assert_eq!(shown("service=steward&scope=repository:p/r/a:pull,push"), ["repository p/r/a pull+push"]);
        assert_eq!(
            shown("scope=repository(image)%3Ap/r/a%3Apull&scope=registry:catalog:*"),
            ["repository p/r/a pull", "registry catalog *"]
        );
        assert_eq!(shown("scope=repository:a:pull+repository:b:push"), ["repository a pull", "repository b push"]);
        assert!(shown("scope=&scope=a:b&account=x").is_empty());
    }
}
