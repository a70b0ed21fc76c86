//! Users, rights, TLS and the audit, from outside: the real binary through its ports.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod audit;
mod authority;
mod cli;
mod client;
mod floods;
mod gateway;
mod http2;
mod issuer;
mod limits;
mod oidc;
mod overheard;
mod reload;
mod secrecy;
mod secrets;
mod shell;
mod tls;
#[path = "../restic/users.rs"]
mod users;
