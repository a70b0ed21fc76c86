//! One look at a library, or at some of its files.
//!
//! A walk tells what is there; what is new or changed, and stable, is probed; what was learned is recorded in batches.
//! Nothing is marked as missing before a whole walk of a library that is there and has something in it has ended.

mod examine;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use steward_proto::transcode::v1::LogLevel;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::examine::{Examined, Trouble, examine};
use super::looks::Trust;
use super::path::{self, is_ignored, is_leftover, video_path};
use super::progress::Telling;
use super::scanner::Library;
use super::shelf::{BATCH, Found, MARKS, Recorded};
use super::stable::Verdict;
use super::stat::Stat;
use super::walk::{Ending, Item, RootFault, Walk, is_gone};
use super::{ProbeError, trash};
use crate::error::Failure;

/// How long what was found waits for more of its kind.
const BATCH_DELAY: Duration = Duration::from_millis(200);
/// How far a walk may be ahead.
const AHEAD: usize = 256;
/// How many faults of one scan are told one by one.
const MAX_REPORTS: usize = 100;

/// Which files are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that are new or have changed.
    Changed,
    /// All.
    All,
    /// All, even if they were written just now: whoever wrote them says that they are finished.
    Finished,
}

/// Scans a whole library. Returns why it ended early, if it did.
pub(super) async fn whole(library: &Arc<Library>, which: Which, telling: &Telling) -> Option<String> {
    let shelf = &library.around.shelf;
    // What is recorded while the scan runs was seen by somebody, and is not missing.
    let before = shelf.existing(&library.spec.name);
    let mut pass = Pass::new(library, which, telling);
    let (items, walked) = mpsc::channel(AHEAD);
    let walk = walk(library, items);
    let walk = tokio::task::spawn_blocking(move || walk.everything());
    let result = match pass.run(walked).await {
        // The walk ends by itself, though not before its disk answers: nobody listens any more.
        Err(stop) => Err(stop),
        Ok(()) => match walk.await {
            Ok(Ok(ending)) => pass.end(&before, ending).await,
            Ok(Err(RootFault::Empty(_))) if before.is_empty() => Ok(()),
            Ok(Err(fault)) => Err(Stop::Failed(fault.words().to_owned())),
            Err(error) => Err(Stop::Failed(error.to_string())),
        },
    };
    pass.tell_of_the_rest().await;
    let error = match result {
        Ok(()) => None,
        Err(Stop::Cancelled) => return Some("the scan was stopped".to_owned()),
        Err(Stop::Failed(error)) => Some(error),
    };
    tell_of_end(library, error.as_deref()).await;
    if error.is_none() {
        sweep_trash(library).await;
    }
    shelf.scan_ended(&library.spec.name, error.clone()).await;
    error
}

/// Looks at some paths.
pub(super) async fn some(library: &Arc<Library>, paths: Vec<(String, Trust)>) {
    for (trust, which) in [(Trust::Finished, Which::Finished), (Trust::Unknown, Which::Changed)] {
        let of_kind = paths.iter().filter(|(_, known)| *known == trust);
        let of_kind: Vec<String> = of_kind.map(|(path, _)| path.clone()).collect();
        if of_kind.is_empty() {
            continue;
        }
        let telling = Telling::new();
        let mut pass = Pass::new(library, which, &telling);
        let (items, walked) = mpsc::channel(AHEAD);
        let walk = walk(library, items);
        // It ends by itself, with its work or when nobody listens any more.
        tokio::task::spawn_blocking(move || walk.these(of_kind));
        if let Err(Stop::Failed(error)) = pass.run(walked).await {
            tracing::warn!(library = library.spec.name, error, "changes in a library are left to its next scan");
        }
        pass.tell_of_the_rest().await;
    }
}

fn walk(library: &Library, items: mpsc::Sender<Item>) -> Walk {
    Walk {
        root: library.spec.path.clone(),
        roots: Arc::clone(&library.around.settings.roots),
        library: library.spec.name.clone(),
        rules: Arc::clone(&library.spec.rules),
        watches: library.watches.clone(),
        items,
        stop: library.stop.clone(),
    }
}

async fn tell_of_end(library: &Library, error: Option<&str>) {
    let (shelf, name) = (&library.around.shelf, &library.spec.name);
    if library.memory.note_error(error)
        && let Some(error) = error
    {
        tracing::warn!(library = name, error, "a scan of a library ended early");
        shelf.report(LogLevel::Error, format!("library {name} was not scanned to its end: {error}")).await;
    }
    if let Some(warning) = library.watches.as_ref().and_then(|watches| watches.take_warning()) {
        tracing::warn!(library = name, warning, "a library is not watched to its end");
        shelf.report(LogLevel::Warning, format!("library {name}: {warning}")).await;
    }
}

