//! Keeps every library in view: scans it at the start, now and then, and when asked; looks at single files in between.

mod orders;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::orders::{Order, Orders};
use super::looks::{Looks, Trust};
use super::memory::Memory;
use super::probe::Prober;
use super::progress::Progress;
use super::scan::{self, Which};
use super::shelf::Shelf;
use super::watch::{Ear, Watches};
use super::{LibrarySpec, Settings};
use crate::clock::{Clock, Timestamp};

/// How soon a scan that failed is tried again, if its library is scanned by itself at all.
const RETRY_INTERVAL: Duration = Duration::from_mins(5);
/// How long after a scan the next one that changes ask for begins, at the earliest: this, and a multiple of the time
/// that the last one took.
const CALM: (Duration, u32) = (Duration::from_mins(1), 10);

/// The scanner of all libraries. A clone is the same.
#[derive(Clone)]
pub struct Scanner(Arc<Inner>);

struct Inner {
    around: Arc<Around>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    libraries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    library: Arc<Library>,
    task: JoinHandle<()>,
}

/// What all libraries have in common.
pub(super) struct Around {
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) prober: Prober,
    /// The turns of files that are probed.
    pub(super) probes: Semaphore,
    /// The directories of the libraries.
    pub(super) roots: Mutex<HashMap<String, PathBuf>>,
}

/// One library.
pub(super) struct Library {
    pub(super) spec: LibrarySpec,
    pub(super) around: Arc<Around>,
    pub(super) memory: Memory,
    pub(super) looks: Arc<Looks>,
    /// `None`: the kernel is not asked.
    pub(super) watches: Option<Arc<Watches>>,
    pub(super) stop: CancellationToken,
    orders: Arc<Orders>,
}

impl Scanner {
    /// A scanner that knows no libraries yet. Its loops run in `tasks` until `shutdown`.
    pub fn start(
        shelf: Arc<dyn Shelf>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let prober = Prober { program: settings.ffprobe.clone(), timeout: settings.probe_timeout };
        let probes = Semaphore::new(settings.probes.max(1));
        let around = Around { shelf, settings, clock, prober, probes, roots: Mutex::default() };
        Scanner(Arc::new(Inner { around: Arc::new(around), shutdown, tasks, libraries: Mutex::default() }))
    }

    /// Adds a library, or changes the one of that name, and scans it. A scan under way is given up.
    pub fn put(&self, spec: LibrarySpec) {
        let mut libraries = self.0.libraries.lock();
        let name = spec.name.clone();
        self.0.around.roots.lock().insert(name.clone(), spec.path.clone());
        let library = Arc::new(Library::new(spec, &self.0.around, self.0.shutdown.child_token()));
        let _ = library.orders.scan(Which::Changed);
        let before = libraries.remove(&name).map(|entry| {
            entry.library.stop.cancel();
            entry.task
        });
        let running = Arc::clone(&library);
        let task = self.0.tasks.spawn(async move {
            // Two loops of one library would get in each other's way.
            if let Some(before) = before {
                let _ = before.await;
            }
            keep(&running).await;
        });
        libraries.insert(name, Entry { library, task });
    }

    /// Forgets a library. When it returns, nothing more of it is recorded. Not an error when there is none.
    pub async fn remove(&self, name: &str) {
        let entry = self.0.libraries.lock().remove(name);
        if let Some(entry) = entry {
            self.0.around.roots.lock().remove(name);
            entry.library.stop.cancel();
            let _ = entry.task.await;
        }
    }

    /// Scans a library, or joins the scan that is under way or about to begin; with `reprobe`, only one that probes
    /// everything, too. `None` when there is no such library. Dropping the answer does not end the scan.
    pub fn scan(&self, name: &str, reprobe: bool) -> Option<watch::Receiver<Progress>> {
        let library = self.library(name)?;
        Some(library.orders.scan(if reprobe { Which::All } else { Which::Changed }))
    }

    /// Looks at a video's file (`LIBRARY/relative`) now, and probes it even if it has been written just now: whoever
    /// wrote it is done. A path that leads nowhere is passed over.
    pub fn rescan_path(&self, path: &str) {
        let Some((library, relative)) = path.split_once('/') else { return };
        let Some(library) = self.library(library) else { return };
        library.looks.add(relative.to_owned(), library.around.clock.now(), Trust::Finished);
    }

