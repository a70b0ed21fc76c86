//! Videos: rows for filters and sorts, paths, and candidates.

mod sift;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use self::sift::Test;
use super::candidates::{Candidates, Terms, Wish};
use super::names::Names;
use super::paths::{Paths, Ranks};
use super::pick::{self, Position, signed_key};
use crate::clock::Timestamp;
use crate::store::Revision;
use crate::transcode::model::{VideoId, VideoRecord, VideoStatus, library_of};

const IS_VR: u8 = 1;
const EXISTS: u8 = 2;
const HELD: u8 = 4;

/// What is kept of a video. There may be millions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    revision: Revision,
    /// What videos are matched by; 0: nothing.
    fingerprint: u64,
    size: i64,
    modified: i64,
    pub(super) not_before: i64,
    pub(super) bitrate: u32,
    pub(super) fps: f32,
    /// Seconds since 1970.
    pub(super) updated: u32,
    pub(super) last_worker: i32,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) codec: u16,
    pub(super) library: u16,
    pub(super) priority: i16,
    status: u8,
    flags: u8,
}

impl Row {
    pub(super) fn is_vr(&self) -> bool {
        self.flags & IS_VR != 0
    }

    fn exists(&self) -> bool {
        self.flags & EXISTS != 0
    }

    pub(super) fn is_failed(&self) -> bool {
        i32::from(self.status) == VideoStatus::Failed as i32
    }

    /// It waits for a worker, now or after a rest.
    fn is_candidate(&self) -> bool {
        let is_waiting = i32::from(self.status) == VideoStatus::Waiting as i32;
        self.exists() && self.flags & HELD == 0 && (is_waiting || self.is_failed())
    }

    /// Somebody who found no work may find this, which `before` was not, or not for all, or not yet.
    fn may_be_news(&self, before: Option<&Row>) -> bool {
        let matters = |row: &Row| {
            let picture = (row.codec, row.width, row.height, row.fps.to_bits(), row.flags);
            (row.library, row.status, row.not_before, row.last_worker, picture)
        };
        self.is_candidate() && before.is_none_or(|before| matters(before) != matters(self))
    }
}

/// What a scan asks of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: VideoId,
    pub(crate) size_bytes: i64,
    pub(crate) modify_nanos: i64,
    pub(crate) exists: bool,
}

/// Which videos a list has.
#[derive(Clone, Debug, Default)]
pub(crate) struct VideoFilter {
    /// Empty: all.
    pub(crate) statuses: Vec<VideoStatus>,
    pub(crate) is_vr: Option<bool>,
    /// In any case; empty: all.
    pub(crate) codecs: Vec<String>,
    pub(crate) min_bitrate: Option<i32>,
    pub(crate) max_bitrate: Option<i32>,
    pub(crate) min_size: Option<i64>,
    pub(crate) max_size: Option<i64>,
    pub(crate) library: Option<String>,
}

/// What a list of videos is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VideoSort {
    Updated,
    Id,
    Path,
    Codec,
    Bitrate,
    Pixels,
    Size,
    Fps,
    Status,
}

/// A video that one claim alone looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    Video(VideoId),
    /// None. Another look is worth it at this time, without any change.
    Nothing(Option<Timestamp>),
}

/// All videos.
#[derive(Debug)]
pub(crate) struct Videos {
    /// By id, from 1.
    rows: Vec<Option<Row>>,
    /// By id, likewise.
    path_of: Vec<Option<Arc<str>>>,
    paths: Paths,
    codecs: Names,
    h264: u16,
    libraries: Names,
    /// How many exist, by the number of the status.
    by_status: [usize; 8],
    /// How many exist, by the number of the library.
    by_library: HashMap<u16, i32>,
    by_fingerprint: HashMap<u64, i32>,
    candidates: Candidates,
    reserved: HashSet<i32>,
    next_id: i32,
    len: usize,
}

impl Default for Videos {
    fn default() -> Self {
        let mut codecs = Names::default();
        let h264 = codecs.number("h264");
        Videos {
            rows: Vec::new(),
            path_of: Vec::new(),
            paths: Paths::default(),
            codecs,
            h264,
            libraries: Names::default(),
            by_status: [0; 8],
            by_library: HashMap::new(),
            by_fingerprint: HashMap::new(),
            candidates: Candidates::default(),
            reserved: HashSet::new(),
            next_id: 1,
            len: 0,
        }
    }
}

