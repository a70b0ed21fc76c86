//! `POST /{path}/?create=true` and `DELETE /{path}/`.
//!
//! Quirk: `create` has to be `true`; `1` is as good as nothing.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use steward_proto::restic::v1::{CreateRepositoryRequest, DeleteRepositoryRequest};

use super::refusal::Refusal;
use super::{Restic, TIMEOUT};
use crate::go;
use crate::upstream::{Call, Caller};

/// Creates a repository; one that exists is as good.
pub(super) async fn create(mut restic: Restic, caller: Caller, path: String, query: &str) -> Result<Response, Refusal> {
    if go::query::first(query, "create") != "true" {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "a repository is created with ?create=true"));
    }
    let call = Call::new("CreateRepository", caller, TIMEOUT);
    call.run(restic.client.create_repository(call.request(CreateRepositoryRequest { path }))).await?;
    Ok(StatusCode::OK.into_response())
}

/// Asks for a repository to be deleted, which the service refuses.
pub(super) async fn delete(mut restic: Restic, caller: Caller, path: String) -> Result<Response, Refusal> {
    let call = Call::new("DeleteRepository", caller, TIMEOUT);
    call.run(restic.client.delete_repository(call.request(DeleteRepositoryRequest { path }))).await?;
    Ok(StatusCode::OK.into_response())
}
