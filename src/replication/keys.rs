//! The keys of the tables of replication.

use crate::store::key::{KeyBuilder, digest};
use crate::store::{Key, Table};

pub(super) fn task(project: &str, repository: &str, name: &str) -> Key {
    KeyBuilder::new(Table::ReplicaTask).text(project).text(repository).text(name).build()
}

/// All tasks of a repository, by name.
pub(super) fn tasks_of(project: &str, repository: &str) -> Key {
    KeyBuilder::new(Table::ReplicaTask).text(project).text(repository).build()
}

/// All tasks of a project.
pub(super) fn tasks_of_project(project: &str) -> Key {
    KeyBuilder::new(Table::ReplicaTask).text(project).build()
}

pub(super) fn task_key(key: &str) -> Key {
    KeyBuilder::new(Table::ReplicaTaskKey).text(key).build()
}

/// The pieces of what a task is to do, by the id that its record has.
pub(super) fn config_pieces(id: &str) -> Key {
    KeyBuilder::new(Table::ReplicaConfig).text(id).build()
}

pub(super) fn cluster(id: &str) -> Key {
    KeyBuilder::new(Table::Cluster).text(id).build()
}

pub(super) fn cluster_name(name: &str) -> Key {
    KeyBuilder::new(Table::ClusterName).text(name).build()
}

/// The center: there is one at most. No cluster has the empty name.
pub(super) fn cluster_center() -> Key {
    cluster_name("")
}

/// The pieces of the certificate of a cluster.
pub(super) fn cluster_certificate(id: &str) -> Key {
    KeyBuilder::new(Table::ClusterCertificate).text(id).build()
}

pub(super) fn execution(id: &str) -> Key {
    KeyBuilder::new(Table::ReplicaExecution).text(id).build()
}

pub(super) fn execution_time(task_key: &str, start_us: u64, id: &str) -> Key {
    KeyBuilder::new(Table::ReplicaExecutionTime).text(task_key).number(start_us).text(id).build()
}

/// All runs of a task, the oldest first.
pub(super) fn executions_of(task_key: &str) -> Key {
    KeyBuilder::new(Table::ReplicaExecutionTime).text(task_key).build()
}

pub(super) fn execution_active(id: &str) -> Key {
    KeyBuilder::new(Table::ReplicaExecutionActive).text(id).build()
}

pub(super) fn execution_deleted(id: &str) -> Key {
    KeyBuilder::new(Table::ReplicaDeletedExecution).text(id).build()
}

/// A deleted task whose records have to be swept. Keys of tasks are longer than ids of runs.
pub(super) fn task_deleted(task_key: &str) -> Key {
    KeyBuilder::new(Table::ReplicaDeletedExecution).text(task_key).build()
}

pub(super) fn result(execution: &str, sequence: u64) -> Key {
    KeyBuilder::new(Table::ReplicaResult).text(execution).number(sequence).build()
}

/// All results of a run, in order.
pub(super) fn results_of(execution: &str) -> Key {
    KeyBuilder::new(Table::ReplicaResult).text(execution).build()
}

pub(super) fn log_line(execution: &str, sequence: u64) -> Key {
    KeyBuilder::new(Table::ReplicaLog).text(execution).number(sequence).build()
}

/// All lines of the log of a run, in order.
pub(super) fn log_of(execution: &str) -> Key {
    KeyBuilder::new(Table::ReplicaLog).text(execution).build()
}

/// The upload of a blob to a place at the target: the image, or the path of a file.
pub(super) fn blob_session(task_key: &str, place: &str, blob: &str) -> Key {
    let which = digest(&[place.as_bytes(), blob.as_bytes()]);
    KeyBuilder::new(Table::ReplicaBlobSession).text(task_key).fixed(&which).build()
}

/// All uploads of a task.
pub(super) fn blob_sessions_of(task_key: &str) -> Key {
    KeyBuilder::new(Table::ReplicaBlobSession).text(task_key).build()
}
