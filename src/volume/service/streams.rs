//! The calls of `VolumeService` that stream: reading, writing and checking.

use futures::stream::{self, BoxStream, StreamExt as _};
use steward_proto::volume::v1 as api;
use steward_proto::volume::v1::read_volume_response::Part as ReadPart;
use steward_proto::volume::v1::write_volume_request::Part as WritePart;
use tonic::{Request, Status, Streaming};

use super::rights::grants;
use super::{VolumeServer, fields};
use crate::auth::rights::Right;
use crate::error::Failure;
use crate::fields::Fields;
use crate::volume::convert_operation as convert;
use crate::volume::driver::Repair;
use crate::volume::error::Error;
use crate::volume::path::MAX_NAME_BYTES;
use crate::volume::streams::{Part, ReadVolume, Reading};

/// What a call that streams sends.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// Where a client is, for lists of who has what open.
const PEER: &str = "grpc";

/// Reads a volume or a snapshot.
pub(super) async fn read_volume(
    server: &VolumeServer,
    request: Request<api::ReadVolumeRequest>,
) -> Result<Answers<api::ReadVolumeResponse>, Failure> {
    let asker = server.asker(&request, &request.get_ref().user)?;
    let request = request.into_inner();
    let mut checked = Fields::default();
    checked.text("snapshot", &request.snapshot, MAX_NAME_BYTES);
    checked.check()?;
    let what = ReadVolume {
        volume: fields::which("volume", request.volume)?,
        snapshot: (!request.snapshot.is_empty()).then_some(request.snapshot),
        offset: request.offset,
        length: request.length,
    };
    server.require(&asker, Right::Read, &what.volume).await?;
    let reading = server.catalog.read_volume(&asker.user, what, PEER).await?;
    let start = api::ReadStart { size_bytes: reading.size, data_bytes: reading.data_bytes };
    let first = stream::once(std::future::ready(Ok(read_part(ReadPart::Start(start)))));
    Ok(first.chain(stream::unfold(Some(reading), next_part)).boxed())
}

async fn next_part(reading: Option<Reading>) -> Option<(Result<api::ReadVolumeResponse, Status>, Option<Reading>)> {
    let mut reading = reading?;
    match reading.next().await {
        Ok(None) => None,
        Ok(Some(Part::Data(offset, data))) => {
            Some((Ok(read_part(ReadPart::Data(api::VolumeData { offset, data }))), Some(reading)))
        }
        Ok(Some(Part::Zeros(offset, length))) => {
            let zeros = api::Extent { offset, length, is_zero: true };
            Some((Ok(read_part(ReadPart::Zeros(zeros))), Some(reading)))
        }
        Err(error) => Some((Err(Failure::from(error).into()), None)),
    }
}

fn read_part(part: ReadPart) -> api::ReadVolumeResponse {
    api::ReadVolumeResponse { part: Some(part) }
}

/// Writes a volume that nobody has open.
pub(super) async fn write_volume(
    server: &VolumeServer,
    request: Request<Streaming<api::WriteVolumeRequest>>,
) -> Result<api::WriteVolumeResponse, Status> {
    let grants = grants(&request).map_err(Status::from)?;
    let mut parts = request.into_inner();
    let first = parts.message().await?.and_then(|message| message.part);
    let refuse = |error: Error| Status::from(Failure::from(error));
    let Some(WritePart::Start(start)) = first else {
        return Err(refuse(out_of_place("start", "has to come first")));
    };
    let asker = server.acting(grants, &start.user).map_err(Status::from)?;
    let volume = fields::which("start.volume", start.volume).map_err(refuse)?;
    server.require(&asker, Right::Write, &volume).await.map_err(Status::from)?;
    let mut writing = server.catalog.write_volume(&asker.user, &volume, PEER).await.map_err(refuse)?;
    loop {
        let message = tokio::select! {
            () = server.catalog.shutdown.cancelled() => return Err(refuse(Error::ShuttingDown)),
            message = parts.message() => message?,
        };
        let Some(message) = message else { break };
        let part = match message.part {
            Some(WritePart::Data(data)) => Part::Data(data.offset, data.data),
            Some(WritePart::Zeros(zeros)) => Part::Zeros(zeros.offset, zeros.length),
            Some(WritePart::Start(_)) => return Err(refuse(out_of_place("start", "came twice"))),
            None => return Err(refuse(out_of_place("part", "is required"))),
        };
        writing.write(part).await.map_err(refuse)?;
    }
    let data_bytes = writing.finish().await.map_err(refuse)?;
    Ok(api::WriteVolumeResponse { data_bytes })
}

fn out_of_place(field: &'static str, problem: &str) -> Error {
    Error::Invalid { field, problem: problem.to_owned() }
}

/// Checks the layers of a volume or of all.
pub(super) async fn scrub_volumes(
    server: &VolumeServer,
    request: Request<api::ScrubVolumesRequest>,
) -> Result<Answers<api::ScrubVolumesResponse>, Failure> {
    let asker = server.asker(&request, &request.get_ref().user)?;
    let request = request.into_inner();
    let which = fields::optional_which("volume", request.volume)?;
    let right = if request.repair { Right::Write } else { Right::Read };
    match &which {
        Some(which) => server.require(&asker, right, which).await?,
        None => asker.require_all(right)?,
    }
    let repair = if request.repair { Repair::Yes } else { Repair::No };
    let steps = server.catalog.scrub(&asker.user, which.as_ref(), repair).await?;
    let steps = stream::unfold(steps, |mut steps| async move { Some((steps.recv().await?, steps)) });
    Ok(steps.map(|step| step.map(convert::scrub_step).map_err(|error| Failure::from(error).into())).boxed())
}
