//! Users, rights, TLS and the audit, from outside: the real binary through its ports.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod audit;
mod authority;
mod browsers;
mod cli;
mod client;
mod floods;
mod gateway;
mod http2;
mod issuer;
#[expect(dead_code, reason = "only images are pushed here, and no indexes")]
#[path = "../artifact/layout.rs"]
mod layout;
mod limits;
mod matrix;
mod oidc;
mod overheard;
mod programs;
mod reload;
mod routes;
mod secrecy;
mod secrets;
mod shell;
mod stalls;
mod tls;
mod tokens;
#[path = "../artifact/tool.rs"]
mod tool;
