//! The legacy API of a farm of transcoding workers: `/api/v1`, and what it lacked below `/api/v2`.
//!
//! A worker registers, beats, asks for tasks and reports on them; a page shows workers, tasks, videos and logs. The
//! original was a Python program.
//!
//! Quirk: every answer is `{"code":…,"data":…,"message":…}` with the keys in order, a newline behind it, and `code` is
//! the HTTP status; but a worker that is to go is told so by the code 205 with the HTTP status 200.
//! Quirk: no content type is ever looked at: a body is JSON or it is refused. What a body has beside the known fields
//! is ignored.
//! Quirk: numbers may come as fractions, which are rounded half away from zero, as texts and as booleans.
//! Quirk: filters and page numbers that are no numbers are ignored; the pages of logs alone are refused below 1.
//! Quirk: a page past the end is an empty list.
//! Quirk: numbers of states are those of the protocol less one, and a cancelled task counts as failed.
//! Quirk: times are UTC without saying so, to the second; fractions have single precision.
//! Quirk: the last report on a task is not refused to its worker for what it says of the task beside its end, and is
//! tried again where the service is busy: a real worker that is refused waits for ever.
//! Quirk: the id of a task is a UUID, but videos and logs name tasks by a number.
//! Quirk: which field is wrong travels in the header `x-error-field`, so that the bodies stay as they were.

mod answer;
mod body;
mod claim;
mod cors;
mod entries;
mod events;
mod literal;
mod log_time;
mod number;
mod offline;
mod page;
mod path;
mod query;
mod range;
mod refusal;
mod report;
mod result;
mod row;
mod source;
mod stats;
mod tasks;
mod transfer;
mod videos;
mod workers;

use std::time::Duration;

use axum::Router;
use axum::routing::{any, get, post, put};
use http::StatusCode;
use steward_proto::transcode::v1::log_service_client::LogServiceClient;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;
use tokio_util::sync::CancellationToken;

use self::refusal::Refusal;
use crate::options::{Options, TranscodeOptions};
use crate::upstream::Channel;

/// For an answer, or for the start of one that is streamed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest message that is read: a page of a thousand rows, each with long texts.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

const NO_ROUTE: Refusal = Refusal::new(StatusCode::NOT_FOUND, "接口不存在");
const NO_METHOD: Refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "请求方法不允许");

/// Serves everything below `/api/` by calls over `channel`; ends event streams when `shutdown` is cancelled.
pub(crate) fn router(channel: Channel, options: Options, shutdown: CancellationToken) -> Router {
    let cors = cors::Cors::new(options.transcode.cors_origin.clone());
    let routes = Router::new()
        .route("/api/v1/workers", get(workers::list).post(workers::register))
        .route("/api/v1/workers/stats", get(stats::workers))
        .route("/api/v1/workers/heartbeat", post(workers::heartbeat))
        .route("/api/v1/workers/{id}", get(workers::get).put(workers::update).delete(workers::delete))
        .route("/api/v1/workers/{id}/offline", post(offline::set).delete(offline::cancel))
        .route("/api/v1/tasks", get(tasks::list).post(claim::claim))
        .route("/api/v1/tasks/stats", get(stats::tasks))
        .route("/api/v1/tasks/{id}", get(tasks::get).patch(report::report))
        .route("/api/v1/videos", get(videos::list))
        .route("/api/v1/videos/{id}", get(videos::get))
        .route("/api/v1/logs", get(entries::list).post(entries::create))
        .route("/api/v1/stream/source/{id}", get(source::read))
        .route("/api/v1/stream/result/{id}", put(result::write).get(result::progress))
        .route("/api/v2/tasks/{id}/cancel", post(tasks::cancel))
        .route("/api/v2/tasks/{id}/retry", post(tasks::retry))
        .route("/api/v2/events", get(events::subscribe));
    // What else is below `/api` is no other API's.
    let nothing = ["/api", "/api/", "/api/{*path}"];
    let routes = nothing.iter().fold(routes, |routes, path| routes.route(path, any(async || NO_ROUTE)));
    routes
        .method_not_allowed_fallback(async || NO_METHOD)
        .layer(axum::middleware::from_fn_with_state(cors, cors::allow))
        .with_state(Farm::new(channel, options, shutdown))
}

/// What the handlers need.
#[derive(Clone)]
struct Farm {
    workers: WorkerServiceClient<Channel>,
    tasks: TaskServiceClient<Channel>,
    videos: VideoServiceClient<Channel>,
    logs: LogServiceClient<Channel>,
    options: Options,
    shutdown: CancellationToken,
}

impl Farm {
    fn new(channel: Channel, options: Options, shutdown: CancellationToken) -> Self {
        Self {
            workers: WorkerServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            tasks: TaskServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            videos: VideoServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES),
            logs: LogServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES),
            options,
            shutdown,
        }
    }

    /// How answers are written.
    fn style(&self) -> &TranscodeOptions {
        &self.options.transcode
    }
}
