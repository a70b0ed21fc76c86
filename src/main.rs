//! The `steward` binary: reads the command line and runs what it says.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use steward::cli::rest_server::RestServerArgs;
use steward::config::{Config, LogFormat};
use steward::{cli, server, telemetry};

/// One server that coordinates stored things.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(ServeArgs),
    /// Runs the HTTP gateway alone, in front of a server elsewhere.
    Gateway(GatewayArgs),
    /// Serves backup repositories alone, with the flags of restic's rest-server.
    RestServer(Box<RestServerArgs>),
    /// Takes, watches and gives back locks.
    Lock(Box<cli::lock::LockArgs>),
    /// Looks after repositories of backups.
    Restic(Box<cli::restic::ResticArgs>),
    /// Transcodes what the server gives it; with a command, looks after the workers of the farm.
    Worker(Box<WorkerArgs>),
    /// Shows, cancels and retries the tasks of the transcoding farm.
    Task(Box<cli::task::TaskArgs>),
    /// Shows the videos of the libraries, and lets them be transcoded again.
    Video(Box<cli::video::VideoArgs>),
    /// Shows what happened on the transcoding farm.
    Log(Box<cli::log::LogArgs>),
    /// Shows who changed what, and who was not let.
    Audit(Box<cli::audit::AuditArgs>),
    /// Looks after the directories that are scanned for videos.
    Library(Box<cli::library::LibraryArgs>),
    /// Makes, attaches, snapshots, clones and checks volumes.
    Volume(Box<cli::volume::VolumeArgs>),
    /// Looks after projects and repositories, and puts, gets and lists files and images.
    Artifact(Box<cli::artifact::ArtifactArgs>),
    /// Copies artifacts to registries and to other Stewards.
    Replication(Box<cli::replication::ReplicationArgs>),
    /// Tells who you are to a server, and who may do what.
    Auth(Box<cli::auth::AuthArgs>),
    /// Makes, lists and revokes tokens by which programs sign in.
    Token(Box<cli::token::TokenArgs>),
    /// Makes an authority and certificates for trying TLS out.
    DevCerts(cli::dev_certs::DevCertsArgs),
    /// Looks after the key that stored secrets are encrypted with.
    Secrets(Box<cli::secrets::SecretsArgs>),
    /// Shows the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
struct WorkerArgs {
    #[command(flatten)]
    client: cli::connect::ClientArgs,
    #[command(flatten)]
    program: cli::worker_run::WorkerRunArgs,
    #[command(subcommand)]
    command: Option<cli::worker::WorkerCommand>,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints the configuration that `serve` would run with, as TOML.
    Print(ServeArgs),
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// A TOML file with settings; `config print` shows them all.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where HTTP is served; port 0 picks a free one. [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Serve other machines although there is no authentication.
    #[arg(long)]
    insecure: bool,
    /// Which events are logged, such as `info,steward=debug`. [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// The form of log lines on standard error. [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The data directory. [default: steward-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where gRPC is served; port 0 picks a free one. [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR")]
    grpc: Option<String>,
    /// Where backup repositories alone are served over HTTP: `host:port`, `:port` or `unix:/path`. [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    restic_listen: Option<String>,
    /// Where volumes are served over NBD: `host:port`, `:port` or `unix:/path`, several with commas between; empty:
    /// nowhere. [default: 127.0.0.1:10809]
    #[arg(long, value_name = "ADDR")]
    nbd: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct GatewayArgs {
    /// The gRPC address of the server, such as `https://10.0.0.1:50051`.
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// Certificates in PEM that are trusted there instead of those of the system.
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// The certificate that the gateway shows there, in PEM.
    #[arg(long, value_name = "FILE", requires = "upstream_key")]
    upstream_cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "upstream_cert")]
    upstream_key: Option<PathBuf>,
    #[command(flatten)]
    common: CommonArgs,
}

impl GatewayArgs {
    fn load(&self) -> Result<Config, String> {
        let mut flags = Vec::new();
        for (setting, path) in [
            ("gateway.upstream.ca", &self.upstream_ca),
            ("gateway.upstream.cert", &self.upstream_cert),
            ("gateway.upstream.key", &self.upstream_key),
        ] {
            if let Some(path) = path {
                let path = path.to_str().ok_or_else(|| format!("{setting}: the path is not UTF-8"))?;
                flags.push((setting, path.to_owned()));
            }
        }
        Config::load_gateway(self.common.config.as_deref(), self.common.flags(flags)).map_err(|error| error.to_string())
    }
}

