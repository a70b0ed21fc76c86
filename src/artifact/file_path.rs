//! Paths of files and folders.

use std::fmt;

use super::folders::ROOT;

/// The longest path, in bytes.
const MAX_PATH: usize = 400;
/// The longest part of a path, in bytes.
const MAX_PART: usize = 255;
/// How many parts a path may have: a file and its new folders go into one transaction.
const MAX_PARTS: usize = 64;

/// The path of a file or a folder, such as `/dir/a.txt`; `/` is the folder of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FilePath(String);

impl FilePath {
    /// The path of a file. A slash in front may be missing. The error says what is wrong with it.
    pub(super) fn file(text: &str) -> Result<Self, String> {
        let path = FilePath::folder(text)?;
        if path.is_root() || text.ends_with('/') {
            return Err("is the path of a folder".to_owned());
        }
        Ok(path)
    }

    /// The path of a file or a folder, which may have a slash behind it.
    pub(super) fn folder(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is required".to_owned());
        }
        if text == ROOT {
            return Ok(FilePath(ROOT.to_owned()));
        }
        let text = text.strip_prefix('/').unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let path = format!("/{text}");
        if path.len() > MAX_PATH {
            return Err(format!("has {} bytes; the limit is {MAX_PATH}", path.len()));
        }
        for part in text.split('/') {
            check_part(part)?;
        }
        if text.split('/').count() > MAX_PARTS {
            return Err(format!("has more than {MAX_PARTS} parts"));
        }
        Ok(FilePath(path))
    }

    /// As it is written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the folder of all.
    pub(super) fn is_root(&self) -> bool {
        self.0 == ROOT
    }

    /// What the paths of all that is in this folder start with.
    pub(super) fn below(&self) -> String {
        below(&self.0)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the paths of all that is in a folder start with.
pub(super) fn below(folder: &str) -> String {
    if folder == ROOT { folder.to_owned() } else { format!("{folder}/") }
}

/// The folder that something is in; none for the folder of all.
pub(super) fn parent(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 if path == ROOT => None,
        0 => Some(ROOT),
        slash => Some(&path[..slash]),
    }
}

fn check_part(part: &str) -> Result<(), String> {
    if part.is_empty() {
        return Err("has an empty part".to_owned());
    }
    if part == "." || part == ".." {
        return Err(format!("has the part {part:?}"));
    }
    if part.len() > MAX_PART {
        return Err(format!("has a part of {} bytes; the limit is {MAX_PART}", part.len()));
    }
    if part.chars().any(char::is_control) {
        return Err("has a control character".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_in_one_form() {
        let table = [
            ("/a.txt", "/a.txt"),
            ("a.txt", "/a.txt"),
            ("/dir/sub/ä b.txt", "/dir/sub/ä b.txt"),
            ("/...", "/..."),
            ("/.hidden", "/.hidden"),
        ];
        for (text, path) in table {
            assert_eq!(FilePath::file(text).map(|path| path.0), Ok(path.to_owned()), "{text}");
            assert_eq!(FilePath::folder(text).map(|path| path.0), Ok(path.to_owned()), "{text}");
        }
        assert_eq!(FilePath::folder("/dir/").map(|path| path.0), Ok("/dir".to_owned()));
        assert_eq!(FilePath::folder("/").map(|path| path.below()), Ok("/".to_owned()));
        assert_eq!(FilePath::folder("/dir").map(|path| path.below()), Ok("/dir/".to_owned()));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long_part = format!("/{}", "a".repeat(256));
        let long = format!("/{}/{}", "a".repeat(200), "b".repeat(200));
        let deep = "/a".repeat(65);
        for text in [
            "",
            "//",
            "/a//b",
            "/a/./b",
            "/a/../b",
            "/..",
            ".",
            "/a\0b",
            "/a\nb",
            "/a\u{85}b",
            &long_part,
            &long,
            &deep,
        ] {
            assert!(FilePath::folder(text).is_err(), "{text:?}");
            assert!(FilePath::file(text).is_err(), "{text:?}");
        }
        for text in ["/", "/a/"] {
            assert!(FilePath::file(text).is_err(), "{text:?}");
        }
        assert!(FilePath::file(&"/a".repeat(64)).is_ok());
        assert!(FilePath::file(&format!("/{}/{}", "a".repeat(199), "b".repeat(199))).is_ok());
    }

    #[test]
    fn everything_but_the_root_is_in_a_folder() {
        for (path, folder) in [("/", None), ("/a", Some("/")), ("/a/b", Some("/a")), ("/a/b/c", Some("/a/b"))] {
            assert_eq!(parent(path), folder, "{path}");
        }
    }
}
