//! Registries that are in trouble, or up to no good: each with the right outcome and message.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::common::certificates::Certificates;
use super::common::server::free_port;
use super::image::{Image, digest};
use super::registry::StockRegistry;
use super::steward::{IMAGES, PROJECT, Steward};

/// What is wrong with a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// It knows nobody.
    Unauthorized,
    /// So many requests are too many, and may come again after a second.
    Busy(u32),
    /// So many requests fail for no reason.
    Failing(u32),
    /// It has other manifests than it was sent.
    Lying,
    /// It sends uploads to another place.
    Redirecting(SocketAddr),
}

#[derive(Debug)]
struct Seen {
    trouble: Trouble,
    blobs: HashMap<String, Bytes>,
    manifests: HashMap<String, Bytes>,
    /// The credentials that came.
    authorizations: Vec<String>,
}

/// A registry of our own that takes blobs and manifests.
#[derive(Clone, Debug)]
struct Registry {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Registry {
    async fn start(trouble: Trouble) -> Self {
        let address = free_port();
        let listener = TcpListener::bind(address).await.expect("a port");
        let seen = Seen { trouble, blobs: HashMap::new(), manifests: HashMap::new(), authorizations: Vec::new() };
        let registry = Registry { address, seen: Arc::new(Mutex::new(seen)) };
        let router = Router::new().fallback(answer).with_state(registry.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        registry
    }

    fn authorizations(&self) -> Vec<String> {
        self.seen.lock().expect("nobody panics").authorizations.clone()
    }

    fn has_manifests(&self) -> bool {
        !self.seen.lock().expect("nobody panics").manifests.is_empty()
    }

    /// What is wrong with a request for no fault of its own.
    fn trouble(&self, headers: &HeaderMap) -> Option<Response> {
        let mut seen = self.seen.lock().expect("nobody panics");
        if let Some(credentials) = headers.get(header::AUTHORIZATION) {
            seen.authorizations.push(String::from_utf8_lossy(credentials.as_bytes()).into_owned());
        }
        match &mut seen.trouble {
            Trouble::Unauthorized => {
                Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"x\"")]).into_response())
            }
            Trouble::Busy(left) if *left > 0 => {
                *left -= 1;
                Some((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response())
            }
            Trouble::Failing(left) if *left > 0 => {
                *left -= 1;
                Some(StatusCode::INTERNAL_SERVER_ERROR.into_response())
            }
            _ => None,
        }
    }
}

async fn answer(State(registry): State<Registry>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 28).await.unwrap_or_default();
    if let Some(trouble) = registry.trouble(&parts.headers) {
        return trouble;
    }
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let last = path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut seen = registry.seen.lock().expect("nobody panics");
    if path == "/v2/" {
        return StatusCode::OK.into_response();
    }
    if path.contains("/blobs/uploads/") {
        return upload(&mut seen, &parts.method, path, query, &body);
    }
    if path.contains("/blobs/") {
        let is_there = seen.blobs.contains_key(&last);
        return if is_there { StatusCode::OK } else { StatusCode::NOT_FOUND }.into_response();
    }
    manifest(&mut seen, &parts.method, last, body)
}

fn upload(seen: &mut Seen, method: &Method, path: &str, query: &str, body: &Bytes) -> Response {
    if let Trouble::Redirecting(elsewhere) = seen.trouble {
        let there = format!("http://{elsewhere}{path}");
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, there)]).into_response();
    }
    let of_digest = query.split('&').find_map(|pair| pair.strip_prefix("digest=")).map(|text| text.replace("%3A", ":"));
    let accepted = |location: String, so_far: usize| {
        let range = format!("0-{}", so_far.saturating_sub(1));
        (StatusCode::ACCEPTED, [(header::LOCATION, location), (header::RANGE, range)]).into_response()
    };
    let mut whole = seen.blobs.remove("upload").unwrap_or_default().to_vec();
    if *method == Method::POST {
        whole.clear();
    }
    whole.extend_from_slice(body);
    match of_digest {
        Some(expected) if *method != Method::PATCH && !(*method == Method::POST && body.is_empty()) => {
            if digest(&whole) != expected {
                return StatusCode::BAD_REQUEST.into_response();
            }
            seen.blobs.insert(expected.clone(), whole.into());
            (StatusCode::CREATED, [("docker-content-digest", expected)]).into_response()
        }
        _ => {
            let so_far = whole.len();
            seen.blobs.insert("upload".to_owned(), whole.into());
            let base = path.split("/blobs/uploads/").next().unwrap_or_default();
            accepted(format!("{base}/blobs/uploads/upload"), so_far)
        }
    }
}

