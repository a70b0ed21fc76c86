use super::*;

struct Scene {
    directory: tempfile::TempDir,
    state: State,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state")).unwrap();
        fs::create_dir_all(directory.path().join("films/a")).unwrap();
        let scene = Scene { directory, state };
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
        Exchange { original, result: &result, place: &place, trash: &trash, link }.carry_out(&self.state, "t")
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
            let exchange = Exchange { original: &original, result: &result, place: &place, trash: &trash, link };
            scene.state.note("t", &exchange.traces(&trash).unwrap()).unwrap();
            exchange.discard(&trash).unwrap();
            recovery::recover(&scene.state).unwrap();
            assert_eq!(scene.read("a/v.avi"), "original");
            assert_eq!(scene.path("a").read_dir().unwrap().count(), 1);
            assert!(!trash.exists());
        }
    }
}
