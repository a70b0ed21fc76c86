//! Pages of long lists, one after the other.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::BoxError;
use crate::http::Connection;
use crate::load::Measured;
use crate::steward::Steward;

/// How far into a list.
const FAR: u64 = 5000;
/// Enough for a percentile.
const REQUESTS: usize = 300;

/// The lists, each with a filter and a sort.
const LISTS: [(&str, &str); 7] = [
    ("videos, newest first", "/api/v1/videos?"),
    ("videos waiting, h264, by bitrate", "/api/v1/videos?transcode_status[]=1&codec[]=h264&sort_by=bitrate_k&"),
    ("videos not VR, by size", "/api/v1/videos?is_vr=0&sort_by=video_size&order=asc&"),
    ("videos of 5 to 6 Mbit/s, by path", "/api/v1/videos?min_bitrate=5000&max_bitrate=6000&sort_by=video_path&"),
    ("tasks, newest first", "/api/v1/tasks?"),
    ("tasks completed, by path", "/api/v1/tasks?status[]=2&sort_by=video_path&"),
    ("logs of two levels, newest first", "/api/v1/logs?log_level[]=1&log_level[]=3&"),
];

/// What was seen of one page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) what: String,
    pub(crate) measured: Measured,
}

pub(crate) async fn measure(steward: &Steward, time: Duration) -> Result<Vec<Page>, BoxError> {
    let mut connection = Connection::open(steward.http).await?;
    let mut pages = Vec::new();
    for (what, path) in LISTS {
        let first: Value = serde_json::from_slice(connection.request("GET", path, "").await?)?;
        let pagination = [&first["pagination"], &first["data"]["pagination"]].into_iter().find(|it| it.is_object());
        let last = pagination.and_then(|pagination| pagination["pages"].as_u64()).ok_or("a list without pages")?;
        for number in [1, FAR.min(last.max(1))] {
            let page = format!("{path}page={number}&per_page=20");
            let measured = again_and_again(&mut connection, &page, time).await?;
            pages.push(Page { what: format!("{what}: page {number}"), measured });
        }
    }
    Ok(pages)
}

async fn again_and_again(connection: &mut Connection, path: &str, time: Duration) -> Result<Measured, BoxError> {
    let start = Instant::now();
    let mut latencies = Vec::new();
    while latencies.len() < REQUESTS && start.elapsed() < time {
        let before = Instant::now();
        connection.request("GET", path, "").await?;
        latencies.push(before.elapsed());
    }
    Ok(Measured::of(latencies, start.elapsed()))
}
