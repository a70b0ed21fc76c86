//! What an image consists of: its manifests, leaves first, and their blobs.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde::Deserialize;
use steward_proto::artifact::v1::Manifest;

use super::source::{Source, SourceError};
use super::target::BlobRef;

/// How deep indexes and referrers may be in each other.
const MAX_DEPTH: usize = 8;
/// How many manifests a version may have.
const MAX_MANIFESTS: usize = 2_000;
/// How many blobs.
const MAX_BLOBS: usize = 50_000;
/// How many bytes of manifests are kept until they are put; the others are read again.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// A manifest of a version.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) manifest: Manifest,
    /// Its bytes, if they were kept.
    content: Option<Bytes>,
}

/// All that a version consists of.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// What the tagged manifest consists of, leaves first; without it.
    pub(super) children: Vec<Node>,
    /// What refers to it or to its children, after what it consists of itself.
    pub(super) referrers: Vec<Node>,
    /// The blobs that `children` and the tagged manifest need.
    pub(super) blobs: Vec<BlobRef>,
    /// The further ones that `referrers` need.
    pub(super) referrer_blobs: Vec<BlobRef>,
    /// The bytes of all of it.
    pub(super) size: u64,
}

impl Node {
    pub(super) fn new(manifest: Manifest, content: Bytes) -> Self {
        Node { manifest, content: Some(content) }
    }

