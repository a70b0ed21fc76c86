//! How a repository is named on the command line, and told in words.

use jiff::Timestamp;
use steward_proto::restic::v1 as pb;

use super::text::{counted, last_snapshot, quota};
use crate::cli::console::{Console, Format, Tone, field, printable};
use crate::cli::error::Error;
use crate::cli::restic::json;
use crate::cli::{size, time};

/// The path of a repository. Slashes at its ends do not matter; `/` alone or nothing is the root repository.
#[derive(Clone, Debug)]
pub(super) struct Repository(pub(super) String);

// What else is wrong with a path is the server's to say.
impl From<&str> for Repository {
    fn from(text: &str) -> Self {
        Repository(text.trim_matches('/').to_owned())
    }
}

/// A path as it is given on the command line.
pub(super) fn shown(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { printable(path).into_owned() }
}

/// Shows a repository over several lines, or as JSON.
pub(super) fn show(repository: Option<pb::Repository>, console: &mut Console) -> Result<(), Error> {
    let repository = repository.ok_or(Error::Nonsense("it has no repository"))?;
    match console.format() {
        Format::Json => console.object(&json::Repository::from(repository)),
        Format::Text => console.line(lines(&repository, console, time::now())),
    }
}

fn lines(repository: &pb::Repository, console: &Console, now: Timestamp) -> String {
    let heading = console.paint(Tone::Heading, shown(&repository.path));
    let mut lines = vec![heading.to_string()];
    if let Some(time) = time::from_proto(repository.create_time) {
        lines.push(field("created", &time::moment(time, now)));
    }
    if !repository.owner.is_empty() {
        lines.push(field("owner", &printable(&repository.owner)));
    }
    lines.extend([
        field("objects", &counted(repository.object_count, repository.object_bytes)),
        field("deleted", &size::of_proto(repository.deleted_bytes)),
        field("quota", &quota(repository)),
        field("last snapshot", &last_snapshot(repository, now)),
    ]);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn slashes_at_the_ends_do_not_matter() {
        for text in ["alice/laptop", "/alice/laptop", "alice/laptop/"] {
            assert_eq!(Repository::from(text).0, "alice/laptop");
        }
        for root in ["", "/"] {
            assert_eq!(Repository::from(root).0, "");
        }
        assert_eq!(shown(""), "/");
    }

    #[test]
    fn a_repository_is_told_over_several_lines() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let repository = pb::Repository {
            path: "alice/laptop".to_owned(),
            create_time: at(1_700_000_000),
            owner: "alice".to_owned(),
            object_count: 1203,
            object_bytes: 3 << 29,
            deleted_bytes: 512,
            max_bytes: 0,
            last_snapshot_time: None,
        };
        let console = Console::plain(Box::new(io::sink()), Format::Text);
        let expected = "\
alice/laptop
  created        2023-11-14T22:13:20Z (1m ago)
  owner          alice
  objects        1203, 1.5 GiB
  deleted        512 B
  quota          none
  last snapshot  never";
        assert_eq!(lines(&repository, &console, Timestamp::new(1_700_000_060, 0).unwrap()), expected);
    }
}
