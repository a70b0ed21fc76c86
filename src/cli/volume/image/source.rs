//! A raw image that is read: a file with holes, a device, or a stream.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use rustix::io::Errno;

use super::Part;
use super::zeros::Splitter;

/// What is zeros is told in blocks of this size, and what is sent is a multiple of it.
pub(in crate::cli::volume) const BLOCK: u64 = BLOCK_LENGTH as u64;
pub(super) const BLOCK_LENGTH: usize = 4096;
/// The server takes no more at a time.
const CHUNK: u64 = 1 << 20;

/// An image.
pub(in crate::cli::volume) enum Source {
    /// One whose size is known, and whose holes can be looked for.
    Sized { file: File, size: u64 },
    /// One that ends when it ends.
    Stream(Box<dyn Read + Send>),
}

impl Source {
    /// Opens `path`; `-` is standard input.
    pub(in crate::cli::volume) fn open(path: &Path) -> io::Result<Self> {
        if path == "-" {
            return Ok(Source::Stream(Box::new(io::stdin())));
        }
        let mut file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // Unlike the length, the end of a device is known too.
        match file.seek(SeekFrom::End(0)) {
            Ok(size) => Ok(Source::Sized { file, size }),
            Err(_) => Ok(Source::Stream(Box::new(file))),
        }
    }

    /// How long it is, as far as that is known.
    pub(in crate::cli::volume) fn size(&self) -> Option<u64> {
        match self {
            Source::Sized { size, .. } => Some(*size),
            Source::Stream(_) => None,
        }
    }

    /// Reads it to its end. A last block that is not full is filled with zeros.
    pub(in crate::cli::volume) fn read(self, sink: impl FnMut(Part) -> io::Result<()>) -> io::Result<()> {
        let mut splitter = Splitter::new(sink);
        match self {
            Source::Sized { file, size } => read_file(&file, size, &mut splitter)?,
            Source::Stream(mut stream) => read_stream(&mut stream, &mut splitter)?,
        }
        splitter.end()
    }
}

fn read_file<F>(file: &File, size: u64, splitter: &mut Splitter<F>) -> io::Result<()>
where
    F: FnMut(Part) -> io::Result<()>,
{
    let mut at = 0;
    while at < size {
        let (data, hole) = next_data(file, at, size);
        splitter.push_zeros(data - at);
        at = data;
        while at < hole {
            let length = (hole - at).min(CHUNK);
            splitter.push(&read_chunk(file, at, length)?)?;
            at += length;
        }
    }
    // The hole at the end may not fill its block.
    if size > 0 && next_data(file, size / BLOCK * BLOCK, size).0 == size {
        splitter.push_zeros(size.next_multiple_of(BLOCK) - size);
    }
    Ok(())
}

/// The bytes at `at`, up to a whole block.
fn read_chunk(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let in_memory = |length: u64| usize::try_from(length).map_err(io::Error::other);
    let mut bytes = vec![0; in_memory(length.next_multiple_of(BLOCK))?];
    file.read_exact_at(&mut bytes[..in_memory(length)?], at)?;
    Ok(bytes.into())
}

/// Where data begins after `at` and where it ends, in whole blocks. Both are `size` when only holes are left.
fn next_data(file: &File, at: u64, size: u64) -> (u64, u64) {
    let data = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => (data / BLOCK * BLOCK).clamp(at, size),
        Err(Errno::NXIO) => return (size, size),
        // Its file system does not tell: all of it may be data.
        Err(_) => return (at, size),
    };
    let hole = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(data)).unwrap_or(size);
    // A hole may begin within the block that the data begins in.
    let hole = hole.max(data + 1).checked_next_multiple_of(BLOCK).unwrap_or(size);
    (data, hole.min(size))
}

fn read_stream<F>(stream: &mut impl Read, splitter: &mut Splitter<F>) -> io::Result<()>
where
    F: FnMut(Part) -> io::Result<()>,
{
    loop {
        let mut bytes = Vec::new();
        stream.by_ref().take(CHUNK).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(());
        }
        bytes.resize(bytes.len().next_multiple_of(BLOCK_LENGTH), 0);
        splitter.push(&bytes.into())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(source: Source) -> Vec<Part> {
        let mut parts = Vec::new();
        source
            .read(|part| {
                parts.push(part);
                Ok(())
            })
            .unwrap();
        parts
    }

    fn data(offset: u64, bytes: Vec<u8>) -> Part {
        Part::Data { offset, bytes: bytes.into() }
    }

    #[test]
    fn holes_and_zeros_of_a_file_are_not_data() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len((64 << 20) + 100).unwrap();
        file.as_file().write_all_at(&[7; 4096], 32 << 20).unwrap();
        file.as_file().write_all_at(&[0; 8192], 1 << 20).unwrap();
        let source = Source::open(file.path()).unwrap();
        assert_eq!(source.size(), Some((64 << 20) + 100));
        let end = (32 << 20) + 4096;
        let expected = [
            Part::Zeros { offset: 0, length: 32 << 20 },
            data(32 << 20, vec![7; 4096]),
            Part::Zeros { offset: end, length: (64 << 20) + 4096 - end },
            Part::End,
        ];
        assert_eq!(parts(source), expected);
    }

    #[test]
    fn a_last_block_that_is_not_full_is_filled_with_zeros() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 4097]).unwrap();
        let mut expected = vec![7; 4097];
        expected.resize(8192, 0);
        assert_eq!(parts(Source::open(file.path()).unwrap()), [data(0, expected.clone()), Part::End]);
        let stream = Source::Stream(Box::new(io::Cursor::new([7; 4097])));
        assert_eq!((stream.size(), parts(stream)), (None, vec![data(0, expected), Part::End]));
    }

    #[test]
    fn an_empty_image_only_ends() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(parts(Source::open(file.path()).unwrap()), [Part::End]);
        assert!(Source::open(Path::new("/")).is_err());
    }
}
