//! Who a caller is: found once, in front of the services, and carried in the extensions of the request.
//!
//! - `caller` tells services who sends a message.
//! - `layer` is in front of every service; `authenticator` is what it asks.
//! - `credentials` reads what a request brings along, `origin` where it comes from, and which proxies are believed.
//! - `htpasswd` is the format of the file of users, `user_file` keeps it fresh.
//! - `verify` compares passwords, which is slow on purpose, and `cache` remembers who was right.
//! - `logins` puts these together, and `attempts` decides how long somebody who was wrong
//!   has to wait.
//! - `trail` is what is learnt of a call, for whoever records it.
//! - `relay` is for a gateway on its own: it passes on only what may be believed.

mod attempts;
mod authenticator;
mod cache;
mod caller;
mod credentials;
mod error;
mod htpasswd;
mod layer;
mod logins;
mod origin;
mod refusal;
mod relay;
mod trail;
mod user_file;
mod user_name;
mod verify;

use std::net::IpAddr;

pub use self::authenticator::Authenticator;
pub use self::caller::message_and_user;
pub use self::error::Error;
pub use self::layer::{AuthLayer, Authenticated};
pub use self::relay::Relay;
pub use self::trail::Trail;
pub use self::user_name::is_user_name;

/// The caller of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The authenticated user; `None` when nobody is asked who they are.
    pub user: Option<String>,
    /// Where the call comes from, as far as a trusted proxy or the connection tells.
    pub address: Option<IpAddr>,
}
