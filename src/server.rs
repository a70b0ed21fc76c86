//! Puts the parts together, serves them, and takes them down again.

mod data_dir;
mod grpc;
mod http;
mod methods;
mod repositories;
mod running;
mod stop;
mod timeout;

pub use self::running::{gateway, serve};
