//! `steward restic import`: brings the repositories of a directory to the server.

mod config;
mod digest;
mod known;
mod report;
mod tree;
mod upload;

use std::path::PathBuf;

use crate::cli::connect::Channel;
use clap::Args;
use futures::StreamExt as _;
use steward_proto::restic::v1 as pb;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use tonic::Status;

use self::config::Comparison;
use self::known::Known;
use self::report::{Note, Outcome, Report, Tally};
use self::tree::Found;
use self::upload::Uploaded;
use super::repository::{Repository, shown};
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;

/// Copies the repositories of restic or rest-server in a directory of this machine to the server.
#[derive(Args, Debug)]
#[command(
    after_help = "A repository is a directory with a file `config` and a directory `data`, however deep. Locks are not \
                  imported; the config of a repository comes last. What the server has already is skipped, so an \
                  import that was interrupted can be run again.\n\n\
                  Exit codes: 0 all objects are on the server, 1 some are not, and the output says which and why, \
                  2 wrong usage."
)]
pub(super) struct ImportArgs {
    /// The directory.
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Where the repositories go. Default: their paths in the directory.
    #[arg(long = "as", value_name = "REPO", default_value = "", hide_default_value = true)]
    base: Repository,

    /// Change nothing; say what would be imported.
    #[arg(long)]
    dry_run: bool,

    /// How many files are sent at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
}

pub(super) async fn run(args: ImportArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let tree = walk(&args).await?;
    let mut report = Report::new(console);
    tree.notes.iter().try_for_each(|note| report.note(note))?;
    let mut import = Import { objects: server.connect_objects().await?, jobs: args.jobs.into(), dry_run: args.dry_run };
    for repository in &tree.repositories {
        report.progress.begin(&shown(&repository.path), repository.size());
        match import.repository(repository, &mut report).await {
            Ok(tally) => report.end(&tally)?,
            Err(Failure::Call(status)) => match server.failure()(status) {
                // This repository cannot be written to; others may be.
                Error::Refused(status) => report.fail(&repository.path, &error::describe(&status)),
                error => return Err(error),
            },
            Err(Failure::OtherConfig) => report.fail(
                &repository.path,
                "the server has another repository there, whose config differs; name another place with --as",
            ),
            Err(Failure::Unreadable(source)) => {
                report.fail(&repository.path, &format!("cannot read its config: {source}"));
            }
            Err(Failure::Report(error)) => return Err(error),
        }
    }
    Ok(if report.has_failures() { Exit::FOUND } else { Exit::DONE })
}

async fn walk(args: &ImportArgs) -> Result<tree::Tree, Error> {
    let (directory, base) = (args.directory.clone(), args.base.0.clone());
    let walk = tokio::task::spawn_blocking(move || tree::walk(&directory, &base));
    let directory = args.directory.display();
    match walk.await.map_err(std::io::Error::from).flatten() {
        Ok(tree) if tree.repositories.is_empty() => Err(Error::Local(format!(
            "there is no repository in {directory}: that is a directory with a file `config` and a directory `data`"
        ))),
        Ok(tree) => Ok(tree),
        Err(source) => Err(Error::Local(format!("cannot read {directory}: {source}"))),
    }
}

/// Why a repository cannot be imported to its end.
enum Failure {
    Call(Status),
    /// The server has another repository in its place.
    OtherConfig,
    /// Its config cannot be read.
    Unreadable(std::io::Error),
    Report(Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::Call(status)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Report(error)
    }
}

struct Import {
    objects: ObjectServiceClient<Channel>,
    jobs: usize,
    dry_run: bool,
}

impl Import {
    async fn repository(&mut self, repository: &tree::Repository, report: &mut Report<'_>) -> Result<Tally, Failure> {
        let comparison = config::compare(&mut self.objects, repository).await?.map_err(Failure::Unreadable)?;
        if comparison == Comparison::Other {
            return Err(Failure::OtherConfig);
        }
        if !self.dry_run {
            let request = pb::CreateRepositoryRequest { path: repository.path.clone() };
            self.objects.create_repository(request).await?;
        }
        let mut tally = Tally { repository: repository.path.clone(), dry_run: self.dry_run, ..Tally::default() };
        // One type after the other: the next points to the objects of those before.
        for (kind, found) in &repository.kinds {
            let known = Known::ask(&mut self.objects, &repository.path, *kind).await?;
            let (present, missing): (Vec<&Found>, Vec<_>) = found.iter().partition(|object| known.has(object));
            report.progress.skip(present.iter().map(|object| object.size).sum());
            tally.present_count += count(&present);
            let items = missing.into_iter().map(|object| Item::new(repository, *kind, object));
            self.send(items, &mut tally, report).await?;
        }
        match comparison {
            Comparison::Absent => self.send([Item::config(repository)].into_iter(), &mut tally, report).await?,
            Comparison::Same | Comparison::Other => tally.present_count += 1,
        }
        Ok(tally)
    }

    async fn send(
        &self,
        items: impl Iterator<Item = Item>,
        tally: &mut Tally,
        report: &mut Report<'_>,
    ) -> Result<(), Failure> {
        if self.dry_run {
            items.for_each(|item| tally.imported(&item));
            return Ok(());
        }
        let progress = report.progress.clone();
        let uploads = items.map(|item| {
            let (mut objects, progress) = (self.objects.clone(), progress.clone());
            async move { (upload::upload(&mut objects, &item.key, &item.file, &progress).await, item) }
        });
        let mut uploads = futures::stream::iter(uploads).buffer_unordered(self.jobs);
        while let Some((uploaded, item)) = uploads.next().await {
            match uploaded? {
                Uploaded::Stored => tally.imported(&item),
                Uploaded::AlreadyExisted => tally.present_count += 1,
                Uploaded::Unreadable(error) => {
                    tally.failed_count += 1;
                    report.note(&item.note(Outcome::Unreadable, error.to_string()))?;
                }
                Uploaded::Refused(status) => {
                    tally.failed_count += 1;
                    report.note(&item.note(Outcome::Refused, error::describe(&status)))?;
                }
            }
        }
        Ok(())
    }
}

/// A file to send.
struct Item {
    key: pb::ObjectKey,
    file: PathBuf,
    size: u64,
}

impl Item {
    fn new(repository: &tree::Repository, kind: pb::ObjectType, object: &Found) -> Self {
        let key = pb::ObjectKey { r#type: kind.into(), name: object.name.to_string(), ..config::key(&repository.path) };
        Item { key, file: repository.file(kind, object.name), size: object.size }
    }

    fn config(repository: &tree::Repository) -> Self {
        Item { key: config::key(&repository.path), file: repository.config(), size: repository.config_size }
    }

    fn note(&self, outcome: Outcome, reason: String) -> Note {
        let file = super::text::object(&self.key);
        Note { outcome, repository: self.key.repository.clone(), file, reason }
    }
}

impl Tally {
    fn imported(&mut self, item: &Item) {
        self.imported_count += 1;
        self.imported_bytes += i64::try_from(item.size).unwrap_or_default();
    }
}

fn count(objects: &[&Found]) -> i64 {
    i64::try_from(objects.len()).unwrap_or(i64::MAX)
}
