//! Where artifacts are copied to. A run (`runner`) decides what is copied in which order; a target only does it.
//!
//! - [`Target`] is what a run asks of a target.
//! - [`BlobSource`] is where the bytes of a blob come from, from any offset on.
//! - [`Sessions`] keeps how far uploads of blobs have come, over crashes.
//! - [`Meter`] is asked before bytes are sent: it holds them back as the rate limit says, and ends them when the run is
//!   to stop.

mod address;
mod chunks;
mod cluster;
mod connect;
mod content;
mod factory;
mod http;
mod limits;
mod locks;
mod push;
mod registry;
mod retry;
#[cfg(test)]
mod testing;
mod tls;
mod url;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use steward_proto::artifact::v1::{File, Manifest};

pub(super) use self::address::Addresses;
pub(super) use self::cluster::ClusterAddress;
pub(super) use self::factory::TargetFactory;

/// A target of a task.
#[async_trait]
pub(super) trait Target: Send + Sync {
    /// What it is called in logs: its URL, without secrets.
    fn name(&self) -> &str;

    /// Asks whether it is there and takes the credentials. A project and repository at another Steward are created
    /// where the task says so.
    async fn prepare(&self) -> Result<(), TargetError>;

    /// The digest of a manifest by tag or digest; `None`: there is none.
    async fn manifest_digest(&self, image: &str, reference: &str) -> Result<Option<String>, TargetError>;

    /// The same, but the one that is wanted if it is that manifest, whatever algorithm the target makes its digests by.
    async fn manifest_digest_like(
        &self,
        image: &str,
        reference: &str,
        _wanted: &str,
    ) -> Result<Option<String>, TargetError> {
        self.manifest_digest(image, reference).await
    }

    /// Which of some blobs the image does not have there, in the order of `blobs`.
    async fn missing_blobs<'a>(&self, image: &str, blobs: &'a [BlobRef]) -> Result<Vec<&'a BlobRef>, TargetError>;

    /// Brings a blob to an image: mounts it from another image if that works, else sends what is not there yet, from
    /// where an earlier attempt stopped, in chunks; each is noted in `sessions` when the target has acknowledged it.
    /// Retries what may work the next time.
    async fn push_blob(&self, push: BlobPush<'_>) -> Result<Pushed, TargetError>;

    /// Stores a manifest under its digest and as these tags, and asks for it again: the digest has to be the same.
    /// A manifest with a subject is made findable there, by the tag schema of the distribution specification where the
    /// target does not know referrers.
    async fn put_manifest(&self, put: ManifestPut<'_>) -> Result<(), TargetError>;

    /// Deletes a tag if it still names `digest`. `false`: it was not there, or names another one, and stays.
    async fn delete_tag(&self, image: &str, tag: &str, digest: &str) -> Result<bool, TargetError>;

    /// What the target has of some files: the digest of what it has for each path, by the same function as
    /// [`Target::file_digest`], `None` for what is not there. In the order of `paths`.
    async fn file_digests(&self, files: &[File]) -> Result<Vec<Option<String>>, TargetError>;

    /// The digest that a file would have there if it were the same: its SHA-256 at a Steward, at a registry that of the manifest
    /// that the file becomes.
    fn file_digest(&self, file: &File, with_metadata: bool) -> String;

    /// Brings a file there.
    async fn put_file(&self, put: FilePut<'_>) -> Result<Pushed, TargetError>;

    /// Deletes a file if it still has the bytes of `sha256`. `false`: it was not there, or has others, and stays.
    async fn delete_file(&self, path: &str, sha256: &str) -> Result<bool, TargetError>;
}

/// A blob by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlobRef {
    /// Its digest.
    pub(super) digest: String,
    /// How long it is.
    pub(super) size: u64,
}

/// What [`Target::push_blob`] is to do.
pub(super) struct BlobPush<'a> {
    /// The image at the target.
    pub(super) image: &'a str,
    pub(super) blob: &'a BlobRef,
    /// Other images of the same target that had the blob when it was last heard of.
    pub(super) mount_from: &'a [String],
    pub(super) source: &'a dyn BlobSource,
    pub(super) sessions: &'a dyn Sessions,
    pub(super) meter: &'a dyn Meter,
}

