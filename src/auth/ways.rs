//! How callers may prove who they are.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::bearer::{Bearers, Proven};
use super::claim::{Open, User};
use super::credentials::{Credentials, Proof};
use super::logins::Logins;
use super::refusal::unauthenticated;
use super::vouch::VOUCHED_IDENTITY;
use super::{Error, is_user_name};
use crate::config;
use crate::error::Failure;

/// What is said to those who say nothing of themselves, or nothing that makes sense.
pub(super) const NEEDED: &str = "a user name and a password are needed";

/// Those that the server takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    /// By a name and a password.
    pub(super) passwords: Option<Arc<Logins>>,
    /// A proxy has asked them and names them in this header.
    pub(super) proxy: Option<HeaderName>,
    /// By a token, of any of these kinds.
    pub(super) tokens: Vec<Arc<dyn Bearers>>,
    /// By a client certificate, on a port that asks for one.
    pub(super) certificates: bool,
    /// A gateway has asked them, and signs who they are.
    pub(super) gateways: bool,
}

impl Ways {
    /// As the settings have it. Reads the file of users.
    pub(super) fn from_config(auth: &config::Auth) -> Result<Self, Error> {
        let mut ways = Ways { gateways: auth.gateway_key.is_some(), ..Ways::default() };
        match (&auth.proxy_header, &auth.htpasswd) {
            (Some(header), file) => {
                if file.is_some() {
                    tracing::warn!("auth.htpasswd is not used, because auth.proxy_header is set");
                }
                ways.proxy = Some(parse_header(header)?);
            }
            (None, Some(path)) => ways.passwords = Some(Arc::new(Logins::open(path)?)),
            (None, None) => {}
        }
        Ok(ways)
    }

    /// Whether nobody can.
    pub(super) fn are_none(&self) -> bool {
        let has_signs = self.certificates || self.gateways;
        self.passwords.is_none() && self.proxy.is_none() && self.tokens.is_empty() && !has_signs
    }

    /// Who the caller is, by the headers of a request. Whoever a proxy names has been asked by it, and `is_by_proxy` tells
    /// whether one sends the request that is trusted. Of the others, what they say themselves counts.
    pub(super) fn user(&self, headers: &HeaderMap, is_by_proxy: impl FnOnce() -> bool) -> User {
        match Proof::read(headers) {
            Proof::Token(token) if !self.tokens.is_empty() => User::Open(Open::Bearing(token)),
            proof => match &self.proxy {
                Some(header) => Self::user_of_proxy(header, headers, is_by_proxy()),
                None => match proof {
                    Proof::Nothing => User::Open(Open::Silent),
                    Proof::Password(credentials) => User::Open(Open::Proving(credentials)),
                    Proof::Odd | Proof::Token(_) => User::Open(Open::Refused(NEEDED)),
                },
            },
        }
    }

    fn user_of_proxy(header: &HeaderName, headers: &HeaderMap, is_by_proxy: bool) -> User {
        if !is_by_proxy {
            let problem = "only a trusted proxy can say who the user is, and the call does not come from one";
            return User::Open(Open::Refused(problem));
        }
        let mut values = headers.get_all(header).iter();
        let name = values.next().and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        // Of two names, one may have been sent by the client.
        match (name.filter(|name| is_user_name(name)), values.next()) {
            (Some(name), None) => User::Named(name.to_owned(), "proxy"),
            _ => User::Open(Open::Refused("the proxy names no user, or one that cannot be")),
        }
    }

    /// Who it is, if that was found out a short while ago, or nothing has to be waited for to find it out; otherwise what
    /// is to be found out. What could be a token is none of the passwords that are remembered.
    pub(super) fn recall(&self, open: Open) -> Result<Proven, Open> {
        match open {
            Open::Bearing(token) => self.recall_token(token.as_str()).ok_or(Open::Bearing(token)),
            Open::Proving(credentials) => self.recall_login(credentials).map_err(Open::Proving),
            Open::Silent | Open::Refused(_) | Open::Unbelieved(_) => Err(open),
        }
    }

    fn recall_token(&self, token: &str) -> Option<Proven> {
        self.kind_of(token)?.recall(token)
    }

    fn recall_login(&self, credentials: Credentials) -> Result<Proven, Credentials> {
        let token = credentials.password_text().and_then(|text| Some((self.kind_of(text)?, text)));
        if let Some((kind, token)) = token {
            let proven = kind.recall(token).filter(|proven| proven.user == credentials.user());
            return proven.ok_or(credentials);
        }
        match &self.passwords {
            Some(logins) if logins.recall(&credentials) => Ok(Proven::by_password(credentials.into_user())),
            _ => Err(credentials),
        }
    }

    /// The first kind of tokens that one could be of, by its looks.
    fn kind_of(&self, token: &str) -> Option<&Arc<dyn Bearers>> {
        self.tokens.iter().find(|kind| kind.may_know(token))
    }

    /// Whose token it is; `None` when it is none of any kind.
    pub(super) async fn bearer(&self, token: &str) -> Option<Result<Proven, Failure>> {
        for kind in self.tokens.iter().filter(|kind| kind.may_know(token)) {
            if let Some(outcome) = kind.check(token).await {
                return Some(outcome);
            }
        }
        None
    }

    /// A token in the place of the password, for clients that know no tokens.
    pub(super) async fn token_as_password(&self, credentials: &Credentials) -> Option<Result<Proven, Failure>> {
        let proven = self.bearer(credentials.password_text()?).await?;
        Some(proven.and_then(|proven| {
            if proven.user == credentials.user() {
                Ok(proven)
            } else {
                Err(unauthenticated("the token is another user's"))
            }
        }))
    }
}

/// A header that a proxy can name users in: one that becomes text among the metadata of a call.
pub(super) fn parse_header(name: &str) -> Result<HeaderName, Error> {
    let refuse = |problem| Error::ProxyHeader { name: name.to_owned(), problem };
    let header: HeaderName = name.parse().map_err(|_| refuse("is no name of a header"))?;
    let text = header.as_str();
    if text.ends_with("-bin") || text.starts_with("grpc-") {
        return Err(refuse("is reserved by gRPC"));
    }
    let taken = ["authorization", "x-forwarded-for", "x-request-id", "te", "content-type", "user-agent", "host"];
    if taken.contains(&text) || header == VOUCHED_IDENTITY {
        return Err(refuse("has another meaning"));
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_cannot_name_a_user_is_an_error_that_names_the_setting() {
        assert_eq!(parse_header("X-Remote-User").unwrap(), "x-remote-user");
        for odd in ["", "a b", "x-user-bin", "grpc-user", "Authorization", "X-Forwarded-For", "X-Steward-Identity"] {
            let error = parse_header(odd).unwrap_err();
            assert!(error.to_string().contains("auth.proxy_header"), "{error}");
        }
    }
}
