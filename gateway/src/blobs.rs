//! The bytes of artifacts, as images and files are read.

use bytes::Bytes;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::artifact::v1::download_blob_response::Part;
use steward_proto::artifact::v1::{DownloadBlobRequest, DownloadBlobResponse, DownloadStart};

use crate::content::{Asked, Extent, chunks};
use crate::direct::{Direct, Pieces};
use crate::range::Range;
use crate::upstream::{Call, Channel, Failure};

/// Opens a download; `None` when the service answers what was not asked.
pub(crate) async fn download(
    mut client: ArtifactServiceClient<Channel>,
    call: &Call,
    message: DownloadBlobRequest,
) -> Result<Option<(Extent, Pieces)>, Failure> {
    let asked = if message.offset.is_some() { Asked::Part } else { Asked::All };
    let mut request = call.request(message);
    let direct = Direct::<Pieces>::default();
    request.extensions_mut().insert(direct.clone());
    // The first message decides on the status, so it belongs to the call.
    let opened = call.run(async {
        let mut parts = client.download_blob(request).await?.into_inner();
        let first = parts.message().await?;
        Ok(tonic::Response::new((first, parts)))
    });
    let (first, parts) = opened.await?;
    let extent = first.and_then(|first| extent(first, asked));
    Ok(extent.map(|extent| (extent, direct.take().unwrap_or_else(|| chunks(parts, chunk)))))
}

/// The offset and the length that a call asks for; `None`: there can be no such bytes.
pub(crate) fn part(range: Range) -> Option<(i64, Option<i64>)> {
    match range {
        Range::Offsets { first, last } => Some((first, last.map(|last| (last - first).saturating_add(1)))),
        // The offset that counts from the end is negative, and zero is the start.
        Range::Suffix(0) => None,
        Range::Suffix(length) => Some((-length, None)),
    }
}

fn extent(message: DownloadBlobResponse, asked: Asked) -> Option<Extent> {
    let Part::Start(DownloadStart { size, offset, length }) = message.part? else { return None };
    Extent::of(offset, length, size, asked)
}

fn chunk(message: DownloadBlobResponse) -> Option<Bytes> {
    match message.part {
        Some(Part::Chunk(chunk)) => Some(chunk),
        _ => None,
    }
}
