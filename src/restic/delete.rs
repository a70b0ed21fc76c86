//! Deletes objects, hides them for a while, and brings them back.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags};

use super::deleted::{self, DeletedEntry, DeletedKey};
use super::error::Error;
use super::files::{self, blocking};
use super::ledger;
use super::measure::{self, Action};
use super::name::{Kind, ObjectName, ObjectType, RepositoryPath};
use super::repositories::Repositories;
use super::repository::Repository;
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
        let min_age = if is_lock { Duration::ZERO } else { limits.min_age };
        let user_name = user.unwrap_or_default().to_owned();
        let size = blocking(move || {
            let Some((size, arrive_time)) = repository.look(object)? else {
                if let Some((size, _)) = repository.known(object) {
                    repository.forget(object, ledger::Entry::removed(size));
                }
                return Ok(None);
            };
            let until = arrive_time.plus(min_age);
            if until > repository.around.clock.now() {
                measure::refused(&repository.path, "age");
                return Err(Error::TooYoung { object, until: until.to_string() });
            }
            let removed = if window.is_zero() {
                remove(&repository, object, size)
            } else {
                hide(&repository, object, DeletedEntry { size, arrive_time, user: user_name })
            };
            removed.map(|removed| removed.then_some(size))
        })
        .await?;
        if let Some(size) = size {
            measure::count(Action::Delete, user, path, object, size);
        }
        Ok(size.is_some())
    }

    /// Restores deleted objects. Returns how many, and how many bytes they have. They survive a power loss.
    pub(super) async fn undelete(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        which: Which,
    ) -> Result<(u64, u64), Error> {
        self.require_access(user, path, Access::Append)?;
        let repository = self.require(path).await?;
        blocking(move || {
            // The newest first: of two deletions of one name the later is the one to come back.
            let wanted: Vec<DeletedKey> =
                repository.deleted.lock().keys().rev().filter(|key| which.includes(key)).cloned().collect();
            let (mut count, mut bytes) = (0, 0);
            for key in wanted {
                if let Some(size) = restore(&repository, &key)? {
                    count += 1;
                    bytes += size;
                }
            }
            Ok((count, bytes))
        })
        .await
    }
}

fn remove(repository: &Arc<Repository>, object: ObjectName, size: u64) -> Result<bool, Error> {
    let _flight = repository.take_off(object);
    let removed = files::optional(std::fs::remove_file(repository.layout.object(object)));
    let removed = removed.map_err(|error| cannot_delete(repository, object, error))?;
    repository.forget(object, ledger::Entry::removed(size));
    Ok(removed.is_some())
}

fn hide(repository: &Arc<Repository>, object: ObjectName, entry: DeletedEntry) -> Result<bool, Error> {
    let key = DeletedKey { object, delete_time: repository.around.clock.now() };
    let path = deleted::path(&repository.layout, &key, &entry.user);
    let io = |error| cannot_delete(repository, object, error);
    if let Some(directory) = path.parent() {
        repository.around.sharing.create_directory(directory).map_err(io)?;
    }
    let _flight = repository.take_off(object);
    if files::optional(std::fs::rename(repository.layout.object(object), path)).map_err(io)?.is_none() {
        return Ok(false);
    }
    let size = entry.size;
    repository.deleted.lock().insert(key, entry);
    repository.forget(object, ledger::Entry::hidden(size));
    Ok(true)
}

fn cannot_delete(repository: &Repository, object: ObjectName, error: std::io::Error) -> Error {
    Error::io(format!("{object} cannot be deleted from repository {}", repository.path), error)
}

/// Brings one object back. `None`: its name is taken again, or somebody was quicker.
pub(super) fn restore(repository: &Arc<Repository>, key: &DeletedKey) -> Result<Option<u64>, Error> {
    let Some(entry) = repository.deleted.lock().get(key).cloned() else { return Ok(None) };
    let from = deleted::path(&repository.layout, key, &entry.user);
    let to = repository.layout.object(key.object);
    let io = |error| Error::io(format!("{} cannot be restored to repository {}", key.object, repository.path), error);
    let _flight = repository.take_off(key.object);
    match rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE).map_err(std::io::Error::from) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => return Ok(None),
        Err(error) => return Err(io(error)),
    }
    files::sync_directory(to.parent().unwrap_or(Path::new("/"))).map_err(io)?;
    repository.deleted.lock().remove(key);
    repository.know(key.object, entry.size, entry.arrive_time, ledger::Entry::restored(entry.size));
    Ok(Some(entry.size))
}

/// Removes what was deleted before `until` for good. Returns when the next will be due. Blocks.
pub(super) fn sweep(repository: &Arc<Repository>, until: Timestamp) -> Result<(), Error> {
    let due: Vec<(DeletedKey, DeletedEntry)> = {
        let deleted = repository.deleted.lock();
        let due = deleted.iter().filter(|(key, _)| key.delete_time <= until);
        due.map(|(key, entry)| (key.clone(), entry.clone())).collect()
    };
    for (key, entry) in due {
        let removed = std::fs::remove_file(deleted::path(&repository.layout, &key, &entry.user));
        files::optional(removed).map_err(|error| cannot_delete(repository, key.object, error))?;
        // Whoever restored it meanwhile has entered that already.
        if repository.deleted.lock().remove(&key).is_some() {
            repository.around.ledger.enter(&repository.path, ledger::Entry::swept(entry.size));
        }
    }
    repository.show();
    Ok(())
}
