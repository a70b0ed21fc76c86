//! Tokens that prove who their bearer is.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::Identity;
use super::rights::Scopes;
use crate::error::Failure;

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The user; empty: somebody who has not signed in, and was given the token all the same.
    pub user: String,
    /// The groups that the token says the user is in.
    pub groups: Vec<String>,
    /// What the token is for; `None`: for all that its user may do.
    pub scopes: Option<Arc<Scopes>>,
}

impl Proven {
    /// The caller who brought the token.
    pub(super) fn identity(self, address: Option<IpAddr>) -> Identity {
        let user = Some(self.user).filter(|user| !user.is_empty());
        Identity { user, groups: self.groups, scopes: self.scopes, address }
    }
}

/// Knows the tokens of one kind.
#[async_trait]
pub trait Bearers: fmt::Debug + Send + Sync {
    /// Whether a token could be of this kind, by its looks alone. Asked of every password, which may be a token.
    fn may_know(&self, token: &str) -> bool;

    /// Whose token it is; `None` when it is none of this kind, a refusal when it is not good any more.
    async fn check(&self, token: &str) -> Option<Result<Proven, Failure>>;
}