impl CommonArgs {
    /// Those of a command, and these.
    fn flags(&self, mut flags: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
        if let Some(http) = &self.http {
            flags.push(("server.http", http.clone()));
        }
        if self.insecure {
            flags.push(("server.insecure", "true".to_owned()));
        }
        if let Some(filter) = &self.log {
            flags.push(("log.filter", filter.clone()));
        }
        if let Some(format) = self.log_format {
            let format = match format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            };
            flags.push(("log.format", format.to_owned()));
        }
        flags
    }
}

impl ServeArgs {
    fn load(&self) -> Result<Config, String> {
        let mut flags = Vec::new();
        if let Some(data) = &self.data {
            let data = data.to_str().ok_or("--data: the path is not UTF-8")?;
            flags.push(("store.data", data.to_owned()));
        }
        if let Some(grpc) = &self.grpc {
            flags.push(("server.grpc", grpc.clone()));
        }
        if let Some(listen) = &self.restic_listen {
            flags.push(("restic.listen", listen.clone()));
        }
        if let Some(nbd) = &self.nbd {
            flags.push(("volumes.nbd", nbd.clone()));
        }
        Config::load(self.common.config.as_deref(), self.common.flags(flags)).map_err(|error| error.to_string())
    }
}

fn main() -> ExitCode {
    let is_rest_server = std::env::args_os().next().is_some_and(|name| cli::rest_server::is_called_by(&name));
    let command =
        if is_rest_server { Command::RestServer(Box::new(RestServerArgs::parse())) } else { Cli::parse().command };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(command))
}

/// Half of the cores: the threads of the store need the others, and a request that hops between idle workers takes
/// longer than one that stays.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

async fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Serve(args) => serve(&args).await,
        Command::Gateway(args) => gateway(&args).await,
        Command::RestServer(args) => rest_server(*args).await,
        Command::Lock(args) => return cli::lock::run(*args).await,
        Command::Restic(args) => return cli::restic::run(*args).await,
        Command::Worker(args) => return worker(*args).await,
        Command::Task(args) => return cli::task::run(*args).await,
        Command::Video(args) => return cli::video::run(*args).await,
        Command::Log(args) => return cli::log::run(*args).await,
        Command::Audit(args) => return cli::audit::run(*args).await,
        Command::Library(args) => return cli::library::run(*args).await,
        Command::Volume(args) => return cli::volume::run(*args).await,
        Command::Artifact(args) => return cli::artifact::run(*args).await,
        Command::Replication(args) => return cli::replication::run(*args).await,
        Command::Auth(args) => return cli::auth::run(*args).await,
        Command::Token(args) => return cli::token::run(*args).await,
        Command::DevCerts(args) => cli::dev_certs::run(&args),
        Command::Secrets(args) => return cli::secrets::run(*args).await,
        Command::Config(ConfigCommand::Print(args)) => print_config(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn worker(args: WorkerArgs) -> ExitCode {
    match args.command {
        Some(command) => cli::worker::run(command, &args.client).await,
        None => cli::worker_run::run(args.program, args.client.server()).await,
    }
}

async fn serve(args: &ServeArgs) -> Result<(), String> {
    let config = args.load()?;
    telemetry::start_logging(&config.log)?;
    server::serve(config).await.map_err(|error| error.to_string())
}

async fn gateway(args: &GatewayArgs) -> Result<(), String> {
    let config = args.load()?;
    telemetry::start_logging(&config.log)?;
    server::gateway(config, &args.upstream).await.map_err(|error| error.to_string())
}

async fn rest_server(args: RestServerArgs) -> Result<(), String> {
    let warnings = args.warnings();
    let (config, options) = args.load().map_err(|error| error.to_string())?;
    telemetry::start_logging(&config.log)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    server::rest_server(config, options).await.map_err(|error| error.to_string())
}

fn print_config(args: &ServeArgs) -> Result<(), String> {
    let printed = toml::to_string(&args.load()?).map_err(|error| error.to_string())?;
    print!("{printed}");
    Ok(())
}
