//! Scans of real directories with a real ffprobe, onto a shelf in memory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::fake::{FakeShelf, State};
use super::{LibrarySpec, Progress, Rules, Scanner, Settings};
use crate::clock::ManualClock;

const STABLE_FOR: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_mins(1);

struct Farm {
    home: TempDir,
    shelf: Arc<FakeShelf>,
    clock: Arc<ManualClock>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    scanner: Scanner,
}

/// Nothing waits for files to be stable, nothing is watched, nothing is scanned unless asked.
fn calm() -> Settings {
    Settings { stable_for: Duration::ZERO, watch_files: false, scan_interval: Duration::ZERO, ..Settings::default() }
}

impl Farm {
    fn with(settings: Settings) -> Self {
        let (home, shelf) = (tempfile::tempdir().unwrap(), Arc::new(FakeShelf::default()));
        let (clock, shutdown, tasks) = (Arc::new(ManualClock::new()), CancellationToken::new(), TaskTracker::new());
        std::fs::create_dir(home.path().join("lib")).unwrap();
        let scanner = Scanner::start(shelf.clone(), settings, clock.clone(), shutdown.clone(), tasks.clone());
        Farm { home, shelf, clock, shutdown, tasks, scanner }
    }

    fn path(&self, relative: impl AsRef<OsStr>) -> PathBuf {
        self.home.path().join("lib").join(relative.as_ref())
    }

    /// Makes a video of a second; `title` makes its bytes its own.
    fn video(&self, relative: impl AsRef<OsStr>, title: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let made = self.home.path().join("made.mp4");
        let source = "testsrc=size=64x48:rate=10:duration=1";
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast"])
            .args(["-metadata", &format!("title={title}"), made.to_str().unwrap()])
            .status();
        assert!(status.unwrap().success());
        // In one step, as whoever watches would see a worker do it.
        std::fs::rename(made, path).unwrap();
    }

    fn put(&self, name: &str) {
        let path = self.home.path().join(name);
        let rules = Arc::new(Rules::default());
        self.scanner.put(LibrarySpec { name: name.to_owned(), path, rules, scan_interval: None });
    }

    async fn scan(&self, reprobe: bool) -> Progress {
        let mut progress = self.scanner.scan("lib", reprobe).expect("a library");
        let ended = tokio::time::timeout(DEADLINE, progress.wait_for(|progress| progress.done)).await;
        ended.expect("the scan ends").expect("it says so").clone()
    }

    async fn until(&self, is_such: impl FnMut(&State) -> bool) {
        let waited = tokio::time::timeout(DEADLINE, self.shelf.until(is_such)).await;
        assert!(waited.is_ok(), "it never came to that: {:#?}", self.shelf.state());
    }
}

/// Seen, added, changed, missing, moved, errors, unstable.
fn numbers(progress: &Progress) -> [i32; 7] {
    let Progress { seen, added, changed, missing, moved, errors, unstable, .. } = *progress;
    [seen, added, changed, missing, moved, errors, unstable]
}

#[tokio::test]
async fn a_new_library_is_scanned_and_what_is_known_is_not_probed_again() {
    let farm = Farm::with(calm());
    farm.video("a/SIVR-1.mp4", "one");
    farm.video("b.MP4", "two");
    farm.put("lib");
    let first = farm.scan(false).await;
    assert_eq!(numbers(&first), [2, 2, 0, 0, 0, 0, 0]);
    let state = farm.shelf.state();
    assert_eq!(state.paths(), ["lib/a/SIVR-1.mp4", "lib/b.MP4"]);
    for (found, _) in state.videos.values() {
        assert_eq!((found.probe.codec.as_str(), found.probe.width, found.probe.height), ("h264", 64, 48));
        assert!((found.probe.fps - 10.0).abs() < 0.01 && (found.probe.duration - 1.0).abs() < 0.2);
        assert!(found.probe.bitrate_k > 0 && found.needs_transcoding && found.probe.audio_codec.is_empty());
        assert_eq!(found.is_vr, found.path.contains("VR"));
    }
    assert_eq!(numbers(&farm.scan(false).await), [2, 0, 0, 0, 0, 0, 0]);
    assert_eq!(farm.shelf.state().recorded, 2);
    assert_eq!(numbers(&farm.scan(true).await), [2, 0, 0, 0, 0, 0, 0]);
    assert_eq!(farm.shelf.state().recorded, 4);
    assert!(farm.shelf.state().ends.iter().all(Option::is_none));
}

