//! Tokens: made, listed, revoked.

use std::sync::Arc;
use std::time::Duration;

use prost_types::Timestamp;
use steward_proto::auth::v1 as pb;
use steward_proto::auth::v1::token_service_server::TokenService;
use tonic::{Request, Response, Status};

use super::{AuthServer, answer, open, user_or_caller};
use crate::auth::Grants;
use crate::auth::rights::{Area, Right};
use crate::auth::tokens::{Known, Wanted};
use crate::error::{Category, Failure};

/// How long a token is good that names no time.
const DEFAULT_TTL: Duration = Duration::from_hours(30 * 24);
/// How long a token is good at most.
const MAX_TTL: Duration = Duration::from_hours(5 * 365 * 24);
/// How many scopes a token may have.
const MAX_SCOPES: usize = 16;
/// How long all scopes of a token may be together, in bytes: they are kept in one record.
const MAX_SCOPE_BYTES: usize = 2048;
/// How long the description may be, in bytes.
const MAX_DESCRIPTION: usize = 200;
/// How many tokens are on a page.
const PAGE: usize = 100;
/// How many are on the longest.
const MAX_PAGE: usize = 1000;
/// How many may be revoked in one call.
const MAX_REVOKED: usize = 1000;

#[tonic::async_trait]
impl TokenService for AuthServer {
    async fn create_token(
        &self,
        request: Request<pb::CreateTokenRequest>,
    ) -> Result<Response<pb::CreateTokenResponse>, Status> {
        let (grants, wanted) = open(request)?;
        answer(self.create(&grants, wanted).await)
    }

    async fn list_tokens(
        &self,
        request: Request<pb::ListTokensRequest>,
    ) -> Result<Response<pb::ListTokensResponse>, Status> {
        let (grants, asked) = open(request)?;
        answer(self.list(&grants, &asked))
    }

    async fn revoke_tokens(
        &self,
        request: Request<pb::RevokeTokensRequest>,
    ) -> Result<Response<pb::RevokeTokensResponse>, Status> {
        let (grants, asked) = open(request)?;
        answer(self.revoke(&grants, asked).await)
    }
}

impl AuthServer {
    async fn create(&self, grants: &Grants, asked: pb::CreateTokenRequest) -> Result<pb::CreateTokenResponse, Failure> {
        let caller = grants.caller().user.clone();
        let user = user_or_caller(asked.user, caller.as_deref())?;
        // Who has signed in with a token for something must not make one for everything.
        if caller.as_ref() != Some(&user) || grants.caller().scopes.is_some() {
            grants.require(Area::Admin, Right::Admin, &resource_of(&user))?;
        }
        let ttl = asked.ttl.map_or(Ok(DEFAULT_TTL), |ttl| Duration::try_from(ttl).map_err(|_| ()));
        let mut violations = Vec::new();
        if !ttl.is_ok_and(|ttl| !ttl.is_zero() && ttl <= MAX_TTL) {
            violations.push(("ttl", "has to be between nothing and 5 years".to_owned()));
        }
        if asked.scopes.len() > MAX_SCOPES || asked.scopes.iter().map(String::len).sum::<usize>() > MAX_SCOPE_BYTES {
            violations.push(("scopes", format!("are more than {MAX_SCOPES}, or more than {MAX_SCOPE_BYTES} bytes")));
        }
        if asked.description.len() > MAX_DESCRIPTION || asked.description.chars().any(char::is_control) {
            let problem = format!("is longer than {MAX_DESCRIPTION} bytes, or has a control character in it");
            violations.push(("description", problem));
        }
        if !violations.is_empty() {
            return Err(Failure::invalid(violations));
        }
        let wanted = Wanted {
            user,
            scopes: asked.scopes,
            ttl: ttl.unwrap_or(DEFAULT_TTL),
            description: asked.description,
            created_by: caller.unwrap_or_default(),
        };
        // To its end although the caller goes away: what is stored has to be in memory, too.
        let tokens = Arc::clone(&self.tokens);
        let (secret, token) = finished(tokio::spawn(async move { tokens.create(wanted).await }).await)??;
        Ok(pb::CreateTokenResponse { secret, token: Some(shown(&token)) })
    }

