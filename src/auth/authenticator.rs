//! Decides who the caller of a request is.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderName, Request};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::credentials::Credentials;
use super::logins::Logins;
use super::origin::{Proxies, peer};
use super::refusal::unauthenticated;
use super::{Error, Identity, Trail, is_user_name};
use crate::config;
use crate::error::Failure;

/// Services that anybody may ask: whether the server is well, and what it offers.
const OPEN: [&str; 2] = ["/grpc.health.v1.", "/grpc.reflection."];

/// Knows how callers prove who they are. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Authenticator {
    mode: Arc<Mode>,
    proxies: Arc<Proxies>,
}

#[derive(Debug)]
enum Mode {
    /// Nobody is asked.
    Off,
    /// By a name and a password.
    Passwords(Arc<Logins>),
    /// A proxy has asked them and names them in this header.
    Proxy(HeaderName),
}

/// What a request says of its caller, taken from it before anything is waited for.
#[derive(Debug)]
pub(super) struct Claim {
    address: Option<IpAddr>,
    user: User,
}

#[derive(Debug)]
enum User {
    NotAsked,
    Named(String),
    Proving(Credentials),
    Missing(&'static str),
}

impl Claim {
    /// Where the request comes from.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Leaves what is claimed, which the outcome of the call shows to be true or not. What cannot be the name of a user
    /// may be a password.
    pub(super) fn leave(&self, trail: &Trail) {
        trail.write_address(self.address);
        match &self.user {
            User::Named(user) => trail.write_user(user, "proxy"),
            User::Proving(credentials) if is_user_name(&credentials.user) => {
                trail.write_user(&credentials.user, "password");
            }
            User::Proving(_) => trail.write_user("", "password"),
            User::NotAsked | User::Missing(_) => {}
        }
    }
}

impl Authenticator {
    /// As the settings have it. Reads the file of users.
    pub fn from_config(auth: &config::Auth) -> Result<Self, Error> {
        let mode = match (&auth.proxy_header, &auth.htpasswd) {
            (Some(header), file) => {
                if file.is_some() {
                    tracing::warn!("auth.htpasswd is not used, because auth.proxy_header is set");
                }
                Mode::Proxy(parse_header(header)?)
            }
            (None, Some(path)) => Mode::Passwords(Arc::new(Logins::open(path)?)),
            (None, None) => Mode::Off,
        };
        Ok(Authenticator { mode: Arc::new(mode), proxies: Arc::new(Proxies::from_config(auth)?) })
    }

    /// Reads the file of users again at every SIGHUP until shutdown.
    pub fn start(&self, shutdown: CancellationToken, tasks: &TaskTracker) -> std::io::Result<()> {
        if !matches!(*self.mode, Mode::Passwords(_)) {
            return Ok(());
        }
        let mut hangup = signal(SignalKind::hangup())?;
        let authenticator = self.clone();
        tasks.spawn(async move {
            while let Some(Some(())) = shutdown.run_until_cancelled(hangup.recv()).await {
                authenticator.reload().await;
            }
        });
        Ok(())
    }

    /// Reads the file of users again, if there is one.
    pub async fn reload(&self) {
        let mode = Arc::clone(&self.mode);
        let reading = tokio::task::spawn_blocking(move || match &*mode {
            Mode::Passwords(logins) => logins.reload(),
            Mode::Off | Mode::Proxy(_) => {}
        });
        if let Err(error) = reading.await {
            tracing::error!(%error, "the file of users could not be read again");
        }
    }

    /// The header in which a proxy names the user, if one does.
    pub fn user_header(&self) -> Option<HeaderName> {
        match &*self.mode {
            Mode::Proxy(header) => Some(header.clone()),
            Mode::Off | Mode::Passwords(_) => None,
        }
    }

    /// Whether somebody of this name could log in, as far as is known here.
    pub async fn may_know(&self, user: &str) -> bool {
        match &*self.mode {
            Mode::Passwords(logins) => logins.know(user).await,
            Mode::Off | Mode::Proxy(_) => true,
        }
    }

    /// Who the caller of an HTTP request is; or why that is not known.
    pub async fn identify(&self, request: Request<()>) -> Result<Identity, Failure> {
        self.check(self.read(&request)).await
    }

    /// What the request says of its caller.
    pub(super) fn read<B>(&self, request: &Request<B>) -> Claim {
        let (peer, headers) = (peer(request.extensions()), request.headers());
        let is_open = OPEN.iter().any(|prefix| request.uri().path().starts_with(prefix));
        let user = match &*self.mode {
            _ if is_open => User::NotAsked,
            Mode::Off => User::NotAsked,
            Mode::Passwords(_) => {
                Credentials::read(headers).map_or(User::Missing("a user name and a password are needed"), User::Proving)
            }
            Mode::Proxy(_) if !self.proxies.trust(peer) => {
                User::Missing("only a trusted proxy can say who the user is, and the call does not come from one")
            }
            Mode::Proxy(header) => {
                let mut values = headers.get_all(header).iter();
                let name = values.next().and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
                // Of two names, one may have been sent by the client.
                match (name.filter(|name| is_user_name(name)), values.next()) {
                    (Some(name), None) => User::Named(name.to_owned()),
                    _ => User::Missing("the proxy names no user, or one that cannot be"),
                }
            }
        };
        Claim { address: self.proxies.client(peer, headers), user }
    }

    /// Who the caller is; or why that is not known, after a while where a password was wrong too often.
    pub(super) async fn check(&self, claim: Claim) -> Result<Identity, Failure> {
        let Claim { address, user } = claim;
        let user = match (user, &*self.mode) {
            (User::NotAsked, _) => None,
            (User::Named(user), _) => Some(user),
            (User::Proving(credentials), Mode::Passwords(logins)) => Some(logins.check(credentials, address).await?),
            (User::Proving(_), Mode::Off | Mode::Proxy(_)) => return Err(unauthenticated("passwords are not taken")),
            (User::Missing(problem), _) => return Err(unauthenticated(problem)),
        };
        Ok(Identity { user, address })
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
    if taken.contains(&text) {
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
        for odd in ["", "a b", "x-user-bin", "grpc-user", "Authorization", "X-Forwarded-For"] {
            let error = parse_header(odd).unwrap_err();
            assert!(error.to_string().contains("auth.proxy_header"), "{error}");
        }
    }
}
