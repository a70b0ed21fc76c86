//! Which video is the most urgent one for a worker: videos that workers cannot tell apart are one class, in the order of
//! their urgency, so a claim looks at the first of each class and not at videos.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::videos::Row;
use crate::clock::Timestamp;
use crate::transcode::model::{VideoId, WorkerId, WorkerType};

/// The most pixels and frames a second of a video for workers that are not processors (contract 2.2).
const HARDWARE_PIXELS: u32 = 1920 * 1080 + 100;
const HARDWARE_FPS: f32 = 31.0;
/// How many videos that a worker should leave to others are looked past in one class.
const LOOK_PAST: usize = 32;

/// What can be told of a video by a worker's constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Class {
    pub(super) library: u16,
    pub(super) codec: u16,
    pub(super) height: u16,
    pub(super) is_vr: bool,
    /// Small and slow enough, and H.264.
    pub(super) suits_hardware: bool,
    /// Its last attempt failed.
    pub(super) is_retry: bool,
}

/// The order within a class: what is given out first is least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency {
    priority: Reverse<i16>,
    bitrate: Reverse<u32>,
    id: i32,
}

/// A video whose last attempt failed.
#[derive(Clone, Copy, Debug)]
struct Retry {
    failed_by: i32,
    /// Until then others come first.
    reserved_until: Timestamp,
}

/// What a worker takes.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) worker: WorkerId,
    pub(crate) worker_type: WorkerType,
    pub(crate) wants_vr: bool,
    /// 0: any.
    pub(crate) max_height: i32,
    /// Empty: all.
    pub(crate) codecs: Vec<String>,
    /// The libraries that are open to it, with the priority of each.
    pub(crate) libraries: Vec<(String, i32)>,
    /// It takes failed videos.
    pub(crate) takes_retries: bool,
    /// Somebody else could take what it failed at.
    pub(crate) has_peers: bool,
}

/// A wish in the words of the index.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    pub(super) wish: &'a Wish,
    /// By the number of the library.
    pub(super) priorities: HashMap<u16, i32>,
    /// `None`: all.
    pub(super) codecs: Option<Vec<u16>>,
}

impl Terms<'_> {
    fn admits(&self, class: &Class) -> bool {
        let is_processor = self.wish.worker_type == WorkerType::Cpu;
        self.wish.wants_vr == class.is_vr
            && (is_processor || class.suits_hardware)
            && (!class.is_retry || self.wish.takes_retries)
            && (self.wish.max_height == 0 || i32::from(class.height) <= self.wish.max_height)
            && self.codecs.as_ref().is_none_or(|codecs| codecs.contains(&class.codec))
            && self.priorities.contains_key(&class.library)
    }
}

/// Videos that can be given out, now or later.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    classes: HashMap<Class, BTreeSet<Urgency>>,
    /// Videos that rest, by the end of their rest.
    resting: BTreeSet<(Timestamp, i32)>,
    retries: HashMap<i32, Retry>,
    count: usize,
}

impl Candidates {
    /// How many videos wait, those that rest included.
    pub(super) fn len(&self) -> usize {
        self.count + self.resting.len()
    }

    /// When the next video has rested enough.
    pub(super) fn next_rested(&self) -> Option<Timestamp> {
        self.resting.first().map(|(time, _)| *time)
    }

    pub(super) fn add(&mut self, id: i32, row: &Row, h264: u16, now: Timestamp) {
        let not_before = Timestamp::from_nanos(row.not_before);
        if row.not_before > now.nanos() {
            self.resting.insert((not_before, id));
            return;
        }
        if row.not_before != 0 {
            // For as long as it has rested, it is left to workers that have not failed at it.
            let rest = not_before.since(Timestamp::from_nanos(i64::from(row.updated) * 1_000_000_000));
            self.retries.insert(id, Retry { failed_by: row.last_worker, reserved_until: not_before.plus(rest) });
        }
        let is_new = self.classes.entry(class(row, h264)).or_default().insert(urgency(id, row));
        self.count += usize::from(is_new);
    }

    pub(super) fn remove(&mut self, id: i32, row: &Row, h264: u16) {
        self.resting.remove(&(Timestamp::from_nanos(row.not_before), id));
        self.retries.remove(&id);
        let class = class(row, h264);
        let Some(videos) = self.classes.get_mut(&class) else { return };
        self.count -= usize::from(videos.remove(&urgency(id, row)));
        if videos.is_empty() {
            self.classes.remove(&class);
        }
    }

    /// The ids that have rested enough by now. They are no longer kept: whoever takes them adds them again.
    pub(super) fn take_rested(&mut self, now: Timestamp) -> Vec<i32> {
        let mut rested = Vec::new();
        while let Some((_, id)) = self.resting.pop_first_if_due(now) {
            rested.push(id);
        }
        rested
    }

    /// The most urgent video for these terms; else when the first of those is there that are left to others until then.
    pub(super) fn most_urgent(&self, terms: &Terms<'_>, now: Timestamp) -> Result<VideoId, Option<Timestamp>> {
        let (mut best, mut left_until) = (None, None);
        for (class, videos) in self.classes.iter().filter(|(class, _)| terms.admits(class)) {
            for video in videos.iter().take(LOOK_PAST) {
                if let Some(until) = self.left_to_others(video.id, terms.wish, now) {
                    left_until = Some(left_until.map_or(until, |earlier: Timestamp| earlier.min(until)));
                    continue;
                }
                let library = terms.priorities.get(&class.library).copied().unwrap_or(0);
                let priority = Reverse(i64::from(library) + i64::from(video.priority.0));
                let rank = (priority, class.is_retry, video.bitrate, video.id);
                best = Some(best.map_or(rank, |first| rank.min(first)));
                break;
            }
        }
        best.map(|(_, _, _, id)| VideoId(id)).ok_or(left_until)
    }

    /// Until when others come first.
    fn left_to_others(&self, id: i32, wish: &Wish, now: Timestamp) -> Option<Timestamp> {
        let retry = self.retries.get(&id).filter(|retry| wish.has_peers && retry.failed_by == wish.worker.0)?;
        (now < retry.reserved_until).then_some(retry.reserved_until)
    }
}

trait PopFirstIfDue {
    fn pop_first_if_due(&mut self, now: Timestamp) -> Option<(Timestamp, i32)>;
}

impl PopFirstIfDue for BTreeSet<(Timestamp, i32)> {
    fn pop_first_if_due(&mut self, now: Timestamp) -> Option<(Timestamp, i32)> {
        if self.first()?.0 <= now { self.pop_first() } else { None }
    }
}

fn urgency(id: i32, row: &Row) -> Urgency {
    Urgency { priority: Reverse(row.priority), bitrate: Reverse(row.bitrate), id }
}

fn class(row: &Row, h264: u16) -> Class {
    let pixels = u32::from(row.width) * u32::from(row.height);
    Class {
        library: row.library,
        codec: row.codec,
        height: row.height,
        is_vr: row.is_vr(),
        suits_hardware: pixels <= HARDWARE_PIXELS && row.fps <= HARDWARE_FPS && row.codec == h264,
        is_retry: row.is_failed(),
    }
}
