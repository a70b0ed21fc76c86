//! Puts the parts together, serves them, and takes them down again.

mod access_log;
mod advice;
mod artifacts;
mod browsers;
mod data_dir;
mod farm;
mod grpc;
mod hosts;
mod http;
mod listen;
mod methods;
mod open_files;
mod open_upstream;
mod operators;
mod options;
mod readiness;
mod repositories;
mod rest_server;
mod running;
mod stop;
mod timeout;
mod upstream;
mod volumes;

pub use self::operators::MetricsAccess;
pub use self::rest_server::{RestServerOptions, rest_server};
pub use self::running::{gateway, serve};
