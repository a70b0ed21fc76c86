//! Where a file goes that is fetched: a file beside the one that it becomes, or standard output.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read as _, Stdout, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use crate::cli::console::printable;
use crate::cli::error::Error;

const READ_BYTES: usize = 256 * 1024;

/// What has come so far.
pub(super) struct Sink {
    hash: Sha256,
    length: u64,
    out: Out,
}

enum Out {
    File {
        file: File,
        /// Where it is until it is whole.
        part: PathBuf,
        target: PathBuf,
    },
    Stdout(Stdout),
}

impl Sink {
    pub(super) fn stdout() -> Self {
        Sink { hash: Sha256::new(), length: 0, out: Out::Stdout(io::stdout()) }
    }

    /// A file beside `target`: a new one or, with `resume`, the one that is there, unless that has more than `size` bytes.
    pub(super) async fn file(target: &Path, resume: bool, size: u64) -> Result<Self, Error> {
        let part = part_of(target).ok_or_else(|| Error::Local(format!("{} is no file", target.display())))?;
        let opened = {
            let part = part.clone();
            // Much may have to be read.
            tokio::task::spawn_blocking(move || open(&part, resume, size)).await.map_err(io::Error::from).flatten()
        };
        let (file, hash, length) =
            opened.map_err(|error| Error::Local(format!("cannot write {}: {error}", part.display())))?;
        let out = Out::File { file: File::from_std(file), part, target: target.to_owned() };
        Ok(Sink { hash, length, out })
    }

    /// How many bytes have come.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        match &mut self.out {
            Out::File { file, part, .. } => file
                .write_all(bytes)
                .await
                .map_err(|error| Error::Local(format!("cannot write {}: {error}", part.display())))?,
            Out::Stdout(out) => out.write_all(bytes)?,
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Keeps what has come, for another time, and says where it is.
    pub(super) async fn leave(mut self) {
        if let Out::File { file, part, .. } = &mut self.out {
            // Whether all of it got there is found out when it is read again.
            let _ = file.flush().await;
            if self.length > 0 {
                eprintln!("steward: what has come is in {}; --continue goes on with it", part.display());
            }
        }
    }

    /// Checks what has come. A file gets its name, for good, if all is well, and is removed if it is not.
    pub(super) async fn finish(self, sha256: &str) -> Result<(), Error> {
        let found = format!("{:x}", self.hash.finalize());
        match self.out {
            Out::Stdout(mut out) => {
                out.flush()?;
                check(&found, sha256)
            }
            Out::File { mut file, part, target } => {
                let cannot = |error| Error::Local(format!("cannot write {}: {error}", target.display()));
                if let Err(error) = check(&found, sha256) {
                    // Nothing good comes of it any more.
                    tokio::fs::remove_file(&part).await.map_err(cannot)?;
                    return Err(error);
                }
                file.flush().await.map_err(cannot)?;
                file.sync_all().await.map_err(cannot)?;
                tokio::fs::rename(&part, &target).await.map_err(cannot)
            }
        }
    }
}

fn check(found: &str, expected: &str) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let expected = printable(expected);
    Err(Error::Local(format!("what has come is damaged: its SHA-256 is {found}, that of the file {expected}")))
}

/// `a.txt.part` for `a.txt`.
fn part_of(target: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(target.file_name()?);
    name.push(".part");
    Some(target.with_file_name(name))
}

/// Opens a file for this process alone, at its end, with the hash and length of what is in it.
fn open(part: &Path, resume: bool, size: u64) -> io::Result<(fs::File, Sha256, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(part)?;
    // What another one writes must not be cut off.
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::other("another download writes it"),
        TryLockError::Error(error) => error,
    })?;
    if !resume || file.metadata()?.len() > size {
        file.set_len(0)?;
    }
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((file, hash, length)),
            count => {
                hash.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}