    fn list(&self, grants: &Grants, asked: &pb::ListTokensRequest) -> Result<pb::ListTokensResponse, Failure> {
        let after = read_place(&asked.page_token)?;
        let size = match usize::try_from(asked.page_size) {
            Ok(0) => PAGE,
            Ok(size) => size.min(MAX_PAGE),
            Err(_) => return Err(Failure::invalid([("page_size", "is negative".to_owned())])),
        };
        let may_see = |user: &str| is_own(grants, user) || grants.allow(Area::Admin, Right::Read, &resource_of(user));
        let is_wanted = |user: &str| (asked.user.is_empty() || asked.user == user) && may_see(user);
        let mut found = self.tokens.list(after.as_ref(), size + 1, |token| is_wanted(&token.user));
        let has_more = found.len() > size;
        found.truncate(size);
        let next = found.last().filter(|_| has_more).map(|token| written_place(&token.place()));
        Ok(pb::ListTokensResponse {
            tokens: found.iter().map(|token| shown(token)).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    async fn revoke(
        &self,
        grants: &Grants,
        asked: pb::RevokeTokensRequest,
    ) -> Result<pb::RevokeTokensResponse, Failure> {
        if asked.ids.is_empty() && asked.user.is_empty() {
            return Err(Failure::invalid([("ids", "are missing, and so is a user".to_owned())]));
        }
        if asked.ids.len() > MAX_REVOKED {
            return Err(Failure::invalid([("ids", format!("are more than {MAX_REVOKED}"))]));
        }
        let mut found = Vec::new();
        if !asked.user.is_empty() {
            // Asked before it is looked whether there are any.
            if !is_own(grants, &asked.user) {
                grants.require(Area::Admin, Right::Admin, &resource_of(&asked.user))?;
            }
            found.extend(self.tokens.list(None, usize::MAX, |token| token.user == asked.user));
        }
        found.extend(asked.ids.iter().filter_map(|id| self.tokens.find(id)));
        let mut ids = Vec::new();
        for token in found {
            let user = &token.record.user;
            if is_own(grants, user) || grants.allow(Area::Admin, Right::Admin, &resource_of(user)) {
                ids.push(token.record.id.clone());
            } else if grants.caller().user.as_ref() == Some(user) {
                grants.require(Area::Admin, Right::Admin, &resource_of(user))?;
            }
            // Of what is somebody else's, nobody hears whether it is there.
        }
        ids.sort();
        ids.dedup();
        let (tokens, revoked) = (Arc::clone(&self.tokens), ids.clone());
        finished(tokio::spawn(async move { tokens.revoke(&revoked).await }).await)??;
        Ok(pb::RevokeTokensResponse { ids })
    }
}

/// Whether the caller is this user, and not only somebody with a token that is for less than all of what the user may do.
fn is_own(grants: &Grants, user: &str) -> bool {
    grants.caller().user.as_deref() == Some(user) && grants.caller().scopes.is_none()
}

/// The resource of the tokens of a user.
fn resource_of(user: &str) -> String {
    format!("token/{user}")
}

fn finished<T>(joined: Result<T, tokio::task::JoinError>) -> Result<T, Failure> {
    joined.map_err(|error| Failure::new(Category::Internal, "INTERNAL", error.to_string()))
}

fn shown(token: &Known) -> pb::Token {
    let record = token.record.clone();
    pb::Token {
        id: record.id,
        user: record.user,
        description: record.description,
        scopes: record.scopes,
        create_time: Some(time(record.create_us)),
        expire_time: Some(time(record.expire_us)),
        created_by: record.created_by,
    }
}

fn time(micros: u64) -> Timestamp {
    let seconds = i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX);
    // Less than a million, so it fits.
    let nanos = i32::try_from(micros % 1_000_000 * 1000).unwrap_or_default();
    Timestamp { seconds, nanos }
}

/// A place in a list, as the token of its next page.
fn written_place((user, create_us, id): &(String, u64, String)) -> String {
    format!("{create_us}/{id}/{user}")
}

fn read_place(text: &str) -> Result<Option<(String, u64, String)>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let (create_us, rest) = text.split_once('/')?;
        let (id, user) = rest.split_once('/')?;
        Some((user.to_owned(), create_us.parse().ok()?, id.to_owned()))
    };
    parse().map(Some).ok_or_else(|| Failure::invalid([("page_token", "is none of this list".to_owned())]))
}
