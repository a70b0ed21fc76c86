//! `steward restic undelete`: brings deleted objects back.

use clap::{ArgGroup, Args};
use jiff::{SignedDuration, Timestamp};
use steward_proto::restic::v1 as pb;

use super::kind::{self, Kind};
use super::repository::{Repository, shown};
use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::{duration, time};

/// Restores the deleted objects that match. One that is there again stays as it is and is not counted.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["kind", "name", "since", "all"]))]
pub(super) struct UndeleteArgs {
    /// Of which repository.
    #[arg(value_name = "REPO")]
    repository: Repository,

    /// Only objects of this type.
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    kind: Option<Kind>,

    /// Only the object of this name.
    #[arg(long)]
    name: Option<String>,

    /// Only what was deleted since then: 2h for two hours ago, or 2026-03-01T12:00:00Z.
    #[arg(long, value_name = "DURATION|TIME", value_parser = parse_since)]
    since: Option<Timestamp>,

    /// Everything that can be restored.
    #[arg(long, conflicts_with_all = ["kind", "name", "since"])]
    all: bool,
}

pub(super) async fn run(args: UndeleteArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::UndeleteObjectsRequest {
        repository: args.repository.0,
        r#type: kind::filter(args.kind),
        name: args.name.unwrap_or_default(),
        deleted_since: args.since.map(time::to_proto),
    };
    let path = shown(&request.repository);
    let mut objects = server.connect_objects().await?;
    let answer = objects.undelete_objects(request).await.map_err(server.failure())?.into_inner();
    match console.format() {
        Format::Json => console.object(&json::Undeleted::from(answer))?,
        Format::Text => {
            let restored = text::objects(answer.restored_count, answer.restored_bytes);
            console.line(format_args!("restored {restored} of {path}"))?;
        }
    }
    Ok(Exit::DONE)
}

fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wrong = || "not a duration or a time; write it as 2h or 2026-03-01T12:00:00Z".to_owned();
    let age = SignedDuration::try_from(duration::parse(text).map_err(|_| wrong())?).map_err(|_| wrong())?;
    time::now().checked_sub(age).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_point_or_an_age() {
        assert_eq!(parse_since("2023-11-14T22:13:20Z").unwrap(), Timestamp::new(1_700_000_000, 0).unwrap());
        let since = parse_since("2h").unwrap();
        let age = time::now().duration_since(since);
        assert!(age >= SignedDuration::from_hours(2) && age < SignedDuration::from_hours(3), "{age}");
        assert!(parse_since("yesterday").is_err());
    }
}
