//! `steward artifact repo`: repositories.

use clap::{Args, Subcommand, ValueEnum};
use steward_proto::artifact::v1 as pb;

use super::session::Session;
use super::{json, list, text};
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::repository_name::RepositoryName;

#[derive(Debug, Subcommand)]
pub(super) enum RepoCommand {
    /// Creates a repository.
    Create(CreateArgs),
    /// Lists the repositories of a project.
    List(ListArgs),
    /// Deletes a repository; what only it had is swept later.
    Delete(DeleteArgs),
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Its project and its name.
    #[arg(value_name = "PROJECT/REPO")]
    repository: RepositoryName,

    /// What it holds.
    #[arg(long = "type", value_name = "TYPE", value_enum, default_value_t = Held::Generic)]
    held: Held,

    /// Anybody may read it.
    #[arg(long)]
    public: bool,

    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Of which project.
    #[arg(value_name = "PROJECT")]
    project: String,
}

#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    /// Which one.
    #[arg(value_name = "PROJECT/REPO")]
    repository: RepositoryName,

    /// Although something is in it.
    #[arg(long)]
    force: bool,
}

/// What a repository holds.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Held {
    /// Files by path.
    Generic,
    /// Images, whose packages are called docker://…
    Docker,
    /// Images and other artifacts, whose packages are called oci://…
    Oci,
    /// Helm charts, whose packages are called helm://…
    Helm,
}

impl Held {
    fn to_proto(self) -> pb::RepositoryType {
        match self {
            Held::Generic => pb::RepositoryType::Generic,
            Held::Docker => pb::RepositoryType::Docker,
            Held::Oci => pb::RepositoryType::Oci,
            Held::Helm => pb::RepositoryType::Helm,
        }
    }
}

pub(super) async fn run(command: RepoCommand, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    match command {
        RepoCommand::Create(args) => create(args, session, console).await?,
        RepoCommand::List(args) => list::repositories(&args.project, list::Form::Long, session, console).await?,
        RepoCommand::Delete(DeleteArgs { repository, force }) => {
            let shown = repository.to_string();
            let request =
                pb::DeleteRepositoryRequest { project: repository.project, repository: repository.name, force };
            session.take(session.artifacts().delete_repository(request).await)?;
            text::deleted(&shown, 1, console)?;
        }
    }
    Ok(Exit::DONE)
}

async fn create(args: CreateArgs, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let request = pb::CreateRepositoryRequest {
        project: args.repository.project,
        name: args.repository.name,
        r#type: args.held.to_proto().into(),
        category: pb::RepositoryCategory::Local.into(),
        public: args.public,
        description: args.description,
    };
    let answer = session.take(session.artifacts().create_repository(request).await)?;
    let repository = answer.repository.ok_or(Error::Nonsense("it has no repository"))?;
    match console.format() {
        Format::Json => console.object(&json::Repository::from(repository)),
        Format::Text => {
            let held = text::held(repository.r#type());
            let name = RepositoryName { project: repository.project, name: repository.name };
            console.line(format_args!("{name}: created, {held}"))
        }
    }
}
