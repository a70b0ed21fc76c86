//! `steward token list`: tokens, without what is secret of them.

use clap::Args;
use jiff::Timestamp;
use steward_proto::auth::v1 as pb;
use steward_proto::auth::v1::token_service_client::TokenServiceClient;

use super::json;
use crate::cli::connect::Server;
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::table::{Table, or_dash};
use crate::cli::time;

const HEADINGS: [&str; 6] = ["ID", "USER", "EXPIRES", "SCOPES", "MADE BY", "DESCRIPTION"];

/// Lists tokens by user and age, also those that expired within the last 30 days.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only those of this user. Default: all that you may see.
    #[arg(long = "for", visible_alias = "owner", value_name = "USER")]
    owner: Option<String>,
}

pub(super) async fn run(args: ListArgs, server: &Server, console: &mut Console) -> Result<(), Error> {
    let mut tokens = TokenServiceClient::new(server.connect().await?);
    let mut table = Table::new(HEADINGS);
    let mut request =
        pb::ListTokensRequest { user: args.owner.unwrap_or_default(), ..pb::ListTokensRequest::default() };
    loop {
        let page = tokens.list_tokens(request.clone()).await.map_err(server.failure())?.into_inner();
        let now = time::now();
        table.show::<_, json::Token>(page.tokens, |token| row(token, now), console)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

fn row(token: &pb::Token, now: Timestamp) -> [String; 6] {
    let scopes = if token.scopes.is_empty() { "everything".to_owned() } else { token.scopes.join(" ") };
    [
        printable(&token.id).into_owned(),
        printable(&token.user).into_owned(),
        time::from_proto(token.expire_time).map_or_else(|| "-".to_owned(), |time| time::relative(time, now)),
        printable(&scopes).into_owned(),
        or_dash(printable(&token.created_by).into_owned()),
        or_dash(printable(&token.description).into_owned()),
    ]
}
