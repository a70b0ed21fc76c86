//! Where libraries may lie: what is in a library is read and replaced for those who have rights for it.

use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// Where libraries may lie, and where never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// A library is one of these or lies below. Empty: anywhere.
    pub within: Vec<PathBuf>,
    /// What the server keeps for itself: no library is there, above it or below it.
    pub kept: Vec<PathBuf>,
}

impl Roots {
    /// Says why a directory cannot be a library's, if it cannot: links count for what they lead to at this moment.
    pub fn check(&self, path: &Path) -> Result<(), String> {
        let place = resolve(path).map_err(|error| format!("cannot be looked up: {error}"))?;
        self.check_place(&place)
    }

    /// The same for a directory without links on its way.
    pub(crate) fn check_place(&self, place: &Path) -> Result<(), String> {
        if self.kept.iter().any(|kept| overlap(place, &resolved(kept))) {
            return Err("is what the server keeps for itself, or above it or below".to_owned());
        }
        if !self.within.is_empty() && !self.within.iter().any(|root| place.starts_with(resolved(root))) {
            return Err("leads to none of transcode.library_roots, and not below one".to_owned());
        }
        Ok(())
    }
}

/// Whether one of two directories without links on their ways is the other, or below it.
pub(crate) fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// Where a path leads. Of what is not there yet the name counts.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for there in path.ancestors() {
        let place = match there.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            place => place?,
        };
        let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
        if rest.components().all(|part| matches!(part, Component::Normal(_))) {
            // Joined with nothing it would end with a slash.
            return Ok(if rest.as_os_str().is_empty() { place } else { place.join(rest) });
        }
        break;
    }
    Err(io::Error::new(ErrorKind::NotFound, "`..` of a directory that is not there"))
}

/// The same for a setting: one that cannot be looked up is what it says.
fn resolved(path: &Path) -> PathBuf {
    resolve(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::create_dir_all;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_library_is_a_root_or_below_one_wherever_links_lead() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        create_dir_all(at("videos/films")).unwrap();
        create_dir_all(at("other")).unwrap();
        symlink(at("videos"), at("mounted")).unwrap();
        symlink(at("other"), at("videos/out")).unwrap();
        symlink(at("videos/films"), at("in")).unwrap();
        let roots = Roots { within: vec![at("mounted")], kept: Vec::new() };
        for inside in ["videos", "videos/films", "mounted/films/", "in", "videos/not/there", "videos/films/../films"] {
            assert_eq!(roots.check(&at(inside)), Ok(()), "{inside}");
        }
        for outside in ["", "other", "videos/out", "videos/out/below", "videos/..", "videos2", "videos/not/../../x"] {
            assert!(roots.check(&at(outside)).is_err(), "{outside}");
        }
        assert!(roots.check(Path::new("/")).unwrap_err().contains("transcode.library_roots"));
    }

    #[test]
    fn what_the_server_keeps_is_in_no_library() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        create_dir_all(at("data/restic")).unwrap();
        symlink(at("data"), at("link")).unwrap();
        let roots = Roots { within: vec![home.path().to_owned()], kept: vec![at("data")] };
        for kept in ["data", "data/restic", "data/not/there", "", "..", "link", "link/restic"] {
            assert!(roots.check(&at(kept)).unwrap_err().contains("keeps for itself"), "{kept}");
        }
        assert_eq!(roots.check(&at("data2")), Ok(()));
    }
}
