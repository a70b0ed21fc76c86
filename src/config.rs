//! The configuration: defaults, then a TOML file, then the environment, then flags, each stronger than the one before.

mod access;
mod artifacts;
mod audit;
mod check;
mod duration;
mod gateway;
mod limits;
mod listen;
mod oidc;
mod replication;
mod restic;
mod secrets;
mod tls;
mod transcode;
mod volumes;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::access::{Auth, CertificateName};
pub use self::artifacts::Artifacts;
pub use self::audit::{Audit, OnFailure, Wait};
pub use self::check::Error;
pub use self::gateway::{AbsentSuccess, Gateway, Upstream};
pub use self::limits::{Limits, UserLimits};
pub use self::listen::Listen;
pub use self::oidc::{Oidc, TokenAlgorithm};
pub use self::replication::{Private, Replication};
pub use self::restic::{Access, Restic, ResticUser};
pub use self::secrets::Secrets;
pub use self::tls::{ClientCertificates, Port, PortTls, Tls, TlsPorts, TlsVersion};
pub use self::transcode::{ListShape, PathStyle, Transcode};
pub use self::volumes::{Messages, Volumes};
use crate::lock;

/// Everything that can be set.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Addresses and the life of the process.
    pub server: Server,
    /// Where state is kept.
    pub store: Store,
    /// Locks.
    pub lock: Lock,
    /// Backup repositories.
    pub restic: Restic,
    /// The transcoding farm.
    pub transcode: Transcode,
    /// Volumes.
    pub volumes: Volumes,
    /// Artifacts: files and images.
    pub artifacts: Artifacts,
    /// Their replication.
    pub replication: Replication,
    /// Who callers are.
    pub auth: Auth,
    /// Who changed what.
    pub audit: Audit,
    /// TLS, on all ports.
    pub tls: Tls,
    /// How much callers may ask.
    pub limits: Limits,
    /// Stored secrets.
    pub secrets: Secrets,
    /// The translation of the legacy APIs.
    pub gateway: Gateway,
    /// What is logged, and how.
    pub log: Log,
}

/// Addresses and the life of the process.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Where gRPC is served. Port 0 picks a free one.
    pub grpc: SocketAddr,
    /// Where HTTP is served. Port 0 picks a free one.
    pub http: SocketAddr,
    /// Serve other machines although anybody who reaches an address may do everything.
    pub insecure: bool,
    /// How long running requests may take to finish when the server is told to stop.
    #[serde(with = "duration")]
    pub shutdown_deadline: Duration,
    /// The longest a call without a stream or a wait may take.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// How many connections all ports but that of NBD may have together, and each of them; one address of another
    /// machine, a quarter of them. When there are as many, further ones wait. No more than the limit of open files allows.
    pub max_connections: usize,
    /// Let anybody read the metrics of the HTTP port although callers are asked who they are; with a gateway on its own,
    /// others than this machine and those who show a certificate.
    pub open_metrics: bool,
    /// The names by which the HTTP ports may be called while nobody is asked who they are: beside addresses, localhost, and
    /// names without dots.
    pub hosts: Vec<String>,
}

/// Where state is kept.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// The data directory. One process at a time uses it.
    pub data: PathBuf,
    /// The page cache of the record store, in bytes.
    pub cache_bytes: u64,
    /// How many revisions the journal keeps: how far back a watch can be resumed.
    pub history: u64,
    /// It keeps fewer where they take more than this, in bytes.
    pub history_bytes: u64,
}

/// Locks.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Lock {
    /// How long a success is remembered; zero: not at all, so that nobody skips.
    #[serde(with = "duration")]
    pub completed_retention: Duration,
    /// How long an owner that was handed a lock has to claim it.
    #[serde(with = "duration")]
    pub claim_timeout: Duration,
    /// The ttl of grants whose request names none; zero: they do not expire.
    #[serde(with = "duration")]
    pub default_ttl: Duration,
    /// How many owners may wait for one lock.
    pub max_waiters: u32,
    /// How many watches may be open.
    pub max_watchers: usize,
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Which events: a level, or directives such as `info,steward=debug`.
    pub filter: String,
    /// The form of the lines on standard error.
    pub format: LogFormat,
    /// Where each HTTP request has its line: a file that is appended to and opened again at SIGHUP, or `-` for standard
    /// output. Apache's combined form, or JSON where `format` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            grpc: SocketAddr::from(([127, 0, 0, 1], 50051)),
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            insecure: false,
            shutdown_deadline: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_connections: 10_000,
            open_metrics: false,
            hosts: Vec::new(),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Store {
            data: PathBuf::from("steward-data"),
            cache_bytes: 64 * 1024 * 1024,
            history: 100_000,
            history_bytes: 256 * 1024 * 1024,
        }
    }
}

