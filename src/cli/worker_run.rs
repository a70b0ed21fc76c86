//! `steward worker`: a program that transcodes what the server gives it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::connect::Server;
use super::error::{self, Error};
use super::exit::Exit;
use super::identity;
use crate::config::{Log, LogFormat};
use crate::telemetry;
use crate::worker::{self, Decoding, Delivery, End, Kind, Libraries, Order, Profile, Settings};

/// As of a program that was ended by SIGTERM.
const EXIT_UNTIDY: i32 = 143;

/// What a worker is told.
#[derive(Args, Clone, Debug)]
pub struct WorkerRunArgs {
    /// The name that the server knows this worker by. Default: this host's.
    #[arg(long, value_name = "NAME", env = "STEWARD_WORKER_NAME", value_parser = parse_name)]
    name: Option<String>,

    /// What it encodes with.
    #[arg(long = "type", value_name = "TYPE", env = "STEWARD_WORKER_TYPE", value_enum, default_value_t = Kind::Cpu)]
    kind: Kind,

    /// Takes VR videos, and no others.
    #[arg(long, env = "STEWARD_WORKER_VR")]
    vr: bool,

    /// Where a library of the server is on this machine. Once for each; in the environment, between commas.
    #[arg(
        long = "library",
        value_name = "NAME=PATH",
        env = "STEWARD_WORKER_LIBRARIES",
        value_delimiter = ',',
        value_parser = parse_library
    )]
    libraries: Vec<(String, PathBuf)>,

    /// Where results go: a directory, or `replace` to put each in the place of its original, which goes to the trash of
    /// its library.
    #[arg(long, value_name = "DIR|replace", env = "STEWARD_WORKER_OUTPUT")]
    output: Option<String>,

    /// Without a shared disk: the server sends the videos and places the results.
    #[arg(long, env = "STEWARD_WORKER_TRANSFER", conflicts_with = "output")]
    transfer: bool,

    /// How many tasks it does at a time, from 1 to 64.
    #[arg(
        long,
        value_name = "N",
        env = "STEWARD_WORKER_SLOTS",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=64)
    )]
    slots: u8,

    /// What rules of libraries can ask for. Once for each; in the environment, between commas.
    #[arg(
        long = "label",
        value_name = "KEY=VALUE",
        env = "STEWARD_WORKER_LABELS",
        value_delimiter = ',',
        value_parser = parse_label
    )]
    labels: Vec<(String, String)>,

    /// Takes no videos that are higher, in pixels.
    #[arg(
        long,
        value_name = "N",
        env = "STEWARD_WORKER_MAX_HEIGHT",
        value_parser = clap::value_parser!(i32).range(1..)
    )]
    max_height: Option<i32>,

    /// Takes only videos of this codec, as ffprobe names it. Once for each; in the environment, between commas.
    #[arg(long = "codec", value_name = "CODEC", env = "STEWARD_WORKER_CODECS", value_delimiter = ',')]
    codecs: Vec<String>,

    /// The quality: the smaller, the better and larger.
    #[arg(
        long,
        value_name = "N",
        env = "STEWARD_WORKER_CRF",
        default_value_t = 24,
        value_parser = clap::value_parser!(u8).range(0..=51)
    )]
    crf: u8,

    /// How much time is spent on a small result, as the encoder names it. Default: `medium`; `p5` for nvenc.
    #[arg(long, value_name = "PRESET", env = "STEWARD_WORKER_PRESET")]
    preset: Option<String>,

    /// What sound is encoded with, as ffmpeg names it; `copy` leaves it as it is.
    #[arg(long, value_name = "ENCODER", env = "STEWARD_WORKER_AUDIO", default_value = "copy")]
    audio: String,

    /// How much of each result is decoded before it is trusted.
    #[arg(long, value_name = "HOW", env = "STEWARD_WORKER_VERIFY", value_enum, default_value_t = Decoding::Full)]
    verify: Decoding,

    /// Takes results that are larger than their sources.
    #[arg(long, env = "STEWARD_WORKER_ALLOW_LARGER")]
    allow_larger: bool,

    /// Where the worker keeps what it must know after a restart. One for each worker.
    #[arg(long, value_name = "DIR", env = "STEWARD_WORKER_STATE", default_value = "steward-worker")]
    state: PathBuf,

    /// Where results grow. Default: beside their place; with --transfer, in the state directory.
    #[arg(long, value_name = "DIR", env = "STEWARD_WORKER_TEMP")]
    temp: Option<PathBuf>,

    /// What the shell is to run when the server says that the machine is to be shut down. Default: nothing.
    #[arg(long, value_name = "COMMAND", env = "STEWARD_WORKER_SHUTDOWN_COMMAND")]
    shutdown_command: Option<String>,

    /// The program ffmpeg.
    #[arg(long, value_name = "FILE", env = "STEWARD_FFMPEG", default_value = "ffmpeg")]
    ffmpeg: PathBuf,

    /// The program ffprobe.
    #[arg(long, value_name = "FILE", env = "STEWARD_FFPROBE", default_value = "ffprobe")]
    ffprobe: PathBuf,

    /// Which events are logged, such as `info,steward=debug`.
    #[arg(long, value_name = "FILTER", env = "STEWARD_WORKER_LOG", default_value = "info")]
    log: String,

    /// The form of log lines on standard error. [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

