//! What is measured over raw HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::objects::{MIB, Object, head, upload_head};
use crate::server::Server;
use crate::table::{Better, Table};
use crate::wire::Connection;
use crate::{BoxError, tree, wire};

const OBJECTS: u64 = 64;
const OBJECT_MIB: usize = 16;
/// How many small objects are sent.
const SMALL: u64 = 4000;

/// The servers and what was found out of them.
pub(crate) struct Bench<'a> {
    pub(crate) servers: &'a [Server],
    pub(crate) table: &'a mut Table,
    pub(crate) seconds: f64,
    pub(crate) rounds: u32,
}

/// What a server did under a load.
struct Seen {
    elapsed: f64,
    cpu: f64,
    peak: f64,
}

impl Bench<'_> {
    /// 64 objects of 16 MiB, up and down, over one connection and over eight.
    pub(crate) async fn transfers(&mut self) -> Result<(), BoxError> {
        let objects: Arc<Vec<Object>> = Arc::new((0..OBJECTS).map(|seed| Object::new(seed, MIB, OBJECT_MIB)).collect());
        for connections in [1, 8] {
            let mut all = [Vec::new(), Vec::new()];
            for server in self.servers {
                let mut rounds = [Vec::new(), Vec::new()];
                for round in 0..self.rounds {
                    let repository = format!("/transfers-{connections}-{round}/");
                    create(server, &repository).await?;
                    let requests = objects.iter().map(|object| upload_head(&repository, object, "")).collect();
                    rounds[0].push(send_all(server, connections, requests, &objects).await?);
                    let get = |object: &Object| {
                        head("GET", &format!("{repository}data/{}", object.name), "Range: bytes=0-\r\n")
                    };
                    let requests = objects.iter().map(get).collect();
                    rounds[1].push(send_all(server, connections, requests, &Arc::default()).await?);
                    // The next round is not to wait for the disk of this one.
                    std::fs::remove_dir_all(server.path.join(repository.trim_matches('/')))?;
                    flush();
                }
                let [up, down] = rounds;
                all[0].push(up);
                all[1].push(down);
            }
            for (what, servers) in ["upload", "download"].iter().zip(&all) {
                let what = format!("{what}, {connections} connections");
                self.add(&format!("{what}: MB/s"), Better::More, servers, |seen| volume() / 1e6 / seen.elapsed);
                self.add(&format!("{what}: CPU s/GiB"), Better::Less, servers, |seen| {
                    seen.cpu / (volume() / (1024.0 * 1024.0 * 1024.0))
                });
                self.add(&format!("{what}: peak RSS MiB"), Better::Less, servers, |seen| seen.peak);
            }
        }
        Ok(())
    }

    /// HEADs, small ranges and small objects.
    pub(crate) async fn requests(&mut self) -> Result<(), BoxError> {
        let objects: Vec<Object> = (0..OBJECTS).map(|seed| Object::new(seed, MIB, 1)).collect();
        let path = |object: &Object| format!("/requests/data/{}", object.name);
        for server in self.servers {
            create(server, "/requests/").await?;
            let requests = objects.iter().map(|object| upload_head("/requests/", object, "")).collect();
            send_all(server, 4, requests, &Arc::new(objects.clone())).await?;
        }
        let heads: Arc<Vec<_>> = Arc::new(objects.iter().map(|object| head("HEAD", &path(object), "")).collect());
        self.rates("HEAD, 16 connections", 16, &heads, Connection::receive_head_alone).await?;
        let ranges = (0..4096_usize).map(|number| {
            let (object, first) = (&objects[number * 31 % objects.len()], number * 7919 % (MIB - 4096));
            head("GET", &path(object), &format!("Range: bytes={first}-{}\r\n", first + 4095))
        });
        let ranges = Arc::new(ranges.collect());
        for connections in [1, 16] {
            let what = format!("GET of 4 KiB, {connections} connections");
            let receive = async |connection: &mut Connection| connection.receive().await.map(drop);
            self.rates(&what, connections, &ranges, receive).await?;
        }
        self.small_uploads().await
    }

    async fn small_uploads(&mut self) -> Result<(), BoxError> {
        let mut all = Vec::new();
        for server in self.servers {
            create(server, "/small/").await?;
            let mut rounds = Vec::new();
            for round in 0..u64::from(self.rounds) {
                let seeds = 1_000_000 * (round + 1)..1_000_000 * (round + 1) + SMALL;
                let objects: Vec<Object> = seeds.map(|seed| Object::new(seed, 4096, 1)).collect();
                let requests = objects.iter().map(|object| upload_head("/small/", object, "")).collect();
                rounds.push(send_all(server, 5, requests, &Arc::new(objects)).await?);
            }
            all.push(rounds);
        }
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        self.add("POST of 4 KiB, 5 connections: /s", Better::More, &all, |seen| SMALL as f64 / seen.elapsed);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        self.add("POST of 4 KiB, 5 connections: CPU µs each", Better::Less, &all, |seen| {
            seen.cpu * 1e6 / SMALL as f64
        });
        Ok(())
    }

    /// The list of so many objects that were there before the server looked.
    pub(crate) async fn list(&mut self, count: u32) -> Result<(), BoxError> {
        let repository = format!("/list-{count}/");
        let request = head("GET", &format!("{repository}data/"), "Connection: close\r\n");
        let (mut first, mut lists) = (Vec::new(), Vec::new());
        let mut first_bytes = Vec::new();
        for server in self.servers {
            eprintln!("making {count} objects for {}", server.kind.name());
            tree::make(&server.path.join(repository.trim_matches('/')), count)?;
            flush();
            first.push(vec![list_once(server, &request, count).await?.0]);
            let (mut rounds, mut bytes) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                let (seen, first_byte) = list_once(server, &request, count).await?;
                rounds.push(seen);
                bytes.push(first_byte.as_secs_f64());
            }
            lists.push(rounds);
            first_bytes.push(median(bytes));
            std::fs::remove_dir_all(server.path.join(repository.trim_matches('/')))?;
        }
        let what = format!("list of {count}");
        self.add(&format!("{what}, the first time: s"), Better::Less, &first, |seen| seen.elapsed);
        self.add(&format!("{what}, the first time: RSS growth MiB"), Better::Less, &first, |seen| seen.peak);
        self.table.add(&format!("{what}: s to the first byte"), Better::Less, first_bytes);
        self.add(&format!("{what}: s"), Better::Less, &lists, |seen| seen.elapsed);
        self.add(&format!("{what}: CPU s"), Better::Less, &lists, |seen| seen.cpu);
        self.add(&format!("{what}: RSS growth MiB"), Better::Less, &lists, |seen| seen.peak);
        Ok(())
    }

    /// Sends the same requests round and round for a while. One thread of ours sends them all: the server has the rest.
    async fn rates<F>(
        &mut self,
        what: &str,
        connections: usize,
        requests: &Arc<Vec<Vec<u8>>>,
        receive: F,
    ) -> Result<(), BoxError>
    where
        F: AsyncFn(&mut Connection) -> Result<(), BoxError> + Copy,
    {
        let mut all = Vec::new();
        let mut counts = Vec::new();
        for server in self.servers {
            eprintln!("measuring {what}: {}", server.kind.name());
            let (mut rounds, mut done) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                let time = Duration::from_secs_f64(self.seconds);
                let mut count = 0.0;
                let seen = watched(server, async {
                    let end = Instant::now() + time;
                    let clients = (0..connections).map(|client| go_round(server, client * 97, requests, end, receive));
                    count = futures::future::try_join_all(clients).await?.into_iter().sum();
                    Ok(())
                })
                .await?;
                done.push(count / seen.elapsed);
                rounds.push(Seen { cpu: seen.cpu * 1e6 / count, ..seen });
            }
            counts.push(median(done));
            all.push(rounds);
        }
        self.table.add(&format!("{what}: /s"), Better::More, counts);
        self.add(&format!("{what}: CPU µs each"), Better::Less, &all, |seen| seen.cpu);
        Ok(())
    }

    fn add(&mut self, what: &str, better: Better, servers: &[Vec<Seen>], value: impl Fn(&Seen) -> f64) {
        let medians = servers.iter().map(|rounds| median(rounds.iter().map(&value).collect())).collect();
        self.table.add(what, better, medians);
    }
}

