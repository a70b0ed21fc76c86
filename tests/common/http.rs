//! HTTP/1.1 by hand, so that every byte of an answer can be looked at.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use super::wait::within;

/// Where a server speaks HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpPort(pub(crate) SocketAddr);

impl HttpPort {
    pub(crate) async fn get(self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").await
    }

    pub(crate) async fn post(self, path: &str, body: &str) -> Answer {
        self.request("POST", path, &[("Content-Type", "application/json")], body.as_bytes()).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn request(self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.connect().await.request(method, path, headers, body).await
    }

    /// A connection that is kept alive.
    pub(crate) async fn connect(self) -> Connection {
        let stream = within("a connection is accepted", TcpStream::connect(self.0)).await;
        let stream = stream.expect("a connection is accepted");
        stream.set_nodelay(true).expect("requests can be sent at once");
        Connection { stream: BufReader::new(stream) }
    }

    /// Opens a stream of server-sent events; returns when its headers have come.
    pub(crate) async fn subscribe(self, path: &str) -> EventStream {
        let mut connection = self.connect().await;
        connection.send(&head("GET", path, &[("Accept", "text/event-stream")])).await;
        let head = connection.read_head().await;
        assert_eq!(head.status, 200, "the stream is opened");
        assert!(head.is_chunked(), "the stream is sent in chunks: {:?}", head.headers);
        EventStream { connection, headers: head, buffer: Vec::new() }
    }

    /// Opens a stream and never reads it, on a socket that takes up as little as possible.
    pub(crate) async fn subscribe_and_sleep(self, path: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let mut stream = within("a connection", socket.connect(self.0)).await.expect("a connection is accepted");
        stream.write_all(head("GET", path, &[]).as_bytes()).await.expect("the request can be sent");
        stream
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The status and the body, to be compared at once.
    pub(crate) fn parts(&self) -> (u16, &str) {
        (self.status, self.text())
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        if !body.is_empty() || method == "POST" {
            headers.push(("Content-Length", &length));
        }
        let mut request = head(method, path, &headers).into_bytes();
        request.extend_from_slice(body);
        // A server that refuses a long body may answer and hang up before it has read all of it.
        let _ = self.stream.write_all(&request).await;
        self.answer(method).await
    }

    /// Sends a body in chunks, without telling its length.
    pub(crate) async fn request_in_chunks(&mut self, method: &str, path: &str, chunks: &[&[u8]]) -> Answer {
        let mut request = head(method, path, &[("Transfer-Encoding", "chunked")]).into_bytes();
        for chunk in chunks {
            request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            request.extend_from_slice(chunk);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"0\r\n\r\n");
        let _ = self.stream.write_all(&request).await;
        self.answer(method).await
    }

    /// Sends what may be no request at all, or a part of one. A server may have hung up already.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub(crate) async fn finish_sending(&mut self) {
        // A server may have hung up already.
        let _ = self.stream.shutdown().await;
    }

    /// Everything that the server sends until it hangs up.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        // A server that hangs up on unread bytes resets the connection.
        let _ = within("the server hangs up", self.stream.read_to_end(&mut all)).await;
        all
    }

    async fn send(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).await.expect("the request can be sent");
    }

    /// The answer to a request that was sent.
    pub(crate) async fn answer(&mut self, method: &str) -> Answer {
        let mut answer = self.read_head().await;
        if method == "HEAD" || matches!(answer.status, 204 | 304) {
            return answer;
        }
        answer.body = within("the body", self.read_body(&answer)).await.expect("the whole body comes");
        answer
    }

    /// The head of an answer. What follows can be read with `read_some`.
    pub(crate) async fn read_head(&mut self) -> Answer {
        let status_line = self.read_line().await;
        let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.read_line().await;
            if line.is_empty() {
                return Answer { status, headers, body: Vec::new() };
            }
            let (name, value) = line.split_once(':').expect("a header has a colon");
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Some bytes of a body; none at its end.
    pub(crate) async fn read_some(&mut self, buffer: &mut [u8]) -> usize {
        within("bytes of a body", self.stream.read(buffer)).await.expect("the body can be read")
    }

    async fn read_line(&mut self) -> String {
        let mut line = String::new();
        within("a line of the head", self.stream.read_line(&mut line)).await.expect("the head of an answer");
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("the answer broke off at {line:?}")).to_owned()
    }

    async fn read_body(&mut self, head: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.is_chunked() {
            while let Some(chunk) = self.read_chunk().await? {
                body.extend_from_slice(&chunk);
            }
            return Ok(body);
        }
        let length = head.header("content-length").expect("a length, as it is not chunked");
        body.resize(length.parse().expect("a length is a number"), 0);
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    /// The next chunk, or `None` after the last one.
    async fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut size = String::new();
        self.stream.read_line(&mut size).await?;
        let broken = || io::Error::new(io::ErrorKind::UnexpectedEof, "the stream broke off");
        let size = usize::from_str_radix(size.trim_end(), 16).map_err(|_| broken())?;
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).await?;
        chunk.truncate(size);
        Ok((size > 0).then_some(chunk))
    }
}

/// The head of a request, with the empty line behind it.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: steward\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head + "\r\n"
}

/// A stream of server-sent events.
#[derive(Debug)]
pub(crate) struct EventStream {
    connection: Connection,
    headers: Answer,
    buffer: Vec<u8>,
}

/// What comes next on a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Everything up to and including a blank line.
    Frame(String),
    /// The server ended it in good order.
    End,
    /// It broke off.
    Broken,
}

impl EventStream {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.header(name)
    }

    /// The next event, comments left out.
    pub(crate) async fn event(&mut self) -> String {
        loop {
            match within("an event", self.next()).await {
                Next::Frame(frame) if frame.starts_with(':') => {}
                Next::Frame(frame) => return frame,
                Next::End | Next::Broken => panic!("the stream ended instead of bringing an event"),
            }
        }
    }

    /// Whatever comes next, however long it takes.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let frame = self.buffer.drain(..end + 2).collect();
                return Next::Frame(String::from_utf8(frame).expect("events are UTF-8"));
            }
            match self.connection.read_chunk().await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) => return Next::End,
                Err(_) => return Next::Broken,
            }
        }
    }
}
