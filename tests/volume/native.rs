//! Each RPC, as an example of how to use it.

mod changes;
mod exports;
mod snapshots;
mod streams;
mod watching;
