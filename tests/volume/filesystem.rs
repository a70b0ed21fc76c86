//! A file system on a volume, written and read by its own tools, without mounting it.

use std::fs;
use std::path::Path;

use crate::common::temporary;
use crate::scrub::assert_clean;
use crate::tool::{Tool, uri};
use crate::vocabulary::{MIB, Volumes, noise, small};

/// The tools that are needed.
struct Tools {
    mke2fs: Tool,
    e2fsck: Tool,
    debugfs: Tool,
    nbdcopy: Tool,
}

impl Tools {
    fn find(needed_by: &str) -> Option<Self> {
        Some(Tools {
            mke2fs: Tool::find("mke2fs", needed_by)?,
            e2fsck: Tool::find("e2fsck", needed_by)?,
            debugfs: Tool::find("debugfs", needed_by)?,
            nbdcopy: Tool::find("nbdcopy", needed_by)?,
        })
    }

    /// A file system with the files of a directory, as an image.
    async fn make(&self, files: &Path, image: &Path) {
        let (files, image) = (text(files), text(image));
        self.mke2fs.ok(&["-q", "-F", "-t", "ext4", "-b", "4096", "-d", files, image, "96M"]).await;
    }

    /// Checks the file system of a volume or snapshot, and takes its files out of it.
    async fn files_of(&self, uri: &str, into: &Path) {
        let image = into.join("image");
        self.nbdcopy.ok(&[uri, text(&image)]).await;
        self.e2fsck.ok(&["-f", "-n", text(&image)]).await;
        let out = into.join("files");
        fs::create_dir(&out).expect("a directory can be made");
        self.debugfs.ok(&["-R", &format!("rdump / {}", text(&out)), text(&image)]).await;
        fs::remove_file(&image).expect("it is there");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A directory of files that tell themselves from those of other seeds.
fn write_files(directory: &Path, seed: u64) {
    fs::create_dir_all(directory.join("sub")).expect("a directory can be made");
    for number in 0..20 {
        let length = 1000 + 37_000 * number;
        fs::write(directory.join(format!("sub/{number}")), noise(seed * 100 + number, length)).expect("room");
    }
    fs::write(directory.join("large"), noise(seed, 10 * MIB)).expect("room");
}

fn assert_files(directory: &Path, seed: u64) {
    for number in 0..20 {
        let found = fs::read(directory.join(format!("files/sub/{number}"))).expect("it is there");
        assert!(found == noise(seed * 100 + number, 1000 + 37_000 * number), "file {number}");
    }
    assert!(fs::read(directory.join("files/large")).expect("it is there") == noise(seed, 10 * MIB));
}

#[tokio::test]
async fn two_file_systems_of_one_line_stay_apart_and_whole() {
    let Some(tools) = Tools::find("filesystem::two_file_systems") else { return };
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    let home = temporary::directory();
    let place = |name: &str| {
        let place = home.path().join(name);
        fs::create_dir_all(&place).expect("a directory can be made");
        place
    };
    volumes.create("/a", 96 * MIB).await;
    for (seed, snapshot) in [(1, "/a@one"), (2, "/a@two")] {
        let (files, image) = (place(&format!("files-{seed}")), home.path().join(format!("image-{seed}")));
        write_files(&files, seed);
        tools.make(&files, &image).await;
        tools.nbdcopy.ok(&["--flush", text(&image), &uri(&server, "/a")]).await;
        volumes.snapshot(snapshot).await;
    }
    volumes.clone_of("/a@one", "/b").await;
    // The clone is changed by a tool of the file system that writes over NBD.
    let changed = home.path().join("changed");
    tools.nbdcopy.ok(&[&uri(&server, "/b"), text(&changed)]).await;
    fs::write(home.path().join("new"), noise(77, MIB)).expect("room");
    let write = format!("write {} new", text(&home.path().join("new")));
    tools.debugfs.ok(&["-w", "-R", &write, text(&changed)]).await;
    tools.nbdcopy.ok(&["--flush", text(&changed), &uri(&server, "/b")]).await;
    for (name, seed, at) in [("/a", 2, "a"), ("/a@one", 1, "one"), ("/b", 1, "b")] {
        let at = place(at);
        tools.files_of(&uri(&server, name), &at).await;
        assert_files(&at, seed);
    }

    volumes.flatten("/b").await;
    for snapshot in ["/a@one", "/a@two"] {
        volumes.delete_snapshot(snapshot).await;
    }
    crate::common::wait::eventually("it can be deleted", async || volumes.delete("/a").await.ok()).await;

    let at = place("at-the-end");
    tools.files_of(&uri(&server, "/b"), &at).await;
    assert_files(&at, 1);
    assert!(fs::read(at.join("files/new")).expect("it is there") == noise(77, MIB));
    assert_clean(&volumes).await;
}
