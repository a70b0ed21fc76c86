//! Decides who the caller of a request is, and finds what it may do.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Request};
use steward_gateway::Peer;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bearer::{Bearers, Proven};
use super::credentials::{Credentials, Proof, Token};
use super::logins::Logins;
use super::origin::{Proxies, peer};
use super::refusal::unauthenticated;
use super::rights::{Grants, Source};
use super::token_failures::TokenFailures;
use super::vouch::{VOUCHED_IDENTITY, Vouching};
use super::{Error, Identity, Trail, is_user_name};
use crate::config;
use crate::error::Failure;

/// Services that anybody may ask: whether the server is well, and what it offers.
const OPEN: [&str; 2] = ["/grpc.health.v1.", "/grpc.reflection."];
/// What is said to those who say nothing of themselves, or nothing that makes sense.
const NEEDED: &str = "a user name and a password are needed";

/// Whether anybody may call a path, and needs no right for it.
pub(super) fn is_open(path: &str) -> bool {
    OPEN.iter().any(|prefix| path.starts_with(prefix))
}

/// Knows how callers prove who they are, and what they may do. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Authenticator {
    ways: Arc<Ways>,
    proxies: Arc<Proxies>,
    rights: Source,
    vouching: Vouching,
    token_failures: Arc<TokenFailures>,
}

/// How callers may prove who they are.
#[derive(Clone, Debug, Default)]
struct Ways {
    /// By a name and a password.
    passwords: Option<Arc<Logins>>,
    /// A proxy has asked them and names them in this header.
    proxy: Option<HeaderName>,
    /// By a token, of any of these kinds.
    tokens: Vec<Arc<dyn Bearers>>,
    /// By a client certificate, on a port that asks for one.
    certificates: bool,
    /// A gateway has asked them, and signs who they are.
    gateways: bool,
}

impl Ways {
    fn are_none(&self) -> bool {
        let has_signs = self.certificates || self.gateways;
        self.passwords.is_none() && self.proxy.is_none() && self.tokens.is_empty() && !has_signs
    }
}

/// What a request says of its caller, taken from it before anything is waited for.
#[derive(Debug)]
pub(super) struct Claim {
    address: Option<IpAddr>,
    user: User,
}

#[derive(Debug)]
enum User {
    /// Nobody is asked.
    NotAsked,
    /// Somebody who is believed has said it, and by what.
    Named(String, &'static str),
    /// By a name and a password.
    Proving(Credentials),
    /// By a token.
    Bearing(Token),
    /// Nothing was said.
    Silent,
    /// What was said is refused.
    Refused(&'static str),
    /// What a gateway said is refused.
    Unbelieved(Failure),
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
            User::Named(user, proof) => trail.write_claim(user, proof),
            User::Proving(credentials) if is_user_name(&credentials.user) => {
                trail.write_claim(&credentials.user, "password");
            }
            User::Proving(_) => trail.write_claim("", "password"),
            User::Bearing(_) => trail.write_claim("", "token"),
            User::NotAsked | User::Silent | User::Refused(_) | User::Unbelieved(_) => {}
        }
    }
}

impl Authenticator {
    /// As the settings have it. Reads the files of users and of rights.
    pub fn from_config(auth: &config::Auth) -> Result<Self, Error> {
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
        let (proxies, rights) = (Arc::new(Proxies::from_config(auth)?), Source::from_config(auth)?);
        let vouching = Vouching::open(auth.gateway_key.as_deref())?;
        Ok(Authenticator { ways: Arc::new(ways), proxies, rights, vouching, token_failures: Arc::default() })
    }

    /// Callers may prove who they are by tokens of these kinds, too.
    #[must_use]
    pub fn with_tokens(self, tokens: Vec<Arc<dyn Bearers>>) -> Self {
        let ways = Ways { tokens, ..Ways::clone(&self.ways) };
        Authenticator { ways: Arc::new(ways), ..self }
    }

    /// Whether ports ask for client certificates: then that is a way, too, and where it is the only one, callers need it.
    #[must_use]
    pub fn with_certificates(self, are_asked_for: bool) -> Self {
        let ways = Ways { certificates: are_asked_for, ..Ways::clone(&self.ways) };
        Authenticator { ways: Arc::new(ways), ..self }
    }

    /// Reads the files of users and of rights again at every SIGHUP until shutdown.
    pub fn start(&self, shutdown: CancellationToken, tasks: &TaskTracker) -> std::io::Result<()> {
        if self.ways.passwords.is_none() && !self.rights.is_somewhere() {
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

    /// Reads the files of users and of rights again, if there are any.
    pub async fn reload(&self) {
        let authenticator = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            if let Some(logins) = &authenticator.ways.passwords {
                logins.reload();
            }
            authenticator.rights.reload();
        });
        if let Err(error) = reading.await {
            tracing::error!(%error, "the files of users and of rights could not be read again");
        }
    }

    /// The header in which a proxy names the user, if one does.
    pub fn user_header(&self) -> Option<HeaderName> {
        self.ways.proxy.clone()
    }

    /// Whether somebody of this name could log in, as far as is known here.
    pub async fn may_know(&self, user: &str) -> bool {
        match &self.ways.passwords {
            Some(logins) => logins.know(user).await,
            None => true,
        }
    }

