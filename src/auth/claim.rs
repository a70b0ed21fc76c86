//! What a request says of its caller, which may be true or not.

use std::net::IpAddr;

use super::acquaintance::{Encounter, Met};
use super::credentials::{Credentials, Token};
use super::{Identity, Trail, is_user_name};
use crate::error::Failure;

/// What a request says of its caller, taken from it before anything is waited for.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) address: Option<IpAddr>,
    pub(super) user: User,
    /// Where it can be remembered how it ends.
    pub(super) encounter: Option<Encounter>,
}

/// Who the caller says to be, or is said to be.
#[derive(Debug)]
pub(super) enum User {
    /// Nobody is asked.
    NotAsked,
    /// Somebody who is believed has said it, and by what.
    Named(String, &'static str),
    /// It was found out a moment ago.
    Met(Met),
    /// It has to be found out.
    Open(Open),
}

/// What is said of a user that may not be true.
#[derive(Debug)]
pub(super) enum Open {
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
    /// One that nobody has to remember.
    pub(super) fn of(address: Option<IpAddr>, user: User) -> Self {
        Claim { address, user, encounter: None }
    }

    /// Who the caller is, where that was told by somebody who is believed; otherwise what is to be found out.
    pub(super) fn told(self) -> Result<Identity, Open> {
        let identity = Identity { address: self.address, ..Identity::default() };
        match self.user {
            User::NotAsked => Ok(identity),
            User::Named(user, _) => Ok(Identity { user: Some(user), ..identity }),
            User::Met(met) => Ok(met.standing.caller().clone()),
            User::Open(open) => Err(open),
        }
    }

    /// Leaves what is claimed, which the outcome of the call shows to be true or not. What cannot be the name of a user
    /// may be a password.
    pub(super) fn leave(&self, trail: &Trail) {
        trail.write_address(self.address);
        match &self.user {
            User::Named(user, proof) => trail.write_claim(user, proof),
            User::Met(met) => trail.write_claim(met.standing.caller().user.as_deref().unwrap_or_default(), met.proof),
            User::Open(open) => {
                let name = match open {
                    Open::Proving(credentials) => Some(credentials.user()).filter(|user| is_user_name(user)),
                    Open::Bearing(_) | Open::Silent | Open::Refused(_) | Open::Unbelieved(_) => None,
                };
                if let Some(proof) = open.proof() {
                    trail.write_claim(name.unwrap_or_default(), proof);
                }
            }
            User::NotAsked => {}
        }
    }
}

impl Open {
    /// What it is to be proven by, if by anything.
    pub(super) fn proof(&self) -> Option<&'static str> {
        match self {
            Open::Proving(_) => Some("password"),
            Open::Bearing(_) => Some("token"),
            Open::Silent | Open::Refused(_) | Open::Unbelieved(_) => None,
        }
    }
}