fn manifest(seen: &mut Seen, method: &Method, reference: String, body: Bytes) -> Response {
    let shown = |bytes: &Bytes, lies: bool| {
        let of_it = if lies { digest(b"another one") } else { digest(bytes) };
        [("docker-content-digest", of_it), ("content-type", super::image::MANIFEST.to_owned())]
    };
    let lies = seen.trouble == Trouble::Lying;
    if *method == Method::PUT {
        let headers = shown(&body, lies);
        seen.manifests.insert(digest(&body), body.clone());
        seen.manifests.insert(reference, body);
        return (StatusCode::CREATED, headers).into_response();
    }
    match seen.manifests.get(&reference) {
        Some(_) if lies => {
            let other = Bytes::from_static(b"{}");
            (StatusCode::OK, shown(&other, false), other).into_response()
        }
        Some(bytes) => (StatusCode::OK, shown(bytes, false), bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Copies a small image to a registry, with a user and password, and returns how the run ended.
async fn copy_to(steward: &Steward, registry: &str) -> Value {
    let image = Image::new(6, &[10_000]);
    image.push(steward.http(), &format!("{PROJECT}/{IMAGES}/app"), "1").await;
    let task = json!({
        "name": "hostile", "registry": registry, "username": "alice", "password": "s3cret", "packageName": "app",
        "versions": ["1"],
    });
    steward.run_once(IMAGES, &task).await
}

async fn copy_in(trouble: Trouble) -> (Value, Registry, Steward) {
    let registry = Registry::start(trouble).await;
    let steward = Steward::start().await;
    let run = copy_to(&steward, &format!("http://{}", registry.address)).await;
    (run, registry, steward)
}

fn reason(run: &Value) -> &str {
    run["errorReason"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn one_without_trouble_gets_the_image() {
    let (run, registry, _) = copy_in(Trouble::None).await;
    assert_eq!(run["status"], "SUCCESS", "{run}");
    assert!(registry.has_manifests());
}

#[tokio::test]
async fn wrong_credentials_are_told_and_not_shown() {
    let (run, _, steward) = copy_in(Trouble::Unauthorized).await;
    assert_eq!(run["status"], "FAILED", "{run}");
    assert!(reason(&run).contains("401"), "{run}");
    assert!(!run.to_string().contains("s3cret") && !steward.server.log().contains("s3cret"));
}

#[tokio::test]
async fn a_busy_one_is_asked_again_when_it_says() {
    let (run, ..) = copy_in(Trouble::Busy(2)).await;
    assert_eq!(run["status"], "SUCCESS", "{run}");
}

#[tokio::test]
async fn a_failing_one_is_asked_again() {
    let (run, ..) = copy_in(Trouble::Failing(2)).await;
    assert_eq!(run["status"], "SUCCESS", "{run}");
}

#[tokio::test]
async fn one_that_lies_about_digests_is_not_believed() {
    let (run, ..) = copy_in(Trouble::Lying).await;
    assert_eq!(run["status"], "FAILED", "{run}");
    assert!(reason(&run).contains(", not sha256:"), "{run}");
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_host() {
    let elsewhere = Registry::start(Trouble::None).await;
    let (run, registry, _) = copy_in(Trouble::Redirecting(elsewhere.address)).await;
    // Whether it follows without them or refuses to, it is one of the two ends.
    assert!(run["status"] == "SUCCESS" || run["status"] == "FAILED", "{run}");
    assert!(registry.authorizations().iter().all(|credentials| credentials.starts_with("Basic ")));
    assert_eq!(elsewhere.authorizations(), [""; 0]);
}

#[tokio::test]
async fn one_that_is_not_there_is_told_when_the_task_is_created() {
    let steward = Steward::start().await;
    let image = Image::new(6, &[10_000]);
    image.push(steward.http(), &format!("{PROJECT}/{IMAGES}/app"), "1").await;
    let nowhere = free_port();
    let task = json!({
        "name": "gone", "registry": format!("http://{nowhere}"), "packageName": "app", "versions": ["1"],
    });
    let path = format!("/replication/api/remote/distribution/create/runOnceTask/{PROJECT}/{IMAGES}");
    let (status, envelope) = steward.call("POST", &path, &task).await;
    assert_eq!((status, &envelope["code"]), (400, &json!(250_301)), "{envelope}");
    assert_eq!(envelope["message"], format!("remote cluster [{PROJECT}/{IMAGES}/gone] connect error"));
}

#[tokio::test]
async fn a_certificate_has_to_be_trusted() {
    let certificates = Certificates::new();
    let Some(registry) = StockRegistry::with_tls("certificates of registries", &certificates).await else { return };
    let steward = Steward::start().await;
    let image = Image::new(6, &[10_000]);
    image.push(steward.http(), &format!("{PROJECT}/{IMAGES}/app"), "1").await;
    let url = format!("https://{}", registry.address());
    let task = json!({"name": "tls", "registry": url, "packageName": "app", "versions": ["1"]});
    let path = format!("/replication/api/remote/distribution/create/runOnceTask/{PROJECT}/{IMAGES}");

    let (status, envelope) = steward.call("POST", &path, &task).await;
    assert_eq!((status, &envelope["code"]), (400, &json!(250_302)), "{envelope}");

    let certificate = std::fs::read_to_string(certificates.ca()).expect("a certificate");
    let constraints = json!([{"packageKey": "docker://app", "versions": ["1"]}]);
    let config = json!({"configs": [{
        "name": "tls", "registry": url, "certificate": certificate, "packageConstraints": constraints,
        "replicaType": "SCHEDULED", "setting": {"executionStrategy": "IMMEDIATELY"},
    }]});
    let create = format!("/replication/api/remote/distribution/create/{PROJECT}/{IMAGES}");
    steward.done("POST", &create, &config).await;
    let succeeded = || async {
        let values = steward.metric("steward_replication_last_success_timestamp_seconds").await;
        values.iter().any(|(labels, value)| labels.contains("tls") && *value > 0.0).then_some(())
    };
    super::common::wait::eventually("the image is at the registry", succeeded).await;
}