/// What [`Target::put_manifest`] is to do.
pub(super) struct ManifestPut<'a> {
    /// The image at the target.
    pub(super) image: &'a str,
    pub(super) manifest: &'a Manifest,
    pub(super) content: &'a Bytes,
    /// Tags at the target; empty: it is known by its digest alone.
    pub(super) tags: &'a [String],
    /// Metadata of the version, where the target takes it.
    pub(super) metadata: &'a std::collections::HashMap<String, String>,
}

/// What [`Target::put_file`] is to do.
pub(super) struct FilePut<'a> {
    pub(super) file: &'a File,
    pub(super) with_metadata: bool,
    /// What has the path is replaced.
    pub(super) overwrite: bool,
    pub(super) source: &'a dyn BlobSource,
    pub(super) sessions: &'a dyn Sessions,
    pub(super) meter: &'a dyn Meter,
}

/// What bringing a blob somewhere came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// How many bytes were sent, those included that were sent again.
    pub(super) sent: u64,
    /// How many were there from an attempt before.
    pub(super) resumed_from: u64,
    /// The target took it from another image, or had it.
    pub(super) mounted: bool,
}

/// Where the bytes of a blob come from.
#[async_trait]
pub(super) trait BlobSource: Send + Sync {
    /// Its bytes from `offset` on, at most `length` of them.
    async fn read(
        &self,
        offset: u64,
        length: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, TargetError>>, TargetError>;
}

/// How far uploads of blobs have come.
#[async_trait]
pub(super) trait Sessions: Send + Sync {
    /// The one of a blob to a place at the target: an image, or the path of a file.
    async fn load(&self, place: &str, digest: &str) -> Result<Option<Session>, TargetError>;
    /// Notes it. Durable when it returns.
    async fn save(&self, place: &str, digest: &str, session: &Session) -> Result<(), TargetError>;
    /// Forgets it.
    async fn clear(&self, place: &str, digest: &str) -> Result<(), TargetError>;
}

/// How far the upload of a blob has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// Where the target wants the next chunk, or its name for the upload.
    pub(super) location: String,
    /// How many bytes it has acknowledged.
    pub(super) offset: u64,
}

/// Asked before bytes are sent.
#[async_trait]
pub(super) trait Meter: Send + Sync {
    /// Returns when so many bytes may be sent. [`TargetError::Cancelled`]: none any more.
    async fn allow(&self, bytes: u64) -> Result<(), TargetError>;
    /// So many bytes were sent.
    fn sent(&self, bytes: u64);
    /// Returns when the run is to stop: what waits for the target is given up then.
    async fn cancelled(&self);
    /// Something that belongs into the log of the run: a retry, a wait for a target that is busy.
    fn log(&self, level: &'static str, text: String);
}

/// Why a target did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    /// It cannot be reached, or does not answer as the protocol has it.
    #[error("{0}")]
    Unreachable(String),
    /// Its certificate is not trusted.
    #[error("{0}")]
    Tls(String),
    /// Its address is one that this server does not go to.
    #[error("{0}")]
    Forbidden(String),
    /// It does not know the user, or the user may not do this.
    #[error("{0}")]
    Denied(String),
    /// It is busy, and said when to come again.
    #[error("{problem}")]
    Busy {
        /// What it said.
        problem: String,
        /// When to come again.
        after: Option<Duration>,
    },
    /// It refuses: trying again does not help.
    #[error("{0}")]
    Refused(String),
    /// What it has is not what was sent.
    #[error("{0}")]
    Mismatch(String),
    /// What is to be copied is not there any more, or cannot be read.
    #[error("{0}")]
    Source(String),
    /// The run is to stop.
    #[error("the run was stopped")]
    Cancelled,
}
