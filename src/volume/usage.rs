//! How much space volumes and users take.
//!
//! A layer is needed by what reads it by a name of its own, and by all that stands on it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use steward_proto::store::v1::{LayerRecord, VolumeRecord, VolumeSnapshotRecord, VolumeUserRecord};

use super::catalog::Catalog;
use super::driver::{Driver, LayerId};
use super::error::Error;
use super::keys;
use super::layer_tree;
use super::namespace::User;
use super::operation::uuid_of;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// How many layers beside a chain are looked at to find out who needs it; with more, it counts as shared.
const MAX_LOOKED_AT: usize = 10_000;
/// How many users one answer tells of.
const MAX_USERS: usize = 1000;

/// The space that something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes of disk that nobody else needs.
    pub unique_bytes: u64,
    /// Bytes of disk that others need as well.
    pub shared_bytes: u64,
}

impl Space {
    /// Bytes of disk altogether.
    pub fn used_bytes(&self) -> u64 {
        self.unique_bytes + self.shared_bytes
    }
}

/// What a user has.
#[derive(Clone, Debug)]
pub struct UserUsage {
    /// What is counted, and what it may have.
    pub record: VolumeUserRecord,
    /// What its volumes and snapshots take, each layer counted once.
    pub space: Space,
}

/// What a user may have; 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// The sizes of its volumes together, in bytes.
    pub max_bytes: u64,
    /// How many volumes.
    pub max_volumes: u64,
    /// How many snapshots.
    pub max_snapshots: u64,
}

impl Catalog {
    /// Sets what a user may have. What it has already stays, also when that is more.
    pub async fn set_quota(&self, user: &User, of: &str, quota: Quota) -> Result<VolumeUserRecord, Error> {
        if !user.is_root() {
            return Err(Error::InvalidUser { what: format!("the quota of {of:?}"), user: user.0.clone() });
        }
        let decided = self.decide("a user", |mut tx| async move {
            let mut record = tx.user(of).await?;
            record.max_bytes = quota.max_bytes;
            record.max_volumes = quota.max_volumes;
            record.max_snapshots = quota.max_snapshots;
            tx.put_user(&record);
            Ok::<_, Error>(tx.answer(record))
        });
        Ok(decided.await?.0)
    }

    /// What a user has, or everybody, and how many bytes of disk are free. Users other than `root` see their own.
    pub async fn usage(&self, user: &User, of: Option<&str>) -> Result<(Vec<UserUsage>, u64), Error> {
        let of = of.or((!user.is_root()).then_some(user.0.as_str()));
        let records = match of {
            Some(of) => {
                user.check(of, format_args!("the usage of {of:?}"))?;
                vec![Tx::new(&*self.store).user(of).await?]
            }
            None => self.all_users().await?,
        };
        let spaces = self.spaces_of_users().await?;
        let free = self.blocking(Driver::free_bytes).await?;
        self.store.settled().await?;
        let usage = |record: VolumeUserRecord| {
            let space = spaces.get(&record.user).copied().unwrap_or_default();
            UserUsage { record, space }
        };
        Ok((records.into_iter().map(usage).collect(), free))
    }

    async fn all_users(&self) -> Result<Vec<VolumeUserRecord>, Error> {
        let users = tx::scan(&*self.store, KeyRange::prefix(&Key::table(Table::VolumeUser)), MAX_USERS).await?;
        users.iter().map(|(key, value)| Ok(tx::decode(key, value)?)).collect()
    }

    /// The space that a volume takes. Its own snapshots are not others.
    pub(super) async fn space_of(&self, volume: &VolumeRecord) -> Result<Space, Error> {
        let mut looked_at = 0;
        let (mut unique, mut shared) = (Vec::new(), Vec::new());
        let (mut next, mut above, mut is_unique) = (volume.top_layer, 0, true);
        while next != 0 {
            // One that has just been joined with another is not there: what was seen so far is what there is to tell.
            let Some(layer) = tx::read::<LayerRecord>(&*self.store, &keys::layer(next)).await? else { break };
            // What stands on a layer that others need is all that can still be its own.
            is_unique = is_unique && self.is_needed_by_alone(volume.id, &layer, above, &mut looked_at).await?;
            if is_unique {
                unique.push(LayerId(next));
            } else {
                shared.push(LayerId(next));
            }
            (above, next) = (next, layer.parent);
        }
        self.blocking(move |driver| {
            let used = |layers: &[LayerId]| layers.iter().map(|layer| used_bytes(driver, *layer)).sum();
            Ok(Space { unique_bytes: used(&unique), shared_bytes: used(&shared) })
        })
        .await
    }

    /// Bytes of disk that only a snapshot needs: what is in its layer and hidden from all that stands on it. Where several
    /// stand on it, that is not looked for.
    pub(super) async fn snapshot_space(&self, snapshot: &VolumeSnapshotRecord) -> Result<u64, Error> {
        // Layers stay what they are meanwhile.
        let _tree = self.tree.read().await;
        let Some(layer) = tx::read::<LayerRecord>(&*self.store, &keys::layer(snapshot.layer)).await? else {
            return Ok(0);
        };
        let mut above = layer_tree::children(&*self.store, layer.id, 2).await?;
        let above = match (above.pop(), above.pop()) {
            (Some(_), Some(_)) => return Ok(0),
            (Some(child), None) => tx::read::<LayerRecord>(&*self.store, &keys::layer(child)).await?,
            (None, _) => None,
        };
        self.blocking(move |driver| {
            let used = used_bytes(driver, LayerId(layer.id));
            let Some(above) = above else { return Ok(used) };
            let cost = driver.merge_cost(layer_tree::spec(&layer), layer_tree::spec(&above))?;
            Ok(used.saturating_sub(cost.into_upper))
        })
        .await
    }

