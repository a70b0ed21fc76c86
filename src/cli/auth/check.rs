//! `steward auth check`: explains whether somebody may do something.

use clap::Args;
use serde::Serialize;
use steward_proto::auth::v1 as pb;
use steward_proto::auth::v1::rights_service_client::RightsServiceClient;

use crate::auth::rights::{Area, Right, parse_question};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Explains whether somebody may do something, and by which rule.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// What: AREA:RESOURCE:RIGHT, such as lock:pull/sha256:abc:write.
    #[arg(value_name = "AREA:RESOURCE:RIGHT", value_parser = parse_question)]
    question: (Area, String, Right),

    /// Who. Default: you.
    #[arg(long = "of", visible_alias = "who", value_name = "USER")]
    who: Option<String>,

    /// As whom: a node, a worker, a user of volumes.
    #[arg(long = "as", value_name = "NAME")]
    acting_as: Option<String>,
}

#[derive(Debug, Serialize)]
struct Answer {
    allowed: bool,
    explanation: String,
}

pub(super) async fn run(args: CheckArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut rights = RightsServiceClient::new(server.connect().await?);
    let (area, resource, right) = args.question;
    let request = pb::CheckRightRequest {
        user: args.who.unwrap_or_default(),
        groups: Vec::new(),
        area: area.into(),
        right: right.into(),
        resource,
        acting_as: args.acting_as.unwrap_or_default(),
    };
    let answer = rights.check_right(request).await.map_err(server.failure())?.into_inner();
    let exit = if answer.allowed { Exit::DONE } else { Exit::NOT_ALLOWED };
    match console.format() {
        Format::Json => console.object(&Answer { allowed: answer.allowed, explanation: answer.explanation })?,
        Format::Text => {
            let (tone, word) = if answer.allowed { (Tone::Good, "yes") } else { (Tone::Bad, "no") };
            let word = console.paint(tone, word).to_string();
            console.line(format_args!("{word}: {}", printable(&answer.explanation)))?;
        }
    }
    Ok(exit)
}
