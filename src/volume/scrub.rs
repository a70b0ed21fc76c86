//! Checks layers and the records of layers, and mends what can be mended without a guess about content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use steward_proto::store::v1::{LayerRecord, VolumeRecord, VolumeSnapshotRecord};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::catalog::Catalog;
use super::driver::{FindingKind, LayerId, Repair, ScrubReport};
use super::error::Error;
use super::keys;
use super::layer_tree::{self, children, spec};
use super::namespace::{User, Which};
use super::pace::Pace;
use super::progress::Meter;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// Something that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerFinding {
    /// What is wrong.
    pub kind: Wrong,
    /// The layer.
    pub layer: LayerId,
    /// Where, in bytes.
    pub offset: u64,
    /// How many bytes are concerned.
    pub length: u64,
    /// It is mended now.
    pub is_repaired: bool,
}

/// The kinds of what can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// In the files of a layer.
    Bytes(FindingKind),
    /// No record knows of the layer. It is put aside at the next start.
    OrphanLayer,
    /// The record says that another number of layers stands on the layer than do.
    ReferenceCount,
}

/// How far a scrub has come.
#[derive(Clone, Debug, Default)]
pub struct ScrubStep {
    /// Layers that were checked.
    pub layers_done: u64,
    /// Layers that are to be checked.
    pub layers_total: u64,
    /// Blocks that the maps name.
    pub blocks: u64,
    /// Blocks whose checksums were verified.
    pub verified: u64,
    /// What was found since the last step.
    pub findings: Vec<LayerFinding>,
    /// Findings that were not named.
    pub more_findings: u64,
    /// This is the last step.
    pub is_done: bool,
}

/// The steps of a scrub. It ends when this is dropped.
pub(super) type ScrubSteps = mpsc::Receiver<Result<ScrubStep, Error>>;

