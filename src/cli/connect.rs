//! How a command finds its server, and who it is there.
//!
//! - `flags` are the options of the command line, `environment` and `profile` what else can say the same.
//! - `settings` is which of these counts.
//! - `address` is where a server is.

mod address;
mod environment;
mod flags;
mod profile;
mod settings;

use clap::Args;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::replication::v1::cluster_service_client::ClusterServiceClient;
use steward_proto::replication::v1::replication_service_client::ReplicationServiceClient;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;

use self::address::Address;
use super::console::{Console, Format};
use super::error::{self, Error};
use super::sign_in::SignIn;
use crate::tls_client::TlsConnector;

/// How long an answer about artifacts may be, in bytes: a manifest alone may have 4 MiB.
const LONGEST_ANSWER: usize = 16 << 20;

/// A connection whose calls carry the user's credentials, if there are any.
pub(crate) type Channel = InterceptedService<tonic::transport::Channel, SignIn>;

/// The options that every client command has.
#[derive(Args, Clone, Debug)]
pub struct ClientArgs {
    #[command(flatten)]
    server: Server,

    /// Answer in JSON, one object a line.
    #[arg(long, global = true)]
    json: bool,
}

impl ClientArgs {
    /// Where the server is, and who asks.
    pub fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn console(&self) -> Console {
        Console::stdout(if self.json { Format::Json } else { Format::Text })
    }
}

/// A server that can be connected to, and as whom.
#[derive(Clone, Debug)]
pub struct Server {
    address: Address,
    /// How TLS is spoken with it, if it is.
    tls: Option<TlsConnector>,
    /// `None` if there is a user without a password.
    sign_in: Option<SignIn>,
}

impl Server {
    /// Connects, so that an absent server is noticed before anything is asked of it.
    pub(crate) async fn connect(&self) -> Result<Channel, Error> {
        let sign_in = self.credentials()?;
        if sign_in.has_secret() && self.tls.is_none() && self.address.is_elsewhere() {
            eprintln!("warning: the password or token goes to {} in clear", self.address.url);
        }
        let endpoint = &self.address.endpoint;
        let connected = match &self.tls {
            Some(tls) => endpoint.connect_with_connector(tls.clone()).await,
            None => endpoint.connect().await,
        };
        let channel = connected.map_err(|failure| Error::Unreachable {
            url: self.address.url.clone(),
            cause: error::root_cause(&failure),
        })?;
        Ok(InterceptedService::new(channel, sign_in))
    }

    /// A client of the locks, connected.
    pub(crate) async fn connect_locks(&self) -> Result<LockServiceClient<Channel>, Error> {
        self.connect().await.map(LockServiceClient::new)
    }

    /// A client of the locks with a connection of its own, made when it is first used.
    pub(crate) fn locks(&self) -> LockServiceClient<Channel> {
        LockServiceClient::new(self.connect_lazy())
    }

    /// A client of the repositories, connected.
    pub(crate) async fn connect_objects(&self) -> Result<ObjectServiceClient<Channel>, Error> {
        self.connect().await.map(ObjectServiceClient::new)
    }

    /// A client of the repositories with a connection of its own, made when it is first used.
    pub(crate) fn objects(&self) -> ObjectServiceClient<Channel> {
        ObjectServiceClient::new(self.connect_lazy())
    }

    /// A client of the artifacts, connected.
    pub(crate) async fn connect_artifacts(&self) -> Result<ArtifactServiceClient<Channel>, Error> {
        self.connect().await.map(artifacts_over)
    }

    /// A client of the artifacts with a connection of its own, made when it is first used.
    pub(crate) fn artifacts(&self) -> ArtifactServiceClient<Channel> {
        artifacts_over(self.connect_lazy())
    }

    /// Clients of replication, of clusters and of artifacts over one connection.
    pub(crate) async fn connect_replication(&self) -> Result<ReplicationClients, Error> {
        self.connect().await.map(|channel| ReplicationClients {
            tasks: ReplicationServiceClient::new(channel.clone()).max_decoding_message_size(LONGEST_ANSWER),
            clusters: ClusterServiceClient::new(channel.clone()).max_decoding_message_size(LONGEST_ANSWER),
            artifacts: artifacts_over(channel),
        })
    }

    /// A connection that is made when it is first used, and made again when it breaks.
    pub(crate) fn connect_lazy(&self) -> Channel {
        // A command that has no password has not got past its first connection.
        let sign_in = self.credentials().unwrap_or_default();
        let endpoint = &self.address.endpoint;
        let channel = match &self.tls {
            Some(tls) => endpoint.connect_with_connector_lazy(tls.clone()),
            None => endpoint.connect_lazy(),
        };
        InterceptedService::new(channel, sign_in)
    }

    /// The failure of a call to this server. To be given to `map_err`.
    pub(crate) fn failure(&self) -> impl Fn(Status) -> Error {
        |status| Error::of_call(&self.address.url, status)
    }

    fn credentials(&self) -> Result<SignIn, Error> {
        self.sign_in.clone().ok_or(Error::NoPassword)
    }
}

/// Clients of all that replication is about.
#[derive(Clone, Debug)]
pub(crate) struct ReplicationClients {
    pub(crate) tasks: ReplicationServiceClient<Channel>,
    pub(crate) clusters: ClusterServiceClient<Channel>,
    pub(crate) artifacts: ArtifactServiceClient<Channel>,
}

fn artifacts_over(channel: Channel) -> ArtifactServiceClient<Channel> {
    ArtifactServiceClient::new(channel).max_decoding_message_size(LONGEST_ANSWER)
}

#[cfg(test)]
mod tests;
