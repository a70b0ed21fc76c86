//! Exports.

use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::export_service_server::ExportService;
use tonic::{Request, Response};

use super::{Service, not_found};
use crate::cli::testing::Answer;

#[tonic::async_trait]
impl ExportService for Service {
    async fn open_export(&self, request: Request<pb::OpenExportRequest>) -> Answer<pb::OpenExportResponse> {
        let request = request.into_inner();
        let export = self.take(&request, |state| {
            let volume_path = state.volume(request.volume.as_ref())?.path.clone();
            let export = pb::Export {
                uuid: "e-1".to_owned(),
                uris: vec![format!("nbd://127.0.0.1:10809/{volume_path}")],
                volume_path,
                ..pb::Export::default()
            };
            state.exports.push(export.clone());
            Ok::<_, tonic::Status>(export)
        })?;
        Ok(Response::new(pb::OpenExportResponse { export: Some(export) }))
    }

    async fn keep_export_alive(
        &self,
        request: Request<pb::KeepExportAliveRequest>,
    ) -> Answer<pb::KeepExportAliveResponse> {
        let request = request.into_inner();
        let export =
            self.take(&request, |state| state.exports.iter().find(|export| export.uuid == request.uuid).cloned());
        Ok(Response::new(pb::KeepExportAliveResponse { export: Some(export.ok_or_else(not_found)?) }))
    }

    async fn close_export(&self, request: Request<pb::CloseExportRequest>) -> Answer<pb::CloseExportResponse> {
        let request = request.into_inner();
        self.take(&request, |state| state.exports.retain(|export| export.uuid != request.uuid));
        Ok(Response::new(pb::CloseExportResponse {}))
    }

    async fn list_exports(&self, request: Request<pb::ListExportsRequest>) -> Answer<pb::ListExportsResponse> {
        let exports = self.take(&request.into_inner(), |state| state.exports.clone());
        Ok(Response::new(pb::ListExportsResponse { exports }))
    }
}
