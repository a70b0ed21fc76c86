//! A target in memory that is as strict as a registry, and fails as it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use parking_lot::Mutex;
use steward_proto::artifact::v1::{File, RepositoryType};
use steward_proto::replication::v1::Config;
use tokio::sync::Semaphore;

use super::super::target::{
    BlobPush, BlobRef, ClusterAddress, FilePut, ManifestPut, Pushed, Session, Target, TargetError,
};
use super::super::targets::Targets;
use super::artifacts::digest_of;

/// How many bytes a chunk has.
const CHUNK: u64 = 4;

/// How the next request fails.
#[derive(Clone, Debug)]
pub(in super::super) enum Fault {
    Unreachable,
    Refused,
    Mismatch,
}

impl Fault {
    fn error(&self) -> TargetError {
        match self {
            Fault::Unreachable => TargetError::Unreachable("nobody answers".to_owned()),
            Fault::Refused => TargetError::Refused("it is not wanted".to_owned()),
            Fault::Mismatch => TargetError::Mismatch("it is another digest there".to_owned()),
        }
    }
}

#[derive(Default)]
pub(in super::super) struct FakeTarget {
    pub(in super::super) state: Mutex<State>,
    /// If there is one, each chunk takes a permit.
    gate: Mutex<Option<Arc<Semaphore>>>,
}

#[derive(Default)]
pub(in super::super) struct State {
    /// By image.
    blobs: BTreeSet<(String, String)>,
    bytes: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<(String, String), Vec<u8>>,
    pub(in super::super) tags: BTreeMap<(String, String), String>,
    pub(in super::super) files: BTreeMap<String, String>,
    /// Uploads by location.
    uploads: BTreeMap<String, Vec<u8>>,
    /// The next faults of pushes and puts.
    pub(in super::super) faults: VecDeque<Fault>,
    /// Faults of everything.
    pub(in super::super) is_down: bool,
    /// Manifests and blobs in the order in which they came.
    pub(in super::super) log: Vec<String>,
    pub(in super::super) chunks: usize,
}

impl FakeTarget {
    pub(in super::super) fn factory(self: Arc<Self>) -> Arc<dyn Targets> {
        Arc::new(Factory(self))
    }

    /// Lets so many chunks through, and no more until there are further ones.
    pub(in super::super) fn gate(&self, chunks: usize) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(chunks));
        *self.gate.lock() = Some(Arc::clone(&gate));
        gate
    }

    pub(in super::super) fn open(&self) {
        if let Some(gate) = self.gate.lock().take() {
            gate.add_permits(1_000_000);
        }
    }

    pub(in super::super) fn digest(&self, image: &str, tag: &str) -> Option<String> {
        self.state.lock().tags.get(&(image.to_owned(), tag.to_owned())).cloned()
    }

    pub(in super::super) fn put_tag(&self, image: &str, tag: &str, digest: &str) {
        self.state.lock().tags.insert((image.to_owned(), tag.to_owned()), digest.to_owned());
    }

    /// How often something was brought.
    pub(in super::super) fn count(&self, what: &str) -> usize {
        self.state.lock().log.iter().filter(|line| *line == what).count()
    }

    fn check_up(&self) -> Result<(), TargetError> {
        if self.state.lock().is_down { Err(Fault::Unreachable.error()) } else { Ok(()) }
    }

    fn fail(&self) -> Result<(), TargetError> {
        self.check_up()?;
        match self.state.lock().faults.pop_front() {
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }

    async fn chunk(&self) {
        let gate = self.gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.expect("a gate").forget();
        }
        self.state.lock().chunks += 1;
    }

    /// Takes bytes in chunks, from where an earlier attempt stopped.
    async fn take(&self, place: &str, push: &BlobPush<'_>) -> Result<Pushed, TargetError> {
        let BlobRef { digest, size } = push.blob;
        let location = format!("{place} {digest}");
        let session = push.sessions.load(place, digest).await?;
        let known = self.state.lock().uploads.get(&location).map_or(0, Vec::len) as u64;
        let mut offset = session.filter(|session| session.location == location).map_or(0, |session| session.offset);
        if offset != known {
            offset = 0;
            self.state.lock().uploads.remove(&location);
        }
        let mut pushed = Pushed { resumed_from: offset, ..Pushed::default() };
        while offset < *size {
            let length = CHUNK.min(size - offset);
            push.meter.allow(length).await?;
            let bytes: Vec<_> = push.source.read(offset, length).await?.try_collect().await?;
            tokio::select! {
                () = self.chunk() => {}
                () = push.meter.cancelled() => return Err(TargetError::Cancelled),
            }
            self.fail()?;
            self.state.lock().uploads.entry(location.clone()).or_default().extend(bytes.concat());
            push.meter.sent(length);
            offset += length;
            pushed.sent += length;
            let session = Session { location: location.clone(), offset };
            push.sessions.save(place, digest, &session).await?;
        }
        let bytes = self.state.lock().uploads.remove(&location).unwrap_or_default();
        push.sessions.clear(place, digest).await?;
        if digest_of(&bytes) != *digest {
            return Err(TargetError::Mismatch(format!("what came is not {digest}")));
        }
        self.state.lock().bytes.insert(digest.clone(), bytes);
        Ok(pushed)
    }
}

