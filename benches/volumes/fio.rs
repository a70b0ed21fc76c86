//! fio, which makes the load.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::BoxError;
use crate::process::cpu;

/// What is loaded: a device of a server.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) uri: String,
    /// The process of the server.
    pub(crate) pid: u32,
}

/// What to do to it.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// As fio says it: `randread`, `write`.
    pub(crate) kind: &'static str,
    /// As fio says it: `4k`.
    pub(crate) block: &'static str,
    pub(crate) depth: u32,
    pub(crate) connections: u32,
    /// Further words for fio.
    pub(crate) more: Vec<String>,
}

impl Load {
    pub(crate) fn new(kind: &'static str, block: &'static str, depth: u32) -> Self {
        Load { kind, block, depth, connections: 1, more: Vec::new() }
    }

    pub(crate) fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    pub(crate) fn with(mut self, word: impl Into<String>) -> Self {
        self.more.push(word.into());
        self
    }

    /// Goes on for so long.
    pub(crate) fn seconds(self, seconds: u32) -> Self {
        self.with("--time_based").with(format!("--runtime={seconds}"))
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) operations_per_second: f64,
    pub(crate) megabytes_per_second: f64,
    /// In microseconds.
    pub(crate) p99: f64,
    /// Of the server, for each operation, in microseconds.
    pub(crate) cpu: f64,
}

/// A load that runs.
pub(crate) struct Running {
    child: Child,
    place: Place,
    cpu: f64,
}

/// Starts a load.
pub(crate) fn start(place: &Place, bytes: u64, load: &Load) -> Result<Running, BoxError> {
    let cpu = cpu(place.pid)?;
    let mut command = Command::new("fio");
    command.args(["--name=load", "--ioengine=nbd", "--output-format=json", "--group_reporting", "--randrepeat=0"]);
    // Content that nobody takes for zeros.
    command.arg("--refill_buffers=0").arg(format!("--uri={}", place.uri)).arg(format!("--rw={}", load.kind));
    command.arg(format!("--bs={}", load.block)).arg(format!("--iodepth={}", load.depth));
    command.arg(format!("--numjobs={}", load.connections)).arg(format!("--size={bytes}")).args(&load.more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let child = command.spawn().map_err(|error| format!("fio: {error}"))?;
    Ok(Running { child, place: place.clone(), cpu })
}

impl Running {
    pub(crate) fn has_ended(&mut self) -> Result<bool, BoxError> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Ends it early; what it has seen by then counts.
    pub(crate) fn stop(self) -> Result<Seen, BoxError> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::INT);
        }
        self.result(true)
    }

    /// Waits for the end.
    pub(crate) fn seen(self) -> Result<Seen, BoxError> {
        self.result(false)
    }

    /// A fio that is interrupted says what it has seen, and that it failed.
    fn result(self, is_interrupted: bool) -> Result<Seen, BoxError> {
        let output = self.child.wait_with_output()?;
        let used = cpu(self.place.pid)? - self.cpu;
        if !output.status.success() && !is_interrupted {
            return Err(format!("fio ended with {}", output.status).into());
        }
        // Some versions say a word before the object.
        let text = String::from_utf8(output.stdout)?;
        let said: Value = serde_json::from_str(&text[text.find('{').ok_or("fio says nothing")?..])?;
        let sides = ["read", "write"].map(|side| &said["jobs"][0][side]);
        let sum = |key: &str| sides.iter().filter_map(|side| side[key].as_f64()).sum::<f64>();
        let p99 =
            sides.iter().filter_map(|side| side["clat_ns"]["percentile"]["99.000000"].as_f64()).fold(0.0, f64::max);
        Ok(Seen {
            operations_per_second: sum("iops"),
            megabytes_per_second: sum("bw_bytes") / 1e6,
            p99: p99 / 1e3,
            cpu: used * 1e6 / sum("total_ios").max(1.0),
        })
    }
}

/// Runs a load to its end.
pub(crate) fn run(place: &Place, bytes: u64, load: &Load) -> Result<Seen, BoxError> {
    start(place, bytes, load)?.seen()
}

/// Writes all of a device.
pub(crate) fn fill(place: &Place, bytes: u64) -> Result<Seen, BoxError> {
    run(place, bytes, &Load::new("write", "1m", 8).with("--end_fsync=1"))
}
