//! `/videos`: what is in the libraries.
//!
//! Quirk: sizes are mebibytes, and the columns to sort by have the names of the original's tables.
//! Quirk: a page of the original asks for `is_vr=undefined`, which asks for nothing.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use steward_proto::transcode::v1::{GetVideoRequest, ListVideosRequest, ListVideosResponse};

use super::number::{MEBIBYTE, round};
use super::page::Paging;
use super::path::Number;
use super::query::{Query, states};
use super::refusal::Refusal;
use super::row::VideoRow;
use super::{Farm, TIMEOUT, answer, number};
use crate::options::ListShape;
use crate::upstream::{Call, Caller};

/// Handles `GET /videos`.
pub(super) async fn list(State(mut farm): State<Farm>, caller: Caller, query: Query) -> Result<Response, Refusal> {
    let paging = Paging::of(&query);
    let filter = filter(&query);
    let can_match = filter.is_some();
    let message = ListVideosRequest {
        page_size: paging.per_page,
        page: paging.page,
        sort_by: column(&query).to_owned(),
        order: query.order().into(),
        ..filter.unwrap_or_default()
    };
    let call = Call::new("ListVideos", caller, TIMEOUT);
    let mut listed = call.run(farm.videos.list_videos(call.request(message))).await?;
    if !can_match {
        // Asked all the same, because only the service knows who may ask.
        listed = ListVideosResponse::default();
    }
    let style = farm.style().path_style;
    let rows: Vec<_> = listed.videos.iter().map(|video| VideoRow::new(video, style)).collect();
    let list = answer::List { name: "videos", rows: &rows, pagination: paging.within(listed.total_size) };
    Ok(answer::list(ListShape::Object, answer::FOUND, list))
}

/// Reads the filters; `None` when they leave nothing.
fn filter(query: &Query) -> Option<ListVideosRequest> {
    let status = |number| number::within(number, 0..=5).map(|number| number + 1).into_iter().collect();
    let is_vr = match query.whole("is_vr") {
        None => None,
        Some(0) => Some(false),
        Some(1) => Some(true),
        Some(_) => return None,
    };
    let max_bitrate = query.whole("max_bitrate");
    let max_size = query.fraction("max_size");
    if max_bitrate.is_some_and(|bitrate| bitrate < 0) || max_size.is_some_and(|size| size < 0.0) {
        return None;
    }
    Some(ListVideosRequest {
        statuses: states(&query.wholes("transcode_status[]"), status)?,
        is_vr,
        codecs: query.all("codec[]").filter(|codec| !codec.is_empty()).map(str::to_owned).collect(),
        min_bitrate_k: query.whole("min_bitrate").filter(|bitrate| *bitrate > 0).map(number::clamp),
        max_bitrate_k: max_bitrate.map(number::clamp),
        min_size_bytes: query.fraction("min_size").filter(|size| *size > 0.0).map(|size| bytes(size, f64::ceil)),
        max_size_bytes: max_size.map(|size| bytes(size, f64::floor)),
        ..ListVideosRequest::default()
    })
}

fn bytes(mebibytes: f64, rounded: fn(f64) -> f64) -> i64 {
    round(rounded(mebibytes * MEBIBYTE))
}

fn column(query: &Query) -> &'static str {
    match query.first("sort_by") {
        Some("id") => "id",
        Some("video_path") => "video_path",
        Some("codec") => "codec",
        Some("bitrate_k") => "bitrate_k",
        Some("resolutionall") => "pixels",
        Some("video_size") => "size_bytes",
        Some("fps") => "fps",
        Some("transcode_status") => "transcode_status",
        // Also `updatetime`, and `update_time` as the answers have it.
        _ => "update_time",
    }
}

/// Handles `GET /videos/{id}`.
pub(super) async fn get(State(mut farm): State<Farm>, caller: Caller, id: Number) -> Result<Response, Refusal> {
    let id = id.or(Refusal::no_video())?;
    let call = Call::new("GetVideo", caller, TIMEOUT);
    let found = call.run(farm.videos.get_video(call.request(GetVideoRequest { id }))).await?;
    let video = found.video.ok_or_else(|| Refusal::broken(&call, "no video"))?;
    Ok(answer::with(StatusCode::OK, answer::FOUND, VideoRow::new(&video, farm.style().path_style)))
}
