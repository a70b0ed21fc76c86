//! The paths of videos, and where their files lie.

use std::path::{Component, Path, PathBuf};

/// The longest path of a video, library included, in bytes.
pub const MAX_PATH_BYTES: usize = 1024;

/// Where the file at `relative` lies in the library at `root`. `None` when it could lie outside: the path comes from a
/// worker.
pub fn place(root: &Path, relative: &str) -> Option<PathBuf> {
    let is_inside = !relative.is_empty()
        && !relative.contains('\0')
        && Path::new(relative).components().all(|part| matches!(part, Component::Normal(_)));
    is_inside.then(|| root.join(relative))
}

/// The same, and no directory on the way is a symbolic link.
pub(super) fn place_without_links(root: &Path, relative: &str) -> Option<PathBuf> {
    let place = place(root, relative)?;
    let is_linked = |directory: &Path| directory.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    let mut on_the_way = place.ancestors().skip(1).take_while(|directory| *directory != root);
    if on_the_way.any(is_linked) { None } else { Some(place) }
}

/// The path of a video.
pub(super) fn video_path(library: &str, relative: &str) -> String {
    format!("{library}/{relative}")
}

/// Whether an entry of a directory is none of the scanner's business: what Steward itself puts there, what is hidden
/// (other programs' unfinished files and their thumbnails), and what `mkfs` leaves behind.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name == "lost+found"
}

/// Whether a file is one that a program has put aside or not finished.
pub(super) fn is_leftover(name: &str) -> bool {
    let ends_with = |ending: &str| {
        name.len() > ending.len()
            && name.as_bytes()[name.len() - ending.len()..].eq_ignore_ascii_case(ending.as_bytes())
    };
    ends_with(".bak") || ends_with(".part")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_its_library() {
        let root = Path::new("/lib");
        assert_eq!(place(root, "a/b c.mp4"), Some(PathBuf::from("/lib/a/b c.mp4")));
        assert_eq!(place(root, "-i.mp4"), Some(PathBuf::from("/lib/-i.mp4")));
        for outside in ["", "/etc/passwd", "../x.mp4", "a/../../x.mp4", "./a", "a\0b"] {
            assert_eq!(place(root, outside), None, "{outside:?}");
        }
    }

    #[test]
    fn a_path_through_a_link_leads_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("lib");
        std::fs::create_dir_all(root.join("a")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("etc")).unwrap();
        assert!(place_without_links(&root, "a/x.mp4").is_some());
        assert_eq!(place_without_links(&root, "etc/x.mp4"), None);
    }

    #[test]
    fn what_others_have_not_finished_is_left_alone() {
        assert!([".x.mp4", ".steward", ".steward-5.mp4", "lost+found"].into_iter().all(is_ignored));
        assert!(["x.mp4.bak", "x.PART"].into_iter().all(is_leftover));
        assert!(!is_ignored("x.mp4") && !is_leftover("x.mp4") && !is_leftover("bak"));
    }
}
