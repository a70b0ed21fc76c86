//! What every command needs: a client of the artifacts.

use bytes::Bytes;
use steward_proto::artifact::v1 as pb;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use tonic::{Response, Status};

use super::name::{ImageReference, Place};
use crate::cli::connect::{Channel, Server};
use crate::cli::error::Error;
use crate::cli::repository_name::RepositoryName;

/// A connection to a server.
pub(super) struct Session<'a> {
    server: &'a Server,
    client: ArtifactServiceClient<Channel>,
}

impl<'a> Session<'a> {
    pub(super) async fn open(server: &'a Server) -> Result<Self, Error> {
        Ok(Session { server, client: server.connect_artifacts().await? })
    }

    pub(super) fn server(&self) -> &'a Server {
        self.server
    }

    pub(super) fn artifacts(&self) -> ArtifactServiceClient<Channel> {
        self.client.clone()
    }

    /// The answer of a call, or why there is none.
    pub(super) fn take<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Error> {
        answer.map(Response::into_inner).map_err(|status| self.failure(status))
    }

    /// The failure of a call.
    pub(super) fn failure(&self, status: Status) -> Error {
        self.server.failure()(status)
    }

    /// A repository as it is.
    pub(super) async fn repository(&self, name: &RepositoryName) -> Result<pb::Repository, Error> {
        let request = pb::GetRepositoryRequest { project: name.project.clone(), repository: name.name.clone() };
        let answer = self.take(self.artifacts().get_repository(request).await)?;
        answer.repository.ok_or(Error::Nonsense("it has no repository"))
    }

    /// What is known of a file or folder.
    pub(super) async fn file(&self, place: &Place) -> Result<pb::File, Error> {
        let Place { repository, path } = place.clone();
        let request = pb::GetFileRequest { project: repository.project, repository: repository.name, path };
        let answer = self.take(self.artifacts().get_file(request).await)?;
        answer.file.ok_or(NO_FILE)
    }

    /// The manifest of an image and its bytes.
    pub(super) async fn manifest(&self, image: &ImageReference) -> Result<(pb::Manifest, Bytes), Error> {
        let request = pb::GetManifestRequest {
            name: Some(image.to_proto()),
            reference: image.reference().to_owned(),
            without_content: false,
        };
        let answer = self.take(self.artifacts().get_manifest(request).await)?;
        let manifest = answer.manifest.ok_or(Error::Nonsense("it has no manifest"))?;
        Ok((manifest, answer.content))
    }
}

pub(super) const NO_FILE: Error = Error::Nonsense("it has no file");
