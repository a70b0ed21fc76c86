//! The file with the keys.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::private_file;

/// How many keys it may have. More come together only when rotations fail again and again.
const MAX_KEYS: usize = 64;

/// A key by chance.
pub(super) fn new_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    Ok(key)
}

/// The keys of a file, which is made if it is not there.
pub(super) fn open(path: &Path) -> io::Result<Vec<[u8; 32]>> {
    match File::open(path) {
        Ok(file) => read(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path)?;
            read(File::open(path)?)
        }
        Err(error) => Err(error),
    }
}

/// The keys of a file that has to be there.
pub(super) fn read_again(path: &Path) -> io::Result<Vec<[u8; 32]>> {
    read(File::open(path)?)
}

/// Puts these keys in the place of those that the file has. Returns once that survives a power loss; before, it has
/// all that it had, or these.
pub(super) fn replace(path: &Path, keys: &[[u8; 32]]) -> io::Result<()> {
    if keys.len() > MAX_KEYS {
        return Err(invalid(format!("it has {MAX_KEYS} keys, of which at least one could not be done without")));
    }
    let (new, directory) = beside(path)?;
    let replaced = write(&new, keys).and_then(|()| fs::rename(&new, path));
    if replaced.is_err() {
        fs::remove_file(&new).ok();
    }
    replaced?;
    File::open(directory)?.sync_all()
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

fn read(file: File) -> io::Result<Vec<[u8; 32]>> {
    let text = private_file::read(file)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let keys: Vec<_> = lines.map(|(number, line)| key(number + 1, line.trim())).collect::<io::Result<_>>()?;
    if keys.is_empty() { Err(invalid("it has no key".to_owned())) } else { Ok(keys) }
}

fn key(number: usize, line: &str) -> io::Result<[u8; 32]> {
    // What the line says stays unsaid: it may be a key all the same.
    let problem = || invalid(format!("line {number} is not a key: 32 bytes in base64"));
    let bytes = STANDARD.decode(line).map_err(|_| problem())?;
    bytes.try_into().map_err(|_| problem())
}

/// Makes the file: whole, or not at all. One that appears at this moment stays as it is.
fn create(path: &Path) -> io::Result<()> {
    let (new, directory) = beside(path)?;
    let made = write(&new, &[new_key()?]).and_then(|()| match fs::hard_link(&new, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    });
    // Nobody needs it any more; what stays after a crash is the key under another name, for its owner alone.
    fs::remove_file(&new).ok();
    made?;
    File::open(directory)?.sync_all()
}

/// A name that no file has, in the directory of this one.
fn beside(path: &Path) -> io::Result<(PathBuf, &Path)> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().ok_or_else(|| invalid("it has no name".to_owned()))?.to_owned();
    name.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    Ok((directory.join(name), directory))
}

fn write(path: &Path, keys: &[[u8; 32]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let lines: String = keys.iter().map(|key| STANDARD.encode(key) + "\n").collect();
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn with_text(text: &str, mode: u32) -> io::Result<Vec<[u8; 32]>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        open(&path)
    }

    #[test]
    fn a_file_that_is_not_there_is_made_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.key");
        let keys = open(&path).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(open(&path).unwrap(), keys, "the second start finds the same key");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else stays");
    }

    #[test]
    fn keys_are_replaced_whole_and_for_the_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.key");
        let [first] = open(&path).unwrap()[..] else { panic!("one key") };
        replace(&path, &[[7; 32], first]).unwrap();
        assert_eq!(read_again(&path).unwrap(), [[7; 32], first]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else stays");
        assert!(replace(&path, &[[1; 32]; MAX_KEYS + 1]).is_err());
        assert_eq!(read_again(&path).unwrap().len(), 2, "what fails changes nothing");
        fs::remove_file(&path).unwrap();
        assert!(read_again(&path).is_err(), "a file that is gone is not made anew");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let line = STANDARD.encode([1; 32]);
        for mode in [0o640, 0o604, 0o622] {
            let refused = with_text(&line, mode).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{mode:o}");
        }
        assert_eq!(with_text(&line, 0o400).unwrap(), [[1; 32]]);
    }

    #[test]
    fn every_line_is_a_key_and_what_is_none_is_named_but_not_shown() {
        let lines = format!("{}\n\n{}\n", STANDARD.encode([2; 32]), STANDARD.encode([1; 32]));
        assert_eq!(with_text(&lines, 0o600).unwrap(), [[2; 32], [1; 32]]);
        for text in ["", "\n", "hunter2", &STANDARD.encode([1; 31])] {
            let refused = with_text(text, 0o600).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
            assert!(!refused.to_string().contains("hunter2"));
        }
    }
}
