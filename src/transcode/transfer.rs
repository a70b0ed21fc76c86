//! The bytes of videos on their way to workers and back, for workers that do not reach the files themselves.
//!
//! A result is appended to a file in the library's own `.steward/incoming`, which is on the same file system as its
//! place; once its digest is right it takes the place of the original, which stays in `.steward/trash`. Everything here
//! but the chunks of a source blocks, and belongs on a thread that may.

pub(super) mod path;
pub(super) mod place;
pub(super) mod root;
pub(super) mod source;
pub(super) mod staging;

use std::io;

/// Why a file cannot be read, taken or put into its place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The path is not one within a library.
    #[error(transparent)]
    Path(#[from] path::PathError),
    /// The file is gone.
    #[error("the file is not there")]
    NotThere,
    /// No library may be where this one is.
    #[error("the library {0}")]
    Misplaced(String),
    /// A link leads out of the library.
    #[error("the path leads out of the library")]
    Escapes,
    /// It is a directory, a link or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// A reader begins after the end, or a chunk does not continue what is there.
    #[error("the offset is {given}, and has to be {expected} or less for a source, exactly that for a result")]
    WrongOffset {
        /// What was asked for.
        given: u64,
        /// The size of what is there.
        expected: u64,
    },
    /// The result is larger than it may be.
    #[error("the result is larger than {max_bytes} bytes")]
    TooLarge {
        /// How large it may be.
        max_bytes: u64,
    },
    /// The bytes are not those that were sent.
    #[error("the digest of the result is not the one that was sent; it has to be sent again")]
    WrongDigest,
    /// Another upload of the same result is under way.
    #[error("another upload of the result is under way")]
    Busy,
    /// The original is not the one that was found at first.
    #[error("the original was changed in the meantime")]
    Changed,
    /// With its new ending the result would take the place of a file that has nothing to do with it.
    #[error("there is another file in the place of the result")]
    Taken,
    /// The file system does not let it be done.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the file system said.
        source: io::Error,
    },
}

/// For `map_err`: what was tried, and the failures that have a meaning of their own.
fn failed<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> Error {
    move |source| {
        let source = source.into();
        match source.kind() {
            io::ErrorKind::NotFound => Error::NotThere,
            _ => Error::Io { what, source },
        }
    }
}
