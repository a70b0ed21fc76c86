//! Files of users and of rights, read again when they change.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Error, changes};
use crate::followed::Stamp;

/// How often a call looks whether the file has changed.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// How long a changed file has to stay as it is until it is read: whoever writes it may be half-way.
const SETTLE_TIME: Duration = Duration::from_millis(100);
/// A file that is longer is not what it should be.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What a file is read for.
pub(super) trait Content: Sized + Send + Sync + 'static {
    /// The setting that names the file.
    const SETTING: &'static str;
    /// What it is, for the log.
    const NAME: &'static str;

    /// What it says; or what is wrong with it.
    fn parse(path: &Path, content: &[u8]) -> io::Result<Self>;
}

/// What a file said when it was last read. A file that cannot be read changes nothing.
#[derive(Debug)]
pub(super) struct FreshFile<T> {
    path: PathBuf,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    content: Arc<T>,
    stamp: Stamp,
    check_time: Instant,
    is_broken: bool,
}

impl<T: Content> FreshFile<T> {
    /// Reads the file for the first time.
    pub(super) fn open(path: &Path, now: Instant) -> Result<Self, Error> {
        let unreadable = |cause| Error::File { setting: T::SETTING, path: path.to_owned(), cause };
        let (content, stamp) = read(path).map_err(unreadable)?;
        let state = State { content: Arc::new(content), stamp, check_time: now, is_broken: false };
        Ok(FreshFile { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// What it said some seconds ago; `None` when it is time to look at it again.
    pub(super) fn content_at_once(&self, now: Instant) -> Option<Arc<T>> {
        let state = self.state.lock();
        (now < state.check_time + CHECK_INTERVAL).then(|| Arc::clone(&state.content))
    }

    /// What it said some seconds ago.
    pub(super) async fn content(self: &Arc<Self>, now: Instant) -> Arc<T> {
        let is_due = {
            let mut state = self.state.lock();
            let is_due = now >= state.check_time + CHECK_INTERVAL;
            if is_due {
                state.check_time = now;
            }
            is_due
        };
        if is_due {
            let file = Arc::clone(self);
            // A panic in there would change nothing, as any other failure to read.
            let _ = tokio::task::spawn_blocking(move || file.refresh()).await;
        }
        Arc::clone(&self.state.lock().content)
    }

    /// Reads the file again, changed or not. Blocks.
    pub(super) fn reload(&self) {
        match read(&self.path) {
            Ok((content, stamp)) => {
                tracing::info!(path = %self.path.display(), "the {} was read again", T::NAME);
                let mut state = self.state.lock();
                (state.content, state.stamp, state.is_broken) = (Arc::new(content), stamp, false);
                changes::note();
            }
            Err(error) => self.keep(&error),
        }
    }

    /// Reads the file again if it has changed.
    fn refresh(&self) {
        let stamp = match fs::metadata(&self.path) {
            Ok(metadata) => Stamp::of(&metadata),
            Err(error) => return self.keep(&error),
        };
        let is_changed = {
            let state = self.state.lock();
            state.stamp != stamp || state.is_broken
        };
        if is_changed {
            std::thread::sleep(SETTLE_TIME);
            // Where it still changes, the next check finds the end of it.
            if Stamp::at(&self.path) == Some(stamp) {
                self.reload();
            }
        }
    }

    fn keep(&self, error: &io::Error) {
        let was_broken = std::mem::replace(&mut self.state.lock().is_broken, true);
        if !was_broken {
            let path = self.path.display();
            tracing::error!(%path, %error, "the {} cannot be read; what it said before holds on", T::NAME);
        }
    }
}

fn read<T: Content>(path: &Path) -> io::Result<(T, Stamp)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut content = Vec::new();
    if file.take(MAX_BYTES + 1).read_to_end(&mut content)? as u64 > MAX_BYTES {
        return Err(io::Error::other("longer than 16 MiB"));
    }
    Ok((T::parse(path, &content)?, Stamp::of(&metadata)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::htpasswd::Users;

    const SHA: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

    struct Fixture {
        directory: tempfile::TempDir,
        file: Arc<FreshFile<Users>>,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("users");
            fs::write(&path, format!("old:{SHA}\n")).unwrap();
            let now = Instant::now();
            Fixture { file: Arc::new(FreshFile::open(&path, now).unwrap()), directory, now }
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("users")
        }

        /// Whether the user is known at the next check.
        async fn knows(&mut self, user: &str) -> bool {
            self.now += CHECK_INTERVAL;
            self.file.content(self.now).await.find(user).is_some()
        }
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again_at_the_next_check() {
        let mut fixture = Fixture::new();
        fs::write(fixture.path(), format!("new:{SHA}\n")).unwrap();
        assert!(fixture.file.content(fixture.now).await.find("old").is_some(), "not checked yet");
        assert!(fixture.knows("new").await && !fixture.knows("old").await);
        let other = fixture.directory.path().join("other");
        fs::write(&other, format!("own:{SHA}\n")).unwrap();
        fs::rename(&other, fixture.path()).unwrap();
        assert!(fixture.knows("own").await && !fixture.knows("new").await, "replaced by a rename");
    }

    #[tokio::test]
    async fn a_file_that_is_gone_or_no_file_changes_nothing() {
        let mut fixture = Fixture::new();
        fs::remove_file(fixture.path()).unwrap();
        assert!(fixture.knows("old").await);
        fs::create_dir(fixture.path()).unwrap();
        assert!(fixture.knows("old").await);
        fixture.file.reload();
        assert!(fixture.knows("old").await);
        fs::remove_dir(fixture.path()).unwrap();
        fs::write(fixture.path(), format!("new:{SHA}\n")).unwrap();
        assert!(fixture.knows("new").await && !fixture.knows("old").await);
    }

    #[tokio::test]
    async fn a_removed_user_is_gone_even_when_it_was_the_last() {
        let mut fixture = Fixture::new();
        fs::write(fixture.path(), "").unwrap();
        assert!(!fixture.knows("old").await);
    }

    #[tokio::test]
    async fn a_reload_does_not_wait_for_the_check() {
        let fixture = Fixture::new();
        fs::write(fixture.path(), format!("new:{SHA}\n")).unwrap();
        fixture.file.reload();
        assert!(fixture.file.content(fixture.now).await.find("new").is_some());
    }

    #[test]
    fn a_missing_file_at_the_start_is_an_error_with_its_path() {
        let error = FreshFile::<Users>::open(Path::new("/nowhere/users"), Instant::now()).unwrap_err();
        assert!(error.to_string().contains("auth.htpasswd: cannot read /nowhere/users"), "{error}");
    }
}
