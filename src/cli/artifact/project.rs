//! `steward artifact project`: projects.

use clap::{Args, Subcommand};
use steward_proto::artifact::v1 as pb;

use super::session::Session;
use super::{json, list, text};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Creates a project.
    Create(CreateArgs),
    /// Lists the projects.
    List,
    /// Deletes a project without repositories.
    Delete(OneArgs),
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Its name: a letter or `_`, then letters, digits, `-` and `_`.
    #[arg(value_name = "NAME")]
    name: String,

    /// Its name for people. Default: its name.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,

    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
}

#[derive(Args, Debug)]
pub(super) struct OneArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) async fn run(command: ProjectCommand, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    match command {
        ProjectCommand::Create(args) => create(args, session, console).await?,
        ProjectCommand::List => list::projects(list::Form::Long, session, console).await?,
        ProjectCommand::Delete(args) => {
            let request = pb::DeleteProjectRequest { name: args.name.clone() };
            session.take(session.artifacts().delete_project(request).await)?;
            text::deleted(&args.name, 1, console)?;
        }
    }
    Ok(Exit::DONE)
}

async fn create(args: CreateArgs, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let request = pb::CreateProjectRequest {
        display_name: args.display_name.unwrap_or_else(|| args.name.clone()),
        name: args.name,
        description: args.description,
    };
    let answer = session.take(session.artifacts().create_project(request).await)?;
    let project = answer.project.ok_or(Error::Nonsense("it has no project"))?;
    match console.format() {
        Format::Json => console.object(&json::Project::from(project)),
        Format::Text => console.line(format_args!("{}: created", printable(&project.name))),
    }
}
