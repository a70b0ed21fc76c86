//! Makes volumes and directories.

use std::collections::HashMap;

use steward_proto::store::v1::{LayerRecord, VolumeRecord};

use super::catalog::Catalog;
use super::device::BLOCK_BYTES;
use super::driver::{LayerId, LayerSpec};
use super::error::Error;
use super::lookup::ShownVolume;
use super::namespace::{Found, ROOT_ID, TRASH_ID, User, Which};
use super::path::VolumePath;
use super::users::Charge;
use crate::store::tx::Tx;

/// What stripes have to fit into, in bytes. Nothing is striped; the numbers are kept for clients that give them.
const CHUNK_BYTES: u64 = 16 * 1024 * 1024;
/// Over how many there may be stripes.
const MAX_STRIPES: u64 = 64;

/// A volume that is wanted.
#[derive(Clone, Debug)]
pub struct CreateVolume {
    /// Where.
    pub path: VolumePath,
    /// How long, in bytes.
    pub size_bytes: u64,
    /// How wide a stripe is, in bytes.
    pub stripe_unit: u64,
    /// Over how many.
    pub stripe_count: u64,
    /// The pool; empty: the first one.
    pub pool: String,
    /// What to write on it.
    pub labels: HashMap<String, String>,
    /// Keep checksums of its blocks.
    pub checksums: bool,
}

/// What became of a wish for a volume or directory.
enum Made {
    /// It is there now.
    New(u64),
    /// It was there.
    Known(u64),
}

impl Catalog {
    /// Makes a volume that reads as zeros, and says whether it is new: one that the user has there already, of the same
    /// size, is answered as it is.
    pub async fn create_volume(&self, user: &User, what: CreateVolume) -> Result<(ShownVolume, bool), Error> {
        let (catalog, user) = (self.clone(), user.clone());
        self.to_the_end(async move { catalog.create(&user, what).await }).await
    }

    async fn create(&self, user: &User, mut what: CreateVolume) -> Result<(ShownVolume, bool), Error> {
        what.pool = self.pool(&what.pool)?;
        check_stripes(what.stripe_unit, what.stripe_count)?;
        // What is refused is refused before there is a layer, though it is all decided again with it.
        if let Made::Known(id) = self.made(&mut Tx::new(&*self.store), user, &what, LayerId(0)).await? {
            self.store.settled().await?;
            return Ok((self.show_volume(id).await?, false));
        }
        let layer = self.next_layer();
        let spec = LayerSpec { id: layer, size: what.size_bytes, checksums: what.checksums };
        self.blocking(move |driver| driver.create_layer(spec)).await?;
        let made = self
            .decide(&what.path, |mut tx| {
                let what = &what;
                async move {
                    let made = self.made(&mut tx, user, what, layer).await?;
                    Ok(tx.answer(made))
                }
            })
            .await;
        match made {
            Ok((Made::New(id), _)) => Ok((self.show_volume(id).await?, true)),
            Ok((Made::Known(id), _)) => {
                self.drop_layer(layer).await;
                Ok((self.show_volume(id).await?, false))
            }
            Err(error) => self.or_without_layers(&[layer], Err(error)).await,
        }
    }

    /// Removes layers again if what they were made for was refused.
    pub(super) async fn or_without_layers<T>(&self, layers: &[LayerId], result: Result<T, Error>) -> Result<T, Error> {
        // After an error of the store it is not known whether records name the layers: the next start finds out.
        if result.as_ref().is_err_and(|error| !matches!(error, Error::Store(_))) {
            for layer in layers {
                self.drop_layer(*layer).await;
            }
        }
        result
    }

    /// Removes a layer that no record names.
    pub(super) async fn drop_layer(&self, layer: LayerId) {
        if let Err(error) = self.blocking(move |driver| driver.remove_layer(layer)).await {
            tracing::warn!(%layer, %error, "a layer that is not needed stays until the next start");
        }
    }

    async fn made(&self, tx: &mut Tx<'_>, user: &User, what: &CreateVolume, layer: LayerId) -> Result<Made, Error> {
        let (parent, name) = self.place(tx, user, &what.path).await?;
        if let Some(existing) = tx.at_place(&parent, &name).await? {
            let is_same = !existing.is_directory && existing.owner == user.0 && existing.size_bytes == what.size_bytes;
            return if is_same { Ok(Made::Known(existing.id)) } else { Err(exists(&what.path)) };
        }
        self.check_size(what.size_bytes)?;
        let id = tx.next_id().await?;
        let record = VolumeRecord {
            id,
            parent_id: parent.id,
            name,
            owner: user.0.clone(),
            size_bytes: what.size_bytes,
            stripe_unit: what.stripe_unit,
            stripe_count: what.stripe_count,
            pool: what.pool.clone(),
            seq: 1,
            create_us: self.now_us(),
            labels: what.labels.clone(),
            checksums: what.checksums,
            top_layer: layer.0,
            ..VolumeRecord::default()
        };
        let top = LayerRecord {
            id: layer.0,
            size_bytes: what.size_bytes,
            checksums: what.checksums,
            volume_id: id,
            ..LayerRecord::default()
        };
        tx.charge(&record.owner, Charge::volume(record.size_bytes)).await?;
        tx.add_entry(&record).await?;
        tx.put_volume(&record);
        tx.add_layer(&top).await?;
        Ok(Made::New(id))
    }

