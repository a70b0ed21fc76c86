//! `steward artifact watch`: every change of a repository, across restarts of the server.

use clap::Args;
use steward_proto::artifact::v1 as pb;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use tonic::{Status, Streaming};

use super::session::Session;
use super::{json, text};
use crate::cli::connect::{Channel, Server};
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::follow::{self, Watch};
use crate::cli::repository_name::RepositoryName;
use crate::cli::time;

/// Shows every change of the files or tags of a repository, until it is interrupted.
#[derive(Args, Debug)]
#[command(
    after_help = "When the connection is lost, the watch goes on where it was as soon as the server is back. The server \
                        keeps changes for some days; if it has forgotten that point, the watch tells all that it still \
                        knows, and says so on standard error."
)]
pub(super) struct WatchArgs {
    /// Which repository.
    #[arg(value_name = "PROJECT/REPO")]
    repository: RepositoryName,

    /// Only the changes after this stamp, as `--json` told it; 0: all that the server still knows. Default: from now on.
    #[arg(long, value_name = "STAMP", value_parser = clap::value_parser!(i64).range(0..))]
    from: Option<i64>,
}

pub(super) async fn run(args: WatchArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let watch = ArtifactWatch {
        artifacts: session.artifacts(),
        repository: args.repository,
        first: args.from.filter(|from| *from == 0),
    };
    follow::follow(watch, args.from.unwrap_or(0), session.server(), console).await
}

struct ArtifactWatch {
    artifacts: ArtifactServiceClient<Channel>,
    repository: RepositoryName,
    /// Where to begin without a point; nothing: with what comes.
    first: Option<i64>,
}

impl Watch for ArtifactWatch {
    type Message = pb::WatchArtifactsResponse;
    const SUBJECT: &'static str = "artifacts";
    const AFRESH: &'static str = "telling all that it still knows";

    fn reconnect(&mut self, server: &Server) {
        self.artifacts = server.artifacts();
    }

    async fn open(&mut self, from_revision: i64) -> Result<Streaming<Self::Message>, Status> {
        let after_stamp = if from_revision == 0 { self.first } else { Some(from_revision) };
        if from_revision != 0 {
            // Without that point, later: all that is still known.
            self.first = Some(0);
        }
        let request = pb::WatchArtifactsRequest {
            project: self.repository.project.clone(),
            repository: self.repository.name.clone(),
            after_stamp,
        };
        Ok(self.artifacts.watch_artifacts(request).await?.into_inner())
    }

    fn show(&mut self, message: Self::Message, console: &mut Console) -> Result<Option<i64>, Error> {
        let Some(change) = message.change else { return Ok(None) };
        let stamp = change.stamp;
        match console.format() {
            Format::Json => console.object(&json::Change::from(change))?,
            Format::Text => {
                let line = line(&change, console);
                console.line(line)?;
            }
        }
        console.flush()?;
        Ok(Some(stamp))
    }
}

/// `2026-11-21T03:13:00Z  new      nginx:1.1  sha256:0123456789ab`.
fn line(change: &pb::ArtifactChange, console: &Console) -> String {
    let (word, tone) = match (change.digest.is_empty(), change.before.is_empty()) {
        (true, _) => ("deleted", Tone::Bad),
        (false, true) => ("new", Tone::Good),
        (false, false) => ("changed", Tone::Waiting),
    };
    let at = jiff::Timestamp::from_microsecond(change.stamp).map(time::text).unwrap_or_default();
    let word = console.paint(tone, format!("{word:<7}"));
    let digest = if change.digest.is_empty() { &change.before } else { &change.digest };
    let (image, digest) = (printable(&change.image), text::short(digest));
    match (change.path.as_str(), change.tag.as_str()) {
        ("", "") => format!("{at}  {word}  {image}  {digest}, which refers to {}", text::short(&change.subject)),
        ("", tag) => format!("{at}  {word}  {image}:{}  {digest}", printable(tag)),
        (path, _) => format!("{at}  {word}  {}  {digest}", printable(path)),
    }
}
