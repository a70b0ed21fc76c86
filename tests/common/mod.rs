//! What every area's tests stand on: the real binary, its ports, and ways to wait.

pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod server;
pub(crate) mod wait;
