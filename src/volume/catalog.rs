//! The catalogue: what every command on volumes has at hand.
//!
//! A command reads records, decides, and commits; what it has read must still be so (`tx`). Commands that also concern
//! bytes hold locks, always in this order, so that none waits for another in a circle:
//!
//! 1. the locks of the volumes that they concern, by id (`volume_locks`): who opens, closes, snapshots, grows or rolls
//!    back a volume holds its lock;
//! 2. the lock of the tree (`tree`): for reading from before a chain is read until it is open or frozen, for writing
//!    while a layer is replaced by another in the records and in what is open.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use steward_proto::store::v1::VolumeLayersRecord;
use tokio::sync::{Notify, RwLock};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::busy_layers::BusyLayers;
use super::driver::{Driver, LayerId};
use super::error::Error;
use super::exports::NbdAddresses;
use super::keys;
use super::namespace;
use super::open::Open;
use super::own_layers;
use super::pace::Paces;
use super::progress::Progress;
use super::settings::Settings;
use super::volume_locks::VolumeLocks;
use crate::clock::Clock;
use crate::store::tx::Tx;
use crate::store::{Revision, Step, Store, update};

/// How many numbers of layers are set aside for each run of the server: more than one can use up, and few enough for
/// four thousand million runs.
const LAYERS_OF_A_RUN: u64 = 1 << 32;

/// All volumes, snapshots and operations of a server. Clones share it.
#[derive(Clone)]
pub struct Catalog(Arc<Parts>);

/// What the catalogue consists of.
pub struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) driver: Arc<dyn Driver>,
    pub(super) settings: Settings,
    pub(super) volume_locks: VolumeLocks,
    pub(super) tree: RwLock<()>,
    pub(super) open: Open,
    /// An export was opened, or lives longer.
    pub(super) exports_changed: Notify,
    /// Where clients can reach this server over NBD.
    pub(super) nbd: OnceLock<NbdAddresses>,
    /// Layers that have to stay as they are for now.
    pub(super) busy_layers: BusyLayers,
    /// How far the operations are that run.
    pub(super) progress: Progress,
    /// Those of them that give clones their bytes.
    pub(super) paces: Paces,
    /// Layers without a record whose bytes could not be removed yet. The next start puts them aside.
    pub(super) leftovers: Mutex<BTreeSet<LayerId>>,
    /// Somebody may need a layer no more, or the last reader of one has gone.
    pub(super) tidy: Notify,
    /// An operation was started, or told to go on.
    pub(super) operations: Notify,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
    next_layer: AtomicU64,
}

impl Deref for Catalog {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Catalog {
    /// The catalogue in `store`, with the bytes that `driver` keeps. What it starts runs in `tasks`, and ends when `shutdown` is cancelled.
    pub async fn open(
        store: Arc<dyn Store>,
        driver: Arc<dyn Driver>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<Self, Error> {
        namespace::found(&*store, micros(clock.now())).await?;
        let next_layer = AtomicU64::new(reserve_layers(&*store, &driver).await?);
        Ok(Catalog(Arc::new(Parts {
            store,
            open: Open::new(Arc::clone(&clock)),
            exports_changed: Notify::new(),
            nbd: OnceLock::new(),
            clock,
            driver,
            settings,
            volume_locks: VolumeLocks::default(),
            tree: RwLock::new(()),
            busy_layers: BusyLayers::default(),
            progress: Progress::default(),
            paces: Paces::default(),
            leftovers: Mutex::default(),
            tidy: Notify::new(),
            operations: Notify::new(),
            tasks,
            shutdown,
            next_layer,
        })))
    }

    /// Runs a command to its end, whether anybody still waits for it or not: one that has put a new top on an open
    /// volume must not stop before that is recorded.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        command: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let ended = self.tasks.spawn(command).await;
        ended.map_err(|error| Error::Internal(format!("a command broke off: {error}")))?
    }

    /// Runs what blocks, such as all that a driver does, on a thread of its own.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Driver) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let driver = Arc::clone(&self.driver);
        let ended = tokio::task::spawn_blocking(move || work(&*driver)).await;
        ended.map_err(|error| Error::Internal(format!("work on bytes broke off: {error}")))?.map_err(Error::from)
    }

    /// Attempts until the changes are committed or there are none.
    pub(super) async fn decide<'a, T, F, A>(
        &'a self,
        what: impl Display,
        mut attempt: F,
    ) -> Result<(T, Revision), Error>
    where
        F: FnMut(Tx<'a>) -> A,
        A: Future<Output = Result<Step<T>, Error>>,
    {
        update(&*self.store, what, || attempt(Tx::new(&*self.store))).await
    }

    /// The time, in microseconds since the epoch, as records have it.
    pub(super) fn now_us(&self) -> u64 {
        micros(self.clock.now())
    }

    /// A number for a new layer. It may be left unused.
    pub(super) fn next_layer(&self) -> LayerId {
        LayerId(self.next_layer.fetch_add(1, Ordering::Relaxed))
    }
}

/// Microseconds since the epoch.
pub(super) fn micros(time: crate::clock::Timestamp) -> u64 {
    time.micros()
}

/// Sets aside numbers for the layers of this run, which no other run gives out, and returns the first.
async fn reserve_layers(store: &dyn Store, driver: &Arc<dyn Driver>) -> Result<u64, Error> {
    let listing = Arc::clone(driver);
    let there = tokio::task::spawn_blocking(move || listing.layers()).await;
    let there = there.map_err(|error| Error::Internal(format!("work on bytes broke off: {error}")))??;
    let there = there.into_iter().map(|layer| layer.0).max();
    let known = own_layers::known(store).await?.last().copied();
    let highest = there.max(known).unwrap_or(0);
    let reserve = update(store, "the numbers of layers", || async {
        let mut tx = Tx::new(store);
        let mut record: VolumeLayersRecord = tx.get(&keys::layers()).await?.unwrap_or_default();
        let first = record.highest_layer.max(highest).saturating_add(1);
        record.highest_layer = first.saturating_add(LAYERS_OF_A_RUN);
        tx.put(keys::layers(), &record);
        Ok::<_, Error>(tx.answer(first))
    });
    Ok(reserve.await?.0)
}
