//! Real programs that push and pull images.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use crate::common::wait::within;
use crate::common::{program, temporary};

/// A program that is installed, with a home of its own.
#[derive(Debug)]
pub(crate) struct Tool {
    program: PathBuf,
    home: TempDir,
}

impl Tool {
    pub(crate) fn find(name: &str, needed_by: &str) -> Option<Self> {
        let program = program::find(name, needed_by)?;
        Some(Tool { program, home: temporary::directory() })
    }

    /// Where it and the test may keep files.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new(&self.program);
        for name in ["HOME", "TMPDIR", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"] {
            command.env(name, self.home());
        }
        command.args(args).current_dir(self.home()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    pub(crate) async fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Output {
        within("the program ends", self.command(args).output()).await.expect("it can be started")
    }

    /// What it writes, if it does what it is told.
    pub(crate) async fn ok<A: AsRef<OsStr> + std::fmt::Debug>(&self, args: &[A]) -> String {
        let output = self.run(args).await;
        let (said, problem) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} {args:?}: {said}{problem}", self.program.display());
        said.into_owned()
    }

    /// What it complains of, if it fails as it is expected to.
    pub(crate) async fn fails<A: AsRef<OsStr> + std::fmt::Debug>(&self, args: &[A]) -> String {
        let output = self.run(args).await;
        assert!(!output.status.success(), "{} {args:?} succeeds", self.program.display());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}
