//! Deletes objects, hides them for a while, and brings them back.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use super::deleted::{self, DeletedEntry, DeletedKey};
use super::error::Error;
use super::files::{self, blocking};
use super::ledger;
use super::measure::{self, Action};
use super::name::{Kind, ObjectName, ObjectType, RepositoryPath};
use super::repositories::Repositories;
use super::repository::{Flight, Repository};
use crate::clock::Timestamp;
use crate::config::Access;

/// Which deleted objects.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Which {
    /// Only these.
    pub(super) of_type: Option<ObjectType>,
    /// Only this.
    pub(super) object: Option<ObjectName>,
    /// Only those deleted then or later.
    pub(super) since: Option<Timestamp>,
}

impl Which {
    fn includes(&self, key: &DeletedKey) -> bool {
        self.of_type.is_none_or(|wanted| wanted == key.object.object_type())
            && self.object.is_none_or(|wanted| wanted == key.object)
            && self.since.is_none_or(|since| key.delete_time >= since)
    }
}

impl Repositories {
    /// Deletes an object, or hides it until the undelete window has passed. Returns whether it was there.
    ///
    /// The directory is not synced: after a power loss the object may be there again, which harms nobody.
    pub(super) async fn delete(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        object: ObjectName,
    ) -> Result<bool, Error> {
        self.require_access(user, path, object.access_to_delete())?;
        let Some(repository) = self.find(path).await? else { return Ok(false) };
        let limits = self.0.limits.clone();
        let is_lock = matches!(object, ObjectName::Blob(Kind::Lock, _));
        let window = if is_lock { Duration::ZERO } else { limits.undelete };
        // An index can be made anew from the packs, and `prune` replaces young ones.
        let is_replaceable = is_lock || matches!(object, ObjectName::Blob(Kind::Index, _));
        let min_age = if is_replaceable { Duration::ZERO } else { limits.min_age };
        let user_name = user.unwrap_or_default().to_owned();
        let size = blocking(move || {
            let flight = repository.take_off(object);
            let Some((size, arrive_time)) = repository.look(object)? else {
                if repository.known(object).is_some() {
                    flight.forget(ledger::Entry::default());
                }
                return Ok(None);
            };
            let until = arrive_time.plus(min_age);
            if until > repository.around.clock.now() {
                measure::refused(&repository.path, "age");
                return Err(Error::TooYoung { object, until: until.to_string() });
            }
            let removed = if window.is_zero() {
                remove(&repository, object, &flight)
            } else {
                let delete_time = repository.around.clock.now();
                let sweep_time = delete_time.plus(window);
                let entry = DeletedEntry { size, arrive_time, sweep_time, user: user_name };
                hide(&repository, DeletedKey { object, delete_time }, &flight, entry)
            };
            removed.map(|removed| removed.then_some(size))
        })
        .await?;
        if let Some(size) = size {
            measure::count(Action::Delete, user, path, object, size);
        }
        Ok(size.is_some())
    }

    /// Restores deleted objects; whoever may delete may bring back. Returns how many, and how many bytes they have. They
    /// survive a power loss.
    pub(super) async fn undelete(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        which: Which,
    ) -> Result<(u64, u64), Error> {
        self.require_access(user, path, Access::Modify)?;
        let repository = self.require(path).await?;
        let path = path.clone();
        blocking(move || {
            // The newest first: of two deletions of one name the later is the one to come back.
            let wanted: Vec<DeletedKey> =
                repository.deleted.lock().keys().rev().filter(|key| which.includes(key)).cloned().collect();
            let (mut count, mut bytes) = (0, 0);
            let mut changed = BTreeSet::new();
            for key in wanted {
                if let Some(size) = restore(&repository, &key)? {
                    count += 1;
                    bytes += size;
                    changed.insert(repository.layout.directory_of(key.object));
                }
            }
            for directory in changed {
                files::sync_directory(&directory)
                    .map_err(|error| Error::io(format!("what was restored to {path} may not last"), error))?;
            }
            Ok((count, bytes))
        })
        .await
    }
}

fn remove(repository: &Repository, object: ObjectName, flight: &Flight<'_>) -> Result<bool, Error> {
    let removed = files::optional(std::fs::remove_file(repository.layout.object(object)));
    let removed = removed.map_err(|error| cannot_delete(repository, object, error))?;
    flight.forget(ledger::Entry::default());
    Ok(removed.is_some())
}

fn hide(repository: &Repository, key: DeletedKey, flight: &Flight<'_>, entry: DeletedEntry) -> Result<bool, Error> {
    let object = key.object;
    let path = deleted::path(&repository.layout, &key, &entry);
    let io = |error| cannot_delete(repository, object, error);
    if let Some(directory) = path.parent() {
        repository.around.sharing.create_directory(directory).map_err(io)?;
    }
    let hidden = files::optional(std::fs::rename(repository.layout.object(object), path)).map_err(io)?.is_some();
    let size = entry.size;
    if hidden {
        repository.deleted.lock().insert(key, entry);
    }
    flight.forget(if hidden { ledger::Entry::hidden(size) } else { ledger::Entry::default() });
    Ok(hidden)
}

fn cannot_delete(repository: &Repository, object: ObjectName, error: std::io::Error) -> Error {
    Error::io(format!("{object} cannot be deleted from repository {}", repository.path), error)
}

/// Brings one object back. `None`: its name is taken again, or somebody was quicker. It lasts after its directory is
/// synced.
pub(super) fn restore(repository: &Repository, key: &DeletedKey) -> Result<Option<u64>, Error> {
    let io = |error| Error::io(format!("{} cannot be restored to repository {}", key.object, repository.path), error);
    let flight = repository.take_off(key.object);
    let Some(entry) = repository.deleted.lock().get(key).cloned() else { return Ok(None) };
    let from = deleted::path(&repository.layout, key, &entry);
    let to = repository.layout.object(key.object);
    repository.around.sharing.create_directory(&repository.layout.directory_of(key.object)).map_err(io)?;
    // A second name is never given to what exists; see `Staged::publish`.
    match std::fs::hard_link(&from, &to) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => return Ok(None),
        Err(error) => return Err(io(error)),
    }
    // If this fails, it is swept in its time.
    if std::fs::remove_file(&from).is_ok() {
        repository.deleted.lock().remove(key);
        flight.know((entry.size, entry.arrive_time), None, ledger::Entry::unhidden(entry.size));
    } else {
        flight.know((entry.size, entry.arrive_time), None, ledger::Entry::default());
    }
    Ok(Some(entry.size))
}

/// Removes what is due by now for good. Goes on where something cannot be removed. Blocks.
pub(super) fn sweep(repository: &Repository, now: Timestamp) -> Result<(), Error> {
    let due: Vec<DeletedKey> = {
        let deleted = repository.deleted.lock();
        deleted.iter().filter(|(_, entry)| entry.sweep_time <= now).map(|(key, _)| key.clone()).collect()
    };
    let mut result = Ok(());
    for key in due {
        // Nobody restores it meanwhile.
        let _flight = repository.take_off(key.object);
        let Some(entry) = repository.deleted.lock().get(&key).cloned() else { continue };
        let removed = std::fs::remove_file(deleted::path(&repository.layout, &key, &entry));
        match files::optional(removed) {
            Ok(_) => {
                repository.deleted.lock().remove(&key);
                repository.around.ledger.enter(&repository.path, ledger::Entry::unhidden(entry.size));
            }
            Err(error) => result = Err(cannot_delete(repository, key.object, error)),
        }
    }
    repository.show();
    result
}
