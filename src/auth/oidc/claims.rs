//! What a token says.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::refusal::unauthenticated;
use crate::auth::{Proven, is_user_name};
use crate::clock::Timestamp;
use crate::config;
use crate::error::Failure;

/// How many groups are taken from a token; further ones are left out.
const MAX_GROUPS: usize = 256;
/// Longer names are those of no group.
const MAX_GROUP_BYTES: usize = 255;

/// Who has issued a token, by its own word.
#[derive(Deserialize)]
pub(super) struct Issued {
    #[serde(default)]
    pub(super) iss: String,
}

/// The claims of a token whose signature is right.
#[derive(Deserialize)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Whose token it is, if it is for this server and now.
    pub(super) fn check(&self, config: &config::Oidc, now: Timestamp) -> Result<Proven, Failure> {
        if self.0.get("iss").and_then(Value::as_str) != Some(&*config.issuer) {
            return Err(unauthenticated("the token is of another issuer"));
        }
        if !self.is_for(&config.audience) {
            return Err(unauthenticated("the token is for somebody else"));
        }
        let leeway = config.leeway;
        match self.time("exp")? {
            None => return Err(unauthenticated("the token has no end")),
            Some(end) if now >= end.plus(leeway) => return Err(unauthenticated("the token has expired")),
            Some(_) => {}
        }
        if self.time("nbf")?.is_some_and(|start| start > now.plus(leeway)) {
            return Err(unauthenticated("the token is not valid yet"));
        }
        if self.time("iat")?.is_some_and(|issued| issued > now.plus(leeway)) {
            return Err(unauthenticated("the token was issued in the future"));
        }
        Ok(Proven { user: self.user(config)?, groups: self.groups(&config.groups_claim), scopes: None })
    }

    /// When it is of no use any more.
    pub(super) fn expire_time(&self, config: &config::Oidc) -> Timestamp {
        let end = self.time("exp").ok().flatten();
        end.map_or(Timestamp::from_nanos(0), |end| end.plus(config.leeway))
    }

    fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        }
    }

    /// A time in seconds, which may have a fraction.
    fn time(&self, claim: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(value) = self.0.get(claim) else { return Ok(None) };
        let seconds = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let seconds = seconds.ok_or_else(|| unauthenticated("a time in the token makes no sense"))?;
        Ok(Some(Timestamp::from_nanos(0).plus(seconds)))
    }

    fn user(&self, config: &config::Oidc) -> Result<String, Failure> {
        let no_user = || unauthenticated("the token names no user, or one that cannot be");
        let named = self.find(&config.user_claim).and_then(Value::as_str).ok_or_else(no_user)?;
        // Whoever may write any address into a profile could be anybody otherwise.
        if config.user_claim == "email" && self.0.get("email_verified").is_some_and(|verified| !is_true(verified)) {
            return Err(unauthenticated("the token names an address that the issuer has not verified"));
        }
        let user = format!("{}{named}", config.user_prefix);
        if named.is_empty() || !is_user_name(&user) { Err(no_user()) } else { Ok(user) }
    }

    fn groups(&self, claim: &str) -> Vec<String> {
        let is_group = |name: &&str| {
            !name.is_empty()
                && name.len() <= MAX_GROUP_BYTES
                && !name.chars().any(|c| c.is_control() || c.is_whitespace())
        };
        match self.find(claim) {
            Some(Value::String(one)) => Some(one.as_str()).into_iter().filter(is_group).map(str::to_owned).collect(),
            Some(Value::Array(several)) => {
                let names = several.iter().filter_map(Value::as_str).filter(is_group);
                names.take(MAX_GROUPS).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The claim of a name, which may be a path into objects.
    fn find(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(name) {
            return Some(value);
        }
        let mut parts = name.split('.');
        let first = self.0.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_object()?.get(part))
    }
}

/// Some issuers write it as text.
fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true) || value.as_str() == Some("true")
}
