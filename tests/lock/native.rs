//! Each RPC of `LockService`, as an example of how to use it.

mod admin;
mod leases;
mod listing;
mod modes;
mod requests;
mod waiting;
mod watching;