    fn library(&self, name: &str) -> Option<Arc<Library>> {
        self.0.libraries.lock().get(name).map(|entry| Arc::clone(&entry.library))
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.libraries.lock().keys().cloned().collect();
        f.debug_struct("Scanner").field("libraries", &names).finish_non_exhaustive()
    }
}

impl Library {
    fn new(spec: LibrarySpec, around: &Arc<Around>, stop: CancellationToken) -> Self {
        let (looks, orders) = (Arc::new(Looks::default()), Arc::new(Orders::default()));
        let watches = around.settings.watch_files.then(|| listen(&spec, around, &looks, &orders)).flatten();
        Library { spec, around: Arc::clone(around), memory: Memory::default(), looks, watches, stop, orders }
    }
}

fn listen(spec: &LibrarySpec, around: &Around, looks: &Arc<Looks>, orders: &Arc<Orders>) -> Option<Arc<Watches>> {
    let orders = Arc::clone(orders);
    let ear = Ear {
        root: spec.path.clone(),
        rules: Arc::clone(&spec.rules),
        clock: Arc::clone(&around.clock),
        looks: Arc::clone(looks),
        needs_scan: Box::new(move || orders.wish()),
    };
    match Watches::new(ear) {
        Ok(watches) => Some(Arc::new(watches)),
        Err(error) => {
            tracing::warn!(library = spec.name, %error, "a library is not watched; its changes are seen by scans only");
            None
        }
    }
}

/// Keeps a library in view until it is stopped.
async fn keep(library: &Arc<Library>) {
    tokio::join!(scan_again_and_again(library), look_again_and_again(library));
}

async fn scan_again_and_again(library: &Arc<Library>) {
    let (clock, orders) = (&library.around.clock, &library.orders);
    let interval = library.spec.scan_interval.unwrap_or(library.around.settings.scan_interval);
    // The first scan is ordered by whoever adds the library.
    let (mut next, mut calm_until) = (None, clock.now());
    while let Some(Order { which, telling }) = next_order(library, next, calm_until).await {
        let started = clock.now();
        let error = scan::whole(library, which, &telling).await;
        let ended = clock.now();
        measure(&library.spec.name, ended.since(started), error.is_some());
        calm_until = ended.plus(CALM.0.saturating_add(ended.since(started).saturating_mul(CALM.1)));
        let rest = if error.is_some() { interval.min(RETRY_INTERVAL) } else { interval };
        next = (!interval.is_zero()).then(|| ended.plus(jittered(rest)));
        // Whoever hears of the end can order another one.
        orders.ended();
        telling.finish(error);
    }
    orders.close();
}

fn measure(library: &str, took: Duration, has_failed: bool) {
    metrics::histogram!("steward_transcode_scan_seconds", "library" => library.to_owned()).record(took);
    if has_failed {
        metrics::counter!("steward_transcode_scan_errors_total", "library" => library.to_owned()).increment(1);
    }
}

/// The next scan, when it is time for it. `None`: no more.
async fn next_order(library: &Library, next: Option<Timestamp>, calm_until: Timestamp) -> Option<Order> {
    let (clock, orders) = (&library.around.clock, &library.orders);
    loop {
        if library.stop.is_cancelled() {
            return None;
        }
        let wished = orders.is_wished().then_some(calm_until);
        let due = [next, wished].into_iter().flatten().min();
        if due.is_some_and(|due| due <= clock.now()) {
            let _ = orders.scan(Which::Changed);
        }
        if let Some(order) = orders.take() {
            return Some(order);
        }
        tokio::select! {
            () = library.stop.cancelled() => return None,
            () = orders.changed() => {}
            () = until(&**clock, due) => {}
        }
    }
}

async fn look_again_and_again(library: &Arc<Library>) {
    let clock = &library.around.clock;
    loop {
        tokio::select! {
            () = library.stop.cancelled() => return,
            () = library.looks.added() => {}
            () = until(&**clock, library.looks.next_due()) => {}
        }
        let due = library.looks.take(clock.now());
        if !due.is_empty() {
            scan::some(library, due).await;
        }
    }
}

async fn until(clock: &dyn Clock, time: Option<Timestamp>) {
    match time {
        Some(time) => clock.sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Up to a tenth less or more, so that libraries of one disk do not all begin at once.
fn jittered(interval: Duration) -> Duration {
    let mut random = [0];
    // Without randomness there is no jitter, which is no harm.
    let _ = getrandom::fill(&mut random);
    interval.mul_f64(0.9 + f64::from(random[0]) / 255.0 * 0.2)
}
