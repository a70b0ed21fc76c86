//! Tokens of an issuer, as `OpenID Connect` has them: JWTs that are signed with a key that the issuer publishes.
//!
//! - `keys` reads a set of keys, and `source` knows where they come from and keeps them fresh; `fetch` asks the issuer.
//! - `verifier` checks signatures.
//! - `claims` checks what a token says: for whom and until when it is, and whose it is.
//! - `cache` remembers for a short while what was found right.

mod cache;
mod claims;
mod fetch;
mod keys;
mod source;
#[cfg(test)]
mod tests;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Validation, decode, decode_header};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::cache::Cache;
use self::claims::{Claims, Issued};
use self::keys::{Keys, Lookup};
pub use self::source::Error;
use self::source::Source;
use super::refusal::unauthenticated;
use super::{Bearers, Proven};
use crate::clock::Clock;
use crate::config;
use crate::error::{Category, Failure};

/// The longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 12 * 1024;
/// How long a token waits for keys that are being fetched because of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Knows the tokens of an issuer. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Oidc(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    config: config::Oidc,
    source: Arc<Source>,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
}

impl Oidc {
    /// As the settings have it. A file of keys is read; what has to be fetched comes with [`Oidc::start`].
    pub fn open(config: &config::Oidc, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        verifier::install();
        let source = Arc::new(Source::open(config)?);
        let cache = Mutex::new(Cache::new().map_err(Error::random)?);
        Ok(Oidc(Arc::new(Parts { config: config.clone(), source, clock, cache })))
    }

    /// Keeps the keys fresh until shutdown, and reads them again at SIGHUP.
    pub fn start(&self, shutdown: &CancellationToken, tasks: &TaskTracker) -> std::io::Result<()> {
        Arc::clone(&self.0.source).start(Arc::clone(&self.0.clock), shutdown, tasks)
    }
}

#[async_trait]
impl Bearers for Oidc {
    fn may_know(&self, token: &str) -> bool {
        token.len() <= MAX_TOKEN_BYTES && token.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    fn recall(&self, token: &str) -> Option<Proven> {
        let now = self.0.clock.now();
        let keys = self.0.source.keys(now).ok()?;
        self.0.cache.lock().find(token, keys.version(), now)
    }

    async fn check(&self, token: &str) -> Option<Result<Proven, Failure>> {
        if !self.may_know(token) {
            return None;
        }
        if let Some(proven) = self.recall(token) {
            return Some(Ok(proven));
        }
        // Nobody has checked it yet: it only tells whose business the token is.
        let issued: Issued = insecure_decode_claims(token).ok()?;
        if issued.iss != self.0.config.issuer {
            return None;
        }
        let proven = self.0.verify(token).await;
        if let Err(failure) = &proven {
            tracing::debug!(?failure, "a token of the issuer was refused");
        }
        Some(proven)
    }
}

impl Parts {
    async fn verify(&self, token: &str) -> Result<Proven, Failure> {
        let now = self.clock.now();
        let keys = self.source.keys(now)?;
        // What is not among the algorithms of the library, `none` above all, fails here.
        let header =
            decode_header(token).map_err(|_| unauthenticated("the token has a header that is not understood"))?;
        if header.crit.is_some() {
            return Err(unauthenticated("the token demands what is not understood here"));
        }
        if !self.config.algorithms.iter().any(|allowed| verifier::algorithm(*allowed) == header.alg) {
            return Err(unauthenticated("the token is signed in a way that is not taken here"));
        }
        let lookup = Lookup { id: header.kid.as_deref(), algorithm: header.alg };
        let mut keys = keys;
        if keys.find(&lookup).next().is_none() {
            keys = self.source.refreshed(&keys, PATIENCE).await.ok_or_else(|| unauthenticated(NO_KEY))?;
        }
        let claims = verified(token, &keys, &lookup)?;
        let proven = claims.check(&self.config, now)?;
        self.cache.lock().learn(token, keys.version(), now, claims.expire_time(&self.config), &proven);
        Ok(proven)
    }
}

const NO_KEY: &str = "the token is signed with a key that the issuer does not have";

/// The claims of a token whose signature is right.
fn verified(token: &str, keys: &Keys, lookup: &Lookup<'_>) -> Result<Claims, Failure> {
    let mut validation = Validation::new(lookup.algorithm);
    // By our own clock, with the other claims.
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    validation.required_spec_claims.clear();
    let mut failure = NO_KEY;
    // Without an id in the token, it may be any of them.
    for key in keys.find(lookup) {
        match decode(token, key, &validation) {
            Ok(decoded) => return Ok(decoded.claims),
            Err(error) => failure = problem(&error),
        }
    }
    Err(unauthenticated(failure))
}

fn problem(error: &jsonwebtoken::errors::Error) -> &'static str {
    match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => "the signature of the token is wrong",
        jsonwebtoken::errors::ErrorKind::Json(_) => "the claims of the token make no sense",
        _ => "the token cannot be verified",
    }
}

/// There are no keys, or they are too old to be believed.
fn no_keys() -> Failure {
    Failure::new(
        Category::Unavailable,
        "ISSUER_UNREACHABLE",
        "the keys of the issuer of tokens cannot be had; try again later",
    )
}
