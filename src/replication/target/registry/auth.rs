//! Who this server is to a registry: nobody, a user by password, or the bearer of tokens from a token server.
//!
//! Nothing is sent before the registry has asked for it. What is sent goes to the scheme, host and port of the
//! registry's URL and nowhere else. A token server that the registry names gets the password only over TLS, or, if the
//! registry itself is spoken to without, on the same host: a registry has to be trusted with who its token server is,
//! but not with sending passwords in the clear to others.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::TargetError;
use super::super::http::{Http, Request, Response};
use super::super::url::Url;
use super::challenge::Challenge;
use super::refusal;

/// How long a token is good when the token server does not say.
const USUAL_LIFE: Duration = Duration::from_mins(1);
/// How many tokens are kept.
const MAX_TOKENS: usize = 1024;
const MAX_TOKEN_BYTES: usize = 64 * 1024;
const MAX_REDIRECTS: usize = 5;

/// What is asked for at a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scope(Vec<String>);

impl Scope {
    /// To ask whether anybody is there.
    pub(super) fn none() -> Self {
        Scope(Vec::new())
    }

    /// To read and write.
    pub(super) fn push(name: &str) -> Self {
        Scope(vec![format!("repository:{name}:pull,push")])
    }

    /// To write what another one has.
    pub(super) fn mount(name: &str, from: &str) -> Self {
        Scope(vec![format!("repository:{name}:pull,push"), format!("repository:{from}:pull")])
    }

    /// To delete.
    pub(super) fn delete(name: &str) -> Self {
        Scope(vec![format!("repository:{name}:pull,push,delete")])
    }
}

/// Who this server is to a registry.
pub(super) struct Auth {
    base: Url,
    user: String,
    password: String,
    known: Mutex<Known>,
    /// One asks for tokens at a time: the others most likely want the same.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    way: Option<Way>,
    tokens: HashMap<Scope, Token>,
}

#[derive(Clone)]
enum Way {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

struct Token {
    value: String,
    good_until: Instant,
}

impl Auth {
    pub(super) fn new(base: Url, user: String, password: String) -> Self {
        Auth { base, user, password, known: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// What to send along with a request; `refused` is what the registry has refused to take.
    pub(super) async fn authorization(
        &self,
        http: &Http,
        scope: &Scope,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, TargetError> {
        let way = self.known.lock().way.clone();
        match way {
            None => Ok(None),
            Some(Way::Basic) => self.basic(),
            Some(Way::Bearer { realm, service }) => {
                let _asking = self.asking.lock().await;
                if let Some(token) = self.known_token(scope)
                    && Some(&token) != refused
                {
                    return Ok(Some(token));
                }
                self.ask(http, scope, &realm, service.as_deref()).await.map(Some)
            }
        }
    }

    /// The registry wants to know who asks: remembers how.
    pub(super) fn challenged(&self, headers: &HeaderMap) -> Result<(), TargetError> {
        let challenges = Challenge::all(headers);
        let by = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        let way = if let Some(bearer) = by("bearer") {
            let realm = bearer.parameter("realm").unwrap_or_default();
            let realm = self.base.join(realm)?;
            Way::Bearer { realm, service: bearer.parameter("service").map(str::to_owned) }
        } else if by("basic").is_some() {
            Way::Basic
        } else {
            let base = &self.base;
            return Err(TargetError::Denied(format!("{base} asks for credentials of a kind that is not known here")));
        };
        self.known.lock().way = Some(way);
        Ok(())
    }

    /// A text of the registry without what is secret.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let basic = STANDARD.encode(format!("{}:{}", self.user, self.password));
        let tokens: Vec<String> = self.known.lock().tokens.values().map(|token| token.value.clone()).collect();
        for secret in [self.password.clone(), basic].into_iter().chain(tokens) {
            if !secret.is_empty() {
                text = text.replace(&secret, "…");
            }
        }
        text
    }

    fn has_credentials(&self) -> bool {
        !self.user.is_empty() || !self.password.is_empty()
    }

    fn basic(&self) -> Result<Option<HeaderValue>, TargetError> {
        if !self.has_credentials() {
            return Ok(None);
        }
        secret_header(&format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))).map(Some)
    }

    fn known_token(&self, scope: &Scope) -> Option<HeaderValue> {
        let known = self.known.lock();
        let token = known.tokens.get(scope).filter(|token| token.good_until > Instant::now())?;
        secret_header(&format!("Bearer {}", token.value)).ok()
    }

    /// Asks the token server.
    async fn ask(
        &self,
        http: &Http,
        scope: &Scope,
        realm: &Url,
        service: Option<&str>,
    ) -> Result<HeaderValue, TargetError> {
        let mut url = realm.clone();
        if let Some(service) = service {
            url = url.with("service", service);
        }
        for scope in &scope.0 {
            url = url.with("scope", scope);
        }
        let asked = Instant::now();
        let response = self.answer_of(http, url).await?;
        if !response.status.is_success() {
            return Err(refusal::error("the token server", response, |text| self.without_secrets(text)).await);
        }
        let body = response.bytes(MAX_TOKEN_BYTES).await?;
        let (value, life) =
            token_in(&body).ok_or_else(|| TargetError::Unreachable(format!("{realm} answered without a token")))?;
        let header = secret_header(&format!("Bearer {value}"))?;
        let mut known = self.known.lock();
        known.tokens.retain(|_, token| token.good_until > asked);
        if known.tokens.len() >= MAX_TOKENS {
            known.tokens.clear();
        }
        // A token that ends on its way does not help.
        let good_for = life.saturating_sub((life / 4).min(Duration::from_secs(10)));
        known.tokens.insert(scope.clone(), Token { value, good_until: asked + good_for });
        Ok(header)
    }

    async fn answer_of(&self, http: &Http, first: Url) -> Result<Response, TargetError> {
        let is_trusted = |url: &Url| url.is_secure() || (!self.base.is_secure() && url.host() == self.base.host());
        if self.has_credentials() && !is_trusted(&first) {
            let (base, host) = (&self.base, first.host());
            return Err(TargetError::Denied(format!(
                "{base} wants the password to go to {host} without TLS, where it is not sent"
            )));
        }
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::new(Method::GET, url.clone());
            if url.has_origin_of(&first)
                && let Some(basic) = self.basic()?
            {
                request.headers.insert(AUTHORIZATION, basic);
            }
            let response = http.send(request).await?;
            match response.header(LOCATION) {
                Some(location) if response.status.is_redirection() => url = url.join(location)?,
                _ => return Ok(response),
            }
        }
        Err(TargetError::Refused(format!("{first} redirects again and again")))
    }
}

/// A header that is not shown when the others are.
fn secret_header(value: &str) -> Result<HeaderValue, TargetError> {
    let header = HeaderValue::from_str(value);
    let mut header = header.map_err(|_| TargetError::Denied("the credentials do not fit into a header".to_owned()))?;
    header.set_sensitive(true);
    Ok(header)
}

/// The token of an answer, and how long it is good.
fn token_in(body: &[u8]) -> Option<(String, Duration)> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| answer.get(name).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
    let token = text("token").or_else(|| text("access_token"))?;
    let life = answer.get("expires_in").and_then(serde_json::Value::as_u64);
    let life = life.filter(|life| *life > 0).map_or(USUAL_LIFE, |life| Duration::from_secs(life.min(86_400)));
    Some((token.to_owned(), life))
}
