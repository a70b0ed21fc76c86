//! `ExportService`.

use std::time::Duration;

use steward_proto::volume::v1 as api;
use steward_proto::volume::v1::export_service_server::ExportService;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::rights::{Asker, rights_to_open};
use super::{VolumeServer, answer, fields};
use crate::auth::rights::Right;
use crate::error::{Category, Failure};
use crate::fields::Fields;
use crate::volume::convert_operation as convert;
use crate::volume::exports::{OpenExport, ShownExport};
use crate::volume::path::MAX_NAME_BYTES;

/// How long an export may live without a word.
const TTL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_hours(24));
/// How long it lives that says nothing about it.
const DEFAULT_TTL: Duration = Duration::from_mins(1);

impl VolumeServer {
    async fn handle_open_export(
        &self,
        request: Request<api::OpenExportRequest>,
    ) -> Result<api::OpenExportResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let mut fields = Fields::default();
        fields.text("snapshot", &request.snapshot, MAX_NAME_BYTES);
        let ttl = fields.duration("ttl", request.ttl, TTL).unwrap_or(DEFAULT_TTL);
        if request.exclusive && (request.read_only || !request.snapshot.is_empty()) {
            fields.reject("exclusive", "is for an export that is written");
        }
        fields.check()?;
        let what = OpenExport {
            volume: fields::which("volume", request.volume)?,
            snapshot: (!request.snapshot.is_empty()).then_some(request.snapshot),
            read_only: request.read_only,
            exclusive: request.exclusive,
            ttl,
            caller: asker.reach.caller().clone(),
        };
        for right in rights_to_open(what.read_only || what.snapshot.is_some()) {
            self.require(&asker, *right, &what.volume).await?;
        }
        let export = self.catalog.open_export(&asker.user, what).await?;
        Ok(api::OpenExportResponse { export: Some(convert::export(export)) })
    }

    async fn handle_keep_alive(
        &self,
        request: &Request<api::KeepExportAliveRequest>,
    ) -> Result<api::KeepExportAliveResponse, Failure> {
        let asker = self.asker(request, &request.get_ref().user)?;
        let uuid = export_uuid(&request.get_ref().uuid)?;
        self.require_export(&asker, uuid).await?;
        let export = self.catalog.keep_export_alive(&asker.user, uuid).await?;
        Ok(api::KeepExportAliveResponse { export: Some(convert::export(export)) })
    }

    async fn handle_close_export(
        &self,
        request: &Request<api::CloseExportRequest>,
    ) -> Result<api::CloseExportResponse, Failure> {
        let asker = self.asker(request, &request.get_ref().user)?;
        let uuid = export_uuid(&request.get_ref().uuid)?;
        match self.require_export(&asker, uuid).await {
            // As for one that is not there.
            Err(refused) if refused.category() == Category::NotFound => {}
            Err(refused) => return Err(refused),
            Ok(()) => self.catalog.close_export(&asker.user, uuid)?,
        }
        Ok(api::CloseExportResponse {})
    }

    async fn handle_list_exports(
        &self,
        request: Request<api::ListExportsRequest>,
    ) -> Result<api::ListExportsResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let volume = fields::optional_which("volume", request.into_inner().volume)?;
        if let Some(volume) = &volume {
            self.require(&asker, Right::Read, volume).await?;
        }
        let mut exports = self.catalog.list_exports(&asker.user, volume.as_ref()).await?;
        exports.retain(|export| asker.reach.is_everything() || asker.reach.has(Right::Read, &export.path));
        Ok(api::ListExportsResponse { exports: exports.into_iter().map(|export| told(&asker, export)).collect() })
    }
}

/// What is told of an export: how to open it only to those who might have opened it themselves, since who knows its UUID
/// can.
fn told(asker: &Asker, export: ShownExport) -> api::Export {
    let has = |right: &Right| asker.reach.is_everything() || asker.reach.has(*right, &export.path);
    let may_open = rights_to_open(export.is_read_only).iter().all(has);
    let mut told = convert::export(export);
    if !may_open {
        told.uuid.clear();
        told.uris.clear();
    }
    told
}

fn export_uuid(uuid: &str) -> Result<Uuid, Failure> {
    let mut fields = Fields::default();
    let uuid = fields.required_uuid("uuid", uuid);
    fields.check()?;
    Ok(uuid)
}

#[tonic::async_trait]
impl ExportService for VolumeServer {
    async fn open_export(
        &self,
        request: Request<api::OpenExportRequest>,
    ) -> Result<Response<api::OpenExportResponse>, Status> {
        answer(self.handle_open_export(request).await)
    }

    async fn keep_export_alive(
        &self,
        request: Request<api::KeepExportAliveRequest>,
    ) -> Result<Response<api::KeepExportAliveResponse>, Status> {
        answer(self.handle_keep_alive(&request).await)
    }

    async fn close_export(
        &self,
        request: Request<api::CloseExportRequest>,
    ) -> Result<Response<api::CloseExportResponse>, Status> {
        answer(self.handle_close_export(&request).await)
    }

    async fn list_exports(
        &self,
        request: Request<api::ListExportsRequest>,
    ) -> Result<Response<api::ListExportsResponse>, Status> {
        answer(self.handle_list_exports(request).await)
    }
}
