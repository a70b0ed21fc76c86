//! Hears from the kernel that files of a library appear, end or vanish.
//!
//! What is heard is only a hint: the paths are looked at as in a scan. What is not heard (a share that others write
//! to, more directories than the kernel watches) is seen by the scans.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;

use super::looks::{Looks, Trust};
use super::path::{is_ignored, is_leftover};
use super::rules::Rules;
use crate::clock::Clock;

/// How long after it was heard of a path is looked at: much is often heard of one path at a time.
const REST: Duration = Duration::from_millis(500);

/// The directories that are watched.
pub(super) struct Watches {
    watcher: Mutex<RecommendedWatcher>,
    is_full: AtomicBool,
    /// What there is to say about it, once.
    warning: Mutex<Option<String>>,
}

/// Who hears.
pub(super) struct Ear {
    pub(super) root: PathBuf,
    pub(super) rules: Arc<Rules>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) looks: Arc<Looks>,
    /// Is called when something happened that only a whole scan can sort out.
    pub(super) needs_scan: Box<dyn Fn() + Send>,
}

impl Watches {
    /// Watches nothing yet. Errors when the kernel gives no means to watch.
    pub(super) fn new(ear: Ear) -> notify::Result<Self> {
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(move |event| ear.hear(event), config)?;
        Ok(Watches { watcher: Mutex::new(watcher), is_full: AtomicBool::new(false), warning: Mutex::default() })
    }

    /// Watches a directory, too. Once the kernel has refused another one, no more are asked for.
    pub(super) fn watch(&self, directory: &Path) {
        if self.is_full.load(Ordering::Relaxed) {
            return;
        }
        match self.watcher.lock().watch(directory, RecursiveMode::NonRecursive) {
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                if !self.is_full.swap(true, Ordering::Relaxed) {
                    *self.warning.lock() = Some(format!(
                        "no more directories can be watched than up to {}; changes elsewhere are seen by scans only \
                         (raise fs.inotify.max_user_watches)",
                        directory.display()
                    ));
                }
            }
            Err(error) => tracing::debug!(directory = %directory.display(), %error, "a directory is not watched"),
            Ok(()) => {}
        }
    }

    /// What an operator should know; told once.
    pub(super) fn take_warning(&self) -> Option<String> {
        self.warning.lock().take()
    }
}

/// What an event means for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// It is there, maybe with something new below.
    There,
    /// It is not there any more.
    Gone,
    /// Nothing of interest.
    Nothing,
}

impl Ear {
    fn hear(&self, event: notify::Result<Event>) {
        let event = match event {
            Ok(event) if event.need_rescan() => return (self.needs_scan)(),
            Ok(event) => event,
            Err(error) => return tracing::debug!(%error, "the kernel fails to tell of a library"),
        };
        let (is_directory, meaning) = meaning(event.kind);
        if meaning == Meaning::Nothing {
            return;
        }
        for path in &event.paths {
            self.hear_of(path, meaning, is_directory);
        }
    }

    fn hear_of(&self, path: &Path, meaning: Meaning, is_directory: Option<bool>) {
        let Some(relative) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) else { return };
        if relative.is_empty() {
            return (self.needs_scan)();
        }
        let name = relative.rsplit('/').next().unwrap_or(relative);
        if relative.split('/').any(is_ignored) || is_leftover(name) {
            return;
        }
        let is_video = self.rules.is_video(name);
        match (is_directory, meaning) {
            (Some(false), _) if !is_video => return,
            // Which videos were below it, only a whole scan finds out.
            (Some(true), Meaning::Gone) => return (self.needs_scan)(),
            (None, Meaning::Gone) if !is_video => return (self.needs_scan)(),
            _ => {}
        }
        self.looks.add(relative.to_owned(), self.clock.now().plus(REST), Trust::Unknown);
    }
}

/// Whether the event is about a directory, if it says so, and what it means.
fn meaning(kind: EventKind) -> (Option<bool>, Meaning) {
    match kind {
        EventKind::Create(CreateKind::Folder) => (Some(true), Meaning::There),
        EventKind::Create(CreateKind::File) | EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
            (Some(false), Meaning::There)
        }
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => (None, Meaning::There),
        EventKind::Remove(RemoveKind::Folder) => (Some(true), Meaning::Gone),
        EventKind::Remove(RemoveKind::File) => (Some(false), Meaning::Gone),
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => (None, Meaning::Gone),
        // Both halves of a rename have been told by then; and who writes, closes.
        EventKind::Modify(_) | EventKind::Access(_) | EventKind::Any | EventKind::Other => (None, Meaning::Nothing),
    }
}
