//! How a command finds its server.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::ErrorKind;
use http::Uri;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::replication::v1::cluster_service_client::ClusterServiceClient;
use steward_proto::replication::v1::replication_service_client::ReplicationServiceClient;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;

use super::console::{Console, Format};
use super::error::{self, Error};
use super::sign_in::{self, Password, SignIn};

const DEFAULT_SERVER: &str = "http://127.0.0.1:50051";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
// Without these a connection that was cut silently is never noticed, and a watch or a wait hangs for ever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
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
#[derive(Args, Clone, Debug)]
pub struct Server {
    /// The server's gRPC address.
    #[arg(
        long = "server",
        global = true,
        value_name = "URL",
        env = "STEWARD_SERVER",
        default_value = DEFAULT_SERVER,
        value_parser = AddressParser
    )]
    address: Address,

    /// Who to log in as. The password comes from `STEWARD_PASSWORD` or from a file.
    #[arg(long, global = true, value_name = "NAME", env = "STEWARD_USER", value_parser = sign_in::parse_user)]
    user: Option<String>,

    /// A file whose first line is the password.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_parser = PathBufValueParser::new().try_map(sign_in::read_password)
    )]
    password_file: Option<Password>,
}

impl Server {
    /// Connects, so that an absent server is noticed before anything is asked of it.
    pub(crate) async fn connect(&self) -> Result<Channel, Error> {
        let sign_in = self.sign_in()?;
        if self.user.is_some() && self.address.is_elsewhere() {
            eprintln!("warning: the password goes to {} in clear", self.address.url);
        }
        let connected = self.address.endpoint.connect().await;
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
        let sign_in = self.sign_in().unwrap_or_default();
        InterceptedService::new(self.address.endpoint.connect_lazy(), sign_in)
    }

    /// The failure of a call to this server. To be given to `map_err`.
    pub(crate) fn failure(&self) -> impl Fn(Status) -> Error {
        |status| Error::of_call(&self.address.url, status)
    }

    fn sign_in(&self) -> Result<SignIn, Error> {
        let Some(user) = &self.user else { return Ok(SignIn::default()) };
        let password = self.password_file.clone().or_else(Password::from_environment).ok_or(Error::NoPassword)?;
        Ok(SignIn::new(user, &password))
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

/// Where a server is.
#[derive(Clone, Debug)]
struct Address {
    url: String,
    endpoint: Endpoint,
}

impl Address {
    /// Whether others are on the way to it, as far as can be told without asking for names.
    fn is_elsewhere(&self) -> bool {
        let host = self.endpoint.uri().host().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host != "localhost" && !address.is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

/// Reads addresses without showing one that may have a password in it, as clap would.
#[derive(Clone, Debug)]
struct AddressParser;

impl TypedValueParser for AddressParser {
    type Value = Address;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let parsed = value.to_str().ok_or_else(|| "is not UTF-8".to_owned()).and_then(parse_address);
        parsed.map_err(|problem| {
            let message = format!("the address of --server or STEWARD_SERVER {problem}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

fn parse_address(text: &str) -> Result<Address, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    if url.contains('@') {
        return Err("has a user in it: name the user with --user or STEWARD_USER, and put the password into \
                    STEWARD_PASSWORD or a --password-file"
            .to_owned());
    }
    let uri: Uri = url.parse().map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("{text:?} is not served: only http:// is"));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(format!("{text:?} has no host"));
    }
    let endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok(Address { url, endpoint })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tonic::service::Interceptor as _;

    use super::*;

    #[test]
    fn an_address_needs_no_scheme() {
        assert_eq!(parse_address("127.0.0.1:50051").unwrap().url, "http://127.0.0.1:50051");
        assert_eq!(parse_address("http://[::1]:7").unwrap().url, "http://[::1]:7");
    }

    #[test]
    fn only_what_is_surely_local_is_not_elsewhere() {
        for (address, is_elsewhere) in
            [("127.0.0.1:1", false), ("[::1]:7", false), ("localhost", false), ("10.0.0.1:1", true), ("a:1", true)]
        {
            assert_eq!(parse_address(address).unwrap().is_elsewhere(), is_elsewhere, "{address}");
        }
    }

    #[test]
    fn other_schemes_and_nonsense_are_refused() {
        for wrong in ["https://a:1", "ftp://a", "http://", "a b"] {
            assert!(parse_address(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_shown() {
        for url in ["http://alice:geheim@host:1", "alice:geheim@host", "http://alice@host", "ftp://a:geheim@host/"] {
            let error = TestCommand::try_parse_from(["test", "--server", url]).unwrap_err().to_string();
            assert!(error.contains("--user") && !error.contains("geheim"), "{error}");
        }
    }

    #[test]
    fn the_password_comes_from_a_file_and_is_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "geheim\nmore\n").unwrap();
        let path = file.path().to_str().unwrap();
        let parse = |arguments: &[&str]| TestCommand::try_parse_from([&["test"], arguments].concat());
        let command = parse(&["--user", "alice", "--password-file", path]).unwrap();
        assert!(!format!("{command:?}").contains("geheim"));
        let mut sign_in = command.client.server().sign_in().unwrap();
        let request = sign_in.call(tonic::Request::new(())).unwrap();
        assert_eq!(request.metadata().get("authorization").unwrap(), "Basic YWxpY2U6Z2VoZWlt");
        assert!(!format!("{request:?} {sign_in:?}").contains("YWxp"));

        let mut nobody = parse(&[]).unwrap().client.server().sign_in().unwrap();
        assert!(nobody.call(tonic::Request::new(())).unwrap().metadata().is_empty());
        assert!(parse(&["--user", "a:b"]).is_err());
        let error = parse(&["--password-file", "/nowhere/at/all"]).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all"), "{error}");
    }

    #[derive(Debug, clap::Parser)]
    struct TestCommand {
        #[command(flatten)]
        client: ClientArgs,
    }

    #[tokio::test]
    async fn an_absent_server_is_named() {
        // Bound and dropped: nobody listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = parse_address(&format!("127.0.0.1:{port}")).unwrap();
        let server = Server { address, user: None, password_file: None };
        let error = server.connect().await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { cause, .. } if cause.contains("refused")), "{error}");
    }
}
