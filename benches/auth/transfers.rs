//! Objects of a backup repository over raw HTTP.

use std::sync::Arc;
use std::time::Instant;

use crate::BoxError;
use crate::objects::{MIB, Object, head, upload_head};
use crate::sides::{Side, Sides};
use crate::steward::Steward;
use crate::table::{Comparison, Sample, order};
use crate::wire::{self, Connection};

/// How many objects are sent in a turn, and how many MiB each has: about what restic sends.
const OBJECTS: u64 = 32;
const OBJECT_MIB: usize = 16;
const MIBS: u32 = 32 * 16;

/// Compares the sides by turns of one set of servers.
pub(crate) async fn measure(sides: &Sides, rounds: u32, connections: usize) -> Result<(), BoxError> {
    let objects: Arc<Vec<Object>> = Arc::new((0..OBJECTS).map(|seed| Object::new(seed, MIB, OBJECT_MIB)).collect());
    let (mut names, none) = (0..u32::MAX, Arc::default());
    let up = async |side: &Side| {
        let (server, who) = (sides.server(side), Caller::of(side)?);
        let name = names.next().ok_or("too many repositories")?;
        let repository = format!("/restic/backups/{name}/");
        who.create(server, &repository).await?;
        let requests = objects.iter().map(|object| who.upload(&repository, object)).collect();
        let turn = send_all(server, connections, requests, &objects).await?;
        std::fs::remove_dir_all(sides.data(side).join("restic/backups").join(name.to_string()))?;
        Ok(turn)
    };
    take(sides, rounds, format!("uploads of {OBJECT_MIB} MiB, connections: {connections}"), up).await?;

    for side in &sides.list {
        let (server, who) = (sides.server(side), Caller::of(side)?);
        let repository = Caller::kept(side, connections);
        who.create(server, &repository).await?;
        let requests = objects.iter().map(|object| who.upload(&repository, object)).collect();
        send_all(server, connections, requests, &objects).await?;
    }
    let down = async |side: &Side| {
        let (server, who) = (sides.server(side), Caller::of(side)?);
        let repository = Caller::kept(side, connections);
        let requests = objects.iter().map(|object| who.download(&repository, object)).collect();
        send_all(server, connections, requests, &none).await
    };
    take(sides, rounds, format!("downloads of {OBJECT_MIB} MiB, connections: {connections}"), down).await
}

/// Lets each side have a turn in each round, one after the other, and prints what came of it.
async fn take(
    sides: &Sides,
    rounds: u32,
    what: String,
    mut turn: impl AsyncFnMut(&Side) -> Result<Sample, BoxError>,
) -> Result<(), BoxError> {
    let mut comparison = Comparison::new(what, "MiB");
    for round in 0..rounds {
        eprintln!("{}: round {} of {rounds}", comparison.what, round + 1);
        let mut samples = vec![Sample::default(); sides.list.len()];
        for index in order(sides.list.len(), round as usize) {
            samples[index] = turn(&sides.list[index]).await?;
        }
        comparison.add(sides, samples);
    }
    comparison.print();
    Ok(())
}

/// Somebody who says with each request who they are, if they are anybody.
struct Caller {
    header: String,
}

impl Caller {
    fn of(side: &Side) -> Result<Self, BoxError> {
        let header = match &side.authorization {
            Some(value) => format!("Authorization: {}\r\n", value.to_str()?),
            None => String::new(),
        };
        Ok(Caller { header })
    }

    /// The repository that is there to be read.
    fn kept(side: &Side, connections: usize) -> String {
        format!("/restic/backups/kept-{}-{connections}/", side.name.replace([' ', ','], "-"))
    }

    /// Makes a repository, if it is not there.
    async fn create(&self, server: &Steward, repository: &str) -> Result<(), BoxError> {
        let mut connection = Connection::open(server.http).await?;
        let more = format!("{}Content-Length: 0\r\n", self.header);
        let request = head("POST", &format!("{repository}?create=true"), &more);
        connection.send(&request, std::iter::empty()).await?;
        connection.receive().await?;
        Ok(())
    }

    fn upload(&self, repository: &str, object: &Object) -> Vec<u8> {
        upload_head(repository, object, &self.header)
    }

    fn download(&self, repository: &str, object: &Object) -> Vec<u8> {
        let more = format!("{}Range: bytes=0-\r\n", self.header);
        head("GET", &format!("{repository}data/{}", object.name), &more)
    }
}

/// Sends each request once, over so many connections; with the bodies of the objects, if there are any.
async fn send_all(
    server: &Steward,
    connections: usize,
    requests: Vec<Vec<u8>>,
    bodies: &Arc<Vec<Object>>,
) -> Result<Sample, BoxError> {
    // Threads that only read and write files end when there is nothing to do, and take their times with them.
    let (before, start) = (server.peer.cpu()?, Instant::now());
    wire::send_all(server.http, connections, requests, bodies).await?;
    let time = start.elapsed();
    let cpu = server.peer.cpu()?.saturating_sub(before);
    Ok(Sample { units: MIBS, time, cpu })
}
