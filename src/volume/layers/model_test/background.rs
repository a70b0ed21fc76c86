//! Work in the background, with writes in the middle of it.

use std::io;
use std::ops::Range;

use parking_lot::Mutex;

use super::{Content, Step, Volume, World};
use crate::volume::device::BLOCK_BYTES;
use crate::volume::driver::{Control, Done, Driver, FindingKind, LayerId, LayerSpec, MergeInto, Proceed, Repair};
use crate::volume::layers::disk::simulated::Random;

/// Writes to volumes before each piece of work, and stops some work.
struct Foreground<'a>(Mutex<Busy<'a>>);

struct Busy<'a> {
    volumes: &'a mut Vec<Volume>,
    random: Random,
    pieces: u32,
}

impl Control for Foreground<'_> {
    fn total(&self, _bytes: u64) {}

    fn proceed(&self, _bytes: u64) -> Proceed {
        let mut busy = self.0.lock();
        let step = Step { what: 0, which: 0, at: numbers(&mut busy.random), length: numbers(&mut busy.random) };
        let data = vec![step.at.to_le_bytes()[0]; usize::try_from(6 * BLOCK_BYTES).unwrap()];
        let volume = step.at as usize % busy.volumes.len();
        let is_written = busy.volumes[volume].write(step, &data).is_ok();
        busy.pieces = busy.pieces.saturating_sub(1);
        if is_written && busy.pieces > 0 { Proceed::Go } else { Proceed::Stop }
    }
}

fn numbers(random: &mut Random) -> u32 {
    u32::try_from(random.next() >> 32).unwrap()
}

impl World {
    /// Runs work on the driver while the volumes are written to.
    fn work(&mut self, step: Step, work: impl Fn(&dyn Driver, &dyn Control) -> io::Result<Done>) -> io::Result<Done> {
        let pieces = if step.length.is_multiple_of(4) { step.at % 3 } else { u32::MAX };
        let random = Random(self.random.next());
        let control = Foreground(Mutex::new(Busy { volumes: &mut self.volumes, random, pieces }));
        work(&self.depot, &control)
    }

    pub(super) fn flatten(&mut self, step: Step) -> io::Result<()> {
        let ids = self.records.ids();
        let above = ids[step.at as usize % ids.len()];
        let Some(below) = self.records.below(above) else {
            return Ok(());
        };
        let source = self.records.chain(below);
        let into = self.records.new_layer(self.records.spec(below).size, step.at.is_multiple_of(2));
        self.depot.create_layer(into)?;
        let above = self.records.spec(above);
        let mut done = self.work(step, |depot, control| depot.flatten(&source, above, into, control))?;
        if done == Done::Stopped && step.which.is_multiple_of(2) {
            let patient = Step { length: 1, ..step };
            done = self.work(patient, |depot, control| depot.flatten(&source, above, into, control))?;
        }
        if done == Done::Stopped {
            return self.depot.remove_layer(into.id);
        }
        self.records.put(into, None);
        self.records.put(above, Some(into.id));
        let from: Vec<LayerId> = source.iter().map(|spec| spec.id).collect();
        self.depot.replace(&from, into, Some(above.id))
    }

    /// Does something about a layer that has no name.
    pub(super) fn clean(&mut self, step: Step) -> io::Result<()> {
        let has_name = |id: &LayerId| {
            self.volumes.iter().any(|volume| volume.top == *id) || self.snapshots.iter().any(|named| named.layer == *id)
        };
        let nameless: Vec<LayerId> = self.records.ids().into_iter().filter(|id| !has_name(id)).collect();
        if nameless.is_empty() {
            return Ok(());
        }
        let lower = nameless[step.at as usize % nameless.len()];
        match self.records.above(lower)[..] {
            [] => {
                self.records.remove(lower);
                self.depot.remove_layer(lower)
            }
            [upper] if self.volumes.iter().any(|volume| volume.top == upper) => {
                let (lower, upper) = (self.records.spec(lower), self.records.spec(upper));
                self.work(step, |depot, control| Ok(depot.discard_hidden(lower, upper, control)?.0)).map(|_| ())
            }
            [upper] => self.merge(step, lower, upper),
            _ => Ok(()),
        }
    }

    fn merge(&mut self, step: Step, lower: LayerId, upper: LayerId) -> io::Result<()> {
        let (lower, upper) = (self.records.spec(lower), self.records.spec(upper));
        let into = if step.which.is_multiple_of(2) { MergeInto::Lower } else { MergeInto::Upper };
        if self.work(step, |depot, control| depot.merge(lower, upper, into, control))? == Done::Stopped {
            return Ok(());
        }
        let below = self.records.below(lower.id);
        let (kept, gone) = match into {
            MergeInto::Lower => (LayerSpec { size: upper.size, ..lower }, upper.id),
            MergeInto::Upper => (upper, lower.id),
        };
        self.records.put(kept, below);
        self.records.move_above(gone, kept.id);
        self.records.remove(gone);
        self.snapshots.iter_mut().filter(|named| named.layer == gone).for_each(|named| named.layer = kept.id);
        // Both ways to say it come to the same.
        let from = if step.at.is_multiple_of(3) { vec![gone] } else { vec![lower.id, upper.id] };
        self.depot.replace(&from, kept, None)?;
        self.depot.remove_layer(gone)
    }

    pub(super) fn scrub(&mut self, step: Step) -> io::Result<()> {
        let ids = self.records.ids();
        let layer = self.records.spec(ids[step.at as usize % ids.len()]);
        let repair = if step.which.is_multiple_of(2) { Repair::Yes } else { Repair::No };
        let patient = Step { length: 1, ..step };
        let found = Mutex::new(Vec::new());
        self.work(patient, |depot, control| {
            found.lock().extend(depot.scrub(layer, repair, control)?.findings);
            Ok(Done::All)
        })?;
        for finding in found.into_inner() {
            let is_harmless = matches!(finding.kind, FindingKind::UnmappedData | FindingKind::BeyondEnd);
            assert!(is_harmless, "{finding:?}");
        }
        Ok(())
    }

    /// What two volumes do not have in common is what they are told to differ in.
    pub(super) fn compare(&mut self, step: Step) -> io::Result<()> {
        let older = &self.volumes[usize::from(step.which) % self.volumes.len()];
        let newer = &self.volumes[step.at as usize % self.volumes.len()];
        let chains = [older, newer].map(|volume| self.records.chain(volume.top));
        let mut differing: Vec<(Range<u64>, bool)> = Vec::new();
        let mut at = 0;
        loop {
            let some = self.depot.diff(Some(&chains[0]), &chains[1], at, 2)?;
            let Some(last) = some.last() else {
                break;
            };
            at = last.offset + last.length;
            differing.extend(some.iter().map(|part| (part.offset..part.offset + part.length, part.is_zero)));
        }
        Content::check_differences(&older.content, &newer.content, newer.view().size(), &differing);
        Ok(())
    }
}