#[tokio::test]
async fn changes_moves_and_losses_are_told_apart() {
    let farm = Farm::with(calm());
    for (name, title) in [("a.mp4", "one"), ("b.mp4", "two"), ("c.mp4", "three")] {
        farm.video(name, title);
    }
    farm.put("lib");
    farm.scan(false).await;
    let id_of = |path: &str| *farm.shelf.state().videos.iter().find(|(_, (found, _))| found.path == path).unwrap().0;
    let moved = id_of("lib/a.mp4");
    std::fs::create_dir(farm.path("x")).unwrap();
    std::fs::rename(farm.path("a.mp4"), farm.path("x/d.mp4")).unwrap();
    farm.video("b.mp4", "another title");
    std::fs::remove_file(farm.path("c.mp4")).unwrap();
    assert_eq!(numbers(&farm.scan(false).await), [2, 0, 1, 1, 1, 0, 0]);
    assert_eq!(farm.shelf.state().paths(), ["lib/b.mp4", "lib/x/d.mp4"]);
    assert_eq!(id_of("lib/x/d.mp4"), moved);
    // A lost file that comes back, and a copy of one that stays.
    farm.video("c.mp4", "three");
    std::fs::copy(farm.path("b.mp4"), farm.path("e.mp4")).unwrap();
    let progress = farm.scan(false).await;
    assert_eq!((progress.seen, progress.added, progress.moved, progress.missing), (4, 1, 0, 0));
    assert_eq!(farm.shelf.state().videos.len(), 4);
}

#[tokio::test]
async fn a_file_that_is_back_as_it_was_is_not_probed_again() {
    let farm = Farm::with(calm());
    farm.video("a.mp4", "one");
    farm.video("b.mp4", "two");
    farm.put("lib");
    farm.scan(false).await;
    let aside = farm.home.path().join("aside");
    std::fs::rename(farm.path("a.mp4"), &aside).unwrap();
    assert_eq!(farm.scan(false).await.missing, 1);
    std::fs::rename(&aside, farm.path("a.mp4")).unwrap();
    farm.scan(false).await;
    assert_eq!(farm.shelf.state().paths(), ["lib/a.mp4", "lib/b.mp4"]);
    assert_eq!(farm.shelf.state().recorded, 2);
}

