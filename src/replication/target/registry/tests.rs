//! A registry as a target, against one that does as it is told.

mod access;
mod blobs;
mod manifests;
mod stock;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use steward_proto::artifact::v1::{Manifest, RepositoryType};
use steward_proto::replication::v1::{Config, RegistryTarget, Target as ConfigTarget, target};

use super::super::factory::TargetFactory;
use super::super::testing::{Counting, Kept, Memory, factory};
use super::super::{BlobPush, ManifestPut, Pushed, Target, TargetError};
use super::fake::Fake;
use crate::blob::{Algorithm, Digest};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn config(url: &str, user: &str, certificate: &str) -> Config {
    let registry = RegistryTarget {
        registry: url.to_owned(),
        username: user.to_owned(),
        password: None,
        certificate: certificate.to_owned(),
    };
    let target = ConfigTarget { target: Some(target::Target::Registry(registry)) };
    Config { target: Some(target), ..Config::default() }
}

async fn target_by(factory: &TargetFactory, url: &str, user: &str, password: &str) -> Arc<dyn Target> {
    let config = config(url, user, "");
    factory.target(&config, Some(password.to_owned()), None, RepositoryType::Docker).await.unwrap()
}

async fn target_of(fake: &Fake) -> Arc<dyn Target> {
    target_by(&factory(), &fake.url(), "", "").await
}

async fn push_with(
    target: &dyn Target,
    source: &Memory,
    sessions: &Kept,
    meter: &Counting,
) -> Result<Pushed, TargetError> {
    push_from(target, source, sessions, meter, &[]).await
}

async fn push_from(
    target: &dyn Target,
    source: &Memory,
    sessions: &Kept,
    meter: &Counting,
    mount_from: &[String],
) -> Result<Pushed, TargetError> {
    let blob = source.blob();
    target.push_blob(BlobPush { image: "nginx", blob: &blob, mount_from, source, sessions, meter }).await
}

async fn push(target: &dyn Target, source: &Memory) -> Result<Pushed, TargetError> {
    push_with(target, source, &Kept::default(), &Counting::default()).await
}

fn manifest_of(content: &Bytes) -> Manifest {
    let json: serde_json::Value = serde_json::from_slice(content).unwrap();
    let subject = json.pointer("/subject/digest").and_then(|subject| subject.as_str()).unwrap_or_default();
    Manifest {
        digest: Digest::of(Algorithm::Sha256, content).to_string(),
        media_type: IMAGE.to_owned(),
        subject: subject.to_owned(),
        ..Manifest::default()
    }
}

async fn put(target: &dyn Target, content: &Bytes, tags: &[&str]) -> Result<(), TargetError> {
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let manifest = manifest_of(content);
    let metadata = HashMap::new();
    target
        .put_manifest(ManifestPut { image: "nginx", manifest: &manifest, content, tags: &tags, metadata: &metadata })
        .await
}

fn image(name: &str) -> Bytes {
    let json = serde_json::json!({
        "schemaVersion": 2, "mediaType": IMAGE, "config": { "mediaType": "x", "digest": "sha256:0", "size": 0 },
        "layers": [], "annotations": { "name": name },
    });
    json.to_string().into()
}
