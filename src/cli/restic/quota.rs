//! `steward restic quota`: how many bytes a repository may have.

use clap::Args;
use steward_proto::restic::v1 as pb;

use super::repository::{self, Repository};
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size;

/// Sets how many bytes a repository may have, and shows it.
#[derive(Args, Debug)]
pub(super) struct QuotaArgs {
    /// Which one.
    #[arg(value_name = "REPO")]
    repository: Repository,

    /// Such as 10GB, 1.5TiB, or plain bytes; `none`: no quota of its own. One that has more takes no more.
    #[arg(value_name = "SIZE|none", value_parser = parse_quota)]
    size: Quota,
}

/// A quota, as the protocol has it: 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quota(i64);

pub(super) async fn run(args: QuotaArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::UpdateRepositoryRequest { path: args.repository.0, max_bytes: args.size.0 };
    let mut objects = server.connect_objects().await?;
    let answer = objects.update_repository(request).await.map_err(server.failure())?.into_inner();
    repository::show(answer.repository, console)?;
    Ok(Exit::DONE)
}

fn parse_quota(text: &str) -> Result<Quota, String> {
    if text == "none" {
        return Ok(Quota(0));
    }
    match size::parse(text)? {
        // The protocol's 0 is the opposite of what was asked for.
        0 => Err("a repository cannot have a quota of nothing; write `none` for no quota".to_owned()),
        bytes => Ok(Quota(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_quota_is_asked_for_by_name() {
        assert_eq!(parse_quota("none"), Ok(Quota(0)));
        assert_eq!(parse_quota("1KiB"), Ok(Quota(1024)));
        assert!(parse_quota("0").is_err());
    }
}
