//! Reads everything that a repository has and compares it with what it should be.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::bucket::{BucketId, Entry};
use super::deleted::DeletedKey;
use super::error::Error;
use super::name::{ObjectName, RepositoryPath};
use super::repositories::Repositories;
use super::repository::Repository;
use super::{damaged, delete, files};
use crate::config::Access;

/// How many verifications may run at a time: each keeps a thread, also while nobody reads what it tells.
pub(super) const VERIFICATIONS: usize = 4;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The bytes are not those that the name or the size promises.
    Damaged,
    /// The index has it, but its file is gone.
    Missing,
    /// The file cannot be read.
    Unreadable,
    /// A file that no object can be is where objects are.
    Foreign,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) problem: Problem,
    /// With which object; `None` for a file that is none.
    pub(super) object: Option<ObjectName>,
    /// In words.
    pub(super) detail: String,
    /// It was put right.
    pub(super) repaired: bool,
    /// The object could be brought back.
    pub(super) restored: bool,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    pub(super) total_objects: u64,
    pub(super) total_bytes: u64,
    pub(super) findings: u64,
}

/// What a verification tells.
#[derive(Debug)]
pub(super) enum Event {
    Finding(Finding),
    Progress(Progress),
    Done(Progress),
    Failed(Error),
}

/// Whether what is wrong is put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Look,
    Repair,
}

impl Repositories {
    /// Begins to verify a repository. It ends when nobody listens any more, or the server stops.
    pub(super) async fn verify(
        &self,
        user: Option<&str>,
        path: &RepositoryPath,
        mode: Mode,
    ) -> Result<mpsc::Receiver<Event>, Error> {
        let needed = if mode == Mode::Repair { Access::Modify } else { Access::Read };
        self.require_access(user, path, needed)?;
        let repository = self.require(path).await?;
        repository.counted().await;
        let running = Arc::clone(&self.0.verifications).try_acquire_owned();
        let running = running.map_err(|_| Error::TooManyVerifications { limit: VERIFICATIONS })?;
        let alone = Arc::clone(&repository.verification).try_acquire_owned();
        let alone = alone.map_err(|_| Error::TooManyVerifications { limit: 1 })?;
        let (events, receiver) = mpsc::channel(64);
        self.0.tasks.spawn_blocking(move || {
            let places = (running, alone);
            let mut run = Run { repository, mode, events, progress: Progress::default() };
            let end = match run.everything() {
                Ok(()) => Event::Done(run.progress),
                Err(Stop::Failed(error)) => Event::Failed(error),
                Err(Stop::Unheard) => return,
            };
            // Whoever hears of the end can begin another.
            drop(places);
            let _ = run.events.blocking_send(end);
        });
        Ok(receiver)
    }
}

/// Why a verification ends before its end.
enum Stop {
    /// Nobody listens.
    Unheard,
    /// It cannot go on.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

struct Run {
    repository: Arc<Repository>,
    mode: Mode,
    events: mpsc::Sender<Event>,
    progress: Progress,
}

impl Run {
    fn everything(&mut self) -> Result<(), Stop> {
        let account = self.repository.account();
        self.progress.total_objects = account.objects;
        self.progress.total_bytes = account.bytes;
        self.config()?;
        for bucket in BucketId::every() {
            self.bucket(bucket)?;
        }
        Ok(())
    }

    fn config(&mut self) -> Result<(), Stop> {
        let name = ObjectName::Config;
        match self.repository.look(name)? {
            Some((0, _)) => self.found(Problem::Damaged, name, "config is empty".to_owned()),
            Some((size, _)) => self.counted(size),
            // Created, and not yet initialised by restic.
            None if self.progress.total_objects == 0 => Ok(()),
            None => self.found(Problem::Missing, name, "there is no config".to_owned()),
        }
    }

    fn bucket(&mut self, bucket: BucketId) -> Result<(), Stop> {
        self.go_on()?;
        self.repository.refresh(bucket)?;
        let vanished: Vec<ObjectName> = {
            let vanished = self.repository.vanished.lock();
            vanished.iter().copied().filter(|object| object.bucket() == Some(bucket)).collect()
        };
        for object in vanished {
            self.found(Problem::Missing, object, format!("{object} is gone, and was not deleted by this server"))?;
        }
        let entries = self.repository.index.bucket(bucket).entries().to_vec();
        for entry in entries {
            self.go_on()?;
            self.object(bucket, entry)?;
        }
        self.strangers(bucket)
    }

