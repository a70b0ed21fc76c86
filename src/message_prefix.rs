//! What is in front of each message of gRPC, in both directions.

/// How many bytes it has.
pub(crate) const PREFIX_BYTES: usize = 5;

/// Tells where the message behind it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// Whether the message is compressed.
    pub(crate) is_compressed: bool,
    /// How many bytes the message has.
    pub(crate) length: u32,
}

impl Prefix {
    /// The one at the beginning of these bytes; `None` while not all of it is there.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let [flag, length @ ..] = *bytes.first_chunk::<PREFIX_BYTES>()?;
        Some(Prefix { is_compressed: flag != 0, length: u32::from_be_bytes(length) })
    }

    /// The length, as memory counts it.
    pub(crate) fn bytes(self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }
}
