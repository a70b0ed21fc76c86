//! Decides who the caller of a request is, and finds what it may do.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Request};
use steward_gateway::Peer;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bearer::{Bearers, Proven};
use super::claim::{Claim, Open, User};
use super::credentials::{Credentials, Proof};
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
pub struct Authenticator(Arc<Knowledge>);

#[derive(Clone, Debug)]
struct Knowledge {
    ways: Ways,
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
        let knowledge = Knowledge { ways, proxies, rights, vouching, token_failures: Arc::default() };
        Ok(Authenticator(Arc::new(knowledge)))
    }

    /// Callers may prove who they are by tokens of these kinds, too.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Vec<Arc<dyn Bearers>>) -> Self {
        Arc::make_mut(&mut self.0).ways.tokens = tokens;
        self
    }

    /// Whether ports ask for client certificates: then that is a way, too, and where it is the only one, callers need it.
    #[must_use]
    pub fn with_certificates(mut self, are_asked_for: bool) -> Self {
        Arc::make_mut(&mut self.0).ways.certificates = are_asked_for;
        self
    }

    /// Reads the files of users and of rights again at every SIGHUP until shutdown.
    pub fn start(&self, shutdown: CancellationToken, tasks: &TaskTracker) -> std::io::Result<()> {
        if self.0.ways.passwords.is_none() && !self.0.rights.is_somewhere() {
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
            if let Some(logins) = &authenticator.0.ways.passwords {
                logins.reload();
            }
            authenticator.0.rights.reload();
        });
        if let Err(error) = reading.await {
            tracing::error!(%error, "the files of users and of rights could not be read again");
        }
    }

    /// The header in which a proxy names the user, if one does.
    pub fn user_header(&self) -> Option<HeaderName> {
        self.0.ways.proxy.clone()
    }

    /// Whether somebody of this name could log in, as far as is known here.
    pub async fn may_know(&self, user: &str) -> bool {
        match &self.0.ways.passwords {
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
        Grants::by(caller, self.0.rights.table().await, trail)
    }

    /// What the caller may do, where nothing has to be waited for to know it; otherwise what is claimed.
    pub(super) fn grants_at_once(&self, claim: Claim, trail: &Trail) -> Result<Grants, Claim> {
        let Ok(table) = self.0.rights.table_at_once() else { return Err(claim) };
        let address = claim.address;
        let identity = match claim.told() {
            Ok(identity) => identity,
            Err(open) => match self.recall(&open) {
                Some(proven) => self.admitted(proven, address),
                None => return Err(Claim { address, user: User::Open(open) }),
            },
        };
        Ok(Grants::by(identity, table, trail.clone()))
    }

    /// What the request says of its caller.
    pub(super) fn read<B>(&self, request: &Request<B>) -> Claim {
        let (peer, headers) = (peer(request.extensions()), request.headers());
        let address = self.0.proxies.client(peer, headers);
        if is_open(request.uri().path()) {
            return Claim { address, user: User::NotAsked };
        }
        let known = match self.0.vouching.known(request, &self.0.proxies) {
            Ok(known) => known,
            Err(failure) => return Claim { address, user: User::Open(Open::Unbelieved(failure)) },
        };
        let is_nobody_asked = self.0.ways.are_none() && !self.0.rights.is_somewhere();
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
            Proof::Token(token) if !self.0.ways.tokens.is_empty() => User::Open(Open::Bearing(token)),
            proof => match &self.0.ways.proxy {
                Some(header) => self.user_of_proxy(header, peer, headers),
                None => match proof {
                    Proof::Nothing => User::Open(Open::Silent),
                    Proof::Password(credentials) => User::Open(Open::Proving(credentials)),
                    Proof::Odd | Proof::Token(_) => User::Open(Open::Refused(NEEDED)),
                },
            },
        }
    }

    fn user_of_proxy(&self, header: &HeaderName, peer: Option<Peer>, headers: &HeaderMap) -> User {
        if !self.0.proxies.trust(peer) {
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

    /// Who the caller is; or why that is not known, after a while where one was wrong too often.
    pub(super) async fn check(&self, claim: Claim) -> Result<Identity, Failure> {
        let address = claim.address;
        match claim.told() {
            Ok(identity) => Ok(identity),
            Err(open) => self.find_out(open, address).await,
        }
    }

    /// Who it is, if that was found out a short while ago, or nothing has to be waited for to find it out. What could be
    /// a token is none of the passwords that are remembered.
    fn recall(&self, open: &Open) -> Option<Proven> {
        let token_of = |text: &str| self.0.ways.tokens.iter().find(|kind| kind.may_know(text));
        match open {
            Open::Bearing(token) => {
                let token = token.as_str();
                token_of(token)?.recall(token)
            }
            Open::Proving(credentials) => {
                let kind = credentials.password.as_str().and_then(|text| Some((token_of(text)?, text)));
                if let Some((kind, token)) = kind {
                    return kind.recall(token).filter(|proven| proven.user == credentials.user);
                }
                let is_known = self.0.ways.passwords.as_ref()?.recall(credentials);
                is_known.then(|| Proven::by_password(&credentials.user))
            }
            Open::Silent | Open::Refused(_) | Open::Unbelieved(_) => None,
        }
    }

    async fn find_out(&self, open: Open, address: Option<IpAddr>) -> Result<Identity, Failure> {
        match open {
            Open::Bearing(token) => {
                let unknown = || Err(unauthenticated("the token is not known"));
                let outcome = self.bearer(token.as_str()).await.unwrap_or_else(unknown);
                self.proven(outcome, address, "").await
            }
            Open::Proving(credentials) => {
                if let Some(outcome) = self.token_as_password(&credentials).await {
                    return self.proven(outcome, address, &credentials.user).await;
                }
                let Some(logins) = &self.0.ways.passwords else {
                    return Err(unauthenticated("passwords are not taken"));
                };
                let user = logins.check(credentials, address).await?;
                Ok(self.admitted(Proven::by_password(&user), address))
            }
            Open::Silent if self.0.rights.table().await.is_some_and(|table| table.has_anonymous()) => {
                Ok(Identity { address, ..Identity::default() })
            }
            Open::Silent => Err(unauthenticated(NEEDED)),
            Open::Refused(problem) => Err(unauthenticated(problem)),
            Open::Unbelieved(failure) => Err(failure),
        }
    }

    async fn bearer(&self, token: &str) -> Option<Result<Proven, Failure>> {
        for kind in self.0.ways.tokens.iter().filter(|kind| kind.may_know(token)) {
            if let Some(outcome) = kind.check(token).await {
                return Some(outcome);
            }
        }
        None
    }

    /// A token in the place of the password, for clients that know no tokens.
    async fn token_as_password(&self, credentials: &Credentials) -> Option<Result<Proven, Failure>> {
        let proven = self.bearer(credentials.password.as_str()?).await?;
        Some(proven.and_then(|proven| {
            if proven.user == credentials.user {
                Ok(proven)
            } else {
                Err(unauthenticated("the token is another user's"))
            }
        }))
    }

    /// Who somebody is that is let in. Those who are nobody are given tokens, too: that says nothing of their address.
    fn admitted(&self, proven: Proven, address: Option<IpAddr>) -> Identity {
        let identity = proven.identity(address);
        if identity.user.is_some() {
            self.0.token_failures.succeed(address);
        }
        identity
    }

    /// Who the bearer of a token is.
    async fn proven(
        &self,
        outcome: Result<Proven, Failure>,
        address: Option<IpAddr>,
        user: &str,
    ) -> Result<Identity, Failure> {
        match outcome {
            Ok(proven) => Ok(self.admitted(proven, address)),
            Err(failure) => Err(self.0.token_failures.refuse(address, user, failure).await),
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
