//! The calls of `VideoService` that carry bytes.

use steward_proto::transcode::v1 as api;
use tonic::Streaming;

use super::{Answers, FarmServer};
use crate::error::{Category, Failure};

impl FarmServer {
    pub(super) async fn open_source(
        &self,
        _: &api::ReadSourceRequest,
    ) -> Result<Answers<api::ReadSourceResponse>, Failure> {
        Err(Failure::new(Category::Unimplemented, "UNIMPLEMENTED", "later"))
    }

    pub(super) async fn handle_get_result(&self, _: &api::GetResultRequest) -> Result<api::GetResultResponse, Failure> {
        Err(Failure::new(Category::Unimplemented, "UNIMPLEMENTED", "later"))
    }

    pub(super) async fn handle_write_result(
        &self,
        _: Streaming<api::WriteResultRequest>,
    ) -> Result<api::WriteResultResponse, Failure> {
        Err(Failure::new(Category::Unimplemented, "UNIMPLEMENTED", "later"))
    }
}
