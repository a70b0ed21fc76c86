//! The config of a repository, which says whose it is.

use std::io;

use crate::cli::connect::Channel;
use bytes::BytesMut;
use steward_proto::restic::v1 as pb;
use steward_proto::restic::v1::download_response::Part;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use tonic::{Code, Status};

use super::tree::Repository;

/// How the config on the server compares with the one in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// There is none on the server.
    Absent,
    Same,
    /// The repository on the server is another one.
    Other,
}

/// The key of the config.
pub(super) fn key(repository: &str) -> pb::ObjectKey {
    pb::ObjectKey { repository: repository.to_owned(), r#type: pb::ObjectType::Config.into(), name: String::new() }
}

/// Compares. Asked before anything is imported: objects of two repositories under one config are a mess.
pub(super) async fn compare(
    objects: &mut ObjectServiceClient<Channel>,
    repository: &Repository,
) -> Result<io::Result<Comparison>, Status> {
    let request = pb::DownloadRequest { key: Some(key(&repository.path)), range: None };
    let mut parts = match objects.download(request).await {
        Ok(parts) => parts.into_inner(),
        Err(status) if status.code() == Code::NotFound => return Ok(Ok(Comparison::Absent)),
        Err(status) => return Err(status),
    };
    let mut theirs = BytesMut::new();
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(Part::Chunk(chunk)) => theirs.extend_from_slice(&chunk),
            // Their sizes alone tell them apart, and what is not read need not be kept.
            Some(Part::Start(start)) if u64::try_from(start.length) != Ok(repository.config_size) => {
                return Ok(Ok(Comparison::Other));
            }
            Some(Part::Start(_)) | None => {}
        }
    }
    let ours = tokio::fs::read(repository.config()).await;
    Ok(ours.map(|ours| if ours == theirs { Comparison::Same } else { Comparison::Other }))
}
