//! Paths of volumes.

use std::fmt;

use super::error::Error;

/// The longest path, in bytes.
pub(super) const MAX_PATH_BYTES: usize = 1024;
/// The longest segment of a path, and the longest name of a snapshot, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// The most segments of a path.
pub(super) const MAX_DEPTH: usize = 64;

/// An absolute path: `/`, or segments that each follow a `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumePath(String);

impl VolumePath {
    /// Reads the path that came in `field`.
    pub fn parse(field: &'static str, path: &str) -> Result<Self, Error> {
        match problem_of(path) {
            Some(problem) => Err(Error::InvalidPath { field, problem }),
            None => Ok(VolumePath(path.to_owned())),
        }
    }

    /// The directory of everything.
    pub fn root() -> Self {
        VolumePath("/".to_owned())
    }

    /// Whether it is the directory of everything.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// Its segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// The path of an entry of this directory.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        if self.is_root() { VolumePath(format!("/{name}")) } else { VolumePath(format!("{}/{name}", self.0)) }
    }

    /// The directory that it is in, and its name there. Nothing for the root.
    pub fn split(&self) -> Option<(VolumePath, &str)> {
        let (parent, name) = self.0.rsplit_once('/')?;
        if name.is_empty() {
            return None;
        }
        Some((if parent.is_empty() { VolumePath::root() } else { VolumePath(parent.to_owned()) }, name))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VolumePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn problem_of(path: &str) -> Option<String> {
    let problem = if path.is_empty() {
        "is required"
    } else if !path.starts_with('/') {
        "has to start with `/`"
    } else if path.len() > MAX_PATH_BYTES {
        return Some(format!("has {} bytes; the limit is {MAX_PATH_BYTES}", path.len()));
    } else if path == "/" {
        return None;
    } else if path.ends_with('/') {
        "ends with `/`"
    } else if path.contains("//") {
        "has an empty segment"
    } else if path.split('/').any(|segment| segment == "." || segment == "..") {
        "has a segment `.` or `..`"
    } else if path.chars().any(char::is_control) {
        "has a control character"
    } else if path.split('/').any(|segment| segment.len() > MAX_NAME_BYTES) {
        return Some(format!("has a segment of more than {MAX_NAME_BYTES} bytes"));
    } else if path.matches('/').count() > MAX_DEPTH {
        return Some(format!("has more than {MAX_DEPTH} segments"));
    } else {
        return None;
    };
    Some(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_into_its_directory_and_its_name() {
        let path = VolumePath::parse("path", "/vm/disk@1").expect("a path");
        assert_eq!(path.segments().collect::<Vec<_>>(), ["vm", "disk@1"]);
        let (parent, name) = path.split().expect("a name");
        assert_eq!((parent.as_str(), name), ("/vm", "disk@1"));
        assert_eq!(parent.join("x").as_str(), "/vm/x");
        assert_eq!(VolumePath::parse("path", "/a").expect("a path").split().expect("a name").0, VolumePath::root());
        assert!(VolumePath::root().split().is_none());
    }

    #[test]
    fn what_is_no_path_is_refused_with_the_reason() {
        let long = format!("/{}", "x".repeat(256));
        for path in ["", "a", "/a/", "//a", "/a//b", "/a/../b", "/.", "/a\0", "/a\n", &long, &"/x".repeat(600)] {
            assert!(matches!(VolumePath::parse("path", path), Err(Error::InvalidPath { .. })), "{path:?}");
        }
    }
}