    /// Whether a layer, and all that stands on it, is read by a volume and its snapshots alone. What stands on it at
    /// `above` is known to be.
    async fn is_needed_by_alone(
        &self,
        volume: u64,
        layer: &LayerRecord,
        above: u64,
        looked_at: &mut usize,
    ) -> Result<bool, Error> {
        if !self.is_named_by_alone(volume, layer).await? {
            return Ok(false);
        }
        let mut left = layer_tree::children(&*self.store, layer.id, MAX_LOOKED_AT).await?;
        left.retain(|child| *child != above);
        while let Some(id) = left.pop() {
            *looked_at += 1;
            if *looked_at > MAX_LOOKED_AT {
                return Ok(false);
            }
            let Some(child) = tx::read::<LayerRecord>(&*self.store, &keys::layer(id)).await? else { continue };
            if !self.is_named_by_alone(volume, &child).await? {
                return Ok(false);
            }
            left.extend(layer_tree::children(&*self.store, id, MAX_LOOKED_AT).await?);
        }
        Ok(true)
    }

    async fn is_named_by_alone(&self, volume: u64, layer: &LayerRecord) -> Result<bool, Error> {
        if layer.volume_id != 0 && layer.volume_id != volume {
            return Ok(false);
        }
        if layer.snapshot.is_empty() {
            return Ok(true);
        }
        let snapshot = Tx::new(&*self.store).snapshot(uuid_of(&layer.snapshot)?).await?;
        Ok(snapshot.is_none_or(|snapshot| snapshot.volume_id == volume))
    }

    async fn spaces_of_users(&self) -> Result<HashMap<String, Space>, Error> {
        let layers = tx::scan(&*self.store, KeyRange::prefix(&Key::table(Table::VolumeLayer)), usize::MAX).await?;
        let layers =
            layers.iter().map(|(key, value)| tx::decode(key, value)).collect::<Result<Vec<LayerRecord>, _>>()?;
        let mut owners = HashMap::new();
        for layer in &layers {
            owners.insert(layer.id, self.owners_of(layer).await?);
        }
        let needed_by = needed_by(&layers, &owners);
        let ids: Vec<LayerId> = needed_by.keys().map(|id| LayerId(*id)).collect();
        let used = self
            .blocking(move |driver| {
                Ok(ids.into_iter().map(|id| (id.0, used_bytes(driver, id))).collect::<HashMap<_, _>>())
            })
            .await?;
        Ok(sum(&needed_by, &used))
    }

    /// To whom belongs what reads a layer by a name of its own.
    async fn owners_of(&self, layer: &LayerRecord) -> Result<Vec<String>, Error> {
        let mut tx = Tx::new(&*self.store);
        let mut owners = Vec::new();
        if layer.volume_id != 0 {
            owners.extend(tx.volume(layer.volume_id).await?.map(|volume| volume.owner));
        }
        if !layer.snapshot.is_empty() {
            owners.extend(tx.snapshot(uuid_of(&layer.snapshot)?).await?.map(|snapshot| snapshot.owner));
        }
        owners.extend(tx.named_operation(&layer.operation).await?.map(|operation| operation.owner));
        Ok(owners)
    }
}

/// What a layer takes; nothing if it has just been removed.
fn used_bytes(driver: &dyn Driver, layer: LayerId) -> u64 {
    match driver.used_bytes(layer) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => {
            tracing::warn!(%layer, %error, "it cannot be told how much space a layer takes");
            0
        }
    }
}

/// Who needs each layer: the owners of what reads it by name, and of all that stands on it.
fn needed_by(layers: &[LayerRecord], owners: &HashMap<u64, Vec<String>>) -> BTreeMap<u64, HashSet<String>> {
    let parents: HashMap<u64, u64> = layers.iter().map(|layer| (layer.id, layer.parent)).collect();
    let mut needed_by: BTreeMap<u64, HashSet<String>> = BTreeMap::new();
    for (layer, owners) in owners {
        for owner in owners {
            let mut next = *layer;
            // Below a layer that the owner is known to need, the way down has been gone.
            while next != 0 && needed_by.entry(next).or_default().insert(owner.clone()) {
                next = parents.get(&next).copied().unwrap_or(0);
            }
        }
    }
    needed_by
}

fn sum(needed_by: &BTreeMap<u64, HashSet<String>>, used: &HashMap<u64, u64>) -> HashMap<String, Space> {
    let mut spaces: HashMap<String, Space> = HashMap::new();
    for (layer, owners) in needed_by {
        let bytes = used.get(layer).copied().unwrap_or(0);
        for owner in owners {
            let space = spaces.entry(owner.clone()).or_default();
            if owners.len() == 1 {
                space.unique_bytes += bytes;
            } else {
                space.shared_bytes += bytes;
            }
        }
    }
    spaces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_counted_once_for_everybody_who_needs_it() {
        // 1 <- 2 <- 3 (eva), 2 <- 4 (tom), 2 <- 5 (tom)
        let layers = [(1, 0), (2, 1), (3, 2), (4, 2), (5, 2)].map(|(id, parent)| LayerRecord {
            id,
            parent,
            ..LayerRecord::default()
        });
        let owner = |name: &str| vec![name.to_owned()];
        let owners = HashMap::from([(1, owner("tom")), (3, owner("eva")), (4, owner("tom")), (5, owner("tom"))]);
        let used = HashMap::from([(1, 1), (2, 10), (3, 100), (4, 1000), (5, 10_000)]);
        let spaces = sum(&needed_by(&layers, &owners), &used);
        assert_eq!(spaces["eva"], Space { unique_bytes: 100, shared_bytes: 11 });
        assert_eq!(spaces["tom"], Space { unique_bytes: 11_000, shared_bytes: 11 });
    }
}
