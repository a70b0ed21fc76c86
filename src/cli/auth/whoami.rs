//! `steward auth whoami`: tells who one is to the server.

use serde::Serialize;
use steward_proto::auth::v1 as pb;
use steward_proto::auth::v1::rights_service_client::RightsServiceClient;

use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, field, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

#[derive(Debug, Serialize)]
struct Caller {
    user: String,
    groups: Vec<String>,
    scopes: Vec<String>,
    is_scoped: bool,
    address: String,
}

pub(super) async fn run(server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut rights = RightsServiceClient::new(server.connect().await?);
    let caller = rights.get_caller(pb::GetCallerRequest {}).await.map_err(server.failure())?.into_inner();
    let pb::GetCallerResponse { user, groups, scopes, is_scoped, address } = caller;
    match console.format() {
        Format::Json => console.object(&Caller { user, groups, scopes, is_scoped, address })?,
        Format::Text => {
            let name = if user.is_empty() { "nobody in particular".to_owned() } else { printable(&user).into_owned() };
            let scopes = if is_scoped { scopes.join(" ") } else { "everything that the user may".to_owned() };
            let groups = if groups.is_empty() { "-".to_owned() } else { groups.join(" ") };
            let lines = [
                name,
                field("from", &address),
                field("groups", &printable(&groups)),
                field("may", &printable(&scopes)),
            ];
            console.line(lines.join("\n"))?;
        }
    }
    Ok(Exit::DONE)
}
