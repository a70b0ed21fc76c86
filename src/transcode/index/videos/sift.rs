//! Which rows a filter lets pass.

use std::collections::HashSet;

use super::{Row, VideoFilter, Videos};
use crate::transcode::index::pick::Numbers;

/// Which libraries' videos a filter lets pass.
#[derive(Clone, Copy, Debug)]
enum Library {
    Any,
    Unknown,
    Of(u16),
}

/// A filter in the words of the rows.
#[derive(Debug)]
pub(super) struct Test {
    statuses: Numbers,
    is_vr: Option<bool>,
    codecs: Option<HashSet<u16>>,
    bitrate: (u32, u32),
    size: (i64, i64),
    library: Library,
}

impl Test {
    pub(super) fn new(videos: &Videos, filter: &VideoFilter) -> Self {
        let codecs = (!filter.codecs.is_empty()).then(|| {
            let asked = |codec: &str| filter.codecs.iter().any(|wanted| wanted.eq_ignore_ascii_case(codec));
            videos.codecs.matching(asked).into_iter().collect()
        });
        let bitrate = |limit: Option<i32>, default: u32| limit.map_or(default, |k| u32::try_from(k).unwrap_or(0));
        // Nothing is below zero, so an upper limit below it lets nothing pass.
        let is_empty = filter.max_bitrate.is_some_and(|most| most < 0);
        Test {
            statuses: filter.statuses.iter().map(|status| *status as i32).collect(),
            is_vr: filter.is_vr,
            codecs,
            bitrate: if is_empty {
                (1, 0)
            } else {
                (bitrate(filter.min_bitrate, 0), bitrate(filter.max_bitrate, u32::MAX))
            },
            size: (filter.min_size.unwrap_or(i64::MIN), filter.max_size.unwrap_or(i64::MAX)),
            library: match filter.library.as_deref().map(|library| videos.libraries.known(library)) {
                None => Library::Any,
                Some(None) => Library::Unknown,
                Some(Some(number)) => Library::Of(number),
            },
        }
    }

    pub(super) fn accepts(&self, row: &Row) -> bool {
        row.exists()
            && self.statuses.has(row.status)
            && self.is_vr.is_none_or(|is_vr| is_vr == row.is_vr())
            && self.codecs.as_ref().is_none_or(|codecs| codecs.contains(&row.codec))
            && (self.bitrate.0..=self.bitrate.1).contains(&row.bitrate)
            && (self.size.0..=self.size.1).contains(&row.size)
            && match self.library {
                Library::Any => true,
                Library::Unknown => false,
                Library::Of(library) => library == row.library,
            }
    }
}
