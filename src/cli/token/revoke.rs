//! `steward token revoke`: revokes tokens.

use clap::Args;
use steward_proto::auth::v1 as pb;
use steward_proto::auth::v1::token_service_client::TokenServiceClient;

use super::json;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;

/// Revokes tokens: the next call with one of them is refused.
#[derive(Args, Debug)]
pub(super) struct RevokeArgs {
    /// Their ids, as `list` shows them.
    #[arg(value_name = "ID", required_unless_present = "owner")]
    ids: Vec<String>,

    /// All of this user.
    #[arg(long = "for", visible_alias = "owner", id = "owner", value_name = "USER")]
    owner: Option<String>,
}

pub(super) async fn run(args: RevokeArgs, server: &Server, console: &mut Console) -> Result<(), Error> {
    let mut tokens = TokenServiceClient::new(server.connect().await?);
    let request = pb::RevokeTokensRequest { ids: args.ids, user: args.owner.unwrap_or_default() };
    let revoked = tokens.revoke_tokens(request).await.map_err(server.failure())?.into_inner().ids;
    if revoked.is_empty() {
        eprintln!("there was nothing to revoke");
    }
    for id in revoked {
        match console.format() {
            Format::Json => console.object(&json::Revoked { id })?,
            Format::Text => console.line(format_args!("{}: revoked", printable(&id)))?,
        }
    }
    Ok(())
}
