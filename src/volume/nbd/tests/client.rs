//! A client that says exactly what it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::super::protocol::{command, handshake, reply};
use super::PATIENCE;

/// A stream of bytes.
pub(super) trait Io: Read + Write + Send {}

impl<T: Read + Write + Send> Io for T {}

/// A client.
pub(super) struct Client {
    pub(super) io: Box<dyn Io>,
}

/// A chunk of a structured reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) is_done: bool,
    pub(super) kind: u16,
    pub(super) cookie: u64,
    pub(super) data: Vec<u8>,
}

impl Client {
    pub(super) fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client { io: Box::new(stream) }
    }

    pub(super) fn connect_tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client { io: Box::new(stream) }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).expect("the server takes it");
    }

    pub(super) fn receive(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.io.read_exact(&mut bytes).expect("the server answers");
        bytes
    }

    pub(super) fn receive_u16(&mut self) -> u16 {
        u16::from_be_bytes(self.receive(2).try_into().unwrap())
    }

    pub(super) fn receive_u32(&mut self) -> u32 {
        u32::from_be_bytes(self.receive(4).try_into().unwrap())
    }

    pub(super) fn receive_u64(&mut self) -> u64 {
        u64::from_be_bytes(self.receive(8).try_into().unwrap())
    }

    /// The server closes the connection, with nothing before that.
    pub(super) fn expect_end(&mut self) {
        let mut byte = [0];
        match self.io.read(&mut byte) {
            Ok(count) => assert_eq!(count, 0, "the server sends more"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
        }
    }

    pub(super) fn greet(&mut self) {
        self.greet_with(u32::from(handshake::FLAG_FIXED_NEWSTYLE | handshake::FLAG_NO_ZEROES));
    }

    pub(super) fn greet_with(&mut self, flags: u32) {
        assert_eq!(self.receive(8), b"NBDMAGIC");
        assert_eq!(self.receive(8), b"IHAVEOPT");
        assert_eq!(self.receive_u16(), handshake::FLAG_FIXED_NEWSTYLE | handshake::FLAG_NO_ZEROES);
        self.send(&flags.to_be_bytes());
    }

    pub(super) fn option(&mut self, option: u32, data: &[u8]) {
        let length = u32::try_from(data.len()).unwrap();
        let head = [&b"IHAVEOPT"[..], &option.to_be_bytes(), &length.to_be_bytes()].concat();
        self.send(&[&head, data].concat());
    }

    /// The kind and the data of a reply to an option.
    pub(super) fn reply(&mut self, option: u32) -> (u32, Vec<u8>) {
        assert_eq!(self.receive_u64(), handshake::REPLY_MAGIC);
        assert_eq!(self.receive_u32(), option);
        let kind = self.receive_u32();
        let length = self.receive_u32();
        (kind, self.receive(length as usize))
    }

    pub(super) fn ask(&mut self, option: u32, data: &[u8]) -> (u32, Vec<u8>) {
        self.option(option, data);
        self.reply(option)
    }

    pub(super) fn agree_on_structured_replies(&mut self) {
        let (kind, _) = self.ask(handshake::OPT_STRUCTURED_REPLY, &[]);
        assert_eq!(kind, handshake::REP_ACK);
    }

    /// Opens a device; returns its size and flags.
    pub(super) fn go(&mut self, name: &str) -> (u64, u16) {
        self.option(handshake::OPT_GO, &wanted(name, &[]));
        let (kind, data) = self.reply(handshake::OPT_GO);
        assert_eq!(kind, handshake::REP_INFO, "{}", String::from_utf8_lossy(&data));
        assert_eq!(data[..2], handshake::INFO_EXPORT.to_be_bytes());
        assert_eq!(self.reply(handshake::OPT_GO).0, handshake::REP_ACK);
        (u64::from_be_bytes(data[2..10].try_into().unwrap()), u16::from_be_bytes(data[10..12].try_into().unwrap()))
    }

    /// Chooses contexts; returns their numbers.
    pub(super) fn choose_contexts(&mut self, name: &str, contexts: &[&str]) -> Vec<(u32, String)> {
        let option = handshake::OPT_SET_META_CONTEXT;
        self.option(option, &queries(name, contexts));
        let mut chosen = Vec::new();
        loop {
            match self.reply(option) {
                (handshake::REP_META_CONTEXT, data) => {
                    let id = u32::from_be_bytes(data[..4].try_into().unwrap());
                    chosen.push((id, String::from_utf8(data[4..].to_vec()).unwrap()));
                }
                (kind, data) => {
                    assert_eq!(kind, handshake::REP_ACK, "{}", String::from_utf8_lossy(&data));
                    return chosen;
                }
            }
        }
    }

    pub(super) fn request(&mut self, command: u16, flags: u16, cookie: u64, offset: u64, length: u32) {
        self.send(&request(command, flags, cookie, offset, length));
    }

    pub(super) fn write(&mut self, flags: u16, cookie: u64, offset: u64, data: &[u8]) {
        let head = request(command::WRITE, flags, cookie, offset, u32::try_from(data.len()).unwrap());
        self.send(&[&head, data].concat());
    }

    /// The error and the cookie of a simple reply.
    pub(super) fn simple(&mut self) -> (u32, u64) {
        assert_eq!(self.receive_u32(), reply::SIMPLE_MAGIC);
        (self.receive_u32(), self.receive_u64())
    }

    /// Asks for something whose reply is simple; returns the error.
    pub(super) fn error_of(&mut self, command: u16, flags: u16, offset: u64, length: u32) -> u32 {
        self.request(command, flags, 77, offset, length);
        let (error, cookie) = self.simple();
        assert_eq!(cookie, 77);
        error
    }

    pub(super) fn chunk(&mut self) -> Chunk {
        assert_eq!(self.receive_u32(), reply::STRUCTURED_MAGIC);
        let flags = self.receive_u16();
        assert_eq!(flags & !reply::FLAG_DONE, 0);
        let kind = self.receive_u16();
        let cookie = self.receive_u64();
        let length = self.receive_u32();
        Chunk { is_done: flags != 0, kind, cookie, data: self.receive(length as usize) }
    }

    /// All chunks of one reply, when it is the only one under way.
    pub(super) fn chunks(&mut self) -> Vec<Chunk> {
        let mut chunks = vec![self.chunk()];
        while !chunks.last().unwrap().is_done {
            chunks.push(self.chunk());
        }
        chunks
    }
}

/// The head of a request.
pub(super) fn request(command: u16, flags: u16, cookie: u64, offset: u64, length: u32) -> Vec<u8> {
    [
        &command::MAGIC.to_be_bytes()[..],
        &flags.to_be_bytes(),
        &command.to_be_bytes(),
        &cookie.to_be_bytes(),
        &offset.to_be_bytes(),
        &length.to_be_bytes(),
    ]
    .concat()
}

/// The data of the options that ask for a device.
pub(super) fn wanted(name: &str, infos: &[u16]) -> Vec<u8> {
    let mut data = text(name.as_bytes());
    data.extend(u16::try_from(infos.len()).unwrap().to_be_bytes());
    data.extend(infos.iter().flat_map(|info| info.to_be_bytes()));
    data
}

/// The data of the options about contexts.
pub(super) fn queries(name: &str, contexts: &[&str]) -> Vec<u8> {
    let mut data = text(name.as_bytes());
    data.extend(u32::try_from(contexts.len()).unwrap().to_be_bytes());
    data.extend(contexts.iter().flat_map(|context| text(context.as_bytes())));
    data
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}
