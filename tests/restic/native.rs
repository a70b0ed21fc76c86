//! Words in which the tests speak to `ObjectService`.

use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use steward_proto::restic::v1::verify_repository_response::Event;
use steward_proto::restic::v1::{
    DeletedObject, Finding, GetRepositoryRequest, ListDeletedObjectsRequest, ObjectKey, ObjectType, Repository,
    UndeleteObjectsRequest, UndeleteObjectsResponse, UpdateRepositoryRequest, VerifyProgress, VerifyRepositoryRequest,
    WatchRequest, WatchResponse,
};
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::common::server::Server;
use crate::common::wait::within;

/// A client of a server's objects.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    pub(crate) client: ObjectServiceClient<Channel>,
}

impl Objects {
    pub(crate) fn of(server: &Server) -> Self {
        Objects { client: ObjectServiceClient::new(server.channel()) }
    }

    pub(crate) async fn repository(&self, path: &str) -> Repository {
        let request = GetRepositoryRequest { path: path.to_owned() };
        let answer = within("an answer", self.client.clone().get_repository(request)).await.expect("it is there");
        answer.into_inner().repository.expect("a repository")
    }

    pub(crate) async fn limit(&self, path: &str, max_bytes: i64) {
        let request = UpdateRepositoryRequest { path: path.to_owned(), max_bytes };
        within("an answer", self.client.clone().update_repository(request)).await.expect("it is there");
    }

    pub(crate) async fn deleted(&self, repository: &str) -> Vec<DeletedObject> {
        let request = ListDeletedObjectsRequest { repository: repository.to_owned(), ..Default::default() };
        let answer = within("an answer", self.client.clone().list_deleted_objects(request)).await;
        answer.expect("it is there").into_inner().objects
    }

    pub(crate) async fn undelete(&self, request: UndeleteObjectsRequest) -> UndeleteObjectsResponse {
        let answer = within("an answer", self.client.clone().undelete_objects(request)).await;
        answer.expect("it is there").into_inner()
    }

    pub(crate) async fn watch(&self, request: WatchRequest) -> Watch {
        let answer = within("an answer", self.client.clone().watch(request)).await;
        Watch { stream: answer.expect("it can be watched").into_inner() }
    }

    /// What is wrong with a repository, and how much of it was read.
    pub(crate) async fn verify(&self, repository: &str, repair: Repair) -> (Vec<Finding>, VerifyProgress) {
        let request = VerifyRepositoryRequest { repository: repository.to_owned(), repair: repair == Repair::Wanted };
        let answer = within("an answer", self.client.clone().verify_repository(request)).await;
        let mut stream = answer.expect("it is there").into_inner();
        let mut findings = Vec::new();
        loop {
            let message = within("a message", stream.message()).await.expect("the stream goes on");
            match message.expect("the last message says that it is done").event.expect("an event") {
                Event::Finding(finding) => findings.push(finding),
                Event::Progress(progress) if progress.done => return (findings, progress),
                Event::Progress(_) => {}
            }
        }
    }
}

/// Whether a verification puts right what it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    Wanted,
    NotWanted,
}

/// A stream of changes.
#[derive(Debug)]
pub(crate) struct Watch {
    stream: Streaming<WatchResponse>,
}

impl Watch {
    pub(crate) async fn next(&mut self) -> WatchResponse {
        let message = within("a change", self.stream.message()).await;
        message.expect("the stream goes on").expect("the stream does not end")
    }
}

pub(crate) fn key(repository: &str, kind: ObjectType, name: &str) -> ObjectKey {
    ObjectKey { repository: repository.to_owned(), r#type: kind.into(), name: name.to_owned() }
}

/// The code and the reason of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("a refusal");
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    (status.code(), reason)
}