impl Catalog {
    /// Checks the layers of one volume and its snapshots, or of all volumes of the user. `root` also has the records of
    /// all layers checked, and hears of layers that no record knows of.
    pub async fn scrub(&self, user: &User, which: Option<&Which>, repair: Repair) -> Result<ScrubSteps, Error> {
        let is_everything = which.is_none() && user.is_root();
        let layers = match which {
            Some(which) => {
                let found = Tx::new(&*self.store).find(which, user).await?.volume()?;
                found.check(user)?;
                self.layers_of(&found.record).await?
            }
            None if user.is_root() => self.layer_records().await?.into_keys().collect(),
            None => self.layers_of_user(user).await?,
        };
        let (sender, steps) = mpsc::channel(4);
        let meter = Arc::new(Meter::default());
        let pace = Arc::new(Pace::new(self.rate(0), meter, 0, self.shutdown.clone()));
        let scrub = Scrub { catalog: self.clone(), layers, is_everything, repair, pace: Arc::clone(&pace) };
        self.tasks.spawn(async move {
            let mut run = std::pin::pin!(scrub.run(&sender));
            let result = tokio::select! {
                result = &mut run => result,
                () = sender.closed() => {
                    // What runs on a thread of its own is stopped, and waited for: it holds its layers.
                    pace.stop();
                    run.await
                }
            };
            if let Err(error) = result {
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(steps)
    }

    async fn layers_of(&self, volume: &VolumeRecord) -> Result<BTreeSet<u64>, Error> {
        let _tree = self.tree.read().await;
        let mut tops = vec![volume.top_layer];
        for (_, uuid) in tx::scan(&*self.store, KeyRange::prefix(&keys::snapshots_of(volume.id)), usize::MAX).await? {
            let Ok(uuid) = Uuid::from_slice(&uuid) else { continue };
            let record: Option<VolumeSnapshotRecord> = tx::read(&*self.store, &keys::snapshot(uuid)).await?;
            tops.extend(record.filter(|record| !record.is_deleting).map(|record| record.layer));
        }
        let mut layers = BTreeSet::new();
        for top in tops {
            let chain = layer_tree::chain(&*self.store, top).await?;
            layers.extend(chain.iter().map(|layer| layer.id.0));
        }
        Ok(layers)
    }

    async fn layers_of_user(&self, user: &User) -> Result<BTreeSet<u64>, Error> {
        let mut layers = BTreeSet::new();
        let range = KeyRange::prefix(&Key::table(Table::Volume));
        for (key, value) in tx::scan(&*self.store, range, usize::MAX).await? {
            let record: VolumeRecord = tx::decode(&key, &value)?;
            if !record.is_directory && record.owner == user.0 {
                layers.append(&mut self.layers_of(&record).await?);
            }
        }
        Ok(layers)
    }

    async fn layer_records(&self) -> Result<BTreeMap<u64, LayerRecord>, Error> {
        let range = KeyRange::prefix(&Key::table(Table::VolumeLayer));
        let mut records = BTreeMap::new();
        for (key, value) in tx::scan(&*self.store, range, usize::MAX).await? {
            let record: LayerRecord = tx::decode(&key, &value)?;
            records.insert(record.id, record);
        }
        Ok(records)
    }
}

/// A scrub that is going on.
struct Scrub {
    catalog: Catalog,
    layers: BTreeSet<u64>,
    /// Also check the records of layers, and look for layers without any.
    is_everything: bool,
    repair: Repair,
    pace: Arc<Pace>,
}

impl Scrub {
    async fn run(self, sender: &mpsc::Sender<Result<ScrubStep, Error>>) -> Result<(), Error> {
        let mut step = ScrubStep { layers_total: count(self.layers.len()), ..ScrubStep::default() };
        let unknown = if self.is_everything { self.unknown_layers().await? } else { BTreeSet::new() };
        if self.is_everything {
            step.findings = self.check_references().await?;
        }
        for layer in &self.layers {
            if self.catalog.shutdown.is_cancelled() {
                return Err(Error::ShuttingDown);
            }
            if let Some(report) = self.check_layer(*layer).await? {
                step.take_in(LayerId(*layer), report);
            }
            step.layers_done += 1;
            let told = step.clone();
            step.findings.clear();
            if sender.send(Ok(told)).await.is_err() {
                return Ok(());
            }
        }
        // A layer is made before its record: what is unknown at both times was not just being made.
        let still = if unknown.is_empty() { BTreeSet::new() } else { self.unknown_layers().await? };
        for layer in unknown.intersection(&still) {
            let kind = Wrong::OrphanLayer;
            step.findings.push(LayerFinding { kind, layer: *layer, offset: 0, length: 0, is_repaired: false });
        }
        step.is_done = true;
        // Nobody may be there any more.
        let _ = sender.send(Ok(step)).await;
        Ok(())
    }

    /// Checks the files of a layer; nothing if it is gone.
    async fn check_layer(&self, id: u64) -> Result<Option<ScrubReport>, Error> {
        let (layer, _busy) = {
            let _tree = self.catalog.tree.read().await;
            let record: Option<LayerRecord> = tx::read(&*self.catalog.store, &keys::layer(id)).await?;
            // One that an operation fills changes under whoever looks.
            let Some(record) = record.filter(|record| record.operation.is_empty()) else { return Ok(None) };
            (spec(&record), self.catalog.busy_layers.hold(vec![id]))
        };
        let (repair, pace) = (self.repair, Arc::clone(&self.pace));
        self.catalog.blocking(move |driver| driver.scrub(layer, repair, &*pace)).await.map(Some)
    }

    async fn unknown_layers(&self) -> Result<BTreeSet<LayerId>, Error> {
        let layers = self.catalog.blocking(super::driver::Driver::layers).await?;
        let records = self.catalog.layer_records().await?;
        Ok(layers.into_iter().filter(|layer| !records.contains_key(&layer.0)).collect())
    }

    /// Compares how many layers stand on each one with what its record says.
    async fn check_references(&self) -> Result<Vec<LayerFinding>, Error> {
        let records = self.catalog.layer_records().await?;
        let mut standing: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for record in records.values().filter(|record| record.parent != 0) {
            standing.entry(record.parent).or_default().insert(record.id);
        }
        let mut findings = Vec::new();
        for (id, record) in &records {
            let on_it = standing.remove(id).unwrap_or_default();
            let listed: BTreeSet<u64> = children(&*self.catalog.store, *id, usize::MAX).await?.into_iter().collect();
            if count(on_it.len()) == u64::from(record.child_count) && on_it == listed {
                continue;
            }
            // Others may have been at it while this looked.
            if let Some(is_repaired) = self.catalog.mend_references(*id, self.repair).await? {
                let layer = LayerId(*id);
                findings.push(LayerFinding { kind: Wrong::ReferenceCount, layer, offset: 0, length: 0, is_repaired });
            }
        }
        Ok(findings)
    }
}

impl ScrubStep {
    fn take_in(&mut self, layer: LayerId, report: ScrubReport) {
        self.blocks += report.blocks;
        self.verified += report.verified;
        self.more_findings += report.more_findings;
        self.findings.extend(report.findings.into_iter().map(|finding| LayerFinding {
            kind: Wrong::Bytes(finding.kind),
            layer,
            offset: finding.offset,
            length: finding.length,
            is_repaired: finding.is_repaired,
        }));
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Catalog {
    /// Looks again how many layers stand on one, and mends its record. Nothing if all is well; else whether it is mended.
    async fn mend_references(&self, id: u64, repair: Repair) -> Result<Option<bool>, Error> {
        let _tree = self.tree.write().await;
        let decided = self.decide("the layers on a layer", |mut tx| async move {
            let Some(mut record) = tx.get::<LayerRecord>(&keys::layer(id)).await? else { return Ok(tx.answer(None)) };
            let listed: BTreeSet<u64> = children(&*self.store, id, usize::MAX).await?.into_iter().collect();
            let records = self.layer_records().await?;
            let on_it: BTreeSet<u64> =
                records.values().filter(|other| other.parent == id).map(|other| other.id).collect();
            if count(on_it.len()) == u64::from(record.child_count) && on_it == listed {
                return Ok(tx.answer(None));
            }
            if repair == Repair::No {
                return Ok(tx.answer(Some(false)));
            }
            for stray in listed.difference(&on_it) {
                tx.delete(keys::layer_child(id, *stray));
            }
            for unlisted in on_it.difference(&listed) {
                tx.put_bytes(keys::layer_child(id, *unlisted), Vec::new());
            }
            record.child_count = u32::try_from(on_it.len()).unwrap_or(u32::MAX);
            tx.put_layer(&record);
            Ok(tx.answer(Some(true)))
        });
        decided.await.map(|(answer, _)| answer)
    }
}