#[tokio::test]
async fn a_library_that_is_away_or_empty_hides_nothing() {
    let farm = Farm::with(calm());
    farm.video("a.mp4", "one");
    farm.put("lib");
    farm.scan(false).await;
    let aside = farm.home.path().join("aside");
    std::fs::rename(farm.path(""), &aside).unwrap();
    let away = farm.scan(false).await;
    assert!(away.error.contains("cannot be read"), "{away:?}");
    std::fs::create_dir_all(farm.path(".hidden")).unwrap();
    let empty = farm.scan(false).await;
    assert!(empty.error.contains("is empty"), "{empty:?}");
    farm.scanner.rescan_path("lib/a.mp4");
    farm.scan(false).await;
    let state = farm.shelf.state();
    assert_eq!(state.paths(), ["lib/a.mp4"]);
    // Told when it is news only.
    assert_eq!((state.ends.iter().flatten().count(), state.reports.len()), (3, 2));
    std::fs::remove_dir_all(farm.path("")).unwrap();
    std::fs::rename(&aside, farm.path("")).unwrap();
    assert_eq!(numbers(&farm.scan(false).await), [1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(farm.shelf.state().ends.last(), Some(&None));
}

#[tokio::test]
async fn many_files_are_recorded_and_lost_in_batches() {
    let farm = Farm::with(calm());
    farm.video("0.mp4", "one");
    let video = std::fs::read(farm.path("0.mp4")).unwrap();
    for number in 1..60_u32 {
        // A box that players pass over makes the bytes its own.
        let other = [video.as_slice(), &12_u32.to_be_bytes(), b"free", &number.to_be_bytes()].concat();
        std::fs::create_dir_all(farm.path(format!("{}", number % 7))).unwrap();
        std::fs::write(farm.path(format!("{}/{number}.mp4", number % 7)), other).unwrap();
    }
    farm.put("lib");
    assert_eq!(numbers(&farm.scan(false).await), [60, 60, 0, 0, 0, 0, 0]);
    for directory in 0..7 {
        std::fs::remove_dir_all(farm.path(directory.to_string())).unwrap();
    }
    assert_eq!(numbers(&farm.scan(false).await), [1, 0, 0, 59, 0, 0, 0]);
}

#[tokio::test]
async fn a_new_library_may_be_empty() {
    let farm = Farm::with(calm());
    farm.put("lib");
    let progress = farm.scan(false).await;
    assert_eq!((numbers(&progress), progress.error.as_str()), ([0; 7], ""));
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_hides_nothing() {
    let farm = Farm::with(calm());
    farm.video("a.mp4", "one");
    farm.video("b/c.mp4", "two");
    farm.put("lib");
    farm.scan(false).await;
    std::fs::remove_file(farm.path("a.mp4")).unwrap();
    let lock = |mode| std::fs::set_permissions(farm.path("b"), std::fs::Permissions::from_mode(mode)).unwrap();
    lock(0o000);
    // Root reads everything.
    if std::fs::read_dir(farm.path("b")).is_ok() {
        return;
    }
    let progress = farm.scan(false).await;
    lock(0o755);
    assert!(progress.error.starts_with("b cannot be read") && progress.missing == 0, "{progress:?}");
    assert_eq!(farm.shelf.state().paths().len(), 2);
    assert_eq!(farm.scan(false).await.missing, 1);
}

#[tokio::test]
async fn damaged_files_and_odd_names_do_not_keep_the_others_from_being_found() {
    let farm = Farm::with(calm());
    let odd = ["-i.mp4", "http:x.mp4", "concat:a|b.mp4", "a\nb.mp4", "%03d.mp4", "é 字.mp4", "$(x) `y`;'\".mp4"];
    let count = i32::try_from(odd.len()).unwrap();
    for name in odd {
        farm.video(name, name.escape_debug().to_string().as_str());
    }
    std::fs::write(farm.path("damaged.mp4"), b"this is no video").unwrap();
    std::fs::write(farm.path("empty.mkv"), b"").unwrap();
    std::fs::write(farm.path(OsStr::from_bytes(b"\xff.mp4")), b"x").unwrap();
    farm.put("lib");
    let progress = farm.scan(false).await;
    assert_eq!(numbers(&progress), [count + 2, count, 0, 0, 0, 3, 0]);
    assert_eq!(progress.error, "");
    let reports = farm.shelf.state().reports;
    assert!(reports.iter().any(|report| report.starts_with("lib/damaged.mp4: ffprobe failed: ")), "{reports:?}");
    assert!(reports.iter().any(|report| report.contains("not UTF-8")), "{reports:?}");
    // What is wrong is told once.
    assert_eq!((farm.scan(false).await.errors, farm.shelf.state().reports.len()), (3, 3));
    farm.video("damaged.mp4", "mended");
    assert_eq!(numbers(&farm.scan(false).await), [count + 2, 1, 0, 0, 0, 2, 0]);
}

#[tokio::test]
async fn a_playlist_in_disguise_opens_nothing() {
    let farm = Farm::with(calm());
    farm.video("a.mp4", "one");
    let playlist = format!("ffconcat version 1.0\nfile '{}'\n", farm.path("a.mp4").display());
    std::fs::write(farm.path("b.mkv"), playlist).unwrap();
    std::fs::write(farm.path("c.mkv"), "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n").unwrap();
    farm.put("lib");
    farm.scan(false).await;
    assert_eq!(farm.shelf.state().paths(), ["lib/a.mp4"]);
}

#[tokio::test]
async fn without_ffprobe_a_scan_fails_and_says_so() {
    let farm = Farm::with(Settings { ffprobe: PathBuf::from("/nowhere/ffprobe"), ..calm() });
    farm.video("a.mp4", "one");
    farm.put("lib");
    let progress = farm.scan(false).await;
    assert!(progress.error.contains("/nowhere/ffprobe cannot be run"), "{progress:?}");
}

#[tokio::test]
async fn a_file_that_grows_is_taken_up_when_it_has_stopped() {
    let farm = Farm::with(Settings { stable_for: STABLE_FOR, ..calm() });
    farm.video("made/a.mp4", "one");
    let whole = std::fs::read(farm.path("made/a.mp4")).unwrap();
    std::fs::remove_dir_all(farm.path("made")).unwrap();
    let (start, rest) = whole.split_at(whole.len() / 2);
    std::fs::write(farm.path("a.mp4"), start).unwrap();
    farm.put("lib");
    assert_eq!(numbers(&farm.scan(false).await), [1, 0, 0, 0, 0, 0, 1]);
    farm.clock.advance(STABLE_FOR / 2);
    std::io::Write::write_all(&mut std::fs::File::options().append(true).open(farm.path("a.mp4")).unwrap(), rest)
        .unwrap();
    assert_eq!(farm.scan(false).await.unstable, 1);
    farm.clock.advance(STABLE_FOR / 2);
    assert_eq!(farm.scan(false).await.unstable, 1);
    assert!(farm.shelf.state().videos.is_empty() && farm.shelf.state().reports.is_empty());
    // Nobody has to ask: it is looked at again when it is time.
    farm.clock.advance(STABLE_FOR / 2);
    farm.until(|state| state.paths() == ["lib/a.mp4"]).await;
}

#[tokio::test]
async fn a_finished_file_is_probed_at_once() {
    let farm = Farm::with(Settings { stable_for: STABLE_FOR, ..calm() });
    farm.video("a.mp4", "one");
    farm.put("lib");
    assert_eq!(farm.scan(false).await.unstable, 1);
    for nowhere in ["lib/../lib/a.mp4", "lib//a.mp4", "lib", "other/a.mp4", "lib/gone.mp4", "lib/"] {
        farm.scanner.rescan_path(nowhere);
    }
    farm.scanner.rescan_path("lib/a.mp4");
    farm.until(|state| state.paths() == ["lib/a.mp4"]).await;
    std::fs::remove_file(farm.path("a.mp4")).unwrap();
    std::fs::write(farm.path("readme.txt"), b"not empty").unwrap();
    farm.scanner.rescan_path("lib/a.mp4");
    farm.until(|state| state.paths().is_empty()).await;
}

#[tokio::test]
async fn libraries_are_scanned_again_when_it_is_time() {
    let farm = Farm::with(Settings { scan_interval: Duration::from_hours(1), ..calm() });
    farm.put("lib");
    farm.scan(false).await;
    farm.video("a.mp4", "one");
    farm.clock.advance(Duration::from_hours(2));
    farm.until(|state| state.paths() == ["lib/a.mp4"]).await;
}

#[tokio::test]
async fn the_kernel_tells_of_files_that_come_move_and_go() {
    let farm = Farm::with(Settings { watch_files: true, ..calm() });
    farm.video("a/b.mp4", "one");
    farm.put("lib");
    farm.scan(false).await;
    // The clock stands still unless a test moves it; what was heard is looked at a little later.
    let clock = Arc::clone(&farm.clock);
    let hands = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            clock.advance(Duration::from_secs(1));
        }
    });
    farm.video("new/c.mp4", "two");
    farm.until(|state| state.paths() == ["lib/a/b.mp4", "lib/new/c.mp4"]).await;
    farm.video("new/d.mp4", "three");
    farm.until(|state| state.paths() == ["lib/a/b.mp4", "lib/new/c.mp4", "lib/new/d.mp4"]).await;
    std::fs::rename(farm.path("new/d.mp4"), farm.path("e.mp4")).unwrap();
    farm.until(|state| state.paths() == ["lib/a/b.mp4", "lib/e.mp4", "lib/new/c.mp4"]).await;
    std::fs::remove_file(farm.path("e.mp4")).unwrap();
    farm.until(|state| state.paths() == ["lib/a/b.mp4", "lib/new/c.mp4"]).await;
    std::fs::rename(farm.path("new"), farm.home.path().join("aside")).unwrap();
    farm.until(|state| state.paths() == ["lib/a/b.mp4"]).await;
    assert_eq!(farm.shelf.state().videos.len(), 3);
    hands.abort();
}

