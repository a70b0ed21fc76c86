//! A disk in memory that loses its power, for tests.
//!
//! It is an honest adversary: of what was written since the last sync of a file, any sector may be there after the power
//! was cut, or an older one, whatever order they were written in; of names that were made or removed since the last sync
//! of the directory, any may have stayed as they were.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;

use super::{BlockFile, Disk};
use crate::volume::device::Wait;

mod image;
mod random;

use image::{Image, UNIT};
pub(crate) use random::Random;

/// The disk. Its clones are the same disk; files that were opened before the power was cut fail for good.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

/// A file of it that is open.
#[derive(Debug)]
pub(crate) struct SimulatedFile {
    state: Arc<Mutex<State>>,
    number: usize,
    opened_in: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Every file that ever was.
    files: Vec<Image>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// How often the power was cut.
    epoch: u64,
    /// Changes and syncs so far.
    operations: u64,
    /// From which one on they fail.
    fails_from: Option<u64>,
    /// Bytes that are left.
    room: Option<u64>,
    fails_next_sync: bool,
    is_cold: bool,
}

impl SimulatedDisk {
    /// Cuts the power and switches it on again: what was not synced is there, or not, by chance.
    pub(crate) fn cut_power(&self, random: &mut Random) {
        let mut state = self.state.lock();
        state.epoch += 1;
        (state.fails_from, state.fails_next_sync, state.is_cold) = (None, false, false);
        for file in &mut state.files {
            file.cut_power(random);
        }
        let (old, new) = (state.durable_names.clone(), state.names.clone());
        for name in old.keys().chain(new.keys()) {
            let survivor = if random.coin() { old.get(name) } else { new.get(name) };
            match survivor {
                Some(file) => state.durable_names.insert(name.clone(), *file),
                None => state.durable_names.remove(name),
            };
        }
        state.names = state.durable_names.clone();
    }

    /// How many changes and syncs there were.
    pub(crate) fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// After `count` more changes and syncs everything fails, as if the power had gone, until it is cut. Power that has gone
    /// already does not come back.
    pub(crate) fn fail_after(&self, count: u64) {
        let mut state = self.state.lock();
        if state.check().is_ok() {
            state.fails_from = Some(state.operations + count);
        }
    }

    /// Works again without a cut, as when a cable was out for a while: what failed may have been done in part.
    pub(crate) fn answer_again(&self) {
        self.state.lock().fails_from = None;
    }

    /// Whether it still works.
    pub(crate) fn has_power(&self) -> bool {
        self.state.lock().check().is_ok()
    }

    /// Makes the next sync of a file fail once.
    pub(crate) fn fail_next_sync(&self) {
        self.state.lock().fails_next_sync = true;
    }

    /// Has room for so many bytes more; nothing for no limit.
    pub(crate) fn set_room(&self, bytes: Option<u64>) {
        self.state.lock().room = bytes;
    }

    /// Whether reads that must not wait find nothing in memory.
    pub(crate) fn set_cold(&self, is_cold: bool) {
        self.state.lock().is_cold = is_cold;
    }

    /// Turns a bit over, as a disk that grows old does.
    pub(crate) fn damage(&self, name: &str, offset: u64) {
        let mut state = self.state.lock();
        let number = state.names[name];
        state.files[number].damage(offset);
    }

    fn file(&self, state: &State, number: usize) -> SimulatedFile {
        SimulatedFile { state: Arc::clone(&self.state), number, opened_in: state.epoch }
    }
}

impl State {
    fn check(&self) -> io::Result<()> {
        if self.fails_from.is_some_and(|from| self.operations >= from) { Err(Errno::IO.into()) } else { Ok(()) }
    }

    /// Counts a change, or says that there is no power any more.
    fn operate(&mut self) -> io::Result<()> {
        self.check()?;
        self.operations += 1;
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        let mut state = self.state.lock();
        state.operate()?;
        let new = state.files.len();
        let number = *state.names.entry(name.to_owned()).or_insert(new);
        if number == new {
            state.files.push(Image::default());
        }
        Ok(self.file(&state, number))
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let state = self.state.lock();
        state.check()?;
        let number = state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(&state, *number))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.operate()?;
        state.names.remove(name);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.check()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.operate()?;
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.state.lock().room.unwrap_or(1 << 40))
    }
}

impl SimulatedFile {
    /// The disk, if the power was not cut since the file was opened.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        if state.epoch != self.opened_in {
            return Err(Errno::IO.into());
        }
        state.check()?;
        Ok(state)
    }

    /// Makes a change. If there is no power for it any more, a part of it may be on the disk all the same.
    fn change(&self, change: impl Fn(&mut Image)) -> io::Result<()> {
        let mut state = self.state()?;
        state.operate()?;
        let is_last = state.check().is_err();
        change(&mut state.files[self.number]);
        if is_last { Err(Errno::IO.into()) } else { Ok(()) }
    }
}

impl BlockFile for SimulatedFile {
    fn read_at(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
        let state = self.state()?;
        if state.is_cold && wait == Wait::Never {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.files[self.number].read(into, offset);
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let needed = state.files[self.number].needed(offset, data.len() as u64);
        match state.room.map(|room| room.checked_sub(needed)) {
            Some(None) => {
                // What there is room for has been written by then.
                drop(state);
                let unit = usize::try_from(UNIT).expect("a small unit");
                let fits = data.len() / 2 / unit * unit;
                self.change(|file| file.write(&data[..fits], offset))?;
                return Err(Errno::NOSPC.into());
            }
            Some(left) => state.room = left,
            None => {}
        }
        drop(state);
        self.change(|file| file.write(data, offset))
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        self.change(|file| file.punch(offset..offset + length))
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.number].length())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        state.operate()?;
        state.check()?;
        if std::mem::take(&mut state.fails_next_sync) {
            return Err(Errno::IO.into());
        }
        state.files[self.number].sync();
        Ok(())
    }

    fn used_bytes(&self) -> io::Result<u64> {
        let extents = self.data_extents(0, u64::MAX)?;
        Ok(extents.iter().map(|extent| extent.end - extent.start).sum())
    }

    fn copy_from(&self, source: &Self, offset: u64, length: u64) -> io::Result<()> {
        let mut data = vec![0; usize::try_from(length).expect("a small piece")];
        source.read_at(&mut data, offset, Wait::Allowed)?;
        self.write_at(&data, offset)
    }

    fn prefetch(&self, _offset: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn data_extents(&self, offset: u64, length: u64) -> io::Result<Vec<Range<u64>>> {
        Ok(self.state()?.files[self.number].extents(offset..offset.saturating_add(length)))
    }
}

#[cfg(test)]
mod tests;
