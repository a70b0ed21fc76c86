//! What the tests of the catalogue share: a catalogue on a store in memory, with a clock that tests move, and a driver
//! whose layers have no bytes but only say how many they take.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use parking_lot::Mutex;
use steward_proto::store::v1::{VolumeRecord, VolumeUserRecord};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::catalog::Catalog;
use super::device::{Device, Extent, ExtentKind, Wait, Zero};
use super::driver::{
    Access, Control, DiffExtent, Done, Driver, Frozen, LayerId, LayerSpec, MergeCost, MergeInto, Proceed, Repair,
    ScrubReport, View,
};
use super::keys;
use super::namespace::{User, Which};
use super::path::VolumePath;
use super::settings::{RootAccess, Settings};
use crate::clock::{Clock, ManualClock};
use crate::store::Store;
use crate::store::suite::{self, Harness as _};
use crate::store::tx;

pub(super) const GIB: u64 = 1 << 30;

/// Settings with small limits, under which nothing happens by itself.
pub(super) fn settings() -> Settings {
    Settings {
        min_size: GIB,
        max_size: 1024 * GIB,
        pools: vec!["fast".to_owned(), "slow".to_owned()],
        max_snapshots: 8,
        max_operations: 8,
        running_operations: 1,
        trash_retention: Duration::from_hours(24),
        operation_retention: Duration::from_hours(24),
        copy_bytes_per_second: 0,
        auto_home: false,
        root: RootAccess::Trusted,
        max_watchers: 2,
    }
}

/// A catalogue, and what it stands on.
pub(super) struct World {
    harness: suite::Memory,
    pub(super) clock: Arc<ManualClock>,
    pub(super) driver: Arc<FakeDriver>,
    pub(super) tasks: TaskTracker,
    settings: Settings,
    pub(super) catalog: Catalog,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(settings()).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        let (mut harness, clock, tasks) = (suite::Memory::default(), Arc::new(ManualClock::new()), TaskTracker::new());
        let driver = Arc::new(FakeDriver::default());
        let catalog = open(&mut harness, &driver, &clock, &settings, &tasks).await;
        World { harness, clock, driver, tasks, settings, catalog }
    }

    /// Waits until everything that was started is over.
    pub(super) async fn settle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// Starts the server again.
    pub(super) async fn restart(&mut self) {
        self.settle().await;
        self.catalog = open(&mut self.harness, &self.driver, &self.clock, &self.settings, &self.tasks).await;
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.catalog.store
    }

    /// The record of a volume as it is.
    pub(super) async fn record(&self, id: u64) -> Option<VolumeRecord> {
        tx::read(self.store(), &keys::volume(id)).await.expect("a readable record")
    }

    /// How long a layer is, as its record says.
    pub(super) async fn layer_size(&self, layer: u64) -> u64 {
        tx::Tx::new(self.store()).layer(layer).await.expect("a record").size_bytes
    }

    /// What a user has.
    pub(super) async fn has(&self, user: &str) -> VolumeUserRecord {
        let record = tx::read(self.store(), &keys::user(user)).await.expect("a readable record");
        record.unwrap_or_default()
    }
}

async fn open(
    harness: &mut suite::Memory,
    driver: &Arc<FakeDriver>,
    clock: &Arc<ManualClock>,
    settings: &Settings,
    tasks: &TaskTracker,
) -> Catalog {
    let driver = Arc::clone(driver) as Arc<dyn Driver>;
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let shutdown = CancellationToken::new();
    let opened = Catalog::open(harness.open(1000), driver, clock, settings.clone(), shutdown, tasks.clone());
    opened.await.expect("a catalogue")
}

pub(super) fn user(name: &str) -> User {
    User(name.to_owned())
}

pub(super) fn path(path: &str) -> VolumePath {
    VolumePath::parse("path", path).expect("a path")
}

pub(super) fn at(text: &str) -> Which {
    Which::Path(path(text))
}

