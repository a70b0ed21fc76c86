//! Walks a library, or parts of it, on a thread that may block.
//!
//! Symbolic links in a library are not followed, neither to files nor to directories: within the library they would
//! show a file twice, and out of it they would let workers replace files that are none of the library's. The
//! library's own directory may be a link. Hidden names are passed over, and so are the names that Steward gives to its
//! own files.

use std::fs::{DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::path::{self, MAX_PATH_BYTES, is_ignored, is_leftover};
use super::roots::Roots;
use super::rules::Rules;
use super::stat::Stat;
use super::watch::Watches;

/// What a walk comes by. Paths are relative to the library.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A video, by its name.
    File(String, Stat),
    /// There is nothing at a path that was to be looked at.
    Gone(String),
    /// Something cannot be taken into the library: what, and why.
    Fault(String, String),
}

/// How a walk of everything ended.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Why it did not see everything.
    pub(super) incomplete: Option<String>,
    /// How many symbolic links were passed over.
    pub(super) links: u64,
}

/// Why a library cannot be walked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RootFault {
    /// It is there and has nothing in it, which is how a disk looks that is not mounted.
    Empty(String),
    /// It is not there, or cannot be read.
    Unreadable(String),
}

impl RootFault {
    pub(super) fn words(&self) -> &str {
        let (RootFault::Empty(words) | RootFault::Unreadable(words)) = self;
        words
    }
}

