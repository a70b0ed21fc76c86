use super::*;

struct Scene {
    directory: tempfile::TempDir,
    state: State,
    end: End,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state")).unwrap();
        fs::create_dir_all(directory.path().join("films/a")).unwrap();
        let scene = Scene { directory, state, end: End { output_bytes: 7, ..End::default() } };
        fs::write(scene.path("a/v.avi"), "original").unwrap();
        fs::write(scene.path("a/.steward-t.tmp"), "result").unwrap();
        scene
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join("films").join(relative)
    }

    fn located(&self) -> Located {
        Located {
            library: "films".to_owned(),
            root: self.path(""),
            path: self.path("a/v.avi"),
            relative: PathBuf::from("a/v.avi"),
            is_link: false,
        }
    }

    fn replace(&self, original: &Original, place: &str) -> Result<(), Failure> {
        self.replace_by(original, place, |from, to| fs::hard_link(from, to))
    }

    fn replace_by(&self, original: &Original, place: &str, link: Link) -> Result<(), Failure> {
        let (result, place) = (self.path("a/.steward-t.tmp"), self.path(place));
        let trash = trash_place(&self.located(), "2026-11-21");
        self.exchange(original, &result, &place, &trash, link).carry_out(&self.state, "t")
    }

    fn exchange<'a>(
        &'a self,
        original: &'a Original,
        result: &'a Path,
        place: &'a Path,
        trash: &'a Path,
        link: Link,
    ) -> Exchange<'a> {
        let root = self.directory.path();
        let rename = |from: &Path, to: &Path| fs::rename(from, to);
        Exchange { original, result, place, trash, root, end: &self.end, link, rename }
    }

    fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_else(|_| "nothing".to_owned())
    }
}

#[test]
fn a_result_takes_the_place_and_the_original_goes_to_the_trash() {
    let scene = Scene::new();
    fs::set_permissions(scene.path("a/v.avi"), Permissions::from_mode(0o640)).unwrap();
    let original = Original::look(&scene.path("a/v.avi")).unwrap();
    scene.replace(&original, "a/v.avi").unwrap();
    assert_eq!(scene.read("a/v.avi"), "result");
    assert_eq!(scene.read(".steward/trash/2026-11-21/a/v.avi"), "original");
    assert_eq!(scene.read("a/.steward-t.tmp"), "nothing");
    assert_eq!(scene.path("a/v.avi").metadata().unwrap().mode() & 0o777, 0o640);
}

#[test]
fn a_result_with_another_ending_leaves_no_original_behind() {
    let scene = Scene::new();
    let original = Original::look(&scene.path("a/v.avi")).unwrap();
    scene.replace(&original, "a/v.mkv").unwrap();
    assert_eq!((scene.read("a/v.mkv").as_str(), scene.read("a/v.avi").as_str()), ("result", "nothing"));
    assert_eq!(scene.read(".steward/trash/2026-11-21/a/v.avi"), "original");
}

#[test]
fn another_file_at_the_place_is_left_alone() {
    let scene = Scene::new();
    fs::write(scene.path("a/v.mkv"), "another").unwrap();
    let original = Original::look(&scene.path("a/v.avi")).unwrap();
    let failure = scene.replace(&original, "a/v.mkv").unwrap_err();
    assert!(matches!(failure, Failure::Worker(message) if message.contains("v.mkv")));
    assert_eq!((scene.read("a/v.mkv").as_str(), scene.read("a/v.avi").as_str()), ("another", "original"));
    assert_eq!(scene.read(".steward/trash/2026-11-21/a/v.avi"), "nothing");
}

#[test]
fn the_trash_keeps_files_of_one_name_apart() {
    let scene = Scene::new();
    for round in ["first", "second"] {
        fs::write(scene.path("a/v.avi"), round).unwrap();
        fs::write(scene.path("a/.steward-t.tmp"), "result").unwrap();
        let original = Original::look(&scene.path("a/v.avi")).unwrap();
        scene.replace(&original, "a/v.avi").unwrap();
    }
    assert_eq!(scene.read(".steward/trash/2026-11-21/a/v.avi"), "first");
    assert_eq!(scene.read(".steward/trash/2026-11-21/a/v.avi.1"), "second");
}

#[test]
fn a_source_that_was_changed_is_not_replaced() {
    let scene = Scene::new();
    let original = Original::look(&scene.path("a/v.avi")).unwrap();
    fs::write(scene.path("a/v.avi"), "somebody has cut it").unwrap();
    let failure = scene.replace(&original, "a/v.avi").unwrap_err();
    assert!(matches!(failure, Failure::Worker(message) if message.contains("was changed")));
    assert_eq!(scene.read("a/v.avi"), "somebody has cut it");
}