/// Works until it is told to end. Failures are told on standard error.
pub async fn run(args: WorkerRunArgs, server: &Server) -> ExitCode {
    run_to_exit(args, server).await.unwrap_or_else(|error| error::report(&error)).into()
}

async fn run_to_exit(args: WorkerRunArgs, server: &Server) -> Result<Exit, Error> {
    let log = Log { filter: args.log.clone(), format: args.log_format.unwrap_or_default(), ..Log::default() };
    let settings = args.settings().map_err(Error::Local)?;
    telemetry::start_logging(&log).map_err(Error::Local)?;
    let shutdown_command = settings.shutdown_command.clone();
    let orders = listen().map_err(|source| Error::System { what: "cannot catch signals", source })?;
    match worker::work(settings, server, orders).await.map_err(Error::Local)? {
        End::Finished => Ok(Exit::DONE),
        End::Quit => Ok(Exit::of_signal(Signal::TERM)),
        End::ShutDown => shut_down(shutdown_command).await,
    }
}

async fn shut_down(command: Option<String>) -> Result<Exit, Error> {
    let Some(command) = command else {
        tracing::warn!("the server wants this machine shut down, but there is no --shutdown-command");
        return Ok(Exit::DONE);
    };
    tracing::info!(%command, "shutting the machine down");
    let status = tokio::process::Command::new("/bin/sh").arg("-c").arg(command).status().await;
    let status = status.map_err(|source| Error::System { what: "cannot run the --shutdown-command", source })?;
    Ok(Exit::of_command(status))
}

/// What signals mean: SIGTERM to finish and, once more, to stop; SIGINT to stop. The third ends the worker as it is.
fn listen() -> std::io::Result<mpsc::UnboundedReceiver<Order>> {
    let (orders, received) = mpsc::unbounded_channel();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Ends with the process: signals stay caught once they are.
    tokio::spawn(async move {
        for _ in 0..2 {
            let order = tokio::select! {
                _ = terminate.recv() => Order::Finish,
                _ = interrupt.recv() => Order::Quit,
            };
            if orders.send(order).is_err() {
                return;
            }
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Something hangs, and the next start puts right what is left.
        std::process::exit(EXIT_UNTIDY);
    });
    Ok(received)
}

impl WorkerRunArgs {
    fn settings(self) -> Result<Settings, String> {
        let delivery = match (self.transfer, self.output.as_deref()) {
            (true, _) => Delivery::Transfer,
            (false, Some("replace")) => Delivery::Replace,
            (false, Some("")) => return Err("--output: it is empty".to_owned()),
            (false, Some(directory)) => Delivery::Directory(absolute("--output", Path::new(directory))?),
            (false, None) => {
                return Err("say where results go: --output DIR, --output replace, or --transfer".to_owned());
            }
        };
        let libraries = self.libraries.into_iter();
        let libraries = libraries.map(|(name, path)| Ok((name, absolute("--library", &path)?)));
        let libraries = Libraries::new(libraries.collect::<Result<Vec<_>, String>>()?);
        if libraries.is_empty() && delivery != Delivery::Transfer {
            return Err("say where the libraries are: --library NAME=PATH for each; or --transfer".to_owned());
        }
        if let Delivery::Directory(directory) = &delivery {
            refuse_overlap(directory, &libraries)?;
        }
        Ok(Settings {
            name: self.name.unwrap_or_else(identity::host),
            kind: self.kind,
            support_vr: self.vr,
            libraries,
            delivery,
            slots: self.slots.into(),
            labels: HashMap::from_iter(self.labels),
            max_height: self.max_height.unwrap_or(0),
            codecs: self.codecs,
            profile: Profile { crf: self.crf, preset: self.preset, audio: self.audio },
            decoding: self.verify,
            allow_larger: self.allow_larger,
            state: self.state,
            temp: self.temp.map(|temp| absolute("--temp", &temp)).transpose()?,
            shutdown_command: self.shutdown_command,
            ffmpeg: self.ffmpeg,
            ffprobe: self.ffprobe,
        })
    }
}

/// What is written down about files must mean the same after a restart elsewhere.
fn absolute(option: &str, path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{option}: {}: {error}", path.display()))
}

/// Results in a library would be found there as new videos; a library among the results, likewise.
fn refuse_overlap(output: &Path, libraries: &Libraries) -> Result<(), String> {
    let output = resolved(output);
    for (name, root) in libraries.iter() {
        let root = resolved(root);
        if output.starts_with(&root) || root.starts_with(&output) {
            return Err(format!("--output: {} and the library {name:?} are in one another", output.display()));
        }
    }
    Ok(())
}

/// Without symbolic links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    path.ancestors()
        .find_map(|existing| Some(existing.canonicalize().ok()?.join(path.strip_prefix(existing).ok()?)))
        .unwrap_or_else(|| path.to_owned())
}

