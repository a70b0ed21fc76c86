//! Lock and unlock pairs over gRPC.

use std::time::Duration;

use crate::BoxError;
use crate::load::Load;
use crate::table::{Rounds, Turn};

/// How many clients share a connection where there are more of them.
const SHARING: usize = 16;

pub(crate) async fn measure(rounds: &Rounds<'_>, clients: usize, time: Duration) -> Result<(), BoxError> {
    let per_connection = if clients > SHARING { SHARING } else { 1 };
    let load = Load { clients, per_connection, is_contended: false };
    let turn = async |side: &crate::sides::Side, _| {
        let server = rounds.sides.server(side);
        let clients = server.grpc_clients(load, side.authorization.as_ref()).await?;
        // Connections and caches get warm.
        let (clients, _) = load.drive(clients, time / 8).await?;
        let before = server.peer.cpu()?;
        let (clients, measured) = load.drive(clients, time).await?;
        let used = server.peer.cpu()?.saturating_sub(before);
        drop(clients);
        let pairs = u32::try_from(measured.pairs().max(1))?;
        Ok(Turn { rate: measured.pairs_per_second(), cpu: used / pairs })
    };
    rounds.take(&format!("lock and unlock, {load}"), "pairs", turn).await
}