struct Factory(Arc<FakeTarget>);

#[async_trait]
impl Targets for Factory {
    async fn target(
        &self,
        _: &Config,
        _: Option<String>,
        _: Option<ClusterAddress>,
        _: RepositoryType,
    ) -> Result<Arc<dyn Target>, TargetError> {
        Ok(Arc::clone(&self.0) as Arc<dyn Target>)
    }
}

#[async_trait]
impl Target for FakeTarget {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn prepare(&self) -> Result<(), TargetError> {
        self.check_up()
    }

    async fn manifest_digest(&self, image: &str, reference: &str) -> Result<Option<String>, TargetError> {
        self.check_up()?;
        let (state, key) = (self.state.lock(), (image.to_owned(), reference.to_owned()));
        let by_digest = state.manifests.contains_key(&key).then(|| reference.to_owned());
        Ok(state.tags.get(&key).cloned().or(by_digest))
    }

    async fn missing_blobs<'a>(&self, image: &str, blobs: &'a [BlobRef]) -> Result<Vec<&'a BlobRef>, TargetError> {
        self.check_up()?;
        let state = self.state.lock();
        let is_there = |blob: &&BlobRef| state.blobs.contains(&(image.to_owned(), blob.digest.clone()));
        Ok(blobs.iter().filter(|blob| !is_there(blob)).collect())
    }

    async fn push_blob(&self, push: BlobPush<'_>) -> Result<Pushed, TargetError> {
        let digest = push.blob.digest.clone();
        let is_mountable = {
            let state = self.state.lock();
            push.mount_from.iter().any(|image| state.blobs.contains(&(image.clone(), digest.clone())))
        };
        let pushed = if is_mountable {
            Pushed { mounted: true, ..Pushed::default() }
        } else {
            self.take(push.image, &push).await?
        };
        let mut state = self.state.lock();
        state.blobs.insert((push.image.to_owned(), digest.clone()));
        state.log.push(if pushed.mounted { format!("mount {digest}") } else { digest });
        Ok(pushed)
    }

    async fn put_manifest(&self, put: ManifestPut<'_>) -> Result<(), TargetError> {
        self.fail()?;
        let mut state = self.state.lock();
        let content: serde_json::Value = serde_json::from_slice(put.content).expect("a manifest");
        let digest_in = |part: &serde_json::Value| part["digest"].as_str().unwrap_or_default().to_owned();
        let list = |field: &str| content[field].as_array().cloned().unwrap_or_default();
        for blob in list("layers").iter().chain(content.get("config")) {
            let is_foreign = blob["mediaType"].as_str().is_some_and(|kind| kind.contains("nondistributable"));
            if !is_foreign && !state.blobs.contains(&(put.image.to_owned(), digest_in(blob))) {
                return Err(TargetError::Refused(format!("blob {} is not there", digest_in(blob))));
            }
        }
        for child in list("manifests") {
            if !state.manifests.contains_key(&(put.image.to_owned(), digest_in(&child))) {
                return Err(TargetError::Refused(format!("manifest {} is not there", digest_in(&child))));
            }
        }
        let digest = digest_of(put.content);
        assert_eq!(digest, put.manifest.digest, "the bytes of a manifest are unchanged");
        state.manifests.insert((put.image.to_owned(), digest.clone()), put.content.to_vec());
        for tag in put.tags {
            state.tags.insert((put.image.to_owned(), tag.clone()), digest.clone());
        }
        state.log.push(digest);
        Ok(())
    }

    async fn delete_tag(&self, image: &str, tag: &str, digest: &str) -> Result<bool, TargetError> {
        let (mut state, key) = (self.state.lock(), (image.to_owned(), tag.to_owned()));
        let is_same = state.tags.get(&key).is_some_and(|there| there == digest);
        if is_same {
            state.tags.remove(&key);
        }
        Ok(is_same)
    }

    async fn file_digests(&self, files: &[File]) -> Result<Vec<Option<String>>, TargetError> {
        self.check_up()?;
        let state = self.state.lock();
        Ok(files.iter().map(|file| state.files.get(&file.path).cloned()).collect())
    }

    fn file_digest(&self, file: &File, _: bool) -> String {
        file.sha256.clone()
    }

    async fn put_file(&self, put: FilePut<'_>) -> Result<Pushed, TargetError> {
        self.fail()?;
        let size = u64::try_from(put.file.size).unwrap();
        let blob = BlobRef { digest: format!("sha256:{}", put.file.sha256), size };
        let push = BlobPush {
            image: "",
            blob: &blob,
            mount_from: &[],
            source: put.source,
            sessions: put.sessions,
            meter: put.meter,
        };
        let pushed = self.take(&put.file.path, &push).await?;
        let mut state = self.state.lock();
        state.files.insert(put.file.path.clone(), put.file.sha256.clone());
        state.log.push(put.file.path.clone());
        Ok(pushed)
    }

    async fn delete_file(&self, path: &str, sha256: &str) -> Result<bool, TargetError> {
        let mut state = self.state.lock();
        let is_same = state.files.get(path).is_some_and(|there| there == sha256);
        if is_same {
            state.files.remove(path);
        }
        Ok(is_same)
    }
}
