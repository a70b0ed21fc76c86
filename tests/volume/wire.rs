//! A client of NBD by hand: one request at a time, so that it is known what was acknowledged.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::common::server::Server;
use crate::common::wait::within;

const NBDMAGIC: u64 = 0x4e42_444d_4147_4943;
const IHAVEOPT: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
pub(crate) const REQUEST: u32 = 0x2560_9513;
const SIMPLE_REPLY: u32 = 0x6744_6698;

const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;

pub(crate) const READ: u16 = 0;
pub(crate) const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;
const TRIM: u16 = 4;
const ZEROES: u16 = 6;

const FUA: u16 = 1;
const READ_ONLY: u16 = 2;

pub(crate) const EPERM: u32 = 1;
pub(crate) const EINVAL: u32 = 22;
pub(crate) const ENOSPC: u32 = 28;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server says so, by a number of the protocol.
    Refused(u32),
    /// The connection broke.
    Broken(#[expect(dead_code, reason = "shown when a test fails")] io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Broken(error)
    }
}

impl Failure {
    /// The number of a refusal.
    pub(crate) fn number(&self) -> Option<u32> {
        match self {
            Failure::Refused(number) => Some(*number),
            Failure::Broken(_) => None,
        }
    }
}

/// A connection that speaks, but has not chosen an export.
pub(crate) struct Handshake {
    stream: Box<dyn Stream>,
}

impl Handshake {
    pub(crate) async fn unix(socket: &Path) -> io::Result<Self> {
        Self::greet(Box::new(UnixStream::connect(socket).await?)).await
    }

    pub(crate) async fn tcp(address: SocketAddr) -> io::Result<Self> {
        Self::greet(Box::new(TcpStream::connect(address).await?)).await
    }

    async fn greet(mut stream: Box<dyn Stream>) -> io::Result<Self> {
        let (magic, option) = (stream.read_u64().await?, stream.read_u64().await?);
        let flags = stream.read_u16().await?;
        assert_eq!((magic, option), (NBDMAGIC, IHAVEOPT), "the server speaks NBD");
        assert_eq!(flags & 3, 3, "fixed newstyle without padding");
        stream.write_u32(3).await?;
        Ok(Handshake { stream })
    }

    /// Sends what may be no option at all.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads until the server hangs up, and counts the bytes.
    pub(crate) async fn drain(mut self) -> usize {
        let mut rest = Vec::new();
        // A reset is a way to hang up, too.
        let _ = self.stream.read_to_end(&mut rest).await;
        rest.len()
    }

    /// Chooses an export; what the server answers instead of it is a refusal.
    pub(crate) async fn go(mut self, name: &str) -> Result<Nbd, Failure> {
        let length = u32::try_from(name.len()).expect("a short name");
        let mut option = Vec::new();
        option.extend(IHAVEOPT.to_be_bytes());
        option.extend(OPTION_GO.to_be_bytes());
        option.extend((length + 6).to_be_bytes());
        option.extend(length.to_be_bytes());
        option.extend(name.as_bytes());
        option.extend([0, 0]);
        self.stream.write_all(&option).await?;
        let (mut size, mut flags) = (0, 0);
        loop {
            let magic = self.stream.read_u64().await?;
            let option = self.stream.read_u32().await?;
            assert_eq!((magic, option), (OPTION_REPLY, OPTION_GO), "a reply to this option");
            let reply = self.stream.read_u32().await?;
            let length = self.stream.read_u32().await?;
            let mut data = vec![0; usize::try_from(length).expect("64 bits")];
            self.stream.read_exact(&mut data).await?;
            match reply {
                REPLY_ACK => return Ok(Nbd { stream: self.stream, size, flags, cookie: 0 }),
                REPLY_INFO if data[..2] == [0, 0] => {
                    size = u64::from_be_bytes(data[2..10].try_into().expect("8 bytes"));
                    flags = u16::from_be_bytes(data[10..12].try_into().expect("2 bytes"));
                }
                REPLY_INFO => {}
                error => return Err(Failure::Refused(error)),
            }
        }
    }
}

/// An export that is open.
pub(crate) struct Nbd {
    stream: Box<dyn Stream>,
    size: u64,
    flags: u16,
    cookie: u64,
}

impl Nbd {
    /// Opens a volume, or a snapshot as `/volume@snapshot`.
    pub(crate) async fn open(server: &Server, name: &str) -> Self {
        let open = async { Handshake::unix(&server.nbd_socket()).await?.go(name).await };
        let opened = within("the export opens", open).await;
        opened.unwrap_or_else(|failure| panic!("{name}: {failure:?}"))
    }

