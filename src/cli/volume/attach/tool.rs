//! The programs that make a device of an export: `nbdfuse` and `nbd-client`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::uri;
use crate::cli::error::Error;

/// How long a mount may take to appear, and to go.
const PATIENCE: Duration = Duration::from_secs(10);
// Nothing tells when a directory becomes a mount, so it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What was set up.
pub(super) enum Tool {
    /// Nothing.
    None,
    /// `nbdfuse` runs and shows the file `nbd` in the directory.
    Mount { directory: PathBuf, nbdfuse: Box<Child> },
    /// The kernel is connected.
    Device(PathBuf),
}

impl Tool {
    /// Shows the export at `uri` as the file `nbd` in `directory`.
    pub(super) async fn mount(directory: &Path, uri: &str, is_read_only: bool) -> Result<Self, Error> {
        let failure = |problem: String| Error::Local(format!("cannot mount on {}: {problem}", directory.display()));
        let before = device_number(directory).map_err(|error| failure(error.to_string()))?;
        let mut command = Command::new("nbdfuse");
        if is_read_only {
            command.arg("-r");
        }
        // In a group of its own: Ctrl-C at the terminal must not take the file away while it is in use.
        command.arg(directory).arg(uri).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).kill_on_drop(true);
        let nbdfuse = command.spawn().map_err(|error| failure(not_run("nbdfuse", &error)))?;
        let mut tool = Tool::Mount { directory: directory.to_owned(), nbdfuse: Box::new(nbdfuse) };
        let until = Instant::now() + PATIENCE;
        while device_number(directory).is_ok_and(|number| number == before) {
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => {}
                cause = tool.ended() => return Err(failure(cause)),
            }
            if Instant::now() >= until {
                tool.undo().await;
                return Err(failure("nbdfuse takes too long".to_owned()));
            }
        }
        Ok(tool)
    }

    /// Connects the kernel's `device` to the export at `uri`.
    pub(super) async fn connect(device: &Path, uri: &str, is_read_only: bool) -> Result<Self, Error> {
        let failure = |problem: String| Error::Local(format!("cannot connect {}: {problem}", device.display()));
        let address = uri::parse(uri);
        let address =
            address.ok_or_else(|| failure("nbd-client is not told how to use TLS by this command".to_owned()))?;
        let mut command = Command::new("nbd-client");
        command.args(address.arguments(device, is_read_only)).stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.status().await.map_err(|error| failure(not_run("nbd-client", &error)))?;
        if !status.success() {
            return Err(failure(format!("nbd-client failed ({status})")));
        }
        Ok(Tool::Device(device.to_owned()))
    }

    /// Where the bytes can be found.
    pub(super) fn device(&self) -> Option<PathBuf> {
        match self {
            Tool::None => None,
            Tool::Mount { directory, .. } => Some(directory.join("nbd")),
            Tool::Device(device) => Some(device.clone()),
        }
    }

    /// Returns when it ended by itself, and says why.
    pub(super) async fn ended(&mut self) -> String {
        match self {
            Tool::Mount { nbdfuse, .. } => match nbdfuse.wait().await {
                Ok(status) => format!("nbdfuse ended ({status})"),
                Err(error) => format!("cannot wait for nbdfuse: {error}"),
            },
            Tool::None | Tool::Device(_) => std::future::pending().await,
        }
    }

    /// Takes away what was set up. What fails is told on standard error.
    pub(super) async fn undo(self) {
        match self {
            Tool::None => {}
            Tool::Device(device) => run("nbd-client", &["-d".as_ref(), device.as_os_str()]).await,
            Tool::Mount { directory, mut nbdfuse } => {
                if nbdfuse.try_wait().ok().flatten().is_some() {
                    return;
                }
                run("fusermount3", &["-u".as_ref(), directory.as_os_str()]).await;
                // What was written is on its way until it ends.
                if timeout(PATIENCE, nbdfuse.wait()).await.is_err() {
                    eprintln!("warning: nbdfuse does not end; {} may still be mounted", directory.display());
                }
            }
        }
    }
}

async fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    match command.status().await {
        Ok(status) if status.success() => {}
        Ok(status) => eprintln!("warning: {program} failed ({status})"),
        Err(error) => eprintln!("warning: {}", not_run(program, &error)),
    }
}

fn not_run(program: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return format!("{program} is not installed");
    }
    format!("cannot run {program}: {error}")
}

/// The number of the file system that a directory is on, which a mount changes.
fn device_number(directory: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(directory)?;
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(metadata.dev())
}
