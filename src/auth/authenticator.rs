//! Decides who the caller of a request is, and finds what it may do.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderName, Request};
use steward_gateway::Peer;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acquaintance::{Acquaintance, Encounter, Met, Portrayal};
use super::bearer::{Bearers, Proven};
use super::claim::{Claim, Open, User};
use super::origin::{Proxies, peer};
use super::refusal::unauthenticated;
use super::rights::{Grants, Source, Standing};
use super::token_failures::TokenFailures;
use super::vouch::Vouching;
use super::ways::{NEEDED, Ways};
use super::{Error, Identity, Trail};
use crate::config;
use crate::error::Failure;

/// Services that anybody may ask: whether the server is well, and what it offers.
const OPEN: [&str; 2] = ["/grpc.health.v1.", "/grpc.reflection."];

/// Whether anybody may call a path, and needs no right for it.
pub(super) fn is_open(path: &str) -> bool {
    // What all of them begin with tells most others apart by a glance.
    path.starts_with("/grpc.") && OPEN.iter().any(|prefix| path.starts_with(prefix))
}

/// Knows how callers prove who they are, and what they may do. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Knowledge>);

#[derive(Clone, Debug)]
struct Knowledge {
    ways: Ways,
    proxies: Proxies,
    rights: Source,
    vouching: Vouching,
    portrayal: Portrayal,
    token_failures: Arc<TokenFailures>,
}

impl Authenticator {
    /// As the settings have it. Reads the files of users and of rights.
    pub fn from_config(auth: &config::Auth) -> Result<Self, Error> {
        Ok(Authenticator(Arc::new(Knowledge {
            ways: Ways::from_config(auth)?,
            proxies: Proxies::from_config(auth)?,
            rights: Source::from_config(auth)?,
            vouching: Vouching::open(auth.gateway_key.as_deref())?,
            portrayal: Portrayal::default(),
            token_failures: Arc::default(),
        })))
    }

    /// Callers may prove who they are by tokens of these kinds, too.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Vec<Arc<dyn Bearers>>) -> Self {
        self.ways_mut().tokens = tokens;
        self
    }

    /// Whether ports ask for client certificates: then that is a way, too, and where it is the only one, callers need it.
    #[must_use]
    pub fn with_certificates(mut self, are_asked_for: bool) -> Self {
        self.ways_mut().certificates = are_asked_for;
        self
    }

    /// To be changed. Callers whom others have met are strangers to one that asks in other ways.
    fn ways_mut(&mut self) -> &mut Ways {
        let knowledge = Arc::make_mut(&mut self.0);
        knowledge.portrayal = Portrayal::default();
        &mut knowledge.ways
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
    pub(super) fn grants_at_once(&self, mut claim: Claim, trail: &Trail) -> Result<Grants, Claim> {
        if let User::Met(met) = claim.user {
            return Ok(Grants::of_standing(met.standing, trail.clone()));
        }
        let Ok(table) = self.0.rights.table_at_once() else { return Err(claim) };
        let (address, encounter) = (claim.address, claim.encounter.take());
        let open = match claim.told() {
            Ok(identity) => return Ok(Grants::by(identity, table, trail.clone())),
            Err(open) => open,
        };
        let proof = open.proof();
        let proven = self.0.ways.recall(open).map_err(|open| Claim::of(address, User::Open(open)))?;
        let standing = Arc::new(Standing::of(self.admitted(proven, address), table));
        if let (Some(encounter), Some(proof)) = (encounter, proof) {
            encounter.remember(Met { standing: Arc::clone(&standing), proof });
        }
        Ok(Grants::of_standing(standing, trail.clone()))
    }

    /// What the request says of its caller.
    pub(super) fn read<B>(&self, request: &Request<B>) -> Claim {
        let (peer, headers) = (peer(request.extensions()), request.headers());
        let address = self.0.proxies.client(peer, headers);
        if is_open(request.uri().path()) {
            return Claim::of(address, User::NotAsked);
        }
        let known = match self.0.vouching.known(request, address) {
            Ok(known) => known,
            Err(failure) => return Claim::of(address, User::Open(Open::Unbelieved(failure))),
        };
        let is_nobody_asked = self.0.ways.are_none() && !self.0.rights.is_somewhere();
        match known.user {
            Some(user) => Claim::of(known.address, User::Named(user, "certificate")),
            None if is_nobody_asked => Claim::of(known.address, User::NotAsked),
            None => self.read_words(request, peer, known.address),
        }
    }

    /// What the caller says itself, which may have been found true a moment ago; or what a proxy says of it.
    fn read_words<B>(&self, request: &Request<B>, peer: Option<Peer>, address: Option<IpAddr>) -> Claim {
        let mut encounter = None;
        if let Some(acquaintance) = request.extensions().get::<Acquaintance>()
            && self.0.ways.proxy.is_none()
            && let Some(likeness) = self.0.portrayal.of(request.headers())
        {
            if let Some(met) = acquaintance.recall(&likeness, address) {
                return Claim::of(address, User::Met(met));
            }
            encounter = Some(Encounter::begin(acquaintance, likeness));
        }
        let user = self.0.ways.user(request.headers(), || self.0.proxies.trust(peer));
        Claim { address, user, encounter }
    }

    /// Who the caller is; or why that is not known, after a while where one was wrong too often.
    pub(super) async fn check(&self, claim: Claim) -> Result<Identity, Failure> {
        let address = claim.address;
        match claim.told() {
            Ok(identity) => Ok(identity),
            Err(open) => self.find_out(open, address).await,
        }
    }

    async fn find_out(&self, open: Open, address: Option<IpAddr>) -> Result<Identity, Failure> {
        match open {
            Open::Bearing(token) => {
                let unknown = || Err(unauthenticated("the token is not known"));
                let outcome = self.0.ways.bearer(token.as_str()).await.unwrap_or_else(unknown);
                self.proven(outcome, address, "").await
            }
            Open::Proving(credentials) => {
                if let Some(outcome) = self.0.ways.token_as_password(&credentials).await {
                    return self.proven(outcome, address, credentials.user()).await;
                }
                let Some(logins) = &self.0.ways.passwords else {
                    return Err(unauthenticated("passwords are not taken"));
                };
                let user = logins.check(credentials, address).await?;
                Ok(self.admitted(Proven::by_password(user), address))
            }
            Open::Silent if self.0.rights.table().await.is_some_and(|table| table.has_anonymous()) => {
                Ok(Identity { address, ..Identity::default() })
            }
            Open::Silent => Err(unauthenticated(NEEDED)),
            Open::Refused(problem) => Err(unauthenticated(problem)),
            Open::Unbelieved(failure) => Err(failure),
        }
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
