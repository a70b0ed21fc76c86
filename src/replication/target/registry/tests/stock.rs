//! The registry that most have. Where it is not installed, its tests say so and pass.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use steward_proto::artifact::v1::File;

use super::super::super::testing::{CHUNK, Counting, Kept, Memory, factory};
use super::super::super::{BlobPush, FilePut, Target, TargetError};
use super::{IMAGE, manifest_of, push_with, put, target_by};

struct Stock {
    process: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Drop for Stock {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts one, if it is installed.
async fn start() -> Option<Stock> {
    let directory = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = directory.path().join("config.yml");
    let root = directory.path().join("data");
    let text = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: \
         true\nhttp:\n  addr: 127.0.0.1:{port}\n",
        root.display()
    );
    std::fs::write(&config, text).unwrap();
    let spawned =
        Command::new("docker-registry").arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let process = match spawned {
        Ok(process) => process,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let _ = writeln!(std::io::stderr(), "skipped: docker-registry: {error}");
            return None;
        }
        Err(error) => panic!("docker-registry cannot be started: {error}"),
    };
    let url = format!("http://127.0.0.1:{port}");
    let stock = Stock { process, url, _directory: directory };
    while factory().reach(&stock.url, "").await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Some(stock)
}

async fn blob(target: &dyn Target, source: &Memory) -> u64 {
    let (sessions, meter) = (Kept::default(), Counting::default());
    push_with(target, source, &sessions, &meter).await.unwrap().sent
}

fn image(config: &Memory, layer: &Memory, more: &serde_json::Value) -> Bytes {
    let mut json = serde_json::json!({
        "schemaVersion": 2, "mediaType": IMAGE,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.blob().digest,
                    "size": config.blob().size },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.blob().digest,
                     "size": layer.blob().size }],
    });
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json.to_string().into()
}

#[tokio::test]
async fn the_stock_registry_takes_images_referrers_and_files_and_gives_tags_back() {
    let Some(stock) = start().await else { return };
    let target = target_by(&factory(), &format!("{}/mirror", stock.url), "", "").await;
    target.prepare().await.unwrap();
    let (config, layer) = (Memory(Bytes::from_static(b"{}")), Memory::of(3 * CHUNK + 5));
    assert_eq!(blob(&*target, &config).await, 2);
    assert_eq!(blob(&*target, &layer).await, 3 * CHUNK + 5);
    let blobs = [config.blob(), layer.blob(), Memory::of(7).blob()];
    assert_eq!(target.missing_blobs("nginx", &blobs).await.unwrap(), [&blobs[2]]);

    let sessions = Kept::default();
    let meter = Counting::default();
    let from = ["nginx".to_owned()];
    let wanted = layer.blob();
    let mount = BlobPush {
        image: "other",
        blob: &wanted,
        mount_from: &from,
        source: &layer,
        sessions: &sessions,
        meter: &meter,
    };
    assert!(target.push_blob(mount).await.unwrap().mounted);

    let root = image(&config, &layer, &serde_json::json!({}));
    put(&*target, &root, &["1.1", "1.2"]).await.unwrap();
    let digest = manifest_of(&root).digest;
    assert_eq!(target.manifest_digest("nginx", "1.2").await, Ok(Some(digest.clone())));

    let subject = serde_json::json!({
        "subject": { "mediaType": IMAGE, "digest": digest, "size": root.len() },
        "artifactType": "application/vnd.example.sbom",
    });
    put(&*target, &image(&config, &layer, &subject), &[]).await.unwrap();
    let tag = digest.replace(':', "-");
    assert!(target.manifest_digest("nginx", &tag).await.unwrap().is_some(), "its referrers are listed by a tag");

    let error = target.delete_tag("nginx", "1.1", &digest).await;
    assert!(matches!(error, Ok(true) | Err(TargetError::Refused(_))), "{error:?}");
    assert_eq!(target.manifest_digest("nginx", "1.2").await, Ok(Some(digest)), "the other tag stays");

    let file = File {
        path: "/Dir/A b.txt".to_owned(),
        size: i64::try_from(layer.0.len()).unwrap(),
        sha256: layer.blob().digest.replace("sha256:", ""),
        metadata: HashMap::from([("k".to_owned(), "v".to_owned())]),
        ..File::default()
    };
    let put = FilePut {
        file: &file,
        with_metadata: true,
        overwrite: false,
        source: &layer,
        sessions: &sessions,
        meter: &meter,
    };
    target.put_file(put).await.unwrap();
    let known = target.file_digests(std::slice::from_ref(&file)).await.unwrap();
    assert_eq!(known, [Some(target.file_digest(&file, true))]);
    assert_eq!(target.delete_file(&file.path, &file.sha256).await, Ok(true));
    assert_eq!(target.file_digests(&[file]).await, Ok(vec![None]));
}

/// Takes what it is given until so much is allowed, then stops the run, at the end of a chunk.
#[tokio::test]
async fn the_stock_registry_goes_on_with_an_upload_that_was_stopped_between_chunks() {
    let Some(stock) = start().await else { return };
    let source = Memory::of(6 * CHUNK);
    let sessions = Kept::default();
    let meter = StopsAfter { counting: Counting::default(), limit: 3 * CHUNK };
    let wanted = source.blob();
    let push = BlobPush {
        image: "nginx",
        blob: &wanted,
        mount_from: &[],
        source: &source,
        sessions: &sessions,
        meter: &meter,
    };
    let target = target_by(&factory(), &stock.url, "", "").await;
    assert_eq!(target.push_blob(push).await, Err(TargetError::Cancelled));

    let target = target_by(&factory(), &stock.url, "", "").await;
    let pushed = push_with(&*target, &source, &sessions, &Counting::default()).await.unwrap();

    assert_eq!((pushed.resumed_from, pushed.sent), (3 * CHUNK, 3 * CHUNK));
    assert!(target.missing_blobs("nginx", &[wanted]).await.unwrap().is_empty());
}

struct StopsAfter {
    counting: Counting,
    limit: u64,
}

#[async_trait::async_trait]
impl super::super::super::Meter for StopsAfter {
    async fn allow(&self, bytes: u64) -> Result<(), TargetError> {
        if self.counting.sent_bytes() >= self.limit {
            return Err(TargetError::Cancelled);
        }
        self.counting.allow(bytes).await
    }

    fn sent(&self, bytes: u64) {
        self.counting.sent(bytes);
    }

    async fn cancelled(&self) {
        self.counting.cancelled().await;
    }

    fn log(&self, level: &'static str, text: String) {
        self.counting.log(level, text);
    }
}
