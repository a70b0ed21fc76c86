//! Watches a group of processes through a named pipe that all of them hold open: its end is their end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Command;

use tempfile::TempDir;
use tokio::task::spawn_blocking;

pub(super) struct Pipe {
    directory: TempDir,
    reader: Option<BufReader<File>>,
}

impl Pipe {
    pub(super) fn new() -> Self {
        let pipe = Pipe { directory: tempfile::tempdir().unwrap(), reader: None };
        assert!(Command::new("mkfifo").arg(pipe.path()).status().unwrap().success());
        pipe
    }

    /// A shell script in which descriptor 3 is the pipe.
    pub(super) fn script(&self, script: &str) -> String {
        format!("exec 3>{}; {script}", self.path().display())
    }

    /// Returns when a process has written `started`.
    pub(super) async fn read_start(&mut self) {
        let path = self.path();
        let start = spawn_blocking(move || {
            let mut reader = BufReader::new(File::open(path).unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, "started\n");
            reader
        });
        self.reader = Some(start.await.unwrap());
    }

    /// Returns, with what else was written, when no process is left.
    pub(super) async fn read_end(self) -> String {
        let mut reader = self.reader.unwrap();
        let rest = spawn_blocking(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        rest.await.unwrap()
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("pipe")
    }
}