async fn sweep_trash(library: &Library) {
    let (root, retention) = (library.spec.path.clone(), library.around.settings.trash_retention);
    let now = library.around.clock.now();
    let swept = tokio::task::spawn_blocking(move || trash::sweep(&root, retention, now)).await;
    match swept {
        Ok(Ok(0)) => {}
        Ok(Ok(files)) => tracing::info!(library = library.spec.name, files, "the trash of a library was swept"),
        Ok(Err(error)) => tracing::warn!(library = library.spec.name, %error, "the trash of a library stays"),
        Err(error) => tracing::warn!(library = library.spec.name, %error, "the trash of a library stays"),
    }
}

/// Why a pass ends early.
#[derive(Debug)]
enum Stop {
    Cancelled,
    Failed(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        // The words that a caller would get: what is internal is logged and not told.
        Stop::Failed(format!("what was found cannot be kept: {}", tonic::Status::from(failure).message()))
    }
}

/// What a look at a library has come to.
struct Pass<'a> {
    library: &'a Arc<Library>,
    which: Which,
    telling: &'a Telling,
    probing: JoinSet<Examined>,
    /// To be recorded, and since when.
    found: Vec<Found>,
    found_since: Instant,
    /// To be marked as present.
    present: Vec<i32>,
    /// To be marked as missing, with the paths that nothing is at.
    gone: Vec<(i32, String)>,
    /// The videos whose files were seen.
    seen: HashSet<i32>,
    /// The videos that moved.
    moved: HashSet<i32>,
    faults: usize,
}

impl<'a> Pass<'a> {
    fn new(library: &'a Arc<Library>, which: Which, telling: &'a Telling) -> Self {
        let (found, present, gone) = (Vec::new(), Vec::new(), Vec::new());
        let (seen, moved, probing) = (HashSet::new(), HashSet::new(), JoinSet::new());
        let found_since = Instant::now();
        Pass { library, which, telling, probing, found, found_since, present, gone, seen, moved, faults: 0 }
    }

    /// Takes what a walk comes by, until there is nothing more and everything is recorded.
    async fn run(&mut self, mut walked: mpsc::Receiver<Item>) -> Result<(), Stop> {
        let library = self.library;
        let mut is_walking = true;
        while is_walking || !self.probing.is_empty() {
            let flush_time = self.found_since + BATCH_DELAY;
            let has_room = self.probing.len() < library.around.settings.probes.max(1);
            tokio::select! {
                () = library.stop.cancelled() => return Err(Stop::Cancelled),
                Some(examined) = self.probing.join_next() => {
                    self.learn(examined.map_err(|error| Stop::Failed(error.to_string()))?).await?;
                }
                item = walked.recv(), if is_walking && has_room => match item {
                    Some(item) => self.come_by(item).await,
                    None => is_walking = false,
                },
                () = tokio::time::sleep_until(flush_time), if !self.found.is_empty() => self.record().await?,
            }
            if self.found.len() >= BATCH {
                self.record().await?;
            }
            if self.present.len() >= MARKS || self.gone.len() >= MARKS {
                self.mark().await?;
            }
        }
        self.record().await?;
        self.mark().await
    }

    async fn come_by(&mut self, item: Item) {
        match item {
            Item::File(relative, stat) => self.file(relative, stat),
            Item::Gone(relative) => {
                let path = video_path(&self.library.spec.name, &relative);
                self.library.memory.forget(&path);
                let known = self.library.around.shelf.lookup(&path);
                self.gone.extend(known.filter(|known| known.exists).map(|known| (known.id, path)));
            }
            Item::Fault(place, problem) => self.fault(&video_path(&self.library.spec.name, &place), &problem).await,
        }
    }

    fn file(&mut self, relative: String, stat: Stat) {
        let (around, memory) = (&self.library.around, &self.library.memory);
        let path = video_path(&self.library.spec.name, &relative);
        self.telling.update(|progress| {
            progress.seen += 1;
            progress.current.clone_from(&path);
        });
        let known = around.shelf.lookup(&path);
        self.seen.extend(known.map(|known| known.id));
        let as_known = known.filter(|known| (known.size_bytes, known.modify_nanos) == (stat.size, stat.modify_nanos));
        match (as_known, self.which) {
            (Some(known), Which::Changed) => {
                memory.forget(&path);
                if !known.exists {
                    self.present.push(known.id);
                }
                return;
            }
            (None, Which::Changed | Which::All) => {
                let (stable_for, now) = (around.settings.stable_for, around.clock.now());
                if let Verdict::Wait(due) = memory.stability.lock().judge(&path, stat, stable_for, now) {
                    self.telling.update(|progress| progress.unstable += 1);
                    self.library.looks.add(relative, due, Trust::Unknown);
                    return;
                }
            }
            (Some(_), Which::All) | (_, Which::Finished) => {}
        }
        if self.which == Which::Changed && memory.is_bad(&path, stat) {
            self.telling.update(|progress| progress.errors += 1);
            return;
        }
        self.probing.spawn(examine(Arc::clone(self.library), relative, stat));
    }