/// Returns what identifies the directory of a library, if it is there and has something in it.
pub(super) fn look_at_root(root: &Path) -> Result<(u64, u64), RootFault> {
    let unreadable = |error: io::Error| RootFault::Unreadable(format!("{} cannot be read: {error}", root.display()));
    let metadata = std::fs::metadata(root).map_err(unreadable)?;
    for entry in std::fs::read_dir(root).map_err(unreadable)? {
        if !entry.map_err(unreadable)?.file_name().to_str().is_some_and(is_ignored) {
            return Ok(identity(&metadata));
        }
    }
    Err(RootFault::Empty(format!("{} is empty: is its disk mounted?", root.display())))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// A walk that has not begun.
pub(super) struct Walk {
    pub(super) root: PathBuf,
    /// Where it may be.
    pub(super) roots: Arc<Roots>,
    /// The library's name.
    pub(super) library: String,
    pub(super) rules: Arc<Rules>,
    /// Is told of every directory before it is read, so that nothing appears unseen in between.
    pub(super) watches: Option<Arc<Watches>>,
    /// Where it tells what it comes by. When nobody listens any more, it ends.
    pub(super) items: mpsc::Sender<Item>,
    pub(super) stop: CancellationToken,
}

impl Walk {
    /// Walks everything.
    pub(super) fn everything(&self) -> Result<Ending, RootFault> {
        self.check_place()?;
        // An empty one may fill.
        if let Some(watches) = &self.watches {
            watches.watch(&self.root);
        }
        let before = look_at_root(&self.root)?;
        let mut ending = Ending::default();
        self.directory(String::new(), &mut ending);
        let after = look_at_root(&self.root)?;
        if after != before {
            ending.incomplete = Some(format!("{} became another directory", self.root.display()));
        }
        Ok(ending)
    }

    /// Looks at some paths, and below them where they are directories.
    pub(super) fn these(&self, paths: Vec<String>) {
        if self.check_place().is_err() {
            return;
        }
        // In a library that is away, nothing is gone.
        let is_there = look_at_root(&self.root).is_ok();
        for relative in paths {
            if self.is_over() {
                return;
            }
            let Some(place) = path::place_without_links(&self.root, &relative) else { continue };
            match place.symlink_metadata() {
                Ok(metadata) if relative.split('/').any(is_ignored) || metadata.is_symlink() => {}
                Ok(metadata) if metadata.is_dir() => self.directory(relative, &mut Ending::default()),
                Ok(metadata) => self.file(relative, &metadata),
                Err(error) if is_gone(&error) => {
                    if is_there {
                        self.tell(Item::Gone(relative));
                    }
                }
                Err(error) => self.tell(Item::Fault(relative, error.to_string())),
            }
        }
    }

    /// Refuses a library that is where none may be: a link on the way may have changed, or the settings.
    fn check_place(&self) -> Result<(), RootFault> {
        let fault = |problem: String| RootFault::Unreadable(format!("{} {problem}", self.root.display()));
        self.roots.check(&self.root).map_err(fault)
    }

    fn directory(&self, start: String, ending: &mut Ending) {
        let mut waiting = vec![start];
        while let Some(relative) = waiting.pop() {
            if self.is_over() {
                ending.incomplete = Some("the scan was stopped".to_owned());
                return;
            }
            if let Err(error) = self.entries(&relative, &mut waiting, ending) {
                let place = if relative.is_empty() { ".".to_owned() } else { relative };
                ending.incomplete = Some(format!("{place} cannot be read: {error}"));
                self.tell(Item::Fault(place, error.to_string()));
            }
        }
    }

    fn entries(&self, relative: &str, waiting: &mut Vec<String>, ending: &mut Ending) -> io::Result<()> {
        let directory = self.root.join(relative);
        if let Some(watches) = &self.watches {
            watches.watch(&directory);
        }
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let Some(name) = self.name(relative, &entry) else { continue };
            if kind.is_symlink() {
                ending.links += 1;
            } else if kind.is_dir() {
                waiting.push(name);
            } else if let Err(error) = entry.metadata().map(|metadata| self.file(name, &metadata))
                && !is_gone(&error)
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// The path of an entry in the library. `None` when it is to be passed over.
    fn name(&self, relative: &str, entry: &DirEntry) -> Option<String> {
        let name = entry.file_name();
        let join = |name: &str| if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") };
        let Some(name) = name.to_str() else {
            // Of no use to anybody without a dot in front, but a file that is not taken up has to be told of.
            if !name.as_encoded_bytes().starts_with(b".") {
                let told = join(&name.to_string_lossy().escape_debug().to_string());
                self.tell(Item::Fault(told, "its name is not UTF-8".to_owned()));
            }
            return None;
        };
        if is_ignored(name) {
            return None;
        }
        let path = join(name);
        if self.library.len() + 1 + path.len() > MAX_PATH_BYTES {
            let start: String = path.chars().take(100).collect();
            let problem = format!("its path has more than {MAX_PATH_BYTES} bytes");
            self.tell(Item::Fault(format!("{start}…"), problem));
            return None;
        }
        Some(path)
    }

    fn file(&self, relative: String, metadata: &Metadata) {
        let name = relative.rsplit('/').next().unwrap_or(&relative);
        let is_short = self.library.len() + 1 + relative.len() <= MAX_PATH_BYTES;
        if metadata.is_file() && is_short && !is_leftover(name) && self.rules.is_video(name) {
            self.tell(Item::File(relative, Stat::from(metadata)));
        }
    }

    fn tell(&self, item: Item) {
        // Nobody listens: the walk ends before its next directory.
        let _ = self.items.blocking_send(item);
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.items.is_closed()
    }
}

/// Whether an error says that there is nothing at a path.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    struct Place {
        home: tempfile::TempDir,
        roots: Roots,
        found: Vec<Item>,
    }

    impl Place {
        fn new(files: &[&str]) -> Self {
            let (home, roots) = (tempfile::tempdir().unwrap(), Roots::default());
            let place = Place { home, roots, found: Vec::new() };
            for file in files {
                place.put(OsStr::new(file));
            }
            place
        }

        fn put(&self, file: &OsStr) {
            let path = self.home.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }

        /// Walks with room for everything that is found.
        fn walk<T>(&mut self, with: impl FnOnce(&Walk) -> T) -> T {
            let (items, mut found) = mpsc::channel(1000);
            let (root, library) = (self.home.path().to_owned(), "lib".to_owned());
            let (rules, stop, roots) = (Arc::default(), CancellationToken::new(), Arc::new(self.roots.clone()));
            let ending = with(&Walk { root, roots, library, rules, watches: None, items, stop });
            self.found = std::iter::from_fn(|| found.try_recv().ok()).collect();
            ending
        }

        fn files(&self) -> Vec<&str> {
            let mut files = Vec::new();
            for item in &self.found {
                if let Item::File(path, _) = item {
                    files.push(path.as_str());
                }
            }
            files.sort_unstable();
            files
        }
    }

    #[test]
    fn videos_are_found_in_all_directories_and_nothing_else_is() {
        let mut place = Place::new(&[
            "a.mp4",
            "b/c d/-e.MKV",
            "b/a-trailer.mp4",
            "b/a.txt",
            "a.mp4.bak",
            "a.mkv.part",
            ".hidden.mp4",
            ".steward/trash/a.mp4",
            "b/.steward-5/a.mp4",
            ".steward-a.mp4",
            "lost+found/a.mp4",
        ]);
        std::fs::create_dir(place.home.path().join("directory.mp4")).unwrap();
        let ending = place.walk(|walk| walk.everything().unwrap());
        assert_eq!(place.files(), ["a.mp4", "b/c d/-e.MKV"]);
        assert_eq!((place.found.len(), ending.incomplete), (2, None));
    }

    #[test]
    fn links_are_counted_and_not_followed() {
        let mut place = Place::new(&["a/b.mp4"]);
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, place.home.path().join(name)).unwrap();
        };
        link(Path::new("."), "loop");
        link(Path::new("/"), "out");
        link(Path::new("a/b.mp4"), "c.mp4");
        let ending = place.walk(|walk| walk.everything().unwrap());
        assert_eq!((place.files(), ending.links), (vec!["a/b.mp4"], 3));
        place.walk(|walk| walk.these(vec!["loop/a/b.mp4".to_owned(), "c.mp4".to_owned(), "loop".to_owned()]));
        assert!(place.found.is_empty());
    }

    #[test]
    fn names_that_cannot_be_kept_are_told_and_the_rest_is_found() {
        let mut place = Place::new(&["a.mp4"]);
        place.put(OsStr::from_bytes(b"\xff\xfe.mp4"));
        let long = "d".repeat(200);
        place.put(OsStr::new(&format!("{long}/{long}/{long}/{long}/{long}/{long}.mp4")));
        let ending = place.walk(|walk| walk.everything().unwrap());
        assert_eq!((place.files(), ending.incomplete), (vec!["a.mp4"], None));
        let faults = place.found.iter().filter(|item| matches!(item, Item::Fault(..))).count();
        assert_eq!(faults, 2, "{:?}", place.found);
    }

    #[test]
    fn a_root_that_is_away_or_empty_is_told_apart_from_one_without_videos() {
        let mut place = Place::new(&[".steward/x", "lost+found/x"]);
        let fault = place.walk(|walk| walk.everything().unwrap_err());
        assert!(matches!(fault, RootFault::Empty(_)));
        place.put(OsStr::new("readme.txt"));
        assert!(place.walk(|walk| walk.everything().unwrap()).incomplete.is_none());
        std::fs::remove_dir_all(place.home.path()).unwrap();
        let fault = place.walk(|walk| walk.everything().unwrap_err());
        assert!(matches!(fault, RootFault::Unreadable(_)));
    }

    #[test]
    fn single_paths_are_looked_at_and_nothing_is_gone_while_the_library_is_away() {
        let mut place = Place::new(&["a/b.mp4", "a/c/d.mkv", ".x/y.mp4"]);
        let paths = ["a", "gone.mp4", "a/b.mp4/x", "../etc", ".x/y.mp4", "/etc/passwd"];
        let look = |walk: &Walk| walk.these(paths.iter().map(|&path| path.to_owned()).collect());
        place.walk(look);
        assert_eq!(place.files(), ["a/b.mp4", "a/c/d.mkv"]);
        let gone = ["gone.mp4", "a/b.mp4/x"].map(|path| Item::Gone(path.to_owned()));
        assert!(gone.iter().all(|gone| place.found.contains(gone)) && place.found.len() == 4);
        std::fs::remove_dir_all(place.home.path()).unwrap();
        place.walk(look);
        assert_eq!(place.found, []);
    }

    #[test]
    fn a_library_that_is_where_none_may_be_is_not_looked_into() {
        let mut place = Place::new(&["a.mp4"]);
        place.roots.within = vec![PathBuf::from("/srv/videos")];
        let fault = place.walk(|walk| walk.everything().unwrap_err());
        assert!(fault.words().contains("transcode.library_roots"), "{fault:?}");
        place.walk(|walk| walk.these(vec!["a.mp4".to_owned()]));
        assert_eq!(place.found, []);
    }

    #[test]
    fn a_walk_that_is_stopped_or_unheard_is_not_complete() {
        let mut place = Place::new(&["a/b.mp4"]);
        let ending = place.walk(|walk| {
            walk.stop.cancel();
            walk.everything().unwrap()
        });
        assert!(ending.incomplete.is_some());
    }
}
