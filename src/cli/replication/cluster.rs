//! `steward replication cluster`: the other Stewards that can be copied to.

mod add;
mod update;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::get_cluster_request::Which;

use super::session::{NO_CLUSTER, Session};
use super::{json, text};
use crate::cli::console::{Console, Format, Tone, field, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::{Table, or_dash};
use crate::cli::time;

const PAGE_SIZE: i32 = 100;
const HEADINGS: [&str; 5] = ["NAME", "URL", "USER", "STATUS", "ASKED"];

#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Makes another Steward known.
    Add(add::AddArgs),
    /// Changes where one is, or how it lets us in.
    Update(update::UpdateArgs),
    /// Lists them.
    List,
    /// Shows one.
    Show(OneArgs),
    /// Forgets one. Tasks that copy to it fail from then on.
    Remove(OneArgs),
    /// Asks one whether it is there.
    Check(OneArgs),
}

#[derive(Args, Debug)]
pub(super) struct OneArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Serialize)]
struct Removed {
    name: String,
}

pub(super) async fn run(command: ClusterCommand, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    match command {
        ClusterCommand::Add(args) => show(add::add(args, session).await?, console)?,
        ClusterCommand::Update(args) => show(update::update(args, session).await?, console)?,
        ClusterCommand::List => list(session, console).await?,
        ClusterCommand::Show(args) => show(session.cluster(Which::Name(args.name)).await?, console)?,
        ClusterCommand::Remove(args) => remove(args.name, session, console).await?,
        ClusterCommand::Check(args) => {
            let request = pb::TryConnectRequest { name: args.name };
            let answer = session.take(session.clients().clusters.try_connect(request).await)?;
            show(answer.cluster.ok_or(NO_CLUSTER)?, console)?;
        }
    }
    Ok(Exit::DONE)
}

async fn list(session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let mut request = pb::ListClustersRequest { page_size: PAGE_SIZE, ..pb::ListClustersRequest::default() };
    let mut table = Table::new(HEADINGS);
    loop {
        let page = session.take(session.clients().clusters.list_clusters(request.clone()).await)?;
        let now = time::now();
        table.show::<_, json::Cluster>(page.clusters, |cluster| row(cluster, now), console)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

fn row(cluster: &pb::Cluster, now: Timestamp) -> [String; 5] {
    [
        printable(&cluster.name).into_owned(),
        printable(&cluster.url).into_owned(),
        or_dash(printable(&cluster.username).into_owned()),
        status(cluster.status()).to_owned(),
        text::when(cluster.last_report_time, now),
    ]
}

fn status(status: pb::ClusterStatus) -> &'static str {
    match status {
        pb::ClusterStatus::Unspecified => "not asked yet",
        pb::ClusterStatus::Healthy => "healthy",
        pb::ClusterStatus::Unhealthy => "unhealthy",
    }
}

async fn remove(name: String, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let cluster = session.cluster(Which::Name(name.clone())).await?;
    let request = pb::DeleteClusterRequest { id: cluster.id };
    session.take(session.clients().clusters.delete_cluster(request).await)?;
    match console.format() {
        Format::Json => console.object(&Removed { name }),
        Format::Text => console.line(format_args!("{}: removed", printable(&name))),
    }
}

/// Shows one over several lines, or as JSON.
fn show(cluster: pb::Cluster, console: &mut Console) -> Result<(), Error> {
    if console.format() == Format::Json {
        return console.object(&json::Cluster::from(cluster));
    }
    let now = time::now();
    let moment = |at| time::from_proto(at).map(|at| time::moment(at, now)).unwrap_or_default();
    let tone = match cluster.status() {
        pb::ClusterStatus::Unspecified => Tone::Quiet,
        pb::ClusterStatus::Healthy => Tone::Good,
        pb::ClusterStatus::Unhealthy => Tone::Bad,
    };
    let password = if cluster.has_password { "" } else { ", without a password" };
    let user =
        if cluster.username.is_empty() { "nobody".to_owned() } else { format!("{}{password}", cluster.username) };
    let fields = [
        ("id", printable(&cluster.id).into_owned()),
        ("url", printable(&cluster.url).into_owned()),
        ("logs in as", printable(&user).into_owned()),
        ("status", console.paint(tone, status(cluster.status())).to_string()),
        ("error", printable(&cluster.error_reason).into_owned()),
        ("asked", moment(cluster.last_report_time)),
        ("added", moment(cluster.create_time)),
    ];
    let mut lines = vec![console.paint(Tone::Heading, printable(&cluster.name)).to_string()];
    lines.extend(fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| field(name, value)));
    console.line(lines.join("\n"))
}
