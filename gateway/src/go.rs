//! What Go's standard library reads and writes, for the APIs whose original servers were Go programs.

pub(crate) mod json;
pub(crate) mod query;
