//! Asks ffprobe what a file is.

mod answer;
mod output;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use self::output::{head, whole};

/// What ffprobe may say of a file, in bytes.
const MAX_ANSWER: u64 = 4 << 20;
/// What is kept of its complaints, in bytes.
const MAX_COMPLAINT: u64 = 500;

/// What a file is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probe {
    /// The codec of the first video stream that is no cover picture, as ffprobe names it.
    pub codec: String,
    /// Thousands of bits a second. 0: unknown.
    pub bitrate_k: i32,
    /// Frames a second. 0: unknown.
    pub fps: f64,
    /// Pixels.
    pub width: i32,
    /// Pixels.
    pub height: i32,
    /// Seconds. 0: unknown.
    pub duration: f64,
    /// The container, as ffprobe names it.
    pub container: String,
    /// The codec of the first audio stream; empty: no sound.
    pub audio_codec: String,
}

/// Why a file could not be probed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The program cannot be run. This is about no file.
    #[error("{program} cannot be run: {source}")]
    Unusable {
        /// The program.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The file took too long. It may be the disk's fault.
    #[error("ffprobe took more than {} seconds", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The file is damaged, or none that ffprobe knows.
    #[error("ffprobe failed: {0}")]
    Failed(String),
    /// There are no pictures in it.
    #[error("the file has no video stream")]
    NoVideo,
    /// What ffprobe said makes no sense.
    #[error("what ffprobe says cannot be read: {0}")]
    Garbled(String),
}

/// Runs ffprobe.
#[derive(Clone, Debug)]
pub struct Prober {
    /// The program: a path, or a name to look up.
    pub program: PathBuf,
    /// How long it may take for a file.
    pub timeout: Duration,
}

impl Prober {
    /// Probes a file of `size` bytes. When it takes too long, or the caller goes away, ffprobe is killed.
    pub async fn probe(&self, path: &Path, size: i64) -> Result<Probe, ProbeError> {
        let running = Running(self.command(path).spawn().map_err(|error| self.unusable(error))?);
        let ended = tokio::time::timeout(self.timeout, running.end());
        let (status, answer, complaint) = ended
            .await
            .map_err(|_| ProbeError::TimedOut(self.timeout))?
            .map_err(|error| ProbeError::Garbled(error.to_string()))?;
        if !status.success() {
            let complaint = complaint.trim();
            let problem = if complaint.is_empty() { status.to_string() } else { complaint.replace('\n', "; ") };
            return Err(ProbeError::Failed(problem));
        }
        answer::read(&answer, size)
    }

    fn command(&self, path: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["-hide_banner", "-v", "error", "-print_format", "json", "-show_format", "-show_streams"])
            // A file that is a playlist must not make ffprobe open what it names on the network.
            .args(["-protocol_whitelist", "file", "-i"])
            // With the protocol named, no name is an option or another protocol.
            .arg({
                let mut url = OsString::from("file:");
                url.push(path);
                url
            })
            .env_remove("FFREPORT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    fn unusable(&self, source: std::io::Error) -> ProbeError {
        ProbeError::Unusable { program: self.program.display().to_string(), source }
    }
}

/// A process that ends with its owner, and whatever it started with it.
struct Running(Child);

impl Running {
    async fn end(mut self) -> std::io::Result<(ExitStatus, Vec<u8>, String)> {
        let (answer, complaint) = (self.0.stdout.take(), self.0.stderr.take());
        let (answer, complaint) = tokio::try_join!(whole(answer, MAX_ANSWER), head(complaint, MAX_COMPLAINT))?;
        let status = self.0.wait().await?;
        Ok((status, answer, String::from_utf8_lossy(&complaint).into_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // None once it has been waited for: the number may be somebody else's by then.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = id {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn script(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("probe");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn run(text: &str, timeout: Duration) -> Result<Probe, ProbeError> {
        let home = tempfile::tempdir().unwrap();
        let prober = Prober { program: script(home.path(), text), timeout };
        prober.probe(Path::new("/x/-a:b.mp4"), 0).await
    }

    const LONG: Duration = Duration::from_mins(5);

    #[tokio::test]
    async fn a_program_that_hangs_is_killed_with_its_children() {
        let error = run("sleep 1000 & sleep 1000", Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, ProbeError::TimedOut(_)), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_talks_without_end_is_stopped() {
        let error = run("yes", LONG).await.unwrap_err();
        assert!(matches!(error, ProbeError::Garbled(_)), "{error}");
    }

    #[tokio::test]
    async fn complaints_are_told_and_cut() {
        let error = run("yes xxxxxxxxx | head -n 100000 >&2; exit 3", LONG).await.unwrap_err();
        let ProbeError::Failed(told) = error else { panic!("{error}") };
        assert!(told.starts_with("xxxxxxxxx; xxx") && told.len() < 1000, "{told}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_no_fault_of_the_file() {
        let prober = Prober { program: PathBuf::from("/nowhere/ffprobe"), timeout: LONG };
        let error = prober.probe(Path::new("/x.mp4"), 0).await.unwrap_err();
        assert!(matches!(error, ProbeError::Unusable { .. }), "{error}");
    }

    #[tokio::test]
    async fn no_name_is_an_option() {
        let home = tempfile::tempdir().unwrap();
        let told = home.path().join("told");
        let _ = run(&format!("printf '%s\\n' \"$@\" > {}", told.display()), LONG).await;
        let told = std::fs::read_to_string(told).unwrap();
        assert!(told.ends_with("-i\nfile:/x/-a:b.mp4\n"), "{told}");
    }
}
