//! `steward volume attach`: a volume or snapshot as a block device.

mod lease;
#[cfg(test)]
mod tests;
mod tool;
mod uri;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use steward_proto::volume::v1 as pb;

use self::lease::Lease;
use self::tool::Tool;
use super::json;
use super::name::Place;
use super::session::Session;
use crate::cli::command::Running;
use crate::cli::console::{Console, Format, printable};
use crate::cli::duration;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::signals::Signals;

/// How long the command may take to end after SIGTERM when the device is gone.
const GRACE: Duration = Duration::from_secs(5);
const SHORTEST_TTL: Duration = Duration::from_secs(5);
const LONGEST_TTL: Duration = Duration::from_hours(24);

/// Opens a volume or snapshot, says where, and keeps it open until Ctrl-C or until COMMAND ends.
#[derive(Args, Debug)]
#[command(after_help = "\
While it is open nobody deletes the volume or rolls it back. COMMAND finds the URI in STEWARD_NBD_URI, and with
--mount-file or --device the path of the device in STEWARD_NBD_DEVICE. When the server closes the export or is away for
longer than --ttl, COMMAND is stopped and what was set up is undone.

Exit codes: COMMAND's own, or 128 and the signal that killed it; and
  0    done
  1    error
  2    wrong usage
  76   the export or the device was lost
  126  the command cannot be executed
  127  there is no such command")]
pub(super) struct AttachArgs {
    /// Which one. A snapshot refuses writes.
    #[arg(value_name = "PATH[@SNAP]")]
    place: Place,

    /// Refuse writes.
    #[arg(long)]
    read_only: bool,

    /// Keep other writers out.
    #[arg(long)]
    exclusive: bool,

    /// How long it stays open if this process dies.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_ttl)]
    ttl: Duration,

    /// Show it as the file DIR/nbd, with nbdfuse.
    #[arg(long, value_name = "DIR", conflicts_with = "device")]
    mount_file: Option<PathBuf>,

    /// Connect this device, such as /dev/nbd0, with nbd-client.
    #[arg(long, value_name = "DEVICE")]
    device: Option<PathBuf>,

    /// Say where it is and leave; it stays open for --ttl.
    #[arg(long, conflicts_with_all = ["mount_file", "device", "command"])]
    print: bool,

    /// What to run, with its arguments.
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
}

/// Why it is over.
enum End {
    /// The command ended, or there was none and somebody pressed Ctrl-C.
    Done(Exit),
    /// The device is no longer what it was.
    Lost(String),
}

pub(super) async fn run(args: AttachArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let signals = Signals::listen().map_err(|source| Error::System { what: "cannot catch signals", source })?;
    attach(args, signals, session, console).await
}

