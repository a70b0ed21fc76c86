//! Images on the disk, in the layout of the OCI: a few bytes each, but whole.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::common::temporary;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A directory with one image or index in it, under the tag `latest`.
#[derive(Debug)]
pub(crate) struct Layout {
    directory: TempDir,
    /// The digest of the image or index.
    pub(crate) digest: String,
    /// Its bytes.
    pub(crate) content: Vec<u8>,
}

impl Layout {
    /// An image of layers with these contents.
    pub(crate) fn image(layers: &[&[u8]]) -> Self {
        let directory = temporary::directory();
        let image = image(directory.path(), "amd64", layers);
        Self::of(directory, MANIFEST, &image)
    }

    /// An index of an image for each of these architectures.
    pub(crate) fn index(architectures: &[&str]) -> Self {
        let directory = temporary::directory();
        let images: Vec<Value> = architectures
            .iter()
            .map(|architecture| {
                let image = image(directory.path(), architecture, &[architecture.as_bytes()]);
                let mut descriptor = blob(directory.path(), MANIFEST, &image);
                descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
                descriptor
            })
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": images });
        Self::of(directory, INDEX, &serde_json::to_vec(&index).expect("JSON"))
    }

    fn of(directory: TempDir, media_type: &str, content: &[u8]) -> Self {
        let mut descriptor = blob(directory.path(), media_type, content);
        let digest = descriptor["digest"].as_str().expect("a digest").to_owned();
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        let top = json!({ "schemaVersion": 2, "manifests": [descriptor] });
        write(directory.path(), "index.json", &serde_json::to_vec(&top).expect("JSON"));
        write(directory.path(), "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        Layout { directory, digest, content: content.to_vec() }
    }

    pub(crate) fn path(&self) -> &str {
        self.directory.path().to_str().expect("UTF-8")
    }
}

/// The digest of some bytes.
pub(crate) fn digest(content: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(content))
}

fn image(directory: &Path, architecture: &str, layers: &[&[u8]]) -> Vec<u8> {
    let diffs: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let rootfs = json!({ "type": "layers", "diff_ids": diffs });
    let config = json!({ "architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs });
    let config = blob(directory, CONFIG, &serde_json::to_vec(&config).expect("JSON"));
    let layers: Vec<Value> = layers.iter().map(|layer| blob(directory, LAYER, &gzip(layer))).collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    serde_json::to_vec(&manifest).expect("JSON")
}

fn blob(directory: &Path, media_type: &str, content: &[u8]) -> Value {
    let digest = digest(content);
    write(directory, &format!("blobs/{}", digest.replace(':', "/")), content);
    json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
}

fn write(directory: &Path, path: &str, content: &[u8]) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory can be made");
    fs::write(path, content).expect("a file can be written");
}

/// Wraps bytes as gzip has it, without compressing them.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut wrapped = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = content.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a block is short");
        wrapped.push(u8::from(blocks.peek().is_none()));
        wrapped.extend(length.to_le_bytes());
        wrapped.extend((!length).to_le_bytes());
        wrapped.extend(block);
    }
    if content.is_empty() {
        wrapped.extend([3, 0]);
    }
    wrapped.extend(crc32fast::hash(content).to_le_bytes());
    wrapped.extend(u32::try_from(content.len()).expect("a layer of a test is short").to_le_bytes());
    wrapped
}
