//! Who a caller is and what it may do: found once, in front of the services, and carried in the extensions of the
//! request.
//!
//! - `caller` tells services who sends a message.
//! - `layer` is in front of every service; `authenticator` is what it asks, `ways` how callers may prove
//!   who they are, and `claim` what a request says of its caller.
//! - `acquaintance` is what is known of the other end of a connection: whether anybody was let in, and for a moment who it
//!   was; `changes` end that.
//! - `certificate` is whom a client certificate names, and until when.
//! - `gate` lets a call through or not, by `rights`; `first_message` and `fields` tell it what a request is about.
//! - `bearer` is what kinds of tokens have in common; `tokens` are those that the server makes itself; `registry_token` has
//!   those for clients of images.
//! - `service` is the gRPC face of tokens and rights.
//! - `credentials` reads what a request brings along, `origin` where it comes from, and which proxies are believed.
//! - `htpasswd` is the format of the file of users, `fresh_file` reads files again when they change.
//! - `verify` compares passwords, which is slow on purpose, and `cache` remembers who was right.
//! - `logins` puts these together, and `attempts` decides how long somebody who was wrong
//!   has to wait; `token_failures` does the same of tokens.
//! - `relay` is for a gateway on its own: it passes on only what may be believed, and `vouch` is how the server believes it.
//! - `oidc` knows the tokens of an issuer.
//! - `trail` is what is learnt of a call, for whoever records it.

mod acquaintance;
mod attempts;
mod authenticator;
mod bearer;
mod cache;
mod caller;
mod certificate;
mod changes;
mod claim;
mod credentials;
mod error;
mod fields;
mod first_message;
mod fresh_file;
mod gate;
mod htpasswd;
mod layer;
mod logins;
pub mod oidc;
mod origin;
mod refusal;
mod registry_token;
mod relay;
pub mod rights;
mod service;
mod token_failures;
mod tokens;
mod trail;
mod user_name;
mod verify;
mod vouch;
mod ways;

use std::net::IpAddr;
use std::sync::Arc;

pub use self::acquaintance::Acquaintance;
pub use self::authenticator::Authenticator;
pub use self::bearer::{Bearers, Proven};
pub use self::caller::message_and_user;
pub use self::certificate::{end_of_certificate, user_of_certificate};
pub use self::error::Error;
pub use self::gate::{GateLayer, Gated};
pub use self::layer::{AuthLayer, Authenticated};
pub use self::origin::Proxies;
pub use self::registry_token::{RegistryTokenServer, RegistryTokens};
pub use self::relay::Relay;
pub use self::rights::Grants;
pub use self::service::AuthServer;
pub use self::tokens::Tokens;
pub use self::trail::Trail;
pub use self::user_name::is_user_name;
pub use self::vouch::{Vouched, Vouching};

/// The caller of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The authenticated user; `None` when nobody is asked who they are, or when it is nobody known.
    pub user: Option<String>,
    /// The groups that the user is in by the word of whoever issued its token. The table of rights may know more.
    pub groups: Vec<String>,
    /// What the token is for, by which the user has signed in; `None`: there was none, or it is for everything.
    pub scopes: Option<Arc<rights::Scopes>>,
    /// Where the call comes from, as far as a trusted proxy or the connection tells.
    pub address: Option<IpAddr>,
}
