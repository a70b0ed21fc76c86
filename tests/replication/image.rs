//! Images of chosen bytes, pushed and read back by hand.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::common::http::HttpPort;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";

/// A manifest and the blobs that it consists of.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) media_type: &'static str,
    pub(crate) manifest: Vec<u8>,
    pub(crate) blobs: Vec<Vec<u8>>,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Bytes that no compression makes smaller, others for each seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
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

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

impl Image {
    /// An image with a layer of each of these lengths.
    pub(crate) fn new(seed: u64, layers: &[usize]) -> Self {
        let config =
            json!({"architecture": "amd64", "os": "linux", "seed": seed, "rootfs": {"type": "layers", "diff_ids": []}});
        let config = config.to_string().into_bytes();
        let layers: Vec<Vec<u8>> =
            layers.iter().zip(1..).map(|(length, number)| noise(seed * 1000 + number, *length)).collect();
        let described: Vec<Value> = layers.iter().map(|layer| descriptor(LAYER, layer)).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, &config), "layers": described,
        });
        let blobs = std::iter::once(config).chain(layers).collect();
        Image { media_type: MANIFEST, manifest: manifest.to_string().into_bytes(), blobs }
    }

    /// An index of images, each for an architecture of its own.
    pub(crate) fn index(images: &[Image]) -> Self {
        let described: Vec<Value> = images
            .iter()
            .zip(["amd64", "arm64", "s390x"])
            .map(|(image, architecture)| {
                let mut described = descriptor(image.media_type, &image.manifest);
                described["platform"] = json!({"architecture": architecture, "os": "linux"});
                described
            })
            .collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": described});
        Image { media_type: INDEX, manifest: manifest.to_string().into_bytes(), blobs: Vec::new() }
    }

    /// Something that refers to this image, such as a signature.
    pub(crate) fn referrer(&self, seed: u64) -> Self {
        let (config, layer) = (b"{}".to_vec(), noise(seed, 700));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.example.signature",
            "config": descriptor("application/vnd.oci.empty.v1+json", &config),
            "layers": [descriptor("application/octet-stream", &layer)],
            "subject": descriptor(self.media_type, &self.manifest),
        });
        Image { media_type: MANIFEST, manifest: manifest.to_string().into_bytes(), blobs: vec![config, layer] }
    }

    pub(crate) fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// Pushes it to `name`: blobs first, then the manifest by `reference`.
    pub(crate) async fn push(&self, port: HttpPort, name: &str, reference: &str) {
        for blob in &self.blobs {
            push_blob(port, name, blob).await;
        }
        let headers = [("Content-Type", self.media_type)];
        let path = format!("/v2/{name}/manifests/{reference}");
        let answer = port.request("PUT", &path, &headers, &self.manifest).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}

/// Uploads a blob in one request.
pub(crate) async fn push_blob(port: HttpPort, name: &str, blob: &[u8]) {
    let begun = port.request("POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"").await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    let location = begun.header("location").expect("a location").to_owned();
    let location = location.split_once("/v2/").map(|(_, rest)| format!("/v2/{rest}")).expect("a path");
    let glue = if location.contains('?') { '&' } else { '?' };
    let path = format!("{location}{glue}digest={}", digest(blob));
    let headers = [("Content-Type", "application/octet-stream")];
    let answer = port.request("PUT", &path, &headers, blob).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// The manifest of a tag or digest, if it is there.
pub(crate) async fn manifest(port: HttpPort, name: &str, reference: &str) -> Option<Vec<u8>> {
    let path = format!("/v2/{name}/manifests/{reference}");
    let answer = port.request("GET", &path, &[("Accept", ACCEPT)], b"").await;
    match answer.status {
        200 => Some(answer.body),
        404 => None,
        other => panic!("{other}: {}", answer.text()),
    }
}

/// Asserts that an image is at `name` whole: its manifest under this reference, and every blob byte for byte.
pub(crate) async fn assert_there(port: HttpPort, name: &str, reference: &str, image: &Image) {
    let found = manifest(port, name, reference).await;
    assert_eq!(found.as_deref().map(digest), Some(image.digest()), "{name}:{reference}");
    for blob in &image.blobs {
        let digest_of_it = digest(blob);
        let answer = port.get(&format!("/v2/{name}/blobs/{digest_of_it}")).await;
        assert_eq!(answer.status, 200, "{name} {digest_of_it}");
        assert_eq!(digest(&answer.body), digest_of_it);
    }
}
