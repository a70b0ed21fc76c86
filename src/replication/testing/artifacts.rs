//! Artifacts in memory, behind the calls that runs make.
#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "each has the form of the call that it stands in for"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use steward_proto::artifact::v1::*;
use tonic::body::Body;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

/// The artifacts of one repository.
#[derive(Default)]
pub(in super::super) struct FakeArtifacts(Mutex<State>);

#[derive(Default)]
struct State {
    is_generic: bool,
    files: BTreeMap<String, File>,
    tags: BTreeMap<(String, String), (String, i64)>,
    manifests: BTreeMap<(String, String), (Manifest, Bytes)>,
    blobs: BTreeMap<String, Bytes>,
    changes: Vec<ArtifactChange>,
    is_compacted: bool,
}

pub(in super::super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({"mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len()})
}

fn gone(what: &str) -> Status {
    Status::not_found(format!("{what} not found"))
}

impl FakeArtifacts {
    pub(in super::super) fn blob(&self, bytes: &[u8]) -> String {
        let digest = digest_of(bytes);
        self.0.lock().blobs.insert(digest.clone(), Bytes::copy_from_slice(bytes));
        digest
    }

    pub(in super::super) fn forget_blob(&self, digest: &str) {
        self.0.lock().blobs.remove(digest);
    }

    /// Stores a manifest, and answers its digest.
    pub(in super::super) fn manifest(&self, image: &str, content: &serde_json::Value) -> String {
        let bytes = Bytes::from(content.to_string());
        let text = |field: &str| content[field].as_str().unwrap_or_default().to_owned();
        let manifest = Manifest {
            digest: digest_of(&bytes),
            media_type: text("mediaType"),
            size: i64::try_from(bytes.len()).unwrap(),
            subject: content["subject"]["digest"].as_str().unwrap_or_default().to_owned(),
            ..Manifest::default()
        };
        let digest = manifest.digest.clone();
        let mut state = self.0.lock();
        let (subject, image) = (manifest.subject.clone(), image.to_owned());
        state.manifests.insert((image.clone(), digest.clone()), (manifest, bytes));
        if !subject.is_empty() {
            state.change(ArtifactChange { image, digest: digest.clone(), subject, ..ArtifactChange::default() });
        }
        digest
    }

    /// A manifest of a config and some layers.
    pub(in super::super) fn image(&self, image: &str, layers: &[&[u8]]) -> String {
        self.image_with(image, layers, None)
    }

    fn image_with(&self, image: &str, layers: &[&[u8]], subject: Option<serde_json::Value>) -> String {
        let config = format!("config of {layers:?}");
        self.blob(config.as_bytes());
        for layer in layers {
            self.blob(layer);
        }
        let layer = |bytes: &&[u8]| descriptor("application/vnd.oci.image.layer.v1.tar", bytes);
        let mut manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
        });
        if let Some(subject) = subject {
            manifest["subject"] = subject;
        }
        self.manifest(image, &manifest)
    }

    pub(in super::super) fn referrer(&self, image: &str, subject: &str, layer: &[u8]) -> String {
        let subject = serde_json::json!({"mediaType": "x", "digest": subject, "size": 1});
        self.image_with(image, &[layer], Some(subject))
    }

    pub(in super::super) fn index(&self, image: &str, children: &[&str]) -> String {
        let child = |digest: &&str| serde_json::json!({"mediaType": "m", "digest": digest, "size": 1});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": children.iter().map(child).collect::<Vec<_>>(),
        });
        self.manifest(image, &manifest)
    }

    /// Points a tag at a manifest. Later tags are newer.
    pub(in super::super) fn tag(&self, image: &str, tag: &str, digest: &str) {
        let mut state = self.0.lock();
        let before = state.tags.get(&(image.to_owned(), tag.to_owned())).map(|(digest, _)| digest.clone());
        let stamp = state.change(ArtifactChange {
            image: image.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            before: before.unwrap_or_default(),
            ..ArtifactChange::default()
        });
        state.tags.insert((image.to_owned(), tag.to_owned()), (digest.to_owned(), stamp));
    }

    pub(in super::super) fn untag(&self, image: &str, tag: &str) {
        let mut state = self.0.lock();
        let before = state.tags.remove(&(image.to_owned(), tag.to_owned())).map(|(digest, _)| digest);
        let (image, tag, before) = (image.to_owned(), tag.to_owned(), before.unwrap_or_default());
        state.change(ArtifactChange { image, tag, before, ..ArtifactChange::default() });
    }

    pub(in super::super) fn file(&self, path: &str, bytes: &[u8]) {
        let digest = self.blob(bytes);
        let mut state = self.0.lock();
        state.is_generic = true;
        let sha256 = digest.strip_prefix("sha256:").unwrap().to_owned();
        let file = File {
            path: path.to_owned(),
            size: i64::try_from(bytes.len()).unwrap(),
            sha256: sha256.clone(),
            ..File::default()
        };
        let before = state.files.insert(path.to_owned(), file).map(|file| file.sha256).unwrap_or_default();
        state.change(ArtifactChange { path: path.to_owned(), digest: sha256, before, ..ArtifactChange::default() });
    }

    pub(in super::super) fn remove_file(&self, path: &str) {
        let mut state = self.0.lock();
        let before = state.files.remove(path).map(|file| file.sha256).unwrap_or_default();
        state.change(ArtifactChange { path: path.to_owned(), before, ..ArtifactChange::default() });
    }

    pub(in super::super) fn stamp(&self) -> u64 {
        u64::try_from(self.0.lock().changes.last().map_or(0, |change| change.stamp)).unwrap()
    }

    pub(in super::super) fn compact(&self) {
        self.0.lock().is_compacted = true;
    }

    /// The service of these artifacts.
    pub(in super::super) fn service(
        self: Arc<Self>,
    ) -> impl Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static {
        service_fn(move |request: http::Request<Body>| {
            let this = Arc::clone(&self);
            async move { Ok::<_, Infallible>(this.serve(request).await) }
        })
    }

    async fn serve(self: Arc<Self>, request: http::Request<Body>) -> http::Response<Body> {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        macro_rules! calls {
            ($($name:literal $handle:ident;)*) => {
                match &*method {
                    $($name => {
                        let unary = service_fn(move |request: Request<_>| {
                            let answer = self.0.lock().$handle(request.into_inner());
                            async move { answer.map(Response::new) }
                        });
                        tonic::server::Grpc::new(ProstCodec::default()).unary(unary, request).await
                    })*
                    "DownloadBlob" => {
                        let streaming = service_fn(move |request: Request<DownloadBlobRequest>| {
                            let answer = self.0.lock().download(request.into_inner());
                            async move { answer.map(Response::new) }
                        });
                        tonic::server::Grpc::new(ProstCodec::default()).server_streaming(streaming, request).await
                    }
                    other => panic!("runs do not call {other}"),
                }
            };
        }
        calls! {
            "GetRepository" repository;
            "ListPackages" packages;
            "ListVersions" versions;
            "GetVersion" version;
            "GetFile" get_file;
            "StatFiles" stat_files;
            "ListFiles" list_files;
            "GetManifest" get_manifest;
            "ListReferrers" referrers;
            "ListChanges" list_changes;
        }
    }
}

