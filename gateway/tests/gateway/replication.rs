//! The API of distribution tasks and clusters against scripted services.

mod clusters;
mod failures;
mod fake;
mod once;
mod shown;
mod tasks;
mod watch;

/// Where tasks are.
const BASE: &str = "/replication/api/remote/distribution";
/// 2022-08-23T10:45:19.79.
const TIME: prost_types::Timestamp = prost_types::Timestamp { seconds: 1_661_251_519, nanos: 790_000_000 };

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