    /// The number with which the server refuses to open something.
    pub(crate) async fn refused(server: &Server, name: &str) -> u32 {
        let open = async { Handshake::unix(&server.nbd_socket()).await?.go(name).await };
        let refusal = within("an answer", open).await.err().unwrap_or_else(|| panic!("{name} can be opened"));
        refusal.number().unwrap_or_else(|| panic!("{name}: {refusal:?}"))
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.flags & READ_ONLY != 0
    }

    pub(crate) async fn try_read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Failure> {
        let count = u32::try_from(length).expect("a request is short");
        self.call(0, READ, offset, count, &[]).await?;
        let mut data = vec![0; length];
        self.stream.read_exact(&mut data).await?;
        Ok(data)
    }

    pub(crate) async fn read(&mut self, offset: u64, length: usize) -> Vec<u8> {
        within("an answer", self.try_read(offset, length)).await.expect("it can be read")
    }

    pub(crate) async fn try_write(&mut self, offset: u64, data: &[u8]) -> Result<(), Failure> {
        self.call(0, WRITE, offset, u32::try_from(data.len()).expect("a request is short"), data).await
    }

    pub(crate) async fn write(&mut self, offset: u64, data: &[u8]) {
        within("an answer", self.try_write(offset, data)).await.expect("it can be written");
    }

    /// Writes, and returns when that survives a power loss.
    pub(crate) async fn write_through(&mut self, offset: u64, data: &[u8]) {
        let count = u32::try_from(data.len()).expect("a request is short");
        within("an answer", self.call(FUA, WRITE, offset, count, data)).await.expect("it can be written");
    }

    pub(crate) async fn try_flush(&mut self) -> Result<(), Failure> {
        self.call(0, FLUSH, 0, 0, &[]).await
    }

    pub(crate) async fn flush(&mut self) {
        within("an answer", self.try_flush()).await.expect("it can be flushed");
    }

    pub(crate) async fn trim(&mut self, offset: u64, length: u32) {
        within("an answer", self.call(0, TRIM, offset, length, &[])).await.expect("it can be trimmed");
    }

    pub(crate) async fn zero(&mut self, offset: u64, length: u32) {
        within("an answer", self.call(0, ZEROES, offset, length, &[])).await.expect("it can be zeroed");
    }

    /// Says goodbye, and waits until the server has hung up.
    pub(crate) async fn close(mut self) {
        // A server that has hung up already has nothing to be told.
        let _ = self.request(0, DISCONNECT, 0, 0, &[]).await;
        let mut rest = Vec::new();
        let _ = within("the server hangs up", self.stream.read_to_end(&mut rest)).await;
    }

    /// Sends bytes that need not be a request.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads until the server hangs up, and counts the bytes.
    pub(crate) async fn drain(self) -> usize {
        Handshake { stream: self.stream }.drain().await
    }

    /// A request and its simple reply, whose data is left to be read.
    pub(crate) async fn call(
        &mut self,
        flags: u16,
        kind: u16,
        offset: u64,
        count: u32,
        data: &[u8],
    ) -> Result<(), Failure> {
        self.request(flags, kind, offset, count, data).await?;
        let magic = self.stream.read_u32().await?;
        let error = self.stream.read_u32().await?;
        let cookie = self.stream.read_u64().await?;
        assert_eq!((magic, cookie), (SIMPLE_REPLY, self.cookie), "a reply to this request");
        if error == 0 { Ok(()) } else { Err(Failure::Refused(error)) }
    }

    async fn request(&mut self, flags: u16, kind: u16, offset: u64, count: u32, data: &[u8]) -> io::Result<()> {
        self.cookie += 1;
        let mut request = request(flags, kind, self.cookie, offset, count).to_vec();
        request.extend_from_slice(data);
        self.stream.write_all(&request).await
    }
}

/// The 28 bytes in front of a request.
pub(crate) fn request(flags: u16, kind: u16, cookie: u64, offset: u64, count: u32) -> [u8; 28] {
    let mut bytes = [0; 28];
    bytes[..4].copy_from_slice(&REQUEST.to_be_bytes());
    bytes[4..6].copy_from_slice(&flags.to_be_bytes());
    bytes[6..8].copy_from_slice(&kind.to_be_bytes());
    bytes[8..16].copy_from_slice(&cookie.to_be_bytes());
    bytes[16..24].copy_from_slice(&offset.to_be_bytes());
    bytes[24..].copy_from_slice(&count.to_be_bytes());
    bytes
}
