//! Images of noise, whose layers are true gzip so that nobody compresses them again.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::BoxError;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The longest block of gzip that is not compressed.
const STORED: usize = 65_535;

/// An image: its manifest, and its blobs with the config first.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) blobs: Vec<(String, Vec<u8>)>,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut next).take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes
}

/// gzip that holds bytes as they are (RFC 1952, RFC 1951 3.2.4).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(STORED).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        gzip.push(u8::from(blocks.peek().is_none()));
        gzip.extend_from_slice(&length.to_le_bytes());
        gzip.extend_from_slice(&(!length).to_le_bytes());
        gzip.extend_from_slice(block);
    }
    gzip.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    gzip.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    gzip
}

impl Image {
    /// With so many layers of that length.
    pub(crate) fn new(seed: u64, layers: usize, length: usize) -> Self {
        let (mut blobs, mut diffs, mut described) = (Vec::new(), Vec::new(), Vec::new());
        for (layer, number) in (0..layers).zip(1..) {
            let plain = noise(seed * 1000 + number, length + layer);
            let gzip = stored(&plain);
            diffs.push(serde_json::json!(digest(&plain)));
            described.push(serde_json::json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(&gzip), "size": gzip.len(),
            }));
            blobs.push((digest(&gzip), gzip));
        }
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "config": {"Labels": {"seed": seed.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        let config = config.to_string().into_bytes();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": described,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len(),
            },
        });
        blobs.insert(0, (digest(&config), config));
        Image { manifest: manifest.to_string().into_bytes(), blobs }
    }

    /// How many bytes its blobs have.
    pub(crate) fn bytes(&self) -> u64 {
        self.blobs.iter().map(|(_, blob)| blob.len() as u64).sum()
    }

    /// Writes it as an OCI layout with the tag `1`.
    pub(crate) fn write_layout(&self, directory: &Path) -> Result<(), BoxError> {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let manifest_digest = digest(&self.manifest);
        let manifest = (manifest_digest.clone(), self.manifest.clone());
        for (name, bytes) in self.blobs.iter().chain([&manifest]) {
            fs::write(blobs.join(name.trim_start_matches("sha256:")), bytes)?;
        }
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
            "mediaType": MANIFEST, "digest": manifest_digest, "size": self.manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": "1"},
        }]});
        Ok(fs::write(directory.join("index.json"), index.to_string())?)
    }
}
