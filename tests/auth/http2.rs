//! HTTP/2 frame by frame, as a client that means no good writes it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

use crate::common::wait::within;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const CANCEL: u32 = 8;
/// What is called where it does not matter.
const GET: &str = "/steward.lock.v1.LockService/Get";

/// A connection whose answers are thrown away.
pub(crate) struct Attacker {
    output: OwnedWriteHalf,
    /// Ends when the server hangs up.
    reader: JoinHandle<()>,
    stream: u32,
}

impl Attacker {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await.expect("a connection");
        stream.set_nodelay(true).expect("a setting");
        let (input, mut output) = stream.into_split();
        output.write_all(PREFACE).await.expect("the preface is taken");
        output.write_all(&frame(SETTINGS, 0, 0, &[])).await.expect("settings are taken");
        output.write_all(&frame(SETTINGS, ACK, 0, &[])).await.expect("settings are taken");
        Attacker { output, reader: tokio::spawn(discard(input)), stream: 1 }
    }

    /// Begins requests and takes them back at once; says whether the server still listens.
    pub(crate) async fn reset_rapidly(&mut self, count: usize) -> bool {
        let mut bytes = Vec::new();
        for _ in 0..count {
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, self.stream, &request_head(GET)));
            bytes.extend(frame(RST_STREAM, 0, self.stream, &CANCEL.to_be_bytes()));
            self.stream += 2;
        }
        self.send(&bytes).await
    }

    /// Begins so many calls, says the same in each, and nothing more.
    pub(crate) async fn begin_calls(&mut self, path: &str, count: usize, said: &[u8]) -> bool {
        let mut bytes = Vec::new();
        for _ in 0..count {
            bytes.extend(frame(HEADERS, END_HEADERS, self.stream, &request_head(path)));
            bytes.extend(frame(DATA, 0, self.stream, said));
            self.stream += 2;
        }
        self.send(&bytes).await
    }

    /// Begins a request whose head does not end yet.
    pub(crate) async fn begin_head(&mut self) -> bool {
        let head = frame(HEADERS, END_STREAM, self.stream, &request_head(GET));
        self.send(&head).await
    }

    /// Goes on with the head, and does not end it.
    pub(crate) async fn continue_head(&mut self, payload: &[u8]) -> bool {
        let part = frame(CONTINUATION, 0, self.stream, payload);
        self.send(&part).await
    }

    /// A request with a head of this size, which has an end.
    pub(crate) async fn send_long_head(&mut self, length: usize) -> bool {
        let fields: Vec<u8> =
            std::iter::repeat_with(|| field(b"x-long", &[b'a'; 4000])).take(length / 4000).flatten().collect();
        let mut parts = fields.chunks(16_000).peekable();
        if !self.begin_head().await {
            return false;
        }
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
            let part = frame(CONTINUATION, flags, self.stream, part);
            if !self.send(&part).await {
                return false;
            }
        }
        self.stream += 2;
        true
    }

    /// Returns when the server has hung up.
    pub(crate) async fn hung_up_on(self) {
        within("the server hangs up", self.reader).await.expect("a reader");
    }

    async fn send(&mut self, bytes: &[u8]) -> bool {
        !self.reader.is_finished() && within("it is taken", self.output.write_all(bytes)).await.is_ok()
    }
}

async fn discard(mut input: OwnedReadHalf) {
    let mut scratch = vec![0; 16 * 1024];
    while input.read(&mut scratch).await.is_ok_and(|length| length > 0) {}
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `POST http://x/…` of a call, without a word of the tables but the static ones.
fn request_head(path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).expect("a short path");
    [&[0x83, 0x86, 0x04, length], path.as_bytes(), b"\x01\x01x", b"\x0f\x10\x10application/grpc"].concat()
}

/// A field that the table does not keep.
pub(crate) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, u8::try_from(name.len()).expect("a short name")];
    bytes.extend(name);
    // A length of seven bits, and the rest in further bytes.
    let mut rest = value.len().checked_sub(127).expect("a long value");
    bytes.push(127);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
    bytes.extend(value);
    bytes
}
