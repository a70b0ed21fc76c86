//! A gateway that other machines can reach is no way to a server that asks nobody who they are.

use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use steward_proto::auth::v1::GetCallerRequest;
use steward_proto::auth::v1::rights_service_client::RightsServiceClient;
use tonic::Code;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::StdError;

use crate::config::{Config, Listen};

/// How long it takes until a server is asked again that cannot say it.
const PAUSE: Duration = Duration::from_secs(1);

/// A server that would be open to other machines.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{setting} is {address}, which other machines can reach, and {url} asks nobody who they are: \
     bind a loopback address, set auth.htpasswd there, or say --insecure"
)]
pub(super) struct OpenUpstream {
    setting: &'static str,
    address: Listen,
    url: String,
}

/// Looks out for it.
pub(super) struct Guard<C> {
    /// `None`: nobody else can reach the gateway, or it was said that everybody may.
    problem: Option<OpenUpstream>,
    channel: C,
}

impl OpenUpstream {
    /// Looks out for it over a channel by which strangers come.
    pub(super) fn guard<C>(config: &Config, url: &str, channel: C) -> Guard<C> {
        let exposed = config.exposed_by_gateway().filter(|_| !config.server.insecure);
        let problem = exposed.map(|(setting, address)| OpenUpstream { setting, address, url: url.to_owned() });
        Guard { problem, channel }
    }
}

impl<C> Guard<C>
where
    C: GrpcService<Body> + Clone,
    C::Error: Into<StdError>,
    C::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <C::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// Asks once. A server that cannot be reached harms nobody yet.
    pub(super) async fn check(&self) -> Result<(), OpenUpstream> {
        match &self.problem {
            Some(problem) if self.is_open().await == Some(true) => Err(problem.clone()),
            Some(_) | None => Ok(()),
        }
    }

    /// Asks until it is known. Ends when the server is open.
    pub(super) async fn watch(&self) -> OpenUpstream {
        if let Some(problem) = &self.problem {
            loop {
                match self.is_open().await {
                    Some(true) => return problem.clone(),
                    Some(false) => break,
                    None => tokio::time::sleep(PAUSE).await,
                }
            }
        }
        std::future::pending().await
    }

    /// Whether those are let in who do not say who they are; `None`: the server does not say.
    async fn is_open(&self) -> Option<bool> {
        let mut client = RightsServiceClient::new(self.channel.clone());
        match client.get_caller(GetCallerRequest {}).await.map_err(|status| status.code()) {
            Ok(_) => Some(true),
            Err(Code::Unauthenticated | Code::PermissionDenied) => Some(false),
            Err(_) => None,
        }
    }
}