fn parse_name(name: &str) -> Result<String, &'static str> {
    if (1..=255).contains(&name.chars().count()) { Ok(name.to_owned()) } else { Err("has 1 to 255 characters") }
}

fn parse_library(text: &str) -> Result<(String, PathBuf), &'static str> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !name.contains('/') && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("write it as NAME=PATH, with no slash in the name"),
    }
}

fn parse_label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        worker: WorkerRunArgs,
    }

    fn settings(words: &[&str]) -> Result<Settings, String> {
        let cli = Cli::try_parse_from([&["worker"], words].concat()).map_err(|error| error.to_string())?;
        cli.worker.settings()
    }

    #[test]
    fn little_has_to_be_said() {
        let settings = settings(&["--library", "films=/films", "--output", "replace"]).unwrap();
        assert_eq!((settings.kind, settings.slots, settings.delivery), (Kind::Cpu, 1, Delivery::Replace));
        assert_eq!(settings.name, identity::host());
        assert_eq!((settings.profile.crf, settings.profile.audio.as_str()), (24, "copy"));
        assert_eq!(settings.decoding, Decoding::Full);
    }

    #[test]
    fn results_and_libraries_need_a_place() {
        assert!(settings(&["--library", "a=/a"]).unwrap_err().contains("--output"));
        assert!(settings(&["--output", "replace"]).unwrap_err().contains("--library"));
        assert_eq!(settings(&["--transfer"]).unwrap().delivery, Delivery::Transfer);
        assert!(settings(&["--transfer", "--output", "replace"]).is_err());
    }

    #[test]
    fn paths_are_meant_from_where_the_worker_starts() {
        let settings = settings(&["--library", "a=films", "--output", "out", "--label", "gpu=a2000"]).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(settings.libraries.iter().collect::<Vec<_>>(), [("a", here.join("films").as_path())]);
        assert_eq!(settings.delivery, Delivery::Directory(here.join("out")));
        assert_eq!(settings.labels["gpu"], "a2000");
    }

    #[test]
    fn results_and_libraries_are_kept_apart() {
        let directory = tempfile::tempdir().unwrap();
        let films = directory.path().join("films");
        std::fs::create_dir(&films).unwrap();
        std::os::unix::fs::symlink(&films, directory.path().join("link")).unwrap();
        let library = format!("films={}", films.display());
        let output = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        for wrong in ["films", "films/out/deep", "link/out", ""] {
            let error = settings(&["--library", &library, "--output", &output(wrong)]).unwrap_err();
            assert!(error.contains("--output") && error.contains("films"), "{error}");
        }
        assert!(settings(&["--library", &library, "--output", &output("films2")]).is_ok());
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            ["--library", "films"],
            ["--library", "a/b=/c"],
            ["--label", "=x"],
            ["--slots", "0"],
            ["--slots", "65"],
            ["--crf", "52"],
            ["--max-height", "0"],
            ["--type", "abacus"],
            ["--name", ""],
        ] {
            assert!(Cli::try_parse_from(["worker", wrong[0], wrong[1]]).is_err(), "{wrong:?}");
        }
    }
}
