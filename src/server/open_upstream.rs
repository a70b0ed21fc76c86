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

use super::hosts::Asking;
use crate::config::{Config, Listen};

/// How long it takes until a server is asked again that cannot say it.
const PAUSE: Duration = Duration::from_secs(1);
/// The same of a server that has said it: it may have been started again with other settings.
const INTERVAL: Duration = Duration::from_mins(10);

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
    asking: Asking,
    interval: Duration,
}

impl OpenUpstream {
    /// Looks out for it over a channel by which strangers come.
    pub(super) fn guard<C>(config: &Config, url: &str, channel: C) -> Guard<C> {
        let exposed = config.exposed_by_gateway().filter(|_| !config.server.insecure);
        let problem = exposed.map(|(setting, address)| OpenUpstream { setting, address, url: url.to_owned() });
        Guard { problem, channel, asking: Asking::new(false), interval: INTERVAL }
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

    /// Asks again and again. Ends when the server is open, and that is a problem.
    pub(super) async fn watch(&self) -> OpenUpstream {
        loop {
            let is_open = self.is_open().await;
            if let (Some(true), Some(problem)) = (is_open, &self.problem) {
                return problem.clone();
            }
            tokio::time::sleep(if is_open.is_none() { PAUSE } else { self.interval }).await;
        }
    }

    /// What is known of whether the server asks for users: at first that it does not.
    pub(super) fn asking(&self) -> Asking {
        self.asking.clone()
    }

    /// Whether those are let in who do not say who they are; `None`: the server does not say.
    async fn is_open(&self) -> Option<bool> {
        let is_open = self.ask().await;
        if let Some(is_open) = is_open {
            self.asking.set(!is_open);
        }
        is_open
    }

    async fn ask(&self) -> Option<bool> {
        let mut client = RightsServiceClient::new(self.channel.clone());
        match client.get_caller(GetCallerRequest {}).await.map_err(|status| status.code()) {
            Ok(_) => Some(true),
            Err(Code::Unauthenticated | Code::PermissionDenied) => Some(false),
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn a_server_that_was_started_again_without_users_is_noticed() {
        let asked = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&asked);
        let channel = service_fn(move |_: http::Request<Body>| {
            let status = if counter.fetch_add(1, Ordering::Relaxed) < 3 { Code::Unauthenticated } else { Code::Ok };
            let answer = http::Response::builder().header("content-type", "application/grpc");
            let answer = answer.header("grpc-status", i32::from(status));
            let nothing = Body::new(axum::body::Body::from(vec![0; 5]));
            std::future::ready(Ok::<_, Infallible>(answer.body(nothing).expect("an answer")))
        });
        let mut config = Config::default();
        config.server.http = "0.0.0.0:0".parse().expect("an address");
        let guard = Guard { interval: Duration::ZERO, ..OpenUpstream::guard(&config, "http://a", channel) };
        assert!(guard.check().await.is_ok());
        let open = guard.watch().await;
        assert!(open.to_string().contains("server.http"), "{open}");
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }
}
