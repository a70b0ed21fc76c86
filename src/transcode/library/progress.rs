//! How a scan goes, for those who ask.

use tokio::sync::watch;

/// How far a scan has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files that are videos by their names.
    pub seen: i32,
    /// Videos that were not known.
    pub added: i32,
    /// Videos whose files have changed.
    pub changed: i32,
    /// Videos whose files are gone.
    pub missing: i32,
    /// Videos whose files moved.
    pub moved: i32,
    /// Files and directories that could not be read or probed.
    pub errors: i32,
    /// Files that are still being written.
    pub unstable: i32,
    /// The file at hand.
    pub current: String,
    /// The scan has ended.
    pub done: bool,
    /// Why it ended early; empty: it did not.
    pub error: String,
}

/// Tells of one scan. Dropped before the end, it says that the scan was given up.
#[derive(Debug)]
pub(super) struct Telling(watch::Sender<Progress>);

impl Telling {
    pub(super) fn new() -> Self {
        Telling(watch::Sender::new(Progress::default()))
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.0.subscribe()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.0.send_modify(change);
    }

    /// The scan has ended.
    pub(super) fn finish(self, error: Option<String>) {
        self.update(|progress| {
            progress.current.clear();
            progress.error = error.unwrap_or_default();
            progress.done = true;
        });
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.send_if_modified(|progress| {
            let is_given_up = !progress.done;
            if is_given_up {
                progress.done = true;
                "the scan was given up".clone_into(&mut progress.error);
            }
            is_given_up
        });
    }
}
