//! Creates and changes tasks, all of a request or none.
//!
//! What they are to do is written first, each under an id of its own that nothing refers to yet; then one transaction writes the records of
//! all of them, with those ids. What was before, and what no record came to refer to, is removed afterwards.

use prost::Message as _;
use steward_proto::replication::v1::{Config, ReplicaType, Task};
use steward_proto::store::v1::{ReplicaTaskKeyRecord, ReplicaTaskRecord};

use super::access::Maker;
use super::error::Error;
use super::local_calls::YOUNG_US;
use super::parts::Replication;
use super::passwords::Owner;
use super::queue::TaskId;
use super::task_check::{Answered, Checked, type_of};
use super::task_validate::{Plan, Purpose};
use super::tasks::{new_config_id, plan_of};
use super::{keys, pieces};
use crate::secrets::expect_generation;
use crate::store::tx::Tx;
use crate::store::{Key, KeyRange, Table};

/// How many tasks one request creates. One transaction writes two records of each.
const MAX_CONFIGS: usize = 32;
/// How much of a name that is none is told.
const MAX_SHOWN: usize = 128;

/// A task that is as it has to be, and the id of what it is to do.
struct Prepared {
    checked: Checked,
    config_id: String,
    /// Where the changes begin that it follows, if it is one that begins to.
    since_stamp: u64,
}

impl Replication {
    /// Creates tasks, or changes those that are there.
    pub(super) async fn create_tasks(
        &self,
        project: &str,
        repository: &str,
        configs: Vec<Config>,
        maker: &Maker,
    ) -> Result<Vec<Task>, Error> {
        self.check_repository(project, repository).await?;
        if configs.len() > MAX_CONFIGS {
            return Err(Error::invalid("configs", format!("has more than {MAX_CONFIGS} entries")));
        }
        let (mut answered, mut checked, is_one) = (Answered::default(), Vec::new(), configs.len() == 1);
        for (index, config) in configs.into_iter().enumerate() {
            let name = config.name.clone();
            let task = TaskId { project: project.to_owned(), repository: repository.to_owned(), name: name.clone() };
            let before = self.named(&task).await?;
            let result = self.check_task(task, config, Purpose::Create, before.as_ref(), &mut answered).await;
            match result {
                Ok(task) => checked.push(task),
                Err(source) if is_one => return Err(source),
                Err(source) => {
                    let name = name.chars().take(MAX_SHOWN).collect();
                    return Err(Error::InConfig { index, name, source: Box::new(source) });
                }
            }
        }
        self.store_tasks(checked, Purpose::Create, maker).await
    }

    /// Creates a task that runs when it is told to, or changes it.
    pub(super) async fn create_run_once(&self, config: Config, maker: &Maker) -> Result<Task, Error> {
        let task = task_of(&config);
        self.check_repository(&task.project, &task.repository).await?;
        let before = self.named(&task).await?;
        may_run_once(before.as_ref())?;
        let mut answered = Answered::default();
        let checked = self.check_task(task, config, Purpose::CreateRunOnce, before.as_ref(), &mut answered).await?;
        self.store_task(checked, Purpose::CreateRunOnce, maker).await
    }

    /// Changes a task.
    pub(super) async fn update_task(&self, config: Config, maker: &Maker) -> Result<Task, Error> {
        let task = task_of(&config);
        let Some(before) = self.named(&task).await? else { return Err(self.missing(&task).await) };
        self.check_repository(&task.project, &task.repository).await?;
        let wanted = ReplicaType::try_from(config.replica_type).ok();
        if wanted == Some(ReplicaType::RunOnce) && type_of(&before) != wanted {
            return Err(Error::invalid("replicaType", "cannot become RUN_ONCE"));
        }
        let mut answered = Answered::default();
        let checked = self.check_task(task, config, Purpose::Update, Some(&before), &mut answered).await?;
        self.store_task(checked, Purpose::Update, maker).await
    }

    /// The task of a name that is one; others are refused later, in their turn.
    async fn named(&self, task: &TaskId) -> Result<Option<ReplicaTaskRecord>, Error> {
        let is_sane = super::task_validate::name(&task.name).is_ok();
        if is_sane { self.task_record(task).await } else { Ok(None) }
    }

