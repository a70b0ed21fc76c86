//! One video, fetched in small parts, and its result.

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use steward_proto::transcode::v1::video_service_server::VideoService;
use steward_proto::transcode::v1::*;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use super::State;
use crate::cli::testing::{Answer, AnswerStream, not_here};

#[derive(Debug)]
pub(super) struct Videos {
    pub(super) state: watch::Sender<State>,
}

const PART_BYTES: usize = 10_000;

#[tonic::async_trait]
impl VideoService for Videos {
    type WatchVideosStream = AnswerStream<WatchVideosResponse>;
    type ReadSourceStream = AnswerStream<ReadSourceResponse>;

    async fn read_source(&self, request: Request<ReadSourceRequest>) -> Answer<Self::ReadSourceStream> {
        let request = request.into_inner();
        let offset = usize::try_from(request.offset).unwrap();
        let (mut source, mut end) = (Bytes::new(), None);
        self.state.send_modify(|state| {
            state.downloads.push(request);
            source = state.source.clone();
            end = state.source_break.take();
        });
        let total_bytes = i64::try_from(source.len()).unwrap();
        let last = end.map_or(source.len(), |bytes| offset + bytes);
        let part = |start: usize| ReadSourceResponse {
            offset: i64::try_from(start).unwrap(),
            chunk: source.slice(start..(start + PART_BYTES).min(last)),
            total_bytes,
        };
        let mut parts: Vec<_> = (offset..last).step_by(PART_BYTES).map(|start| Ok(part(start))).collect();
        if end.is_some() {
            parts.push(Err(Status::unavailable("the cable is cut")));
        }
        Ok(Response::new(stream::iter(parts).boxed()))
    }

    async fn get_result(&self, _: Request<GetResultRequest>) -> Answer<GetResultResponse> {
        let offset = i64::try_from(self.state.borrow().result.len()).unwrap();
        Ok(Response::new(GetResultResponse { offset }))
    }

    async fn write_result(&self, request: Request<Streaming<WriteResultRequest>>) -> Answer<WriteResultResponse> {
        let mut parts = request.into_inner();
        let mut extension = None;
        let mut received = 0;
        while let Some(part) = parts.message().await? {
            let mut is_cut = false;
            received += part.chunk.len();
            self.state.send_modify(|state| {
                assert_eq!(usize::try_from(part.offset).unwrap(), state.result.len());
                state.result.extend_from_slice(&part.chunk);
                if extension.is_none() {
                    extension = Some(part.extension.clone());
                    state.uploads.push(WriteResultRequest { chunk: Bytes::new(), ..part.clone() });
                }
                state.digest.clone_from(&part.sha256);
                is_cut = state.result_break.take_if(|bytes| received >= *bytes).is_some();
            });
            if is_cut {
                return Err(Status::unavailable("the cable is cut"));
            }
        }
        let size_bytes = i64::try_from(self.state.borrow().result.len()).unwrap();
        let video_path = format!("films/v.{}", extension.unwrap_or_default());
        Ok(Response::new(WriteResultResponse { size_bytes, video_path }))
    }

    async fn list_videos(&self, _: Request<ListVideosRequest>) -> Answer<ListVideosResponse> {
        Err(not_here())
    }

    async fn get_video(&self, _: Request<GetVideoRequest>) -> Answer<GetVideoResponse> {
        Err(not_here())
    }

    async fn register_videos(&self, _: Request<RegisterVideosRequest>) -> Answer<RegisterVideosResponse> {
        Err(not_here())
    }

    async fn requeue_videos(&self, _: Request<RequeueVideosRequest>) -> Answer<RequeueVideosResponse> {
        Err(not_here())
    }

    async fn watch_videos(&self, _: Request<WatchVideosRequest>) -> Answer<Self::WatchVideosStream> {
        Err(not_here())
    }
}
