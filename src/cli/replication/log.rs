//! `steward replication log`: what a run has written down.

use clap::Args;
use steward_proto::replication::v1 as pb;

use super::json;
use super::name::Which;
use super::session::Session;
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::time;

const PAGE_SIZE: i32 = 1000;

/// Shows the log of a run.
#[derive(Args, Debug)]
pub(super) struct LogArgs {
    /// Which run; of a task: the latest one.
    #[arg(value_name = "EXECUTION|TASK")]
    which: Which,
}

pub(super) async fn run(args: LogArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let execution_id = session.execution_id(&args.which).await?;
    let mut request = pb::ListLogLinesRequest { execution_id, page_size: PAGE_SIZE, page_token: String::new() };
    loop {
        let page = session.take(session.tasks().list_log_lines(request.clone()).await)?;
        for line in page.lines {
            match console.format() {
                Format::Json => console.object(&json::LogLine::from(line))?,
                Format::Text => {
                    let line = text(&line, console);
                    console.line(line)?;
                }
            }
        }
        console.flush()?;
        if page.next_page_token.is_empty() {
            return Ok(Exit::DONE);
        }
        request.page_token = page.next_page_token;
    }
}

/// `2026-11-21T03:13:00Z  WARN   429 from the target; again in 2s`.
pub(super) fn text(line: &pb::LogLine, console: &Console) -> String {
    let at = time::from_proto(line.time).map(time::text).unwrap_or_default();
    let tone = match line.level.as_str() {
        "ERROR" => Tone::Bad,
        "WARN" => Tone::Waiting,
        _ => Tone::Quiet,
    };
    let level = console.paint(tone, format!("{:<5}", printable(&line.level)));
    format!("{at}  {level}  {}", printable(&line.text))
}
