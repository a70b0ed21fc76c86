//! Parts of files.

/// A part of a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The offset of the first byte.
    pub(crate) first: u64,
    /// How many bytes.
    pub(crate) length: u64,
}

impl Extent {
    /// What is left behind its first `count` bytes.
    pub(crate) fn after(self, count: u64) -> Self {
        Extent { first: self.first + count, length: self.length - count }
    }
}
