//! What tasks ask of the artifacts of this server.

use steward_proto::artifact::v1 as artifact;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::error::Error;
use super::parts::Replication;
use super::queue::TaskId;

/// How many changes are read at a time.
const CHANGES_AT_A_TIME: i32 = 1000;
/// Changes that are so young are still kept, however short that is set, and all older ones have been committed.
pub(super) const YOUNG_US: u64 = 20 * 1_000_000;

/// The word for programs in a refusal; empty: it has none.
pub(super) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn internal(what: &str, status: &Status) -> Error {
    match status.code() {
        Code::Unavailable | Code::Cancelled => Error::ShuttingDown,
        code => Error::Internal(format!("{what}: {code:?}: {}", status.message())),
    }
}

impl Replication {
    /// Checks that a repository is there.
    pub(super) async fn check_repository(&self, project: &str, repository: &str) -> Result<(), Error> {
        self.repository_type(project, repository).await.map(|_| ())
    }

    /// What a repository holds.
    pub(super) async fn repository_type(
        &self,
        project: &str,
        repository: &str,
    ) -> Result<artifact::RepositoryType, Error> {
        let request = artifact::GetRepositoryRequest { project: project.to_owned(), repository: repository.to_owned() };
        match self.artifacts.clone().get_repository(request).await {
            Ok(found) => Ok(found.into_inner().repository.unwrap_or_default().r#type()),
            // A name that none can have is one that is not there.
            Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => {
                Err(Error::RepositoryNotFound(repository.to_owned()))
            }
            Err(status) => Err(internal("a repository cannot be read", &status)),
        }
    }

    /// Checks that a version of a package is there.
    pub(super) async fn check_version(&self, task: &TaskId, package: &str, version: &str) -> Result<(), Error> {
        let request = artifact::GetVersionRequest {
            project: task.project.clone(),
            repository: task.repository.clone(),
            key: package.to_owned(),
            version: version.to_owned(),
        };
        let Err(status) = self.artifacts.clone().get_version(request).await else { return Ok(()) };
        // A name that none can have is one that is not there. A repository of files has no packages.
        if matches!(status.code(), Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition) {
            return Err(Error::VersionNotFound { package: package.to_owned(), version: version.to_owned() });
        }
        Err(internal("a version cannot be read", &status))
    }

    /// Some of the changes of a repository behind a stamp. Nothing: those behind it are no longer all kept.
    pub(super) async fn changes_after(
        &self,
        task: &TaskId,
        stamp: u64,
    ) -> Result<Option<artifact::ListChangesResponse>, Error> {
        let request = artifact::ListChangesRequest {
            project: task.project.clone(),
            repository: task.repository.clone(),
            after_stamp: i64::try_from(stamp).unwrap_or(i64::MAX),
            page_size: CHANGES_AT_A_TIME,
        };
        match self.artifacts.clone().list_changes(request).await {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) if reason(&status) == "REVISION_COMPACTED" => Ok(None),
            Err(status) if status.code() == Code::NotFound => Err(Error::RepositoryNotFound(task.repository.clone())),
            Err(status) => Err(internal("changes cannot be read", &status)),
        }
    }

    /// A stamp up to which all changes of a repository have been committed. Nothing: one has been on its way for long.
    pub(super) async fn settled_stamp(&self, task: &TaskId) -> Result<Option<u64>, Error> {
        let after = self.now_us().saturating_sub(YOUNG_US);
        let page = self.changes_after(task, after).await?;
        let page = page.ok_or_else(|| Error::Internal("the changes of the last seconds are not kept".to_owned()))?;
        // The answer never goes back behind what was asked for, so that alone says nothing.
        Ok(u64::try_from(page.last_stamp).ok().filter(|stamp| *stamp > after))
    }
}