async fn attach(
    args: AttachArgs,
    mut signals: Signals,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<Exit, Error> {
    let export = open(&args, session).await?;
    let uri = uri::choose(&export.uris).ok_or(Error::Nonsense("it does not say where to connect"))?.to_owned();
    if args.print {
        show(export, &uri, None, console)?;
        return Ok(Exit::DONE);
    }
    let uuid = export.uuid.clone();
    let mut lease = Lease::keep(uuid.clone(), args.ttl, session);
    let end = use_it(&args, export, &uri, &mut lease, &mut signals, console).await;
    drop(lease);
    close(uuid, session).await;
    match end? {
        End::Done(exit) => Ok(exit),
        End::Lost(cause) => {
            eprintln!("error: {} is lost: {cause}", args.place);
            Ok(Exit::LOST)
        }
    }
}

async fn open(args: &AttachArgs, session: &Session<'_>) -> Result<pb::Export, Error> {
    let request = pb::OpenExportRequest {
        user: session.user(),
        volume: Some(args.place.volume.to_proto()),
        snapshot: args.place.snapshot.clone().unwrap_or_default(),
        read_only: args.is_read_only(),
        exclusive: args.exclusive,
        ttl: Some(duration::to_proto(args.ttl)),
    };
    let answer = session.take(session.exports().open_export(request).await)?;
    answer.export.ok_or(Error::Nonsense("it has no export"))
}

/// Sets up what is asked for, waits until it is over, and undoes it.
async fn use_it(
    args: &AttachArgs,
    export: pb::Export,
    uri: &str,
    lease: &mut Lease,
    signals: &mut Signals,
    console: &mut Console,
) -> Result<End, Error> {
    let mut tool = match (&args.mount_file, &args.device) {
        (Some(directory), _) => Tool::mount(directory, uri, args.is_read_only()).await?,
        (None, Some(device)) => Tool::connect(device, uri, args.is_read_only()).await?,
        (None, None) => Tool::None,
    };
    let end = if args.command.is_empty() {
        match show(export, uri, tool.device(), console) {
            Ok(()) => Ok(wait(&mut tool, lease, signals).await),
            Err(error) => Err(error),
        }
    } else {
        supervise(args, uri, &mut tool, lease, signals).await
    };
    tool.undo().await;
    end
}

fn show(export: pb::Export, uri: &str, device: Option<PathBuf>, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Export::from(export))?,
        Format::Text => {
            console.line(printable(uri))?;
            if let Some(device) = device {
                console.line(device.display())?;
            }
        }
    }
    // Others wait for this line.
    console.flush()
}

async fn wait(tool: &mut Tool, lease: &mut Lease, signals: &mut Signals) -> End {
    tokio::select! {
        _ = signals.next() => End::Done(Exit::DONE),
        cause = lease.lost() => End::Lost(cause),
        cause = tool.ended() => End::Lost(cause),
    }
}

/// Runs the command until it ends or must.
async fn supervise(
    args: &AttachArgs,
    uri: &str,
    tool: &mut Tool,
    lease: &mut Lease,
    signals: &mut Signals,
) -> Result<End, Error> {
    let mut environment = vec![("STEWARD_NBD_URI", uri.to_owned())];
    environment.extend(tool.device().map(|device| ("STEWARD_NBD_DEVICE", device.display().to_string())));
    let mut running = match Running::start(&args.command, &environment) {
        Ok(running) => running,
        Err(error) => return Ok(End::Done(not_started(&args.command, &error))),
    };
    let failure = |source| Error::System { what: "cannot wait for the command", source };
    let cause = loop {
        tokio::select! {
            status = running.wait() => return Ok(End::Done(Exit::of_command(status.map_err(failure)?))),
            signal = signals.next() => running.forward(signal),
            cause = lease.lost() => break cause,
            cause = tool.ended() => break cause,
        }
    };
    running.stop(Instant::now() + GRACE).await.map_err(failure)?;
    Ok(End::Lost(cause))
}

fn not_started(command: &[OsString], error: &io::Error) -> Exit {
    let name = command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    eprintln!("error: cannot run {name}: {error}");
    if error.kind() == io::ErrorKind::NotFound { Exit::NOT_FOUND } else { Exit::NOT_EXECUTABLE }
}

/// An export that cannot be closed ends by itself.
async fn close(uuid: String, session: &Session<'_>) {
    let request = pb::CloseExportRequest { user: session.user(), uuid };
    let closed = tokio::time::timeout(GRACE, async { session.exports().close_export(request).await }).await;
    let problem = match closed {
        Ok(Ok(_)) => return,
        Ok(Err(status)) => crate::cli::error::describe(&status),
        Err(_) => "the server does not answer".to_owned(),
    };
    eprintln!("warning: cannot close the export: {problem}; it ends by itself");
}

impl AttachArgs {
    fn is_read_only(&self) -> bool {
        self.read_only || self.place.snapshot.is_some()
    }
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = duration::parse(text)?;
    let is_allowed = (SHORTEST_TTL..=LONGEST_TTL).contains(&ttl);
    is_allowed.then_some(ttl).ok_or_else(|| "has to be between 5s and 24h".to_owned())
}
