//! The settings of tokens of an issuer.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use crate::auth::is_user_name;

/// Tokens of an issuer (`OpenID Connect`): JWTs that name the user, signed with a key that the issuer publishes.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Oidc {
    /// Who issues them, exactly as the claim `iss` has it. Without `keys` it is an `https` URL, whose
    /// `.well-known/openid-configuration` says where the keys are.
    pub issuer: String,
    /// What this server is called in the claim `aud`: tokens for others are refused.
    pub audience: String,
    /// A file with the keys of the issuer (a JSON Web Key Set). Read again when it changes. Without it they are fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<PathBuf>,
    /// The certificates, PEM, that are trusted when keys are fetched. Without it: those that the system trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// How often the keys are fetched again.
    #[serde(with = "duration")]
    pub refresh_interval: Duration,
    /// The claim that names the user, such as `preferred_username`.
    pub user_claim: String,
    /// What is put in front of the name, so that nobody is taken for a user of the same name of another kind.
    pub user_prefix: String,
    /// The claim that names the groups; empty: none. Dots go into objects: `realm_access.roles`.
    pub groups_claim: String,
    /// How much the clocks may differ.
    #[serde(with = "duration")]
    pub leeway: Duration,
    /// How tokens may be signed. In the environment, with commas between.
    pub algorithms: Vec<TokenAlgorithm>,
}

/// A signature with a public key. There is deliberately no other.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called as JSON Web Algorithms has them")]
pub enum TokenAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Default for Oidc {
    fn default() -> Self {
        Oidc {
            issuer: String::new(),
            audience: String::new(),
            keys: None,
            ca: None,
            refresh_interval: Duration::from_hours(1),
            user_claim: "sub".to_owned(),
            user_prefix: String::new(),
            groups_claim: "groups".to_owned(),
            leeway: Duration::from_mins(1),
            algorithms: vec![
                TokenAlgorithm::RS256,
                TokenAlgorithm::PS256,
                TokenAlgorithm::ES256,
                TokenAlgorithm::EdDSA,
            ],
        }
    }
}

/// A claim has a short name.
const MAX_CLAIM_BYTES: usize = 255;

impl Oidc {
    /// Says which setting is wrong, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        const LEEWAYS: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(10);
        const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24);
        let is_claim = |claim: &str| claim.len() <= MAX_CLAIM_BYTES && !claim.chars().any(char::is_control);
        let wrong = [
            ("auth.oidc.issuer", "is missing", self.issuer.is_empty()),
            ("auth.oidc.issuer", "has to be an https URL, or auth.oidc.keys a file", {
                self.keys.is_none() && !self.issuer.starts_with("https://")
            }),
            ("auth.oidc.audience", "is missing: a token for anybody else would be taken", self.audience.is_empty()),
            ("auth.oidc.user_claim", "is no name of a claim", {
                self.user_claim.is_empty() || !is_claim(&self.user_claim)
            }),
            ("auth.oidc.groups_claim", "is no name of a claim", !is_claim(&self.groups_claim)),
            ("auth.oidc.user_prefix", "has other characters than letters, digits and @ . _ -, or is too long", {
                !self.user_prefix.is_empty() && (self.user_prefix.len() > 64 || !is_user_name(&self.user_prefix))
            }),
            ("auth.oidc.leeway", "is more than ten minutes", !LEEWAYS.contains(&self.leeway)),
            ("auth.oidc.refresh_interval", "has to be between a minute and a day", {
                !INTERVALS.contains(&self.refresh_interval)
            }),
            ("auth.oidc.algorithms", "has to have one at least", self.algorithms.is_empty()),
        ];
        wrong.into_iter().find(|(_, _, is_wrong)| *is_wrong).map(|(setting, problem, _)| (setting, problem))
    }
}
