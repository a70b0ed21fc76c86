//! `steward rest-server` itself: its flags, where it listens, what it logs and what it measures.

mod flags;
mod listening;
mod logs;
mod metrics;
