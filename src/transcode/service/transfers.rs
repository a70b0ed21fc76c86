//! The calls of `VideoService` that carry bytes.

use std::time::Duration;

use futures::StreamExt as _;
use steward_proto::transcode::v1 as api;
use tonic::{Status, Streaming};

use super::{Answers, FarmServer};
use crate::error::Failure;
use crate::fields::Fields;
use crate::transcode::error::Error;
use crate::transcode::reach::Reach;
use crate::transcode::reports::Claimant;
use crate::transcode::transfers::Receiving;

/// The largest chunk that is taken, in bytes.
const MAX_CHUNK_BYTES: usize = 1024 * 1024;
/// How long the next part of a result may take to come.
const NEXT_PART_WITHIN: Duration = Duration::from_mins(2);
const SHA256_BYTES: usize = 32;
/// The longest ending of a name, in bytes.
const MAX_EXTENSION_BYTES: usize = 10;

impl FarmServer {
    pub(super) async fn open_source(
        &self,
        request: &api::ReadSourceRequest,
        reach: &Reach,
    ) -> Result<Answers<api::ReadSourceResponse>, Failure> {
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(&request.task_id);
        let claimant = fields.claimant(&request.lease_token, request.worker_id);
        let offset = fields.bytes("offset", request.offset);
        let limit = fields.bytes("limit", request.limit);
        fields.check()?;
        self.require_own_task(reach, uuid).await?;
        let source = self.farm.open_source(uuid, claimant).await?;
        let total_bytes = i64::try_from(source.size()).unwrap_or(i64::MAX);
        let chunks = source.chunks(offset, limit).map_err(Error::from)?;
        let answers = chunks.map(move |chunk| match chunk {
            Ok(chunk) => Ok(api::ReadSourceResponse {
                offset: i64::try_from(chunk.offset).unwrap_or(i64::MAX),
                chunk: chunk.bytes,
                total_bytes,
            }),
            Err(error) => Err(Status::from(Failure::from(Error::SourceUnreachable(error.to_string())))),
        });
        let shutdown = self.farm.shutdown.clone();
        // What ends without an error is whole.
        let cut_off = shutdown.clone().cancelled_owned();
        let farewell = futures::stream::once(async move {
            shutdown.is_cancelled().then(|| Err(Status::from(Failure::from(Error::ShuttingDown))))
        });
        Ok(answers.take_until(cut_off).chain(farewell.filter_map(std::future::ready)).boxed())
    }

    pub(super) async fn handle_get_result(
        &self,
        request: &api::GetResultRequest,
        reach: &Reach,
    ) -> Result<api::GetResultResponse, Failure> {
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(&request.task_id);
        let claimant = fields.claimant(&request.lease_token, request.worker_id);
        fields.check()?;
        self.require_own_task(reach, uuid).await?;
        let offset = self.farm.result_offset(uuid, claimant).await?;
        Ok(api::GetResultResponse { offset: i64::try_from(offset).unwrap_or(i64::MAX) })
    }

    pub(super) async fn handle_write_result(
        &self,
        mut parts: Streaming<api::WriteResultRequest>,
        reach: &Reach,
    ) -> Result<api::WriteResultResponse, Failure> {
        let Some(first) = next(&mut parts).await? else {
            return Err(Failure::invalid([("task_id", "is required".to_owned())]));
        };
        if let Some(answer) = self.answer_again(&first, reach).await? {
            return Ok(answer);
        }
        let (mut receiving, claimant) = self.begin_result(&first, reach).await?;
        let mut part = Some(first);
        while let Some(current) = part {
            let offset = checked_offset(&current)?;
            if !current.chunk.is_empty() {
                receiving.append(offset, current.chunk).await?;
            }
            if !current.sha256.is_empty() {
                let placed = self.farm.finish_result(receiving, claimant, current.sha256.to_vec()).await?;
                let size_bytes = i64::try_from(placed.size).unwrap_or(i64::MAX);
                return Ok(api::WriteResultResponse { size_bytes, video_path: placed.path });
            }
            part = next(&mut parts).await?;
        }
        // It broke off, or was a part only: what is here stays, and the worker goes on with it.
        let size_bytes = i64::try_from(receiving.size()).unwrap_or(i64::MAX);
        Ok(api::WriteResultResponse { size_bytes, video_path: String::new() })
    }

    /// The answer to a worker that asks for one which it did not get: of a result that has its place, there is nothing
    /// left to send but the digest.
    async fn answer_again(
        &self,
        first: &api::WriteResultRequest,
        reach: &Reach,
    ) -> Result<Option<api::WriteResultResponse>, Failure> {
        if first.sha256.is_empty() || !first.chunk.is_empty() {
            return Ok(None);
        }
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(&first.task_id);
        let claimant = fields.claimant(&first.lease_token, first.worker_id);
        fields.check()?;
        self.require_own_task(reach, uuid).await?;
        let placed = self.farm.placed(uuid, claimant, &first.sha256).await?;
        Ok(placed.map(|placed| api::WriteResultResponse {
            size_bytes: i64::try_from(placed.size).unwrap_or(i64::MAX),
            video_path: placed.path,
        }))
    }

    async fn begin_result(
        &self,
        first: &api::WriteResultRequest,
        reach: &Reach,
    ) -> Result<(Receiving, Claimant), Failure> {
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(&first.task_id);
        let claimant = fields.claimant(&first.lease_token, first.worker_id);
        let extension = first.extension.as_str();
        if extension.len() > MAX_EXTENSION_BYTES || !extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            fields.reject("extension", format!("has to be at most {MAX_EXTENSION_BYTES} letters and digits"));
        }
        fields.check()?;
        let extension = (!extension.is_empty()).then(|| extension.to_owned());
        self.require_own_task(reach, uuid).await?;
        Ok((self.farm.receive(uuid, claimant, extension).await?, claimant))
    }
}

impl Fields {
    /// A number of bytes.
    fn bytes(&mut self, field: &'static str, bytes: i64) -> u64 {
        u64::try_from(bytes).unwrap_or_else(|_| {
            self.reject(field, "is negative");
            0
        })
    }
}

fn checked_offset(part: &api::WriteResultRequest) -> Result<u64, Failure> {
    let mut fields = Fields::default();
    let offset = fields.bytes("offset", part.offset);
    if part.chunk.len() > MAX_CHUNK_BYTES {
        fields.reject("chunk", format!("has {} bytes; the limit is {MAX_CHUNK_BYTES}", part.chunk.len()));
    }
    if !part.sha256.is_empty() && part.sha256.len() != SHA256_BYTES {
        fields.reject("sha256", format!("has {} bytes, and not {SHA256_BYTES}", part.sha256.len()));
    }
    fields.check()?;
    Ok(offset)
}

/// The next part; `None` at the end, or when the sender has gone.
async fn next(parts: &mut Streaming<api::WriteResultRequest>) -> Result<Option<api::WriteResultRequest>, Failure> {
    match tokio::time::timeout(NEXT_PART_WITHIN, parts.message()).await {
        Ok(Ok(part)) => Ok(part),
        Ok(Err(_)) => Ok(None),
        Err(_) => Err(Error::UploadStalled.into()),
    }
}
