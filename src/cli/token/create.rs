//! `steward token create`: makes a token.

use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use steward_proto::auth::v1 as pb;
use steward_proto::auth::v1::token_service_client::TokenServiceClient;

use super::json;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::{duration, time};

/// Makes a token. Only this output has it: the server keeps a digest.
#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Whose it is. Default: yours.
    #[arg(long = "for", visible_alias = "owner", value_name = "USER")]
    owner: Option<String>,

    /// What it allows of what its user may do: AREA:RESOURCE:RIGHT[,RIGHT]. Several times for more; never: everything.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,

    /// How long it is good, such as 12h or 30d.
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_ttl)]
    expires: Duration,

    /// What it is for, in words.
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
}

pub(super) async fn run(args: CreateArgs, server: &Server, console: &mut Console) -> Result<(), Error> {
    let mut tokens = TokenServiceClient::new(server.connect().await?);
    let request = pb::CreateTokenRequest {
        user: args.owner.unwrap_or_default(),
        scopes: args.scope,
        ttl: Some(duration::to_proto(args.expires)),
        description: args.description,
    };
    let made = tokens.create_token(request).await.map_err(server.failure())?.into_inner();
    let token = made.token.ok_or(Error::Nonsense("it has no token"))?;
    match console.format() {
        Format::Json => console.object(&json::Created { secret: made.secret, token: token.into() })?,
        Format::Text => {
            let end = time::from_proto(token.expire_time).map(time::text).unwrap_or_default();
            eprintln!("token {} of {} is good until {end}; it is not shown again:", token.id, token.user);
            console.line(made.secret)?;
        }
    }
    Ok(())
}

/// Days, too, which have no fixed length elsewhere.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok());
    match days.map(|days| SignedDuration::from_hours(days.saturating_mul(24).min(i64::MAX / 3600))) {
        Some(span) => Duration::try_from(span).map_err(|_| "a duration cannot be negative".to_owned()),
        None => duration::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_a_length_of_time_here() {
        assert_eq!(parse_ttl("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(parse_ttl("90m"), Ok(Duration::from_mins(90)));
        for odd in ["-1d", "d", "", "soon"] {
            assert!(parse_ttl(odd).is_err(), "{odd:?}");
        }
    }
}
