//! Words in which the tests speak REST to a repository.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::common::http::{Answer, HttpPort};
use crate::common::server::{Server, Setup};
use crate::common::users::basic;

pub(crate) const V1: &str = "application/vnd.x.restic.rest.v1";
pub(crate) const V2: &str = "application/vnd.x.restic.rest.v2";

/// The types of objects whose names are digests.
pub(crate) const TYPES: [&str; 5] = ["data", "keys", "locks", "snapshots", "index"];

/// Bytes under the name that they have to have.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn blob(bytes: impl Into<Vec<u8>>) -> Blob {
    let bytes = bytes.into();
    Blob { name: digest(&bytes), bytes }
}

/// So many bytes that do not repeat soon.
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

/// The SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A line of a list.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) size: u64,
}

/// A repository behind a URL.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    pub(crate) port: HttpPort,
    /// Begins and ends with a slash.
    pub(crate) path: String,
    authorization: Option<String>,
}

impl Repo {
    pub(crate) fn at(port: HttpPort, path: &str) -> Self {
        Repo { port, path: path.to_owned(), authorization: None }
    }

    /// The same repository, asked by somebody.
    pub(crate) fn by(&self, user: &str, password: &str) -> Self {
        Repo { authorization: Some(basic(user, password)), ..self.clone() }
    }

    /// A request for what is `below` the path of the repository.
    pub(crate) async fn request(&self, method: &str, below: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut headers = headers.to_vec();
        if let Some(authorization) = &self.authorization {
            headers.push(("Authorization", authorization));
        }
        self.port.request(method, &format!("{}{below}", self.path), &headers, body).await
    }

    pub(crate) async fn get(&self, below: &str) -> Answer {
        self.request("GET", below, &[], b"").await
    }

    pub(crate) async fn head(&self, below: &str) -> Answer {
        self.request("HEAD", below, &[], b"").await
    }

    pub(crate) async fn range(&self, below: &str, range: &str) -> Answer {
        self.request("GET", below, &[("Range", range)], b"").await
    }

    pub(crate) async fn post(&self, below: &str, body: &[u8]) -> Answer {
        self.request("POST", below, &[("Content-Type", "application/octet-stream")], body).await
    }

    pub(crate) async fn delete(&self, below: &str) -> Answer {
        self.request("DELETE", below, &[], b"").await
    }

    /// Creates it.
    pub(crate) async fn create(&self) {
        assert_ok(&self.post("?create=true", b"").await);
    }

    /// Stores what is expected to be taken.
    pub(crate) async fn store(&self, kind: &str, blob: &Blob) {
        assert_ok(&self.post(&format!("{kind}/{}", blob.name), &blob.bytes).await);
    }

    /// The second version's list of a type, in the order in which it came.
    pub(crate) async fn list(&self, kind: &str) -> Vec<Listed> {
        let answer = self.request("GET", &format!("{kind}/"), &[("Accept", V2)], b"").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(V2)), "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("a list of objects")
    }

    pub(crate) async fn names(&self, kind: &str) -> Vec<String> {
        self.list(kind).await.into_iter().map(|listed| listed.name).collect()
    }

    pub(crate) async fn has(&self, kind: &str, blob: &Blob) -> bool {
        let answer = self.head(&format!("{kind}/{}", blob.name)).await;
        assert!(matches!(answer.status, 200 | 404), "{}", answer.status);
        answer.status == 200
    }
}

/// restic takes 200 alone for a success.
#[track_caller]
pub(crate) fn assert_ok(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

/// A refusal that says why, in JSON.
#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, status: u16) {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Refusal {
        error: String,
    }
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let refusal: Refusal = serde_json::from_slice(&answer.body).expect("an object that says why");
    assert!(!refusal.error.is_empty() && !refusal.error.ends_with('.'), "{:?}", refusal.error);
}

/// Every way to a repository: on the main port and on the port of repositories, at the root and below it. They are
/// four different repositories, all created.
#[derive(Debug)]
pub(crate) struct Everywhere {
    /// The root repository can be reached through both ports: so each port has a server of its own.
    _servers: [Server; 2],
    repos: [Repo; 4],
}

impl Everywhere {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let main = setup.clone().start().await;
        let alone = setup.restic_listen().start().await;
        let repos = [
            Repo::at(main.http(), "/"),
            Repo::at(main.http(), "/restic/a/b/"),
            Repo::at(alone.restic(), "/"),
            Repo::at(alone.restic(), "/a/b/"),
        ];
        for repo in &repos {
            repo.create().await;
        }
        Everywhere { _servers: [main, alone], repos }
    }

    pub(crate) fn repos(&self) -> impl Iterator<Item = &Repo> {
        self.repos.iter()
    }
}
