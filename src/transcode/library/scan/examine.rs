//! Examines one file: asks ffprobe, takes the fingerprint, and looks for the video that it may have been.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::super::fingerprint::fingerprint;
use super::super::path::{place_without_links, video_path};
use super::super::probe::{Probe, ProbeError};
use super::super::rules::needs_transcoding;
use super::super::scanner::{Around, Library};
use super::super::shelf::{Found, Twin};
use super::super::stat::Stat;
use super::super::walk::{is_gone, look_at_root};

/// How many videos that look the same are looked at.
const MAX_TWINS: usize = 32;

/// What came of it.
pub(super) struct Examined {
    pub(super) relative: String,
    /// As it was when it was found.
    pub(super) stat: Stat,
    /// The file, and the videos that it may have been.
    pub(super) result: Result<(Found, Vec<i32>), Trouble>,
}

/// Why there is nothing to record.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Somebody wrote to it meanwhile, or took it away.
    Changed,
    /// It is not for ffprobe.
    Unprobed(ProbeError),
    /// It cannot be read.
    Unread(io::Error),
}

/// Examines the file at `relative`, once it is its turn.
pub(super) async fn examine(library: Arc<Library>, relative: String, stat: Stat) -> Examined {
    let result = look(library, &relative, stat).await;
    Examined { relative, stat, result }
}

async fn look(library: Arc<Library>, relative: &str, stat: Stat) -> Result<(Found, Vec<i32>), Trouble> {
    let around = Arc::clone(&library.around);
    let _turn = around.probes.acquire().await.map_err(|closed| Trouble::Unread(io::Error::other(closed)))?;
    let place = place_without_links(&library.spec.path, relative).ok_or(Trouble::Changed)?;
    let probed = around.prober.probe(&place, stat.size).await;
    let path = video_path(&library.spec.name, relative);
    tokio::task::spawn_blocking(move || {
        // What was written to meanwhile may have looked damaged.
        is_unchanged(&place, stat)?;
        let probe = probed.map_err(Trouble::Unprobed)?;
        let size = u64::try_from(stat.size).unwrap_or(0);
        let fingerprint = fingerprint(&place, size).map_err(Trouble::Unread)?;
        is_unchanged(&place, stat)?;
        let twins = twins(&library.around, &path, &fingerprint);
        Ok((found(&library, path, stat, probe, fingerprint), twins))
    })
    .await
    .map_err(|error| Trouble::Unread(io::Error::other(error)))?
}

fn found(library: &Library, path: String, stat: Stat, probe: Probe, fingerprint: [u8; 16]) -> Found {
    let rules = &library.spec.rules;
    let is_vr = rules.is_vr(path.rsplit('/').next().unwrap_or(&path));
    Found {
        needs_transcoding: needs_transcoding(rules, &probe, is_vr),
        path,
        probe,
        size_bytes: stat.size,
        modify_nanos: stat.modify_nanos,
        fingerprint,
        is_vr,
        moved_from: None,
    }
}

fn is_unchanged(place: &Path, before: Stat) -> Result<(), Trouble> {
    match place.symlink_metadata() {
        Ok(metadata) => {
            let now = Stat::from(&metadata);
            let is_same = (now.size, now.modify_nanos) == (before.size, before.modify_nanos);
            if is_same { Ok(()) } else { Err(Trouble::Changed) }
        }
        Err(error) if is_gone(&error) => Err(Trouble::Changed),
        Err(error) => Err(Trouble::Unread(error)),
    }
}

/// The videos that look the same and whose files are gone, when the path is a new one.
fn twins(around: &Around, path: &str, fingerprint: &[u8; 16]) -> Vec<i32> {
    if around.shelf.lookup(path).is_some() {
        return Vec::new();
    }
    let twins = around.shelf.twins(fingerprint).into_iter().take(MAX_TWINS);
    twins.filter(|twin| twin.path != path && (!twin.exists || is_away(around, twin))).map(|twin| twin.id).collect()
}

/// Whether the file of a video is gone, in a library that is there.
fn is_away(around: &Around, twin: &Twin) -> bool {
    let Some((library, relative)) = twin.path.split_once('/') else { return false };
    let Some(root) = around.roots.lock().get(library).cloned() else { return false };
    if look_at_root(&root).is_err() {
        return false;
    }
    let Some(place) = place_without_links(&root, relative) else { return false };
    place.symlink_metadata().is_err_and(|error| is_gone(&error))
}
