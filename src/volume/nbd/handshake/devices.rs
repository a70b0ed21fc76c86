//! The options about devices: which there are, what one is, and choosing one.

use std::io;

use super::options::{self, Wanted};
use super::{Handshake, MAX_NAME_BYTES, Next, SEND_BYTES, invalid};
use crate::volume::device::{BLOCK_BYTES, Device};
use crate::volume::nbd::exports::{OpenError, Session};
use crate::volume::nbd::protocol::{device_flags, handshake};
use crate::volume::nbd::request::MAX_REQUEST_BYTES;
use crate::volume::nbd::status::Contexts;

impl Handshake<'_> {
    /// The oldest way to choose a device. It has no way to say no but to hang up.
    pub(super) fn export_name(&mut self, data: &[u8]) -> io::Result<Next> {
        let name = options::name(data).map_err(invalid)?;
        let session = match self.open(&name) {
            Ok(session) => session,
            Err(error) => return Err(io::Error::new(io::ErrorKind::NotFound, error)),
        };
        let flags = flags(&*session.device, self.is_structured);
        self.output.extend(session.device.size().to_be_bytes());
        self.output.extend(flags.to_be_bytes());
        if self.has_zeroes {
            self.output.extend([0; handshake::EXPORT_NAME_ZEROES]);
        }
        let contexts = self.contexts_of(&name);
        Ok(Next::Serve(session, contexts))
    }

    pub(super) fn list(&mut self, data: &[u8]) -> io::Result<()> {
        let option = handshake::OPT_LIST;
        if !data.is_empty() {
            self.reply(option, handshake::REP_ERR_INVALID, b"the option has no data");
            return Ok(());
        }
        let names = self.common.runtime.block_on(self.common.exports.list(&self.peer));
        for export in names.into_iter().filter(|export| export.name.len() <= MAX_NAME_BYTES) {
            let length = u32::try_from(export.name.len()).expect("it is at most 4096");
            let description = shortened(&export.description);
            self.reply(
                option,
                handshake::REP_SERVER,
                &[&length.to_be_bytes(), export.name.as_bytes(), description].concat(),
            );
            if self.output.len() >= SEND_BYTES {
                self.send()?;
            }
        }
        self.reply(option, handshake::REP_ACK, &[]);
        Ok(())
    }

    /// Tells about a device, or starts with it.
    pub(super) fn go(&mut self, option: u32, data: &[u8]) -> Next {
        let wanted = match Wanted::parse(data) {
            Ok(wanted) => wanted,
            Err(problem) => {
                self.reply(option, handshake::REP_ERR_INVALID, problem.as_bytes());
                return Next::Option;
            }
        };
        let session = match self.open(&wanted.name) {
            Ok(session) => session,
            Err(error) => {
                self.refuse(option, &error);
                return Next::Option;
            }
        };
        self.describe(option, &session, &wanted);
        self.reply(option, handshake::REP_ACK, &[]);
        if option == handshake::OPT_GO {
            let contexts = self.contexts_of(&wanted.name);
            return Next::Serve(session, contexts);
        }
        self.opened = Some((wanted.name, session));
        Next::Option
    }

    fn describe(&mut self, option: u32, session: &Session, wanted: &Wanted) {
        let device = &*session.device;
        let flags = flags(device, self.is_structured);
        self.info(option, handshake::INFO_EXPORT, &[&device.size().to_be_bytes()[..], &flags.to_be_bytes()].concat());
        if wanted.infos.contains(&handshake::INFO_NAME) {
            self.info(option, handshake::INFO_NAME, shortened(&session.name));
        }
        if wanted.infos.contains(&handshake::INFO_DESCRIPTION) {
            self.info(option, handshake::INFO_DESCRIPTION, shortened(&session.description));
        }
        if wanted.infos.contains(&handshake::INFO_BLOCK_SIZE) {
            #[expect(clippy::cast_possible_truncation, reason = "4096 is no large number")]
            let sizes = [1, BLOCK_BYTES as u32, MAX_REQUEST_BYTES];
            self.info(option, handshake::INFO_BLOCK_SIZE, &sizes.map(u32::to_be_bytes).concat());
        }
    }

    fn contexts_of(&mut self, name: &str) -> Contexts {
        let (of, contexts) = std::mem::take(&mut self.contexts);
        if of == name { contexts } else { Contexts::default() }
    }

    /// The device that was opened last, or another one.
    pub(super) fn open(&mut self, name: &str) -> Result<Session, OpenError> {
        match self.opened.take() {
            Some((opened, session)) if opened == name && !session.stop.is_cancelled() => return Ok(session),
            // It is given back before another one is taken.
            Some(_) | None => {}
        }
        self.control.set_opening(true);
        let stop = self.common.stop.clone();
        let open = stop.run_until_cancelled(self.common.exports.open(name, &self.peer));
        let session = self.common.runtime.block_on(open);
        self.control.set_opening(false);
        session.unwrap_or_else(|| Err(OpenError::Shutdown("the server is about to stop".to_owned())))
    }

    pub(super) fn refuse(&mut self, option: u32, error: &OpenError) {
        let kind = match error {
            OpenError::Unknown(_) => handshake::REP_ERR_UNKNOWN,
            OpenError::Denied(_) | OpenError::Busy(_) => handshake::REP_ERR_POLICY,
            OpenError::Shutdown(_) => handshake::REP_ERR_SHUTDOWN,
            OpenError::Internal(_) => handshake::REP_ERR_PLATFORM,
        };
        self.reply(option, kind, shortened(&error.to_string()));
    }

    fn info(&mut self, option: u32, info: u16, data: &[u8]) {
        self.reply(option, handshake::REP_INFO, &[&info.to_be_bytes(), data].concat());
    }
}

/// What a device can do.
fn flags(device: &dyn Device, is_structured: bool) -> u16 {
    let mut flags = device_flags::HAS_FLAGS
        | device_flags::SEND_FLUSH
        | device_flags::SEND_FUA
        | device_flags::SEND_CACHE
        | device_flags::CAN_MULTI_CONN;
    flags |= if device.is_read_only() {
        device_flags::READ_ONLY
    } else {
        device_flags::SEND_TRIM | device_flags::SEND_WRITE_ZEROES | device_flags::SEND_FAST_ZERO
    };
    // Without structured replies, reads are never in fragments, and the flag must not be there.
    if is_structured {
        flags |= device_flags::SEND_DF;
    }
    flags
}

/// As much of a text as the protocol lets strings be.
fn shortened(text: &str) -> &[u8] {
    &text.as_bytes()[..text.floor_char_boundary(MAX_NAME_BYTES)]
}
