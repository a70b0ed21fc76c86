//! `steward replication cluster update`.

use clap::Args;
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::get_cluster_request::Which;

use crate::cli::error::Error;
use crate::cli::replication::password::TargetLogin;
use crate::cli::replication::session::{NO_CLUSTER, Session};

/// Changes where another Steward is, or how it lets us in. What is not named stays.
#[derive(Args, Debug)]
pub(in crate::cli::replication) struct UpdateArgs {
    /// Which one.
    #[arg(value_name = "NAME")]
    name: String,

    /// The address of its gRPC.
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    #[command(flatten)]
    login: TargetLogin,

    /// Do not ask whether it is there.
    #[arg(long)]
    no_check: bool,
}

pub(super) async fn update(args: UpdateArgs, session: &Session<'_>) -> Result<pb::Cluster, Error> {
    let now = session.cluster(Which::Name(args.name)).await?;
    let username = args.login.username.clone().unwrap_or(now.username);
    let spec = pb::ClusterSpec {
        password: args.login.password(&username, &now.name)?,
        certificate: args.login.certificate()?.unwrap_or(now.certificate),
        name: now.name,
        r#type: now.r#type,
        url: args.url.unwrap_or(now.url),
        username,
        app_id: now.app_id,
        access_key: now.access_key,
        secret_key: None,
        detect_type: now.detect_type,
        ping: Some(!args.no_check),
        udp_port: now.udp_port,
    };
    let request = pb::UpdateClusterRequest { cluster: Some(spec) };
    let answer = session.take(session.clients().clusters.update_cluster(request).await)?;
    answer.cluster.ok_or(NO_CLUSTER)
}
