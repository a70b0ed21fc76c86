//! The commands, as somebody runs them in a shell that has nothing of its own to say.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;
use tokio::process::Command;

use crate::common::process::STEWARD;
use crate::common::temporary;
use crate::common::wait::within;

/// A home, and what is set in its shell.
#[derive(Debug)]
pub(crate) struct Shell {
    home: TempDir,
    env: Vec<(&'static str, String)>,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Shell {
    pub(crate) fn new() -> Self {
        Shell { home: temporary::directory(), env: Vec::new() }
    }

    /// Sets a variable.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    /// Writes profiles, for their owner alone.
    pub(crate) fn with_profiles(self, text: &str) -> Self {
        let file = self.file("steward/profile.toml", text);
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
        self
    }

    /// Writes a file at home.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory can be made");
        fs::write(&path, text).expect("a file can be written");
        path
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs `steward …`.
    pub(crate) async fn steward(&self, args: &[&str]) -> Said {
        let mut command = Command::new(STEWARD);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("STEWARD_")) {
                command.env_remove(name);
            }
        }
        command.env("XDG_CONFIG_HOME", self.home.path());
        command.args(args).envs(self.env.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        let output = within("the command ends", command.output()).await.expect("the binary can be started");
        let Output { status, stdout, stderr } = output;
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Said { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}
