//! What an operator may not have meant.

use crate::auth::Authenticator;
use crate::config::{Config, Listen, Port};

/// Says in the log what is likely a mistake.
pub(super) async fn give(config: &Config, authenticator: &Authenticator) {
    let is_in_clear = config.tls.clients_of(Port::Grpc).is_none();
    if config.auth.htpasswd.is_some() && is_in_clear && Listen::from(config.server.grpc).is_exposed() {
        tracing::warn!(
            address = %config.server.grpc,
            "passwords come in clear to server.grpc, which other machines can reach: set tls.cert and tls.key"
        );
    }
    let is_prefixed = config.auth.oidc.as_ref().is_none_or(|oidc| !oidc.user_prefix.is_empty());
    if config.auth.htpasswd.is_some() && !is_prefixed {
        tracing::warn!(
            "auth.oidc.user_prefix is empty: a user of the issuer and one of auth.htpasswd who are called the same are \
             the same user"
        );
    }
    advise_on_users(config, authenticator).await;
}

/// The same of the users of repositories alone.
pub(super) async fn advise_on_users(config: &Config, authenticator: &Authenticator) {
    for (user, settings) in &config.restic.users {
        if !authenticator.may_know(user).await {
            tracing::warn!(user, "restic.users names somebody who is not in auth.htpasswd");
        }
        if settings.max_bytes > 0 && !config.restic.private_repositories {
            tracing::warn!(
                user,
                "the quota of a user counts what the user created, and others can fill it: consider \
                 restic.private_repositories"
            );
        }
    }
}
