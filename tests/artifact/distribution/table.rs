//! A table of rows that hold or do not.

use std::fmt::Debug;
use std::io::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};

use crate::common::http::Answer;
use crate::registry::Registry;

/// What digests are made with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    /// The digest of some bytes.
    pub(super) fn of(self, content: &[u8]) -> String {
        match self {
            Algorithm::Sha256 => format!("sha256:{:x}", Sha256::digest(content)),
            Algorithm::Sha512 => format!("sha512:{:x}", Sha512::digest(content)),
        }
    }

    /// Its name, which makes names and contents that are of this algorithm alone.
    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }
}

/// What was checked, and what it came to.
#[derive(Debug)]
pub(super) struct Table {
    registry: Registry,
    area: String,
    held: usize,
    broken: Vec<String>,
}

impl Table {
    pub(super) async fn start() -> Self {
        Table { registry: Registry::start().await, area: String::new(), held: 0, broken: Vec::new() }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Says what the next rows are about.
    pub(super) fn area(&mut self, area: impl Into<String>) {
        self.area = area.into();
    }

    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.registry.http().request(method, path, headers, body).await
    }

    /// Notes whether an answer has one of these statuses.
    pub(super) fn row(&mut self, row: &str, answer: &Answer, statuses: &[u16]) {
        let holds = statuses.contains(&answer.status);
        let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned();
        self.holds(row, holds, (answer.status, body));
    }

    /// Notes whether a row holds; if not, with what was seen.
    pub(super) fn holds(&mut self, row: &str, holds: bool, seen: impl Debug) {
        if holds {
            self.held += 1;
        } else {
            self.broken.push(format!("{}: {row}: {seen:?}", self.area));
        }
    }

    /// Notes whether a header says what it has to.
    pub(super) fn header(&mut self, row: &str, answer: &Answer, name: &str, expected: &str) {
        let seen = answer.header(name);
        self.holds(&format!("{row}: {name}"), seen == Some(expected), seen);
    }

    /// Pushes a blob that later rows need.
    pub(super) async fn push(&mut self, image: &str, digest: &str, content: &[u8]) {
        let answer = self.ask("POST", &format!("/v2/{image}/blobs/uploads/?digest={digest}"), &[], content).await;
        self.row("push of a blob that is needed", &answer, &[201]);
    }

    /// Tells what was checked.
    pub(super) fn end(self) {
        let Table { held, broken, .. } = self;
        // Past the capture of the test's output: how many rows there were says what the result is worth.
        let line =
            format!("distribution protocol: {held} hold, {} fail, {} in all\n", broken.len(), held + broken.len());
        std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}

/// Where an answer leads to.
pub(super) fn location(answer: &Answer) -> String {
    answer.header("location").unwrap_or("/no-location").to_owned()
}

/// The place to end an upload at.
pub(super) fn ending(location: &str, digest: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={digest}")
}

/// The JSON of an answer; null if it is none.
pub(super) fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// Bytes that are not all the same.
pub(super) fn bytes(seed: &str, length: usize) -> Vec<u8> {
    let mut block = Sha256::digest(seed).to_vec();
    let mut all = Vec::with_capacity(length + block.len());
    while all.len() < length {
        all.extend_from_slice(&block);
        block = Sha256::digest(&block).to_vec();
    }
    all.truncate(length);
    all
}