#[tokio::test]
async fn a_move_to_another_library_keeps_the_video() {
    let farm = Farm::with(calm());
    farm.video("a.mp4", "one");
    farm.video("b.mp4", "two");
    std::fs::create_dir(farm.home.path().join("other")).unwrap();
    farm.put("lib");
    farm.scan(false).await;
    std::fs::rename(farm.path("a.mp4"), farm.home.path().join("other/a.mp4")).unwrap();
    farm.put("other");
    farm.until(|state| state.paths() == ["lib/b.mp4", "other/a.mp4"]).await;
    assert_eq!((farm.scan(false).await.missing, farm.shelf.state().videos.len()), (0, 2));
}

#[tokio::test]
async fn a_library_that_is_removed_or_a_server_that_stops_gives_its_scan_up() {
    let home = tempfile::tempdir().unwrap();
    let slow = home.path().join("slow");
    std::fs::write(&slow, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o755)).unwrap();
    let farm = Farm::with(Settings { ffprobe: slow, ..calm() });
    farm.video("a.mp4", "one");
    farm.put("lib");
    let mut scan = farm.scanner.scan("lib", false).unwrap();
    scan.wait_for(|progress| progress.seen == 1).await.unwrap();
    farm.put("lib");
    assert!(!scan.wait_for(|progress| progress.done).await.unwrap().error.is_empty());
    let mut scan = farm.scanner.scan("lib", false).unwrap();
    scan.wait_for(|progress| progress.seen == 1).await.unwrap();
    farm.scanner.remove("lib").await;
    assert!(scan.borrow().done && farm.scanner.scan("lib", false).is_none());
    farm.put("lib");
    let mut scan = farm.scanner.scan("lib", false).unwrap();
    scan.wait_for(|progress| progress.seen == 1).await.unwrap();
    farm.shutdown.cancel();
    farm.tasks.close();
    tokio::time::timeout(DEADLINE, farm.tasks.wait()).await.expect("every loop ends");
    assert!(scan.borrow().done && farm.shelf.state().ends.is_empty());
}
