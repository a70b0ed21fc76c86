//! What browsers do of their own accord: they send what proves who their user is to whatever server a page calls, and
//! keep what they were answered.

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::hosts::{self, Asking, Hosts};
use crate::config::Config;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The API that answers pages of other origins.
const FARM: &str = "/api/";
/// What says nothing of anybody.
const PUBLIC: [&str; 2] = ["/healthz", "/readyz"];
/// What forms can send: with any other, a browser asks first whether the page may.
const OF_FORMS: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// What is to be told to browsers.
#[derive(Clone, Debug)]
pub(super) struct Browsers {
    /// The origin whose pages the API of the farm answers.
    farm_origin: Option<HeaderValue>,
    /// Whether callers are asked who they are, here or at the server behind.
    asks_for_users: bool,
    /// By which names the server may be called.
    hosts: Hosts,
}

impl Browsers {
    /// As the settings have it.
    pub(super) fn from_config(config: &Config) -> Self {
        let origin = HeaderValue::from_str(&config.transcode.cors_origin).ok().filter(|origin| !origin.is_empty());
        let asks_for_users = config.asks_for_users();
        Browsers { farm_origin: origin, asks_for_users, hosts: Hosts::new(config, Asking::new(asks_for_users)) }
    }

    /// Of a gateway on its own, which learns only later whether its server asks.
    pub(super) fn of_gateway(config: &Config, asking: Asking) -> Self {
        Browsers { asks_for_users: true, hosts: Hosts::new(config, asking), ..Browsers::from_config(config) }
    }

    /// Whether a page of another site wants something changed, which it can do in the name of its reader.
    fn refuse(&self, request: &Request) -> bool {
        if !steward_gateway::may_change(request.method(), request.uri()) {
            return false;
        }
        let origin = request.headers().get(ORIGIN);
        let is_foreign = match request.headers().get(FETCH_SITE).map(HeaderValue::as_bytes) {
            Some(b"same-origin" | b"none") => false,
            Some(_) => true,
            // Older browsers say no more than this, and all others where there is no TLS.
            None => origin.is_some_and(|origin| !is_own(origin, request)),
        };
        let is_of_farm = request.uri().path().starts_with(FARM) && origin.is_some_and(|o| self.serve(o, request));
        is_foreign && !is_of_farm
    }

    /// Whether the API of the farm is there for the pages of an origin.
    fn serve(&self, origin: &HeaderValue, request: &Request) -> bool {
        match &self.farm_origin {
            None => false,
            // Whoever sends no form has been asked first, and then browsers add nothing that proves who their user is.
            Some(any) if any == "*" => !self.asks_for_users || !is_form(request),
            Some(known) => known == origin,
        }
    }
}

/// Refuses what pages of other sites want changed, or come for under a name of their own, and tells browsers not to keep
/// what was answered to one user.
pub(super) async fn guard(State(browsers): State<Browsers>, request: Request, next: Next) -> Response {
    let is_about_nobody = PUBLIC.contains(&request.uri().path());
    if !is_about_nobody && browsers.hosts.refuse(&request) {
        let problem = "nobody is asked here who they are, so pages of strangers could come by the name in Host: \
                       use an address, localhost, or a name in server.hosts\n";
        return (StatusCode::MISDIRECTED_REQUEST, problem).into_response();
    }
    if browsers.refuse(&request) {
        let problem = "a page of another site cannot change anything here\n";
        return (StatusCode::FORBIDDEN, problem).into_response();
    }
    let is_public = !browsers.asks_for_users || is_about_nobody;
    let mut response = next.run(request).await;
    if !is_public {
        let default = HeaderValue::from_static("private, no-cache");
        response.headers_mut().entry(CACHE_CONTROL).or_insert(default);
    }
    response
}

/// Whether an origin is the name by which this server was called.
fn is_own(origin: &HeaderValue, request: &Request) -> bool {
    let authority = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
    authority.is_some_and(|authority| authority.as_bytes().eq_ignore_ascii_case(hosts::called(request)))
}

