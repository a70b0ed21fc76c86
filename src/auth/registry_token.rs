//! Tokens for clients of the distribution protocol: signed, short-lived, and for what was granted and no more.
//!
//! What a token says of its user is verified, and not looked up: a user who is gone is known by it until it ends. What it
//! gives is asked of the table of rights anew with every call.

mod service;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

pub use self::service::RegistryTokenServer;
use super::refusal::unauthenticated;
use super::rights::Scopes;
use super::{Bearers, Identity, Proven};
use crate::clock::{Clock, Timestamp};
use crate::error::Failure;
use crate::secrets::Secrets;

/// What such a token begins with.
const PREFIX: &str = "steward-registry-";
/// What the key is for that signs them.
const LABEL: &str = "registry tokens";
/// How long one is good.
const LIFETIME: Duration = Duration::from_mins(5);
/// The longest that is looked at, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// Issues tokens, and knows those that it has issued. Clones share the key.
#[derive(Clone, Debug)]
pub struct RegistryTokens {
    secrets: Secrets,
    clock: Arc<dyn Clock>,
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    /// Empty: nobody has signed in.
    user: String,
    groups: Vec<String>,
    scopes: Vec<String>,
    /// When it ends, in microseconds since the epoch.
    end: u64,
}

/// A token, and how long it is good.
struct Issued {
    token: String,
    from: Timestamp,
    until: Timestamp,
}

impl RegistryTokens {
    /// Signed with a key that is made of the server's own.
    pub fn new(secrets: Secrets, clock: Arc<dyn Clock>) -> Self {
        RegistryTokens { secrets, clock }
    }

    fn issue(&self, caller: &Identity, scopes: Vec<String>) -> Issued {
        let from = self.clock.now();
        let until = from.plus(LIFETIME);
        let (user, groups) = (caller.user.clone().unwrap_or_default(), caller.groups.clone());
        let content = Content { user, groups, scopes, end: until.micros() };
        let content = serde_json::to_vec(&content).expect("texts and numbers are always JSON");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secrets.derive(LABEL));
        let signature = hmac::sign(&key, &content);
        let [content, signature] = [&*content, signature.as_ref()].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Issued { token: format!("{PREFIX}{content}.{signature}"), from, until }
    }

    fn verify(&self, signed: &str) -> Result<Proven, Failure> {
        let odd = || unauthenticated("the token is not known");
        let parts = signed.split_once('.').filter(|_| signed.len() <= MAX_BYTES).ok_or_else(odd)?;
        let [content, signature] = [parts.0, parts.1].map(|part| URL_SAFE_NO_PAD.decode(part));
        let (Ok(content), Ok(signature)) = (content, signature) else { return Err(odd()) };
        let is_ours = self.secrets.derive_all(LABEL).iter().any(|key| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::verify(&key, &content, &signature).is_ok()
        });
        let content: Content = serde_json::from_slice(&content).ok().filter(|_| is_ours).ok_or_else(odd)?;
        if content.end <= self.clock.now().micros() {
            return Err(unauthenticated("the token has ended"));
        }
        let scopes = Scopes::parse(&content.scopes).map_err(|_| odd())?;
        Ok(Proven { user: content.user, groups: content.groups, scopes: Some(Arc::new(scopes.derived())) })
    }
}

#[async_trait]
impl Bearers for RegistryTokens {
    fn may_know(&self, token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    fn recall(&self, token: &str) -> Option<Proven> {
        self.verify(token.strip_prefix(PREFIX)?).ok()
    }

    async fn check(&self, token: &str) -> Option<Result<Proven, Failure>> {
        Some(self.verify(token.strip_prefix(PREFIX)?))
    }
}

#[cfg(test)]
mod tests;
