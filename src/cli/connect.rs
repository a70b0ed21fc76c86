//! How a command finds its server.

use std::time::Duration;

use clap::Args;
use http::Uri;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::console::{Console, Format};
use super::error::{self, Error};

const DEFAULT_SERVER: &str = "http://127.0.0.1:50051";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
// Without these a connection that was cut silently is never noticed, and a watch or a wait hangs for ever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The options that every client command has.
#[derive(Args, Clone, Debug)]
pub struct ClientArgs {
    /// The server's gRPC address.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "STEWARD_SERVER",
        default_value = DEFAULT_SERVER,
        value_parser = parse_server
    )]
    server: Server,

    /// Answer in JSON, one object a line.
    #[arg(long, global = true)]
    json: bool,
}

impl ClientArgs {
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn console(&self) -> Console {
        Console::stdout(if self.json { Format::Json } else { Format::Text })
    }
}

/// A server that can be connected to.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    url: String,
    endpoint: Endpoint,
}

impl Server {
    /// Connects, so that an absent server is noticed before anything is asked of it.
    pub(crate) async fn connect(&self) -> Result<Channel, Error> {
        self.endpoint
            .connect()
            .await
            .map_err(|failure| Error::Unreachable { url: self.url.clone(), cause: error::root_cause(&failure) })
    }

    /// A client of the locks, connected.
    pub(crate) async fn connect_locks(&self) -> Result<LockServiceClient<Channel>, Error> {
        self.connect().await.map(LockServiceClient::new)
    }

    /// A client of the locks with a connection of its own, made when it is first used.
    pub(crate) fn locks(&self) -> LockServiceClient<Channel> {
        LockServiceClient::new(self.endpoint.connect_lazy())
    }

    /// A client of the repositories, connected.
    pub(crate) async fn connect_objects(&self) -> Result<ObjectServiceClient<Channel>, Error> {
        self.connect().await.map(ObjectServiceClient::new)
    }

    /// A client of the repositories with a connection of its own, made when it is first used.
    pub(crate) fn objects(&self) -> ObjectServiceClient<Channel> {
        ObjectServiceClient::new(self.endpoint.connect_lazy())
    }

    /// The failure of a call to this server. To be given to `map_err`.
    pub(crate) fn failure(&self) -> impl Fn(Status) -> Error {
        |status| Error::of_call(&self.url, status)
    }
}

fn parse_server(text: &str) -> Result<Server, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err("only http:// addresses are served".to_owned());
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err("the address has no host".to_owned());
    }
    let endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok(Server { url, endpoint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_scheme() {
        assert_eq!(parse_server("127.0.0.1:50051").unwrap().url, "http://127.0.0.1:50051");
        assert_eq!(parse_server("http://[::1]:7").unwrap().url, "http://[::1]:7");
    }

    #[test]
    fn other_schemes_and_nonsense_are_refused() {
        for wrong in ["https://a:1", "ftp://a", "http://", "a b"] {
            assert!(parse_server(wrong).is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn an_absent_server_is_named() {
        // Bound and dropped: nobody listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = parse_server(&format!("127.0.0.1:{port}")).unwrap();
        let error = server.connect().await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { cause, .. } if cause.contains("refused")), "{error}");
    }
}