/// As of a file system without links.
fn no_link(_: &Path, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[test]
fn where_there_are_no_links_the_original_is_moved() {
    for place in ["a/v.avi", "a/v.mkv"] {
        let scene = Scene::new();
        let original = Original::look(&scene.path("a/v.avi")).unwrap();
        scene.replace_by(&original, place, no_link).unwrap();
        assert_eq!(scene.read(place), "result");
        assert_eq!(scene.read(".steward/trash/2026-11-21/a/v.avi"), "original");
        assert_eq!(scene.path("a").read_dir().unwrap().count(), 1);
    }
}

#[test]
fn where_there_are_no_links_a_failure_brings_the_original_back() {
    let scene = Scene::new();
    fs::write(scene.path("a/v.mkv"), "another").unwrap();
    let original = Original::look(&scene.path("a/v.avi")).unwrap();
    scene.replace_by(&original, "a/v.mkv", no_link).unwrap_err();
    assert_eq!((scene.read("a/v.mkv").as_str(), scene.read("a/v.avi").as_str()), ("another", "original"));
}

#[test]
fn a_death_between_any_two_steps_loses_nothing() {
    use crate::worker::recovery;

    // It dies when the original is in the trash, by a link or moved, and the result is not in its place yet.
    for link in [(|from, to| fs::hard_link(from, to)) as Link, |from, to| fs::rename(from, to)] {
        for place in ["a/v.avi", "a/v.mkv"] {
            let scene = Scene::new();
            let original = Original::look(&scene.path("a/v.avi")).unwrap();
            let (result, trash) = (scene.path("a/.steward-t.tmp"), scene.path("trash"));
            let place = scene.path(place);
            let exchange = scene.exchange(&original, &result, &place, &trash, link);
            scene.state.note("t", &exchange.traces(&trash).unwrap().0).unwrap();
            exchange.discard(&trash).unwrap();
            recovery::Leftovers::recover(&scene.state).unwrap();
            assert_eq!(scene.state.ends().unwrap(), []);
            assert_eq!(scene.read("a/v.avi"), "original");
            assert_eq!(scene.path("a").read_dir().unwrap().count(), 1);
            assert!(!trash.exists());
        }
    }
}

#[test]
fn the_original_is_never_lost_by_a_rename_that_happened_and_was_denied() {
    let scene = Scene::new();
    let original = Original::look(&scene.path("a/v.avi")).unwrap();
    let (result, place) = (scene.path("a/.steward-t.tmp"), scene.path("a/v.avi"));
    let trash = trash_place(&scene.located(), "2026-11-21");
    let rename = |from: &Path, to: &Path| fs::rename(from, to).and(Err(ErrorKind::TimedOut.into()));
    let exchange = scene.exchange(&original, &result, &place, &trash, |from, to| fs::hard_link(from, to));
    Exchange { rename, ..exchange }.carry_out(&scene.state, "t").unwrap();
    assert_eq!(scene.read("a/v.avi"), "result");
    assert_eq!(scene.read(".steward/trash/2026-11-21/a/v.avi"), "original");
}

#[test]
fn an_undo_that_fails_is_made_up_for_later() {
    use crate::worker::recovery::Leftovers;

    let scene = Scene::new();
    let original = Original::look(&scene.path("a/v.avi")).unwrap();
    let (result, place) = (scene.path("a/.steward-t.tmp"), scene.path("a/v.avi"));
    let trash = trash_place(&scene.located(), "2026-11-21");
    // The directory disappears, as by a share that breaks, and takes the undo with it.
    let rename = |_: &Path, to: &Path| {
        let directory = to.parent().unwrap();
        fs::rename(directory, directory.with_extension("gone"))?;
        Err(ErrorKind::TimedOut.into())
    };
    let failure = Exchange { rename, ..scene.exchange(&original, &result, &place, &trash, no_link) };
    let failure = failure.carry_out(&scene.state, "t").unwrap_err();
    assert!(matches!(failure, Failure::Worker(message) if message.contains("in the trash")));
    let leftovers = Leftovers::default();
    leftovers.put_right(&scene.state, "t").unwrap_err();
    fs::rename(scene.path("a.gone"), scene.path("a")).unwrap();
    assert_eq!(leftovers.retry(&scene.state), []);
    assert_eq!((scene.read("a/v.avi").as_str(), scene.state.left_behind().unwrap()), ("original", Vec::new()));
}

#[test]
fn a_death_after_the_exchange_leaves_its_good_end() {
    let scene = Scene::new();
    let original = Original::look(&scene.path("a/v.avi")).unwrap();
    scene.replace(&original, "a/v.mkv").unwrap();
    crate::worker::recovery::Leftovers::recover(&scene.state).unwrap();
    assert_eq!(scene.state.ends().unwrap(), [("t".to_owned(), scene.end.clone())]);
    assert_eq!((scene.read("a/v.mkv").as_str(), scene.state.left_behind().unwrap()), ("result", Vec::new()));
}

#[test]
fn a_trash_that_is_a_link_is_refused() {
    let scene = Scene::new();
    let elsewhere = scene.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, scene.path(".steward")).unwrap();
    let original = Original::look(&scene.path("a/v.avi")).unwrap();
    let failure = scene.replace(&original, "a/v.avi").unwrap_err();
    assert!(matches!(failure, Failure::Worker(message) if message.contains("is a symbolic link")));
    assert_eq!((scene.read("a/v.avi").as_str(), elsewhere.read_dir().unwrap().count()), ("original", 0));
}

#[test]
fn a_result_takes_nobodys_name() {
    let scene = Scene::new();
    let (result, place) = (scene.path("a/.steward-t.tmp"), scene.path("a/v.avi"));
    put(&scene.state, "t", &result, &place, &scene.end).unwrap_err();
    assert_eq!((scene.read("a/v.avi").as_str(), scene.read("a/.steward-t.tmp").as_str()), ("original", "result"));
    put(&scene.state, "t", &result, &scene.path("a/w.avi"), &scene.end).unwrap();
    assert_eq!(scene.read("a/w.avi"), "result");
}

#[test]
fn a_result_is_copied_to_its_place_unless_that_is_stopped() {
    let scene = Scene::new();
    let (from, to) = (scene.path("a/v.avi"), scene.path("copy"));
    let (pulse, stop) = (Pulse::default(), CancellationToken::new());
    copy(&from, &to, &pulse, &stop).unwrap();
    assert_eq!((scene.read("copy").as_str(), scene.read("a/v.avi").as_str()), ("original", "nothing"));
    stop.cancel();
    let stopped = stage(&to, &scene.path("a/v.avi"), &pulse, &stop).unwrap_err();
    assert_eq!(stopped, Failure::Stopped);
}
