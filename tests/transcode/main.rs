//! Transcoding, from outside: the real binary through its ports, with hand-made HTTP, gRPC, a worker as it was before
//! and real workers with a real ffmpeg.

#[expect(dead_code, reason = "every area uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;

mod claims;
mod crash;
mod farm;
mod grpcurl;
mod http_table;
mod legacy_worker;
mod lists;
mod logs;
mod offline;
mod registration;
mod retention;
mod rights;
mod session;
mod transitions;
mod vocabulary;
mod watch;
