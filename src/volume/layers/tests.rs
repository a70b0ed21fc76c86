//! Work in the background, on a disk that loses its power.

mod diff;
mod discard;
mod flatten;
mod merge;
mod scrub;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::disk::simulated::{Random, SimulatedDisk, SimulatedFile};
use super::layer::create;
use super::region_map::{BlockState, Blocks, REGION_BYTES, bytes_of};
use super::*;
use crate::volume::device::Wait;
use crate::volume::driver::{Control, Done, LayerId, LayerSpec, Proceed};

const BLOCK: usize = 4096;
const SIZE: u64 = 4 * REGION_BYTES;

type TestLayer = Arc<Layer<SimulatedFile>>;

/// The blocks that the tests use: of two regions, the first ones and the last ones.
fn places() -> impl Iterator<Item = (u32, usize)> {
    (0..5).map(|block| (0, block)).chain((1020..1024).map(|block| (2, block)))
}

/// Layers on one disk.
#[derive(Clone)]
struct Scene {
    disk: Arc<SimulatedDisk>,
    random: Random,
    checksums: bool,
}

impl Scene {
    fn new(seed: u64, checksums: bool) -> Self {
        Scene { disk: Arc::default(), random: Random(seed), checksums }
    }

    fn spec(&self, id: u64) -> LayerSpec {
        LayerSpec { id: LayerId(id), size: SIZE, checksums: self.checksums }
    }

    /// The layer as it is on disk.
    fn open(&self, id: u64) -> TestLayer {
        Arc::new(Layer::open(&self.disk, self.spec(id)))
    }

    fn empty(&self, id: u64) -> TestLayer {
        create(&self.disk, self.spec(id)).expect("a new layer");
        self.open(id)
    }

    /// A new layer with some blocks of data and of zeros, all on disk.
    fn layer(&mut self, id: u64) -> TestLayer {
        let layer = self.empty(id);
        let mut maps = vec![Blocks::ABSENT; 3];
        for (region, block) in places() {
            let state = match self.random.below(5) {
                0 | 1 => BlockState::Data,
                2 => BlockState::Zero,
                _ => BlockState::Absent,
            };
            maps[region as usize].set(block, state);
            if state == BlockState::Data {
                let value = u8::try_from(self.random.below(255)).expect("a byte") + 1;
                layer.put(&[value; BLOCK], bytes_of(region, &(block..block + 1)).start).expect("a write");
            }
        }
        store(&layer, &maps);
        layer
    }

    /// Cuts the power.
    fn crash(&mut self) {
        self.disk.cut_power(&mut self.random);
    }

    /// Does work again and again, each time until the power goes, or it is told to stop, or it comes to its end.
    fn persist(&mut self, mut work: impl FnMut(&Scene, &dyn Control) -> io::Result<Done>) {
        for life in 0..1000 {
            self.disk.fail_after(self.random.below(20 + life * 4));
            let control = Stopping(self.random.below(20).into());
            match work(self, &control) {
                Ok(Done::All) => return self.crash(),
                Ok(Done::Stopped) if self.random.coin() => {}
                Ok(Done::Stopped) | Err(_) => self.crash(),
            }
        }
        panic!("it never came to its end");
    }
}

fn store(layer: &TestLayer, maps: &[Blocks]) {
    layer.sync_data().expect("a sync");
    for (region, map) in (0..).zip(maps) {
        layer.store(region, map).expect("a map");
    }
    layer.seal().expect("a sync");
}

/// What a chain shows: a byte of each block.
fn show(chain: &[&TestLayer]) -> Vec<u8> {
    places().map(|(region, block)| shown(chain, region, block).expect("a readable block")).collect()
}

fn shown(chain: &[&TestLayer], region: u32, block: usize) -> io::Result<u8> {
    for layer in chain.iter().rev() {
        match layer.load(region, Wait::Allowed)?.blocks.get(block) {
            BlockState::Absent => {}
            BlockState::Zero => return Ok(0),
            BlockState::Data => {
                let mut bytes = [0; BLOCK];
                layer.read(&mut bytes, bytes_of(region, &(block..block + 1)).start, Wait::Allowed)?;
                assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a torn block");
                return Ok(bytes[0]);
            }
        }
    }
    Ok(0)
}

/// Lets work go on for so many pieces.
struct Stopping(AtomicU64);

impl Control for Stopping {
    fn total(&self, _bytes: u64) {}

    fn proceed(&self, _bytes: u64) -> Proceed {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 0 { Proceed::Stop } else { Proceed::Go }
    }
}

/// Lets work go on, counts it, and looks at something before every piece.
struct Watching<'a> {
    look: &'a (dyn Fn() + Sync),
    total: AtomicU64,
    done: AtomicU64,
}

impl<'a> Watching<'a> {
    fn new(look: &'a (dyn Fn() + Sync)) -> Self {
        Watching { look, total: 0.into(), done: 0.into() }
    }

    /// Whether as much was done as there was to do.
    fn is_complete(&self) -> bool {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        load(&self.total) == load(&self.done)
    }
}

impl Control for Watching<'_> {
    fn total(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    fn proceed(&self, bytes: u64) -> Proceed {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        (self.look)();
        Proceed::Go
    }
}