    fn object(&mut self, bucket: BucketId, entry: Entry) -> Result<(), Stop> {
        let name = ObjectName::Blob(bucket.kind(), entry.id);
        match damaged::hash(&self.repository.layout.object(name)) {
            Ok((id, size)) if id == entry.id => {
                self.repository.correct(name, entry.size, size)?;
                self.counted(size)
            }
            Ok((id, _)) => self.found(Problem::Damaged, name, format!("the content of {name} has the SHA-256 {id}")),
            // Deleted since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.counted(0),
            Err(error) => self.found(Problem::Unreadable, name, format!("{name} cannot be read: {error}")),
        }
    }

    fn go_on(&self) -> Result<(), Stop> {
        let is_stopped = self.repository.around.shutdown.is_cancelled();
        if is_stopped { Err(Stop::Failed(Error::ShuttingDown)) } else { Ok(()) }
    }

    fn counted(&mut self, size: u64) -> Result<(), Stop> {
        self.progress.objects += 1;
        self.progress.bytes += size;
        // Whoever shows it wants the newest only: a full channel is left alone, a closed one ends the run.
        match self.events.try_send(Event::Progress(self.progress)) {
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Stop::Unheard),
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
        }
    }

    fn found(&mut self, problem: Problem, object: ObjectName, detail: String) -> Result<(), Stop> {
        let (repaired, restored) =
            if self.mode == Mode::Repair { self.repair(problem, object)? } else { (false, false) };
        self.progress.objects += 1;
        self.tell(Finding { problem, object: Some(object), detail, repaired, restored })
    }

    fn tell(&mut self, finding: Finding) -> Result<(), Stop> {
        self.progress.findings += 1;
        tracing::warn!(repository = %self.repository.path, problem = ?finding.problem, detail = finding.detail, "a verification found something wrong");
        self.events.blocking_send(Event::Finding(finding)).map_err(|_| Stop::Unheard)
    }

    /// Moves what is damaged aside, and brings the object back where a deleted copy is good. Without its config a
    /// repository is of no use, so one that stays away is not put right.
    fn repair(&self, problem: Problem, object: ObjectName) -> Result<(bool, bool), Error> {
        match problem {
            Problem::Unreadable | Problem::Foreign => return Ok((false, false)),
            Problem::Damaged => {
                let flight = self.repository.take_off(object);
                damaged::set_aside(&self.repository, object, &flight)?;
            }
            // It is known now.
            Problem::Missing => {
                self.repository.vanished.lock().remove(&object);
                self.repository.index.is_unsaved.store(true, Ordering::Relaxed);
            }
        }
        let restored = self.restore(object)?;
        Ok((restored || object != ObjectName::Config, restored))
    }

    fn restore(&self, object: ObjectName) -> Result<bool, Error> {
        // The newest first. A config has no digest for a name: the last one that was deleted is the best there is.
        let copies: Vec<DeletedKey> = {
            let deleted = self.repository.deleted.lock();
            deleted.keys().rev().filter(|key| key.object == object).cloned().collect()
        };
        for key in copies {
            let Some(entry) = self.repository.deleted.lock().get(&key).cloned() else { continue };
            let path = super::deleted::path(&self.repository.layout, &key, &entry);
            let is_good = match object {
                ObjectName::Config => entry.size > 0,
                ObjectName::Blob(_, id) => damaged::hash(&path).is_ok_and(|(digest, _)| digest == id),
            };
            if is_good && delete::restore(&self.repository, &key)?.is_some() {
                let directory = self.repository.layout.directory_of(object);
                files::sync_directory(&directory)
                    .map_err(|error| Error::io(format!("{object} was restored and may not last"), error))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Files in a directory of objects that no object can be. They are told and left alone: they harm nobody, and
    /// nobody knows whose they are.
    fn strangers(&mut self, bucket: BucketId) -> Result<(), Stop> {
        let directory = self.repository.layout.bucket(bucket);
        let read = files::optional(std::fs::read_dir(&directory));
        let read = read.map_err(|error| Error::io(format!("{} cannot be read", directory.display()), error))?;
        let names = read.into_iter().flatten().flatten().map(|entry| entry.file_name());
        for name in names.filter(|name| bucket.object_named(name).is_none()) {
            let place = directory.strip_prefix(self.repository.layout.directory()).unwrap_or(&directory);
            let detail = format!("{} is not an object", place.join(&name).display());
            self.tell(Finding { problem: Problem::Foreign, object: None, detail, repaired: false, restored: false })?;
        }
        Ok(())
    }
}
