//! The gRPC face of secrets.

use std::sync::Arc;

use steward_proto::auth::v1 as api;
use steward_proto::auth::v1::secret_service_server::SecretService;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use super::{Holder, Rotated, Secrets};
use crate::error::{Category, Failure};
use crate::store::Store;

/// The service of secrets.
#[derive(Clone)]
pub struct SecretServer {
    secrets: Secrets,
    store: Arc<dyn Store>,
    holders: Arc<[Arc<dyn Holder>]>,
    tasks: TaskTracker,
}

impl SecretServer {
    /// A service for the secrets that these holders have in `store`.
    pub fn new(secrets: Secrets, store: Arc<dyn Store>, holders: Vec<Arc<dyn Holder>>, tasks: TaskTracker) -> Self {
        SecretServer { secrets, store, holders: holders.into(), tasks }
    }
}

#[tonic::async_trait]
impl SecretService for SecretServer {
    async fn rotate_secrets(
        &self,
        _: Request<api::RotateSecretsRequest>,
    ) -> Result<Response<api::RotateSecretsResponse>, Status> {
        let server = self.clone();
        // To its end, though the caller may go away: a half is as good as nothing.
        let rotating = self.tasks.spawn(async move { server.secrets.rotate(&*server.store, &server.holders).await });
        let ended = rotating.await.map_err(|error| Failure::new(Category::Internal, "INTERNAL", error.to_string()))?;
        let Rotated { anew, keys } = ended?;
        Ok(Response::new(api::RotateSecretsResponse {
            sealed_count: i64::try_from(anew.sealed).unwrap_or(i64::MAX),
            unreadable: anew.unreadable,
            unreadable_count: i64::try_from(anew.unreadable_count).unwrap_or(i64::MAX),
            key_count: i32::try_from(keys).unwrap_or(i32::MAX),
        }))
    }
}