type Download = Pin<Box<dyn Stream<Item = Result<DownloadBlobResponse, Status>> + Send>>;

impl State {
    fn change(&mut self, mut change: ArtifactChange) -> i64 {
        change.stamp = self.changes.last().map_or(0, |change| change.stamp) + 1;
        let stamp = change.stamp;
        self.changes.push(change);
        stamp
    }

    fn repository(&mut self, _: GetRepositoryRequest) -> Result<GetRepositoryResponse, Status> {
        let r#type = if self.is_generic { RepositoryType::Generic } else { RepositoryType::Docker };
        Ok(GetRepositoryResponse { repository: Some(Repository { r#type: r#type.into(), ..Repository::default() }) })
    }

    /// Two to a page, so that pages matter.
    fn page<T>(all: Vec<T>, token: &str) -> (Vec<T>, String) {
        let start: usize = token.parse().unwrap_or(0);
        let next = if all.len() > start + 2 { (start + 2).to_string() } else { String::new() };
        (all.into_iter().skip(start).take(2).collect(), next)
    }

    fn packages(&mut self, request: ListPackagesRequest) -> Result<ListPackagesResponse, Status> {
        let mut images: Vec<&String> = self.tags.keys().map(|(image, _)| image).collect();
        images.dedup();
        let package = |image: &&String| Package { key: format!("docker://{image}"), ..Package::default() };
        let (packages, next_page_token) = Self::page(images.iter().map(package).collect(), &request.page_token);
        Ok(ListPackagesResponse { packages, next_page_token, ..ListPackagesResponse::default() })
    }

    fn version_of(&self, image: &str, tag: &str) -> Option<PackageVersion> {
        let (digest, stamp) = self.tags.get(&(image.to_owned(), tag.to_owned()))?;
        Some(PackageVersion {
            name: tag.to_owned(),
            manifest: self.manifests.get(&(image.to_owned(), digest.clone())).map(|(manifest, _)| manifest.clone()),
            modify_time: Some(prost_types::Timestamp { seconds: *stamp, nanos: 0 }),
            ..PackageVersion::default()
        })
    }

    fn versions(&mut self, request: ListVersionsRequest) -> Result<ListVersionsResponse, Status> {
        let image = request.key.strip_prefix("docker://").unwrap_or_default();
        let tags = self.tags.keys().filter(|(of, _)| of == image);
        let all: Vec<_> = tags.filter_map(|(_, tag)| self.version_of(image, tag)).collect();
        if all.is_empty() {
            return Err(gone("package"));
        }
        let (versions, next_page_token) = Self::page(all, &request.page_token);
        Ok(ListVersionsResponse { versions, next_page_token, ..ListVersionsResponse::default() })
    }

    fn version(&mut self, request: GetVersionRequest) -> Result<GetVersionResponse, Status> {
        let image = request.key.strip_prefix("docker://").unwrap_or_default();
        let version = self.version_of(image, &request.version).ok_or_else(|| gone("version"))?;
        Ok(GetVersionResponse { version: Some(version) })
    }

    fn get_file(&mut self, request: GetFileRequest) -> Result<GetFileResponse, Status> {
        if let Some(file) = self.files.get(&request.path) {
            return Ok(GetFileResponse { file: Some(file.clone()) });
        }
        let below = format!("{}/", request.path);
        if self.files.keys().any(|path| path.starts_with(&below)) {
            let file = File { path: request.path, folder: true, ..File::default() };
            return Ok(GetFileResponse { file: Some(file) });
        }
        Err(gone("file"))
    }

    fn stat_files(&mut self, request: StatFilesRequest) -> Result<StatFilesResponse, Status> {
        let files = request.paths.iter().filter_map(|path| self.files.get(path).cloned()).collect();
        Ok(StatFilesResponse { files })
    }

    fn list_files(&mut self, request: ListFilesRequest) -> Result<ListFilesResponse, Status> {
        let below = format!("{}/", request.folder.trim_end_matches('/'));
        let all = self.files.values().filter(|file| file.path.starts_with(&below)).cloned().collect();
        let (files, next_page_token) = Self::page(all, &request.page_token);
        Ok(ListFilesResponse { files, next_page_token, ..ListFilesResponse::default() })
    }

    fn get_manifest(&mut self, request: GetManifestRequest) -> Result<GetManifestResponse, Status> {
        let image = request.name.unwrap_or_default().image;
        let tagged = self.tags.get(&(image.clone(), request.reference.clone())).map(|(digest, _)| digest.clone());
        let digest = tagged.unwrap_or(request.reference);
        let (manifest, content) = self.manifests.get(&(image, digest)).cloned().ok_or_else(|| gone("manifest"))?;
        Ok(GetManifestResponse { manifest: Some(manifest), content })
    }

    fn referrers(&mut self, request: ListReferrersRequest) -> Result<ListReferrersResponse, Status> {
        let image = request.name.unwrap_or_default().image;
        let found = self
            .manifests
            .iter()
            .filter(|((of, _), (manifest, _))| *of == image && manifest.subject == request.subject);
        let referrers = found.map(|((_, digest), _)| Descriptor { digest: digest.clone(), ..Descriptor::default() });
        Ok(ListReferrersResponse { referrers: referrers.collect(), next_page_token: String::new() })
    }

    fn list_changes(&mut self, request: ListChangesRequest) -> Result<ListChangesResponse, Status> {
        use tonic_types::{ErrorDetails, StatusExt as _};
        if self.is_compacted {
            let details = ErrorDetails::with_error_info("REVISION_COMPACTED", "steward", []);
            return Err(Status::with_error_details(tonic::Code::OutOfRange, "compacted", details));
        }
        let behind = self.changes.iter().filter(|change| change.stamp > request.after_stamp);
        let changes: Vec<_> = behind.take(3).cloned().collect();
        let last_stamp = changes.last().map_or(request.after_stamp, |change| change.stamp);
        let has_more = self.changes.last().is_some_and(|change| change.stamp > last_stamp);
        Ok(ListChangesResponse { changes, last_stamp, has_more })
    }

    fn download(&mut self, request: DownloadBlobRequest) -> Result<Download, Status> {
        use download_blob_response::Part;
        let of_file = self.files.get(&request.path).map(|file| format!("sha256:{}", file.sha256));
        if self.is_generic && of_file.as_ref() != Some(&request.digest) {
            return Err(gone("blob"));
        }
        let blob = self.blobs.get(&request.digest).cloned().ok_or_else(|| gone("blob"))?;
        let offset = usize::try_from(request.offset.unwrap_or(0)).unwrap();
        let length = request.length.map_or(blob.len() - offset, |length| usize::try_from(length).unwrap());
        let bytes = blob.slice(offset..offset + length);
        let start = DownloadStart {
            size: i64::try_from(blob.len()).unwrap(),
            offset: i64::try_from(offset).unwrap(),
            length: i64::try_from(length).unwrap(),
        };
        let middle = bytes.len() / 2;
        let parts = [Part::Start(start), Part::Chunk(bytes.slice(..middle)), Part::Chunk(bytes.slice(middle..))];
        Ok(stream::iter(parts.map(|part| Ok(DownloadBlobResponse { part: Some(part) }))).boxed())
    }
}
