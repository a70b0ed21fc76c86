//! Volumes, snapshots and clones against a model in memory, on a disk that loses its power in the middle of anything.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use rustix::io::Errno;

use self::content::{Change, Content, SIZES};
use self::history::{Step, live_through, steps};
use self::records::Records;
use crate::volume::device::{BLOCK_BYTES, Zero};
use crate::volume::driver::{Access, Driver, LayerId, LayerSpec, View};
use crate::volume::layers::depot::Depot;
use crate::volume::layers::disk::simulated::{Random, SimulatedDisk};

mod background;
mod content;
mod history;
mod records;

/// How many volumes there are at most.
const MAX_VOLUMES: usize = 3;

struct Volume {
    top: LayerId,
    view: Option<Arc<dyn View>>,
    content: Content,
}

struct Snapshot {
    layer: LayerId,
    bytes: Vec<u8>,
    /// Some are kept open.
    view: Option<Arc<dyn View>>,
}

struct World {
    disk: SimulatedDisk,
    random: Random,
    depot: Depot<SimulatedDisk>,
    records: Records,
    volumes: Vec<Volume>,
    snapshots: Vec<Snapshot>,
    /// Whether the power may go.
    is_doomed: bool,
    /// Whether the disk, once it fails, answers again without a cut.
    is_brief: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = SimulatedDisk::default();
        let mut world = World {
            depot: Depot::new(disk.clone()),
            disk,
            random: Random(seed),
            records: Records::default(),
            volumes: Vec::new(),
            snapshots: Vec::new(),
            is_doomed: false,
            is_brief: false,
        };
        world.add_volume(None, Content::empty()).unwrap();
        world
    }

    fn step(&mut self, step: Step) {
        if self.is_brief && !self.disk.has_power() {
            self.disk.answer_again();
            self.is_brief = false;
        }
        self.look_at_doubts();
        let done = match step.what {
            0..30 => self.write(step),
            30..38 => self.zero(step),
            38..46 => self.trim(step),
            46..54 => self.flush(step),
            54..62 => self.freeze(step),
            62..65 => self.clone_snapshot(step),
            65..68 => self.roll_back(step),
            68..72 => {
                self.delete_snapshot(step);
                Ok(())
            }
            72..78 => self.flatten(step),
            78..88 => self.clean(step),
            88..90 => self.grow(step),
            90..92 => self.reopen(step),
            92..94 => self.run_out_of_space(step),
            94..96 => self.scrub(step),
            96..98 => self.compare(step),
            _ => {
                self.disk.fail_after(u64::from(step.at % 40));
                self.is_doomed = true;
                self.is_brief = step.what >= 102;
                Ok(())
            }
        };
        match done {
            Ok(()) => {}
            // Who asked for a change only has to be told. What else failed would have to be undone first.
            Err(_) if self.is_brief && step.what < 54 => {}
            Err(_) if self.is_doomed => self.lose_power(),
            Err(error) => panic!("{error}"),
        }
        if !self.is_doomed {
            self.check();
        }
    }

    /// Finds out what came of changes that failed, unless the disk still fails.
    fn look_at_doubts(&mut self) {
        for volume in self.volumes.iter_mut().filter(|volume| volume.content.is_in_doubt()) {
            match Content::read_from(&**volume.view()) {
                Ok(read) => volume.content.look(read),
                Err(error) => assert!(!self.disk.has_power(), "what a change that failed has left: {error}"),
            }
        }
    }

    /// Checks that everything shows what it should.
    fn check(&self) {
        for volume in &self.volumes {
            volume.content.check(&**volume.view());
        }
        for view in self.snapshots.iter().filter_map(|snapshot| Some((snapshot.view.as_ref()?, &snapshot.bytes))) {
            Content::of(view.1.clone()).check(&**view.0);
        }
    }

    /// Cuts the power, opens everything again and goes on from what is there.
    fn lose_power(&mut self) {
        self.volumes.iter_mut().for_each(|volume| volume.view = None);
        self.snapshots.iter_mut().for_each(|snapshot| snapshot.view = None);
        self.disk.cut_power(&mut self.random);
        (self.is_doomed, self.is_brief) = (false, false);
        self.depot = Depot::new(self.disk.clone());
        for volume in &mut self.volumes {
            let view = self.depot.open(&self.records.chain(volume.top), Access::ReadWrite).unwrap();
            volume.content.recover(Content::read(&*view));
            volume.view = Some(view);
        }
        for snapshot in &mut self.snapshots {
            let view = self.depot.open(&self.records.chain(snapshot.layer), Access::ReadOnly).unwrap();
            Content::of(snapshot.bytes.clone()).check(&*view);
            snapshot.view = Some(view).filter(|_| self.random.coin());
        }
    }

    fn volume(&mut self, which: u8) -> &mut Volume {
        let count = self.volumes.len();
        &mut self.volumes[usize::from(which) % count]
    }

    fn add_volume(&mut self, on: Option<LayerId>, content: Content) -> io::Result<()> {
        let size = on.map_or(SIZES[0], |layer| self.records.spec(layer).size);
        let top = self.records.new_layer(size, self.random.coin());
        self.depot.create_layer(top)?;
        self.records.put(top, on);
        let view = self.depot.open(&self.records.chain(top.id), Access::ReadWrite)?;
        self.volumes.push(Volume { top: top.id, view: Some(view), content });
        Ok(())
    }

    fn write(&mut self, step: Step) -> io::Result<()> {
        let mut data = vec![0; usize::try_from(6 * BLOCK_BYTES).unwrap()];
        let mut stamps = Random(u64::from(step.at) << 32 | u64::from(step.length));
        data.chunks_mut(8).for_each(|bytes| bytes.copy_from_slice(&stamps.next().to_le_bytes()));
        self.volume(step.which).write(step, &data)
    }

    fn zero(&mut self, step: Step) -> io::Result<()> {
        let zero = if step.what.is_multiple_of(2) { Zero::Deallocate } else { Zero::KeepAllocated };
        let volume = self.volume(step.which);
        let range = volume.long_range(step);
        let done = volume.view().zero(range.start, range.end - range.start, zero);
        volume.note(&range, &Change::Zeros, done)
    }

    fn trim(&mut self, step: Step) -> io::Result<()> {
        let volume = self.volume(step.which);
        let range = volume.long_range(step);
        let done = volume.view().trim(range.start, range.end - range.start);
        let whole = range.start.next_multiple_of(BLOCK_BYTES)..range.end / BLOCK_BYTES * BLOCK_BYTES;
        volume.note(&whole, &Change::Zeros, done)
    }

    fn flush(&mut self, step: Step) -> io::Result<()> {
        let volume = self.volume(step.which);
        volume.view().flush()?;
        volume.content.flushed();
        Ok(())
    }

    /// A snapshot of one volume, or of two at one point in time.
    fn freeze(&mut self, step: Step) -> io::Result<()> {
        let count = if step.at.is_multiple_of(3) { 2 } else { 1 };
        let first = usize::from(step.which) % self.volumes.len();
        let chosen: Vec<usize> = (first..self.volumes.len()).take(count).collect();
        let mut tops = Vec::new();
        for index in &chosen {
            let size = self.records.spec(self.volumes[*index].top).size;
            let top = self.records.new_layer(size, self.random.coin());
            self.depot.create_layer(top)?;
            tops.push(top);
        }
        let views = chosen.iter().map(|index| Arc::clone(self.volumes[*index].view()));
        let frozen = self.depot.freeze(views.zip(tops.clone()).collect())?;
        // What is written now is lost with the power if nobody has noted the new tops, and it is not in the snapshots.
        let bytes: Vec<Vec<u8>> = chosen.iter().map(|index| self.volumes[*index].content.bytes().to_vec()).collect();
        let after = Step { which: u8::try_from(first).unwrap(), ..step };
        self.write(after)?;
        frozen.settle()?;
        for ((index, top), bytes) in chosen.into_iter().zip(tops).zip(bytes) {
            let volume = &mut self.volumes[index];
            self.records.put(top, Some(volume.top));
            let layer = std::mem::replace(&mut volume.top, top.id);
            volume.content.flushed_as(&bytes);
            self.snapshots.push(Snapshot { layer, bytes, view: None });
        }
        Ok(())
    }

    fn clone_snapshot(&mut self, step: Step) -> io::Result<()> {
        if self.snapshots.is_empty() {
            return Ok(());
        }
        if self.volumes.len() >= MAX_VOLUMES {
            let gone = usize::from(step.which) % self.volumes.len();
            self.volumes.remove(gone);
        }
        let snapshot = &self.snapshots[step.at as usize % self.snapshots.len()];
        let (layer, content) = (snapshot.layer, Content::of(snapshot.bytes.clone()));
        self.add_volume(Some(layer), content)
    }

    fn roll_back(&mut self, step: Step) -> io::Result<()> {
        if self.snapshots.is_empty() {
            return Ok(());
        }
        let snapshot = &self.snapshots[step.at as usize % self.snapshots.len()];
        let (layer, content) = (snapshot.layer, Content::of(snapshot.bytes.clone()));
        // Until the new top is there, the volume is what it was.
        let old = usize::from(step.which) % self.volumes.len();
        self.add_volume(Some(layer), content)?;
        self.volumes.swap_remove(old);
        Ok(())
    }

    fn delete_snapshot(&mut self, step: Step) {
        if !self.snapshots.is_empty() {
            let gone = step.at as usize % self.snapshots.len();
            self.snapshots.remove(gone);
        }
    }

    fn grow(&mut self, step: Step) -> io::Result<()> {
        let volume = self.volume(step.which);
        let top = volume.top;
        volume.view().grow(SIZES[1])?;
        let on = self.records.below(top);
        self.records.put(LayerSpec { size: SIZES[1], ..self.records.spec(top) }, on);
        Ok(())
    }

    fn reopen(&mut self, step: Step) -> io::Result<()> {
        let volume = self.volume(step.which);
        let top = volume.top;
        volume.view = None;
        let view = self.depot.open(&self.records.chain(top), Access::ReadWrite)?;
        let volume = self.volume(step.which);
        let read = Content::read_from(&*view)?;
        volume.content.look(read);
        volume.view = Some(view);
        Ok(())
    }

    /// Writes while there is hardly any space, and goes on when there is some again.
    fn run_out_of_space(&mut self, step: Step) -> io::Result<()> {
        self.disk.set_room(Some(u64::from(step.at % 20) * 512));
        let done = self.write(step);
        let flushed = self.volume(step.which).view().flush();
        self.disk.set_room(None);
        for result in [done, flushed] {
            result.or_else(|error| if is_full(&error) { Ok(()) } else { Err(error) })?;
        }
        let volume = self.volume(step.which);
        let read = Content::read_from(&**volume.view())?;
        volume.content.look(read);
        self.flush(step)
    }
}

fn is_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOSPC.raw_os_error())
}

impl Volume {
    fn view(&self) -> &Arc<dyn View> {
        self.view.as_ref().expect("only a power loss closes it for longer")
    }

    fn write(&mut self, step: Step, data: &[u8]) -> io::Result<()> {
        let range = Content::range(self.view().size(), step.at, step.length);
        let data = &data[..usize::try_from(range.end - range.start).unwrap()];
        let done = self.view().write_at(data, range.start);
        self.note(&range, &Change::Bytes(data), done)
    }

    /// A range that may go from one of the places to the next one.
    fn long_range(&self, step: Step) -> Range<u64> {
        let size = self.view().size();
        let range = Content::range(size, step.at, step.length);
        let end = if step.length.is_multiple_of(3) { size } else { range.end };
        range.start..end
    }

    fn note(&mut self, range: &Range<u64>, change: &Change<'_>, done: io::Result<()>) -> io::Result<()> {
        match done {
            Ok(()) => self.content.change(range, change),
            Err(_) => self.content.may_change(range, change),
        }
        done
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn volumes_show_what_was_written_whatever_happens(seed in any::<u64>(), steps in steps()) {
        live_through(seed, &steps);
    }
}
