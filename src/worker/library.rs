//! Where the videos of libraries are on this machine.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use super::failure::Failure;

/// The directory at the root of a library for what is not the library's: the trash. Scanners pass it over.
pub(super) const OWN_DIRECTORY: &str = ".steward";

/// The libraries that this machine reaches, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Libraries(BTreeMap<String, PathBuf>);

/// A video that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) library: String,
    /// The root of the library, without symbolic links.
    pub(super) root: PathBuf,
    /// The file, without symbolic links.
    pub(super) path: PathBuf,
    /// Its path in the library as the server names it.
    pub(super) relative: PathBuf,
    /// The name that the server knows is a symbolic link to the file.
    pub(super) is_link: bool,
}

impl Libraries {
    pub(crate) fn new(libraries: impl IntoIterator<Item = (String, PathBuf)>) -> Self {
        Libraries(libraries.into_iter().collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.iter().map(|(name, root)| (name.as_str(), root.as_path()))
    }

    /// Finds the video `video_path`: the name of its library, a slash, and the path in it. Blocks.
    pub(super) fn locate(&self, video_path: &str) -> Result<Located, Failure> {
        let (library, relative) = split(video_path).map_err(Failure::Video)?;
        let root = self.0.get(library).ok_or_else(|| {
            Failure::worker(format!("this worker has no library {library:?}: it needs --library {library}=PATH"))
        })?;
        let root = present_root(library, root)?;
        let named = root.join(relative);
        let path = named.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                Failure::video(format!("视频文件不存在: {}", named.display()))
            }
            _ => Failure::worker(format!("cannot reach {}: {error}", named.display())),
        })?;
        if !path.starts_with(&root) {
            let message = format!("{} leads out of the library {library:?} to {}", named.display(), path.display());
            return Err(Failure::video(message));
        }
        if !path.is_file() {
            return Err(Failure::video(format!("{} is not a file", named.display())));
        }
        let is_link = named.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        Ok(Located { library: library.to_owned(), root, path, relative: relative.to_owned(), is_link })
    }
}

/// A library's name and the path in it. Refuses everything that does not stay in the library.
fn split(video_path: &str) -> Result<(&str, &Path), String> {
    let refuse = |reason: &str| Err(format!("the video path {video_path:?} {reason}"));
    let Some((library, relative)) = video_path.split_once('/') else {
        return refuse("has no slash between its library and the path in it");
    };
    if library.is_empty() || relative.is_empty() {
        return refuse("names no library or nothing in it");
    }
    if video_path.contains('\0') {
        return refuse("has a NUL in it");
    }
    let relative = Path::new(relative);
    if !relative.components().all(|component| matches!(component, Component::Normal(_))) {
        return refuse("does not stay in its library");
    }
    Ok((library, relative))
}

/// The root without symbolic links, if something is there: the mount point of a disk that is not mounted is empty.
fn present_root(library: &str, root: &Path) -> Result<PathBuf, Failure> {
    let absent = |error: io::Error| {
        Failure::worker(format!("library {library:?} cannot be reached at {}: {error}", root.display()))
    };
    let root = root.canonicalize().map_err(absent)?;
    let mut entries = std::fs::read_dir(&root).map_err(absent)?;
    let is_content = |entry: io::Result<std::fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() != OWN_DIRECTORY);
    if entries.any(is_content) {
        return Ok(root);
    }
    Err(Failure::worker(format!("library {library:?} at {} is empty: is its disk mounted?", root.display())))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn library() -> (tempfile::TempDir, Libraries) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("films");
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(root.join("a/v.mp4"), "v").unwrap();
        fs::write(directory.path().join("secret.mp4"), "s").unwrap();
        let libraries = Libraries::new([("films".to_owned(), root)]);
        (directory, libraries)
    }

    #[test]
    fn a_video_is_found() {
        let (directory, libraries) = library();
        let located = libraries.locate("films/a/v.mp4").unwrap();
        let root = directory.path().canonicalize().unwrap().join("films");
        assert_eq!((located.path, located.root.clone()), (root.join("a/v.mp4"), root));
        assert_eq!((located.relative, located.is_link), (PathBuf::from("a/v.mp4"), false));
    }

    #[test]
    fn a_missing_video_is_the_videos_fault() {
        let (_directory, libraries) = library();
        for path in ["films/a/w.mp4", "films/a/v.mp4/x.mp4"] {
            let failure = libraries.locate(path).unwrap_err();
            assert!(matches!(&failure, Failure::Video(text) if text.starts_with("视频文件不存在: /")), "{failure:?}");
        }
    }

    #[test]
    fn a_missing_or_empty_library_is_the_machines_fault() {
        let (directory, libraries) = library();
        fs::remove_dir_all(directory.path().join("films/a")).unwrap();
        fs::create_dir(directory.path().join("films").join(OWN_DIRECTORY)).unwrap();
        assert!(matches!(libraries.locate("films/a/v.mp4"), Err(Failure::Worker(text)) if text.contains("mounted")));
        fs::remove_dir_all(directory.path().join("films")).unwrap();
        assert!(matches!(libraries.locate("films/a/v.mp4"), Err(Failure::Worker(_))));
        assert!(matches!(libraries.locate("other/a"), Err(Failure::Worker(text)) if text.contains("--library other=")));
    }

    #[test]
    fn nothing_outside_of_a_library_is_touched() {
        let (directory, libraries) = library();
        let root = directory.path().join("films");
        symlink(directory.path(), root.join("out")).unwrap();
        symlink("../../secret.mp4", root.join("a/link.mp4")).unwrap();
        for path in [
            "films/../secret.mp4",
            "films//etc/passwd",
            "films/a/../../secret.mp4",
            "films/out/secret.mp4",
            "films/a/link.mp4",
            "films/a\0",
            "films",
            "films/",
            "/films/a",
            "",
            "films/./a",
            "films/a",
        ] {
            let failure = libraries.locate(path).unwrap_err();
            assert!(matches!(failure, Failure::Video(_)), "{path:?}: {failure:?}");
        }
    }

    #[test]
    fn a_link_within_the_library_leads_to_its_file() {
        let (directory, libraries) = library();
        symlink("a/v.mp4", directory.path().join("films/b.mp4")).unwrap();
        let located = libraries.locate("films/b.mp4").unwrap();
        assert!(located.is_link && located.path.ends_with("films/a/v.mp4"));
    }
}