/// Whether a form could send this.
fn is_form(request: &Request) -> bool {
    let Some(content_type) = request.headers().get(CONTENT_TYPE) else { return request.method() == Method::POST };
    let content_type = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    request.method() == Method::POST && OF_FORMS.iter().any(|form| form.eq_ignore_ascii_case(content_type))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
    const PAGE: (&str, &str) = ("origin", "https://page.example");
    const JSON: (&str, &str) = ("content-type", "application/json");
    const VOLUMES: &str = "/SnapshotCloneService?Action=DeleteFile";

    fn browsers(origin: &str, asks_for_users: bool) -> Browsers {
        let mut config = Config::default();
        config.transcode.cors_origin = origin.to_owned();
        Browsers { asks_for_users, ..Browsers::from_config(&config) }
    }

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
        let request = Request::builder().method(method).uri(path).header("host", "steward.example:8080");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).expect("a request")
    }

    fn refuses(method: &str, path: &str, headers: &[(&str, &str)]) -> bool {
        browsers("", true).refuse(&request(method, path, headers))
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        for (method, path) in [("POST", "/lock"), ("DELETE", "/restic/a/config"), ("PUT", "/generic/p/r/f")] {
            assert!(refuses(method, path, &[CROSS]) && refuses(method, path, &[("sec-fetch-site", "same-site")]));
            assert!(refuses(method, path, &[PAGE]) && refuses(method, path, &[("origin", "null")]));
            assert!(refuses(method, path, &[("origin", "http://steward.example")]), "another port");
            assert!(refuses("POST", "/api/v1/tasks", &[CROSS, PAGE, JSON]), "no page is answered");
        }
        for path in [
            VOLUMES,
            "//SnapshotCloneService/x?Action=Flatten",
            "/replication/api/cluster/tryConnect?name=a",
            "/lock/status?type=pull&resource_id=a&node_id=n",
            "/infer/lock/status?node%5Fid=n&type=pull&resource_id=a",
        ] {
            assert!(["GET", "HEAD", "OPTIONS"].iter().all(|method| refuses(method, path, &[CROSS])), "{path}");
        }
    }

    #[test]
    fn its_own_pages_and_programs_and_reads_pass() {
        let own = ("origin", "http://STEWARD.example:8080");
        for headers in [&[][..], &[own], &[("sec-fetch-site", "same-origin"), own], &[("sec-fetch-site", "none")]] {
            assert!(!refuses("POST", "/lock", headers) && !refuses("GET", VOLUMES, headers), "{headers:?}");
        }
        assert!(!refuses("GET", "/lock/status?type=pull&resource_id=a&node_id=", &[CROSS, PAGE]), "no node claims it");
        assert!(!refuses("GET", "/generic/p/r/f", &[CROSS, PAGE]) && !refuses("OPTIONS", "/api/v1/tasks", &[PAGE]));
    }

    #[test]
    fn the_api_of_the_farm_is_there_for_the_pages_it_is_told() {
        let ask = |browsers: &Browsers, path: &str, headers: &[(&str, &str)]| {
            browsers.refuse(&request("POST", path, &[headers, &[CROSS]].concat()))
        };
        let named = browsers("https://page.example", true);
        assert!(!ask(&named, "/api/v1/tasks", &[PAGE]) && ask(&named, "/lock", &[PAGE, JSON]));
        assert!(ask(&named, "/api/v1/tasks", &[("origin", "https://other.example"), JSON]));
        let (any, open) = (browsers("*", true), browsers("*", false));
        assert!(!ask(&any, "/api/v1/tasks", &[PAGE, JSON]) && !ask(&open, "/api/v1/tasks", &[PAGE]));
        assert!(ask(&any, "/api/v1/tasks", &[PAGE]), "a form can be sent in the name of anybody");
        assert!(ask(&any, "/api/v1/tasks", &[PAGE, ("content-type", "Text/Plain; charset=utf-8")]));
    }
}
