//! A device in memory, which can be told to be slow or broken.

use std::io;
use std::ops::Range;

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;

use crate::volume::device::{BLOCK_BYTES, Device, Extent, ExtentKind, Wait, Zero};

/// A device in memory.
pub(super) struct MemoryDevice {
    state: Mutex<State>,
    changed: Condvar,
    is_read_only: bool,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    kinds: Vec<ExtentKind>,
    depths: Vec<Option<u32>>,
    /// What is not in memory: it is read only with leave to wait.
    on_disk: Range<u64>,
    /// Whether the disk does not answer.
    is_stuck: bool,
    waiting: usize,
    broken: Range<u64>,
    panics_at: Option<u64>,
    flushes: usize,
    /// Whether flushes do not come back.
    is_flush_stuck: bool,
    prefetched: Vec<(u64, u64)>,
    zeroed: Vec<Zero>,
}

#[expect(clippy::cast_possible_truncation, reason = "devices of tests are small")]
impl MemoryDevice {
    pub(super) fn new(size: u64) -> Self {
        let blocks = (size / BLOCK_BYTES) as usize;
        let state = State {
            bytes: vec![0; size as usize],
            kinds: vec![ExtentKind::Hole; blocks],
            depths: vec![None; blocks],
            ..State::default()
        };
        MemoryDevice { state: Mutex::new(state), changed: Condvar::new(), is_read_only: false }
    }

    pub(super) fn read_only(size: u64) -> Self {
        MemoryDevice { is_read_only: true, ..MemoryDevice::new(size) }
    }

    /// Writes as if it had been in a lower layer.
    pub(super) fn fill(&self, offset: u64, data: &[u8], depth: u32) {
        let mut state = self.state.lock();
        state.put(offset, data);
        for block in blocks(offset, data.len() as u64) {
            state.depths[block] = Some(depth);
        }
    }

    pub(super) fn bytes(&self, offset: u64, length: usize) -> Vec<u8> {
        self.state.lock().bytes[offset as usize..][..length].to_vec()
    }

    pub(super) fn flushes(&self) -> usize {
        self.state.lock().flushes
    }

    pub(super) fn prefetched(&self) -> Vec<(u64, u64)> {
        self.state.lock().prefetched.clone()
    }

    pub(super) fn zeroed(&self) -> Vec<Zero> {
        self.state.lock().zeroed.clone()
    }

    pub(super) fn put_on_disk(&self, range: Range<u64>) {
        self.state.lock().on_disk = range;
    }

    pub(super) fn set_stuck(&self, is_stuck: bool) {
        self.state.lock().is_stuck = is_stuck;
        self.changed.notify_all();
    }

    pub(super) fn set_flush_stuck(&self, is_stuck: bool) {
        self.state.lock().is_flush_stuck = is_stuck;
        self.changed.notify_all();
    }

    /// Waits until so many reads wait for the disk.
    pub(super) fn wait_for_waiting(&self, count: usize) {
        let mut state = self.state.lock();
        while state.waiting < count {
            let result = self.changed.wait_for(&mut state, super::PATIENCE);
            assert!(!result.timed_out(), "{} reads wait", state.waiting);
        }
    }

    pub(super) fn break_down(&self, range: Range<u64>) {
        self.state.lock().broken = range;
    }

    pub(super) fn panic_at(&self, offset: u64) {
        self.state.lock().panics_at = Some(offset);
    }

    fn check(state: &State, offset: u64, length: u64) -> io::Result<()> {
        if offset.checked_add(length).is_none_or(|end| end > state.bytes.len() as u64) {
            return Err(Errno::INVAL.into());
        }
        if overlaps(&state.broken, offset, length) {
            return Err(Errno::IO.into());
        }
        Ok(())
    }
}

fn overlaps(range: &Range<u64>, offset: u64, length: u64) -> bool {
    range.start < offset + length && offset < range.end
}

#[expect(clippy::cast_possible_truncation, reason = "devices of tests are small")]
fn blocks(offset: u64, length: u64) -> Range<usize> {
    (offset / BLOCK_BYTES) as usize..(offset + length).div_ceil(BLOCK_BYTES) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "devices of tests are small")]
impl State {
    fn put(&mut self, offset: u64, data: &[u8]) {
        self.bytes[offset as usize..][..data.len()].copy_from_slice(data);
        for block in blocks(offset, data.len() as u64) {
            self.kinds[block] = ExtentKind::Data;
            self.depths[block] = Some(0);
        }
    }

    fn clear(&mut self, offset: u64, length: u64) {
        self.bytes[offset as usize..][..length as usize].fill(0);
        let whole = (offset.div_ceil(BLOCK_BYTES) as usize)..((offset + length) / BLOCK_BYTES) as usize;
        for block in whole {
            self.kinds[block] = ExtentKind::Zero;
            self.depths[block] = Some(0);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "devices of tests are small")]
impl Device for MemoryDevice {
    fn size(&self) -> u64 {
        self.state.lock().bytes.len() as u64
    }

    fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn read_at(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::check(&state, offset, into.len() as u64)?;
        if overlaps(&state.on_disk, offset, into.len() as u64) {
            if wait == Wait::Never {
                // What is in the buffer then means nothing.
                into.fill(0xee);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            state.waiting += 1;
            self.changed.notify_all();
            while state.is_stuck {
                self.changed.wait(&mut state);
            }
            state.waiting -= 1;
        }
        if let Some(at) = state.panics_at {
            assert!(!overlaps(&(at..at + 1), offset, into.len() as u64), "told to");
        }
        into.copy_from_slice(&state.bytes[offset as usize..][..into.len()]);
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::check(&state, offset, data.len() as u64)?;
        state.put(offset, data);
        Ok(())
    }

    fn zero(&self, offset: u64, length: u64, zero: Zero) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::check(&state, offset, length)?;
        state.clear(offset, length);
        state.zeroed.push(zero);
        Ok(())
    }

    fn trim(&self, offset: u64, length: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::check(&state, offset, length)?;
        let start = offset.next_multiple_of(BLOCK_BYTES);
        let end = (offset + length) / BLOCK_BYTES * BLOCK_BYTES;
        if start < end {
            state.clear(start, end - start);
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        Self::check(&state, 0, state.bytes.len() as u64)?;
        while state.is_flush_stuck {
            self.changed.wait(&mut state);
        }
        state.flushes += 1;
        Ok(())
    }

    fn prefetch(&self, offset: u64, length: u64) -> io::Result<()> {
        self.state.lock().prefetched.push((offset, length));
        Ok(())
    }

    fn extents(&self, offset: u64, length: u64, limit: usize) -> io::Result<Vec<Extent>> {
        let state = self.state.lock();
        let mut extents: Vec<Extent> = Vec::new();
        let (mut at, end) = (offset, offset + length);
        while at < end {
            let block = (at / BLOCK_BYTES) as usize;
            let next = ((at / BLOCK_BYTES + 1) * BLOCK_BYTES).min(end);
            let extent = Extent { length: next - at, kind: state.kinds[block], depth: state.depths[block] };
            let is_full = extents.len() == limit;
            match extents.last_mut() {
                Some(last) if (last.kind, last.depth) == (extent.kind, extent.depth) => last.length += extent.length,
                _ if is_full => break,
                _ => extents.push(extent),
            }
            at = next;
        }
        Ok(extents)
    }
}
