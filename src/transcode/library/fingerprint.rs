//! A digest by which a file is known again after a move.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// How much of the beginning and of the end is read, in bytes.
const EDGE: u64 = 64 * 1024;

/// The first half of the SHA-256 of the size (8 bytes, big endian), the first and the last 64 KiB of a file. Reads 128
/// KiB of it, however long it is. Errors when the file has fewer bytes than `size`.
pub(super) fn fingerprint(path: &Path, size: u64) -> io::Result<[u8; 16]> {
    let file = File::open(path)?;
    let mut digest = Sha256::new();
    digest.update(size.to_be_bytes());
    let length = size.min(EDGE);
    let mut edge = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    for offset in [0, size - length] {
        file.read_exact_at(&mut edge, offset)?;
        digest.update(&edge);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&digest.finalize()[..16]);
    Ok(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &[u8]) -> [u8; 16] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        fingerprint(file.path(), content.len() as u64).unwrap()
    }

    #[test]
    fn size_beginning_and_end_make_the_fingerprint() {
        let content = vec![7; 200_000];
        assert_eq!(of(&content), of(&content));
        for (place, is_seen) in [(0, true), (65_535, true), (100_000, false), (199_999, true)] {
            let mut other = content.clone();
            other[place] = 8;
            assert_eq!(of(&content) != of(&other), is_seen, "{place}");
        }
        assert_ne!(of(&content), of(&content[1..]));
        assert_ne!(of(b""), of(b"a"));
    }

    #[test]
    fn a_file_that_shrank_has_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"short").unwrap();
        assert!(fingerprint(file.path(), 10).is_err());
    }
}