impl Default for Lock {
    fn default() -> Self {
        let settings = lock::Settings::default();
        Lock {
            completed_retention: settings.completed_retention,
            claim_timeout: settings.claim_timeout,
            default_ttl: settings.default_ttl.unwrap_or_default(),
            max_waiters: settings.max_waiters,
            max_watchers: settings.max_watchers,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { filter: "info".to_owned(), format: LogFormat::default(), access: None }
    }
}

impl Lock {
    /// As the lock area takes them.
    pub fn settings(&self) -> lock::Settings {
        lock::Settings {
            completed_retention: self.completed_retention,
            claim_timeout: self.claim_timeout,
            default_ttl: (!self.default_ttl.is_zero()).then_some(self.default_ttl),
            max_waiters: self.max_waiters,
            max_watchers: self.max_watchers,
        }
    }
}

impl Config {
    /// Reads `file`, if any, the environment (`STEWARD_SERVER__GRPC` is `server.grpc`), and `flags`: pairs of a
    /// setting and its value.
    pub fn load(file: Option<&Path>, flags: Vec<(&'static str, String)>) -> Result<Self, Error> {
        let config = Self::read(file, &[], flags)?;
        config.check()?;
        Ok(config)
    }

    /// The same for a gateway on its own.
    pub fn load_gateway(file: Option<&Path>, flags: Vec<(&'static str, String)>) -> Result<Self, Error> {
        let config = Self::read(file, &[], flags)?;
        config.check_settings()?;
        Ok(config)
    }

    /// The same as [`Config::load`], unchecked, with defaults that are not Steward's own.
    pub fn read(
        file: Option<&Path>,
        defaults: &[(&'static str, &'static str)],
        flags: Vec<(&'static str, String)>,
    ) -> Result<Self, Error> {
        let mut builder = config::Config::builder();
        for (setting, value) in defaults {
            builder = builder.set_default(*setting, *value)?;
        }
        if let Some(file) = file {
            builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        builder = builder.add_source(environment(section_variables()));
        for (setting, value) in flags {
            builder = builder.set_override(setting, value)?;
        }
        Ok(builder.build()?.try_deserialize()?)
    }
}

/// Variables as a source of settings. Their names are made lower case, so `restic.users` of other names are for the
/// file alone.
fn environment(variables: config::Map<String, String>) -> config::Environment {
    let environment = config::Environment::with_prefix("STEWARD").prefix_separator("_").separator("__");
    let environment = environment
        .list_separator(",")
        .with_list_parse_key("auth.trusted_proxies")
        .with_list_parse_key("auth.oidc.algorithms")
        .with_list_parse_key("replication.allowed_targets")
        .with_list_parse_key("server.hosts")
        .with_list_parse_key("transcode.library_roots");
    environment.source(Some(variables)).try_parsing(true)
}

/// The variables that name a section; others that start with STEWARD_ belong to the client commands.
fn section_variables() -> config::Map<String, String> {
    let utf8 =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    utf8.filter(|(name, _)| name.starts_with("STEWARD_") && name.contains("__")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_prints_and_reads_back() {
        let printed = toml::to_string(&Config::default()).expect("a configuration prints");
        let read: Config = toml::from_str(&printed).expect("and reads back");
        assert_eq!(read, Config::default());
        assert!(printed.contains("completed_retention = \"5m\""), "{printed}");
    }

    #[test]
    fn a_variable_can_be_a_list() {
        let variables = [
            ("STEWARD_AUTH__TRUSTED_PROXIES", "10.0.0.1,10.1.0.0/16"),
            ("STEWARD_AUTH__HTPASSWD", "/a,b"),
            ("STEWARD_GATEWAY__COMPRESS_LISTS", "true"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        let builder = config::Config::builder().add_source(environment(variables));
        let config: Config = builder.build().expect("a source").try_deserialize().expect("a configuration");
        assert_eq!(config.auth.trusted_proxies, ["10.0.0.1", "10.1.0.0/16"]);
        assert_eq!(config.auth.htpasswd, Some(PathBuf::from("/a,b")), "no other setting is one");
        assert!(config.gateway.compress_lists);
    }

    #[test]
    fn flags_are_stronger_than_the_file_and_errors_name_the_setting() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "[lock]\nclaim_timeout = \"1s 500ms\"\n[server]\ngrpc = \"127.0.0.1:1\"\n")
            .expect("written");
        let config =
            Config::load(Some(file.path()), vec![("server.grpc", "127.0.0.1:2".to_owned())]).expect("a configuration");
        assert_eq!(config.lock.claim_timeout, Duration::from_millis(1500));
        assert_eq!(config.server.grpc.port(), 2);

        std::fs::write(file.path(), "[lock]\nclaim_timeout = \"soon\"\n").expect("written");
        let error = Config::load(Some(file.path()), Vec::new()).expect_err("not a duration");
        assert!(error.to_string().contains("lock.claim_timeout"), "{error}");
        std::fs::write(file.path(), "[lock]\nclaim_timeuot = \"1s\"\n").expect("written");
        let error = Config::load(Some(file.path()), Vec::new()).expect_err("an unknown setting");
        assert!(error.to_string().contains("claim_timeuot"), "{error}");
    }
}