    /// Who the caller of an HTTP request is; or why that is not known. What is learnt on the way is left on the trail.
    pub async fn identify(&self, request: &Request<()>, trail: &Trail) -> Result<Identity, Failure> {
        let claim = self.read(request);
        claim.leave(trail);
        let identity = self.check(claim).await?;
        trail.write_user(identity.user.as_deref());
        Ok(identity)
    }

    /// What a caller may do.
    pub async fn grants(&self, caller: Identity) -> Grants {
        self.grants_noting(caller, Trail::default()).await
    }

    /// The same, of one whose call is recorded.
    pub(super) async fn grants_noting(&self, caller: Identity, trail: Trail) -> Grants {
        Grants::by(caller, self.rights.table().await, trail)
    }

    /// What the request says of its caller.
    pub(super) fn read<B>(&self, request: &Request<B>) -> Claim {
        let (peer, headers) = (peer(request.extensions()), request.headers());
        let address = self.proxies.client(peer, headers);
        if is_open(request.uri().path()) {
            return Claim { address, user: User::NotAsked };
        }
        let known = match self.vouching.known(request, &self.proxies) {
            Ok(known) => known,
            Err(failure) => return Claim { address, user: User::Unbelieved(failure) },
        };
        let is_nobody_asked = self.ways.are_none() && !self.rights.is_somewhere();
        let user = match known.user {
            Some(user) => User::Named(user, "certificate"),
            None if is_nobody_asked => User::NotAsked,
            None => self.user(peer, headers),
        };
        Claim { address: known.address, user }
    }

    /// Whoever a proxy names has been asked by it. Of the others, what they say themselves counts.
    fn user(&self, peer: Option<Peer>, headers: &HeaderMap) -> User {
        match Proof::read(headers) {
            Proof::Token(token) if !self.ways.tokens.is_empty() => User::Bearing(token),
            proof => match &self.ways.proxy {
                Some(header) => self.user_of_proxy(header, peer, headers),
                None => match proof {
                    Proof::Nothing => User::Silent,
                    Proof::Password(credentials) => User::Proving(credentials),
                    Proof::Odd | Proof::Token(_) => User::Refused(NEEDED),
                },
            },
        }
    }

    fn user_of_proxy(&self, header: &HeaderName, peer: Option<Peer>, headers: &HeaderMap) -> User {
        if !self.proxies.trust(peer) {
            return User::Refused("only a trusted proxy can say who the user is, and the call does not come from one");
        }
        let mut values = headers.get_all(header).iter();
        let name = values.next().and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        // Of two names, one may have been sent by the client.
        match (name.filter(|name| is_user_name(name)), values.next()) {
            (Some(name), None) => User::Named(name.to_owned(), "proxy"),
            _ => User::Refused("the proxy names no user, or one that cannot be"),
        }
    }

    /// Who the caller is; or why that is not known, after a while where one was wrong too often.
    pub(super) async fn check(&self, claim: Claim) -> Result<Identity, Failure> {
        let Claim { address, user } = claim;
        let identity = Identity { address, ..Identity::default() };
        let named = |user| Identity { user: Some(user), ..identity.clone() };
        match user {
            User::NotAsked => Ok(identity),
            User::Named(user, _) => Ok(named(user)),
            User::Bearing(token) => {
                let unknown = || Err(unauthenticated("the token is not known"));
                let outcome = self.bearer(token.as_str()).await.unwrap_or_else(unknown);
                self.proven(outcome, address, "").await
            }
            User::Proving(credentials) => {
                if let Some(outcome) = self.token_as_password(&credentials).await {
                    return self.proven(outcome, address, &credentials.user).await;
                }
                let Some(logins) = &self.ways.passwords else {
                    return Err(unauthenticated("passwords are not taken"));
                };
                let user = logins.check(credentials, address).await?;
                self.token_failures.succeed(address);
                Ok(named(user))
            }
            User::Silent if self.rights.table().await.is_some_and(|table| table.has_anonymous()) => Ok(identity),
            User::Silent => Err(unauthenticated(NEEDED)),
            User::Refused(problem) => Err(unauthenticated(problem)),
            User::Unbelieved(failure) => Err(failure),
        }
    }

    async fn bearer(&self, token: &str) -> Option<Result<Proven, Failure>> {
        for kind in self.ways.tokens.iter().filter(|kind| kind.may_know(token)) {
            if let Some(outcome) = kind.check(token).await {
                return Some(outcome);
            }
        }
        None
    }

    /// A token in the place of the password, for clients that know no tokens.
    async fn token_as_password(&self, credentials: &Credentials) -> Option<Result<Proven, Failure>> {
        let password = std::str::from_utf8(credentials.password.as_bytes()).ok()?;
        let proven = self.bearer(password).await?;
        Some(proven.and_then(|proven| {
            if proven.user == credentials.user {
                Ok(proven)
            } else {
                Err(unauthenticated("the token is another user's"))
            }
        }))
    }

    /// Who the bearer of a token is. Those who are nobody are given tokens, too: that says nothing of their address.
    async fn proven(
        &self,
        outcome: Result<Proven, Failure>,
        address: Option<IpAddr>,
        user: &str,
    ) -> Result<Identity, Failure> {
        match outcome {
            Ok(proven) => {
                let identity = proven.identity(address);
                if identity.user.is_some() {
                    self.token_failures.succeed(address);
                }
                Ok(identity)
            }
            Err(failure) => Err(self.token_failures.refuse(address, user, failure).await),
        }
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
