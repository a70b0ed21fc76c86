//! A program that is run to its end, or stopped with all that it started.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::tail::Tail;

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long it may take to be gone after it was killed.
const KILLED_GRACE: Duration = Duration::from_secs(10);
const BUFFER_BYTES: usize = 8192;

/// Runs a program until it ends well. `on_output` gets its standard output as it comes; its last words are in the
/// failure, if it fails.
pub(super) async fn run(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    stop: &CancellationToken,
    on_output: impl FnMut(&[u8]),
) -> Result<(), Failure> {
    let name = program.display();
    let mut command = Command::new(program);
    command.args(arguments);
    let (status, words) = match listen(command, stop, on_output).await {
        Ok(Some(ended)) => ended,
        Ok(None) => return Err(Failure::Stopped),
        Err(error) => return Err(Failure::worker(format!("cannot run {name}: {error}"))),
    };
    if status.success() {
        return Ok(());
    }
    let words = if words.is_empty() { "it did not say why".to_owned() } else { words };
    let message = format!("{} failed ({status}): {words}", file_name(program));
    // Another machine may have room, and nobody there who kills it.
    let is_machines_fault = message.contains("No space left on device") || was_killed(status);
    Err(if is_machines_fault { Failure::Worker(message) } else { Failure::Video(message) })
}

/// By somebody else, such as a machine that is short of memory. A crash is the program's own.
fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;

    let killers = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP];
    status.signal().is_some_and(|number| killers.iter().any(|signal| signal.as_raw() == number))
}

fn file_name(program: &Path) -> String {
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

/// Returns how it ended and its last words; nothing when it was stopped.
async fn listen(
    command: Command,
    stop: &CancellationToken,
    mut on_output: impl FnMut(&[u8]),
) -> io::Result<Option<(ExitStatus, String)>> {
    let mut group = Group::start(command)?;
    let (mut output, mut errors) = (group.child.stdout.take(), group.child.stderr.take());
    let (mut output_bytes, mut error_bytes) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    let mut tail = Tail::default();
    while output.is_some() || errors.is_some() {
        tokio::select! {
            length = read(&mut output, &mut output_bytes), if output.is_some() => on_output(&output_bytes[..length?]),
            length = read(&mut errors, &mut error_bytes), if errors.is_some() => tail.push(&error_bytes[..length?]),
            () = stop.cancelled() => return group.stop().await.map(|()| None),
        }
    }
    tokio::select! {
        status = group.wait() => Ok(Some((status?, tail.text()))),
        () = stop.cancelled() => group.stop().await.map(|()| None),
    }
}

/// Reads some bytes; at the end of the stream, drops it.
async fn read(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> io::Result<usize> {
    let Some(open) = stream else { return Ok(0) };
    let length = open.read(buffer).await?;
    if length == 0 {
        *stream = None;
    }
    Ok(length)
}

/// A process that leads a group of its own.
#[derive(Debug)]
struct Group {
    child: Child,
    leader: Pid,
    has_ended: bool,
}

impl Group {
    fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let child = command.spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let leader = leader.ok_or_else(|| io::Error::other("the program has no process id"))?;
        Ok(Group { child, leader, has_ended: false })
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.has_ended = true;
        Ok(status)
    }

    /// Asks it to end, and kills what does not. Returns when it is gone.
    async fn stop(&mut self) -> io::Result<()> {
        self.send(Signal::TERM);
        // It may have ended by itself; then the signal finds nobody.
        let _ = timeout(GRACE, self.wait()).await;
        self.send(Signal::KILL);
        // A process that waits for a disk that hangs cannot even be killed.
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "it was killed and does not end");
        timeout(KILLED_GRACE, self.wait()).await.map_err(late)?.map(drop)
    }

    fn send(&self, signal: Signal) {
        // It fails only when there is nobody left to be signalled.
        let _ = kill_process_group(self.leader, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.has_ended {
            self.send(Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, stop: &CancellationToken) -> (Result<(), Failure>, String) {
        let mut output = Vec::new();
        let result = run(Path::new("/bin/sh"), &["-c", script], stop, |bytes| output.extend_from_slice(bytes)).await;
        (result, String::from_utf8(output).unwrap())
    }

    #[tokio::test]
    async fn output_comes_and_an_end_is_an_end() {
        let (result, output) = shell("echo one; echo two >&2; echo three", &CancellationToken::new()).await;
        assert_eq!((result, output.as_str()), (Ok(()), "one\nthree\n"));
    }

    #[tokio::test]
    async fn a_failure_has_the_last_words() {
        let (result, _) = shell("echo 'no such codec' >&2; exit 3", &CancellationToken::new()).await;
        assert_eq!(result, Err(Failure::video("sh failed (exit status: 3): no such codec")));
    }

    #[tokio::test]
    async fn a_full_disk_is_the_fault_of_the_machine() {
        let (result, _) = shell("echo 'x: No space left on device' >&2; exit 1", &CancellationToken::new()).await;
        assert!(matches!(result, Err(Failure::Worker(_))), "{result:?}");
    }

    #[tokio::test]
    async fn being_killed_is_the_fault_of_the_machine_and_a_crash_is_not() {
        for (signal, is_machines_fault) in [("KILL", true), ("SEGV", false)] {
            let (result, _) = shell(&format!("kill -{signal} $$"), &CancellationToken::new()).await;
            assert_eq!(matches!(result, Err(Failure::Worker(_))), is_machines_fault, "{result:?}");
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let stop = CancellationToken::new();
        let result = run(Path::new("/nowhere/ffmpeg"), &["-x"], &stop, |_| {}).await;
        assert!(matches!(&result, Err(Failure::Worker(message)) if message.contains("/nowhere/ffmpeg")), "{result:?}");
    }

    #[tokio::test]
    async fn stopping_reaches_what_the_program_started() {
        let stop = CancellationToken::new();
        let mut said = String::new();
        // The child of the shell keeps the pipe open; when the group is gone, so is it.
        let script = ["-c", "sleep 1000 & echo $!; wait"];
        let result = run(Path::new("/bin/sh"), &script, &stop, |bytes| {
            said.push_str(std::str::from_utf8(bytes).unwrap());
            stop.cancel();
        })
        .await;
        assert_eq!(result, Err(Failure::Stopped));
        let child = said.trim();
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        while !(state().is_empty() || state().contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    }
}
