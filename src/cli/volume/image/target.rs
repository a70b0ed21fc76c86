//! A raw image that is written: a file with holes, or standard output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::Part;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Where an image goes.
pub(in crate::cli::volume) enum Target {
    File(NewFile),
    Stdout(BufWriter<io::Stdout>),
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli::volume) struct Written {
    pub(in crate::cli::volume) size: u64,
    pub(in crate::cli::volume) data: u64,
}

/// A file that has its name when it is complete.
pub(in crate::cli::volume) struct NewFile {
    file: File,
    /// Where it is until then; nothing afterwards.
    temporary: Option<PathBuf>,
    path: PathBuf,
    may_replace: bool,
}

impl Target {
    /// A file at `path`, which is not there yet, unless it `may_replace` one; `-` is standard output.
    pub(in crate::cli::volume) fn create(path: &Path, may_replace: bool) -> io::Result<Self> {
        if path == "-" {
            return Ok(Target::Stdout(BufWriter::new(io::stdout())));
        }
        refuse_existing(path, may_replace)?;
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", uuid::Uuid::new_v4()));
        let temporary = path.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        Ok(Target::File(NewFile { file, temporary: Some(temporary), path: path.to_owned(), may_replace }))
    }

    /// Writes an image of `size` bytes, whose parts come in order and without gaps.
    ///
    /// Returns when it is durable. Without [`Part::End`] there is no file afterwards.
    pub(in crate::cli::volume) fn write(
        mut self,
        size: u64,
        parts: impl IntoIterator<Item = Part>,
    ) -> io::Result<Written> {
        let mut written = Written { size, data: 0 };
        let mut at = 0;
        for part in parts {
            at = match part {
                Part::Data { offset, bytes } if offset == at && bytes.len() as u64 <= size - at => {
                    written.data += bytes.len() as u64;
                    self.data(at, &bytes)?;
                    at + bytes.len() as u64
                }
                Part::Zeros { offset, length } if offset == at && length <= size - at => {
                    self.zeros(length)?;
                    at + length
                }
                Part::End if at == size => {
                    self.finish(size)?;
                    return Ok(written);
                }
                Part::Data { .. } | Part::Zeros { .. } | Part::End => return Err(out_of_order()),
            };
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    fn data(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Target::File(new) => new.file.write_all_at(bytes, at),
            Target::Stdout(out) => out.write_all(bytes),
        }
    }

    fn zeros(&mut self, mut length: u64) -> io::Result<()> {
        let Target::Stdout(out) = self else { return Ok(()) };
        while length > 0 {
            let piece = length.min(ZEROS.len() as u64);
            out.write_all(&ZEROS[..usize::try_from(piece).map_err(io::Error::other)?])?;
            length -= piece;
        }
        Ok(())
    }

    fn finish(self, size: u64) -> io::Result<()> {
        match self {
            Target::File(new) => new.finish(size),
            Target::Stdout(mut out) => out.flush(),
        }
    }
}

impl NewFile {
    fn finish(mut self, size: u64) -> io::Result<()> {
        self.file.set_len(size)?;
        self.file.sync_all()?;
        refuse_existing(&self.path, self.may_replace)?;
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.path)?;
        }
        self.temporary = None;
        let directory = self.path.parent().filter(|directory| *directory != Path::new(""));
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // What cannot be removed is left to a person: its name says what it is.
            let _ = fs::remove_file(temporary);
        }
    }
}

fn refuse_existing(path: &Path, may_replace: bool) -> io::Result<()> {
    if !may_replace && path.symlink_metadata().is_ok() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already; --force replaces it"));
    }
    Ok(())
}

fn out_of_order() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the parts that came do not make up the whole")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use bytes::Bytes;

    use super::*;

    fn data(offset: u64, byte: u8) -> Part {
        Part::Data { offset, bytes: Bytes::from(vec![byte; 4096]) }
    }

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_has_holes_where_zeros_were() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        let size = 16 << 20;
        let hole = Part::Zeros { offset: 4096, length: size - 4096 };
        let written = Target::create(&path, false).unwrap().write(size, [data(0, 7), hole, Part::End]).unwrap();
        assert_eq!(written, Written { size, data: 4096 });
        let bytes = fs::read(&path).unwrap();
        assert!(
            bytes.len() as u64 == size && bytes[..4096] == [7; 4096] && bytes[4096..].iter().all(|byte| *byte == 0)
        );
        assert!(fs::metadata(&path).unwrap().blocks() * 512 < size);
        assert_eq!(names(directory.path()), ["image"]);
    }

    #[test]
    fn an_image_that_is_not_complete_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        for parts in [
            vec![data(0, 7)],
            vec![data(0, 7), Part::End],
            vec![data(4096, 7), Part::End],
            vec![data(0, 7), data(0, 7), Part::End],
            vec![data(0, 7), data(4096, 7), data(8192, 7), Part::End],
            vec![Part::Zeros { offset: 0, length: u64::MAX }, Part::End],
        ] {
            Target::create(&path, false).unwrap().write(8192, parts.clone()).unwrap_err();
            assert!(names(directory.path()).is_empty(), "{parts:?}");
        }
    }

    #[test]
    fn a_file_is_replaced_only_when_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        fs::write(&path, "old").unwrap();
        let error = Target::create(&path, false).err().unwrap();
        assert_eq!(error.to_string(), "it is there already; --force replaces it");
        Target::create(&path, true).unwrap().write(4096, [data(0, 7), Part::End]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [7; 4096]);
    }
}
