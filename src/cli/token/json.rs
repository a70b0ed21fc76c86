//! The JSON of `--json`: field names as in the protocol, times in RFC 3339.

use serde::Serialize;
use steward_proto::auth::v1 as pb;

use crate::cli::time;

#[derive(Debug, Serialize)]
pub(super) struct Token {
    id: String,
    user: String,
    description: String,
    scopes: Vec<String>,
    create_time: Option<String>,
    expire_time: Option<String>,
    created_by: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Created {
    pub(super) secret: String,
    pub(super) token: Token,
}

#[derive(Debug, Serialize)]
pub(super) struct Revoked {
    pub(super) id: String,
}

impl From<pb::Token> for Token {
    fn from(token: pb::Token) -> Self {
        Token {
            id: token.id,
            user: token.user,
            description: token.description,
            scopes: token.scopes,
            create_time: time::json(token.create_time),
            expire_time: time::json(token.expire_time),
            created_by: token.created_by,
        }
    }
}
