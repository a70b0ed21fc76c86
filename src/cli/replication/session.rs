//! What every command needs: clients of the services.

use std::collections::HashMap;

use parking_lot::Mutex;
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::get_cluster_request::Which as WhichCluster;
use steward_proto::replication::v1::replication_service_client::ReplicationServiceClient;
use tonic::{Response, Status};

use super::name::{TaskName, Which};
use crate::cli::connect::{Channel, ReplicationClients, Server};
use crate::cli::error::Error;

/// A connection to a server.
pub(super) struct Session<'a> {
    server: &'a Server,
    clients: ReplicationClients,
    /// The names of clusters that were asked for, by their ids.
    cluster_names: Mutex<HashMap<String, String>>,
}

impl<'a> Session<'a> {
    pub(super) async fn open(server: &'a Server) -> Result<Self, Error> {
        Ok(Session { server, clients: server.connect_replication().await?, cluster_names: Mutex::default() })
    }

    pub(super) fn tasks(&self) -> ReplicationServiceClient<Channel> {
        self.clients.tasks.clone()
    }

    /// All of the clients.
    pub(super) fn clients(&self) -> ReplicationClients {
        self.clients.clone()
    }

    /// The answer of a call, or why there is none.
    pub(super) fn take<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Error> {
        answer.map(Response::into_inner).map_err(|status| self.failure(status))
    }

    /// The failure of a call.
    pub(super) fn failure(&self, status: Status) -> Error {
        self.server.failure()(status)
    }

    /// A task as it stands.
    pub(super) async fn task(&self, name: TaskName) -> Result<pb::Task, Error> {
        let request = pb::GetConfigRequest { project: name.project, repository: name.repository, name: name.name };
        let answer = self.take(self.tasks().get_config(request).await)?;
        answer.task.ok_or(NO_TASK)
    }

    /// The id of a run: the one that is named, or the latest of the task that is. Nothing: the task has never run.
    pub(super) async fn latest_execution(&self, which: &Which) -> Result<Option<String>, Error> {
        match which {
            Which::Execution(id) => Ok(Some(id.clone())),
            Which::Task(name) => {
                let task = self.task(name.clone()).await?;
                Ok(Some(task.last_execution_id).filter(|id| !id.is_empty()))
            }
        }
    }

    /// The same, where there has to be a run.
    pub(super) async fn execution_id(&self, which: &Which) -> Result<String, Error> {
        let id = self.latest_execution(which).await?;
        id.ok_or_else(|| Error::Local(format!("{which} has never run")))
    }

    pub(super) async fn execution(&self, id: &str) -> Result<pb::Execution, Error> {
        let request = pb::GetExecutionRequest { execution_id: id.to_owned() };
        let answer = self.take(self.tasks().get_execution(request).await)?;
        answer.execution.ok_or(NO_EXECUTION)
    }

    pub(super) async fn cluster(&self, which: WhichCluster) -> Result<pb::Cluster, Error> {
        let request = pb::GetClusterRequest { which: Some(which) };
        let answer = self.take(self.clients().clusters.get_cluster(request).await)?;
        answer.cluster.ok_or(NO_CLUSTER)
    }

    /// What people call a cluster: its name, or its id if the server does not tell the name.
    pub(super) async fn cluster_name(&self, id: &str) -> String {
        if let Some(name) = self.cluster_names.lock().get(id) {
            return name.clone();
        }
        let name = match self.cluster(WhichCluster::Id(id.to_owned())).await {
            Ok(cluster) => cluster.name,
            // It may be gone, or only for operators.
            Err(_) => id.to_owned(),
        };
        self.cluster_names.lock().insert(id.to_owned(), name.clone());
        name
    }
}

pub(super) const NO_TASK: Error = Error::Nonsense("it has no task");
pub(super) const NO_EXECUTION: Error = Error::Nonsense("it has no run");
pub(super) const NO_CLUSTER: Error = Error::Nonsense("it has no cluster");
