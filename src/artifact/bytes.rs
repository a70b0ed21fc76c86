//! Bytes of artifacts: received, kept, and read.

use bytes::Bytes;
use futures::stream::BoxStream;

use super::artifacts::Artifacts;
use super::error::Error;
use crate::blob::Digest;

/// Bytes that are being received and have no name yet. Nothing is left of them when this is dropped.
pub(super) struct Receiving {}

/// Bytes that are kept: in the store of blobs, with a record. A sweep leaves them alone for long enough that somebody can refer to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Their SHA-256.
    pub(super) digest: Digest,
    /// How many they are.
    pub(super) size: u64,
    /// Their MD5 in hexadecimal digits.
    pub(super) md5: String,
    /// Their CRC-64/XZ in decimal digits.
    pub(super) crc64ecma: String,
}

/// Which part of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// The first byte; negative: counted from the end. `None`: all bytes.
    pub(super) offset: Option<i64>,
    /// How many at most; `None`: to the end.
    pub(super) length: Option<u64>,
}

/// Bytes that are being read.
pub(super) struct Reading {
    /// How long the whole is.
    pub(super) size: u64,
    /// The first byte.
    pub(super) offset: u64,
    /// How many follow.
    pub(super) length: u64,
    /// They.
    pub(super) pieces: BoxStream<'static, Result<Bytes, Error>>,
}

impl Receiving {
    /// Takes some bytes. Refused when they are more than may be.
    pub(super) async fn accept(&mut self, _chunk: Bytes) -> Result<(), Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    /// How many have come.
    pub(super) fn size(&self) -> u64 {
        0
    }

    /// Makes them last, under their SHA-256.
    pub(super) async fn keep(self) -> Result<Kept, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}

impl Artifacts {
    /// Begins to receive bytes. `what` names them in errors.
    pub(super) fn receive(&self, _what: &str) -> Receiving {
        Receiving {}
    }

    /// Keeps a few bytes, such as those of a manifest, under this digest, which is theirs.
    pub(super) async fn keep_bytes(&self, _digest: &Digest, _content: Bytes) -> Result<(), Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    /// Reads a part of a blob; whether the caller may is decided before.
    pub(super) async fn read_part(&self, _digest: &Digest, _part: Part) -> Result<Reading, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    /// Reads a few bytes, such as those of a manifest.
    pub(super) async fn read_bytes(&self, _digest: &Digest) -> Result<Bytes, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    /// The MD5 and CRC-64/XZ of a blob that is there, read from the disk.
    pub(super) async fn checksums(&self, _digest: &Digest) -> Result<(String, String), Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}