/// Layers without bytes.
#[derive(Default)]
pub(super) struct FakeDriver(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    layers: BTreeMap<LayerId, FakeLayer>,
    cannot_grow: bool,
    /// Where writers wait twice: when they come, and before they write.
    gate: Option<Arc<Barrier>>,
    /// The chains that are open, and how long they are.
    views: Vec<Arc<FakeView>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct FakeLayer {
    size: u64,
    used: u64,
}

impl FakeDriver {
    /// Says how many bytes a layer takes.
    pub(super) fn set_used(&self, layer: u64, used: u64) {
        self.0.lock().layers.entry(LayerId(layer)).or_default().used = used;
    }

    /// Lets views fail to grow.
    pub(super) fn fail_to_grow(&self, fail: bool) {
        self.0.lock().cannot_grow = fail;
    }

    /// Lets whoever writes wait at a gate, once when it comes and once before it writes.
    pub(super) fn stop_writers(&self) -> Arc<Barrier> {
        let gate = Arc::new(Barrier::new(2));
        self.0.lock().gate = Some(Arc::clone(&gate));
        gate
    }

    /// How long a layer is, if it is there.
    pub(super) fn size_of(&self, layer: u64) -> Option<u64> {
        self.0.lock().layers.get(&LayerId(layer)).map(|layer| layer.size)
    }
}

fn missing(layer: LayerId) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("layer {layer} is missing"))
}

impl State {
    fn layer(&mut self, id: LayerId) -> io::Result<&mut FakeLayer> {
        self.layers.get_mut(&id).ok_or_else(|| missing(id))
    }

    /// Adds what one layer takes to another.
    fn bring(&mut self, from: LayerId, to: LayerId) -> io::Result<()> {
        let used = self.layer(from)?.used;
        self.layer(to)?.used += used;
        Ok(())
    }
}

impl Driver for FakeDriver {
    fn create_layer(&self, layer: LayerSpec) -> io::Result<()> {
        self.0.lock().layers.entry(layer.id).or_insert(FakeLayer { size: layer.size, used: 0 });
        Ok(())
    }

    fn remove_layer(&self, id: LayerId) -> io::Result<()> {
        self.0.lock().layers.remove(&id);
        Ok(())
    }

    fn layers(&self) -> io::Result<Vec<LayerId>> {
        Ok(self.0.lock().layers.keys().copied().collect())
    }

    fn used_bytes(&self, id: LayerId) -> io::Result<u64> {
        Ok(self.0.lock().layer(id)?.used)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(1 << 40)
    }

    fn open(&self, chain: &[LayerSpec], access: Access) -> io::Result<Arc<dyn View>> {
        let mut state = self.0.lock();
        for layer in chain {
            state.layer(layer.id)?;
        }
        state.views.retain(|view| Arc::strong_count(view) > 1);
        let view = Arc::new(FakeView {
            chain: Mutex::new(chain.to_vec()),
            is_read_only: access == Access::ReadOnly,
            state: Arc::clone(&self.0),
        });
        state.views.push(Arc::clone(&view));
        Ok(view)
    }

    fn freeze(&self, tops: Vec<(Arc<dyn View>, LayerSpec)>) -> io::Result<Box<dyn Frozen>> {
        let state = self.0.lock();
        for (view, top) in tops {
            let below = view.chain();
            let is_same = |fake: &&Arc<FakeView>| !fake.is_read_only && *fake.chain.lock() == below;
            let fake = state.views.iter().find(is_same).ok_or_else(|| missing(top.id))?;
            fake.chain.lock().push(top);
        }
        Ok(Box::new(FakeFrozen))
    }

    fn flatten(
        &self,
        source: &[LayerSpec],
        _above: LayerSpec,
        into: LayerSpec,
        control: &dyn Control,
    ) -> io::Result<Done> {
        let total = source.iter().map(|layer| self.used_bytes(layer.id)).sum::<io::Result<u64>>()?;
        control.total(total);
        for layer in source {
            if control.proceed(0) == Proceed::Stop {
                return Ok(Done::Stopped);
            }
            let used = self.used_bytes(layer.id)?;
            self.0.lock().bring(layer.id, into.id)?;
            control.proceed(used);
        }
        Ok(Done::All)
    }

    fn merge(&self, lower: LayerSpec, upper: LayerSpec, into: MergeInto, control: &dyn Control) -> io::Result<Done> {
        if control.proceed(0) == Proceed::Stop {
            return Ok(Done::Stopped);
        }
        match into {
            MergeInto::Lower => self.0.lock().bring(upper.id, lower.id)?,
            MergeInto::Upper => self.0.lock().bring(lower.id, upper.id)?,
        }
        Ok(Done::All)
    }

