//! The first phase of the protocol: the client finds a device and agrees on how it is spoken to.
//!
//! - `options` reads what comes with an option.
//! - `devices` are the options about devices, `contexts` those about metadata contexts.

mod contexts;
mod devices;
mod options;

use std::io;
use std::sync::Arc;

use super::connection::Common;
use super::exports::{Peer, PeerAddress, Session};
use super::input::Input;
use super::link::Link;
use super::protocol::handshake;
use super::socket::Socket;
use super::status::Contexts;
use super::watch::Control;

/// How long the name of a device may be.
const MAX_NAME_BYTES: usize = 4096;
/// How long an option may be.
const MAX_OPTION_BYTES: usize = 64 * 1024 + MAX_NAME_BYTES;
/// How many options a client may send.
const MAX_OPTIONS: usize = 256;
/// From this length on replies are sent before there are more.
const SEND_BYTES: usize = 64 * 1024;

/// The handshake with one client.
pub(super) struct Handshake<'a> {
    socket: &'a Arc<Socket>,
    common: &'a Common,
    control: &'a Control,
    peer: Peer,
    link: Link,
    input: Input,
    output: Vec<u8>,
    has_zeroes: bool,
    is_structured: bool,
    /// What was chosen, and of which device.
    contexts: (String, Contexts),
    /// The device that was asked for last, so that asking and then going on opens it once.
    opened: Option<(String, Session)>,
}

/// What was agreed on.
pub(super) struct Agreement {
    pub(super) link: Link,
    pub(super) input: Input,
    pub(super) session: Session,
    pub(super) is_structured: bool,
    pub(super) contexts: Contexts,
    pub(super) peer: Peer,
}

/// What follows an option.
enum Next {
    Option,
    End,
    Serve(Session, Contexts),
}

impl<'a> Handshake<'a> {
    pub(super) fn new(socket: &'a Arc<Socket>, common: &'a Common, control: &'a Control, address: PeerAddress) -> Self {
        Handshake {
            socket,
            common,
            control,
            peer: Peer { address, certificate: None },
            link: Link::Plain(Arc::clone(socket)),
            input: Input::new(),
            output: Vec::new(),
            has_zeroes: true,
            is_structured: false,
            contexts: (String::new(), Contexts::default()),
            opened: None,
        }
    }

    /// Shakes hands. Without an agreement the client left.
    pub(super) fn run(mut self) -> io::Result<Option<Agreement>> {
        self.greet()?;
        for _ in 0..MAX_OPTIONS {
            let (option, data) = self.receive_option()?;
            let next = self.follow(option, &data)?;
            if matches!(next, Next::Serve(..)) && !self.control.settle() {
                return Err(invalid("its place was needed for another client"));
            }
            self.send()?;
            match next {
                Next::Option => {}
                Next::End => {
                    self.link.finish();
                    return Ok(None);
                }
                Next::Serve(session, contexts) => {
                    let Handshake { link, input, is_structured, peer, .. } = self;
                    return Ok(Some(Agreement { link, input, session, is_structured, contexts, peer }));
                }
            }
        }
        Err(invalid("too many options"))
    }

    fn greet(&mut self) -> io::Result<()> {
        self.output.extend(handshake::NBD_MAGIC.to_be_bytes());
        self.output.extend(handshake::I_HAVE_OPT.to_be_bytes());
        self.output.extend((handshake::FLAG_FIXED_NEWSTYLE | handshake::FLAG_NO_ZEROES).to_be_bytes());
        self.send()?;
        let flags = u32::from_be_bytes(self.receive()?);
        let known = u32::from(handshake::FLAG_FIXED_NEWSTYLE | handshake::FLAG_NO_ZEROES);
        if flags & !known != 0 {
            return Err(invalid("unknown flags"));
        }
        self.has_zeroes = flags & u32::from(handshake::FLAG_NO_ZEROES) == 0;
        Ok(())
    }

