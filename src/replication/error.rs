//! What can be wrong with a command on replication.

use crate::error::{Category, Failure};
use crate::places::Full;
use crate::store;

/// Why a command on replication was refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A parameter is not there.
    #[error("parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter is empty.
    #[error("parameter {0} is empty")]
    Empty(&'static str),
    /// A parameter is wrong. `arg` is what the older API names: the field, or the value of a name.
    #[error("parameter {arg}: {problem}")]
    Invalid {
        /// The field, or the value.
        arg: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The caller may not do it.
    #[error("the caller has no right to do that")]
    Denied(Box<Failure>),
    /// The address of a target is one that this server does not go to.
    #[error("{0}")]
    TargetForbidden(String),
    /// There is no such repository.
    #[error("repository {0:?} not found")]
    RepositoryNotFound(String),
    /// There is no such task.
    #[error("task {0:?} not found")]
    TaskNotFound(String),
    /// There is no such run.
    #[error("execution {0:?} not found")]
    ExecutionNotFound(String),
    /// There is no such cluster.
    #[error("cluster {0:?} not found")]
    ClusterNotFound(String),
    /// There is no such package.
    #[error("package {0:?} not found")]
    PackageNotFound(String),
    /// There is no such version.
    #[error("version {version:?} of {package:?} not found")]
    VersionNotFound {
        /// The key of the package.
        package: String,
        /// The version.
        version: String,
    },
    /// There is a cluster of that name.
    #[error("cluster {0:?} exists")]
    ClusterExists(String),
    /// There is a center already.
    #[error("there is a center already")]
    CenterExists,
    /// The task does not run once.
    #[error("task {0:?} is not one that runs once")]
    NotRunOnce(String),
    /// A run of the task is queued or under way.
    #[error("task {0:?} is running")]
    TaskRunning(String),
    /// The task is not enabled.
    #[error("task {0:?} is not enabled")]
    TaskDisabled(String),
    /// The run has ended.
    #[error("execution {0:?} has ended")]
    ExecutionEnded(String),
    /// The run has left nothing, or has not ended.
    #[error("execution {0:?} has nothing to resume")]
    NotResumable(String),
    /// The target does not answer.
    #[error("{name} cannot be reached: {problem}")]
    Unreachable {
        /// The cluster, or the full name of the task.
        name: String,
        /// Why not.
        problem: String,
    },
    /// The certificate of the target is not trusted.
    #[error("the certificate of {name} is not trusted: {problem}")]
    Tls {
        /// The cluster, or the full name of the task.
        name: String,
        /// Why not.
        problem: String,
    },
    /// There are as many tasks as may be.
    #[error("there are {0} tasks, which is the limit")]
    TooManyTasks(usize),
    /// There are as many clusters as may be.
    #[error("there are {0} clusters, which is the limit")]
    TooManyClusters(usize),
    /// There are as many watches as may be.
    #[error("{} watches{} are open already, which is the limit", .0.limit, .0.whose())]
    TooManyWatchers(Full),
    /// One of several tasks of a request is refused, and so are all.
    #[error("configs[{index}] {name:?}: {source}")]
    InConfig {
        /// Which one.
        index: usize,
        /// Its name.
        name: String,
        /// Why.
        source: Box<Error>,
    },
    /// The server is about to stop.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// Something went wrong that is not the caller's fault.
    #[error("{0}")]
    Internal(String),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// A parameter that is wrong.
    pub(super) fn invalid(arg: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::Invalid { arg: arg.into(), problem: problem.into() }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Denied(Box::new(failure))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        answered(error.to_string(), error)
    }
}

fn answered(message: String, error: Error) -> Failure {
    let failure = |category, reason| Failure::new(category, reason, message.clone());
    let bad = |reason, arg: &str| {
        let failure = Failure::new(Category::InvalidArgument, reason, message.clone());
        failure.with("arg", arg)
    };
    match error {
        Error::Store(error) => error.into(),
        Error::Denied(failure) => *failure,
        Error::InConfig { name, source, .. } => answered(message, *source).with("config", name),
        Error::Missing(field) => bad("PARAMETER_MISSING", field),
        Error::Empty(field) => bad("PARAMETER_EMPTY", field),
        Error::Invalid { arg, .. } => bad("PARAMETER_INVALID", &arg),
        Error::TargetForbidden(_) => bad("TARGET_FORBIDDEN", "url"),
        Error::RepositoryNotFound(name) => failure(Category::NotFound, "REPOSITORY_NOT_FOUND").with("arg", name),
        Error::TaskNotFound(name) => failure(Category::NotFound, "TASK_NOT_FOUND").with("arg", name),
        Error::ExecutionNotFound(id) => failure(Category::NotFound, "EXECUTION_NOT_FOUND").with("arg", id),
        Error::ClusterNotFound(name) => failure(Category::NotFound, "CLUSTER_NOT_FOUND").with("arg", name),
        Error::PackageNotFound(key) => failure(Category::NotFound, "PACKAGE_NOT_FOUND").with("arg", key),
        Error::VersionNotFound { package, version } => {
            failure(Category::NotFound, "VERSION_NOT_FOUND").with("arg", package).with("version", version)
        }
        Error::ClusterExists(name) => failure(Category::AlreadyExists, "CLUSTER_EXISTS").with("arg", name),
        Error::CenterExists => failure(Category::AlreadyExists, "CENTER_EXISTS"),
        Error::NotRunOnce(name) => failure(Category::FailedPrecondition, "NOT_RUN_ONCE").with("arg", name),
        Error::TaskRunning(name) => failure(Category::FailedPrecondition, "TASK_RUNNING").with("arg", name),
        Error::TaskDisabled(name) => failure(Category::FailedPrecondition, "TASK_DISABLED").with("arg", name),
        Error::ExecutionEnded(id) => failure(Category::FailedPrecondition, "EXECUTION_ENDED").with("arg", id),
        Error::NotResumable(id) => failure(Category::FailedPrecondition, "NOT_RESUMABLE").with("arg", id),
        Error::Unreachable { name, .. } => failure(Category::Unavailable, "CLUSTER_UNREACHABLE").with("arg", name),
        Error::Tls { name, .. } => failure(Category::FailedPrecondition, "CLUSTER_TLS").with("arg", name),
        Error::TooManyTasks(_) => failure(Category::ResourceExhausted, "TOO_MANY_TASKS"),
        Error::TooManyClusters(_) => failure(Category::ResourceExhausted, "TOO_MANY_CLUSTERS"),
        Error::TooManyWatchers(_) => failure(Category::ResourceExhausted, "TOO_MANY_WATCHERS"),
        Error::ShuttingDown => failure(Category::Unavailable, "SHUTTING_DOWN"),
        Error::Internal(_) => failure(Category::Internal, "INTERNAL"),
    }
}
