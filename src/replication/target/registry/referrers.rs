//! Referrers at a registry that does not keep them itself: an index under a tag that is made of the digest of the
//! subject, as the distribution specification has it for such registries. It is read, changed and written; whoever else
//! does so at the same time is seen afterwards.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use steward_proto::artifact::v1::Manifest;

use super::super::TargetError;
use super::super::retry::retried;
use super::{MAX_MANIFEST_BYTES, Registry};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// How often the index is written when others write it too.
const MAX_ROUNDS: usize = 8;

/// The index. What it has beside its manifests stays as it is.
#[derive(Debug, Deserialize, Serialize)]
struct Index {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    #[serde(rename = "mediaType", default, skip_serializing_if = "String::is_empty")]
    media_type: String,
    #[serde(default)]
    manifests: Vec<Value>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// What an index says of a manifest.
#[derive(Debug, Serialize)]
struct Descriptor {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: usize,
    #[serde(rename = "artifactType", skip_serializing_if = "String::is_empty")]
    artifact_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
}

impl Registry {
    /// Lists a manifest under the tag of its subject.
    pub(super) async fn list_referrer(
        &self,
        name: &str,
        manifest: &Manifest,
        content: &Bytes,
    ) -> Result<(), TargetError> {
        let tag = tag_of(&manifest.subject)
            .ok_or_else(|| TargetError::Source(format!("the subject {:?} is not a digest", manifest.subject)))?;
        let descriptor = descriptor(manifest, content)?;
        let _alone = self.locks.lock(format!("{}{name}:{tag}", self.base)).await;
        for _ in 0..MAX_ROUNDS {
            let read = retried(&self.limits, &tag, || self.read_manifest(name, &tag)).await?;
            let Some(changed) = with(read.as_ref().map(|read| &read.content), &descriptor)? else { return Ok(()) };
            retried(&self.limits, &tag, || self.put_bytes(name, &tag, INDEX, &changed)).await?;
        }
        Err(TargetError::Unreachable(format!("{}: others keep changing {name}:{tag}", self.base)))
    }
}

/// The tag under which the referrers of a subject are listed.
fn tag_of(subject: &str) -> Option<String> {
    let (algorithm, hex) = subject.split_once(':')?;
    let part = |text: &str, limit: usize| text.chars().take(limit).collect::<String>();
    Some(format!("{}-{}", part(algorithm, 32), part(hex, 64)))
}

fn descriptor(manifest: &Manifest, content: &Bytes) -> Result<Value, TargetError> {
    let bad = |_| TargetError::Source(format!("the manifest {} cannot be read", manifest.digest));
    let said: Value = serde_json::from_slice(content).map_err(bad)?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut artifact_type = text(said.get("artifactType"));
    if artifact_type.is_empty() {
        artifact_type = text(said.pointer("/config/mediaType"));
    }
    let annotations = said.get("annotations").filter(|annotations| annotations.is_object()).cloned();
    let descriptor = Descriptor {
        media_type: manifest.media_type.clone(),
        digest: manifest.digest.clone(),
        size: content.len(),
        artifact_type,
        annotations,
    };
    serde_json::to_value(descriptor).map_err(bad)
}

/// The index with a descriptor more; `None`: it is in it.
fn with(index: Option<&Bytes>, descriptor: &Value) -> Result<Option<Bytes>, TargetError> {
    let mut index = match index {
        Some(content) => serde_json::from_slice(content)
            .map_err(|_| TargetError::Refused("the tag of referrers names something else than an index".to_owned()))?,
        None => Index { schema_version: 2, media_type: INDEX.to_owned(), manifests: Vec::new(), rest: BTreeMap::new() },
    };
    let digest = descriptor.get("digest");
    if index.manifests.iter().any(|known| known.get("digest") == digest) {
        return Ok(None);
    }
    index.manifests.push(descriptor.clone());
    let content = serde_json::to_vec(&index).map_err(|error| TargetError::Refused(error.to_string()))?;
    if content.len() > MAX_MANIFEST_BYTES {
        return Err(TargetError::Refused("the index of referrers is longer than a manifest may be".to_owned()));
    }
    Ok(Some(content.into()))
}
