//! Paths within a library.

use std::fmt;

/// The directory of a library that is not a part of it.
pub const OWN_DIRECTORY: &str = ".steward";

const LONGEST_PATH: usize = 1024;
const LONGEST_NAME: usize = 255;

/// A path from the root of a library to a file in it. It names no directory above itself and nothing of the server's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelativePath(String);

/// Why a path is not one within a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing is named.
    #[error("the path is empty")]
    Empty,
    /// It has more bytes than a path or a name may have.
    #[error("the path has more than {LONGEST_PATH} bytes, or a name in it more than {LONGEST_NAME}")]
    TooLong,
    /// It begins or ends with a slash, or has `.`, `..` or nothing between two.
    #[error("the path is not relative, or has a part that is empty, `.` or `..`")]
    NotPlain,
    /// It has a byte that no name can have.
    #[error("the path has a zero byte")]
    Zero,
    /// It leads into `.steward`.
    #[error("the path leads into {OWN_DIRECTORY}")]
    Own,
}

impl RelativePath {
    /// The path as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories on the way, from the root on.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        let (directories, _) = self.split();
        directories.split('/').filter(|name| !name.is_empty())
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.split().1
    }

    /// The same with another ending: `a/b.avi` with `mkv` is `a/b.mkv`.
    pub fn with_extension(&self, extension: &str) -> Result<Self, PathError> {
        let (directories, name) = self.split();
        let stem = match name.rsplit_once('.') {
            // A name that begins with its only dot has no ending.
            Some((stem, _)) if !stem.is_empty() => stem,
            Some(_) | None => name,
        };
        let name = format!("{stem}.{extension}");
        if name.contains('/') {
            return Err(PathError::NotPlain);
        }
        let path = if directories.is_empty() { name } else { format!("{directories}/{name}") };
        Self::try_from(path.as_str())
    }

    fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl TryFrom<&str> for RelativePath {
    type Error = PathError;

    fn try_from(path: &str) -> Result<Self, PathError> {
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        if path.contains('\0') {
            return Err(PathError::Zero);
        }
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(PathError::NotPlain);
        }
        if path.len() > LONGEST_PATH || path.split('/').any(|part| part.len() > LONGEST_NAME) {
            return Err(PathError::TooLong);
        }
        if path.split('/').next() == Some(OWN_DIRECTORY) {
            return Err(PathError::Own);
        }
        Ok(RelativePath(path.to_owned()))
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_its_library() {
        for (path, error) in [
            ("", PathError::Empty),
            ("/etc/passwd", PathError::NotPlain),
            ("..", PathError::NotPlain),
            ("a/../../b", PathError::NotPlain),
            ("a//b", PathError::NotPlain),
            ("a/", PathError::NotPlain),
            ("./a", PathError::NotPlain),
            ("a\0b", PathError::Zero),
            (".steward/trash/a", PathError::Own),
        ] {
            assert_eq!(RelativePath::try_from(path), Err(error), "{path:?}");
        }
        assert_eq!(RelativePath::try_from(&*"a".repeat(256)), Err(PathError::TooLong));
    }

    #[test]
    fn a_path_has_directories_and_a_name() {
        let path = RelativePath::try_from("影片/2026/..a.mkv").unwrap();
        assert_eq!(path.directories().collect::<Vec<_>>(), ["影片", "2026"]);
        assert_eq!(path.name(), "..a.mkv");
        assert_eq!(RelativePath::try_from("a").unwrap().directories().count(), 0);
    }

    #[test]
    fn an_ending_is_exchanged() {
        let changed = |path, extension| RelativePath::try_from(path).unwrap().with_extension(extension);
        assert_eq!(changed("a.b/c.d.avi", "mkv").unwrap().as_str(), "a.b/c.d.mkv");
        assert_eq!(changed(".hidden", "mkv").unwrap().as_str(), ".hidden.mkv");
        assert_eq!(changed("a.b/c", "mkv").unwrap().as_str(), "a.b/c.mkv");
        assert_eq!(changed("a", "/../b"), Err(PathError::NotPlain));
    }
}
