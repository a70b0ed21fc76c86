//! The one operation.

use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::operation_service_server::OperationService;
use tonic::{Request, Response};

use super::{Sent, Service, sent};
use crate::cli::testing::{Answer, not_here};

#[tonic::async_trait]
impl OperationService for Service {
    type WatchOperationStream = Sent<pb::WatchOperationResponse>;

    async fn get_operation(&self, request: Request<pb::GetOperationRequest>) -> Answer<pb::GetOperationResponse> {
        let operation = self.take(&request.into_inner(), |state| state.operation());
        Ok(Response::new(pb::GetOperationResponse { operation }))
    }

    async fn list_operations(&self, request: Request<pb::ListOperationsRequest>) -> Answer<pb::ListOperationsResponse> {
        let operations = self.take(&request.into_inner(), |state| state.operation().into_iter().collect());
        Ok(Response::new(pb::ListOperationsResponse { operations, ..Default::default() }))
    }

    async fn wait_operation(&self, _: Request<pb::WaitOperationRequest>) -> Answer<pb::WaitOperationResponse> {
        Err(not_here())
    }

    async fn watch_operation(&self, request: Request<pb::WatchOperationRequest>) -> Answer<Self::WatchOperationStream> {
        // One step a connection: the next has to be asked for again.
        let step = self.take(&request.into_inner(), |state| match state.operation.len() {
            0 | 1 => state.operation(),
            _ => Some(state.operation.remove(0)),
        });
        Ok(sent(vec![pb::WatchOperationResponse { operation: step }]))
    }

    async fn cancel_operation(
        &self,
        request: Request<pb::CancelOperationRequest>,
    ) -> Answer<pb::CancelOperationResponse> {
        let operation = self.take(&request.into_inner(), |state| state.operation());
        Ok(Response::new(pb::CancelOperationResponse { operation }))
    }

    async fn pause_operation(&self, request: Request<pb::PauseOperationRequest>) -> Answer<pb::PauseOperationResponse> {
        let operation = self.take(&request.into_inner(), |state| state.operation());
        Ok(Response::new(pb::PauseOperationResponse { operation }))
    }

    async fn resume_operation(
        &self,
        request: Request<pb::ResumeOperationRequest>,
    ) -> Answer<pb::ResumeOperationResponse> {
        let operation = self.take(&request.into_inner(), |state| state.operation());
        Ok(Response::new(pb::ResumeOperationResponse { operation }))
    }

    async fn set_operation_speed(
        &self,
        request: Request<pb::SetOperationSpeedRequest>,
    ) -> Answer<pb::SetOperationSpeedResponse> {
        let operation = self.take(&request.into_inner(), |state| state.operation());
        Ok(Response::new(pb::SetOperationSpeedResponse { operation }))
    }

    async fn delete_operation(&self, _: Request<pb::DeleteOperationRequest>) -> Answer<pb::DeleteOperationResponse> {
        Err(not_here())
    }
}
