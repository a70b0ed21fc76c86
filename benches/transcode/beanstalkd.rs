//! beanstalkd with a log on disk that is flushed on each change: reserve and delete. It knows nothing of videos, sorts
//! by a number, and writes nothing down when it gives a job out.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::BoxError;
use crate::load::{Client, Load};
use crate::process::{Process, free_address, listening};
use crate::table::Peer;

/// More than it can delete in the time: each one is a flush.
const MOST_JOBS: u32 = 300_000;
/// What a job says.
const BODY: &str = r#"{"video_id":1234567,"video_path":"lib/series 0123/season 04/episode 0123456.mkv"}"#;

pub(crate) fn is_installed() -> bool {
    let version = Command::new("beanstalkd").arg("-v").stdin(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}

pub(crate) async fn measure(directory: &Path, load: Load, videos: u32) -> Result<Peer, BoxError> {
    std::fs::create_dir_all(directory)?;
    let jobs = videos.min(MOST_JOBS);
    eprintln!("making {jobs} jobs for beanstalkd");
    {
        // While they are put, it flushes only now and then.
        let (_process, address) = start(directory, "50").await?;
        put(address, jobs).await?;
    }
    eprintln!("measuring beanstalkd");
    let (_process, address) = start(directory, "0").await?;
    let mut clients = Vec::new();
    for _ in 0..load.clients {
        clients.push(Connection::open(address).await?);
    }
    let measured = load.drive(clients).await?;
    Ok(Peer {
        name: "beanstalkd",
        pairs_per_second: measured.per_second(),
        latency: Some(measured.percentile(50)),
        note: "-f0; a reservation is not durable",
    })
}

async fn start(directory: &Path, flush_ms: &str) -> Result<(Process, SocketAddr), BoxError> {
    let address = free_address()?;
    let mut command = Command::new("beanstalkd");
    command.args(["-l", "127.0.0.1", "-p", &address.port().to_string(), "-f", flush_ms, "-b"]).arg(directory);
    let process = Process::start(&mut command, &directory.join("server.log"))?;
    listening(address).await?;
    Ok((process, address))
}

/// Puts so many jobs, many in flight.
async fn put(address: SocketAddr, jobs: u32) -> Result<(), BoxError> {
    const IN_FLIGHT: u32 = 1000;
    let mut connection = Connection::open(address).await?;
    for first in (0..jobs).step_by(IN_FLIGHT as usize) {
        let numbers = first..(first + IN_FLIGHT).min(jobs);
        let count = numbers.len();
        let mut puts = String::new();
        for number in numbers {
            write!(puts, "put {number} 0 600 {}\r\n{BODY}\r\n", BODY.len())?;
        }
        connection.0.write_all(puts.as_bytes()).await?;
        for _ in 0..count {
            connection.expect("INSERTED ").await?;
        }
    }
    Ok(())
}

/// A connection of a worker.
struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// The rest of an answer that has to begin so.
    async fn expect(&mut self, word: &str) -> Result<String, BoxError> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let rest = line.trim_end().strip_prefix(word.trim_end()).ok_or_else(|| format!("not {word}: {line}"))?;
        Ok(rest.trim().to_owned())
    }
}

impl Client for Connection {
    async fn step(&mut self) -> Result<bool, BoxError> {
        self.0.write_all(b"reserve-with-timeout 0\r\n").await?;
        let reserved = self.expect("RESERVED ").await?;
        let (id, length) = reserved.split_once(' ').ok_or("a reservation without a length")?;
        let mut body = vec![0; length.parse::<usize>()? + 2];
        self.0.read_exact(&mut body).await?;
        self.0.write_all(format!("delete {id}\r\n").as_bytes()).await?;
        self.expect("DELETED").await?;
        Ok(true)
    }
}
