//! The videos of the fake.

use steward_proto::transcode::v1::video_service_server::VideoService;
use steward_proto::transcode::v1::*;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Service, State, count, next_stream, not_found, page};
use crate::cli::testing::{Answer, AnswerStream, not_here};

#[tonic::async_trait]
impl VideoService for Service {
    type WatchVideosStream = AnswerStream<WatchVideosResponse>;
    type ReadSourceStream = AnswerStream<ReadSourceResponse>;

    async fn list_videos(&self, request: Request<ListVideosRequest>) -> Answer<ListVideosResponse> {
        let request = request.into_inner();
        Ok(Response::new(self.take(&request, |state| {
            let (videos, next_page_token) = page(&state.videos, request.page_size, request.page, &request.page_token);
            ListVideosResponse { videos, next_page_token, total_size: count(&state.videos) }
        })))
    }

    async fn get_video(&self, request: Request<GetVideoRequest>) -> Answer<GetVideoResponse> {
        let request = request.into_inner();
        self.take(&request, |state| {
            let video = state.videos.iter().find(|video| video.id == request.id).cloned();
            let video = video.ok_or_else(|| not_found("VIDEO_NOT_FOUND"))?;
            Ok(Response::new(GetVideoResponse { video: Some(video) }))
        })
    }

    async fn register_videos(&self, request: Request<RegisterVideosRequest>) -> Answer<RegisterVideosResponse> {
        let request = request.into_inner();
        self.take(&request, |state| register(state, &request.videos))
    }

    async fn requeue_videos(&self, request: Request<RequeueVideosRequest>) -> Answer<RequeueVideosResponse> {
        let requeued = self.take(request.get_ref(), |_| count(&request.get_ref().ids));
        Ok(Response::new(RequeueVideosResponse { requeued }))
    }

    async fn watch_videos(&self, request: Request<WatchVideosRequest>) -> Answer<Self::WatchVideosStream> {
        Ok(self.take(request.get_ref(), |state| next_stream(&mut state.video_streams)))
    }

    async fn read_source(&self, _: Request<ReadSourceRequest>) -> Answer<Self::ReadSourceStream> {
        Err(not_here())
    }

    async fn get_result(&self, _: Request<GetResultRequest>) -> Answer<GetResultResponse> {
        Err(not_here())
    }

    async fn write_result(&self, _: Request<Streaming<WriteResultRequest>>) -> Answer<WriteResultResponse> {
        Err(not_here())
    }
}

/// All or none.
fn register(state: &mut State, videos: &[Video]) -> Answer<RegisterVideosResponse> {
    let mut details = ErrorDetails::with_error_info("INVALID_ARGUMENT", "steward", std::collections::HashMap::new());
    for (index, video) in videos.iter().enumerate() {
        if state.refused_paths.contains(&video.video_path) {
            details.add_bad_request_violation(format!("videos[{index}].video_path"), "is not a path");
        }
    }
    if details.has_bad_request_violations() {
        return Err(Status::with_error_details(Code::InvalidArgument, "refused by the fake", details));
    }
    let mut added = 0;
    for video in videos {
        if state.videos.iter().all(|known| known.video_path != video.video_path) {
            state.videos.push(video.clone());
            added += 1;
        }
    }
    Ok(Response::new(RegisterVideosResponse { ids: (1..=count(videos)).collect(), added }))
}