    async fn learn(&mut self, examined: Examined) -> Result<(), Stop> {
        let Examined { relative, stat, result } = examined;
        let path = video_path(&self.library.spec.name, &relative);
        let memory = &self.library.memory;
        match result {
            Ok((mut found, twins)) => {
                memory.forget(&path);
                found.moved_from = twins.into_iter().find(|twin| self.moved.insert(*twin));
                if self.found.is_empty() {
                    self.found_since = Instant::now();
                }
                self.found.push(found);
            }
            Err(Trouble::Changed) => {
                self.telling.update(|progress| progress.unstable += 1);
                let around = &self.library.around;
                let due = around.clock.now().plus(around.settings.stable_for);
                self.library.looks.add(relative, due, Trust::Unknown);
            }
            Err(Trouble::Unprobed(error @ ProbeError::Unusable { .. })) => return Err(Stop::Failed(error.to_string())),
            Err(Trouble::Unprobed(error)) => {
                // A slow disk may be faster the next time.
                if !matches!(error, ProbeError::TimedOut(_)) {
                    memory.note_bad(&path, stat);
                }
                self.fault(&path, &error.to_string()).await;
            }
            Err(Trouble::Unread(error)) => self.fault(&path, &error.to_string()).await,
        }
        Ok(())
    }

    async fn fault(&mut self, path: &str, problem: &str) {
        self.telling.update(|progress| progress.errors += 1);
        if !self.library.memory.note_fault(path, problem) {
            return;
        }
        self.faults += 1;
        tracing::debug!(path, problem, "a file of a library cannot be taken up");
        if self.faults <= MAX_REPORTS {
            self.library.around.shelf.report(LogLevel::Error, format!("{path}: {problem}")).await;
        }
    }

    async fn tell_of_the_rest(&self) {
        if let Some(rest) = self.faults.checked_sub(MAX_REPORTS).filter(|rest| *rest > 0) {
            let message = format!("library {}: {rest} more files cannot be taken up", self.library.spec.name);
            self.library.around.shelf.report(LogLevel::Error, message).await;
        }
    }

    async fn record(&mut self) -> Result<(), Stop> {
        if self.found.is_empty() {
            return Ok(());
        }
        let found = std::mem::take(&mut self.found);
        let recorded = self.library.around.shelf.record(&self.library.spec.name, found).await?;
        self.seen.extend(recorded.iter().map(|(id, _)| *id));
        self.telling.update(|progress| {
            for (_, what) in recorded {
                match what {
                    Recorded::Added => progress.added += 1,
                    Recorded::Changed => progress.changed += 1,
                    Recorded::Moved => progress.moved += 1,
                    Recorded::Unchanged => {}
                }
            }
        });
        Ok(())
    }

    async fn mark(&mut self) -> Result<(), Stop> {
        let (shelf, name) = (&self.library.around.shelf, &self.library.spec.name);
        for ids in std::mem::take(&mut self.present).chunks(MARKS) {
            shelf.mark_present(name, ids.to_vec()).await?;
        }
        let mut gone = std::mem::take(&mut self.gone);
        // What has moved since is not missing.
        gone.retain(|(id, path)| shelf.path(*id).as_ref() == Some(path));
        let gone: Vec<i32> = gone.into_iter().map(|(id, _)| id).collect();
        for ids in gone.chunks(MARKS) {
            shelf.mark_missing(name, ids.to_vec()).await?;
            let count = i32::try_from(ids.len()).expect("at most MARKS");
            self.telling.update(|progress| progress.missing += count);
        }
        Ok(())
    }

    /// A whole walk has ended: what it did not come by is gone, unless a second look finds it after all.
    async fn end(&mut self, before: &[i32], ending: Ending) -> Result<(), Stop> {
        if ending.links > 0 {
            tracing::debug!(library = self.library.spec.name, ending.links, "links in a library are not followed");
        }
        if let Some(problem) = ending.incomplete {
            return Err(Stop::Failed(problem));
        }
        let shelf = &self.library.around.shelf;
        let unseen = before.iter().filter(|id| !self.seen.contains(id));
        let unseen: Vec<(i32, String)> = unseen.filter_map(|id| Some((*id, shelf.path(*id)?))).collect();
        let library = Arc::clone(self.library);
        let looked =
            tokio::task::spawn_blocking(move || unseen.into_iter().filter(|(_, path)| !library.has(path)).collect());
        self.gone = looked.await.map_err(|error| Stop::Failed(error.to_string()))?;
        self.mark().await
    }
}

impl Library {
    /// Whether a video's file is there. A program that replaces a file takes it away for a moment, which a walk may
    /// see.
    fn has(&self, path: &str) -> bool {
        let Some(place) = self.place_of(path) else { return false };
        let relative = path.split_once('/').map_or("", |(_, relative)| relative);
        let name = relative.rsplit('/').next().unwrap_or(relative);
        let is_ours = !relative.split('/').any(is_ignored) && !is_leftover(name) && self.spec.rules.is_video(name);
        is_ours
            && match place.symlink_metadata() {
                Ok(metadata) => metadata.is_file(),
                Err(error) => !is_gone(&error),
            }
    }

    /// Where a video of this library lies.
    fn place_of(&self, path: &str) -> Option<PathBuf> {
        let (library, relative) = path.split_once('/')?;
        if library == self.spec.name { path::place_without_links(&self.spec.path, relative) } else { None }
    }
}
