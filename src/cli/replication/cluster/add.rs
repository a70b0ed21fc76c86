//! `steward replication cluster add`.

use clap::Args;
use steward_proto::replication::v1 as pb;

use crate::cli::error::Error;
use crate::cli::replication::password::TargetLogin;
use crate::cli::replication::session::{NO_CLUSTER, Session};

/// Makes another Steward known, and asks whether it is there.
#[derive(Args, Debug)]
pub(in crate::cli::replication) struct AddArgs {
    /// What it is to be called.
    #[arg(value_name = "NAME")]
    name: String,

    /// The address of its gRPC, such as `http://10.0.0.2:50051`.
    #[arg(value_name = "URL")]
    url: String,

    #[command(flatten)]
    login: TargetLogin,

    /// Do not ask whether it is there.
    #[arg(long)]
    no_check: bool,
}

pub(super) async fn add(args: AddArgs, session: &Session<'_>) -> Result<pb::Cluster, Error> {
    let username = args.login.username.clone().unwrap_or_default();
    let spec = pb::ClusterSpec {
        password: args.login.password(&username, &args.name)?,
        certificate: args.login.certificate()?.unwrap_or_default(),
        name: args.name,
        r#type: pb::ClusterType::Standalone.into(),
        url: args.url,
        username,
        ping: Some(!args.no_check),
        ..pb::ClusterSpec::default()
    };
    let request = pb::CreateClusterRequest { cluster: Some(spec) };
    let answer = session.take(session.clients().clusters.create_cluster(request).await)?;
    answer.cluster.ok_or(NO_CLUSTER)
}
