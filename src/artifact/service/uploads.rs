//! The calls about uploads.

use std::time::Duration;

use futures::StreamExt as _;
use steward_gateway::Chunks;
use steward_proto::artifact::v1 as api;
use steward_proto::artifact::v1::write_upload_request::Part as WritePart;
use steward_proto::store::v1::UploadRecord;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::blobs::{blob, parse_digest, signed, unsigned};
use super::{ArtifactServer, status};
use crate::artifact::error::Error;
use crate::artifact::place::Place;
use crate::artifact::sight::Sight;
use crate::artifact::upload_sessions::Uploader;
use crate::artifact::upload_write::Writing;
use crate::artifact::uploads::Started;

/// How long a caller may bring nothing. What came before is kept, but nobody else can go on meanwhile.
const PATIENCE: Duration = Duration::from_mins(5);

impl ArtifactServer {
    pub(super) async fn handle_start_upload(
        &self,
        request: api::StartUploadRequest,
        by: &Uploader,
        sight: &Sight,
    ) -> Result<api::StartUploadResponse, Error> {
        let place = Place::parse("target", request.target)?;
        let size = unsigned("size", request.size)?;
        let digest = Some(request.digest).filter(|digest| !digest.is_empty());
        let digest = digest.map(|digest| parse_digest("digest", &digest)).transpose()?;
        // Bytes that others have are given to those who may read them.
        let started = if sight.is_unbounded() {
            self.artifacts.start_upload(&place, digest.as_ref(), size, by).await?
        } else {
            // Nor is it told to others that they are there.
            let known = digest.as_ref().filter(|_| place.is_image() || place.is_seen(sight));
            self.artifacts.start_own_upload(&place, (digest.as_ref(), known), size, by).await?
        };
        Ok(match (started, digest) {
            (Started::Upload(id, record), _) => {
                api::StartUploadResponse { upload: Some(self.upload(id, &record)), blob: None }
            }
            (Started::There(size), digest) => {
                api::StartUploadResponse { upload: None, blob: digest.map(|digest| blob(&digest, size)) }
            }
        })
    }

    /// A caller who goes away leaves what came: that is what dropping [`Writing`] does.
    pub(super) async fn handle_write_upload(
        &self,
        mut parts: Streaming<api::WriteUploadRequest>,
        direct: Option<Chunks>,
        _user: &str,
    ) -> Result<api::WriteUploadResponse, Status> {
        let Some(WritePart::Start(start)) = next_part(&mut parts).await? else {
            return Err(status(odd_part("the first part has to be `start`")));
        };
        let id = parse_id(&start.upload_id).map_err(status)?;
        let place = Place::parse("start.target", start.target).map_err(status)?;
        let offset = start.offset.map(|offset| unsigned("start.offset", offset)).transpose().map_err(status)?;
        let mut writing = self.artifacts.write_upload(&place, id, offset).await.map_err(status)?;
        if let Some(mut chunks) = direct {
            while let Some(chunk) = chunks.next().await {
                writing.accept(chunk).await.map_err(status)?;
            }
        }
        let (writing, size) = receive(writing, &mut parts).await?;
        let record = writing.finish(size).await.map_err(status)?;
        Ok(api::WriteUploadResponse { upload: Some(self.upload(id, &record)) })
    }

    pub(super) async fn handle_get_upload(
        &self,
        request: api::GetUploadRequest,
        _user: &str,
    ) -> Result<api::GetUploadResponse, Error> {
        let id = parse_id(&request.upload_id)?;
        let place = Place::parse("target", request.target)?;
        let record = self.artifacts.get_upload(&place, id).await?;
        Ok(api::GetUploadResponse { upload: Some(self.upload(id, &record)) })
    }

    pub(super) async fn handle_finish_upload(
        &self,
        request: api::FinishUploadRequest,
        _user: &str,
    ) -> Result<api::FinishUploadResponse, Error> {
        let id = parse_id(&request.upload_id)?;
        let place = Place::parse("target", request.target)?;
        let digest = parse_digest("digest", &request.digest)?;
        let size = self.artifacts.finish_upload(&place, id, &digest).await?;
        Ok(api::FinishUploadResponse { blob: Some(blob(&digest, size)) })
    }

    pub(super) async fn handle_cancel_upload(
        &self,
        request: api::CancelUploadRequest,
        _user: &str,
    ) -> Result<api::CancelUploadResponse, Error> {
        let id = parse_id(&request.upload_id)?;
        let place = Place::parse("target", request.target)?;
        self.artifacts.cancel_upload(&place, id).await?;
        Ok(api::CancelUploadResponse {})
    }

    fn upload(&self, id: Uuid, record: &UploadRecord) -> api::Upload {
        let retention = u64::try_from(self.artifacts.settings.upload_retention.as_micros()).unwrap_or(u64::MAX);
        api::Upload {
            id: id.to_string(),
            offset: signed(record.offset),
            create_time: time(record.create_us),
            expire_time: time(record.touch_us.saturating_add(retention)),
        }
    }
}

fn time(micros: u64) -> Option<prost_types::Timestamp> {
    let seconds = i64::try_from(micros / 1_000_000).ok()?;
    let nanos = i32::try_from(micros % 1_000_000).ok()? * 1000;
    Some(prost_types::Timestamp { seconds, nanos })
}

/// An id of ours; what is none belongs to no upload.
fn parse_id(text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| Error::UploadNotFound(text.chars().take(64).collect()))
}

async fn next_part(parts: &mut Streaming<api::WriteUploadRequest>) -> Result<Option<WritePart>, Status> {
    let Ok(message) = tokio::time::timeout(PATIENCE, parts.message()).await else {
        return Err(Status::deadline_exceeded("nothing more of the upload came for five minutes"));
    };
    match message? {
        Some(api::WriteUploadRequest { part: Some(part) }) => Ok(Some(part)),
        Some(api::WriteUploadRequest { part: None }) => Err(status(odd_part("is empty"))),
        None => Ok(None),
    }
}

/// Takes all chunks. Returns what `finish` says the size is.
async fn receive(
    mut writing: Writing,
    parts: &mut Streaming<api::WriteUploadRequest>,
) -> Result<(Writing, u64), Status> {
    loop {
        match next_part(parts).await? {
            Some(WritePart::Chunk(chunk)) => writing.accept(chunk).await.map_err(status)?,
            Some(WritePart::Finish(finish)) => {
                let size = unsigned("finish.size", finish.size).map_err(status)?;
                return Ok((writing, size));
            }
            Some(WritePart::Start(_)) => return Err(status(odd_part("`start` comes once"))),
            None => return Err(status(writing.without_end())),
        }
    }
}

fn odd_part(problem: &str) -> Error {
    Error::invalid("part", problem)
}