    async fn store_task(&self, checked: Checked, purpose: Purpose, maker: &Maker) -> Result<Task, Error> {
        let mut tasks = self.store_tasks(vec![checked], purpose, maker).await?;
        tasks.pop().ok_or_else(|| Error::Internal("a task was stored, and is not there".to_owned()))
    }

    async fn store_tasks(&self, checked: Vec<Checked>, purpose: Purpose, maker: &Maker) -> Result<Vec<Task>, Error> {
        if checked.is_empty() {
            return Ok(Vec::new());
        }
        let mut prepared = Vec::with_capacity(checked.len());
        let since_stamp = self.since_stamp(&checked).await?;
        for checked in checked {
            if checked.config.encoded_len() > pieces::MAX_BYTES {
                let problem = format!("task {:?} has more than {} bytes", checked.task.name, pieces::MAX_BYTES);
                return Err(Error::invalid("configs", problem));
            }
            let config_id = new_config_id(&checked.config, self.now_us());
            prepared.push(Prepared { checked, config_id, since_stamp });
        }
        for one in &prepared {
            self.write_config(one).await?;
        }
        let replaced = self.write_records(&prepared, purpose, maker).await;
        let unused = match &replaced {
            Ok(before) => before.clone(),
            // A commit of which nobody knows whether it was made leaves the sweep to find out.
            Err(Error::Store(_)) => Vec::new(),
            Err(_) => prepared.iter().map(|one| one.config_id.clone()).collect(),
        };
        for id in unused {
            if let Err(error) = self.remove_config(&id).await {
                tracing::warn!(%error, "what a task was to do stays until it is swept");
            }
        }
        replaced?;
        let mut tasks = Vec::with_capacity(prepared.len());
        for one in prepared {
            tasks.push(self.get_task(&one.checked.task).await?);
        }
        Ok(tasks)
    }

    /// Where the changes begin that tasks of one repository follow: none is before that is committed from here on.
    async fn since_stamp(&self, all: &[Checked]) -> Result<u64, Error> {
        let follows = |one: &&Checked| one.replica_type.is_none_or(|kind| kind == ReplicaType::RealTime);
        let Some(one) = all.iter().find(follows) else { return Ok(self.now_us()) };
        Ok(match self.settled_stamp(&one.task).await? {
            Some(stamp) => stamp,
            None => self.now_us().saturating_sub(YOUNG_US),
        })
    }