    /// Makes a directory, and says whether it is new: one that its owner has there already is answered as it is. `root`
    /// may make one for somebody else.
    pub async fn make_directory(
        &self,
        user: &User,
        path: &VolumePath,
        owner: Option<&User>,
    ) -> Result<(ShownVolume, bool), Error> {
        let owner = owner.unwrap_or(user);
        if owner != user && !user.is_root() {
            return Err(Error::InvalidUser { what: format!("a directory of {:?}", owner.0), user: user.0.clone() });
        }
        let decided = self.decide(path, |mut tx| async move {
            let (parent, name) = self.place(&mut tx, user, path).await?;
            let made = match tx.at_place(&parent, &name).await? {
                Some(existing) if existing.is_directory && existing.owner == owner.0 => Made::Known(existing.id),
                Some(_) => return Err(exists(path)),
                None => Made::New(tx.add_directory(parent.id, name, owner, self.now_us()).await?.id),
            };
            Ok(tx.answer(made))
        });
        match decided.await?.0 {
            Made::New(id) => Ok((self.show_volume(id).await?, true)),
            Made::Known(id) => Ok((self.show_volume(id).await?, false)),
        }
    }

    /// The directory and the name for something that the user puts at a path. The home of a user is made on the way if
    /// the server is set so.
    pub(super) async fn place(
        &self,
        tx: &mut Tx<'_>,
        user: &User,
        path: &VolumePath,
    ) -> Result<(VolumeRecord, String), Error> {
        let (parent, name) = path.split().ok_or_else(|| exists(path))?;
        let found = match tx.find(&Which::Path(parent.clone()), user).await {
            Err(Error::NotFound(_)) if self.is_home(user, &parent) => {
                let home = tx.add_directory(ROOT_ID, user.0.clone(), user, self.now_us()).await?;
                Found { record: home, path: parent, foreign_directory: None }
            }
            found => found?.directory()?,
        };
        found.check_way(user)?;
        if found.record.id != ROOT_ID {
            user.check(&found.record.owner, &found.path)?;
        }
        if found.record.id == TRASH_ID {
            return Err(Error::BadState(format!("{} takes only what is deleted", found.path)));
        }
        Ok((found.record, name.to_owned()))
    }

    fn is_home(&self, user: &User, path: &VolumePath) -> bool {
        self.settings.auto_home && !user.is_root() && path.segments().eq([user.0.as_str()])
    }

    /// The pool that is meant by a name.
    pub(super) fn pool(&self, name: &str) -> Result<String, Error> {
        let pools = &self.settings.pools;
        let pool = if name.is_empty() { pools.first() } else { pools.iter().find(|pool| *pool == name) };
        pool.cloned().ok_or_else(|| Error::NotFound(format!("pool {name:?}")))
    }

    /// Refuses a size that no volume may have.
    pub(super) fn check_size(&self, size_bytes: u64) -> Result<(), Error> {
        if size_bytes == 0 || !size_bytes.is_multiple_of(BLOCK_BYTES) {
            let problem = format!("{size_bytes} is not a multiple of {BLOCK_BYTES} above 0");
            return Err(Error::Invalid { field: "size_bytes", problem });
        }
        let (min, max) = (self.settings.min_size, self.settings.max_size);
        if !(min..=max).contains(&size_bytes) {
            return Err(Error::SizeOutOfRange(format!("a volume has between {min} and {max} bytes, not {size_bytes}")));
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// What is at a name in a directory.
    pub(super) async fn at_place(&mut self, parent: &VolumeRecord, name: &str) -> Result<Option<VolumeRecord>, Error> {
        match self.entry(parent.id, name).await? {
            Some(id) => self.volume(id).await,
            None => Ok(None),
        }
    }

    async fn add_directory(
        &mut self,
        parent: u64,
        name: String,
        owner: &User,
        now_us: u64,
    ) -> Result<VolumeRecord, Error> {
        let record = VolumeRecord {
            id: self.next_id().await?,
            parent_id: parent,
            name,
            is_directory: true,
            owner: owner.0.clone(),
            create_us: now_us,
            ..VolumeRecord::default()
        };
        self.add_entry(&record).await?;
        self.put_volume(&record);
        Ok(record)
    }
}

pub(super) fn exists(path: &VolumePath) -> Error {
    Error::AlreadyExists(path.to_string())
}

fn check_stripes(unit: u64, count: u64) -> Result<(), Error> {
    if (unit, count) == (0, 0) {
        return Ok(());
    }
    let is_fine = unit != 0
        && unit.is_multiple_of(BLOCK_BYTES)
        && CHUNK_BYTES.is_multiple_of(unit)
        && (1..=MAX_STRIPES).contains(&count)
        && CHUNK_BYTES.is_multiple_of(count)
        && (count != 1 || unit == CHUNK_BYTES);
    if is_fine {
        return Ok(());
    }
    let problem =
        format!("{unit} over {count} does not divide a chunk of {CHUNK_BYTES} bytes into blocks of {BLOCK_BYTES}");
    Err(Error::Invalid { field: "stripe_unit", problem })
}
