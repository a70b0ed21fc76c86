//! The query-string API, as its documents and its old clients have it.

mod dependencies;
mod documented;
mod idempotency;
mod lineages;
mod pages;
mod tasks;
