//! Files.

use super::*;

#[tokio::test]
async fn files_are_copied_by_path_folder_and_glob_and_each_once() {
    let world = World::new();
    for file in ["/a.txt", "/dir/b.txt", "/dir/sub/c.txt", "/dir/sub/d.bin", "/other/e.txt"] {
        world.artifacts.file(file, file.as_bytes());
    }
    let paths = vec![path("/a.txt"), path("/dir/**/*.txt"), path("/dir/sub"), path("/none"), path("/dir/*.exe")];

    let run = run_once(&world, with(|config, _| config.path_constraints = paths)).await;

    let mut expected = [
        ("/a.txt", Copied),
        ("/dir/b.txt", Copied),
        ("/dir/sub/c.txt", Copied),
        ("/dir/sub/d.bin", Copied),
        ("/none", Failed),
        ("/dir/*.exe", Failed),
    ]
    .map(|(path, outcome)| named(path, "", outcome));
    expected.sort();
    assert_eq!(world.outcomes(&run.id).await, expected);
    assert_eq!((run.file_success, run.file_failed), (4, 2));
}

#[tokio::test]
async fn a_file_that_the_target_has_is_compared_by_its_digest() {
    let world = World::new();
    world.artifacts.file("/same", b"same");
    world.artifacts.file("/other", b"other");
    run_once(&world, config()).await;
    world.artifacts.file("/other", b"changed");

    let skipped = run_once(&world, config()).await;

    assert_eq!(
        world.outcomes(&skipped.id).await,
        [named("/other", "", SkippedConflict), named("/same", "", Unchanged)]
    );
}
