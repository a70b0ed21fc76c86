//! Lock and unlock pairs over gRPC.

use std::time::Duration;

use crate::load::Load;
use crate::sides::{Side, Sides};
use crate::steward::GrpcClient;
use crate::table::{Comparison, Turn, median, order, sorted};
use crate::{Args, BoxError};

/// How many clients share a connection where there are more of them.
const SHARING: usize = 16;
/// How long connections and caches get warm, in turns.
const WARM_TURNS: u32 = 4;

/// Compares the sides by sets of servers, each started anew: where a process lies in memory makes it some percent faster
/// or slower for as long as it runs, which no number of turns tells from what is to be measured.
pub(crate) async fn measure(args: &Args, clients: usize) -> Result<(), BoxError> {
    let per_connection = if clients > SHARING { SHARING } else { 1 };
    let load = Load { clients, per_connection, is_contended: false };
    let turn = Duration::from_secs_f64(args.seconds);
    let mut comparison = Comparison::new(format!("lock and unlock, {load}"), "pairs");
    for set in 0..args.sets {
        eprintln!("{}: set {} of {}", comparison.what, set + 1, args.sets);
        let sides = Sides::start(&args.directory, &args.sides).await?;
        comparison.add(&sides, of_set(&sides, load, args.rounds, turn).await?);
    }
    comparison.print();
    Ok(())
}

/// What each side does in the median of its turns. They are short, so that what disturbs one disturbs all of a round.
async fn of_set(sides: &Sides, load: Load, rounds: u32, turn: Duration) -> Result<Vec<Turn>, BoxError> {
    let mut clients = Vec::new();
    for side in &sides.list {
        let ready = sides.server(side).grpc_clients(load, side.authorization.as_ref()).await?;
        clients.push(load.drive(ready, turn * WARM_TURNS).await?.0);
    }
    let mut turns: Vec<Vec<Turn>> = sides.list.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for index in order(sides.list.len(), round as usize) {
            let ready = std::mem::take(&mut clients[index]);
            let (ready, seen) = take(sides, &sides.list[index], load, ready, turn).await?;
            clients[index] = ready;
            turns[index].push(seen);
        }
    }
    Ok(turns.iter().map(|turns| middle(turns)).collect())
}

async fn take(
    sides: &Sides,
    side: &Side,
    load: Load,
    clients: Vec<GrpcClient>,
    time: Duration,
) -> Result<(Vec<GrpcClient>, Turn), BoxError> {
    let server = &sides.server(side).peer;
    let before = server.cpu_of_threads()?;
    let (clients, measured) = load.drive(clients, time).await?;
    let used = server.cpu_of_threads()?.saturating_sub(before);
    let pairs = u32::try_from(measured.pairs().max(1))?;
    Ok((clients, Turn { rate: measured.pairs_per_second(), cpu: used / pairs }))
}

fn middle(turns: &[Turn]) -> Turn {
    let rate = median(&sorted(turns.iter().map(|turn| turn.rate)));
    let cpu = median(&sorted(turns.iter().map(|turn| turn.cpu.as_secs_f64())));
    Turn { rate, cpu: Duration::from_secs_f64(cpu) }
}
