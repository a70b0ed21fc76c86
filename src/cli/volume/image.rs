//! Raw images: reading them without their zeros, and writing them without filling their holes.

mod source;
mod target;
mod zeros;

pub(super) use self::source::{BLOCK, Source};
pub(super) use self::target::{Target, Written};

use bytes::Bytes;

/// A part of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Data {
        offset: u64,
        bytes: Bytes,
    },
    Zeros {
        offset: u64,
        length: u64,
    },
    /// There are no more. Without it an image is not complete.
    End,
}
