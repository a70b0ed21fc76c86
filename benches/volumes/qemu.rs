//! `qemu-nbd`, with raw and with qcow2 files.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BoxError;
use crate::fio::Place;
use crate::process::Process;

/// What is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Raw,
    Qcow2,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
        }
    }
}

/// How qcow2 is at its best.
const OPTIONS: &str = "cluster_size=64k,extended_l2=on";

/// A server of one file.
#[derive(Debug)]
pub(crate) struct Qemu {
    process: Process,
    socket: PathBuf,
    engine: &'static str,
}

/// Makes an empty file.
pub(crate) fn create(file: &Path, format: Format, bytes: u64) -> Result<(), BoxError> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", format.name()]);
    if format == Format::Qcow2 {
        command.args(["-o", OPTIONS]);
    }
    run(command.arg(file).arg(bytes.to_string()))
}

/// Makes a qcow2 file that stands on another one, as after a snapshot.
pub(crate) fn create_on(base: &Path, file: &Path) -> Result<(), BoxError> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-o", OPTIONS, "-b"]).arg(base).arg(file);
    run(&mut command)
}

fn run(command: &mut Command) -> Result<(), BoxError> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

impl Qemu {
    /// Serves a file: with `io_uring` where the kernel has it, else with threads.
    pub(crate) fn start(file: &Path, format: Format) -> Result<Self, BoxError> {
        Self::start_with(file, format, "io_uring").or_else(|_| Self::start_with(file, format, "threads"))
    }

    fn start_with(file: &Path, format: Format, engine: &'static str) -> Result<Self, BoxError> {
        let socket = file.with_extension("sock");
        // What an earlier server left; it may not be there.
        let _ = std::fs::remove_file(&socket);
        let mut command = Command::new("qemu-nbd");
        command.args(["-f", format.name(), "--cache=writeback", "--persistent", "--shared=0", "--discard=unmap"]);
        command.arg(format!("--aio={engine}")).arg("--socket").arg(&socket).arg(file);
        let process = Process::start(&mut command, &file.with_extension("log"), &socket)?;
        Ok(Qemu { process, socket, engine })
    }

    pub(crate) fn engine(&self) -> &'static str {
        self.engine
    }

    pub(crate) fn place(&self) -> Place {
        Place { uri: format!("nbd+unix:///?socket={}", self.socket.display()), pid: self.process.id() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}