    /// Its bytes.
    pub(super) async fn content(&self, source: &Source, image: &str) -> Result<Bytes, SourceError> {
        match &self.content {
            Some(content) => Ok(content.clone()),
            None => Ok(source.manifest(image, &self.manifest.digest).await?.1),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Parts {
    config: Option<Part>,
    layers: Vec<Part>,
    blobs: Vec<Part>,
    manifests: Vec<Part>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Part {
    media_type: String,
    digest: String,
    size: u64,
}

impl Part {
    /// Whether its bytes are to come from somewhere else.
    fn is_foreign(&self) -> bool {
        self.media_type.contains(".nondistributable.") || self.media_type.contains(".foreign.")
    }
}

fn parts(digest: &str, content: &[u8]) -> Result<Parts, SourceError> {
    let parts: Parts = serde_json::from_slice(content)
        .map_err(|error| SourceError::Failed(format!("manifest {digest} cannot be read: {error}")))?;
    if parts.fs_layers.is_some() {
        return Err(SourceError::Failed(format!("manifest {digest} is of the first schema, which is not copied")));
    }
    Ok(parts)
}

/// Finds what a version consists of.
pub(super) async fn walk(source: &Source, image: &str, root: &Node, with_referrers: bool) -> Result<Tree, SourceError> {
    let mut walk = Walk { source, image, with_referrers, seen: HashSet::new(), blobs: HashMap::new(), kept: 0 };
    let mut tree = Tree::default();
    let mut all = walk.subtree(root.clone(), 0).await?;
    // The root comes last, and is put by itself.
    all.nodes.pop();
    tree.children = all.nodes;
    tree.blobs = all.blobs;
    if with_referrers {
        let mut subjects: Vec<String> = tree.children.iter().map(|node| node.manifest.digest.clone()).collect();
        subjects.push(root.manifest.digest.clone());
        for subject in subjects {
            walk.referrers(&subject, 0, &mut tree).await?;
        }
    }
    let nodes = tree.children.iter().chain(&tree.referrers).chain([root]);
    let manifests: u64 = nodes.map(|node| u64::try_from(node.manifest.size).unwrap_or(0)).sum();
    let blobs: u64 = tree.blobs.iter().chain(&tree.referrer_blobs).map(|blob| blob.size).sum();
    tree.size = manifests.saturating_add(blobs);
    Ok(tree)
}

struct Walk<'a> {
    source: &'a Source,
    image: &'a str,
    with_referrers: bool,
    seen: HashSet<String>,
    blobs: HashMap<String, u64>,
    kept: usize,
}

#[derive(Default)]
struct Found {
    nodes: Vec<Node>,
    blobs: Vec<BlobRef>,
}

impl Walk<'_> {
    /// A manifest and what it consists of, itself last.
    async fn subtree(&mut self, root: Node, depth: usize) -> Result<Found, SourceError> {
        let mut found = Found::default();
        // (manifest, whether its children were looked at, depth)
        let mut stack = vec![(root, false, depth)];
        while let Some((mut node, is_open, depth)) = stack.pop() {
            if is_open {
                self.keep(&mut node);
                found.nodes.push(node);
                continue;
            }
            let digest = node.manifest.digest.clone();
            if !self.seen.insert(digest.clone()) {
                continue;
            }
            if self.seen.len() > MAX_MANIFESTS || depth > MAX_DEPTH {
                return Err(SourceError::Failed(format!(
                    "it has more than {MAX_MANIFESTS} manifests, or they are more than {MAX_DEPTH} deep"
                )));
            }
            let content = node.content(self.source, self.image).await?;
            let parts = parts(&digest, &content)?;
            self.note_blobs(&parts, &mut found)?;
            stack.push((node, true, depth));
            for child in parts.manifests.iter().rev() {
                if !self.seen.contains(&child.digest) {
                    let (manifest, content) = self.source.manifest(self.image, &child.digest).await?;
                    stack.push((Node::new(manifest, content), false, depth + 1));
                }
            }
        }
        Ok(found)
    }

    fn note_blobs(&mut self, parts: &Parts, found: &mut Found) -> Result<(), SourceError> {
        let blobs = parts.config.iter().chain(&parts.layers).chain(&parts.blobs);
        for part in blobs.filter(|part| !part.is_foreign()) {
            if self.blobs.insert(part.digest.clone(), part.size).is_none() {
                found.blobs.push(BlobRef { digest: part.digest.clone(), size: part.size });
            }
        }
        if self.blobs.len() > MAX_BLOBS {
            return Err(SourceError::Failed(format!("it has more than {MAX_BLOBS} blobs")));
        }
        Ok(())
    }

    /// Drops the bytes of a manifest that there is no room for.
    fn keep(&mut self, node: &mut Node) {
        let len = node.content.as_ref().map_or(0, Bytes::len);
        if self.kept + len > MAX_KEPT_BYTES {
            node.content = None;
        } else {
            self.kept += len;
        }
    }

    /// What refers to a manifest, and what refers to that.
    async fn referrers(&mut self, subject: &str, depth: usize, tree: &mut Tree) -> Result<(), SourceError> {
        let mut subjects = vec![(subject.to_owned(), depth)];
        while let Some((subject, depth)) = subjects.pop() {
            if depth > MAX_DEPTH {
                return Err(SourceError::Failed(format!("its referrers are more than {MAX_DEPTH} deep")));
            }
            for digest in self.source.referrers(self.image, &subject, MAX_MANIFESTS).await? {
                if self.seen.contains(&digest) {
                    continue;
                }
                let (manifest, content) = match self.source.manifest(self.image, &digest).await {
                    Ok(found) => found,
                    // It was deleted after it was listed.
                    Err(SourceError::Gone(_)) => continue,
                    Err(error) => return Err(error),
                };
                let found = self.subtree(Node::new(manifest, content), 0).await?;
                if self.with_referrers {
                    subjects.extend(found.nodes.iter().map(|node| (node.manifest.digest.clone(), depth + 1)));
                }
                tree.referrers.extend(found.nodes);
                tree.referrer_blobs.extend(found.blobs);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_that_are_not_to_be_distributed_are_no_blobs_of_a_manifest() {
        let part = |media_type: &str| Part { media_type: media_type.to_owned(), ..Part::default() };
        assert!(part("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip").is_foreign());
        assert!(part("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip").is_foreign());
        assert!(!part("application/vnd.oci.image.layer.v1.tar+gzip").is_foreign());
    }

    #[test]
    fn manifests_of_the_first_schema_are_refused_by_name() {
        let error = parts("sha256:1", br#"{"schemaVersion":1,"fsLayers":[]}"#).unwrap_err();
        assert!(error.to_string().contains("first schema"), "{error}");
        assert!(parts("sha256:1", b"nonsense").is_err());
    }
}
