//! Steward under load, over gRPC and over the legacy HTTP API.

use std::net::SocketAddr;
use std::path::Path;

use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::lock::v1::release_request::Holder;
use steward_proto::lock::v1::{AcquireRequest, LockKey, Outcome, ReleaseRequest, WaitPolicy};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;

use crate::load::{Client, Load};
use crate::process::{Peer, free_address, retry};
use crate::{BoxError, http};

/// A running Steward.
pub(crate) struct Steward {
    pub(crate) peer: Peer,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
}

/// Starts it with settings beyond the defaults, on an empty directory.
pub(crate) async fn start(data: &Path, settings: &str) -> Result<Steward, BoxError> {
    std::fs::create_dir_all(data)?;
    let config = data.join("steward.toml");
    std::fs::write(&config, settings)?;
    let (grpc, http) = (free_address()?, free_address()?);
    let args = [
        "serve",
        "--config",
        &config.display().to_string(),
        "--nbd",
        "",
        "--data",
        &data.display().to_string(),
        "--grpc",
        &grpc.to_string(),
        "--http",
        &http.to_string(),
    ]
    .map(str::to_owned);
    let log = data.join("server.log");
    let peer = Peer::start(env!("CARGO_BIN_EXE_steward"), &args, &log, http, "steward_store_flushes_total ")?;
    retry(|| async { http::Connection::open(http).await.map(drop) }).await?;
    Ok(Steward { peer, grpc, http })
}

impl Steward {
    /// Clients that say with each call who they are, if they are told what to say.
    pub(crate) async fn grpc_clients(
        &self,
        load: Load,
        authorization: Option<&AsciiMetadataValue>,
    ) -> Result<Vec<GrpcClient>, BoxError> {
        let policy = if load.is_contended { WaitPolicy::Block } else { WaitPolicy::Try };
        let mut clients = Vec::new();
        for (number, channel) in load.connect(self.grpc).await?.into_iter().enumerate() {
            let locks = LockServiceClient::new(channel);
            let (owner, authorization) = (format!("client-{number}"), authorization.cloned());
            clients.push(GrpcClient { locks, owner, policy, authorization });
        }
        Ok(clients)
    }

    pub(crate) async fn http_clients(&self, load: Load) -> Result<Vec<HttpClient>, BoxError> {
        let mut clients = Vec::new();
        for number in 0..load.clients {
            let connection = http::Connection::open(self.http).await?;
            clients.push(HttpClient { connection, node: format!("node-{number}") });
        }
        Ok(clients)
    }
}

/// Acquire and Release of the native API.
pub(crate) struct GrpcClient {
    locks: LockServiceClient<Channel>,
    owner: String,
    policy: WaitPolicy,
    authorization: Option<AsciiMetadataValue>,
}

impl GrpcClient {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}

impl Client for GrpcClient {
    async fn pair(&mut self, key: &str) -> Result<(), BoxError> {
        let key = Some(LockKey { r#type: "grpc".to_owned(), resource_id: key.to_owned() });
        let request = AcquireRequest {
            key: key.clone(),
            owner: self.owner.clone(),
            policy: self.policy.into(),
            ..AcquireRequest::default()
        };
        let grant =
            self.locks.acquire(self.request(request)).await?.into_inner().grant.ok_or("the lock was not granted")?;
        let request = ReleaseRequest {
            key,
            holder: Some(Holder::GrantId(grant.grant_id)),
            outcome: Outcome::Released.into(),
            ..ReleaseRequest::default()
        };
        self.locks.release(self.request(request)).await?;
        Ok(())
    }
}

/// `/lock` and `/unlock` of the legacy API.
pub(crate) struct HttpClient {
    connection: http::Connection,
    node: String,
}

impl Client for HttpClient {
    async fn pair(&mut self, key: &str) -> Result<(), BoxError> {
        let fields = format!(r#""type":"http","resource_id":"{key}","node_id":"{}""#, self.node);
        let answer = self.connection.post("/lock", &format!("{{{fields}}}")).await?;
        if !answer.starts_with(br#"{"acquired":true"#) {
            return Err(format!("not granted: {}", String::from_utf8_lossy(answer)).into());
        }
        self.connection.post("/unlock", &format!(r#"{{{fields},"success":false}}"#)).await?;
        Ok(())
    }
}
