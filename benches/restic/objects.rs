//! Objects to send, and their requests.

use sha2::{Digest as _, Sha256};

pub(crate) const MIB: usize = 1024 * 1024;

/// One piece again and again, under the name that this has to have.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) name: String,
    piece: Vec<u8>,
    times: usize,
}

impl Object {
    pub(crate) fn new(seed: u64, piece: usize, times: usize) -> Self {
        let piece = noise(seed, piece);
        let mut hash = Sha256::new();
        (0..times).for_each(|_| hash.update(&piece));
        Object { name: format!("{:x}", hash.finalize()), piece, times }
    }

    pub(crate) fn length(&self) -> usize {
        self.piece.len() * self.times
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::repeat_n(self.piece.as_slice(), self.times)
    }
}

/// Bytes that cannot be compressed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The head of a request.
pub(crate) fn head(method: &str, path: &str, more: &str) -> Vec<u8> {
    let accept = "Accept: application/vnd.x.restic.rest.v2\r\n";
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{accept}{more}\r\n").into_bytes()
}

/// The head of an upload, with further lines.
pub(crate) fn upload_head(repository: &str, object: &Object, more: &str) -> Vec<u8> {
    let path = format!("{repository}data/{}", object.name);
    let length = object.length();
    head("POST", &path, &format!("{more}Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n"))
}
