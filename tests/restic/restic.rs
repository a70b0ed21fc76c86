//! A real restic, and something to back up.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::common::program;
use crate::common::temporary;
use crate::common::wait::within;
use crate::vocabulary::{Repo, noise};

/// Debian's, and the newest.
const PROGRAMS: [&str; 2] = ["restic", "restic-new"];

/// A restic that is set to work on a repository.
#[derive(Clone, Debug)]
pub(crate) struct Restic {
    program: PathBuf,
    home: Arc<TempDir>,
    repository: String,
    options: Vec<String>,
    env: Vec<(String, String)>,
}

impl Restic {
    /// All versions that there are.
    pub(crate) fn all(needed_by: &str) -> Vec<Self> {
        PROGRAMS.iter().filter_map(|name| Self::named(name, needed_by)).collect()
    }

    /// The newest.
    pub(crate) fn newest(needed_by: &str) -> Option<Self> {
        Self::named(PROGRAMS[1], needed_by)
    }

    fn named(name: &str, needed_by: &str) -> Option<Self> {
        let program = program::find(name, needed_by)?;
        let home = Arc::new(temporary::directory());
        Some(Restic { program, home, repository: String::new(), options: Vec::new(), env: Vec::new() })
    }

    /// Works on a repository that a server keeps.
    pub(crate) fn at(&self, repo: &Repo) -> Self {
        self.on(format!("rest:http://{}{}", repo.port.0, repo.path))
    }

    /// Works on a repository that it is told of in its own way.
    pub(crate) fn on(&self, repository: impl Into<String>) -> Self {
        Restic { repository: repository.into(), ..self.clone() }
    }

    /// Works on a repository that it opens itself.
    pub(crate) fn locally(&self, directory: &Path) -> Self {
        self.on(directory.to_str().expect("UTF-8"))
    }

    /// Adds options to every command.
    pub(crate) fn option<const N: usize>(mut self, options: [&str; N]) -> Self {
        self.options.extend(options.map(str::to_owned));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Tells the newest by the environment who asks, and an old one, which does not look there, in the URL.
    pub(crate) fn by(self, user: &str, password: &str) -> Self {
        if self.is_newest() {
            return self.env("RESTIC_REST_USERNAME", user).env("RESTIC_REST_PASSWORD", password);
        }
        let with_user = self.repository.replacen("://", &format!("://{user}:{password}@"), 1);
        self.on(with_user)
    }

    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    pub(crate) fn is_newest(&self) -> bool {
        self.program.ends_with(PROGRAMS[1])
    }

    /// Where it and the test may keep files.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--no-cache", "--repo", &self.repository]).args(&self.options).args(args);
        // What whoever runs the tests has set is none of theirs.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RESTIC_") {
                command.env_remove(name);
            }
        }
        command.env("RESTIC_PASSWORD", "secret").env("RESTIC_FROM_PASSWORD", "secret").env("GOMAXPROCS", "1");
        command.env("TMPDIR", self.home()).env("HOME", self.home()).envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        let what = format!("restic {} ends", args.join(" "));
        within(&what, self.command(args).output()).await.expect("restic can be started")
    }

    /// Runs a command that is expected to succeed; returns what it says.
    pub(crate) async fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        let (said, problem) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} {}: {said}{problem}", self.program.display(), args.join(" "));
        said.into_owned()
    }

    /// Runs a command that is expected to fail; returns why it does.
    pub(crate) async fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(!output.status.success(), "{} {} succeeds", self.program.display(), args.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Runs a command until it complains of something, and asks it to end. Old versions try again for a minute what
    /// will never work.
    pub(crate) async fn complains(&self, args: &[&str], complaint: &str) {
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("restic can be started");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut said = String::new();
        while !said.contains(complaint) {
            let line = within(complaint, lines.next_line()).await.expect("text");
            said += &line.unwrap_or_else(|| panic!("it does not say {complaint:?} but {said:?}"));
        }
        let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let drain = async { while let Ok(Some(_)) = lines.next_line().await {} };
        let (status, ()) = tokio::join!(within("it ends", child.wait()), drain);
        assert!(!status.expect("a child can be waited for").success());
    }

    /// Starts a command that works while the test does something else.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let log = fs::File::create(self.home().join("started.log")).expect("a log");
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(log).spawn().expect("restic can be started")
    }

    /// Waits until a command that was started has succeeded.
    pub(crate) async fn succeeds(&self, mut started: Child) {
        let status = within("restic ends", started.wait()).await.expect("a child can be waited for");
        let log = fs::read_to_string(self.home().join("started.log")).unwrap_or_default();
        assert!(status.success(), "{log}");
    }

    /// Backs a directory up, from inside of it.
    pub(crate) async fn backup(&self, directory: &Path) {
        self.ok(&["backup", directory.to_str().expect("UTF-8")]).await;
    }

    /// Restores the newest snapshot and compares it with what was backed up.
    pub(crate) async fn assert_restores(&self, directory: &Path) {
        let target = temporary::directory_in(self.home());
        let to = target.path().to_str().expect("UTF-8");
        self.ok(&["restore", "latest", "--target", to]).await;
        let restored = target.path().join(directory.strip_prefix("/").expect("an absolute path"));
        assert_same(&restored, directory).await;
    }

    /// How many snapshots the repository has.
    pub(crate) async fn snapshots(&self) -> usize {
        let list = self.ok(&["snapshots", "--json"]).await;
        let list: Vec<serde_json::Value> = serde_json::from_str(&list).expect("a list of snapshots");
        list.len()
    }
}

/// Asserts that two directories have the same in them.
pub(crate) async fn assert_same(left: impl AsRef<OsStr>, right: impl AsRef<OsStr>) {
    let compare = Command::new("diff").arg("-r").arg(left).arg(right).kill_on_drop(true).output();
    let output = within("diff ends", compare).await.expect("there is diff");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Files that change from backup to backup.
#[derive(Debug)]
pub(crate) struct Files {
    directory: TempDir,
    changes: u64,
}

impl Files {
    /// Some files, small and large, a few megabytes together.
    pub(crate) fn new() -> Self {
        let files = Files { directory: temporary::directory(), changes: 0 };
        for number in 0..40 {
            files.write(
                &format!("small/{}/{number}", number % 4),
                &noise(number, 100 * usize::try_from(number).expect("small")),
            );
        }
        files.write("large", &noise(1000, 3_000_000));
        files.write("empty", b"");
        files
    }

    /// Changes one file, adds one and removes one.
    pub(crate) fn change(&mut self) {
        self.changes += 1;
        let number = self.changes;
        self.write("small/1/1", &noise(2000 + number, 5000));
        self.write(&format!("new/{number}"), &noise(3000 + number, 700_000));
        fs::remove_file(self.path().join(format!("small/2/{}", 4 * number + 2))).expect("it was there");
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let file = self.path().join(name);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a directory can be made");
        fs::write(file, bytes).expect("a file can be written");
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}
