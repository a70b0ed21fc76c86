//! A registry that does as the test says.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use super::super::testing::{Certificate, Cut, serve};
use crate::blob::{Algorithm, Digest};

/// What it does when a request comes that begins so.
#[derive(Clone, Debug)]
pub(super) enum Do {
    /// Answers so.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Reads so many bytes of the body, and cuts the connection.
    Cut(usize),
    /// Does what it should, and cuts the connection before it answers.
    ThenCut,
    /// Answers with another digest than is right.
    Lie,
    /// Reads, and never answers.
    Hang,
}

/// How it asks who is there.
#[derive(Clone, Debug, Default)]
pub(super) enum Asks {
    #[default]
    Nobody,
    /// For this user and password.
    Basic(&'static str),
    /// For tokens: of this server, which calls them so and lets each be used so often.
    Bearer { realm: Option<String>, field: &'static str, uses: usize },
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) authorization: Option<String>,
    pub(super) bytes: usize,
}

#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a way in which registries differ")]
pub(super) struct Manners {
    pub(super) asks: Asks,
    pub(super) knows_referrers: bool,
    pub(super) deletes_tags: bool,
    pub(super) relative_locations: bool,
    /// An upload that was broken off inside of a chunk is kept up to there.
    pub(super) keeps_broken_uploads: bool,
    pub(super) says_no_digests: bool,
    pub(super) min_chunk: Option<u64>,
    pub(super) mounts: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    manners: Manners,
    scripts: VecDeque<(String, Do)>,
    pub(super) seen: Vec<Seen>,
    pub(super) blobs: HashMap<String, Bytes>,
    pub(super) manifests: HashMap<String, (String, Bytes)>,
    pub(super) tags: HashMap<String, String>,
    uploads: HashMap<String, (u64, BytesMut)>,
    next: u64,
    tokens: HashMap<String, usize>,
    pub(super) upload_bytes: usize,
}

/// A registry on loopback.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(super) async fn start(manners: Manners) -> Self {
        Self::start_with(manners, None).await
    }

    pub(super) async fn start_with(manners: Manners, tls: Option<&Certificate>) -> Self {
        let state = Arc::new(Mutex::new(State { manners, ..State::default() }));
        let shared = Arc::clone(&state);
        let router = Router::new().fallback(move |request: Request| handle(Arc::clone(&shared), request));
        Fake { address: serve(router, tls).await, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request whose method and path begin so is answered so.
    pub(super) fn on(&self, line: &str, what: Do) {
        self.state.lock().scripts.push_back((line.to_owned(), what));
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// How many uploads are under way.
    pub(super) fn uploads(&self) -> usize {
        self.with(|state| state.uploads.len())
    }

    /// The requests that begin so.
    pub(super) fn seen(&self, line: &str) -> Vec<Seen> {
        self.with(|state| state.seen.iter().filter(|seen| seen.line.starts_with(line)).cloned().collect())
    }
}

async fn handle(state: Arc<Mutex<State>>, request: Request) -> Response {
    let cut = request.extensions().get::<Cut>().unwrap().clone();
    let (head, mut body) = request.into_parts();
    let line = format!("{} {}", head.method, head.uri.path_and_query().unwrap());
    let script = {
        let mut state = state.lock();
        let at = state.scripts.iter().position(|(begin, _)| line.starts_with(begin.as_str()));
        at.and_then(|at| state.scripts.remove(at)).map(|(_, what)| what)
    };
    let limit = if let Some(Do::Cut(limit)) = script { limit } else { usize::MAX };
    let mut content = BytesMut::new();
    while content.len() < limit {
        let Some(Ok(frame)) = body.frame().await else { break };
        content.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    let authorization = head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let response = {
        let mut state = state.lock();
        state.seen.push(Seen { line: line.clone(), authorization: authorization.clone(), bytes: content.len() });
        if line.contains("/blobs/uploads/") {
            state.upload_bytes += content.len();
        }
        match &script {
            Some(Do::Answer(status, headers, text)) => {
                let mut response = Response::builder().status(*status);
                for (name, value) in headers {
                    response = response.header(*name, value);
                }
                response.body(Body::from(text.clone())).unwrap()
            }
            Some(Do::Cut(limit)) => {
                state.break_off(&head, &content[..content.len().min(*limit)]);
                answer(500)
            }
            Some(Do::Lie) => {
                let mut response = state.answer(&head, authorization.as_deref(), &content.freeze());
                let lie = Digest::of(Algorithm::Sha256, b"a lie").to_string();
                response.headers_mut().insert("docker-content-digest", lie.parse().unwrap());
                response
            }
            Some(Do::Hang) => answer(500),
            Some(Do::ThenCut) | None => state.answer(&head, authorization.as_deref(), &content.freeze()),
        }
    };
    if matches!(script, Some(Do::Cut(_) | Do::ThenCut)) {
        cut.now().await;
    }
    if matches!(script, Some(Do::Hang)) {
        std::future::pending::<()>().await;
    }
    response
}

fn answer(status: u16) -> Response {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

fn refusal(status: u16, code: &str) -> Response {
    let text = format!(r#"{{"errors":[{{"code":"{code}","message":"no","detail":null}}]}}"#);
    Response::builder().status(status).body(Body::from(text)).unwrap()
}

fn parameter(head: &http::request::Parts, name: &str) -> Option<String> {
    let query = head.uri.query().unwrap_or_default();
    query.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v.to_owned())
}

impl State {
    /// What it has of a chunk whose connection was cut.
    fn break_off(&mut self, head: &http::request::Parts, content: &[u8]) {
        let Some(id) = head.uri.path().rsplit('/').next().map(str::to_owned) else { return };
        if self.manners.keeps_broken_uploads {
            if let Some((_, bytes)) = self.uploads.get_mut(&id) {
                bytes.extend_from_slice(content);
            }
        } else {
            self.uploads.remove(&id);
        }
    }

    fn challenge(&mut self, head: &http::request::Parts, authorization: Option<&str>) -> Option<Response> {
        let realm = match &self.manners.asks {
            Asks::Nobody => return None,
            Asks::Basic(wanted) => {
                let wanted = format!("Basic {}", STANDARD.encode(wanted));
                if authorization == Some(&wanted) {
                    return None;
                }
                r#"Basic realm="here""#.to_owned()
            }
            Asks::Bearer { realm, .. } => {
                let token = authorization.and_then(|authorization| authorization.strip_prefix("Bearer "));
                if let Some(uses) = token.and_then(|token| self.tokens.get_mut(token))
                    && *uses > 0
                {
                    *uses -= 1;
                    return None;
                }
                let host = head.headers.get("host").map_or("", |host| host.to_str().unwrap());
                let realm = realm.clone().unwrap_or_else(|| format!("http://{host}/token"));
                format!(r#"Bearer realm="{realm}",service="fake",error="invalid_token""#)
            }
        };
        let mut response = refusal(401, "UNAUTHORIZED");
        response.headers_mut().insert("www-authenticate", realm.parse().unwrap());
        Some(response)
    }

    fn token(&mut self) -> Response {
        let Asks::Bearer { field, uses, .. } = self.manners.asks.clone() else { return answer(404) };
        self.next += 1;
        let token = format!("token-{}", self.next);
        self.tokens.insert(token.clone(), uses);
        Response::new(Body::from(format!(r#"{{"{field}":"{token}","expires_in":300}}"#)))
    }

    fn answer(&mut self, head: &http::request::Parts, authorization: Option<&str>, content: &Bytes) -> Response {
        let path = head.uri.path().to_owned();
        if path == "/token" {
            return self.token();
        }
        if path.starts_with("/elsewhere/") {
            return Response::new(Body::from("{}"));
        }
        if let Some(response) = self.challenge(head, authorization) {
            return response;
        }
        if path == "/v2/" {
            return answer(200);
        }
        let rest = path.strip_prefix("/v2/").unwrap_or_default().to_owned();
        if let Some((name, id)) = rest.split_once("/blobs/uploads/") {
            return self.upload(head, name, id, content);
        }
        if let Some((name, digest)) = rest.split_once("/blobs/") {
            let there = self.blobs.contains_key(&format!("{name}@{digest}"));
            return answer(if there { 200 } else { 404 });
        }
        if let Some((name, reference)) = rest.split_once("/manifests/") {
            return self.manifest(&head.method, name, reference, head, content);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            let begin = format!("{name}:");
            let tags: Vec<_> = self.tags.keys().filter_map(|tag| tag.strip_prefix(&begin)).collect();
            let body = serde_json::json!({ "name": name, "tags": tags });
            return Response::new(Body::from(body.to_string()));
        }
        answer(404)
    }

    fn location(&self, head: &http::request::Parts, name: &str, id: &str) -> String {
        let state = self.uploads.get(id).map_or(0, |(state, _)| *state);
        let path = format!("/v2/{name}/blobs/uploads/{id}?_state=secret-{state}");
        let host = head.headers.get("host").map_or("", |host| host.to_str().unwrap());
        if self.manners.relative_locations { path } else { format!("http://{host}{path}") }
    }

    fn upload(&mut self, head: &http::request::Parts, name: &str, id: &str, content: &Bytes) -> Response {
        if head.method == Method::POST {
            return self.begin(head, name);
        }
        let state = parameter(head, "_state");
        let manners = self.manners.clone();
        let Some((known, bytes)) = self.uploads.get_mut(id) else { return refusal(404, "BLOB_UPLOAD_UNKNOWN") };
        if state != Some(format!("secret-{known}")) && !manners.keeps_broken_uploads {
            return refusal(404, "BLOB_UPLOAD_INVALID");
        }
        let status = match head.method {
            Method::GET => 204,
            Method::PATCH => {
                let range = head.headers.get(CONTENT_RANGE).unwrap().to_str().unwrap().to_owned();
                if range != format!("{}-{}", bytes.len(), bytes.len() + content.len() - 1) {
                    return refusal(416, "RANGE_INVALID");
                }
                bytes.extend_from_slice(content);
                202
            }
            Method::PUT => {
                bytes.extend_from_slice(content);
                let whole = bytes.clone().freeze();
                let digest = parameter(head, "digest").unwrap();
                self.uploads.remove(id);
                if Digest::of(Algorithm::Sha256, &whole).to_string() != digest {
                    return refusal(400, "DIGEST_INVALID");
                }
                self.blobs.insert(format!("{name}@{digest}"), whole);
                let mut response = answer(201);
                response.headers_mut().insert("docker-content-digest", digest.parse().unwrap());
                return response;
            }
            Method::DELETE => {
                self.uploads.remove(id);
                return answer(204);
            }
            _ => return answer(405),
        };
        let (known, bytes) = self.uploads.get_mut(id).unwrap();
        if status == 202 {
            *known += 1;
        }
        let last = bytes.len().saturating_sub(1);
        let mut response = answer(status);
        response.headers_mut().insert(LOCATION, self.location(head, name, id).parse().unwrap());
        response.headers_mut().insert("range", format!("0-{last}").parse().unwrap());
        response
    }

    fn begin(&mut self, head: &http::request::Parts, name: &str) -> Response {
        if let (Some(digest), Some(from)) = (parameter(head, "mount"), parameter(head, "from"))
            && self.manners.mounts
            && let Some(bytes) = self.blobs.get(&format!("{from}@{digest}")).cloned()
        {
            self.blobs.insert(format!("{name}@{digest}"), bytes);
            return answer(201);
        }
        self.next += 1;
        let id = format!("upload-{}", self.next);
        self.uploads.insert(id.clone(), (0, BytesMut::new()));
        let mut response = answer(202);
        response.headers_mut().insert(LOCATION, self.location(head, name, &id).parse().unwrap());
        if let Some(min) = self.manners.min_chunk {
            response.headers_mut().insert("oci-chunk-min-length", min.to_string().parse().unwrap());
        }
        response
    }

    fn manifest(
        &mut self,
        method: &Method,
        name: &str,
        reference: &str,
        head: &http::request::Parts,
        content: &Bytes,
    ) -> Response {
        let is_digest = reference.parse::<Digest>().is_ok();
        let tag = format!("{name}:{reference}");
        let digest = if is_digest { Some(reference.to_owned()) } else { self.tags.get(&tag).cloned() };
        let known = digest.clone().map(|digest| format!("{name}@{digest}"));
        let known = known.filter(|key| self.manifests.contains_key(key));
        match *method {
            Method::PUT => {
                let digest = Digest::of(Algorithm::Sha256, content).to_string();
                let media_type = head.headers.get(CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
                self.manifests.insert(format!("{name}@{digest}"), (media_type, content.clone()));
                if !is_digest {
                    self.tags.insert(tag, digest.clone());
                }
                let mut response = answer(201);
                let json: serde_json::Value = serde_json::from_slice(content).unwrap_or_default();
                if let (true, Some(subject)) = (self.manners.knows_referrers, json.pointer("/subject/digest")) {
                    response.headers_mut().insert("oci-subject", subject.as_str().unwrap().parse().unwrap());
                }
                response
            }
            Method::DELETE if !is_digest && !self.manners.deletes_tags => refusal(405, "UNSUPPORTED"),
            Method::DELETE if !is_digest => answer(if self.tags.remove(&tag).is_some() { 202 } else { 404 }),
            Method::DELETE => {
                let Some(known) = known else { return answer(404) };
                self.manifests.remove(&known);
                self.tags.retain(|_, tagged| tagged != reference);
                answer(202)
            }
            _ => {
                let Some((media_type, bytes)) = known.and_then(|known| self.manifests.get(&known)) else {
                    return refusal(404, "MANIFEST_UNKNOWN");
                };
                let body = if *method == Method::HEAD { Body::empty() } else { Body::from(bytes.clone()) };
                let mut response = Response::new(body);
                response.headers_mut().insert(CONTENT_TYPE, media_type.parse().unwrap());
                if !self.manners.says_no_digests {
                    response.headers_mut().insert("docker-content-digest", digest.unwrap().parse().unwrap());
                }
                *response.status_mut() = StatusCode::OK;
                response
            }
        }
    }
}