/// Videos are matched by this part of the fingerprint, and the record has the whole. 0: there is none.
fn fingerprint_key(fingerprint: &[u8]) -> u64 {
    fingerprint.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn clamp_u16(number: i32) -> u16 {
    u16::try_from(number.max(0)).unwrap_or(u16::MAX)
}

impl Videos {
    fn row(&self, id: VideoId) -> Option<&Row> {
        let place = usize::try_from(id.0).ok()?.checked_sub(1)?;
        self.rows.get(place)?.as_ref()
    }

    /// An id that was never given out.
    pub(crate) fn allocate(&mut self) -> VideoId {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        VideoId(id)
    }

    /// Takes over a record as it is since `revision`. Says whether somebody who found no work should look again.
    pub(crate) fn apply(&mut self, id: VideoId, record: &VideoRecord, revision: Revision, now: Timestamp) -> bool {
        let Some(place) = usize::try_from(id.0).ok().and_then(|number| number.checked_sub(1)) else { return false };
        if self.rows.len() <= place {
            self.rows.resize(place + 1, None);
            self.path_of.resize(place + 1, None);
        }
        self.next_id = self.next_id.max(id.0.saturating_add(1));
        let before = self.rows[place];
        if before.is_some_and(|row| row.revision > revision) {
            return false;
        }
        if let Some(before) = &before {
            self.candidates.remove(id.0, before, self.h264);
            self.count(before, -1);
        }
        self.take_path(id, place, &record.path, revision);
        let row = self.row_of(record, revision);
        self.take_fingerprint(id, before.map_or(0, |before| before.fingerprint), row.fingerprint);
        self.len += usize::from(self.rows[place].replace(row).is_none());
        self.count(&row, 1);
        if row.is_candidate() && !self.reserved.contains(&id.0) {
            self.candidates.add(id.0, &row, self.h264, now);
        }
        row.may_be_news(before.as_ref())
    }

    /// Forgets a video.
    pub(crate) fn remove(&mut self, id: VideoId) {
        let Some(place) = usize::try_from(id.0).ok().and_then(|number| number.checked_sub(1)) else { return };
        let Some(row) = self.rows.get_mut(place).and_then(Option::take) else { return };
        self.len -= 1;
        self.candidates.remove(id.0, &row, self.h264);
        self.count(&row, -1);
        self.take_fingerprint(id, row.fingerprint, 0);
        if let Some(path) = self.path_of[place].take() {
            self.paths.remove(&path, id.0);
        }
    }

    /// Gives a video its path, and takes the one from it that it had.
    fn take_path(&mut self, id: VideoId, place: usize, path: &str, revision: Revision) {
        let path = match self.path_of[place].take() {
            Some(own) if *own == *path => own,
            old => {
                if let Some(old) = old {
                    self.paths.remove(&old, id.0);
                }
                Arc::from(path)
            }
        };
        let holder = self.paths.id(&path).and_then(|holder| self.row(VideoId(holder)));
        // Else the path was left to another video since, and the news of that is on its way.
        if holder.is_none_or(|holder| holder.revision <= revision) {
            self.paths.put(&path, id.0);
        }
        self.path_of[place] = Some(path);
    }

    fn take_fingerprint(&mut self, id: VideoId, before: u64, now: u64) {
        if before != now && self.by_fingerprint.get(&before) == Some(&id.0) {
            self.by_fingerprint.remove(&before);
        }
        if now != 0 {
            self.by_fingerprint.insert(now, id.0);
        }
    }

    fn row_of(&mut self, record: &VideoRecord, revision: Revision) -> Row {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "frames a second have few digits")]
        let fps = record.fps as f32;
        Row {
            revision,
            fingerprint: fingerprint_key(&record.fingerprint),
            size: record.size_bytes,
            modified: record.modify_nanos,
            not_before: record.not_before_nanos,
            bitrate: u32::try_from(record.bitrate_k).unwrap_or(0),
            fps,
            updated: u32::try_from(record.update_nanos / 1_000_000_000).unwrap_or(0),
            last_worker: record.last_worker_id,
            width: clamp_u16(record.width),
            height: clamp_u16(record.height),
            codec: self.codecs.number(&record.codec),
            library: self.libraries.number(library_of(&record.path)),
            priority: i16::try_from(record.priority).unwrap_or(0),
            status: u8::try_from(record.status).unwrap_or(0),
            flags: flag(record.is_vr, IS_VR) | flag(record.exist, EXISTS) | flag(record.held, HELD),
        }
    }

    fn count(&mut self, row: &Row, by: i32) {
        if !row.exists() {
            return;
        }
        *self.by_library.entry(row.library).or_default() += by;
        if let Some(count) = self.by_status.get_mut(usize::from(row.status)) {
            *count = if by > 0 { *count + 1 } else { count.saturating_sub(1) };
        }
    }

    /// Finds the most urgent video for a worker and keeps it from other claims until [`Videos::release`].
    pub(crate) fn reserve(&mut self, wish: &Wish, now: Timestamp) -> Reserved {
        for id in self.candidates.take_rested(now) {
            if let Some(row) = self.row(VideoId(id)).copied() {
                self.candidates.add(id, &row, self.h264, now);
            }
        }
        let priorities = wish
            .libraries
            .iter()
            .filter_map(|(name, priority)| Some((self.libraries.known(name)?, *priority)))
            .collect();
        let codecs = (!wish.codecs.is_empty())
            .then(|| wish.codecs.iter().filter_map(|codec| self.codecs.known(codec)).collect::<Vec<_>>());
        let terms = Terms { wish, priorities, codecs };
        let id = match self.candidates.most_urgent(&terms, now) {
            Ok(id) => id,
            Err(until) => return Reserved::Nothing(until.into_iter().chain(self.candidates.next_rested()).min()),
        };
        if let Some(row) = self.row(id).copied() {
            self.candidates.remove(id.0, &row, self.h264);
        }
        self.reserved.insert(id.0);
        Reserved::Video(id)
    }

    /// Ends a reservation. Says whether the video still waits, so that it can be chosen again.
    pub(crate) fn release(&mut self, id: VideoId, now: Timestamp) -> bool {
        if !self.reserved.remove(&id.0) {
            return false;
        }
        let Some(row) = self.row(id).copied().filter(Row::is_candidate) else { return false };
        self.candidates.add(id.0, &row, self.h264, now);
        true
    }

    /// How many wait, those included that rest after a failure.
    pub(crate) fn waiting(&self) -> usize {
        self.candidates.len()
    }

    /// The id of the video at a path.
    pub(crate) fn at_path(&self, path: &str) -> Option<VideoId> {
        self.paths.id(path).map(VideoId)
    }

    /// The path of a video.
    pub(crate) fn path(&self, id: VideoId) -> Option<Arc<str>> {
        let place = usize::try_from(id.0).ok()?.checked_sub(1)?;
        self.path_of.get(place)?.clone()
    }

    /// Whether the file of a video was there at the last scan.
    pub(crate) fn exists(&self, id: VideoId) -> bool {
        self.row(id).is_some_and(Row::exists)
    }

    /// A video whose file may be the same, by its fingerprint.
    pub(crate) fn like(&self, fingerprint: &[u8]) -> Option<VideoId> {
        self.by_fingerprint.get(&fingerprint_key(fingerprint)).copied().map(VideoId)
    }

    /// What a scan asks of a path.
    pub(crate) fn seen(&self, path: &str) -> Option<Seen> {
        let id = self.at_path(path)?;
        let row = self.row(id)?;
        Some(Seen { id, size_bytes: row.size, modify_nanos: row.modified, exists: row.exists() })
    }

    /// The videos of a library, those that exist.
    pub(crate) fn in_library(&self, library: &str) -> Vec<VideoId> {
        let Some(library) = self.libraries.known(library) else { return Vec::new() };
        let rows = self.rows.iter().zip(1..).filter_map(|(row, id)| row.as_ref().map(|row| (row, id)));
        rows.filter(|(row, _)| row.library == library && row.exists()).map(|(_, id)| VideoId(id)).collect()
    }

    /// How many videos of a library exist.
    pub(crate) fn count_in_library(&self, library: &str) -> i32 {
        self.libraries.known(library).and_then(|number| self.by_library.get(&number)).copied().unwrap_or(0)
    }

    /// How many videos of a status exist.
    pub(crate) fn count_of(&self, status: VideoStatus) -> usize {
        self.by_status.get(status as usize).copied().unwrap_or(0)
    }

    /// How many rows a list looks at.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The places of all paths in their order.
    pub(crate) fn path_ranks(&self) -> Arc<Ranks> {
        self.paths.ranks()
    }

    /// The rows that a list has, not yet in order.
    pub(crate) fn matching(&self, filter: &VideoFilter, sort: VideoSort) -> Vec<Position> {
        let test = Test::new(self, filter);
        let ranks = if sort == VideoSort::Codec { self.codecs.ranks() } else { Vec::new() };
        match sort {
            VideoSort::Updated => self.positions(&test, |row, _| u64::from(row.updated)),
            VideoSort::Id => self.positions(&test, |_, id| signed_key(i64::from(id))),
            VideoSort::Path => {
                let paths = self.paths.ranks();
                self.positions(&test, |_, id| paths.of(id))
            }
            VideoSort::Codec => {
                self.positions(&test, |row, _| ranks.get(usize::from(row.codec)).copied().unwrap_or(u64::MAX))
            }
            VideoSort::Bitrate => self.positions(&test, |row, _| u64::from(row.bitrate)),
            VideoSort::Pixels => self.positions(&test, |row, _| u64::from(row.width) * u64::from(row.height)),
            VideoSort::Size => self.positions(&test, |row, _| signed_key(row.size)),
            VideoSort::Fps => self.positions(&test, |row, _| pick::float_key(f64::from(row.fps))),
            VideoSort::Status => self.positions(&test, |row, _| u64::from(row.status)),
        }
    }

    fn positions(&self, test: &Test, key: impl Fn(&Row, i32) -> u64) -> Vec<Position> {
        let rows = self.rows.iter().zip(1..).filter_map(|(row, id)| row.as_ref().map(|row| (row, id)));
        rows.filter(|(row, _)| test.accepts(row)).map(|(row, id)| Position { key: key(row, id), number: id }).collect()
    }
}
