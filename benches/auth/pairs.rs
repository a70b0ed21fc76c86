//! Lock and unlock pairs over gRPC.

use std::time::Duration;

use crate::load::Load;
use crate::sides::{Side, Sides};
use crate::steward::GrpcClient;
use crate::table::{Comparison, Sample, order};
use crate::{Args, BoxError};

/// How many clients share a connection where there are more of them; so many have turns of the usual length.
const SHARING: usize = 16;
/// How long connections and caches get warm, in turns.
const WARM_TURNS: u32 = 4;

/// Compares the sides by sets of servers, each started anew: where a process lies in memory makes it some percent faster
/// or slower for as long as it runs, which no number of turns tells from what is to be measured.
pub(crate) async fn measure(args: &Args, clients: usize) -> Result<(), BoxError> {
    let per_connection = if clients > SHARING { SHARING } else { 1 };
    let load = Load { clients, per_connection, is_contended: false };
    // However many they are, each has time for some tens of pairs.
    let turn = Duration::from_secs_f64(args.seconds) * u32::try_from(clients.div_ceil(SHARING))?;
    let mut comparison = Comparison::new(format!("lock and unlock, {load}"), "pairs");
    for set in 0..args.sets {
        eprintln!("{}: set {} of {}", comparison.what, set + 1, args.sets);
        let sides = Sides::start(&args.directory, &args.sides, set as usize).await?;
        comparison.add(&sides, of_set(&sides, load, set * args.rounds, args.rounds, turn).await?);
    }
    comparison.print();
    Ok(())
}

/// What each side does in all of its turns. They are short, so that what disturbs one mostly disturbs the others, too.
async fn of_set(sides: &Sides, load: Load, first: u32, rounds: u32, turn: Duration) -> Result<Vec<Sample>, BoxError> {
    let mut clients = Vec::new();
    for side in &sides.list {
        let ready = sides.server(side).grpc_clients(load, side.authorization.as_ref()).await?;
        clients.push(load.drive(ready, turn * WARM_TURNS).await?.0);
    }
    let mut samples = vec![Sample::default(); sides.list.len()];
    for round in first..first + rounds {
        for index in order(sides.list.len(), round as usize) {
            let ready = std::mem::take(&mut clients[index]);
            let (ready, seen) = take(sides, &sides.list[index], load, ready, turn).await?;
            clients[index] = ready;
            samples[index] += seen;
        }
    }
    Ok(samples)
}

async fn take(
    sides: &Sides,
    side: &Side,
    load: Load,
    clients: Vec<GrpcClient>,
    time: Duration,
) -> Result<(Vec<GrpcClient>, Sample), BoxError> {
    let server = &sides.server(side).peer;
    let before = server.threads()?;
    let (clients, measured) = load.drive(clients, time).await?;
    let cpu = server.threads()?.since(&before);
    Ok((clients, Sample { units: u32::try_from(measured.pairs())?, time: measured.elapsed(), cpu }))
}