async fn go_round<F>(
    server: &Server,
    mut next: usize,
    requests: &[Vec<u8>],
    end: Instant,
    receive: F,
) -> Result<f64, BoxError>
where
    F: AsyncFn(&mut Connection) -> Result<(), BoxError>,
{
    let mut connection = Connection::open(server.address).await?;
    let mut count = 0.0;
    while Instant::now() < end {
        connection.send(&requests[next % requests.len()], std::iter::empty()).await?;
        receive(&mut connection).await?;
        next += 1;
        count += 1.0;
    }
    Ok(count)
}

/// How many bytes are transferred.
#[expect(clippy::cast_precision_loss, reason = "a gigabyte")]
fn volume() -> f64 {
    (OBJECTS * (OBJECT_MIB * MIB) as u64) as f64
}

async fn create(server: &Server, repository: &str) -> Result<(), BoxError> {
    let mut connection = Connection::open(server.address).await?;
    let request = head("POST", &format!("{repository}?create=true"), "Content-Length: 0\r\n");
    connection.send(&request, std::iter::empty()).await?;
    connection.receive().await?;
    Ok(())
}

/// Sends each request once, over so many connections; with the bodies of the objects, if there are any.
async fn send_all(
    server: &Server,
    connections: usize,
    requests: Vec<Vec<u8>>,
    bodies: &Arc<Vec<Object>>,
) -> Result<Seen, BoxError> {
    watched(server, wire::send_all(server.address, connections, requests, bodies)).await
}

async fn list_once(server: &Server, request: &[u8], count: u32) -> Result<(Seen, Duration), BoxError> {
    let resident = server.resident()?;
    let mut first = Duration::ZERO;
    let seen = watched(server, async {
        let mut connection = Connection::open(server.address).await?;
        connection.send(request, std::iter::empty()).await?;
        let reply = connection.receive_to_end().await?;
        first = reply.first;
        // A name and its marks take more than 64 bytes.
        let is_whole = reply.length > 64 * u64::from(count);
        is_whole.then_some(()).ok_or_else(|| format!("a list of {} bytes", reply.length).into())
    })
    .await?;
    Ok((Seen { peak: (seen.peak - resident).max(0.0), ..seen }, first))
}

/// Looks at a server while it is under a load.
async fn watched(server: &Server, load: impl Future<Output = Result<(), BoxError>>) -> Result<Seen, BoxError> {
    server.forget_peak()?;
    let (cpu, start) = (server.cpu()?, Instant::now());
    load.await.map_err(|error| format!("{}: {error}", server.kind.name()))?;
    let elapsed = start.elapsed().as_secs_f64();
    Ok(Seen { elapsed, cpu: server.cpu()? - cpu, peak: server.peak()? })
}

/// Lets the disk come to rest.
pub(crate) fn flush() {
    // Without it the figures are only less steady.
    let _ = std::process::Command::new("sync").status();
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
