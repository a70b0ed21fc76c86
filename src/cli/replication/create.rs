//! `steward replication create`: what is to be where, and when it is copied.

mod file;
mod options;

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use steward_proto::artifact::v1::{GetRepositoryRequest, RepositoryType};
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::get_cluster_request::Which as WhichCluster;

use self::options::{CopyOptions, Selection, When};
use super::password::TargetLogin;
use super::session::{NO_TASK, Session};
use super::show;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::repository_name::RepositoryName;

/// Creates a task, or changes the one of that name: then its runs stay, and its password if none is given.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("target").required(true).args(["registry", "cluster", "from_file"])))]
#[command(
    after_help = "Without --package and --path the whole repository is copied. A package is named docker://nginx, nginx, or \
                        by a glob; --version, --semver and --newest say which of its tags.\n\n\
                        A task copies in real time unless --type, --cron or --at says otherwise."
)]
pub(super) struct CreateArgs {
    /// The repository that is copied from.
    #[arg(value_name = "PROJECT/REPO")]
    repository: RepositoryName,

    /// The name of the task there.
    #[arg(value_name = "NAME")]
    name: String,

    /// Copy to this registry: https://host:port, with a path in front of the names of images or without one.
    #[arg(long, value_name = "URL")]
    registry: Option<String>,

    /// Copy to another Steward, which `cluster add` has made known by this name.
    #[arg(long, value_name = "NAME", requires = "remote")]
    cluster: Option<String>,

    /// The repository at the other Steward.
    #[arg(long, value_name = "PROJECT/REPO", requires = "cluster")]
    remote: Option<RepositoryName>,

    /// Take all of it from a file with the JSON of `show --json`.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["packages", "paths", "kind", "cron", "at", "rate", "conflict", "on_error",
                              "propagate_deletes", "no_referrers", "no_metadata", "parallelism", "description", "disabled"]
    )]
    from_file: Option<PathBuf>,

    #[command(flatten)]
    login: TargetLogin,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    when: When,

    #[command(flatten)]
    copy: CopyOptions,

    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,

    /// It does not run yet: see `enable`.
    #[arg(long)]
    disabled: bool,
}

pub(super) async fn run(args: CreateArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut config = match &args.from_file {
        Some(path) => file::read(path)?,
        None => config(&args, session).await?,
    };
    config.project = args.repository.project;
    config.repository = args.repository.name;
    config.name = args.name;
    log_in(&mut config, &args.login)?;
    name_packages(&mut config, session).await?;
    let task = create(config, session).await?;
    show::task(task, session, console).await?;
    Ok(Exit::DONE)
}

async fn config(args: &CreateArgs, session: &Session<'_>) -> Result<pb::Config, Error> {
    let target = match (&args.registry, &args.cluster, &args.remote) {
        (Some(registry), _, _) => {
            pb::target::Target::Registry(pb::RegistryTarget { registry: registry.clone(), ..Default::default() })
        }
        (None, Some(cluster), Some(remote)) => {
            let cluster = session.cluster(WhichCluster::Name(cluster.clone())).await?;
            pb::target::Target::Cluster(pb::ClusterTarget {
                cluster_id: cluster.id,
                remote_project_id: remote.project.clone(),
                remote_repo_name: remote.name.clone(),
            })
        }
        // clap sees to it.
        (None, _, _) => return Err(Error::Local("say where to, with --registry or --cluster".to_owned())),
    };
    let replica_type = args.when.replica_type();
    let package_constraints = args.selection.packages();
    let path_constraints = args.selection.paths();
    let is_whole = package_constraints.is_empty() && path_constraints.is_empty();
    // Of a task that runs once the server wants to hear that all of it is meant.
    let object_type = if is_whole { pb::ReplicaObjectType::Repository } else { pb::ReplicaObjectType::Unspecified };
    Ok(pb::Config {
        target: Some(pb::Target { target: Some(target) }),
        package_constraints,
        path_constraints,
        object_type: object_type.into(),
        replica_type: replica_type.into(),
        settings: Some(args.copy.settings(args.when.schedule()?)),
        enabled: Some(!args.disabled),
        description: args.description.clone(),
        ..pb::Config::default()
    })
}

/// Adds the user, the password and the certificates for a registry.
fn log_in(config: &mut pb::Config, login: &TargetLogin) -> Result<(), Error> {
    let Some(pb::target::Target::Registry(registry)) = config.target.as_mut().and_then(|target| target.target.as_mut())
    else {
        return match login.username {
            None => Ok(()),
            Some(_) => Err(Error::Local("the login at another Steward belongs to `cluster add`".to_owned())),
        };
    };
    if let Some(username) = &login.username {
        registry.username.clone_from(username);
    }
    if let Some(certificate) = login.certificate()? {
        registry.certificate = certificate;
    }
    registry.password = login.password(&registry.username, &registry.registry)?;
    Ok(())
}

/// Puts `docker://` and the like in front of the packages that are named without it.
async fn name_packages(config: &mut pb::Config, session: &Session<'_>) -> Result<(), Error> {
    let is_bare = |constraint: &pb::PackageConstraint| {
        !constraint.package_key.is_empty() && !constraint.package_key.contains("://")
    };
    if !config.package_constraints.iter().any(is_bare) {
        return Ok(());
    }
    let request = GetRepositoryRequest { project: config.project.clone(), repository: config.repository.clone() };
    let answer = session.take(session.clients().artifacts.get_repository(request).await)?;
    let scheme = match answer.repository.unwrap_or_default().r#type() {
        RepositoryType::Docker => "docker",
        RepositoryType::Helm => "helm",
        _ => "oci",
    };
    for constraint in config.package_constraints.iter_mut().filter(|constraint| is_bare(constraint)) {
        constraint.package_key.insert_str(0, &format!("{scheme}://"));
    }
    Ok(())
}

async fn create(config: pb::Config, session: &Session<'_>) -> Result<pb::Task, Error> {
    if config.replica_type() == pb::ReplicaType::RunOnce {
        let request = pb::CreateRunOnceTaskRequest { config: Some(config) };
        return session.take(session.tasks().create_run_once_task(request).await)?.task.ok_or(NO_TASK);
    }
    let request = pb::CreateConfigsRequest {
        project: config.project.clone(),
        repository: config.repository.clone(),
        configs: vec![config],
    };
    let answer = session.take(session.tasks().create_configs(request).await)?;
    answer.tasks.into_iter().next().ok_or(NO_TASK)
}
