//! What comes with an option.

use super::MAX_NAME_BYTES;

/// Reads the data of an option from its beginning.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

/// A device, and what a client wants to know of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) infos: Vec<u16>,
}

const TOO_SHORT: &str = "the option is shorter than what it says is in it";

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(TOO_SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(TOO_SHORT)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, &'static str> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, &'static str> {
        self.array().map(u32::from_be_bytes)
    }

    /// A text with its length before it.
    pub(super) fn text(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.u32()?;
        self.bytes(length as usize)
    }

    pub(super) fn end(self) -> Result<(), &'static str> {
        if self.0.is_empty() { Ok(()) } else { Err("the option is longer than what it says is in it") }
    }
}

/// The name of a device.
pub(super) fn name(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.len() > MAX_NAME_BYTES {
        return Err("the name is longer than 4096 bytes");
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| "the name is not UTF-8")
}

impl Wanted {
    pub(super) fn parse(data: &[u8]) -> Result<Self, &'static str> {
        let mut reader = Reader(data);
        let name = name(reader.text()?)?;
        let count = reader.u16()?;
        let infos = (0..count).map(|_| reader.u16()).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Wanted { name, infos })
    }
}
