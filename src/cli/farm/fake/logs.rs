//! The log of the fake.

use steward_proto::transcode::v1::log_service_server::LogService;
use steward_proto::transcode::v1::*;
use tonic::{Request, Response};

use super::{Service, count, next_stream, page};
use crate::cli::testing::{Answer, AnswerStream, not_here};

#[tonic::async_trait]
impl LogService for Service {
    type WatchLogsStream = AnswerStream<WatchLogsResponse>;

    async fn list_logs(&self, request: Request<ListLogsRequest>) -> Answer<ListLogsResponse> {
        let request = request.into_inner();
        Ok(Response::new(self.take(&request, |state| {
            let newest_first: Vec<_> = state.logs.iter().rev().cloned().collect();
            let (logs, next_page_token) = page(&newest_first, request.page_size, request.page, &request.page_token);
            ListLogsResponse { logs, next_page_token, total_size: count(&state.logs) }
        })))
    }

    async fn watch_logs(&self, request: Request<WatchLogsRequest>) -> Answer<Self::WatchLogsStream> {
        Ok(self.take(request.get_ref(), |state| next_stream(&mut state.log_streams)))
    }

    async fn create_log(&self, _: Request<CreateLogRequest>) -> Answer<CreateLogResponse> {
        Err(not_here())
    }
}