    fn merge_cost(&self, lower: LayerSpec, upper: LayerSpec) -> io::Result<MergeCost> {
        Ok(MergeCost { into_lower: self.used_bytes(upper.id)?, into_upper: self.used_bytes(lower.id)? })
    }

    fn discard_hidden(&self, _lower: LayerSpec, _upper: LayerSpec, control: &dyn Control) -> io::Result<(Done, u64)> {
        match control.proceed(0) {
            Proceed::Go => Ok((Done::All, 0)),
            Proceed::Stop => Ok((Done::Stopped, 0)),
        }
    }

    fn replace(&self, from: &[LayerId], to: LayerSpec, under: Option<LayerId>) -> io::Result<()> {
        let state = self.0.lock();
        for view in &state.views {
            let mut chain = view.chain.lock();
            let ids: Vec<LayerId> = chain.iter().map(|layer| layer.id).collect();
            let is_under = |end: usize| under.is_none_or(|under| ids.get(end) == Some(&under));
            let is_it = |start: &usize| ids[*start..].starts_with(from) && is_under(start + from.len());
            let Some(start) = (0..ids.len()).find(is_it) else { continue };
            let above = chain.split_off(start + from.len());
            chain.truncate(start);
            chain.retain(|layer| layer.id != to.id);
            chain.push(to);
            chain.extend(above.into_iter().filter(|layer| layer.id != to.id));
        }
        Ok(())
    }

    fn diff(
        &self,
        _older: Option<&[LayerSpec]>,
        _newer: &[LayerSpec],
        _offset: u64,
        _limit: usize,
    ) -> io::Result<Vec<DiffExtent>> {
        Ok(Vec::new())
    }

    fn scrub(&self, layer: LayerSpec, _repair: Repair, control: &dyn Control) -> io::Result<ScrubReport> {
        self.0.lock().layer(layer.id)?;
        control.proceed(0);
        Ok(ScrubReport::default())
    }
}

/// A chain that is open and reads as zeros.
struct FakeView {
    chain: Mutex<Vec<LayerSpec>>,
    is_read_only: bool,
    state: Arc<Mutex<State>>,
}

impl View for FakeView {
    fn chain(&self) -> Vec<LayerSpec> {
        self.chain.lock().clone()
    }

    fn grow(&self, size: u64) -> io::Result<()> {
        if self.is_read_only || self.state.lock().cannot_grow {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let top = {
            let mut chain = self.chain.lock();
            let top = chain.last_mut().ok_or_else(|| io::Error::other("an empty chain"))?;
            top.size = size;
            top.id
        };
        self.state.lock().layer(top)?.size = size;
        Ok(())
    }

    fn as_device(self: Arc<Self>) -> Arc<dyn Device> {
        self
    }
}

impl Device for FakeView {
    fn size(&self) -> u64 {
        self.chain.lock().last().map_or(0, |top| top.size)
    }

    fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn read_at(&self, into: &mut [u8], _offset: u64, _wait: Wait) -> io::Result<()> {
        into.fill(0);
        Ok(())
    }

    fn write_at(&self, data: &[u8], _offset: u64) -> io::Result<()> {
        let gate = self.state.lock().gate.clone();
        if let Some(gate) = gate {
            gate.wait();
            gate.wait();
        }
        let top = self.chain.lock().last().map(|top| top.id);
        let top = top.ok_or_else(|| io::Error::other("an empty chain"))?;
        self.state.lock().layer(top)?.used += u64::try_from(data.len()).map_err(io::Error::other)?;
        Ok(())
    }

    fn zero(&self, _offset: u64, _length: u64, _zero: Zero) -> io::Result<()> {
        Ok(())
    }

    fn trim(&self, _offset: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn prefetch(&self, _offset: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn extents(&self, _offset: u64, length: u64, _limit: usize) -> io::Result<Vec<Extent>> {
        Ok(vec![Extent { length, kind: ExtentKind::Hole, depth: None }])
    }
}

struct FakeFrozen;

impl Frozen for FakeFrozen {
    fn settle(&self) -> io::Result<()> {
        Ok(())
    }

    fn pause(&self) -> Duration {
        Duration::ZERO
    }
}
