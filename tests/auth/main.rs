//! Who callers are and how they are spoken to, from outside: the real binary through its ports.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod authority;
mod cli;
mod client;
mod floods;
mod gateway;
mod http2;
mod overheard;
mod shell;
mod tls;
