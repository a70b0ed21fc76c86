//! Lives of a layer that end by a power cut at any moment.

use proptest::prelude::*;

use super::*;
use crate::volume::layers::disk::simulated::Random;
use crate::volume::layers::region_map::{REGION_BLOCKS, start_of};

const SECTOR: usize = 512;
/// Regions and blocks that are written; few, so that writes meet.
const REGIONS: u32 = 2;
const BLOCKS: usize = 4;

/// What a sector may hold.
type Versions = Vec<u8>;

/// A layer and what its sectors may hold after a crash; what they hold now is the last.
struct Scene {
    disk: Arc<SimulatedDisk>,
    spec: LayerSpec,
    layer: Layer<SimulatedFile>,
    maps: Vec<Blocks>,
    sectors: Vec<Versions>,
    random: Random,
}

fn index(region: u32, block: usize) -> usize {
    (region as usize * BLOCKS + block) * BLOCK / SECTOR
}

impl Scene {
    fn new(seed: u64, checksums: bool) -> Self {
        let disk = Arc::new(SimulatedDisk::default());
        let spec = LayerSpec { checksums, ..CHECKED };
        create(&disk, spec).expect("a new layer");
        let layer = Layer::open(&disk, spec);
        let maps = vec![Blocks::ABSENT; REGIONS as usize];
        let sectors = vec![vec![0]; index(REGIONS, 0)];
        Scene { disk, spec, layer, maps, sectors, random: Random(seed) }
    }

    /// Writes or flushes something. What was promised is known before it fails.
    fn step(&mut self) -> io::Result<()> {
        let region = u32::try_from(self.random.below(REGIONS.into())).expect("few regions");
        let block = usize::try_from(self.random.below(BLOCKS as u64)).expect("few blocks");
        let offset = start_of(region) + block as u64 * BLOCK_BYTES;
        let value = u8::try_from(self.random.below(255)).expect("a byte") + 1;
        let is_data = self.maps[region as usize].get(block) == BlockState::Data;
        match self.random.below(10) {
            0..4 => {
                self.expect_in(region, block, 0..BLOCK, value);
                self.layer.write(&[value; BLOCK], offset)?;
                self.maps[region as usize].set(block, BlockState::Data);
                Ok(())
            }
            4..6 if is_data => {
                self.expect_in(region, block, SECTOR..3 * SECTOR, value);
                self.layer.write_partial(&[value; 2 * SECTOR], offset + SECTOR as u64)
            }
            6 if is_data => {
                self.expect_in(region, block, 0..BLOCK, 0);
                self.maps[region as usize].set(block, BlockState::Zero);
                self.layer.punch(offset, BLOCK_BYTES)
            }
            7 => self.flush(),
            8 => self.flush().and_then(|()| self.layer.seal()),
            _ => self.check_now(),
        }
    }

    fn expect_in(&mut self, region: u32, block: usize, bytes: Range<usize>, value: u8) {
        let first = index(region, block);
        for sector in &mut self.sectors[first + bytes.start / SECTOR..first + bytes.end / SECTOR] {
            sector.push(value);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.layer.sync_data()?;
        for (region, map) in (0..).zip(&self.maps) {
            self.layer.store(region, map)?;
        }
        self.layer.sync_map()?;
        for versions in &mut self.sectors {
            versions.drain(..versions.len() - 1);
        }
        let idle = if self.random.coin() { Duration::ZERO } else { LONG };
        self.layer.rest(idle)
    }

    /// Every byte is what was written last.
    fn check_now(&self) -> io::Result<()> {
        let maps = self.maps.clone();
        self.check(&maps, |versions, is| versions.last() == Some(&is))
    }

    fn check(&self, maps: &[Blocks], is_right: impl Fn(&Versions, u8) -> bool) -> io::Result<()> {
        for (region, map) in (0..REGIONS).zip(maps) {
            for block in 0..BLOCKS {
                let mut bytes = vec![0; BLOCK];
                if map.get(block) == BlockState::Data {
                    let offset = start_of(region) + block as u64 * BLOCK_BYTES;
                    self.layer.read(&mut bytes, offset, Wait::Allowed)?;
                }
                for (sector, versions) in bytes.chunks(SECTOR).zip(&self.sectors[index(region, block)..]) {
                    assert!(sector.iter().all(|byte| *byte == sector[0]), "a torn sector");
                    assert!(is_right(versions, sector[0]), "{} is not among {versions:?}", sector[0]);
                }
            }
        }
        Ok(())
    }

    /// Starts anew after the power was cut. What is there now is what later crashes may go back to.
    fn reboot(&mut self) {
        self.disk.cut_power(&mut self.random);
        self.layer = Layer::open(&self.disk, self.spec);
        let load = |region| self.layer.load(region, Wait::Allowed).expect("a map that can be read").blocks;
        self.maps = (0..REGIONS).map(load).collect();
        for map in &self.maps {
            assert!((BLOCKS..REGION_BLOCKS).all(|block| map.get(block) == BlockState::Absent));
        }
        let maps = self.maps.clone();
        self.check(&maps, |versions, is| versions.contains(&is)).expect("no block is taken for a damaged one");
        for region in 0..REGIONS {
            for block in 0..BLOCKS {
                self.settle(region, block);
            }
        }
    }

    fn settle(&mut self, region: u32, block: usize) {
        let mut bytes = vec![0; BLOCK];
        if self.maps[region as usize].get(block) == BlockState::Data {
            let offset = start_of(region) + block as u64 * BLOCK_BYTES;
            self.layer.read(&mut bytes, offset, Wait::Allowed).expect("readable data");
        }
        for (sector, versions) in bytes.chunks(SECTOR).zip(&mut self.sectors[index(region, block)..]) {
            *versions = vec![sector[0]];
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_flushed_survives_any_power_cut_and_nothing_is_taken_for_damaged(seed: u64, checksums: bool) {
        let mut scene = Scene::new(seed, checksums);
        for _ in 0..6 {
            scene.disk.fail_after(scene.random.clone().below(60));
            for _ in 0..100 {
                if scene.step().is_err() {
                    break;
                }
            }
            scene.reboot();
        }
    }
}
