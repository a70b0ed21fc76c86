//! A request, and whether it may be done.

use super::problem::Problem;
use super::protocol::command;

/// How many bytes a read or a write may have.
pub(super) const MAX_REQUEST_BYTES: u32 = 32 * 1024 * 1024;

/// The head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Nothing for what nobody has heard of.
    pub(super) command: Option<Command>,
    pub(super) flags: u16,
    pub(super) cookie: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Read,
    Write,
    Disconnect,
    Flush,
    Trim,
    Cache,
    WriteZeroes,
    BlockStatus,
}

/// What a request may be, on this connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) size: u64,
    pub(super) is_read_only: bool,
    pub(super) is_structured: bool,
    pub(super) has_contexts: bool,
}

/// It does not start as a request does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadMagic;

impl Request {
    pub(super) fn parse(head: &[u8; command::HEADER_BYTES]) -> Result<Self, BadMagic> {
        let (magic, rest) = take::<4>(head);
        if u32::from_be_bytes(magic) != command::MAGIC {
            return Err(BadMagic);
        }
        let (flags, rest) = take::<2>(rest);
        let (kind, rest) = take::<2>(rest);
        let (cookie, rest) = take::<8>(rest);
        let (offset, rest) = take::<8>(rest);
        let (length, _) = take::<4>(rest);
        Ok(Request {
            command: Command::of(u16::from_be_bytes(kind)),
            flags: u16::from_be_bytes(flags),
            cookie: u64::from_be_bytes(cookie),
            offset: u64::from_be_bytes(offset),
            length: u32::from_be_bytes(length),
        })
    }

    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// How long the reply may become, roughly.
    pub(super) fn reply_bytes(&self) -> usize {
        match self.command {
            Some(Command::Read) => self.length as usize,
            Some(_) | None => 0,
        }
    }

    /// What is wrong with it, as far as can be told without doing it.
    pub(super) fn check(&self, terms: Terms) -> Result<Command, Problem> {
        let command = self.command.ok_or(Problem::UNKNOWN_COMMAND)?;
        if self.flags & !command.flags(terms) != 0 {
            return Err(Problem::UNKNOWN_FLAG);
        }
        if command.changes() && terms.is_read_only {
            return Err(Problem::READ_ONLY);
        }
        if matches!(command, Command::Read | Command::Write) && self.length > MAX_REQUEST_BYTES {
            return Err(Problem::TOO_LONG);
        }
        let has_range = !matches!(command, Command::Flush | Command::Disconnect);
        let end = self.offset.checked_add(u64::from(self.length));
        if has_range && end.is_none_or(|end| end > terms.size) {
            let is_write = matches!(command, Command::Write | Command::WriteZeroes);
            return Err(if is_write { Problem::BEYOND_END } else { Problem::OUTSIDE });
        }
        if command == Command::BlockStatus {
            if !terms.has_contexts {
                return Err(Problem::NO_CONTEXT);
            }
            if self.length == 0 {
                return Err(Problem::EMPTY);
            }
        }
        Ok(command)
    }
}

impl Command {
    fn of(number: u16) -> Option<Self> {
        Some(match number {
            command::READ => Command::Read,
            command::WRITE => Command::Write,
            command::DISC => Command::Disconnect,
            command::FLUSH => Command::Flush,
            command::TRIM => Command::Trim,
            command::CACHE => Command::Cache,
            command::WRITE_ZEROES => Command::WriteZeroes,
            command::BLOCK_STATUS => Command::BlockStatus,
            _ => return None,
        })
    }

    fn changes(self) -> bool {
        matches!(self, Command::Write | Command::Trim | Command::WriteZeroes)
    }

    /// The flags that it may have. FUA is good for all of them, even where it means nothing.
    fn flags(self, terms: Terms) -> u16 {
        let own = match self {
            Command::Read if terms.is_structured => command::FLAG_DF,
            Command::WriteZeroes => command::FLAG_NO_HOLE | command::FLAG_FAST_ZERO,
            Command::BlockStatus => command::FLAG_REQ_ONE,
            Command::Read | Command::Write | Command::Disconnect | Command::Flush | Command::Trim | Command::Cache => 0,
        };
        own | command::FLAG_FUA
    }
}

/// The first `N` bytes of a head that has them, and the rest.
fn take<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (first, rest) = bytes.split_first_chunk().expect("the parts of a head are as long as the head");
    (*first, rest)
}
