//! An NBD server: devices for qemu, the kernel's client, nbdcopy and whatever else speaks the protocol.
//!
//! It serves a [`Device`](super::device::Device) and knows nothing of what is behind one; whose devices there are, and
//! who may have them, says an [`Exports`].
//!
//! Every connection has a thread with blocking sockets. It takes all requests that have arrived, answers them into one
//! buffer, and sends that at once. What has to wait for a disk goes to a pool of threads that all connections share, so
//! that the requests behind it do not wait too.
//!
//! - `server` listens, counts and stops; `watch` ends a connection from outside.
//! - `handshake` is the first phase of the protocol, `transmission` the second one.
//! - `request`, `read`, `status` and `execute` are what a request is and what it does.
//! - `input`, `output`, `link`, `socket` and `writer` move the bytes.
//! - `pool`, `lanes`, `in_flight` and `budget` are the requests that wait for a disk.
//! - `protocol` has the protocol's numbers, `problem` the errors in them.

mod budget;
mod connection;
mod execute;
mod exports;
mod handshake;
mod in_flight;
mod input;
mod lanes;
mod link;
mod listener;
mod measures;
mod output;
mod pool;
mod problem;
mod protocol;
mod read;
mod request;
mod server;
mod settings;
mod socket;
mod status;
#[cfg(test)]
mod tests;
mod transmission;
mod watch;
mod writer;

pub use exports::{Caller, ExportName, Exports, OpenError, Peer, PeerAddress, Session};
pub use server::Server;
pub use settings::Settings;
