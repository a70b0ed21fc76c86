//! Walking over what several layers have.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use super::Layer;
use super::disk::BlockFile;

/// How many regions are looked at together: 64 GiB of a volume.
const WINDOW: u32 = 16 * 1024;

/// Which of some regions of a layer are meant.
type Find<F> = fn(&Layer<F>, Range<u32>) -> io::Result<Vec<Range<u32>>>;

/// Regions of which at least one layer may have something, in order.
pub(super) struct Regions<'a, F> {
    layers: Vec<&'a Layer<F>>,
    find: Find<F>,
    found: VecDeque<Range<u32>>,
    next: u32,
    end: u32,
}

impl<'a, F: BlockFile> Regions<'a, F> {
    /// Those from `first` on that the stored maps may name.
    pub(super) fn stored(layers: Vec<&'a Layer<F>>, first: u32) -> io::Result<Self> {
        let mut end = 0;
        for layer in &layers {
            end = end.max(layer.map_end()?);
        }
        Ok(Regions { layers, find: Layer::stored, found: VecDeque::new(), next: first, end })
    }

    /// Those that take space in any file of a layer.
    pub(super) fn taken(layer: &'a Layer<F>) -> io::Result<Self> {
        let find = |layer: &Layer<F>, regions: Range<u32>| {
            let mut taken = layer.stored(regions.clone())?;
            taken.extend(layer.with_bytes(regions)?);
            Ok(taken)
        };
        let end = layer.map_end()?.max(layer.data_end()?);
        Ok(Regions { layers: vec![layer], find, found: VecDeque::new(), next: 0, end })
    }

    fn look_at_window(&mut self) -> io::Result<()> {
        let window = self.next..self.end.min(self.next.saturating_add(WINDOW));
        self.next = window.end;
        let mut found = Vec::new();
        for layer in &self.layers {
            found.extend((self.find)(layer, window.clone())?);
        }
        found.sort_by_key(|regions| regions.start);
        for regions in found {
            let regions = regions.start.max(window.start)..regions.end.min(window.end);
            match self.found.back_mut().filter(|last| last.end >= regions.start) {
                Some(last) => last.end = last.end.max(regions.end),
                None => self.found.push_back(regions),
            }
        }
        Ok(())
    }
}

impl<F: BlockFile> Iterator for Regions<'_, F> {
    type Item = io::Result<u32>;

    fn next(&mut self) -> Option<io::Result<u32>> {
        loop {
            if let Some(regions) = self.found.front_mut() {
                match regions.next() {
                    Some(region) => return Some(Ok(region)),
                    None => self.found.pop_front(),
                };
            } else if self.next >= self.end {
                return None;
            } else if let Err(error) = self.look_at_window() {
                self.next = self.end;
                return Some(Err(error));
            }
        }
    }
}
