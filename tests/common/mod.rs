//! What every area's tests stand on: the real binary, its ports, its users, and ways to wait.

pub(crate) mod certificates;
pub(crate) mod http;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod rest_server;
pub(crate) mod server;
pub(crate) mod temporary;
pub(crate) mod users;
pub(crate) mod wait;
