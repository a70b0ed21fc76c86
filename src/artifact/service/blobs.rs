//! The calls about blobs.

use futures::stream::{self, StreamExt as _};
use steward_gateway::{Direct, Pieces};
use steward_proto::artifact::v1 as api;
use steward_proto::artifact::v1::download_blob_response::Part as DownloadPart;

use super::{Answers, ArtifactServer, file_requests, status};
use crate::artifact::bytes::Part;
use crate::artifact::error::Error;
use crate::artifact::place::Place;
use crate::artifact::sight::Sight;
use crate::blob::Digest;

/// The most digests of one question.
const MAX_DIGESTS: usize = 1000;

impl ArtifactServer {
    pub(super) async fn handle_missing_blobs(
        &self,
        request: api::MissingBlobsRequest,
        sight: &Sight,
    ) -> Result<api::MissingBlobsResponse, Error> {
        if request.digests.len() > MAX_DIGESTS {
            return Err(Error::invalid("digests", format!("are more than {MAX_DIGESTS}")));
        }
        let digests = request.digests.iter().map(|digest| parse_digest("digests", digest));
        let digests = digests.collect::<Result<Vec<Digest>, Error>>()?;
        // What others have is told to those who may read it.
        let target = request.target.filter(|target| !target.image.is_empty() || !sight.is_unbounded());
        let place = target.map(|target| Place::parse("target", Some(target))).transpose()?;
        if place.as_ref().is_some_and(|place| !place.is_image() && !place.is_seen(sight)) {
            // Who may not read what the repository has is not told of it: the bytes have to come.
            return Ok(api::MissingBlobsResponse { digests: request.digests });
        }
        let missing = self.artifacts.missing_blobs(place.as_ref(), &digests).await?;
        Ok(api::MissingBlobsResponse { digests: missing.iter().map(Digest::to_string).collect() })
    }

    pub(super) async fn handle_get_blob(
        &self,
        request: api::GetBlobRequest,
        _user: &str,
    ) -> Result<api::GetBlobResponse, Error> {
        let digest = parse_digest("digest", &request.digest)?;
        let place = Place::parse("name", request.name)?;
        let size = self.artifacts.blob_of(&place, &digest).await?;
        // Who is told that it is not there sends it again.
        if !self.artifacts.is_whole(&digest).await? {
            return Err(Error::BlobNotFound(digest.to_string()));
        }
        Ok(api::GetBlobResponse { blob: Some(blob(&digest, size)) })
    }

    pub(super) async fn handle_download_blob(
        &self,
        request: api::DownloadBlobRequest,
        direct: Option<Direct<Pieces>>,
        _user: &str,
    ) -> Result<Answers<api::DownloadBlobResponse>, Error> {
        let digest = parse_digest("digest", &request.digest)?;
        let length = request.length.map(|length| unsigned("length", length)).transpose()?;
        let size = if request.path.is_empty() {
            self.artifacts.blob_of(&Place::parse("name", request.name)?, &digest).await?
        } else {
            let place = file_requests::named(request.name.unwrap_or_default(), &request.path)?;
            self.artifacts.blob_of_file(&place, &digest).await?
        };
        let reading = self.artifacts.read_part(&digest, Part { offset: request.offset, length }).await?;
        if reading.size != size {
            return Err(Error::DataDamaged(format!("blob {digest} has {} bytes, not {size}", reading.size)));
        }
        let start = api::DownloadStart {
            size: signed(reading.size),
            offset: signed(reading.offset),
            length: signed(reading.length),
        };
        let part = |part| api::DownloadBlobResponse { part: Some(part) };
        let start = stream::once(std::future::ready(Ok(part(DownloadPart::Start(start)))));
        let pieces = reading.pieces.map(|piece| piece.map_err(status));
        match direct {
            Some(direct) => {
                direct.leave(pieces.boxed());
                Ok(start.boxed())
            }
            None => Ok(start.chain(pieces.map(move |piece| Ok(part(DownloadPart::Chunk(piece?))))).boxed()),
        }
    }

    pub(super) async fn handle_mount_blob(
        &self,
        request: api::MountBlobRequest,
        user: &str,
    ) -> Result<api::MountBlobResponse, Error> {
        let digest = parse_digest("digest", &request.digest)?;
        let place = Place::parse_image("name", request.name)?;
        let from = request.from.map(|from| Place::parse_image("from", Some(from))).transpose()?;
        let size = self.artifacts.mount_blob(&place, &digest, from.as_ref(), user).await?;
        Ok(api::MountBlobResponse { blob: Some(blob(&digest, size)) })
    }

    pub(super) async fn handle_delete_blob(
        &self,
        request: api::DeleteBlobRequest,
        _user: &str,
    ) -> Result<api::DeleteBlobResponse, Error> {
        let digest = parse_digest("digest", &request.digest)?;
        let place = Place::parse_image("name", request.name)?;
        self.artifacts.delete_blob(&place, &digest).await?;
        Ok(api::DeleteBlobResponse {})
    }
}

pub(super) fn blob(digest: &Digest, size: u64) -> api::Blob {
    api::Blob { digest: digest.to_string(), size: signed(size) }
}

pub(super) fn parse_digest(field: &'static str, text: &str) -> Result<Digest, Error> {
    text.parse().map_err(|error| Error::invalid(field, format!("{text:?} {error}")))
}

pub(super) fn unsigned(field: &'static str, number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| Error::invalid(field, "is negative"))
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::testing::World;

    #[tokio::test]
    async fn who_may_only_write_is_not_told_which_bytes_a_repository_has() {
        let world = World::with_repository().await;
        let digest = format!("sha256:{}", world.put("/a", b"x").await.sha256);
        let server = ArtifactServer::new(world.artifacts.clone());
        let missing = async |table: &str| {
            let target = api::ImageName { project: "p1".to_owned(), repository: "r1".to_owned(), image: String::new() };
            let request = api::MissingBlobsRequest { target: Some(target), digests: vec![digest.clone()] };
            server.handle_missing_blobs(request, &Sight::by_table(table)).await.expect("an answer").digests
        };
        assert!(missing("a artifact p1/r1 read,write").await.is_empty());
        assert_eq!(missing("a artifact p1/r1 write").await, [digest.as_str()]);
        assert_eq!(missing("a artifact p1/r1 write\na artifact p1/r1/b read").await, [digest.as_str()]);
    }
}
