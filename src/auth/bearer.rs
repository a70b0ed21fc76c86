//! Who somebody has proven to be, and the tokens that prove it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::Identity;
use super::rights::Scopes;
use crate::error::Failure;

/// Who somebody is, or whose token they have.
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
    /// Somebody who has said the password of this user.
    pub(super) fn by_password(user: String) -> Self {
        Proven { user, groups: Vec::new(), scopes: None }
    }

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

    /// Whose token it is, where nothing has to be waited for to know it is good; `None` says nothing.
    fn recall(&self, token: &str) -> Option<Proven>;

    /// Whose token it is; `None` when it is none of this kind, a refusal when it is not good any more.
    async fn check(&self, token: &str) -> Option<Result<Proven, Failure>>;
}