    async fn write_config(&self, one: &Prepared) -> Result<(), Error> {
        let decided = self.decide("a task", |mut tx| async move {
            let content = one.checked.config.encode_to_vec();
            pieces::write(&mut tx, &keys::config_pieces(&one.config_id), &content).await?;
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await.map(|_| ())
    }

    /// Removes what a task was to do.
    pub(super) async fn remove_config(&self, id: &str) -> Result<(), Error> {
        let decided = self.decide("a task", |mut tx| async move {
            pieces::remove(&mut tx, &keys::config_pieces(id)).await?;
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await.map(|_| ())
    }

    /// Writes the records of all. Answers which configs nothing refers to any more.
    async fn write_records(&self, all: &[Prepared], purpose: Purpose, maker: &Maker) -> Result<Vec<String>, Error> {
        let decided = self.decide("tasks", |mut tx| async move {
            expect_generation(&mut tx).await?;
            let (mut replaced, mut room) = (Vec::new(), None);
            for one in all {
                let task = &one.checked.task;
                let before: Option<ReplicaTaskRecord> = tx.get(&task.key()).await?;
                match &before {
                    Some(before) => replaced.push(before.config.clone()),
                    None if purpose == Purpose::Update => return Err(Error::TaskNotFound(task.name.clone())),
                    None => {
                        let left = match room {
                            Some(left) => left,
                            None => self.room(&tx).await?,
                        };
                        let none = || Error::TooManyTasks(self.settings.max_tasks);
                        room = Some(left.checked_sub(1).ok_or_else(none)?);
                    }
                }
                if purpose == Purpose::CreateRunOnce {
                    may_run_once(before.as_ref())?;
                }
                let record = self.record(one, before, purpose, maker)?;
                let ReplicaTaskRecord { project, repository, name, .. } = record.clone();
                tx.put(keys::task_key(&record.key), &ReplicaTaskKeyRecord { project, repository, name });
                tx.put(task.key(), &record);
            }
            Ok(tx.answer(replaced))
        });
        Ok(decided.await?.0)
    }

    /// How many tasks there may be more.
    async fn room(&self, tx: &Tx<'_>) -> Result<usize, Error> {
        let all = KeyRange::prefix(&Key::table(Table::ReplicaTaskKey));
        let max = self.settings.max_tasks;
        Ok(max - tx.scan(all, max).await?.len().min(max))
    }

    fn record(
        &self,
        one: &Prepared,
        before: Option<ReplicaTaskRecord>,
        purpose: Purpose,
        maker: &Maker,
    ) -> Result<ReplicaTaskRecord, Error> {
        let (now_us, checked) = (self.now_us(), &one.checked);
        let is_new = before.is_none();
        let mut record = before.unwrap_or_else(|| new_record(checked, maker, now_us));
        let (former_type, former_plan, was_enabled) = (record.replica_type, plan_of(&record), record.enabled);
        if purpose == Purpose::Update {
            record.enabled = checked.config.enabled.unwrap_or(record.enabled);
            record.replica_type = checked.replica_type.map_or(record.replica_type, i32::from);
        }
        record.sealed_password = match &checked.url {
            Some(url) => {
                let (owner, wanted) = (Owner::Task(&record.key), checked.password.as_deref());
                self.next_password(owner, url, wanted, &record.sealed_password)?.into()
            }
            None => bytes::Bytes::new(),
        };
        record.config.clone_from(&one.config_id);
        maker.note(&mut record, now_us);
        record.modify_us = now_us;
        follow(&mut record, &checked.config);
        let is_scheduled = type_of(&record) == Some(ReplicaType::Scheduled);
        let Plan { cron, time_zone, at_us } = if is_scheduled { checked.plan.clone() } else { Plan::default() };
        (record.cron, record.time_zone, record.at_us) = (cron, time_zone, at_us);
        let has_changed_type = former_type != record.replica_type;
        // What was due while it was off was not to be done.
        let is_back = record.enabled && !was_enabled && !record.cron.is_empty();
        if !is_scheduled {
            record.next_us = 0;
        } else if is_new || has_changed_type || is_back || former_plan != checked.plan {
            record.next_us = checked.plan.next_us(&self.settings.time_zone, now_us);
        }
        if is_new || has_changed_type {
            record.change_stamp = one.since_stamp;
            (record.undone_stamp, record.undone_all) = (None, false);
        }
        Ok(record)
    }
}

/// A task that is not there, or one that runs once and does not run at the moment, may be created as one that runs once.
fn may_run_once(before: Option<&ReplicaTaskRecord>) -> Result<(), Error> {
    match before {
        Some(before) if type_of(before) != Some(ReplicaType::RunOnce) => Err(Error::NotRunOnce(before.name.clone())),
        Some(before) if !before.active_execution.is_empty() => Err(Error::TaskRunning(before.name.clone())),
        Some(_) | None => Ok(()),
    }
}

/// The task of a config.
pub(super) fn task_of(config: &Config) -> TaskId {
    TaskId { project: config.project.clone(), repository: config.repository.clone(), name: config.name.clone() }
}

fn new_record(checked: &Checked, maker: &Maker, now_us: u64) -> ReplicaTaskRecord {
    ReplicaTaskRecord {
        key: uuid::Uuid::new_v4().simple().to_string(),
        project: checked.task.project.clone(),
        repository: checked.task.repository.clone(),
        name: checked.task.name.clone(),
        replica_type: checked.replica_type.unwrap_or_default().into(),
        enabled: checked.config.enabled.unwrap_or(true),
        create_us: now_us,
        created_by: maker.user.clone(),
        ..ReplicaTaskRecord::default()
    }
}

/// Notes which changes concern a task.
fn follow(record: &mut ReplicaTaskRecord, config: &Config) {
    let is_for_all = config.package_constraints.is_empty() && config.path_constraints.is_empty();
    record.follows_tags = is_for_all || !config.package_constraints.is_empty();
    record.follows_files = is_for_all || !config.path_constraints.is_empty();
    record.follows_deletes = config.settings.as_ref().is_some_and(|settings| settings.propagate_deletes);
}
