//! What is on the disk below a directory of repositories.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::vocabulary::TYPES;

/// All files below a directory, relative to it.
pub(crate) fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let (mut found, mut places) = (BTreeSet::new(), vec![directory.to_owned()]);
    while let Some(place) = places.pop() {
        // A directory may go while others work in the tree.
        let Ok(entries) = fs::read_dir(&place) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => places.push(path),
                _ => {
                    found.insert(path.strip_prefix(directory).expect("it is below").to_owned());
                }
            }
        }
    }
    found
}

/// The file of an object of the repository in a directory.
pub(crate) fn file_of(repository: &Path, kind: &str, name: &str) -> PathBuf {
    let directory = repository.join(kind);
    if kind == "data" { directory.join(&name[..2]).join(name) } else { directory.join(name) }
}

/// Asserts that there is nothing where objects are but objects, and no upload that nobody works on.
#[track_caller]
pub(crate) fn assert_nothing_left_over(repository: &Path) {
    for file in files(repository) {
        let is_own = file.components().any(|part| part.as_os_str() == ".steward");
        if is_own {
            assert!(!file.components().any(|part| part.as_os_str() == "temporary"), "left over: {}", file.display());
        } else {
            assert!(is_object(&file), "not an object: {}", file.display());
        }
    }
}

fn is_object(file: &Path) -> bool {
    let parts: Vec<&str> = file.iter().map(|part| part.to_str().unwrap_or_default()).collect();
    match parts[..] {
        ["config"] => true,
        ["data", fan_out, name] => is_digest(name) && name.starts_with(fan_out) && fan_out.len() == 2,
        [kind, name] => kind != "data" && TYPES.contains(&kind) && is_digest(name),
        _ => false,
    }
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
