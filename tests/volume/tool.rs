//! Real programs that read and write volumes.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::command::Said;
use crate::common::program;
use crate::common::server::Server;
use crate::common::wait::within;

/// Where a volume, or a snapshot as `/volume@snapshot`, is to be had over the server's socket.
pub(crate) fn uri(server: &Server, name: &str) -> String {
    format!("nbd+unix://{name}?socket={}", server.nbd_socket().display())
}

/// A program that is installed.
#[derive(Clone, Debug)]
pub(crate) struct Tool(PathBuf);

impl Tool {
    pub(crate) fn find(name: &str, needed_by: &str) -> Option<Self> {
        program::find(name, needed_by).map(Tool)
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new(&self.0);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    pub(crate) async fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Said {
        let output = within("the program ends", self.command(args).output()).await.expect("it can be started");
        Said::of(output)
    }

    /// What it writes, if it does what it is told.
    pub(crate) async fn ok<A: AsRef<OsStr> + std::fmt::Debug>(&self, args: &[A]) -> String {
        let said = self.run(args).await;
        assert_eq!(said.code, Some(0), "{} {args:?}: {said:?}", self.0.display());
        String::from_utf8_lossy(&said.bytes).into_owned()
    }

    /// Starts it, to go on beside the test.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, args: &[A]) -> Child {
        self.command(args).spawn().expect("it can be started")
    }
}

/// Waits for a program that was started.
pub(crate) async fn ended(child: Child) -> Said {
    Said::of(within("the program ends", child.wait_with_output()).await.expect("a child can be waited for"))
}
