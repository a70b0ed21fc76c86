//! The state directory: what a worker has to know again after a crash.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;

const TOKEN_FILE: &str = "token.json";
const LOCK_FILE: &str = "lock";
const TASKS_DIRECTORY: &str = "tasks";
const ENDS_DIRECTORY: &str = "ends";

/// The directory, locked against a second worker.
#[derive(Debug)]
pub(super) struct State {
    directory: PathBuf,
    _lock: File,
}

/// What a task has left on the disk, should the worker die now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Traces {
    /// Files that are worth nothing without the task.
    pub(super) temporary: Vec<PathBuf>,
    /// An original on its way to the trash.
    pub(super) replacement: Option<Replacement>,
    /// A result on its way to its place.
    #[serde(default)]
    pub(super) placing: Option<Placing>,
}

/// A result on its way to its place, and what the server is to know once it is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Placing {
    pub(super) place: PathBuf,
    pub(super) result_inode: u64,
    pub(super) end: End,
}

/// The good end of a task, which the server may not know yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct End {
    pub(super) lease_token: String,
    /// Seconds.
    pub(super) elapsed_time: i32,
    /// The video's path, if it has another one now.
    pub(super) output_path: String,
    pub(super) output_bytes: u64,
}

/// An original that another file takes the place of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Replacement {
    pub(super) original: PathBuf,
    pub(super) trash: PathBuf,
    /// Where the result goes: that of the original, but for the ending.
    pub(super) place: PathBuf,
    /// By which the result is known under either name.
    pub(super) result_inode: u64,
}

#[derive(Deserialize, Serialize)]
struct Token {
    worker_name: String,
    worker_token: String,
}

impl State {
    /// Makes the directory where it is missing. Fails when another worker has it.
    pub(super) fn open(directory: &Path) -> Result<Self, String> {
        let failure = |error: io::Error| format!("the state directory {} cannot be used: {error}", directory.display());
        for notes in [TASKS_DIRECTORY, ENDS_DIRECTORY] {
            DirBuilder::new().recursive(true).mode(0o700).create(directory.join(notes)).map_err(failure)?;
        }
        // What is written down must mean the same to a worker that starts elsewhere.
        let directory = directory.canonicalize().map_err(failure)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(LOCK_FILE));
        let lock = lock.map_err(failure)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            format!("another worker uses the state directory {}: give each its own --state", directory.display())
        })?;
        Ok(State { directory, _lock: lock })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The token of an earlier registration of the worker `name`, or nothing.
    pub(super) fn token(&self, name: &str) -> String {
        let kept = fs::read(self.directory.join(TOKEN_FILE)).ok();
        let token = kept.and_then(|json| serde_json::from_slice::<Token>(&json).ok());
        token.filter(|token| token.worker_name == name).map(|token| token.worker_token).unwrap_or_default()
    }

    pub(super) fn keep_token(&self, name: &str, token: &str) -> io::Result<()> {
        let token = Token { worker_name: name.to_owned(), worker_token: token.to_owned() };
        replace(&self.directory.join(TOKEN_FILE), &serde_json::to_vec(&token)?)
    }

    /// Notes what a task leaves behind. Returns when that survives a power loss.
    pub(super) fn note(&self, task_id: &str, traces: &Traces) -> io::Result<()> {
        replace(&self.traces_file(task_id), &serde_json::to_vec(traces)?)
    }

    /// The task has left nothing behind.
    pub(super) fn forget(&self, task_id: &str) -> io::Result<()> {
        remove(&self.traces_file(task_id))
    }

    /// What a task has left behind, as it was last noted.
    pub(super) fn traces(&self, task_id: &str) -> io::Result<Option<Traces>> {
        match read(&self.traces_file(task_id)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            traces => traces.map(Some),
        }
    }

    /// Keeps the good end of a task until the server knows it. Returns when that survives a power loss.
    pub(super) fn keep_end(&self, task_id: &str, end: &End) -> io::Result<()> {
        replace(&self.end_file(task_id), &serde_json::to_vec(end)?)
    }

    /// The server knows the end of the task, or nobody wants to know it.
    pub(super) fn forget_end(&self, task_id: &str) -> io::Result<()> {
        remove(&self.end_file(task_id))
    }

    /// The ends that the server may not know.
    pub(super) fn ends(&self) -> io::Result<Vec<(String, End)>> {
        self.notes(ENDS_DIRECTORY)
    }

    /// The tasks that a worker which died has left behind.
    pub(super) fn left_behind(&self) -> io::Result<Vec<(String, Traces)>> {
        self.notes(TASKS_DIRECTORY)
    }

    /// One that cannot be read is left where it is: it must not keep the worker from its work.
    fn notes<T: DeserializeOwned>(&self, directory: &str) -> io::Result<Vec<(String, T)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.directory.join(directory))? {
            let path = entry?.path();
            let is_note = path.extension().is_some_and(|extension| extension == "json");
            let Some(task_id) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_note) else { continue };
            match read(&path) {
                Ok(note) => found.push((task_id.to_owned(), note)),
                Err(error) => warn!(note = %path.display(), %error, "a note of an earlier worker cannot be read"),
            }
        }
        Ok(found)
    }

    fn end_file(&self, task_id: &str) -> PathBuf {
        self.directory.join(ENDS_DIRECTORY).join(format!("{task_id}.json"))
    }

    fn traces_file(&self, task_id: &str) -> PathBuf {
        self.directory.join(TASKS_DIRECTORY).join(format!("{task_id}.json"))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives a small file this content, all or none, so that it lasts.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Makes the name of a file last.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    match File::open(parent)?.sync_all() {
        // Some network file systems cannot sync directories.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_kept_for_its_name_and_for_nobody_else_to_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let state = State::open(&path).unwrap();
        assert_eq!(state.token("w"), "");
        state.keep_token("w", "secret").unwrap();
        drop(state);
        let state = State::open(&path).unwrap();
        assert_eq!((state.token("w").as_str(), state.token("v").as_str()), ("secret", ""));
        let mode = fs::metadata(path.join(TOKEN_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn two_workers_do_not_share_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let _first = State::open(directory.path()).unwrap();
        assert!(State::open(directory.path()).unwrap_err().contains("--state"));
    }

    #[test]
    fn what_a_task_leaves_behind_is_known_again() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path()).unwrap();
        let traces = Traces { temporary: vec![PathBuf::from("/a/b")], ..Traces::default() };
        state.note("one", &traces).unwrap();
        state.note("two", &traces).unwrap();
        state.forget("two").unwrap();
        state.forget("never").unwrap();
        assert_eq!(state.left_behind().unwrap(), [("one".to_owned(), traces)]);
    }

    #[test]
    fn an_end_is_known_until_it_is_forgotten_and_an_unreadable_note_hides_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path()).unwrap();
        let end = End { lease_token: "lease".to_owned(), output_bytes: 7, ..End::default() };
        state.keep_end("one", &end).unwrap();
        state.keep_end("two", &end).unwrap();
        fs::write(directory.path().join(ENDS_DIRECTORY).join("three.json"), "{").unwrap();
        state.forget_end("two").unwrap();
        assert_eq!(state.ends().unwrap(), [("one".to_owned(), end)]);
    }
}