    fn receive_option(&mut self) -> io::Result<(u32, Vec<u8>)> {
        if u64::from_be_bytes(self.receive()?) != handshake::I_HAVE_OPT {
            return Err(invalid("an option starts with other bytes"));
        }
        let option = u32::from_be_bytes(self.receive()?);
        let length = u32::from_be_bytes(self.receive()?) as usize;
        if length > MAX_OPTION_BYTES {
            return Err(invalid("an option is too long"));
        }
        self.input.need(length, &mut self.link)?;
        let data = self.input.available()[..length].to_vec();
        self.input.consume(length);
        Ok((option, data))
    }

    fn receive<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.input.need(N, &mut self.link)?;
        let bytes = *self.input.peek().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.input.consume(N);
        Ok(bytes)
    }

    fn follow(&mut self, option: u32, data: &[u8]) -> io::Result<Next> {
        let is_allowed = matches!(option, handshake::OPT_ABORT | handshake::OPT_STARTTLS);
        if self.needs_tls() && !is_allowed {
            if option == handshake::OPT_EXPORT_NAME {
                return Err(invalid("a device is asked for before TLS"));
            }
            self.reply(option, handshake::REP_ERR_TLS_REQD, b"TLS comes first here");
            return Ok(Next::Option);
        }
        match option {
            handshake::OPT_EXPORT_NAME => return self.export_name(data),
            handshake::OPT_ABORT => {
                self.reply(option, handshake::REP_ACK, &[]);
                return Ok(Next::End);
            }
            handshake::OPT_LIST => self.list(data)?,
            handshake::OPT_STARTTLS => self.start_tls(data)?,
            handshake::OPT_INFO | handshake::OPT_GO => return Ok(self.go(option, data)),
            handshake::OPT_STRUCTURED_REPLY if data.is_empty() => {
                self.is_structured = true;
                self.reply(option, handshake::REP_ACK, &[]);
            }
            handshake::OPT_STRUCTURED_REPLY => {
                self.reply(option, handshake::REP_ERR_INVALID, b"the option has no data");
            }
            handshake::OPT_LIST_META_CONTEXT | handshake::OPT_SET_META_CONTEXT => self.choose_contexts(option, data),
            _ => self.reply(option, handshake::REP_ERR_UNSUP, b"unknown option"),
        }
        Ok(Next::Option)
    }

    fn needs_tls(&self) -> bool {
        let is_tcp = matches!(self.peer.address, PeerAddress::Tcp(_));
        self.common.require_tls && is_tcp && !self.link.is_encrypted()
    }

    fn start_tls(&mut self, data: &[u8]) -> io::Result<()> {
        let option = handshake::OPT_STARTTLS;
        let Some(tls) = self.common.tls.clone() else {
            self.reply(option, handshake::REP_ERR_POLICY, b"there is no TLS here");
            return Ok(());
        };
        if self.link.is_encrypted() || !data.is_empty() {
            self.reply(option, handshake::REP_ERR_INVALID, b"the option comes once and has no data");
            return Ok(());
        }
        // What is behind the option was not encrypted, and must not be taken for what was.
        if !self.input.available().is_empty() {
            return Err(invalid("more bytes before TLS began"));
        }
        self.reply(option, handshake::REP_ACK, &[]);
        self.send()?;
        self.link = Link::tls(Arc::clone(self.socket), tls).inspect_err(|_| {
            metrics::counter!("steward_tls_handshake_failures_total").increment(1);
        })?;
        self.peer.certificate = self.link.certificate();
        self.is_structured = false;
        self.contexts = (String::new(), Contexts::default());
        self.opened = None;
        Ok(())
    }

    fn reply(&mut self, option: u32, kind: u32, data: &[u8]) {
        let length = u32::try_from(data.len()).expect("replies are short");
        self.output.extend(handshake::REPLY_MAGIC.to_be_bytes());
        self.output.extend(option.to_be_bytes());
        self.output.extend(kind.to_be_bytes());
        self.output.extend(length.to_be_bytes());
        self.output.extend(data);
    }

    fn send(&mut self) -> io::Result<()> {
        let sent = self.link.send_all(&self.output);
        self.output.clear();
        sent
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
