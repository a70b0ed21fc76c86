//! The gRPC face of tokens and rights.

mod rights;
mod tokens;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::tokens::Tokens;
use super::{Authenticator, is_user_name};
use crate::error::Failure;

/// The services by which callers learn who they are and what they may do, and make tokens.
#[derive(Clone, Debug)]
pub struct AuthServer {
    authenticator: Authenticator,
    tokens: Arc<Tokens>,
}

impl AuthServer {
    /// Over these tokens, and the table of rights that `authenticator` asks.
    pub fn new(authenticator: Authenticator, tokens: Arc<Tokens>) -> Self {
        AuthServer { authenticator, tokens }
    }
}

/// The user that a request names, or else the caller.
fn user_or_caller(named: String, caller: Option<&str>) -> Result<String, Failure> {
    let user = if named.is_empty() { caller.unwrap_or_default().to_owned() } else { named };
    if is_user_name(&user) {
        return Ok(user);
    }
    let problem = if user.is_empty() { "is missing, and the caller has no name" } else { "is no name of a user" };
    Err(Failure::invalid([("user", problem.to_owned())]))
}

/// The answer of a handler, or its refusal as a status.
fn answer<T>(result: Result<T, Failure>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Status::from)
}

/// The grants of the caller and the message of a request.
fn open<T>(request: Request<T>) -> Result<(super::Grants, T), Status> {
    Ok((super::Grants::of(&request)?, request.into_inner()))
}
