//! A client of registries as cheap as can be: one kept connection, framed requests, bodies thrown away.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::BoxError;
use crate::image::{Image, digest};

const BUFFER: usize = 256 * 1024;

/// The head of an answer.
pub(crate) struct Head {
    pub(crate) status: u16,
    location: Option<String>,
    length: u64,
}

/// A connection that is kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; BUFFER] })
    }

    /// Sends a request and reads the answer; returns its head, and its body if it is small.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<(Head, Vec<u8>), BoxError> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/vnd.oci.image.manifest.v1+json, */*\r\nContent-Type: \
             {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(body).await?;
        self.receive(method == "HEAD").await
    }

    async fn receive(&mut self, is_head: bool) -> Result<(Head, Vec<u8>), BoxError> {
        let mut filled = 0;
        let end = loop {
            let count = self.stream.read(&mut self.buffer[filled..]).await?;
            if count == 0 {
                return Err("the server hung up".into());
            }
            filled += count;
            let seen = &self.buffer[..filled.min(8192)];
            if let Some(end) = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
        };
        let head = parse(std::str::from_utf8(&self.buffer[..end])?)?;
        let mut kept = self.buffer[end + 4..filled].to_vec();
        let length = if is_head || head.status == 204 { 0 } else { head.length };
        let mut left = length.checked_sub(kept.len() as u64).ok_or("more than was announced")?;
        let keeps = length < 1 << 20;
        while left > 0 {
            let count = self.stream.read(&mut self.buffer).await?;
            left = left.checked_sub(count as u64).ok_or("more than was announced")?;
            if count == 0 {
                return Err("the answer broke off".into());
            }
            if keeps {
                kept.extend_from_slice(&self.buffer[..count]);
            }
        }
        Ok((head, kept))
    }
}

fn parse(head: &str) -> Result<Head, BoxError> {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.get(9..12)).ok_or("no status")?.parse()?;
    let (mut location, mut length) = (None, 0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "location" => location = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse()?,
            _ => {}
        }
    }
    Ok(Head { status, location, length })
}

fn expect(head: &Head, status: u16, what: &str) -> Result<(), BoxError> {
    if head.status == status { Ok(()) } else { Err(format!("{what}: {}", head.status).into()) }
}

/// Pushes an image as skopeo does: each blob in one PATCH.
pub(crate) async fn push(address: SocketAddr, name: &str, image: &Image, tag: &str) -> Result<(), BoxError> {
    const BYTES: &str = "application/octet-stream";
    let mut connection = Connection::open(address).await?;
    for (digest, blob) in &image.blobs {
        let (begun, _) = connection.ask("POST", &format!("/v2/{name}/blobs/uploads/"), BYTES, b"").await?;
        expect(&begun, 202, "begin")?;
        let (patched, _) = connection.ask("PATCH", &path_of(&begun)?, BYTES, blob).await?;
        expect(&patched, 202, "patch")?;
        let location = path_of(&patched)?;
        let glue = if location.contains('?') { '&' } else { '?' };
        let (done, _) = connection.ask("PUT", &format!("{location}{glue}digest={digest}"), BYTES, b"").await?;
        expect(&done, 201, "finish")?;
    }
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let (put, _) = connection.ask("PUT", &format!("/v2/{name}/manifests/{tag}"), kind, &image.manifest).await?;
    expect(&put, 201, "manifest")
}

fn path_of(head: &Head) -> Result<String, BoxError> {
    let location = head.location.as_deref().ok_or("no location")?;
    Ok(location.find("/v2/").map_or(location, |start| &location[start..]).to_owned())
}

/// Reads every blob of an image.
pub(crate) async fn pull(address: SocketAddr, name: &str, image: &Image) -> Result<(), BoxError> {
    let mut connection = Connection::open(address).await?;
    let (head, manifest) = connection.ask("GET", &format!("/v2/{name}/manifests/1"), "*/*", b"").await?;
    expect(&head, 200, "manifest")?;
    if digest(&manifest) != digest(&image.manifest) {
        return Err("another manifest".into());
    }
    for (digest, blob) in &image.blobs {
        let (head, _) = connection.ask("GET", &format!("/v2/{name}/blobs/{digest}"), "*/*", b"").await?;
        expect(&head, 200, "blob")?;
        if head.length != blob.len() as u64 {
            return Err("another length".into());
        }
    }
    Ok(())
}

/// A call of the JSON API that has to succeed.
pub(crate) async fn post(address: SocketAddr, path: &str, body: &str) -> Result<serde_json::Value, BoxError> {
    call(address, "POST", path, body).await
}

/// The same by any method.
pub(crate) async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> Result<serde_json::Value, BoxError> {
    let mut connection = Connection::open(address).await?;
    let (head, answer) = connection.ask(method, path, "application/json", body.as_bytes()).await?;
    if head.status != 200 {
        return Err(format!("{path}: {} {}", head.status, String::from_utf8_lossy(&answer)).into());
    }
    let mut envelope: serde_json::Value = serde_json::from_slice(&answer)?;
    Ok(envelope["data"].take())
}
